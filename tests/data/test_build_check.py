import pytest

from genolm.data.build_check import BuildCheck
from genolm.data.sites import Site
from genolm.errors import InputError
from genolm.genome.vcf import VcfRecord

RECORD = VcfRecord("", "\n", 17, "chr1", 99, "AT", ("C",), ".")
RIGHT, WRONG, UNKNOWN = (Site(("star",), ref_is_right=right) for right in (True, False, None))


def judge(sites, *, strict=False):
    check = BuildCheck("in.vcf", "g.fa", strict=strict)
    for site in sites:
        check.see(RECORD, site)
    check.finish()


@pytest.mark.parametrize(
    "sites",
    [
        [WRONG] * 19,
        [WRONG] * 10 + [RIGHT] * 10,
        [UNKNOWN] * 5000,
        [WRONG] * 500 + [RIGHT] * 500 + [WRONG] * 5000,
    ],
)
def test_a_half_or_too_few_to_tell_is_no_error(sites):
    judge(sites)


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        ([WRONG] * 20, "20 of the first 20"),
        ([RIGHT] * 9 + [UNKNOWN] * 50 + [WRONG] * 11, "11 of the first 20"),
        ([RIGHT] * 499 + [WRONG] * 501, "501 of the first 1000"),
    ],
)
def test_more_than_half_wrong_is_another_build(sites, message):
    with pytest.raises(InputError, match=f"in.vcf: {message}.*g.fa: wrong genome build\\?"):
        judge(sites)


def test_the_first_thousand_are_judged_as_soon_as_they_are_seen():
    check = BuildCheck("in.vcf", "g.fa", strict=False)
    for _ in range(999):
        check.see(RECORD, WRONG)
    with pytest.raises(InputError, match="wrong genome build"):
        check.see(RECORD, WRONG)


def test_strict_stops_at_the_first_wrong_ref_and_names_it():
    judge([RIGHT, UNKNOWN] * 30, strict=True)
    with pytest.raises(InputError, match=r"in\.vcf:17: REF AT does not stand at chr1:100 of g\.fa"):
        judge([RIGHT, WRONG], strict=True)
