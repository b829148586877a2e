import pytest

from genolm.genome import ContigResolver, resolve_contigs


@pytest.mark.parametrize(
    ("wanted", "own", "expected"),
    [
        ("chr20", "20", "20"),
        ("20", "chr20", "chr20"),
        ("Chr1", "1", "1"),
        ("chrXIV", "XIV", "XIV"),
        ("chrM", "MT", "MT"),
        ("MT", "chrM", "chrM"),
        ("M", "Mito", "Mito"),
        ("chrMT", "M", "M"),
        ("chrM", "Mito", "Mito"),
        ("chr2", "20", None),
        ("hr20", "20", None),
        ("chr", "", None),
        ("chr1", "I", None),
    ],
)
def test_aliases_are_found_both_ways_and_nothing_else_is(wanted, own, expected):
    assert resolve_contigs([wanted], {own: 1000}) == {wanted: expected}


def test_an_exact_name_wins_over_an_alias_and_needs_no_length():
    contigs = {"1": 100, "chr1": 200}
    assert resolve_contigs(["1", "chr1"], contigs, {"1": 5}) == {"1": "1", "chr1": "chr1"}


def test_a_declared_length_that_disagrees_is_no_alias_and_is_explained():
    resolver = ContigResolver({"20": 63_025_520, "X": 10}, {"chr20": 64_444_167, "chrX": 10})
    assert resolver.resolve("chr20") is None
    assert resolver.resolve("chrX") == "X"
    assert resolver.aliases_used == {"chrX": "X"}
    assert list(resolver.refused) == ["chr20"]
    assert "64,444,167" in resolver.refused["chr20"]
    assert "63,025,520" in resolver.refused["chr20"]


def test_two_contigs_that_would_fit_are_no_answer():
    assert resolve_contigs(["chrM"], {"M": 16_571, "MT": 16_569}) == {"chrM": None}


def test_names_resolved_as_they_are_do_not_count_as_aliases():
    resolver = ContigResolver({"20": 10})
    assert [resolver.resolve(name) for name in ("20", "chr20", "chr20", "21")] == ["20"] * 3 + [
        None
    ]
    assert resolver.aliases_used == {"chr20": "20"}
