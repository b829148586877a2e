"""Saturate a stretch of DNA, against a batched loop that scores every SNV on its own.

    python benchmarks/saturate.py [--bases N] [--window N] [--d-model N] [--layers N] [--threads N]

The model is a Caduceus-PS with fresh weights, the DNA is random. The loop does what is commonly
written: for each SNV a window with the reference base and one with the other base, hidden and read
by the model, as many windows in a batch as `genolm saturate` takes. Both use the same model code:
six windows for a base become one, and the rest of the difference is that `genolm saturate` runs a
batch in each thread. They take turns, stretch by stretch, so that a busy machine slows both alike:
trust the ratio before the rates. Numbers that differ stop the run.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from genolm.genome.fasta import Fasta
from genolm.genome.interval import Interval
from genolm.models.auto import TOKENIZERS
from genolm.models.backbone import GenolmModel
from genolm.models.build import build_model
from genolm.scoring.saturate import BASES, SiteScorer
from genolm.scoring.saturate_output import LLR
from genolm.tokenization.vocabulary import MASK, A

AGREEMENT = 1e-4
STRETCHES = 10


@dataclass(frozen=True)
class Turn:
    """Seconds and scores (bases, 4) of one stretch."""

    seconds: float
    scores: np.ndarray


def saturate(scorer: SiteScorer, stretch: Interval) -> Turn:
    """Score a stretch as the command does."""
    begin = time.perf_counter()
    scores = [block.scores(LLR) for block in scorer.saturate([stretch])]
    return Turn(time.perf_counter() - begin, np.concatenate(scores))


def loop(model: GenolmModel, scorer: SiteScorer, stretch: Interval, batch: int) -> Turn:
    """Score a stretch SNV by SNV, two windows each."""
    begin = time.perf_counter()
    middle = scorer.window // 2
    scores = np.full((stretch.length, len(BASES)), np.nan)
    waiting: list[tuple[int, int, np.ndarray, np.ndarray]] = []

    def run() -> None:
        ids = torch.from_numpy(np.stack([w for *_, ref, alt in waiting for w in (ref, alt)]))
        with torch.inference_mode():
            logits = model(ids.long()).logits[:, middle]
        found = torch.log_softmax(logits.float(), dim=-1).numpy()
        for row, (site, base, _, _) in enumerate(waiting):
            ref = scorer.genome.ids(stretch.chrom, stretch.start + site, stretch.start + site + 1)
            scores[site, base] = found[2 * row + 1, A + base] - found[2 * row, ref[0]]
        waiting.clear()

    for site in range(stretch.length):
        first = stretch.start + site - middle
        window = scorer.genome.ids(stretch.chrom, first, first + scorer.window)
        for base in range(len(BASES)):
            if window[middle] == A + base:
                continue
            hidden = window.copy()
            hidden[middle] = MASK
            waiting.append((site, base, hidden, hidden.copy()))
            if 2 * len(waiting) >= batch:
                run()
    if waiting:
        run()
    return Turn(time.perf_counter() - begin, scores)


def main() -> None:
    """Take turns and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bases", type=int, default=10_000)
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--d-model", type=int, default=32)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    sizes = {"d_model": options.d_model, "n_layer": options.layers, "rcps": True}
    model = build_model("caduceus", "masked_lm", sizes, seed=1).eval()
    letters = np.array(list(BASES))[
        np.random.default_rng(1).integers(0, 4, options.bases + 2 * options.window)
    ]
    with tempfile.TemporaryDirectory() as folder:
        fasta = Path(folder) / "random.fa"
        fasta.write_text(f">random\n{''.join(letters)}\n")
        scorer = SiteScorer(model, TOKENIZERS["caduceus"](), Fasta(fasta), window=options.window)
        batch = max(2, (1 << 13) // options.window)
        saturate(scorer, Interval("random", 0, 16))
        turns: list[tuple[Turn, Turn]] = []
        edges = np.linspace(0, options.bases, STRETCHES + 1).astype(int) + options.window
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            stretch = Interval("random", start, end)
            turns.append((saturate(scorer, stretch), loop(model, scorer, stretch, batch)))
            if not np.allclose(*(turn.scores for turn in turns[-1]), 0, AGREEMENT, equal_nan=True):
                raise SystemExit(f"the scores of {stretch} differ by more than {AGREEMENT}")
    report(options, turns)


def report(options: argparse.Namespace, turns: list[tuple[Turn, Turn]]) -> None:
    """Print what was measured."""
    snvs = 3 * options.bases / STRETCHES
    ours, theirs = (
        statistics.median(snvs / t.seconds for t in side) for side in zip(*turns, strict=True)
    )
    ratio = statistics.median(loop.seconds / own.seconds for own, loop in turns)
    print(
        f"Caduceus-PS, {options.layers} layers of {options.d_model}, window {options.window},"
        f" {options.bases} bases, {torch.get_num_threads()} threads"
    )
    print(f"genolm saturate           {ours:10.1f} SNVs/s")
    print(f"two windows for each SNV  {theirs:10.1f} SNVs/s")
    print(f"ratio                     {ratio:10.2f}")


if __name__ == "__main__":
    main()
