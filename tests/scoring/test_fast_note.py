import numpy as np

from genolm.scoring.fast_note import ErrorSummary, FastNote
from genolm.scoring.fields import fields_of
from genolm.scoring.vcf_output import Provenance, annotate_header

ERROR = ErrorSummary.of(np.array([0.0, -2e-3, 1e-3]))
NOTE = FastNote("seeded_window", {"R": 64}, ERROR)
EXACT = Provenance("1", "genolm score", "m", "0" * 64, "g.fa", "0" * 32)
FAST = Provenance("1", "genolm score --fast", "m", "0" * 64, "g.fa", "0" * 32, fast=NOTE)
LINE = (
    "##genolmFast=<ID=seeded_window,R=64,error_median=0.001,error_p99=0.00198,error_max=0.002,"
    "error_alleles=3>"
)


def test_errors_are_sizes_and_the_largest_is_one_of_them():
    assert (ERROR.alleles, ERROR.median, ERROR.largest) == (3, 1e-3, 2e-3)
    assert ERROR.median <= ERROR.p99 <= ERROR.largest


def test_the_header_says_what_was_not_exact_and_how_far():
    assert FAST.lines().count(LINE) == 1
    assert not any("genolmFast" in line for line in EXACT.lines())
    assert FAST.values() == {
        **EXACT.values(),
        "command": "genolm score --fast",
        "fast": "seeded_window",
        "fast_R": 64,
        "fast_error_median": ERROR.median,
        "fast_error_p99": ERROR.p99,
        "fast_error_max": ERROR.largest,
        "fast_error_alleles": 3,
    }


def test_scoring_again_replaces_the_line():
    fields = fields_of(["llr"])
    fast, _ = annotate_header(["##fileformat=VCFv4.2"], fields, FAST)
    exact, replaced = annotate_header(fast, fields, EXACT)
    assert LINE in fast
    assert replaced
    assert exact == annotate_header(["##fileformat=VCFv4.2"], fields, EXACT)[0]
