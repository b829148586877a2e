import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genolm.errors import InputError, UsageError
from genolm.genome import Interval, read_bed, read_split_bed

CONTIGS = {"1": 1000, "MT": 50}
WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            WORD.filter(lambda word: not word.startswith(("#", "track", "browser"))),
            st.integers(0, 10**9),
            st.integers(1, 10**6),
            WORD,
            st.sampled_from("+-"),
        ),
        min_size=1,
        max_size=5,
    ),
    newline=st.sampled_from(["\n", "\r\n"]),
    form=st.sampled_from(["plain", "gzip", "bgzip"]),
)
def test_what_was_written_is_read(write, rows, newline, form):
    intervals = [Interval(c, s, s + size, strand, name) for c, s, size, name, strand in rows]
    lines = [f"{i.chrom}\t{i.start}\t{i.end}\t{i.name}\t0\t{i.strand}" for i in intervals]
    assert read_bed(write("x.bed", newline.join(lines), form)) == intervals


def test_comments_tracks_and_blank_lines_are_left_out(write):
    path = write("x.bed", "track name=x\nbrowser hide\n#c\tstart\n\n1\t0\t10\n\n")
    assert read_bed(path) == [Interval("1", 0, 10)]


def test_columns_may_be_parted_by_spaces_and_an_unknown_strand_is_plus(write):
    assert read_bed(write("x.bed", "1 5 10 gene 0 .\n")) == [Interval("1", 5, 10, "+", "gene")]


def test_contigs_get_the_names_of_the_genome(write):
    path = write("x.bed", "chr1\t0\t1000\nchrM\t0\t50\n1\t5\t6\n")
    assert [interval.chrom for interval in read_bed(path, contigs=CONTIGS)] == ["1", "MT", "1"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\t990\t1001", r"x\.bed:2: the interval ends at 1,001, but 1 has 1,000 bases"),
        ("chrM\t0\t51", r"x\.bed:2: the interval ends at 51, but MT has 50 bases"),
        ("chrUn\t0\t10", r"x\.bed:2: contig 'chrUn' is not in the genome"),
        ("1\t5", r"x\.bed:2: 2 column\(s\); BED needs chrom, start and end"),
        ("1\t5\tten", r"x\.bed:2: start '5' and end 'ten' must be whole numbers"),
        ("1\t-5\t10", r"x\.bed:2: start '-5' and end '10' must be whole numbers"),
        ("1\t1_0\t20", "must be whole numbers"),
        ("1\t10\t10", r"x\.bed:2: end 10 must be greater than start 10"),
        ("1\t10\t9", r"x\.bed:2: end 9 must be greater than start 10"),
        ("1\t1\t9\ta\t0\tforward", r"x\.bed:2: strand 'forward' is none of"),
    ],
)
def test_a_bad_line_is_named(write, line, message):
    with pytest.raises(InputError, match=message) as raised:
        read_bed(write("x.bed", f"1\t0\t10\n{line}\n"), contigs=CONTIGS)
    assert "\n" not in str(raised.value)


def test_a_bed_file_without_intervals_is_an_error(write):
    with pytest.raises(InputError, match="holds no interval"):
        read_bed(write("x.bed", "# nothing\n"))


def test_a_truncated_bed_is_an_error_and_a_missing_one_wrong_usage(write, tmp_path):
    text = "".join(f"1\t{start}\t{start + 7}\n" for start in range(5000))
    data = write("x.bed.gz", text, "gzip").read_bytes()
    with pytest.raises(InputError, match="truncated"):
        read_bed(write("x.bed.gz", data[:-100]))
    with pytest.raises(UsageError, match="no such file"):
        read_bed(tmp_path / "none.bed")


def test_the_fourth_column_of_a_split_bed_names_the_split(write):
    path = write("x.bed", "chr1\t0\t10\ttrain\n1\t20\t30\tvalid\n1\t40\t50\ttrain\n")
    splits = read_split_bed(path, contigs=CONTIGS)
    assert {name: [i.start for i in some] for name, some in splits.items()} == {
        "train": [0, 40],
        "valid": [20],
    }
    assert splits["train"][0].chrom == "1"


def test_a_split_bed_needs_its_fourth_column(write):
    with pytest.raises(InputError, match=r"x\.bed:2: no fourth column"):
        read_split_bed(write("x.bed", "1\t0\t10\ttrain\n1\t0\t10\n"))


def test_real_transcripts_lie_on_the_real_genome(data_folder):
    from genolm.genome import Fasta

    genomes = data_folder / "genomes"
    contigs = Fasta(genomes / "scerevisiae_R64-1-1.fa.gz").contigs
    found = read_bed(genomes / "scerevisiae_polII_transcripts_adjustedTSS.bed.gz", contigs=contigs)
    assert len(found) > 5000
    assert {interval.chrom for interval in found} <= set(contigs)
