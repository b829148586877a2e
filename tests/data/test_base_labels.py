import numpy as np
import pytest
import torch

from genolm.data.base_labels import describe_classes, read_base_labels
from genolm.data.interval_labels import read_interval_labels
from genolm.data.labels import LabelSpace
from genolm.data.token_dataset import TokenDataset
from genolm.errors import InputError
from genolm.genome.fasta import Fasta


@pytest.fixture
def table(tmp_path):
    def write(text, name="labels.csv"):
        file = tmp_path / name
        file.write_text(text)
        return file

    return write


@pytest.fixture
def genome(tmp_path):
    file = tmp_path / "genome.fa"
    file.write_text(">I\nACGTACGTAC\n>II\nNNNNGGGG\n>III\nTTTT\n")
    return Fasta(file)


def test_every_base_gets_its_character(table):
    found = read_base_labels(table("sequence,label\nACGT,EENE\nacg,NIN\n"))
    space = found.learn_space()
    assert space == LabelSpace("classification", ("E", "I", "N"))
    assert found.encode(space).tolist() == [0, 0, 2, 0, 2, 1, 2]
    assert found.bounds().tolist() == [0, 4, 7]


def test_classes_are_sorted_and_digits_are_numbers(table):
    found = read_base_labels(table("sequence\tlabel\nACG\t210\n", "labels.tsv"))
    assert found.learn_space().names == ("0", "1", "2")


def test_taken_rows_keep_their_bases(table):
    found = read_base_labels(table("sequence,label\nAC,ab\nACG,bbb\nA,a\n"))
    one = found.take([2, 0])
    assert one.rows.sequences == ["A", "AC"]
    assert one.codes.tolist() == [0, 0, 1]
    assert one.take([]).codes.tolist() == []
    assert one.digest() != found.digest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sequence,label\nAC,ab\nACGT,abb\n",
            r"labels.csv:3: 3 label\(s\) for a sequence of 4 bas",
        ),
        ("sequence,label\nAC,\n", r"labels.csv:2: 0 label\(s\) for a sequence of 2 bases"),
        ("sequence,label\n", "no row below the header"),
        ("sequence,label\nAC!,abb\n", "labels.csv:2"),
        ("sequence,label\nAC,a.\nGT,..\n", "labels.csv:3: every base has the label '.'"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(table, text, message):
    with pytest.raises(InputError, match=message):
        read_base_labels(table(text), ignore=".")


def test_bases_that_do_not_count_have_no_class(table):
    file = table("sequence,label\nACGT,.EN.\nacg,N.N\n")
    found = read_base_labels(file, ignore=".")
    space = found.learn_space()
    assert space.names == found.names == ("E", "N")
    assert found.encode(space).tolist() == [-100, 0, 1, -100, 1, -100, 1]
    assert found.take([1]).encode(space).tolist() == [1, -100, 1]
    with_them = read_base_labels(file)
    assert with_them.learn_space().names == (".", "E", "N")
    assert with_them.digest() != found.digest()
    assert read_base_labels(file, ignore="?").digest() == with_them.digest()
    with pytest.raises(InputError, match=r"labels.csv:2: label 'N' of base 3 is not in the train"):
        found.encode(LabelSpace("classification", ("E", "I")))


def test_a_class_that_train_lacks_is_refused_with_its_base(table):
    test = read_base_labels(table("sequence,label\nAC,ab\nACG,abX\n"))
    with pytest.raises(InputError, match=r"labels.csv:3: label 'X' of base 3 is not in the train"):
        test.encode(LabelSpace("classification", ("a", "b")))


def test_a_single_class_is_refused(table):
    with pytest.raises(InputError, match="only one class, 'a'"):
        read_base_labels(table("sequence,label\nAC,aa\n")).learn_space()


@pytest.mark.parametrize(
    ("names", "text"),
    [(("-", "E"), "--EE-"), (("background", "exon"), "0-2:background;2-4:exon;4-5:background")],
)
def test_classes_as_text(names, text):
    assert describe_classes(np.array([0, 0, 1, 1, 0]), names) == text
    gaps = {"--EE-": "--.E-", "0": "0-2:background;2-3:.;3-4:exon;4-5:background"}
    found = describe_classes(np.array([0, 0, -100, 1, 0]), names, ".")
    assert found == gaps["--EE-" if text == "--EE-" else "0"]
    assert describe_classes(np.zeros(0, dtype=np.int64), names) == ""


def test_intervals_label_the_windows_of_their_contigs(table, genome):
    bed = table("I\t2\t5\texon\nchrI\t4\t5\texon\nII\t6\t8\tintron\n", "genes.bed")
    found = read_interval_labels(bed, genome, 4)
    assert found.names == ("background", "exon", "intron")
    # The first window of II is N alone, and III has no interval.
    assert found.rows.sequences == ["ACGT", "ACGT", "AC", "GGGG"]
    assert [(w.chrom, w.start, w.end) for w in found.windows] == [
        ("I", 0, 4),
        ("I", 4, 8),
        ("I", 8, 10),
        ("II", 4, 8),
    ]
    assert found.codes.tolist() == [0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 2]
    with pytest.raises(InputError, match=r"genes.bed: I:1: label 'exon' of base 3 is not"):
        found.encode(LabelSpace("classification", ("background", "intron")))


@pytest.mark.parametrize(
    ("ignore", "wanted"),
    [
        ("mask", [0, 0, 1, 1, -100, -100, -100, 0, 0, 0]),
        ("background", [-100, -100, 0, 0, 1, 1, 1, -100]),
    ],
)
def test_intervals_may_say_what_does_not_count_whatever_else_covers_it(
    table, genome, ignore, wanted
):
    bed = table("I\t4\t7\tmask\nI\t2\t4\texon\n", "genes.bed")
    if ignore == "mask":
        bed = table("I\t4\t7\tmask\nI\t2\t6\texon\n", "genes.bed")
    found = read_interval_labels(bed, genome, 4, ignore=ignore)
    assert found.encode(found.learn_space()).tolist() == wanted
    # A window that has nothing to learn from is left out.
    assert [w.start for w in found.windows] == [0, 4, 8][: 3 if ignore == "mask" else 2]


def test_a_genome_without_a_base_that_counts_is_refused(table, genome):
    bed = table("I\t0\t10\tmask\n", "genes.bed")
    with pytest.raises(InputError, match="or none that is not 'mask'"):
        read_interval_labels(bed, genome, 4, ignore="mask")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("I\t2\t5\texon\nI\t4\t6\tintron\n", "genes.bed: I:5 is both 'exon' and 'intron'"),
        ("I\t2\t5\n", "genes.bed: I:3-5 has no name"),
        ("".join(f"I\t2\t3\tg{i}\n" for i in range(300)), "301 different names in the fourth"),
        ("I\t2\t50\texon\n", "genes.bed:1: the interval ends at 50"),
    ],
    ids=["overlapping", "nameless", "many", "outside"],
)
def test_wrong_intervals_are_refused(table, genome, text, message):
    with pytest.raises(InputError, match=message):
        read_interval_labels(table(text, "genes.bed"), genome, 4)


def test_examples_are_padded_and_padding_has_no_label():
    examples = TokenDataset(["ACG", "T"], np.array([0, 1, 2, 1]), length=4)
    assert [item["input_ids"].tolist() for item in examples] == [[4, 7, 8, 9], [4, 4, 4, 10]]
    assert [item["labels"].tolist() for item in examples] == [
        [-100, 0, 1, 2],
        [-100, -100, -100, 1],
    ]


def test_the_other_strand_has_the_labels_turned_with_the_bases():
    labels = np.array([0, 1, 2, 1])
    forward = TokenDataset(["AACG"], labels, length=5)[0]
    reverse = TokenDataset(["AACG"], labels, length=5, reverse=True)[0]
    both = TokenDataset(["AACG"], labels, length=5, conjoin=True)[0]
    assert reverse["input_ids"].tolist() == [4, 8, 9, 10, 10]
    assert reverse["labels"].tolist() == [-100, 1, 2, 1, 0]
    assert torch.equal(both["labels"], forward["labels"])
    strands = torch.stack([forward["input_ids"], reverse["input_ids"]], dim=-1)
    assert torch.equal(both["input_ids"], strands)


def test_sequences_are_never_cut_and_labels_never_shifted():
    with pytest.raises(ValueError, match="does not fit an input of 2"):
        TokenDataset(["ACG"], np.array([0, 1, 2]), length=2)
    with pytest.raises(ValueError, match="3 bases but 2 labels"):
        TokenDataset(["ACG"], np.array([0, 1]), length=4)
