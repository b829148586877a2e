import sys

import numpy as np
import pytest

from genolm.errors import UsageError
from genolm.scoring import saturate_plot as module
from genolm.scoring.fields import ratio
from genolm.scoring.saturate import SiteBlock
from genolm.scoring.saturate_plot import check_plot, open_plot

needs_matplotlib = pytest.mark.skipif(
    module.find_spec("matplotlib") is None, reason="plots need matplotlib (the extra `plot`)"
)


def block(number, chrom, start, bases, value=-1.0):
    results = (ratio(value, value) for base in bases if base != "N" for _ in range(3))
    return SiteBlock(number, chrom, start, bases, tuple(results))


def draw(path, *blocks):
    return draw_each(path, blocks)


def draw_each(path, blocks):
    with open_plot(str(path), "a title") as add:
        for one in blocks:
            add(one)
    return path


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn."""
    from matplotlib.figure import Figure

    figures = []
    save = Figure.savefig

    def keep(self, *arguments, **options):
        figures.append(self)
        return save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


@needs_matplotlib
def test_the_heat_map_has_a_row_for_each_base_and_a_column_for_each_site(tmp_path, drawn):
    draw(tmp_path / "a.png", block(0, "chr1", 8, "ACG"), block(0, "chr1", 11, "TT", -3.0))
    grid = drawn[0].axes[1]
    shown = np.ma.filled(grid.images[0].get_array(), np.nan)
    assert shown.shape == (4, 5)
    np.testing.assert_array_equal(np.isnan(shown).argmax(axis=0), [0, 1, 2, 3, 3])
    assert np.nanmin(shown) == -3
    assert grid.images[0].get_clim() == (-3, 3)
    assert [label.get_text() for label in grid.get_yticklabels()] == list("ACGT")
    assert [label.get_text() for label in grid.get_xticklabels()] == ["9", "10", "11", "12", "13"]
    assert grid.get_xlabel() == "chr1"


@needs_matplotlib
@pytest.mark.parametrize("value", [-2.0, 2.0])
def test_a_letter_stands_up_by_how_much_its_base_is_wanted(tmp_path, drawn, value):
    draw(tmp_path / "a.png", block(0, "chr1", 8, "ACG", value))
    outlines = [patch.get_path().get_extents() for patch in drawn[0].axes[0].patches]
    assert len(outlines) == 3
    for site, box in enumerate(outlines):
        assert sorted((box.y0, box.y1)) == pytest.approx(sorted((0, -value)))
        assert (box.x0 + box.x1) / 2 == pytest.approx(site)


@needs_matplotlib
@pytest.mark.parametrize("suffix", [".png", ".svg", ".PNG"])
def test_a_plot_is_whole_and_the_same_every_time(tmp_path, suffix):
    blocks = [block(0, "chr1", 8, "ACGN"), block(1, "chr2", 0, "T" * 200)]
    first = draw(tmp_path / f"a{suffix}", *blocks).read_bytes()
    assert first.startswith(b"<?xml" if suffix == ".svg" else b"\x89PNG")
    assert draw(tmp_path / f"b{suffix}", *blocks).read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{suffix}", f"b{suffix}"]


@needs_matplotlib
def test_several_intervals_are_named_and_divided(tmp_path, drawn):
    draw(tmp_path / "a.png", block(0, "chr1", 8, "ACG"), block(1, "chr2", 1_000, "TT"))
    track, grid = drawn[0].axes[:2]
    assert [one.get_text() for one in grid.get_xticklabels()] == ["chr1:9", "chr2:1,001"]
    assert [line.get_xdata()[0] for line in grid.lines] == [2.5]
    assert 2.5 in [line.get_xdata()[0] for line in track.lines]


@needs_matplotlib
def test_sites_that_are_left_out_are_said(tmp_path, monkeypatch, capsys, drawn):
    monkeypatch.setattr(module, "MOST_SITES", 4)
    draw(tmp_path / "a.png", *(block(0, "chr1", 8 + 2 * i, "AC") for i in range(5)))
    assert drawn[0].axes[1].images[0].get_array().shape == (4, 4)
    assert "shows the first 4 sites; 6 more are left out" in capsys.readouterr().err


@needs_matplotlib
@pytest.mark.parametrize("blocks", [[], [block(0, "chr1", 8, "NN")], [block(0, "c", 0, "A", 0.0)]])
def test_nothing_to_see_is_drawn_as_well(tmp_path, blocks):
    assert draw(tmp_path / "a.png", *blocks).stat().st_size > 0


@needs_matplotlib
def test_a_run_that_fails_leaves_no_plot(tmp_path):
    def fail():
        yield block(0, "chr1", 8, "A")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_each(tmp_path / "a.png", fail())
    assert list(tmp_path.iterdir()) == []


def test_no_plot_needs_no_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with open_plot(None, "x") as add:
        add(block(0, "chr1", 8, "A"))


def test_a_missing_matplotlib_is_named_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs matplotlib: pip install 'genolm\[plot\]'"):
        check_plot(str(tmp_path / "a.png"))


@pytest.mark.parametrize("name", ["a.pdf", "nowhere/a.png"])
def test_a_plot_that_cannot_be_written_is_said_first(tmp_path, name):
    with pytest.raises(UsageError, match=r"ends in one of \.png|folder does not exist"):
        check_plot(str(tmp_path / name))
