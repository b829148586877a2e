"""Draw the scores of every SNV: a heat map under a track of letters, as PNG or SVG.

A letter (a bar where there are many) stands for the reference base; its height is the mean score
of the three SNVs with the sign turned, so that it stands up where the model wants to keep the base.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from genolm.atomic import replace_when_done
from genolm.console import warn
from genolm.errors import UsageError
from genolm.genome.vcf import pos_from_start
from genolm.scoring.fields import PREFIX, ScoreField
from genolm.scoring.saturate import BASES, SiteBlock
from genolm.scoring.saturate_heading import LLR
from genolm.scoring.tables import check_place

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES: Final = (".png", ".svg")
MOST_SITES: Final = 20_000
MOST_LETTERS: Final = 150
MOST_TICKS: Final = 12
COLOURS: Final = {"A": "#109648", "C": "#255c99", "G": "#f7b32b", "T": "#d62839", "N": "#999999"}
_INCHES: Final = (8.0, 24.0)  # the narrowest and the widest figure
_INCHES_A_SITE: Final = 0.14
_DPI: Final = 150


def check_plot(path: str) -> None:
    """Make sure that a plot can be drawn before any work is done for it.

    Raises:
        UsageError: The name tells no format, its folder is missing, or matplotlib is.
    """
    if not path.lower().endswith(SUFFIXES):
        raise UsageError(f"{path}: a plot's name ends in one of {' '.join(SUFFIXES)}")
    check_place(path)
    if find_spec("matplotlib") is None:
        raise UsageError(f"{path}: a plot needs matplotlib: pip install 'genolm[plot]'")


class SitePlot:
    """Gathers blocks and draws them.

    Args:
        title: What stands above.
        score: What is drawn.
    """

    def __init__(self, title: str, score: ScoreField) -> None:
        self.left_out = 0
        self._title = title
        self._score = score
        self._blocks: list[SiteBlock] = []
        self._sites = 0

    def add(self, block: SiteBlock) -> None:
        """Take in a block; sites beyond ``MOST_SITES`` are counted in ``left_out``."""
        if self._sites >= MOST_SITES:
            self.left_out += len(block.bases)
            return
        self._blocks.append(block)
        self._sites += len(block.bases)

    def draw(self, path: Path, kind: str) -> None:
        """Draw what was taken in.

        Args:
            path: Where to.
            kind: "png" or "svg".
        """
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        narrowest, widest = _INCHES
        width = min(max(narrowest, _INCHES_A_SITE * self._sites), widest)
        # Without a salt and a date the same scores give the same bytes.
        with rc_context({"svg.hashsalt": "genolm", "svg.fonttype": "none"}):
            figure = Figure((width, 3.6), dpi=_DPI, layout="constrained")
            track, grid = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
            self._draw_on(track, grid)
            track.set_title(self._title)
            figure.savefig(path, format=kind, metadata={"Date": None} if kind == "svg" else None)

    def _draw_on(self, track: "Axes", grid: "Axes") -> None:
        empty = np.zeros((0, len(BASES)))
        scores = np.concatenate([empty, *(block.scores(self._score) for block in self._blocks)])
        bases = "".join(block.bases for block in self._blocks)
        known = ~np.isnan(scores)
        totals = np.where(known, scores, 0.0).sum(axis=1)
        draw = _letters if len(bases) <= MOST_LETTERS else _bars
        draw(track, bases, -totals / np.maximum(known.sum(axis=1), 1))
        track.axhline(0, color="black", linewidth=0.5)
        track.set_ylabel(f"-mean {self._score.name.removeprefix(PREFIX)}")
        _heat_map(grid, scores, self._score.name)
        self._label_sites(grid)
        for edge in self._edges()[1:]:
            for axes in (track, grid):
                axes.axvline(edge - 0.5, color="black", linewidth=0.8)

    def _edges(self) -> list[int]:
        """Where each interval begins, in sites from the left."""
        edges: list[int] = []
        offset, number = 0, -1
        for block in self._blocks:
            if block.number != number:
                edges.append(offset)
                number = block.number
            offset += len(block.bases)
        return edges

    def _label_sites(self, grid: "Axes") -> None:
        names = [
            (block.chrom, pos_from_start(block.start + i))
            for block in self._blocks
            for i in range(len(block.bases))
        ]
        edges = self._edges()
        if len(edges) == 1:
            ticks = list(_round_sites([pos for _, pos in names]))
            grid.set_xticks(ticks, [f"{names[i][1]:,}" for i in ticks])
            grid.set_xlabel(names[0][0])
        else:
            ticks = edges[:: max(1, -(-len(edges) // MOST_TICKS))]
            labels = [f"{names[i][0]}:{names[i][1]:,}" for i in ticks]
            grid.set_xticks(ticks, labels, rotation=30, ha="right")


def _round_sites(positions: list[int]) -> Iterator[int]:
    """Return where round positions stand, at most ``MOST_TICKS`` of them."""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            found = [i for i, pos in enumerate(positions) if pos % step == 0]
            if len(found) <= MOST_TICKS:
                yield from found or [0]
                return
        power *= 10


def _heat_map(grid: "Axes", scores: NDArray[np.float64], name: str) -> None:
    from matplotlib import colormaps

    colours = colormaps["RdBu"].with_extremes(bad="#e6e6e6")
    known = np.abs(scores[~np.isnan(scores)])
    limit = float(known.max()) if known.size else 1.0
    shown = scores if len(scores) else np.full((1, len(BASES)), np.nan)
    image = grid.imshow(
        shown.T, aspect="auto", cmap=colours, vmin=-limit or -1.0, vmax=limit or 1.0
    )
    grid.set_yticks(range(len(BASES)), list(BASES))
    grid.set_ylabel("ALT")
    assert grid.figure is not None
    grid.figure.colorbar(image, ax=grid, label=name, pad=0.01)


def _bars(track: "Axes", bases: str, heights: NDArray[np.float64]) -> None:
    sites = np.arange(len(bases))
    track.vlines(sites, 0, heights, colors=[COLOURS[base] for base in bases], linewidth=1)


def _letters(track: "Axes", bases: str, heights: NDArray[np.float64]) -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    font = FontProperties(family="DejaVu Sans", weight="bold")
    outlines: dict[str, Any] = {base: TextPath((0, 0), base, size=1, prop=font) for base in BASES}
    for site, (base, height) in enumerate(zip(bases, heights.tolist(), strict=True)):
        if base not in outlines:
            continue
        box = outlines[base].get_extents()
        place = (
            Affine2D()
            .translate(-box.x0, -box.y0)
            .scale(0.9 / box.width, height / box.height)
            .translate(site - 0.45, 0)
        )
        outline = outlines[base].transformed(place)
        track.add_patch(PathPatch(outline, facecolor=COLOURS[base], linewidth=0))
    low, high = float(heights.min(initial=0.0)), float(heights.max(initial=0.0))
    margin = 0.05 * (high - low) or 1.0
    track.set_ylim(low - margin, high + margin)


@contextmanager
def open_plot(
    path: str | None, title: str, score: ScoreField = LLR
) -> Iterator[Callable[[SiteBlock], None]]:
    """Open a plot; it is drawn, and takes its name, when the block has succeeded.

    Args:
        path: Ends in .png or .svg; None draws nothing.
        title: What stands above.
        score: What is drawn.

    Yields:
        A function that takes in a block.
    """
    if path is None:
        yield lambda block: None
        return
    plot = SitePlot(title, score)
    with replace_when_done(path) as partial:
        yield plot.add
        plot.draw(partial, Path(path).suffix[1:].lower())
    if plot.left_out:
        warn(f"{path} shows the first {MOST_SITES:,} sites; {plot.left_out:,} more are left out")
