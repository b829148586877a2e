"""The scores of models, by the engine of `genolm score`, kept for the next time."""

import hashlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from variant_baselines import Score
from variant_sets import VariantSet
from variant_statistics import Values

from genolm.genome.fasta import Fasta
from genolm.models.auto import load
from genolm.scoring import score_variants
from genolm.scoring.fields import SCORES
from genolm.scoring.model_files import model_digest, model_name
from genolm.scoring.variants import choose_window


@dataclass(frozen=True)
class Run:
    """How a model is run.

    Attributes:
        model: Folder or bundled name.
        scores: Names of scores.
        window: Bases in all, None for the model's own.
        cache: Folder that keeps scores, or None.
    """

    model: str
    scores: tuple[str, ...]
    window: int | None
    cache: Path | None


def windows_of(variants: VariantSet, window: int) -> dict[tuple[Path, int], NDArray[np.int64]]:
    """Return the rows to be scored with each FASTA and window."""
    lengths = {name: Fasta(path).contigs[name] for name, path in variants.genomes.items()}
    found: dict[tuple[Path, int], list[int]] = {}
    for number, one in enumerate(variants.variants):
        key = variants.genomes[one.chrom], min(window, lengths[one.chrom])
        found.setdefault(key, []).append(number)
    return {key: np.array(rows) for key, rows in found.items()}


def score_set(run: Run, variants: VariantSet) -> list[Score]:
    """Return the scores of a model, from the cache if it holds them."""
    cache = run.cache
    asked = repr((list(variants.variants), run.scores, run.window))
    digest = hashlib.sha256(asked.encode()).hexdigest()
    kept = f"{variants.name}-{model_digest(run.model)[:16]}-{digest[:16]}.npz"
    if cache is not None and (cache / kept).exists():
        with np.load(cache / kept) as found:
            columns = {key: found[key] for key in run.scores}
    else:
        columns = run_model(run, variants)
        if cache is not None:
            cache.mkdir(parents=True, exist_ok=True)
            np.savez(cache / kept, **columns)  # type: ignore[arg-type]  # none is a flag
    return [
        Score(key, "distance" if key.startswith("dist") else "ratio", values, model_name(run.model))
        for key, values in columns.items()
    ]


def run_model(run: Run, variants: VariantSet) -> dict[str, Values]:
    """Score every variant of a set."""
    model, tokenizer = load(run.model)
    columns = {key: np.full(len(variants.variants), np.nan) for key in run.scores}
    begin = time.perf_counter()
    groups = windows_of(variants, choose_window(model, run.window))
    for (fasta, window), rows in groups.items():
        some = [variants.variants[row] for row in rows]
        scored = score_variants(model, tokenizer, some, fasta, run.scores, window=window)
        for row, one in zip(rows, scored, strict=True):
            if one.skip:
                raise SystemExit(f"{one.variant} of {variants.name} was skipped: {one.skip}")
            for key in run.scores:
                columns[key][row] = one.values[SCORES[key][0].name]
    seconds = time.perf_counter() - begin
    used = sorted({window for _, window in groups})
    print(
        f"{model_name(run.model)}, {variants.name}: {seconds:.0f} s, windows {used}",
        file=sys.stderr,
    )
    return columns
