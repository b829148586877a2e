import numpy as np
import pytest

from genolm.errors import InputError, UsageError
from genolm.scoring import saturate_bigwig
from genolm.scoring.fields import fields_of, ratio
from genolm.scoring.saturate import SiteBlock
from genolm.scoring.saturate_bigwig import open_bigwig
from genolm.scoring.saturate_heading import Heading
from genolm.scoring.saturate_output import check_saturation_output, open_saturation
from genolm.scoring.vcf_output import Provenance

pybigtools = pytest.importorskip("pybigtools", reason="BigWig needs pybigtools")

HEADING = (fields_of(["llr"]), Provenance("1", "c", "m", "ab" * 32, "g.fa", "cd" * 16))
CONTIGS = {"chr1": 400, "chr10": 60, "chr2": 90}


def blocks():
    """Two intervals out of order, one of which comes again in part."""
    rng = np.random.default_rng(4)

    def block(number, chrom, start, bases):
        scored = 3 * sum(base != "N" for base in bases)
        pairs = rng.normal(size=(scored, 2))
        return SiteBlock(number, chrom, start, bases, tuple(ratio(*pair) for pair in pairs))

    late = block(0, "chr2", 40, "ACGTN")
    early = block(2, "chr1", 3, "NNGA")
    return [
        late,
        block(1, "chr10", 59, "T"),
        early,
        SiteBlock(3, "chr2", 40, "A", late.results[:3]),
    ]


def write(path, value="mean", given=None):
    with open_saturation(str(path), Heading(*HEADING, CONTIGS, value)) as add:
        for block in blocks() if given is None else given:
            add(block)


def read(path):
    opened = pybigtools.open(str(path))
    return {
        (chrom, start, end): value
        for chrom in opened.chroms()
        for start, end, value in opened.records(chrom)
    }


@pytest.mark.parametrize("value", ["mean", "min"])
@pytest.mark.parametrize("name", ["out.bw", "out.BigWig"])
def test_a_bigwig_holds_what_a_bedgraph_holds(tmp_path, name, value):
    write(tmp_path / "out.bedgraph", value)
    write(tmp_path / name, value)
    lines = (tmp_path / "out.bedgraph").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    expected = {(row[0], int(row[1]), int(row[2])): float(np.float32(row[3])) for row in rows}
    assert len(expected) == len(rows) - 1 == 7
    # pybigtools wants the suffix in its own spelling to read a file.
    (tmp_path / name).rename(tmp_path / "again.bw")
    assert read(tmp_path / "again.bw") == expected
    assert sorted(one.name for one in tmp_path.iterdir()) == ["again.bw", "out.bedgraph"]


def test_no_value_at_all_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="no base has a score, and a BigWig cannot be empty"):
        write(tmp_path / "out.bw", given=[SiteBlock(0, "chr1", 0, "NN", ())])
    assert not list(tmp_path.iterdir())


def test_an_interruption_keeps_what_was_there(tmp_path):
    (tmp_path / "out.bw").write_bytes(b"old")

    def interrupted():
        yield blocks()[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "out.bw", given=interrupted())
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"old"]


def test_what_the_library_only_prints_is_an_error(tmp_path):
    adding = open_bigwig(str(tmp_path / "out.bw"), {"chr1": 4})
    with (
        pytest.raises(InputError, match=r"out\.bw: the BigWig could not be written"),
        adding as add,
    ):
        add("chr1", 3, np.ones(2))
    assert not list(tmp_path.iterdir())


def test_a_missing_library_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(saturate_bigwig, "find_spec", lambda name: None)
    with pytest.raises(
        UsageError, match=r"BigWig needs pybigtools: pip install 'genolm\[tracks\]'"
    ):
        check_saturation_output(str(tmp_path / "out.bw"))
