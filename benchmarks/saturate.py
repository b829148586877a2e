"""Saturate a stretch of DNA, against a batched loop that scores every SNV on its own.

    python benchmarks/saturate.py [--bases N] [--window N] [--d-model N] [--layers N] [--threads N]
        [--fast] [--sample N] [--model DIR --reference FASTA --chrom NAME --start N]

Without --model it is a Caduceus-PS with fresh weights on random DNA. The loop does what is commonly
written: for each SNV a window with the reference base and one with the other base, hidden and read
by the model, as many windows in a batch as `genolm saturate` takes. Both use the same model code:
six windows for a base become one, and the rest of the difference is that `genolm saturate` runs a
batch in each thread. They take turns, stretch by stretch, so that a busy machine slows both alike:
trust the ratio before the rates. Numbers that differ stop the run.

With --fast, `genolm saturate --fast` takes its turn too, calibrated before the clock runs; how far
its numbers are from the exact ones is printed. --sample N lets all but --fast score no more than
the first N bases of each of the ten stretches.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from genolm.genome.fasta import Fasta
from genolm.genome.interval import Interval
from genolm.models.auto import TOKENIZERS, load
from genolm.models.backbone import GenolmModel
from genolm.models.build import build_model
from genolm.scoring.fast_note import ErrorSummary
from genolm.scoring.fast_store import FastStore
from genolm.scoring.model_files import model_digest
from genolm.scoring.saturate import BASES, SiteScorer
from genolm.scoring.saturate_output import LLR
from genolm.tokenization import DNATokenizer
from genolm.tokenization.vocabulary import MASK, A

AGREEMENT = 1e-4
STRETCHES = 10


@dataclass(frozen=True)
class Turn:
    """Seconds and scores (bases, 4) of one stretch."""

    seconds: float
    scores: np.ndarray

    @property
    def rate(self) -> float:
        """SNVs per second."""
        return (len(BASES) - 1) * len(self.scores) / self.seconds


@dataclass(frozen=True)
class Turns:
    """What became of one stretch; exactly and in the loop, perhaps only of its beginning."""

    exact: Turn
    loop: Turn
    fast: Turn | None


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


def make_model(options: argparse.Namespace) -> tuple[GenolmModel, DNATokenizer]:
    """The model named, or one with fresh weights."""
    if options.model:
        return load(options.model)
    sizes = {"d_model": options.d_model, "n_layer": options.layers, "rcps": True}
    return build_model("caduceus", "masked_lm", sizes, seed=1).eval(), TOKENIZERS["caduceus"]()


@contextmanager
def open_reference(options: argparse.Namespace) -> Iterator[tuple[Fasta, str, int]]:
    """The genome, a contig of it, and the first base to score."""
    if options.reference:
        with Fasta(options.reference) as fasta:
            yield fasta, options.chrom or next(iter(fasta.contigs)), options.start
        return
    letters = np.array(list(BASES))[
        np.random.default_rng(1).integers(0, 4, options.bases + 2 * options.window)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.fa"
        path.write_text(f">random\n{''.join(letters)}\n")
        with Fasta(path) as fasta:
            yield fasta, "random", options.window


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bases", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=None)
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--d-model", type=int, default=32)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--model")
    parser.add_argument("--reference")
    parser.add_argument("--chrom")
    parser.add_argument("--start", type=int, default=100_000)
    return parser.parse_args()


def main() -> None:
    """Take turns and print the medians."""
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    model, tokenizer = make_model(options)
    with open_reference(options) as (fasta, chrom, first):
        exact = SiteScorer(model, tokenizer, fasta, window=options.window)
        fast = None
        if options.fast:
            store = FastStore()
            if options.model:
                digest = model_digest(options.model)
                store = FastStore.beside(options.model, digest, fasta.index_md5())
            fast = SiteScorer(model, tokenizer, fasta, window=options.window, fast=store)
        saturate(exact, Interval(chrom, first, first + 16))
        edges = np.linspace(0, options.bases, STRETCHES + 1).astype(int) + first
        turns = []
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            turns.append(take_turns(model, exact, fast, Interval(chrom, start, end), options))
    report(options, turns, fast)


def take_turns(
    model: GenolmModel,
    exact: SiteScorer,
    fast: SiteScorer | None,
    stretch: Interval,
    options: argparse.Namespace,
) -> Turns:
    """Score a stretch, or the beginning of it, in every way."""
    end = min(stretch.end, stretch.start + (options.sample or stretch.length))
    sample = Interval(stretch.chrom, stretch.start, end)
    ours = saturate(exact, sample)
    theirs = loop(model, exact, sample, max(2, (1 << 13) // options.window))
    if not np.allclose(ours.scores, theirs.scores, 0, AGREEMENT, equal_nan=True):
        raise SystemExit(f"the scores of {sample} differ by more than {AGREEMENT}")
    return Turns(ours, theirs, saturate(fast, stretch) if fast else None)


def report(options: argparse.Namespace, turns: list[Turns], fast: SiteScorer | None) -> None:
    """Print what was measured."""
    size = options.model or f"{options.layers} layers of {options.d_model}"
    print(
        f"Caduceus-PS, {size}, window {options.window}, {options.bases} bases,"
        f" {torch.get_num_threads()} threads"
    )
    loops = [turn.loop.rate for turn in turns]
    print(f"two windows for each SNV  {statistics.median(loops):10.1f} SNVs/s")
    ways = {"genolm saturate": [turn.exact for turn in turns]}
    if fast is not None:
        ways["genolm saturate --fast"] = [turn.fast for turn in turns if turn.fast]
    for name, runs in ways.items():
        rate = statistics.median(run.rate for run in runs)
        ratio = statistics.median(run.rate / one for run, one in zip(runs, loops, strict=True))
        print(f"{name:25} {rate:10.1f} SNVs/s, {ratio:6.2f} times that")
    if fast is not None and fast.fast is not None:
        pairs = [(turn.fast.scores, turn.exact.scores) for turn in turns if turn.fast]
        differences = np.concatenate([a[: len(b)] - b for a, b in pairs]).ravel()
        error = ErrorSummary.of(differences[~np.isnan(differences)])
        print(f"calibrated: {fast.fast.note.text()}; {fast.fast.account()}")
        print(f"measured:   {error.text()}")


if __name__ == "__main__":
    main()
