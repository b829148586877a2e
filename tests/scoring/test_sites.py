import pytest

from genolm.data.sites import Site, SiteReader
from genolm.genome.aliases import ContigResolver
from genolm.genome.edits import Edit


@pytest.fixture
def reader(genome, window_size):
    return SiteReader(genome, ContigResolver(genome.contigs), window_size)


def test_a_record_gives_its_edits_in_the_fastas_own_names(reader, contigs):
    ref = contigs["chr1"][120]
    others = [base for base in "ACGT" if base != ref.upper()]
    site = reader.read("1", 120, ref, [others[0].lower(), others[1] + ref])
    assert site == Site(
        (
            Edit("chr1", 120, ref.upper(), others[0]),
            Edit("chr1", 120, "", others[1]),
        ),
        ref_is_right=True,
    )


@pytest.mark.parametrize("shift", ["upper", "lower", "swapcase"])
def test_case_is_ignored(reader, contigs, shift):
    ref = getattr(contigs["chr1"][95:105], shift)()
    assert reader.read("chr1", 95, ref, ["A"]).ref_is_right


def test_every_reason_is_given(reader, contigs):
    bases = contigs["chr1"].upper()
    wrong = "ACGT"[("ACGT".index(bases[50]) + 1) % 4]

    def read(chrom, start, ref, *alts):
        site = reader.read(chrom, start, ref, alts)
        return [one for one in site.alleles if isinstance(one, str)], site.ref_is_right

    assert read("chr1", 50, bases[50], "<DEL>", "*", "N", ".") == (
        ["symbolic", "star", "non_acgt_alt", "no_alt"],
        True,
    )
    assert read("chr1", 50, bases[50]) == (["no_alt"], True)
    assert read("chr2", 160, "N", "A") == (["non_acgt_ref"], None)
    assert read("chr1", 50, wrong, bases[50]) == (["ref_mismatch"], False)
    assert read("chr2", 160, "A", "C") == (["ref_mismatch"], False)
    assert read("chr9", 50, "A", "C", "<DEL>") == (["contig_missing", "symbolic"], None)
    assert read("chr1", 50, bases[50:67], bases[50]) == ([], True)
    assert read("chr1", 50, bases[50:68], bases[50]) == (["too_long"], True)
    assert read("chr1", 50, bases[50], bases[50] + 17 * "G") == (["too_long"], True)


@pytest.mark.parametrize(("start", "ref"), [(-1, "A"), (400, "A"), (10**9, "A")])
def test_a_position_outside_the_contig_is_a_wrong_ref(reader, start, ref):
    assert reader.read("chr1", start, ref, ["C"]) == Site(("ref_mismatch",), ref_is_right=False)


def test_a_ref_that_runs_over_the_contigs_end_is_wrong(reader, contigs):
    assert not reader.read("chr1", 398, contigs["chr1"][398:] + "A", ["C"]).ref_is_right


def test_a_long_ref_of_which_one_base_changes_is_not_too_long(reader, contigs):
    ref = contigs["chr1"][200:260].upper()
    alt = ref[:30] + "ACGT"[("ACGT".index(ref[30]) + 1) % 4] + ref[31:]
    assert reader.read("chr1", 200, ref, [alt]).alleles == (Edit("chr1", 230, ref[30], alt[30]),)
