"""Fit the k-mer term of a classifier before its training (see `genolm.heads.kmers`)."""

import time
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from genolm import console
from genolm.data.randomness import permutation
from genolm.heads.kmers import FOLDS, KmerTerm
from genolm.metrics.linear import fit_layer
from genolm.training.finetuning import Finetuning
from genolm.training.parts import Part

ROWS: Final = 512
BASES: Final = 1 << 22
"""Sequences, and bases, that are counted at a time: some 20 MB of counts, and 200 of words."""

MOST_ROWS: Final = 50_000
"""More train rows than that are drawn from by seed: a regression of them all takes minutes."""


def fit_kmers(session: Finetuning) -> float:
    """Fit the term of a session's model, if it has one, on the train part as it is read.

    One regression is of all rows, and one of those of every fold but one.

    Returns:
        Seconds that it took.
    """
    term = getattr(session.model, "kmer_term", None)
    if not isinstance(term, KmerTerm):
        return 0.0
    from sklearn.feature_extraction.text import TfidfTransformer

    began = time.monotonic()
    part, task = session.parts.train, session.recipe.label_task
    rows = permutation(session.recipe.train.seed, 0, len(part.rows))[:MOST_ROWS]
    rows.sort()
    counts, folds = _count_rows(term, part, rows, session.length)
    weighing = TfidfTransformer(sublinear_tf=True)  # what `KmerTerm.weigh` does
    features = weighing.fit_transform(counts)
    targets, outputs = part.targets[rows], term.bias.numel()
    fitted = [fit_layer(features, targets, outputs, task)]
    for fold in range(FOLDS):
        seen = np.flatnonzero(folds != fold)
        fitted.append(fit_layer(features[seen], targets[seen], outputs, task))
    weights, biases = (np.stack(arrays) for arrays in zip(*fitted, strict=True))
    term.set_regressions(*(torch.from_numpy(array) for array in (weighing.idf_, weights, biases)))
    seconds = time.monotonic() - began
    console.say(
        f"k-mer term: regressions of {term.features:,} words on {len(rows):,} rows in "
        f"{console.format_seconds(seconds)}"
    )
    return seconds


def _count_rows(
    term: KmerTerm, part: Part, rows: NDArray[np.int64], length: int
) -> tuple[Any, NDArray[np.int64]]:
    """Return the counts of some rows, sparse (rows, features), and the fold of each."""
    from scipy import sparse  # type: ignore[import-untyped]  # scikit-learn's own

    examples = part.examples(length)
    blocks, folds = [], []
    together = max(1, min(ROWS, BASES // length))
    for first in range(0, len(rows), together):
        some = rows[first : first + together].tolist()
        ids = examples.__getitems__(some).columns["input_ids"]
        counts = term.count(ids.to(term.weight.device))
        folds.append(term.fold(counts).cpu().numpy())
        blocks.append(sparse.csr_matrix(counts.cpu().numpy(), dtype=np.float64))
    return sparse.vstack(blocks).tocsr(), np.concatenate(folds)
