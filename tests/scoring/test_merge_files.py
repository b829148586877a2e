import gzip
from pathlib import Path

import pysam.bcftools
import pytest
from pyarrow import parquet

from genolm.errors import InputError, UsageError
from genolm.genome.compression import BGZIP_END
from genolm.scoring import score_file as module
from genolm.scoring.merge_files import merge_files
from genolm.scoring.runtime import Runtime
from genolm.scoring.score_file import ScoringJob, score_file

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
BLOCK = 3


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(module, "SHARD_BLOCK", BLOCK)
    monkeypatch.setattr(module, "CHUNK", 4)


@pytest.fixture
def scored(tmp_path, fasta_path, model_folders, monkeypatch):
    """Score so many records into one file, or into the files of n shards."""
    known = {}
    load = Runtime.load

    def cached(self, name):
        if name not in known:
            known[name] = load(self, name)
        return known[name]

    monkeypatch.setattr(Runtime, "load", cached)

    def run(records, suffix, shards=0, model="ps", text=None):
        lines = [
            f"chr1\t{5 * (i + 1)}\tv{i}\t{'A' if i % 7 else 'N'}\tC{',G' if i % 3 == 0 else ''}"
            f"\t.\tq{i % 4}\tX{i % 5}={i}\n"
            for i in range(records)
        ]
        source = tmp_path / "in.vcf"
        source.write_text(HEADER + "".join(lines) if text is None else text)
        made = []
        for shard in [(i, shards) for i in range(shards)] or [(0, 1)]:
            output = tmp_path / f"{shard[0]}of{shard[1]}.{model}{suffix}"
            score_file(
                ScoringJob(
                    vcf=str(source),
                    reference=str(fasta_path),
                    model=str(model_folders / model),
                    output=str(output),
                    runtime=Runtime("cpu"),
                    shard=shard,
                    command=f"genolm score in.vcf -o {output} --shard {shard[0]}/{shard[1]}",
                )
            )
            made.append(str(output))
        return made

    return run


@pytest.fixture
def merged(tmp_path):
    def run(parts, suffix):
        path = tmp_path / f"merged{suffix}"
        merge_files(parts, str(path), "genolm merge")
        return path

    return run


def bytes_of(path):
    data = Path(path).read_bytes()
    text = gzip.decompress(data) if str(path).endswith(".gz") else data
    return [line for line in text.split(b"\n") if not line.startswith(b"##genolm")]


@pytest.mark.parametrize("records", [0, 2, 3, 9, 10, 18, 23])
@pytest.mark.parametrize("suffix", [".vcf", ".tsv", ".parquet"])
def test_merged_parts_are_what_one_run_writes(scored, merged, records, suffix):
    (whole,) = scored(records, suffix)
    parts = scored(records, suffix, shards=3)
    found = merged([parts[2], parts[0], parts[1]], suffix)
    if suffix == ".parquet":
        assert parquet.read_table(found).equals(parquet.read_table(whole))
        assert parquet.read_table(whole).num_rows >= records
        lines = parquet.read_schema(found).metadata[b"genolm"].split(b"\n")
        assert lines[-1] == b"##genolmMerge=genolm merge"
    else:
        assert bytes_of(found) == bytes_of(whole)


@pytest.mark.parametrize("suffix", [".vcf.gz", ".csv.gz", ".bcf"])
def test_compressed_parts_too(scored, merged, suffix, tmp_path):
    (whole,) = scored(23, suffix)
    found = merged(scored(23, suffix, shards=4), suffix)
    if suffix == ".bcf":
        one, other = (pysam.bcftools.view("-H", str(path)) for path in (found, whole))
        assert one == other
        assert one.count("\n") == 23
        return
    assert bytes_of(found) == bytes_of(whole)
    if suffix == ".vcf.gz":
        with pysam.TabixFile(str(found)) as file:
            assert len(list(file.fetch("chr1", 0, 50))) == 10


def test_the_header_says_that_it_was_merged_and_no_longer_which_part_it_was(scored, merged):
    lines = merged(scored(10, ".vcf", shards=2), ".vcf").read_text().splitlines()
    assert lines.count("##genolmMerge=genolm merge") == 1
    assert not any(line.startswith("##genolmShard") for line in lines)
    assert sum(line.startswith("##genolmModel=") for line in lines) == 1


def test_carriage_returns_and_a_missing_last_line_end_survive(scored, merged):
    text = (HEADER + "".join(f"chr1\t{i + 1}\t.\tN\tC\t.\t.\t.\n" for i in range(10)))[:-1]
    crlf = text.replace("\n", "\r\n").encode().decode()
    (whole,) = scored(0, ".vcf", text=crlf)
    found = merged(scored(0, ".vcf", shards=2, text=crlf), ".vcf")
    assert bytes_of(found) == bytes_of(whole)
    assert not found.read_bytes().endswith(b"\n")


@pytest.mark.parametrize("suffix", [".vcf", ".tsv", ".parquet"])
def test_a_missing_doubled_or_foreign_part_is_named(scored, merged, suffix, tmp_path):
    parts = scored(20, suffix, shards=3)
    foreign = scored(20, suffix, shards=3, model="ph")
    two = scored(20, suffix, shards=2)
    (whole,) = scored(20, suffix)
    copy = tmp_path / f"copy{suffix}"
    copy.write_bytes(Path(parts[1]).read_bytes())
    for given, message in [
        (parts[:2], r"part 2/3 is missing"),
        ([*parts, str(copy)], r"copy\..* and .*1of3\.ps.* are both part 1 of 3"),
        ([*parts[:2], foreign[2]], r"2of3\.ph.* not parts of one scoring: model <ID=ph,"),
        ([parts[0], two[1]], r"1of2\.ps.* is one of 2 parts, .*0of3\.ps.* is one of 3"),
        ([whole], r"0of1\.ps.*: no ##genolmShard line"),
    ]:
        with pytest.raises(InputError, match=message):
            merged(given, suffix)
    with pytest.raises(UsageError, match=r"1of3\.ps.* is named twice"):
        merged([*parts, parts[1]], suffix)
    assert not list(tmp_path.glob("*merged*"))


def test_parts_of_other_options_or_inputs_are_refused(scored, merged):
    parts = [Path(path) for path in scored(20, ".vcf", shards=2)]
    text = parts[1].read_text()
    parts[1].write_text(text.replace("score in.vcf", "score in.vcf --window 20"))
    with pytest.raises(InputError, match=r"1of2.* not parts of one scoring: command genolm score"):
        merged(list(map(str, parts)), ".vcf")
    parts[1].write_text(text.replace("VCFv4.2", "VCFv4.1"))
    with pytest.raises(InputError, match="have different headers"):
        merged(list(map(str, parts)), ".vcf")


@pytest.mark.parametrize("suffix", [".vcf", ".tsv"])
@pytest.mark.parametrize("part", [0, 1])
def test_a_part_that_lost_its_end_is_refused(scored, merged, suffix, part, tmp_path):
    parts = scored(20, suffix, shards=2)
    lines = Path(parts[part]).read_text().splitlines(keepends=True)
    Path(parts[part]).write_text("".join(lines[:-4]))
    with pytest.raises(InputError, match=r"ends too early|cut short"):
        merged(parts, suffix)
    assert not list(tmp_path.glob("*merged*"))


def _cut(path, lost):
    if path.suffix == ".vcf":
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-lost]))
        return
    with pysam.VariantFile(path) as file:
        records, header = list(file), file.header
    with pysam.VariantFile(path, "wb", header=header) as file:
        for record in records[:-lost]:
            file.write(record)


@pytest.mark.parametrize("suffix", [".vcf", ".bcf"])
@pytest.mark.parametrize("lost", [1, 2])
def test_the_very_last_records_are_missed(scored, merged, suffix, lost, tmp_path):
    parts = scored(20, suffix, shards=2)  # of blocks of 3: the last 2 records are in the first
    _cut(Path(parts[0]), lost)
    with pytest.raises(InputError, match=rf"cut short, it was written with 11.* has {11 - lost}"):
        merged(parts, suffix)
    assert not list(tmp_path.glob("*merged*"))


def test_a_part_says_how_many_records_it_has_where_that_can_be_known(scored):
    for suffix, said in [(".vcf", ",Records=000000000009>"), (".vcf.gz", ">")]:
        path = scored(20, suffix, shards=2)[1]
        with (gzip.open if suffix.endswith(".gz") else open)(path, "rt") as lines:
            header = [line.rstrip("\n") for line in lines if line.startswith("##genolmShard")]
        assert header == [f"##genolmShard=<ID=1,Count=2,Block=3{said}"]


@pytest.mark.parametrize("kept", [11, 28, 29])
def test_a_bgzipped_part_without_its_end_marker_is_refused(scored, merged, kept):
    parts = [Path(path) for path in scored(20, ".vcf.gz", shards=2)]
    data = parts[0].read_bytes()
    assert data[-28:] == BGZIP_END
    parts[0].write_bytes(data[:-kept])
    with pytest.raises(InputError, match="truncated"):
        merged(list(map(str, parts)), ".vcf.gz")


def test_the_output_is_of_the_same_kind(scored, merged):
    parts = scored(5, ".tsv", shards=2)
    with pytest.raises(UsageError, match="merge to the same kind of file"):
        merged(parts, ".vcf")
    with pytest.raises(UsageError, match="merge joins VCF, BCF, TSV, CSV and Parquet"):
        merged(parts, ".bed")
    with pytest.raises(UsageError, match=r"no such file: missing\.vcf"):
        merged(["missing.vcf"], ".vcf")
