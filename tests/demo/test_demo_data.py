"""The bundled data are what their provenance says, checked apart from the script's own code."""

import csv
import gzip
import hashlib
import importlib
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pysam
import pytest
from Bio.Seq import Seq

import genolm.demo

DATA = Path(genolm.demo.__file__).parent / "data"
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_demo_data.py"
CONTIG = "NC_008253.1"
GENETIC_CODE = 11


@pytest.fixture(scope="module")
def provenance():
    return (DATA / "PROVENANCE.md").read_text()


@pytest.fixture(scope="module")
def genome():
    with pysam.FastaFile(str(DATA / "ecoli536.fa.gz")) as fasta:
        return fasta.fetch(CONTIG)


@pytest.fixture(scope="module")
def labelled():
    parts = {}
    for part in ("train", "test"):
        with gzip.open(DATA / "labelled" / f"{part}.csv.gz", "rt") as file:
            parts[part] = list(csv.DictReader(file))
    return parts


@pytest.fixture(scope="module")
def records():
    with pysam.VariantFile(str(DATA / "variants.vcf.gz")) as vcf:
        return [record.copy() for record in vcf]


@pytest.fixture(scope="module")
def changes(records):
    return [record for record in records if record.info["CLASS"] != "awkward"]


def published():
    """What is shipped: not what a genolm at work may keep beside a FASTA file."""
    suffixes = {".gz", ".fai", ".gzi", ".tbi", ".bed", ".md"}
    return [path for path in DATA.rglob("*") if path.suffix in suffixes]


def border(genome):
    return round(0.8 * len(genome))


def test_recorded_checksums_are_those_of_the_files(provenance):
    listed = re.findall(r"^\| (\S+) \| (\d+) \| ([0-9a-f]{64}) \|$", provenance, re.MULTILINE)
    names = {path.relative_to(DATA).as_posix() for path in published()}
    assert {name for name, _, _ in listed} == names - {"PROVENANCE.md"}
    for name, size, digest in listed:
        content = (DATA / name).read_bytes()
        assert len(content) == int(size)
        assert hashlib.sha256(content).hexdigest() == digest, name


@pytest.mark.parametrize(
    ("name", "accession", "length", "package"),
    [
        ("ecoli536", "NC_008253.1", 4_938_920, "bowtie-examples 1.3.1-1"),
        ("lambda", "NC_001416.1", 48_502, "bowtie2-examples 2.5.0-3"),
    ],
)
def test_sequences_are_whole_and_those_recorded(provenance, name, accession, length, package):
    with pysam.FastaFile(str(DATA / f"{name}.fa.gz")) as fasta:
        assert dict(zip(fasta.references, fasta.lengths, strict=True)) == {accession: length}
        sequence = fasta.fetch(accession)
        assert fasta.fetch(accession, length - 50, length) == sequence[-50:]
    assert set(sequence) == set("ACGT")
    (line,) = [line for line in provenance.split("\n") if line.startswith(f"- **{accession}**")]
    assert hashlib.sha256(sequence.encode()).hexdigest() in line
    assert package in line


def test_all_of_it_is_small_enough_for_a_wheel():
    assert sum(path.stat().st_size for path in published()) < 2_600_000


def test_split_covers_the_genome_once(genome):
    rows = [line.split("\t") for line in (DATA / "splits.bed").read_text().splitlines()]
    assert [row[3] for row in rows] == ["train", "valid", "test"]
    assert {row[0] for row in rows} == {CONTIG}
    borders = [int(row[1]) for row in rows] + [int(rows[-1][2])]
    assert borders == [0, round(0.75 * len(genome)), border(genome), len(genome)]
    assert [int(row[2]) for row in rows] == borders[1:]


def test_labelled_rows_are_the_bases_they_name(genome, labelled):
    for row in labelled["train"] + labelled["test"]:
        assert row["chrom"] == CONTIG
        assert row["sequence"] == genome[int(row["start"]) : int(row["end"])]
        assert len(row["sequence"]) == 200


def test_labelled_parts_lie_on_their_side_of_the_split(genome, labelled):
    assert len(labelled["train"]) > 1500
    assert len(labelled["test"]) > 450
    assert max(int(row["end"]) for row in labelled["train"]) <= border(genome)
    assert min(int(row["start"]) for row in labelled["test"]) >= border(genome)


def test_no_32_mer_of_test_is_in_train_on_either_strand(labelled):
    def words(part):
        return {row["sequence"][at : at + 32] for row in labelled[part] for at in range(169)}

    train = words("train")
    for word in words("test"):
        assert word not in train
        assert str(Seq(word).reverse_complement()) not in train


@pytest.mark.parametrize("part", ["train", "test"])
def test_neither_class_size_nor_gc_tells_the_classes_apart(labelled, part):
    steps = {"0": Counter(), "1": Counter()}
    for row in labelled[part]:
        steps[row["label"]][sum(row["sequence"].count(base) for base in "GC") // 4] += 1
    assert steps["0"] == steps["1"]


def frames_of(sequence):
    other = str(Seq(sequence).reverse_complement())
    for strand in (sequence, other):
        for phase in range(3):
            yield [strand[at : at + 3] for at in range(phase, len(strand) - 2, 3)]


def test_coding_rows_have_an_open_frame(labelled):
    stops = {"TAA", "TAG", "TGA"}
    for row in labelled["train"] + labelled["test"]:
        if row["label"] == "1":
            assert any(stops.isdisjoint(frame) for frame in frames_of(row["sequence"]))


def longest_frame_touching(genome, start, end, openers):
    """Longest run from a start codon to a stop codon that shares a base with [start, end)."""
    reach = 900
    low = max(0, start - reach)
    around = genome[low : end + reach]
    longest = 0
    for strand in "+-":
        text = around if strand == "+" else str(Seq(around).reverse_complement())
        window = (start - low, end - low)
        if strand == "-":
            window = (len(around) - window[1], len(around) - window[0])
        for phase in range(3):
            opened = None
            for at in range(phase, len(text) - 2, 3):
                codon = text[at : at + 3]
                if codon in {"TAA", "TAG", "TGA"}:
                    if opened is not None and opened < window[1] and at + 3 > window[0]:
                        longest = max(longest, at + 3 - opened)
                    opened = None
                elif opened is None and codon in openers:
                    opened = at
    return longest


def test_intergenic_rows_touch_no_long_frame(genome, labelled):
    rows = [row for row in labelled["test"] if row["label"] == "0"]
    for row in rows[:120]:
        place = (genome, int(row["start"]), int(row["end"]))
        assert longest_frame_touching(*place, {"ATG"}) < 180
        assert longest_frame_touching(*place, {"ATG", "GTG", "TTG"}) < 300


def test_variants_come_in_equal_number_one_pair_a_frame(genome, changes):
    assert Counter(record.info["CLASS"] for record in changes) == {
        "stop_gain": 400,
        "synonymous": 400,
    }
    frames = Counter((record.info["ORF_START"], record.info["CLASS"]) for record in changes)
    assert set(frames.values()) == {1}
    assert len({start for start, _ in frames}) == 400
    assert min(record.info["ORF_START"] - 1 for record in changes) >= border(genome)


def test_reference_alleles_match_the_genome_but_for_the_planted_one(genome, records):
    wrong = [
        record.info.get("NOTE")
        for record in records
        if record.chrom == CONTIG
        and genome[record.start : record.start + len(record.ref)] != record.ref
    ]
    assert wrong == ["REF_differs_from_the_genome"]


def translate(genome, record, alt=None):
    start, end = record.info["ORF_START"] - 1, record.info["ORF_END"]
    bases = genome[start:end]
    if alt is not None:
        at = record.start - start
        bases = bases[:at] + alt + bases[at + 1 :]
    frame = Seq(bases) if record.info["STRAND"] == "+" else Seq(bases).reverse_complement()
    assert len(frame) % 3 == 0
    return str(frame.translate(table=GENETIC_CODE)), frame


def test_frames_run_from_atg_to_their_only_stop(genome, changes):
    for record in changes:
        protein, frame = translate(genome, record)
        assert frame[:3] == "ATG"
        assert protein.index("*") == len(protein) - 1 >= 199


def test_stop_gains_cut_the_protein_and_synonymous_changes_keep_it(genome, changes):
    for record in changes:
        before, old = translate(genome, record)
        after, new = translate(genome, record, record.alts[0])
        codons = [
            (str(old[at : at + 3]), str(new[at : at + 3]))
            for at in range(0, len(old), 3)
            if old[at : at + 3] != new[at : at + 3]
        ]
        assert [f"{was}>{now}" for was, now in codons] == [record.info["CODON"]]
        if record.info["CLASS"] == "synonymous":
            assert after == before
        else:
            cut = after.index("*")
            assert cut < len(before) - 50
            assert after[:cut] == before[:cut]


def test_awkward_records_are_all_there(records):
    awkward = {r.info["NOTE"]: (r.chrom, r.ref, r.alts) for r in records if "NOTE" in r.info}
    assert len(awkward) == 10
    assert awkward["no_alternative_allele"][2] is None
    assert awkward["overlapped_by_the_deletion_before"][2] == ("*",)
    assert awkward["symbolic_allele"][2] == ("<DEL>",)
    assert awkward["alternative_allele_is_no_base"][2] == ("N",)
    assert len(awkward["two_alternative_alleles"][2]) == 2
    assert len(awkward["deletion"][1]) == 4
    assert len(awkward["insertion"][2][0]) == 4
    assert awkward["contig_not_in_the_genome"][0] != CONTIG


def test_vcf_index_finds_the_records_of_a_region(changes):
    wanted = changes[len(changes) // 2]
    with pysam.VariantFile(str(DATA / "variants.vcf.gz")) as vcf:
        found = [record.id for record in vcf.fetch(CONTIG, wanted.start, wanted.start + 1)]
    assert wanted.id in found


def run_script(out, *options):
    subprocess.run(
        [sys.executable, str(SCRIPT), "--out", str(out), *options],
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def remade(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo_data")
    run_script(out)
    return out


def test_script_makes_the_same_data_from_the_bundled_bases(remade):
    assert (remade / "splits.bed").read_bytes() == (DATA / "splits.bed").read_bytes()
    compressed = sorted(path.relative_to(DATA) for path in DATA.rglob("*.gz"))
    assert len(compressed) == 5
    for name in compressed:
        # Compressed bytes differ between builds of zlib; what is in them must not.
        made, bundled = ((folder / name).read_bytes() for folder in (remade, DATA))
        assert gzip.decompress(made) == gzip.decompress(bundled), name


@pytest.mark.slow
def test_rerun_is_identical_to_the_byte(remade, tmp_path):
    run_script(tmp_path, "--ecoli", str(remade / "ecoli536.fa.gz"))
    names = sorted(path.relative_to(remade) for path in remade.rglob("*") if path.is_file())
    assert len(names) == 12
    for name in names:
        assert (tmp_path / name).read_bytes() == (remade / name).read_bytes(), name


def test_script_refuses_other_bases(tmp_path):
    other = tmp_path / "other.fa"
    other.write_text(f">gi|1|ref|{CONTIG}| something else\nACGT\n")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        run_script(tmp_path / "out", "--ecoli", str(other))
    assert b"not the bases" in refused.value.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_same_rules_agree_with_an_annotation(monkeypatch):
    folder = Path(os.environ.get("GENOLM_DATA", "")) / "genomes"
    if not os.environ.get("GENOLM_DATA") or not (folder / "ecoli_K12_MG1655.gff.gz").is_file():
        pytest.skip("needs GENOLM_DATA with genomes/ecoli_K12_MG1655.fa.gz and .gff.gz")
    monkeypatch.syspath_prepend(SCRIPT.parent)
    orfs = importlib.import_module("demo_orfs")
    script = importlib.import_module("make_demo_data")
    with pysam.FastaFile(str(folder / "ecoli_K12_MG1655.fa.gz")) as fasta:
        bases = orfs.as_numbers(fasta.fetch(fasta.references[0]).upper())
    in_gene, gene_ends = np.zeros(len(bases), bool), set()
    with gzip.open(folder / "ecoli_K12_MG1655.gff.gz", "rt") as lines:
        for line in lines:
            if not line.startswith("#"):
                _, _, kind, first, last, _, strand, *_ = line.split("\t")
                if kind in {"gene", "pseudogene"}:
                    in_gene[int(first) - 1 : int(last)] = True
                if kind == "CDS":
                    gene_ends.add((strand, int(last) if strand == "+" else int(first) - 1))
    frames = orfs.drop_shadows(orfs.find_orfs(bases, {"ATG": orfs.LONG_ORF}))
    ends = [(orf.strand, orf.end if orf.strand == "+" else orf.start) for orf in frames]
    assert np.mean([end in gene_ends for end in ends]) > 0.97
    rows = script.label_windows(bases, frames, orfs.unique_words(bases))["train"]
    inside = {
        label: np.mean([in_gene[at : at + 200].mean() > 0.5 for at, l in rows if l == label])
        for label in (0, 1)
    }
    assert inside[1] > 0.99
    assert inside[0] < 0.15


def test_gzip_headers_carry_neither_time_nor_name():
    for path in DATA.glob("labelled/*.gz"):
        header = np.frombuffer(path.read_bytes()[:10], np.uint8)
        assert header[3] == 0
        assert not header[4:8].any()
