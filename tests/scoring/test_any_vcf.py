"""Any text at all as a VCF: scored whole, or refused in one sentence with nothing published."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genolm.data.edit_windows import GenomeWindows
from genolm.errors import InputError
from genolm.scoring import score_file as module
from genolm.scoring.fields import fields_of, ratio
from genolm.scoring.runtime import Runtime
from genolm.scoring.score_file import ScoringJob, score_file

EXAMPLES = int(os.environ.get("GENOLM_FUZZ_EXAMPLES", "300"))

BYTES = st.binary(min_size=1, max_size=8).map(lambda b: b.translate(None, b"\t\n"))
INFO = st.lists(
    st.sampled_from([b"DP=3", b"END=90", b"AF=0.5,.", b"X Y=a b", b"FLAG", b"", b";", b"."]),
    max_size=3,
).map(b";".join)
ALLELE = st.sampled_from(
    [b"A", b"c", b"GT", b"N", b"*", b"<DEL>", b"<NON_REF>", b"G]chr1:7]", b".", b"R", b"acgt", b"-"]
)
LINE = st.tuples(
    st.sampled_from([b"chr1", b"1", b"chrM", b"MT", b"short", b"chrQ", b"HLA*01:01"]),
    st.integers(0, 500).map(lambda pos: str(pos).encode()),
    BYTES | st.just(b"."),
    ALLELE,
    st.lists(ALLELE, min_size=1, max_size=3).map(b",".join),
    st.sampled_from([b".", b"30.50", b"1e3"]),
    st.sampled_from([b".", b"PASS", b"q10;s50"]),
    INFO.map(lambda info: info or b"."),
).map(b"\t".join)
SAMPLES = st.sampled_from([b"", b"\tGT\t0|1", b"\tGT:AD\t0/1:3,4\t./."])
BROKEN = st.one_of(
    st.binary(max_size=30),
    LINE.map(lambda line: line.rsplit(b"\t", 2)[0]),
    LINE.map(lambda line: line.replace(b"\t", b" ")),
    LINE.map(lambda line: line.replace(b"chr1", b"")),
    st.just(b"chr1\t1e3\t.\tA\tC\t.\t.\t."),
    st.just(b"##late=header"),
)
HEADERS = st.sampled_from([b"##fileformat=VCFv4.2", b"##contig=<ID=chr1,length=400>", b"##odd"])


@st.composite
def files(draw):
    samples = draw(SAMPLES)
    columns = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO" + b"".join(
        [b"\tFORMAT", *(b"\tS%d" % i for i in range(samples.count(b"\t") - 1))] if samples else []
    )
    lines = [line + samples for line in draw(st.lists(LINE, max_size=12))]
    for place, broken in draw(st.lists(st.tuples(st.integers(0, 12), BROKEN), max_size=1)):
        lines.insert(place, broken)
    newline = draw(st.sampled_from([b"\n", b"\r\n"]))
    head = [*draw(st.lists(HEADERS, max_size=3)), columns]
    return newline.join([*head, *lines]) + draw(st.sampled_from([newline, b""]))


class FakeScorer:
    """Scores everything 0.25, so that reading and writing are what is tested."""

    window = 32
    at_once = 64
    fast = None
    fields = all_fields = fields_of(["llr"])

    def __init__(self, model, tokenizer, fasta, **options):
        self.genome = GenomeWindows(fasta)

    def score(self, alleles, advance=None):
        return [one if isinstance(one, str) else ratio(0.25, 0.25) for one in alleles]


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(module, "VariantScorer", FakeScorer)
    monkeypatch.setattr(module, "model_digest", lambda model: "0" * 64)
    monkeypatch.setattr(Runtime, "load", lambda self, model: (None, None))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=files())
def test_no_record_is_lost_moved_or_changed_outside_info(fake, tmp_path, fasta_path, data):
    source, output = tmp_path / "in.vcf", tmp_path / "out.vcf"
    source.write_bytes(data)
    output.unlink(missing_ok=True)
    job = ScoringJob(str(source), str(fasta_path), "m", str(output), runtime=Runtime("cpu"))
    refused = None
    try:
        summary = score_file(job)
    except InputError as error:
        refused = str(error)
    if refused is not None:
        assert str(source) in refused
        assert "\n" not in refused
        assert [path.name for path in tmp_path.iterdir()] == ["in.vcf"]
        return
    before = [line for line in data.split(b"\n") if line.rstrip(b"\r")]
    after = [line for line in output.read_bytes().split(b"\n") if line.rstrip(b"\r")]
    head = sum(line.startswith(b"##") for line in before) + 1
    ours = len(after) - len(before)
    assert after[: head - 1] == before[: head - 1]
    # A header that ends without a line end gets one: what htslib asks for.
    added = b"" if summary.records or data.endswith(b"\n") else b"\r"
    assert after[head - 1 + ours].removesuffix(added) == before[head - 1]
    assert summary.records == len(before) - head
    if summary.records:
        assert output.read_bytes().endswith(b"\n") == data.endswith(b"\n")
    for old, new in zip(before[head:], after[head + ours :], strict=True):
        old_cells, new_cells = old.split(b"\t"), new.split(b"\t")
        kept, info = old_cells.pop(7).rstrip(b"\r"), new_cells.pop(7)
        assert new_cells == old_cells
        assert kept == b"." or info.startswith(kept)
        assert b"GENOLM_LLR=" in info
        assert b"GENOLM_SKIP=" in info
