import gzip
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genolm.errors import InputError, UsageError
from genolm.genome.edits import SKIP_REASONS
from genolm.scoring import score_file as module
from genolm.scoring.fields import ratio
from genolm.scoring.runtime import Runtime
from genolm.scoring.score_file import ScoringJob, Summary, score_file
from genolm.scoring.shards import parse_shard

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
CPU = Runtime(device="cpu")


@pytest.fixture
def job(tmp_path, fasta_path, model_folders):
    def make(text, name="out.vcf", **options):
        vcf = tmp_path / "in.vcf"
        vcf.write_bytes(text if isinstance(text, bytes) else text.encode())
        given = {"model": str(model_folders / "ps"), "runtime": CPU, **options}
        return ScoringJob(
            vcf=str(vcf), reference=str(fasta_path), output=str(tmp_path / name), **given
        )

    return make


@pytest.fixture
def loaded_once(model_folders, monkeypatch):
    """Load each model once for all the runs of a test."""
    known = {}
    load = Runtime.load

    def cached(self, model):
        if model not in known:
            known[model] = load(self, model)
        return known[model]

    monkeypatch.setattr(Runtime, "load", cached)


def snv_lines(contigs, chrom, count, step=1):
    lines = []
    for start in range(0, count * step, step):
        ref = contigs[chrom][start].upper()
        alt = "ACGT"[("ACGT".index(ref) + 1) % 4]
        lines.append(f"{chrom}\t{start + 1}\tv{start}\t{ref}\t{alt}\t.\t.\t.\n")
    return lines


def records_of(path):
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", newline="") as lines:
        return [line.rstrip("\n") for line in lines if not line.startswith("#")]


def llrs_of(lines):
    return [value for line in lines for value in llr_of(line)]


def llr_of(line):
    found = re.search(r"GENOLM_LLR=([^;]+)", line).group(1)
    return [None if value == "." else float(value) for value in found.split(",")]


@pytest.mark.parametrize("model", ["ps", "ph", "mamba", "hyena"])
def test_every_record_comes_out_in_order_with_a_score_or_a_reason(
    job, contigs, model_folders, model
):
    bases = contigs["chr1"].upper()
    text = HEADER + (
        f"chr1\t51\t.\t{bases[50]}\t<DEL>,*,{bases[50]}G,N\t.\tPASS\tDP=3\n"
        f"1\t101\t.\t{bases[100:103].lower()}\t{bases[100]}\t9.50\t.\t.\n"
        "chr1\t9\t.\tN\tA\t.\t.\tX\n"
        f"chr1\t20\t.\t{bases[19]}\t{bases[19]}{'ACGT' * 9}\t.\t.\t.\n"
        f"chr1\t30\t.\t{bases[29]}\t.\t.\t.\t.\n"
        "chrQ\t30\t.\tA\tC\t.\t.\t.\n"
        "chr1\t0\t.\tA\tC\t.\t.\t.\n"
        "chr1\t99999\t.\tA\tC\t.\t.\t.\n"
        f"MT\t60\t.\t{contigs['chrM'][59]}\tAC\t.\t.\t.\n"
    )
    one = job(text, model=str(model_folders / model))
    summary = score_file(one)
    found = records_of(one.output)
    assert len(found) == summary.records == 9
    for line, original in zip(found, text.splitlines()[2:], strict=True):
        assert line.split("\t")[:7] == original.split("\t")[:7]
    skips = [re.search(r"GENOLM_SKIP=(.*)$", line).group(1) for line in found]
    assert skips == [
        "symbolic,star,.,non_acgt_alt", ".", "non_acgt_ref", "too_long", "no_alt",
        "contig_missing", "ref_mismatch", "ref_mismatch", ".",
    ]  # fmt: skip
    assert [value is None for value in llr_of(found[0])] == [True, True, False, True]
    assert (summary.alleles, summary.scored) == (12, 3)
    assert set(summary.skipped) == set(SKIP_REASONS)


def test_the_header_says_what_made_the_numbers(job, contigs, model_folders, fasta_path):
    import hashlib

    one = job(HEADER + "".join(snv_lines(contigs, "chr1", 3)), scores=("llr", "llr_strands"))
    score_file(one)
    with open(one.output) as lines:  # noqa: PTH123
        header = [line.rstrip("\n") for line in lines if line.startswith("##")]
    weights = (model_folders / "ps" / "model.safetensors").read_bytes()
    index = fasta_path.with_name("small.fa.fai").read_bytes()
    assert f"##genolmModel=<ID=ps,sha256={hashlib.sha256(weights).hexdigest()}>" in header
    assert f"##genolmReference=<ID=small.fa,fai_md5={hashlib.md5(index).hexdigest()}>" in header
    assert sum(line.startswith("##INFO=<ID=GENOLM_") for line in header) == 4
    assert header[0] == "##fileformat=VCFv4.2"


@pytest.mark.parametrize("model", ["ph", "mamba"])
def test_batch_size_and_shards_change_no_number_and_lose_no_record(
    job, contigs, model_folders, tmp_path, monkeypatch, model
):
    monkeypatch.setattr(module, "SHARD_BLOCK", 3)
    monkeypatch.setattr(module, "CHUNK", 4)
    text = HEADER + "".join(snv_lines(contigs, "chr1", 20) + snv_lines(contigs, "chr2", 5))
    folder = str(model_folders / model)
    score_file(job(text, model=folder))
    score_file(job(text, "ones.vcf", model=folder, runtime=Runtime("cpu", batch_size=1)))
    shards = []
    for number in range(3):
        score_file(job(text, f"{number}.vcf", model=folder, shard=(number, 3)))
        shards.append(records_of(str(tmp_path / f"{number}.vcf")))
    blocks = [shard[i : i + 3] for i in range(0, 25, 3) for shard in shards]
    joined = [line for block in blocks for line in block]
    whole = records_of(str(tmp_path / "out.vcf"))
    for other in (records_of(str(tmp_path / "ones.vcf")), joined):
        assert [line.split("\t")[:7] for line in other] == [line.split("\t")[:7] for line in whole]
        assert llrs_of(other) == pytest.approx(llrs_of(whole), abs=1e-4)


def test_scoring_again_replaces_the_earlier_run(job, contigs, capsys):
    one = job(HEADER + "".join(snv_lines(contigs, "chr1", 3)))
    score_file(one)
    with open(one.output, "rb") as file:  # noqa: PTH123
        first = file.read()
    again = job(first, "again.vcf")
    score_file(again)
    with open(again.output, "rb") as file:  # noqa: PTH123
        assert file.read() == first
    assert capsys.readouterr().err.count("scored before") == 1


def test_a_wrong_build_publishes_nothing(job, contigs, tmp_path):
    lines = [line.replace("chr1", "chr2") for line in snv_lines(contigs, "chr1", 40)]
    with pytest.raises(InputError, match=r"wrong genome build\?; nothing was published"):
        score_file(job(HEADER + "".join(lines)))
    assert [path.name for path in tmp_path.iterdir()] == ["in.vcf"]


def test_strict_stops_at_the_first_wrong_ref(job, contigs, tmp_path):
    text = HEADER + "".join(snv_lines(contigs, "chr1", 5)) + "chr1\t0\t.\tA\tC\t.\t.\t.\n"
    with pytest.raises(InputError, match=r"in\.vcf:8: REF A does not stand at chr1:0"):
        score_file(job(text, strict=True))
    assert not (tmp_path / "out.vcf").exists()


def test_truncated_gzip_says_how_far_it_went_and_publishes_nothing(job, contigs, tmp_path):
    whole = gzip.compress((HEADER + "".join(snv_lines(contigs, "chr1", 400))).encode())
    with pytest.raises(InputError, match=r"truncated gzip.*\d+ complete records.*nothing was pub"):
        score_file(job(whole[: len(whole) * 3 // 4]))
    assert [path.name for path in tmp_path.iterdir()] == ["in.vcf"]


def test_aliases_and_lengths_are_reported_once(job, contigs, capsys):
    header = "##contig=<ID=1,length=400>\n##contig=<ID=MT,length=5>\n##contig=<ID=chr2,length=9>\n"
    lines = [line.replace("chr1", "1") for line in snv_lines(contigs, "chr1", 5)]
    text = header + HEADER.split("\n", 1)[1] + "".join(lines) + "MT\t5\t.\tA\tC\t.\t.\t.\n" * 2
    summary = score_file(job("##fileformat=VCFv4.2\n" + text))
    said = capsys.readouterr().err
    assert summary.skipped == {"contig_missing": 2}
    assert said.count("under another name: 1 as chr1") == 1
    assert said.count("MT is declared with 5 bases, chrM has 120") == 1
    assert said.count("small.fa has no contig MT; the records there were skipped") == 1
    assert said.count("chr2 is declared with 9 bases, but has 330 in small.fa") == 1


def test_the_closing_line_counts_everything():
    summary = Summary(seconds=2.0)
    summary.count(["star", ratio(1.0, 2.0)])
    summary.count(["symbolic"])
    summary.count(["star"])
    assert summary.line() == (
        "3 records, 4 alleles, 1 scored, 3 skipped (symbolic 1, star 2) in 2.0 s (0.5 variants/s)"
    )


@pytest.mark.parametrize(("text", "shard"), [("0/1", (0, 1)), ("3/4", (3, 4))])
def test_a_shard_is_numbered_from_zero(text, shard):
    assert parse_shard(text) == shard


@pytest.mark.parametrize("text", ["1/1", "4/4", "-1/4", "1", "a/b", "1/", "/2", "0/0"])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="write i/n with i from 0 to n-1"):
        parse_shard(text)


CELL = st.text(
    st.characters(blacklist_characters="\t\n\r", blacklist_categories=["Cs"]),
    min_size=1,
    max_size=9,
)
ALLELE = st.text("ACGTNacgt*<>.[]", min_size=1, max_size=4)
LINES = st.lists(
    st.tuples(
        st.sampled_from(["chr1", "1", "short", "chrM", "chr9"]),
        st.integers(0, 500).map(str),
        CELL,
        ALLELE,
        st.lists(ALLELE, min_size=1, max_size=3).map(",".join),
        CELL,
        CELL,
        CELL.filter(lambda info: "GENOLM_" not in info),
    ).map("\t".join),
    max_size=15,
)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lines=LINES, newline=st.sampled_from(["\n", "\r\n"]), tail=st.binary(max_size=3))
def test_any_vcf_comes_out_byte_for_byte_but_for_info(job, loaded_once, lines, newline, tail):
    extra = b"chr1\t7\t" + tail.translate(None, b"\t\r\n") + b"x\tA\tC\t.\t.\t.\tGT\t\xff\n"
    text = newline.join([*HEADER.splitlines(), *lines, ""]).encode() + extra
    one = job(text)
    score_file(one)
    with open(one.output, "rb") as file:  # noqa: PTH123
        found = file.read().split(b"\n")
    original = text.split(b"\n")
    added = len(found) - len(original)
    assert found[added + 1 : added + 2] == original[1:2]
    for line, before in zip(found[added + 2 :], original[2:], strict=True):
        columns, expected = line.split(b"\t"), before.split(b"\t")
        if len(expected) > 1:
            info = columns.pop(7)
            kept = expected.pop(7)
            assert kept.rstrip(b"\r") == b"." or info.startswith(kept.rstrip(b"\r"))
            assert info.endswith(b"\r") == kept.endswith(b"\r")
        assert columns == expected
