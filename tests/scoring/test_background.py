import numpy as np
import pytest

from genolm.data.trinucleotides import CONTEXTS
from genolm.errors import InputError, UsageError
from genolm.genome.edits import Edit
from genolm.scoring import background as module
from genolm.scoring.background import draw_sites, parse_background, read_snvs, snvs_at
from genolm.tokenization.encode import decode

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def letters(seed, size):
    return "".join(np.array(list("ACGT"))[np.random.default_rng(seed).integers(0, 4, size)])


@pytest.fixture(scope="module")
def drawn_from(make_genome):
    contigs = {
        "a": letters(1, 6000),
        "b": letters(2, 2000).lower() + "N" * 100,
        "none": "N" * 50,
        "tiny": "AC",
        "c": letters(3, 1000),
    }
    return make_genome(contigs)


def counts(genome, sites):
    found = dict.fromkeys(CONTEXTS, 0)
    for contig, start in sites:
        three = genome.ids(contig, start - 1, start + 2)
        number = int(module.contexts_at(three, np.array([1]))[0])
        found[CONTEXTS[number]] += 1
    return found


def test_every_trinucleotide_has_as_many_sites_and_none_comes_twice(drawn_from):
    sites = draw_sites(drawn_from, 40, seed=1)
    assert set(counts(drawn_from, sites).values()) == {40}
    assert len(set(sites)) == len(sites) == 40 * 32
    assert sites == sorted(sites, key=lambda one: (list(drawn_from.contigs).index(one[0]), one[1]))


def test_all_sites_of_a_small_genome_are_taken(make_genome):
    text = letters(5, 300) + "N" + letters(6, 200)
    genome = make_genome({"a": text})
    sites = draw_sites(genome, 10_000, seed=1)
    expected = [("a", i) for i in range(1, len(text) - 1) if "N" not in text[i - 1 : i + 2]]
    assert sites == expected


def test_sites_are_a_function_of_the_seed(drawn_from):
    one, same, other = (draw_sites(drawn_from, 20, seed) for seed in (1, 1, 2))
    assert one == same
    assert len(set(one) & set(other)) < len(one) / 2


@pytest.mark.parametrize("candidates", [64, 1000, 1 << 20])
def test_neither_scan_nor_strides_change_how_many_there_are(drawn_from, monkeypatch, candidates):
    monkeypatch.setattr(module, "CANDIDATES", candidates)
    whole = draw_sites(drawn_from, 20, seed=4)
    monkeypatch.setattr(module, "SCAN", 97)
    assert draw_sites(drawn_from, 20, seed=4) == whole
    assert set(counts(drawn_from, whole).values()) == {20}


@pytest.mark.parametrize("candidates", [1 << 20, 3000])
def test_each_contig_is_drawn_from_by_its_length(drawn_from, monkeypatch, candidates):
    """30 draws of 960 sites each: three standard deviations of a share are at most 0.009."""
    monkeypatch.setattr(module, "CANDIDATES", candidates)
    sites = [site for seed in range(30) for site in draw_sites(drawn_from, 30, seed)]
    shares = [np.mean([contig == name for contig, _ in sites]) for name in "abc"]
    # Of each trinucleotide what the contigs have of it, not their whole lengths.
    every = counts_by_contig(drawn_from)
    expected = [
        np.mean([every[c][name] / sum(every[c].values()) for c in CONTEXTS]) for name in "abc"
    ]
    assert shares == pytest.approx(expected, abs=0.01)


def counts_by_contig(genome):
    found = {one: dict.fromkeys("abc", 0) for one in CONTEXTS}
    for name in "abc":
        ids = genome.ids(name, 0, genome.contigs[name])
        for number in module.contexts_at(ids, np.arange(1, len(ids) - 1)).tolist():
            if number >= 0:
                found[CONTEXTS[number]][name] += 1
    return found


def test_a_site_has_its_three_snvs(make_genome):
    genome = make_genome({"a": "ACGT"})
    (edits,) = snvs_at(genome, [("a", 1), ("a", 2)])
    assert edits == [
        *(Edit("a", 1, "C", alt) for alt in "AGT"),
        *(Edit("a", 2, "G", alt) for alt in "ACT"),
    ]


def test_snvs_come_in_bounded_pieces(drawn_from, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 100)
    sites = draw_sites(drawn_from, 20, seed=1)
    pieces = list(snvs_at(drawn_from, sites))
    assert max(map(len, pieces)) <= 100
    assert sum(map(len, pieces)) == 3 * len(sites)


def test_a_file_gives_its_snvs_in_order_and_nothing_else(drawn_from, tmp_path):
    bases = decode(drawn_from.ids("a", 0, 50))
    path = tmp_path / "bg.vcf"
    path.write_text(
        HEADER
        + f"a\t11\t.\t{bases[10]}\t<DEL>,*\t.\t.\t.\n"
        + f"a\t21\t.\t{bases[20]}\t{bases[20]}A\t.\t.\t.\n"
        + f"a\t1\t.\t{bases[0]}\t{_other(bases[0])}\t.\t.\t.\n"
        + f"a\t31\t.\t{bases[30:32]}\t{_other(bases[30])}{bases[31]}\t.\t.\t.\n"
        + f"a\t16\t.\t{bases[15].lower()}\t{_other(bases[15])}\t.\t.\t.\n"
        + "zz\t16\t.\tA\tC\t.\t.\t.\n"
    )
    found = [edit for piece in read_snvs(path, drawn_from, "g.fa") for edit in piece]
    assert found == [
        Edit("a", 30, bases[30], _other(bases[30])),
        Edit("a", 15, bases[15], _other(bases[15])),
    ]


def _other(base):
    return "ACGT"[("ACGT".index(base) + 1) % 4]


def test_a_background_of_another_genome_is_refused(drawn_from, tmp_path):
    bases = decode(drawn_from.ids("a", 0, 41))
    lines = [f"a\t{i + 1}\t.\t{_other(bases[i])}\t{bases[i]}\t.\t.\t.\n" for i in range(40)]
    path = tmp_path / "bg.vcf"
    path.write_text(HEADER + "".join(lines))
    with pytest.raises(InputError, match=r"bg\.vcf: 40 of the first 40 REF.*wrong genome build"):
        list(read_snvs(path, drawn_from, "g.fa"))


def test_what_a_background_may_be(tmp_path):
    assert parse_background("random").snvs == 9600
    assert parse_background("random:1920").sites == 20
    assert parse_background("random:1921").sites == 21  # rounded up: equally many of every class
    path = tmp_path / "bg.vcf"
    path.touch()
    assert parse_background(str(path)).sites == 0


@pytest.mark.parametrize("text", ["random:", "random:0", "random:1919", "random:x", "random:-5"])
def test_a_random_background_of_no_number_is_refused(text):
    with pytest.raises(UsageError, match="write random:N with N from 1920 on"):
        parse_background(text)


def test_a_background_that_is_not_there_is_named():
    with pytest.raises(UsageError, match=r"no such file: nothing\.vcf"):
        parse_background("nothing.vcf")
