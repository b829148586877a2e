import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pysam
import pytest

from genolm.errors import InputError
from genolm.genome import index_store
from genolm.genome.fasta_index import scan_fasta
from genolm.genome.index_store import open_index

TEXT = ">a first\nACGTAC\nGT\n>b\nGGCC\n"


def contigs(path, compression="plain"):
    return {entry.name: entry.length for entry in open_index(path, compression).entries}


def set_age(path, seconds):
    now = 1_700_000_000
    os.utime(path, (now - seconds, now - seconds))


@pytest.fixture
def read_only(monkeypatch):
    """Make a folder refuse new files, for root too."""

    def make(folder):
        original = index_store.replace_when_done

        def replace_when_done(path):
            if Path(path).parent == folder:
                raise PermissionError(13, "Permission denied", str(path))
            return original(path)

        monkeypatch.setattr(index_store, "replace_when_done", replace_when_done)

    return make


@pytest.mark.parametrize("compression", ["plain", "bgzip"])
def test_a_missing_index_is_built_beside_the_file_as_samtools_would(write, compression):
    path = write("x.fa.gz", TEXT, compression)
    index = open_index(path, compression)
    names = ["x.fa.gz.fai"] + ["x.fa.gz.gzi"] * (compression == "bgzip")
    ours = [path.with_name(name).read_bytes() for name in names]
    pysam.faidx(str(path))
    assert ours == [path.with_name(name).read_bytes() for name in names]
    assert index.fai == path.with_name("x.fa.gz.fai")
    assert [entry.name for entry in index.entries] == ["a", "b"]
    assert not list(path.parent.glob(".*partial*"))


def test_a_current_index_is_used_as_it_is(write):
    path = write("x.fa", TEXT)
    index = open_index(path, "plain")
    before = index.fai.stat()
    assert open_index(path, "plain") == index
    assert index.fai.stat().st_mtime_ns == before.st_mtime_ns


def test_an_index_older_than_the_file_is_rebuilt(write):
    path = write("x.fa", TEXT)
    path.with_name("x.fa.fai").write_text("a\t8\t9\t6\t7\nb\t4\t22\t4\t5\n")
    set_age(path.with_name("x.fa.fai"), 10)
    set_age(path, 0)
    assert contigs(path) == {"a": 8, "b": 4}
    assert path.with_name("x.fa.fai").stat().st_mtime_ns >= path.stat().st_mtime_ns


@pytest.mark.parametrize("compression", ["plain", "bgzip"])
@pytest.mark.parametrize(
    "other",
    [
        pytest.param(TEXT + "A", id="one base more"),
        pytest.param(TEXT[:-2] + "\n", id="one base less"),
        pytest.param(TEXT.replace(">b", ">c"), id="another name of the same length"),
        pytest.param(TEXT.replace("AC\nGT", "ACG\nT"), id="lines wrapped elsewhere"),
        pytest.param(TEXT.replace("AC\nGT", "ACGT"), id="lines not wrapped"),
        pytest.param(TEXT + ">c\nACGT\n", id="one contig more"),
        pytest.param(">z\n" + "ACGTACGT\n" * 9, id="another genome"),
    ],
)
def test_an_index_that_does_not_fit_is_rebuilt_whatever_its_date(write, other, compression):
    open_index(write("x.fa", TEXT, compression), compression)
    path = write("x.fa", other, compression)
    set_age(path, 1000)
    lines = other.encode().splitlines(keepends=True)
    assert open_index(path, compression).entries == tuple(scan_fasta(lines, "x.fa"))


def test_one_sequence_that_the_index_leaves_out_among_thousands_is_noticed(write):
    parts = [f">c{number} {'x' * (number % 40)}\nACGT\n" for number in range(3000)]
    path = write("x.fa", "".join(parts))
    lines = [str(line) for line in open_index(path, "plain").fai.read_text().splitlines()]
    long = f">c7\n{'ACGT' * 30}\n"
    shift = len(long)
    cells = [line.split("\t") for line in lines]
    moved = [
        [n, s, str(int(o) + shift * (at > 1500)), b, w] for at, (n, s, o, b, w) in enumerate(cells)
    ]
    path.write_text("".join([*parts[:1501], long, *parts[1501:]]))
    path.with_name("x.fa.fai").write_text("".join("\t".join(row) + "\n" for row in moved))
    with pytest.raises(InputError, match=r":3003: a second contig named 'c7' .* line 15\)"):
        open_index(path, "plain")


def test_duplicate_names_are_refused_even_where_samtools_left_an_index(write):
    path = write("x.fa", ">a\nACGT\n>a\nGGGG\n>b\nCC\n")
    pysam.faidx(str(path))
    with pytest.raises(InputError, match=r"x\.fa:3: a second contig named 'a'"):
        open_index(path, "plain")


def test_duplicate_names_are_refused_even_where_an_index_lists_both(write):
    path = write("x.fa", ">a\nACGT\n>a\nGGGG\n")
    path.with_name("x.fa.fai").write_text("a\t4\t3\t4\t5\na\t4\t11\t4\t5\n")
    with pytest.raises(InputError, match=r"x\.fa:3: a second contig named 'a'"):
        open_index(path, "plain")


@pytest.mark.parametrize("rubbish", [b"", b"rubbish\n", b"\xff\xfe", b"a\t8\t9\t6\t7\t1\n"])
def test_an_unreadable_index_is_rebuilt(write, rubbish):
    path = write("x.fa", TEXT)
    path.with_name("x.fa.fai").write_bytes(rubbish)
    assert contigs(path) == {"a": 8, "b": 4}


def test_a_missing_or_cut_gzi_is_rebuilt(write):
    path = write("x.fa.gz", TEXT, "bgzip")
    gzi = open_index(path, "bgzip").gzi
    whole = gzi.read_bytes()
    gzi.write_bytes(whole[:-1])
    assert contigs(path, "bgzip") == {"a": 8, "b": 4}
    gzi.unlink()
    assert contigs(path, "bgzip") == {"a": 8, "b": 4}
    assert gzi.read_bytes() == whole


@pytest.mark.parametrize("compression", ["plain", "bgzip"])
def test_beside_a_read_only_folder_the_cache_is_used_and_reused(
    write, read_only, cache, compression
):
    path = write("x.fa", TEXT, compression)
    read_only(path.parent)
    index = open_index(path, compression)
    assert index.fai.parent == cache / "fasta-index"
    assert not path.with_name("x.fa.fai").exists()
    stamp = index.fai.stat().st_mtime_ns
    assert open_index(path, compression) == index
    assert index.fai.stat().st_mtime_ns == stamp
    write("x.fa", TEXT + "CC\n", compression)
    assert contigs(path, compression) == {"a": 8, "b": 6}


def test_a_stale_index_in_a_read_only_folder_is_not_used(write, read_only):
    path = write("x.fa", TEXT)
    path.with_name("x.fa.fai").write_text("a\t3\t9\t6\t7\n")
    read_only(path.parent)
    assert contigs(path) == {"a": 8, "b": 4}


def test_where_nothing_can_be_written_the_message_says_what_to_set(write, read_only, cache):
    path = write("x.fa", TEXT)
    read_only(path.parent)
    read_only(cache / "fasta-index")
    with pytest.raises(InputError, match="set GENOLM_CACHE"):
        open_index(path, "plain")


def test_a_cache_that_cannot_be_is_no_place_either(write, read_only, monkeypatch):
    path = write("x.fa", TEXT)
    read_only(path.parent)
    monkeypatch.setenv("GENOLM_CACHE", str(path / "below a file"))
    with pytest.raises(InputError, match="set GENOLM_CACHE"):
        open_index(path, "plain")


def test_a_full_disk_is_not_taken_for_a_read_only_one(write, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(index_store, "replace_when_done", full)
    with pytest.raises(OSError, match="No space left"):
        open_index(write("x.fa", TEXT), "plain")


def test_a_file_dated_in_the_future_is_indexed_once(write):
    path = write("x.fa", TEXT)
    os.utime(path, (4_000_000_000, 4_000_000_000))
    inode = open_index(path, "plain").fai.stat().st_ino
    assert open_index(path, "plain").fai.stat().st_ino == inode


def test_truncated_bgzip_is_refused_with_and_without_an_index(write):
    path = write("x.fa.gz", ">a\n" + "ACGTACGTAC\n" * 30_000, "bgzip")
    open_index(path, "bgzip")
    data = path.read_bytes()
    for cut in (len(data) // 2, len(data) - 28):
        path.write_bytes(data[:cut])
        set_age(path, 1000)
        with pytest.raises(InputError, match="truncated"):
            open_index(path, "bgzip")


def test_builders_at_the_same_time_leave_one_whole_index(write):
    path = write("x.fa.gz", ">a\n" + "ACGTACGTAC\n" * 20_000, "bgzip")
    code = (
        "import sys; from pathlib import Path; from genolm.genome.index_store import open_index; "
        "print(open_index(Path(sys.argv[1]), 'bgzip').entries)"
    )
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(
                subprocess.run, [sys.executable, "-c", code, str(path)], capture_output=True
            )
            for _ in range(4)
        ]
    results = [run.result() for run in runs]
    assert {result.returncode for result in results} == {0}
    assert len({result.stdout for result in results}) == 1
    assert {file.name for file in path.parent.iterdir()} == {
        "x.fa.gz",
        "x.fa.gz.fai",
        "x.fa.gz.gzi",
    }


def test_a_fasta_without_bases_holds_no_sequence(write):
    with pytest.raises(InputError, match="holds no sequence"):
        open_index(write("x.fa", ">a\n>b\n"), "plain")
