"""What causal scoring gains by sharing, and what first-order scores are off by.

    python benchmarks/causal.py [--model NAME] [--fasta FASTA] [--window N] [--threads N] PART

prefix: SNVs drawn from the genome, whole windows against beginnings that are read once.
saturate: the same for all three SNVs of neighbouring bases.
screen: `--scores screen` against the exact ratio, on every SNV of four stretches.
tail: the first-order tail by how much is read exactly and by how many sites share a tile; its
    error against the exact ratio holds that of the tile, in which a site is off the middle.

Contestants take turns, so that a busy machine slows both alike: trust the ratio before the rates.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

import genolm
from genolm.data.edit_windows import GenomeWindows
from genolm.genome.edits import Edit
from genolm.genome.fasta import Fasta
from genolm.models.language import CausalLanguageModel
from genolm.scoring.causal import CausalRatios
from genolm.scoring.first_order import TailSizes
from genolm.scoring.likelihood import ModelRunner
from genolm.scoring.prefix import PrefixRunner
from genolm.scoring.screen import ScreenRatios, TiledTails
from genolm.tokenization.encode import decode

Ratios = Callable[[Sequence[Edit]], NDArray[np.float64]]

DEMO = Path(genolm.__file__).parent / "demo" / "data" / "ecoli536.fa.gz"
FIRST, LAST = 3_950_000, 4_050_000  # what the demo's FASTA has bases of
STRETCHES, STRETCH = 4, 256
TAILS = ((64, 32), (64, 64), (64, 128), (64, 256), (16, 128), (16, 256), (128, 256))


def snvs(genome: GenomeWindows, contig: str, start: int) -> list[Edit]:
    """Return the three SNVs of a base, none of N."""
    ref = decode(genome.ids(contig, start, start + 1))
    return [Edit(contig, start, ref, alt) for alt in "ACGT" if "N" != ref != alt]


def take_turns(
    contestants: Mapping[str, Ratios], edits: Sequence[Edit], at_once: int
) -> tuple[dict[str, float], dict[str, NDArray[np.float64]]]:
    """Return the seconds and the ratios (edits, 2) of each."""
    seconds = dict.fromkeys(contestants, 0.0)
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in contestants}
    for ratios in contestants.values():
        ratios(edits[: at_once // 4])
    for turn, start in enumerate(range(0, len(edits), at_once)):
        names = list(contestants)[:: 1 if turn % 2 else -1]
        for name in names:
            begin = time.perf_counter()
            found[name].append(contestants[name](edits[start : start + at_once]))
            seconds[name] += time.perf_counter() - begin
    return seconds, {name: np.concatenate(parts) for name, parts in found.items()}


def compare_prefix(
    model: CausalLanguageModel, genome: GenomeWindows, window: int, edits: Sequence[Edit]
) -> None:
    """Print the rates of whole windows and of shared beginnings."""
    runners: dict[str, ModelRunner] = {
        "whole windows": ModelRunner(model),
        "shared": PrefixRunner(model),
    }
    contestants = {n: CausalRatios(one, genome, window).ratios for n, one in runners.items()}
    at_once = 3 * runners["shared"].batches.at_once(window)
    seconds, found = take_turns(contestants, edits, at_once)
    for name, spent in seconds.items():
        print(f"{name}: {len(edits) / spent:.1f} SNVs/s")
    whole, shared = seconds.values()
    first, second = found.values()
    print(f"gain {whole / shared:.2f}, largest difference {np.abs(first - second).max():.1e} nats")


def compare_first_order(
    exact: Ratios, contestants: Mapping[str, Ratios], edits: Sequence[Edit]
) -> None:
    """Print rates and errors of first-order scores against the exact ones."""
    seconds, found = take_turns({"exact": exact, **contestants}, edits, len(edits))
    truth = found["exact"].mean(axis=1)
    print(
        f"exact: {len(edits) / seconds['exact']:.0f} SNVs/s, standard deviation {truth.std():.2f}"
    )
    for name in contestants:
        scores = found[name].mean(axis=1)
        median, tenth, p99, largest = np.quantile(np.abs(scores - truth), (0.5, 0.9, 0.99, 1))
        gain, rank = seconds["exact"] / seconds[name], spearmanr(scores, truth).statistic
        print(
            f"{name}: {len(edits) / seconds[name]:.0f} SNVs/s (x{gain:.1f}), Spearman {rank:.4f},"
            f" error median {median:.4f}, p90 {tenth:.4f}, p99 {p99:.4f}, max {largest:.4f}"
        )


def tails(model: CausalLanguageModel, genome: GenomeWindows, window: int) -> dict[str, Ratios]:
    """First-order tails of several sizes that fit the window."""
    return {
        f"tail r={exact} span={span}": TiledTails(
            model, genome, TailSizes(window, span, 32, exact)
        ).ratios
        for span, exact in TAILS
        if 32 + exact < (window - span) // 2
    }


def main() -> None:
    """Measure what the command line asks for."""
    given = _parse()
    torch.set_num_threads(given.threads)
    model, _ = genolm.load(given.model)
    assert isinstance(model, CausalLanguageModel)
    model.eval()  # type: ignore[no-untyped-call]  # transformers' own
    genome = GenomeWindows(Fasta(given.fasta))
    edits = _choose(given.part, genome, given.number)
    if given.part in ("prefix", "saturate"):
        compare_prefix(model, genome, given.window, edits)
        return
    exact = CausalRatios(PrefixRunner(model), genome, given.window).ratios
    if given.part == "tail":
        compare_first_order(exact, tails(model, genome, given.window), edits)
        return
    screen = ScreenRatios(model, genome, given.window)
    compare_first_order(exact, {"screen": lambda e: screen.score(e)["screen"][:, None]}, edits)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["prefix", "saturate", "screen", "tail"])
    parser.add_argument("--model", default="ecoli-mamba-d128")
    parser.add_argument("--fasta", default=str(DEMO))
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--number", type=int, default=2000, help="SNVs of prefix and saturate")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def _choose(part: str, genome: GenomeWindows, number: int) -> list[Edit]:
    contig, random = next(iter(genome.contigs)), np.random.default_rng(1)
    if part == "prefix":
        starts = np.sort(random.choice(np.arange(FIRST, LAST), number, replace=False))
        return [snvs(genome, contig, int(start))[random.integers(3)] for start in starts]
    begins = [FIRST]
    length = number // 3
    if part != "saturate":
        begins, length = random.integers(FIRST + 1000, LAST - 1000, STRETCHES).tolist(), STRETCH
    return [
        edit
        for begin in begins
        for start in range(begin, begin + length)
        for edit in snvs(genome, contig, start)
    ]


if __name__ == "__main__":
    main()
