import gzip
import hashlib
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genolm.errors import InputError, UsageError
from genolm.genome import Fasta, Interval

SEQUENCES = {"one": "ACGTNacgtnRYKMacgtTTGCAAC", "HLA:A*01-x_1": "GGGCCC", "empty": "", "last": "T"}
READERS = ["pysam", "pyfaidx"]
FORMS = ["plain", "bgzip", "biopython"]


def fasta_text(sequences, width=6, newline="\n", end="\n"):
    lines = []
    for name, sequence in sequences.items():
        lines.append(f">{name} and a description")
        lines += [sequence[at : at + width] for at in range(0, len(sequence), width)]
    return newline.join(lines) + end


@pytest.fixture(params=FORMS)
def small(request, write):
    name = "x.fa" if request.param == "plain" else "x.fa.gz"
    return write(name, fasta_text(SEQUENCES), request.param)


@pytest.mark.parametrize("reader", READERS)
def test_every_span_of_every_contig_is_the_slice_of_its_text(small, reader):
    with Fasta(small, reader=reader) as fasta:
        assert fasta.contigs == {name: len(sequence) for name, sequence in SEQUENCES.items()}
        assert list(fasta.contigs) == list(SEQUENCES)
        for name, sequence in SEQUENCES.items():
            for start in range(len(sequence) + 1):
                for end in range(start, len(sequence) + 1):
                    assert fasta.fetch(name, start, end) == sequence[start:end]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sequences=st.lists(st.text("ACGTNacgtnR*-", max_size=40), min_size=1, max_size=4).filter(any),
    width=st.integers(1, 11),
    newline=st.sampled_from(["\n", "\r\n"]),
    ends=st.booleans(),
    form=st.sampled_from(FORMS),
)
def test_both_readers_return_the_same_bytes(write, sequences, width, newline, ends, form):
    named = {f"c{number}": sequence for number, sequence in enumerate(sequences)}
    text = fasta_text(named, width, newline, newline if ends else "")
    path = write("x.fa" if form == "plain" else "x.fa.gz", text, form)
    for file in path.parent.glob("x.fa*.[fg][az]i"):
        file.unlink()
    for reader in READERS:
        with Fasta(path, reader=reader) as fasta:
            for name, sequence in named.items():
                assert fasta.fetch(name, 0, len(sequence)) == sequence
                assert fasta.read_bytes(name).tobytes() == sequence.encode()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("form", ["bgzip", "biopython"])
def test_spans_at_the_edges_of_bgzip_blocks_are_right(write, reader, form):
    sequence = np.random.default_rng(0).choice(list("ACGT"), 200_000)
    text = "".join(sequence)
    with Fasta(write("x.fa.gz", f">a\n{text}\n", form), reader=reader) as fasta:
        for block in (65_280, 65_536):
            for start in (*range(block - 9, block + 3), *range(2 * block - 9, 2 * block + 3)):
                assert fasta.fetch("a", start, start + 20) == text[start : start + 20]


@pytest.mark.parametrize("reader", READERS)
def test_a_first_base_at_the_edge_of_a_block_is_found(write, reader):
    text = ">a\n" + "A" * (65_536 - 7) + "\n>b\nCGCG\n"
    with Fasta(write("x.fa.gz", text, "biopython"), reader=reader) as fasta:
        assert fasta.fetch("b", 0, 4) == "CGCG"


def test_positions_off_the_contig_are_refused(small):
    fasta = Fasta(small)
    for start, end in ((-1, 3), (0, 7), (4, 3), (7, 7)):
        with pytest.raises(ValueError, match=r"does not lie on HLA:A\*01-x_1 .* 6 bases"):
            fasta.fetch("HLA:A*01-x_1", start, end)


def test_an_unknown_contig_is_refused_with_the_known_ones(small):
    with pytest.raises(ValueError, match="no contig 'chr9'; it has one, HLA"):
        Fasta(small).fetch("chr9", 0, 1)


@given(start=st.integers(-12, 12), length=st.integers(0, 24))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_padding_is_n_exactly_where_there_is_no_base(write, start, length):
    fasta = Fasta(write("x.fa", ">a\nACGTAC\n"))
    padded = "N" * 50 + "ACGTAC" + "N" * 50
    assert (
        fasta.fetch_padded("a", start, start + length) == padded[50 + start : 50 + start + length]
    )


def test_intervals_of_the_minus_strand_are_reverse_complemented(small):
    fasta = Fasta(small)
    assert fasta.fetch_interval(Interval("one", 0, 6)) == "ACGTNa"
    assert fasta.fetch_interval(Interval("one", -2, 6, "-")) == "tNACGTNN"


def test_whole_contigs_come_as_ascii_codes(small):
    codes = Fasta(small).read_bytes("one")
    assert codes.dtype == np.uint8
    assert codes.tobytes() == SEQUENCES["one"].encode()


def test_the_index_digest_is_the_md5_of_the_fai_file_whatever_holds_the_bases(write):
    text = fasta_text(SEQUENCES)
    paths = [write(f"{form}.fa.gz", text, form) for form in FORMS]
    digests = {Fasta(path, reader="pysam").index_md5() for path in paths}
    fai = paths[0].with_name("plain.fa.gz.fai").read_bytes()
    assert digests == {hashlib.md5(fai).hexdigest()}


def test_a_pickled_fasta_reads_in_another_folder(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps(Fasta(small.name))
    monkeypatch.chdir("/")
    assert pickle.loads(data).fetch("one", 3, 9) == SEQUENCES["one"][3:9]


def fetch_many(fasta, seed):
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, 99_000, 300)
    return [fasta.fetch("a", int(start), int(start) + 500) for start in starts]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("form", ["plain", "bgzip"])
def test_forked_processes_and_threads_do_not_disturb_each_other(write, reader, form):
    text = "".join(np.random.default_rng(1).choice(list("ACGT"), 100_000))
    path = write("x.fa" if form == "plain" else "x.fa.gz", f">a\n{text}\n", form)
    fasta = Fasta(path, reader=reader)
    fasta.fetch("a", 0, 10)
    expected = [
        [text[s : s + 500] for s in np.random.default_rng(i).integers(0, 99_000, 300)]
        for i in range(3)
    ]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(fetch_many, [fasta] * 3, range(3))) == expected
    context = multiprocessing.get_context("fork")
    pipes = []
    for seed in range(3):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=lambda s=seed, p=theirs: p.send(fetch_many(fasta, s)), daemon=True
        )
        process.start()
        theirs.close()  # so that a process that fails ends the pipe
        pipes.append((ours, process))
    assert fetch_many(fasta, 0) == expected[0]
    assert all(ours.poll(20) for ours, _ in pipes)
    assert [ours.recv() for ours, _ in pipes] == expected
    for _, process in pipes:
        process.join()


def test_closing_and_reading_again_works(small):
    fasta = Fasta(small)
    fasta.close()
    assert fasta.fetch("last", 0, 1) == "T"


def test_a_file_that_changed_after_opening_is_refused(small):
    fasta = Fasta(small)
    fasta.close()
    small.write_bytes(small.read_bytes() + b"\n")
    with pytest.raises(InputError, match="changed after it was opened"):
        fasta.fetch("one", 0, 1)


def test_a_missing_file_and_a_folder_are_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match=r"no such file: .*x\.fa"):
        Fasta(tmp_path / "x.fa")
    with pytest.raises(UsageError, match="is a folder"):
        Fasta(tmp_path)


@pytest.mark.parametrize("form", ["plain", "bgzip"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n  \n", "is empty"),
        ("@r1\nACGT\n+\nIIII\n", "not a FASTA file but a FASTQ or SAM file"),
        ("<!DOCTYPE html><html>404</html>", "not a FASTA file but an HTML or XML page"),
        ("LOCUS       NC_001416\n", "not a FASTA file but a GenBank file"),
        ("chr1\t0\t100\n", "not a FASTA file but something else: it must begin with '>'"),
        ("\ufeff>a\nACGT\n", "byte-order mark"),
        (">a\n>b\n", "holds no sequence"),
        (">a\nACGT\n>a\nACGT\n", ":3: a second contig named 'a'"),
    ],
)
def test_what_is_no_fasta_gets_one_line_that_names_it(write, content, message, form):
    with pytest.raises(InputError, match=message) as raised:
        Fasta(write("x.fa", content, form))
    assert "\n" not in str(raised.value)
    assert "x.fa" in str(raised.value)


def test_plain_gzip_is_refused_with_a_command_that_works(write, tmp_path):
    path = write("my genome.fa.gz", fasta_text(SEQUENCES), "gzip")
    with pytest.raises(InputError, match="plain gzip") as raised:
        Fasta(path)
    command = str(raised.value).partition("recompress it with: ")[2]
    assert command == f"gunzip -c '{path}' | bgzip -c > '{tmp_path}/my genome.fa.bgz'"
    with pysam.BGZFile(f"{tmp_path}/my genome.fa.bgz", "wb") as file:  # what the command does
        file.write(gzip.decompress(path.read_bytes()))
    for reader in READERS:
        assert Fasta(tmp_path / "my genome.fa.bgz", reader=reader).fetch("one", 0, 4) == "ACGT"


def test_bytes_that_an_existing_index_hides_are_an_error_when_read(write):
    path = write("x.fa", b">a\nACGTAC\xe9T\nACGTACGT\n")
    path.with_name("x.fa.fai").write_text("a\t16\t3\t8\t9\n")
    for reader in READERS:
        fasta = Fasta(path, reader=reader)
        with pytest.raises(InputError, match="bytes that are no sequence"):
            fasta.fetch("a", 0, 10)


def test_pyfaidx_says_that_it_goes_by_the_name(write):
    with pytest.raises(InputError, match=r"must end in \.gz; rename"):
        Fasta(write("x.fa", ">a\nACGT\n", "bgzip"), reader="pyfaidx")
    with pytest.raises(InputError, match=r"must not end in \.gz; rename"):
        Fasta(write("y.fa.gz", ">a\nACGT\n"), reader="pyfaidx")


def test_real_genomes_read_the_same_through_both(data_folder):
    path = data_folder / "genomes" / "scerevisiae_R64-1-1.fa.gz"
    fast, pure = (Fasta(path, reader=reader) for reader in READERS)
    assert fast.contigs == pure.contigs
    assert len(fast.contigs) == 17
    assert sum(fast.contigs.values()) == 12_157_105
    rng = np.random.default_rng(3)
    for name, length in fast.contigs.items():
        assert fast.fetch(name, 0, 100) == pure.fetch(name, 0, 100)
        for start in map(int, rng.integers(0, length - 5000, 5)):
            assert fast.fetch(name, start, start + 5000) == pure.fetch(name, start, start + 5000)


def test_one_clear_line_and_nothing_of_htslib_on_stderr(write):
    path = write("x.fa", ">a\nACGT\nAC\nACGT\n")
    code = (
        "import sys\nfrom genolm.genome import Fasta\n"
        "try: Fasta(sys.argv[1])\nexcept ValueError as error: print(error, file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert run.stderr.count("\n") == 1
    assert f"{path}:4: bases after a shorter" in run.stderr
