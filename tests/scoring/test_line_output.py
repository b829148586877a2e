import gzip
import io
import json

import pysam
import pytest

from genolm.genome.vcf import VcfReader
from genolm.scoring.fields import fields_of, ratio
from genolm.scoring.vcf_output import Provenance
from genolm.scoring.writers import Annotation, open_writer

TEXT = (
    "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    "chr1\t10\trs1\tACG\tT,*,A\t.\t.\t.\n"
    "chr1\t10\t.\tA\tC\t.\t.\t.\n"
    "chr1\t12\t.\tN\t<DEL>\t.\t.\t.\n"
    "chr2\t1\t.\tg\tc\t.\t.\t.\n"
)
RESULTS = [
    [ratio(-1.5, -0.5), "star", ratio(0.25, 0.25)],
    [ratio(-3.0, -3.0)],
    ["symbolic"],
    [ratio(0.5, 1.5)],
]


def write(path, scores=("llr",)):
    reader = VcfReader(io.StringIO(TEXT, newline="\n"), "in.vcf")
    origin = Provenance("1.0", "genolm score", "m", "0" * 64, "g.fa", "1" * 32)
    annotation = Annotation(fields_of(scores), origin, reader.header, reader.columns, "\n")
    with open_writer(str(path), annotation) as write_record:
        for record, own in zip(reader, RESULTS, strict=True):
            write_record(record, own)
    return path


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_json_lines_begin_with_provenance_and_have_every_allele(tmp_path, name):
    data = write(tmp_path / name, ["llr", "llr_strands"]).read_bytes()
    text = gzip.decompress(data) if name.endswith(".gz") else data
    first, *others = [json.loads(line) for line in text.splitlines()]
    assert first == {
        "genolm": {
            "version": "1.0", "command": "genolm score", "model": "m", "model_sha256": "0" * 64,
            "reference": "g.fa", "reference_fai_md5": "1" * 32,
        }
    }  # fmt: skip
    assert [one["alt"] for one in others] == ["T", "*", "A", "C", "<DEL>", "c"]
    assert others[0] == {
        "chrom": "chr1", "pos": 10, "id": "rs1", "ref": "ACG", "alt": "T", "GENOLM_LLR": -1.0,
        "GENOLM_LLR_FWD": -1.5, "GENOLM_LLR_REV": -0.5, "GENOLM_SKIP": None,
    }  # fmt: skip
    assert (others[4]["GENOLM_LLR"], others[4]["GENOLM_SKIP"]) == (None, "symbolic")


def data_of(path):
    lines = path.read_text().splitlines()
    assert "#genolmModel=<ID=m,sha256=" + "0" * 64 + ">" in lines
    return [line.split("\t") for line in lines if not line.startswith("#")]


def test_bed_has_the_bases_of_ref_for_every_scored_allele(tmp_path):
    assert data_of(write(tmp_path / "out.bed")) == [
        ["chr1", "9", "12", "ACG>T", "-1"],
        ["chr1", "9", "12", "ACG>A", "0.25"],
        ["chr1", "9", "10", "A>C", "-3"],
        ["chr2", "0", "1", "g>c", "1"],
    ]


def test_bedgraph_has_the_most_negative_allele_of_each_site(tmp_path):
    assert data_of(write(tmp_path / "out.bedgraph")) == [
        ["chr1", "9", "10", "-3"],
        ["chr2", "0", "1", "1"],
    ]


def test_bedgraph_says_which_score_it_holds(tmp_path, capsys):
    write(tmp_path / "out.bedgraph", ["llr_strands", "llr"])
    assert "a bedGraph holds one score, this one GENOLM_LLR_FWD" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["out.bed", "out.bedgraph"])
def test_tabix_reads_them(tmp_path, name):
    path = write(tmp_path / name)
    packed = pysam.tabix_index(str(path), preset="bed", keep_original=True)
    with pysam.TabixFile(packed) as file:
        assert list(file.contigs) == ["chr1", "chr2"]
        assert [line.split("\t")[0] for line in file.fetch("chr2", 0, 1)] == ["chr2"]
        assert list(file.fetch("chr2", 1, 5)) == []
