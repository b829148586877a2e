"""Labelled sequences from tables and folders."""

import json

import pytest

from genolm.data.labelled import read_labelled
from genolm.data.labelled_set import count_shared
from genolm.data.labels import LabelSpace
from genolm.errors import InputError, UsageError
from genolm.tokenization import EncodingCounts


@pytest.fixture
def table(tmp_path):
    def write(text, name="train.csv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


@pytest.fixture
def benchmark(tmp_path):
    """A folder as GenomicBenchmarks has it, with files that do not come in order."""
    for part, name, text in [
        ("train", "promoter/10", "ACGT\n"),
        ("train", "promoter/2", "GGTT"),
        ("train", "enhancer/0", "nnac\ngt\n"),
        ("test", "promoter/1", "TTTT"),
        ("test", "enhancer/1", "CCCC"),
    ]:
        file = tmp_path / "gb" / part / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")
    return tmp_path / "gb"


def test_a_table_gives_sequences_labels_and_places(table):
    path = table("id,bases,kind\n1,ACGU,b\n2,acgn,a\n")
    rows = read_labelled(path, sequence="bases", label="kind")
    assert rows.sequences == ["ACGU", "acgn"]
    assert rows.labels == ["b", "a"]
    assert rows.name == str(path)
    assert rows.place(1) == f"{path}:3"
    assert rows.counts == EncodingCounts(uracil=1, soft_masked=4, n=1)


def test_labels_may_be_left_out(table):
    rows = read_labelled(table("sequence\nACGT\n"), label=None)
    assert len(rows) == 1
    assert rows.labels == []


def test_columns_of_0_and_1_become_names(table):
    rows = read_labelled(table("sequence,x,y\nA,1,0\nC,1,1\nG,0,0\n"), label=["x", "y"])
    assert rows.labels == ["x", "x;y", ""]
    assert rows.label_names == ("x", "y")


def test_a_column_that_holds_something_else_is_an_error_with_its_line(table):
    with pytest.raises(InputError, match=r"train\.csv:3: a label column holds 0 or 1, not 'yes'"):
        read_labelled(table("sequence,x,y\nA,1,0\nC,yes,1\n"), label=["x", "y"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sequence,label\nA,1\n,0\n", r"train\.csv:3: empty sequence"),
        ("sequence,label\nA,1\nAC-T,0\n", r"train\.csv:3: byte 0x2D '-' at position 3 "),
        ("bases,label\nA,1\n", r"train\.csv:1: no column 'sequence'; the columns are bases, label"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(table, text, message):
    with pytest.raises(InputError, match=message):
        read_labelled(table(text))


def test_rows_taken_keep_their_places(table):
    rows = read_labelled(table("sequence,label\nA,1\nC,0\nG,1\n")).take([2, 0])
    assert (rows.sequences, rows.labels) == (["G", "A"], ["1", "1"])
    assert rows.place(0).endswith("train.csv:4")


def test_a_benchmark_folder_has_a_folder_for_each_class(benchmark):
    train = read_labelled(benchmark, split="train")
    assert train.sequences == ["nnacgt", "ACGT", "GGTT"]
    assert train.labels == ["enhancer", "promoter", "promoter"]
    assert train.place(1).endswith("train/promoter/10.txt:1")
    test = read_labelled(benchmark, split="test")
    assert test.labels == ["enhancer", "promoter"]


def test_the_part_itself_may_be_named(benchmark):
    whole = read_labelled(benchmark, split="test")
    assert read_labelled(benchmark / "test", split="test") == whole
    assert read_labelled(benchmark / "test") == whole


def test_the_train_part_never_stands_in_for_the_test_part(benchmark):
    with pytest.raises(UsageError, match="has no test part"):
        read_labelled(benchmark / "train", split="test")
    with pytest.raises(UsageError, match="has no valid part"):
        read_labelled(benchmark, split="valid")


@pytest.mark.parametrize("name", ["valid.csv", "dev.csv", "validation.tsv"])
def test_a_folder_of_tables_is_read_by_split(tmp_path, table, name):
    gap = "\t" if name.endswith("tsv") else ","
    table(f"sequence{gap}label\nACGT{gap}1\n", name)
    table("sequence,label\nGG,0\n", "train.csv")
    assert read_labelled(tmp_path, split="valid").sequences == ["ACGT"]
    assert read_labelled(tmp_path, split="train").sequences == ["GG"]


def test_a_class_may_be_a_table(tmp_path):
    for name, base in (("b", "C"), ("a", "G")):
        (tmp_path / f"{name}.csv").write_text(f"sequence\n{base}\n", encoding="ascii")
    rows = read_labelled(tmp_path)
    assert (rows.labels, rows.sequences) == (["a", "b"], ["G", "C"])


def test_intervals_without_sequences_are_refused_with_their_columns(tmp_path):
    (tmp_path / "a.csv").write_text("id,region,start,end,strand\n0,chr1,5,9,+\n", encoding="ascii")
    with pytest.raises(InputError, match="no column 'sequence'; the columns are id, region"):
        read_labelled(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "empty sequence"), ("AC!T", "at position 3"), ("AC\xc4", "not the plain text")],
)
def test_a_wrong_file_of_a_class_is_named(benchmark, text, message):
    file = benchmark / "train" / "promoter" / "3.txt"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=message) as caught:
        read_labelled(benchmark, split="train")
    assert str(file) in str(caught.value)


def test_folders_without_sequences_are_refused(tmp_path):
    with pytest.raises(InputError, match="no class"):
        read_labelled(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(InputError, match=r"no \.txt file"):
        read_labelled(tmp_path)


def test_shared_sequences_are_counted_whatever_their_case():
    assert count_shared(["ACGT", "ggg"], ["acgt", "GGG", "ggg", "TTTT"]) == 3


def test_real_sets_agree_with_what_is_known_of_them(shared_data):
    folder = shared_data / "classification" / "gb_human_enhancers_ensembl_chr20X"
    train, test = (read_labelled(folder, split=part) for part in ("train", "test"))
    info = json.loads((folder / "info.json").read_text("utf-8"))
    space = LabelSpace.learn(train, "classification")
    assert (len(train), len(test)) == (5250, 1254)
    assert space.names == ("0", "1"), info
    assert space.encode(test).shape == (1254,)
    assert count_shared(train.sequences, test.sequences) == 501
