import gzip

import numpy as np
import pytest

from genolm.errors import InputError, UsageError
from genolm.evaluation.genomes import Drawing, read_genomes, split_contigs
from genolm.evaluation.intervals import Genomes
from genolm.evaluation.layouts import Source, read_task
from genolm.evaluation.suites import Task
from genolm.genome.sequence import reverse_complement

BASES = "".join(np.random.default_rng(3).choice(list("ACGT"), 300))
EXPECTED = {"train": (["ACGT", "GGTT"], ["neg", "pos"]), "test": (["TTTT"], ["pos"])}


def read(folder, *genomes, kind="classification", metric="accuracy", name="t"):
    return read_task(Source(Task(name, name, kind, metric), folder / name, Genomes(genomes)))


def content(rows):
    return sorted(zip(rows.sequences, rows.labels, strict=True))


def lay_text_files(folder, write):
    for part, (sequences, labels) in EXPECTED.items():
        for number, (sequence, label) in enumerate(zip(sequences, labels, strict=True)):
            (folder / "t" / part / label).mkdir(parents=True, exist_ok=True)
            (folder / "t" / part / label / f"{number}.txt").write_text(sequence)


def lay_csv(folder, write):
    for part, columns in EXPECTED.items():
        write(folder / "t" / f"{part}.csv", list(zip(*columns, strict=True)))


def lay_fasta(folder, write):
    (folder / "t").mkdir()
    for part, columns in EXPECTED.items():
        text = "".join(
            f">{part}_{i}|{label}\n{one[:2]}\n{one[2:]}\n"
            for i, (one, label) in enumerate(zip(*columns, strict=True))
        )
        with gzip.open(folder / "t" / f"{part}.fna.gz", "wt") as file:
            file.write(text)


def lay_shared_table(folder, write):
    for part, columns in EXPECTED.items():
        rows = [(*row, "t") for row in zip(*columns, strict=True)]
        write(folder / f"{part}.csv", [*rows, ("AAAA", "neg", "u")], ("sequence", "label", "task"))


def lay_parquet_shards(folder, write):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    (folder / "t").mkdir()
    for part, (sequences, labels) in EXPECTED.items():
        for i, (one, label) in enumerate(zip(sequences, labels, strict=True)):
            table = pa.table({"sequence": [one], "name": [f"{part}{i}"], "label": [label]})
            pq.write_table(table, folder / "t" / f"{part}-{i:05}-of-{len(labels):05}.parquet")


LAYOUTS = {
    f.__name__: f
    for f in (lay_text_files, lay_csv, lay_fasta, lay_shared_table, lay_parquet_shards)
}


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_layout_gives_the_same_rows(name, tmp_path, make_table):
    LAYOUTS[name](tmp_path, make_table)
    found = read(tmp_path)
    assert content(found.train) == sorted(zip(*EXPECTED["train"], strict=True))
    assert content(found.test) == sorted(zip(*EXPECTED["test"], strict=True))
    assert found.valid is None
    assert found.notes == ()


@pytest.fixture
def genome(tmp_path):
    file = tmp_path / "genome.fa"
    file.write_text(f">1\n{BASES}\n>2\n{BASES[::-1]}\n")
    return file


INTERVALS = ("id", "region", "start", "end", "strand")


@pytest.mark.parametrize("inside", ["", "intervals"])
def test_intervals_are_cut_out_of_the_genome(tmp_path, make_table, genome, inside):
    for part in ("train", "test"):
        folder = tmp_path / "t" / inside / part
        make_table(folder / "neg.csv", [("1", "chr1", "0", "10", "+")], INTERVALS)
        make_table(folder / "pos.csv", [("2", "chr2", "5", "25", "-")], INTERVALS)
    found = read(tmp_path, str(genome))
    expected = [(BASES[:10], "neg"), (reverse_complement(BASES[::-1][5:25]), "pos")]
    assert content(found.train) == sorted(expected)


def test_a_class_may_have_a_genome_of_its_own(tmp_path, make_table, genome):
    worm = tmp_path / "worm.fa"
    worm.write_text(f">chr1\n{'ACGTT' * 20}\n")
    for part in ("train", "test"):
        for name in ("human", "worm"):
            rows = [("1", "chr1", "0", "10", "+")]
            make_table(
                tmp_path / "t" / part / f"{name}.csv.tmp".removesuffix(".tmp"), rows, INTERVALS
            )
    found = read(tmp_path, str(genome), f"worm={worm}")
    assert content(found.train) == sorted([(BASES[:10], "human"), ("ACGTTACGTT", "worm")])


@pytest.mark.parametrize(
    ("row", "genomes", "said"),
    [
        (("1", "chr9", "0", "10", "+"), True, "neg.csv:2: no genome has 'chr9'"),
        (("1", "chr1", "0", "999", "+"), True, "has 300 bases; another genome build"),
        (("1", "chr1", "x", "9", "+"), True, "'x' is no position"),
        (("1", "chr1", "0", "9", "?"), True, "write \\+, - or"),
        (("1", "chr1", "0", "9", "+"), False, "give it with --reference"),
    ],
)
def test_a_wrong_interval_names_its_line(tmp_path, make_table, genome, row, genomes, said):
    make_table(tmp_path / "t" / "train" / "neg.csv", [row], INTERVALS)
    with pytest.raises((InputError, UsageError), match=said):
        read(tmp_path, *([str(genome)] * genomes))


def test_ids_that_stand_twice_are_said_and_the_rows_kept(tmp_path, make_table):
    rows = [("a", "ACGT", "x"), ("a", "GGTT", "y")]
    make_table(tmp_path / "t" / "train.csv", rows, ("id", "sequence", "label"))
    found = read(tmp_path)
    assert len(found.train) == 2
    assert "train.csv:3: the id 'a' stands twice (1 rows repeat one)" in found.notes[0]


def test_a_header_without_a_label_names_its_line(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "train.fa").write_text(">a|1\nACGT\n>b\nACGT\n")
    with pytest.raises(InputError, match=r"train\.fa:3: no label"):
        read(tmp_path)


def test_a_missing_task_is_said(tmp_path):
    with pytest.raises(UsageError, match="no such task"):
        read(tmp_path)


def test_columns_of_0_and_1_are_the_labels_of_a_multilabel_task(tmp_path, make_table, genome):
    rows = [("ACGT", 1, 0, 1), ("GGTT", 0, 0, 0)]
    make_table(tmp_path / "t" / "train.csv", rows, ("sequence", "tf", "dhs", "hm"))
    make_table(
        tmp_path / "t" / "test.csv",
        [("1", 0, 4, 1, 1, 0)],
        ("chrom", "start", "end", "tf", "dhs", "hm"),
    )
    found = read(tmp_path, str(genome), kind="multilabel", metric="auroc")
    assert found.train.label_names == ("tf", "dhs", "hm")
    assert found.train.labels == ["tf;hm", ""]
    assert (found.test.sequences, found.test.labels) == ([BASES[:4]], ["tf;dhs"])


def write_species(folder, contigs):
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for name in ("ape", "bee"):
        text = "".join(f">c{i}\n{''.join(rng.choice(list('ACGT'), 500))}\n" for i in range(contigs))
        (folder / f"{name}.fa").write_text(text)
    return folder


@pytest.mark.parametrize("contigs", [1, 2, 3, 6])
def test_windows_of_species_are_the_same_again_and_share_no_base(tmp_path, contigs):
    folder = write_species(tmp_path / "species", contigs)
    first, again = (read_genomes(folder, Drawing(40, windows=20)) for _ in range(2))
    assert first.train.sequences == again.train.sequences
    assert {part: len(rows) for part, rows in vars_of(first).items()} == {
        "train": 40,
        "valid": 4,
        "test": 10,
    }
    assert set(first.train.labels) == {"ape", "bee"}
    stretches = split_contigs({f"c{i}": 500 for i in range(contigs)}, 40, np.random.default_rng(1))
    covered = [
        (name, base) for part in stretches.values() for name, a, b in part for base in range(a, b)
    ]
    assert len(covered) == len(set(covered))
    assert all(stretches.values())


def vars_of(data):
    return {"train": data.train, "valid": data.valid, "test": data.test}


def test_one_genome_is_no_species_task(tmp_path):
    write_species(tmp_path / "species", 1)
    (tmp_path / "species" / "bee.fa").unlink()
    with pytest.raises(UsageError, match="1 FASTA files"):
        read_genomes(tmp_path / "species", Drawing(40))
    write_species(tmp_path / "species", 1)
    with pytest.raises(InputError, match="no stretch of 400 bases"):
        read_genomes(tmp_path / "species", Drawing(400))
