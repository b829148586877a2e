"""How far apart tiles and how short segments may be, for one model and one genome.

On some sites of the genome, a function of nothing but a seed, the exact scores are computed first.
Then the distance from tile to tile is halved until the tiles alone, run in full, come near enough
to them; then the radius of the segments is raised until they come near enough to the tiles. Near
enough is a quarter of the largest error that is aimed at. What both together are off by is kept
with the two numbers, and stands in every output.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genolm.console import meter, say
from genolm.data.edit_windows import GenomeWindows
from genolm.errors import InputError, UsageError
from genolm.genome.edits import Edit
from genolm.models.backbone import GenolmModel
from genolm.models.seeded import why_not_seeded
from genolm.modules.linear import Linear
from genolm.scoring.fast_note import ErrorSummary, FastNote
from genolm.scoring.fast_parts import FastParts
from genolm.scoring.fast_store import Numbers
from genolm.scoring.seeded import SeededRatios
from genolm.scoring.tiling import Tiling
from genolm.tokenization.encode import decode

MODE: Final = "seeded_window"
SITES: Final = 32
FIRST: Final = 8  # sites that a bad setting is refused on
TRIES: Final = 1000  # places looked at for every site, where a genome is mostly N
SEED: Final = 1
LARGEST_ERROR: Final = 1e-2  # nats
MARGIN: Final = 4
SMALLEST_STEP: Final = 4
SMALLEST_RADIUS: Final = 4
BASES: Final = "ACGT"

Score = Callable[[Tiling, Sequence[Edit]], NDArray[np.float64]]  # however few share a tile


class SeededWindow(SeededRatios):
    """Seeded windows as they were calibrated.

    Args:
        parts: The model, the genome and the exact score.
        tiling: How sites share work.
        error: What that was off by.

    Attributes:
        note: What an output says of it.
    """

    def __init__(self, parts: FastParts, tiling: Tiling, error: ErrorSummary) -> None:
        super().__init__(parts, tiling)
        self.note = FastNote(MODE, {"R": tiling.radius, "step": tiling.step}, error)

    def account(self) -> str:
        """Return how many alleles were scored which way."""
        segments, passes = self.counts["segments"], self.counts["passes"]
        return f"{segments} alleles by segments, {passes} by full passes"


def make_seeded(parts: FastParts) -> SeededWindow:
    """Return the seeded windows of a masked model, calibrated now or before.

    Raises:
        UsageError: The model cannot be run by segments.
        InputError: The genome has no bases to calibrate on.
    """
    if reason := why_not_seeded(parts.model):
        raise UsageError(f"--fast: {reason}; leave --fast out")
    key = f"{MODE} window={parts.window} type={_number_format(parts.model)}"
    known = parts.store.find(key)
    if known is None or not {"R", "step", "alleles", "median", "p99", "max"} <= known.keys():
        tiling, error = calibrate(parts)
        place = parts.store.keep(key, _numbers(tiling, error))
        where = f", kept in {place}" if place else ""
        say(f"--fast: R={tiling.radius} step={tiling.step}, {error.text()}{where}")
        return SeededWindow(parts, tiling, error)
    tiling = Tiling(parts.window, int(known["step"]), int(known["R"]))
    error = ErrorSummary(int(known["alleles"]), known["median"], known["p99"], known["max"])
    say(f"--fast: R={tiling.radius} step={tiling.step} as calibrated before, {error.text()}")
    return SeededWindow(parts, tiling, error)


def _numbers(tiling: Tiling, error: ErrorSummary) -> Numbers:
    return {
        "R": tiling.radius,
        "step": tiling.step,
        "alleles": error.alleles,
        "median": error.median,
        "p99": error.p99,
        "max": error.largest,
    }


def _number_format(model: GenolmModel) -> str:
    narrow = {one.compute_dtype for one in model.modules() if isinstance(one, Linear)} - {None}
    return str(next(iter(narrow), model.dtype)).removeprefix("torch.")


def calibrate(parts: FastParts) -> tuple[Tiling, ErrorSummary]:
    """Find the cheapest tiling whose error is small enough, and measure the error.

    Where there is none, every tile has room for one site, which never pays: all scores are exact.

    Raises:
        InputError: The genome has no bases.
    """
    edits = draw_edits(parts.genome, SITES)
    with meter("calibrating --fast", "alleles") as shown:

        def score(tiling: Tiling, edits: Sequence[Edit]) -> NDArray[np.float64]:
            found = SeededRatios(parts, tiling, always=True).score(edits)["llr"]
            shown.advance(len(edits))
            return found

        exact = parts.exact.score(edits)["llr"]
        shown.advance(len(edits))
        whole = _largest_step(score, parts.window, edits, exact)
        tiling = None if whole is None else _smallest_radius(score, parts.window, edits, *whole)
        if tiling is None:
            return Tiling(parts.window, 1, parts.window), ErrorSummary.of(exact - exact)
        return tiling, ErrorSummary.of(score(tiling, edits) - exact)


def draw_edits(genome: GenomeWindows, sites: int) -> list[Edit]:
    """Return the three SNVs of sites drawn evenly from a genome, always the same ones.

    Raises:
        InputError: There is nothing but N.
    """
    names, lengths = list(genome.contigs), np.array(list(genome.contigs.values()))
    ends = np.cumsum(lengths)
    generator = np.random.default_rng(SEED)
    edits: list[Edit] = []
    for _ in range(sites * TRIES):
        place = int(generator.integers(ends[-1]))
        number = int(np.searchsorted(ends, place, side="right"))
        start = place - int(ends[number] - lengths[number])
        ref = decode(genome.ids(names[number], start, start + 1))
        if ref in BASES:
            edits += [Edit(names[number], start, ref, alt) for alt in BASES if alt != ref]
        if len(edits) == 3 * sites:
            break
    if not edits:
        raise InputError("--fast: the FASTA has no A, C, G or T to be calibrated on")
    return edits


def _is_close(
    score: Score, tiling: Tiling, edits: Sequence[Edit], wanted: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The scores (edits,) under a tiling if they are near enough to those wanted, else None."""
    found = np.zeros(0)
    for some in (slice(0, 3 * FIRST), slice(3 * FIRST, len(edits))):
        found = np.concatenate((found, score(tiling, edits[some])))
        if not np.abs(found - wanted[: len(found)]).max() * MARGIN <= LARGEST_ERROR:
            return None
    return found


def _steps(window: int) -> Iterator[int]:
    step = window // 2
    while step >= SMALLEST_STEP:
        yield step
        step //= 2


def _radii(window: int) -> Iterator[int]:
    radius = SMALLEST_RADIUS
    while 2 * radius < window:
        yield radius
        yield radius + radius // 2
        radius *= 2


def _largest_step(
    score: Score, window: int, edits: Sequence[Edit], exact: NDArray[np.float64]
) -> tuple[int, NDArray[np.float64]] | None:
    for step in _steps(window):
        tiling = Tiling(window, step, window)
        if (found := _is_close(score, tiling, edits, exact)) is not None:
            return step, found
    return None


def _smallest_radius(
    score: Score, window: int, edits: Sequence[Edit], step: int, wanted: NDArray[np.float64]
) -> Tiling | None:
    for radius in _radii(window):
        tiling = Tiling(window, step, radius)
        if 2 * radius + tiling.stride >= window:
            break
        if _is_close(score, tiling, edits, wanted) is not None:
            return tiling
    return None
