"""What needs no model: the baselines that stand beside every variant score."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import OneHotEncoder
from variant_sets import VariantSet

from genolm.data.edit_windows import GenomeWindows, allele_ids
from genolm.data.splits import split_contigs
from genolm.genome.fasta import Fasta
from genolm.metrics.counts import learn_markov
from genolm.metrics.markov_variants import markov_log_ratios
from genolm.tokenization.vocabulary import A, C, G, T

ORDERS = (0, 3, 5, 7, 11)
FOLDS = 16

Kind = Literal["ratio", "distance", "indicator", "learned"]
Tables = dict[int, NDArray[np.float64]]


@dataclass(frozen=True)
class Score:
    """One number per variant.

    Attributes:
        name: What it is.
        kind: A ratio has a sign (negative = ALT is less likely), a distance has none; an indicator
            is taken as it is; what was learned is high for the label.
        values: (n,).
        model: Whose it is; empty for a baseline.
    """

    name: str
    kind: Kind
    values: NDArray[np.float64]
    model: str = ""

    @property
    def magnitude(self) -> NDArray[np.float64]:
        """How much it says, whatever the sign (n,)."""
        return np.abs(self.values) if self.kind == "ratio" else self.values


def learn_tables(fasta: Path, orders: Sequence[int] = ORDERS) -> Tables:
    """Learn a Markov model of each order from what a recipe without splits trains on."""
    with Fasta(fasta) as opened:
        genome = GenomeWindows(opened)
        parts = split_contigs(opened.contigs)["train"]
        train = [genome.ids(part.chrom, part.start, part.end) for part in parts]
    return {order: learn_markov(train, order) for order in orders}


def baselines(variants: VariantSet, tables: Tables) -> list[Score]:
    """Return every baseline of a set.

    Args:
        variants: The set.
        tables: Markov models by order, with one of order 0.
    """
    middle = variants.contexts(1)
    alts = np.concatenate([allele_ids(one.alt) for one in variants.variants])
    found = [
        Score(f"Markov order {order}", "ratio", values)
        for order, values in markov_ratios(variants, tables, alts).items()
    ]
    if variants.barcodes is not None:  # of the assay itself: what no model should have to explain
        found.append(Score("barcodes", "indicator", variants.barcodes))
    return [
        *found,
        Score("GC gained", "ratio", gc_gained(middle[:, 1], alts)),
        Score("transition", "indicator", is_transition(middle[:, 1], alts).astype(float)),
        Score("CpG transition", "indicator", is_cpg_transition(middle, alts).astype(float)),
        Score(
            "trinucleotide regression",
            "learned",
            held_out_regression(middle, alts, variants.labels, variants.groups),
        ),
    ]


def markov_ratios(
    variants: VariantSet, tables: Tables, alts: NDArray[np.uint8]
) -> dict[int, NDArray[np.float64]]:
    """Log-likelihood ratios of each order; near a contig's end those of the next lower order."""
    found: dict[int, NDArray[np.float64]] = {}
    below = np.full(len(alts), np.nan)
    for order in sorted(tables):
        ratios = markov_log_ratios(tables[order], variants.contexts(order), alts)
        below = np.where(np.isnan(ratios), below, ratios)
        found[order] = below
    return found


def gc_gained(refs: NDArray[np.uint8], alts: NDArray[np.uint8]) -> NDArray[np.float64]:
    """1 where A or T becomes C or G, -1 the other way round, else 0."""
    ref, alt = (np.isin(one, (C, G)).astype(float) for one in (refs, alts))
    return alt - ref


def is_transition(refs: NDArray[np.uint8], alts: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """A with G, C with T."""
    pairs = {(A, G), (G, A), (C, T), (T, C)}
    return np.array([pair in pairs for pair in zip(refs.tolist(), alts.tolist(), strict=True)])


def is_cpg_transition(middle: NDArray[np.uint8], alts: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """C to T before G, G to A after C; ``middle`` holds trinucleotides (n, 3)."""
    left, ref, right = middle.T
    forward = (ref == C) & (right == G) & (alts == T)
    found: NDArray[np.bool_] = forward | ((left == C) & (ref == G) & (alts == A))
    return found


def held_out_regression(
    middle: NDArray[np.uint8],
    alts: NDArray[np.uint8],
    labels: NDArray[np.bool_],
    groups: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Log-odds (n,) of a logistic regression on the 96 substitutions, each from other groups.

    Args:
        middle: Trinucleotides (n, 3).
        alts: What the middle becomes (n,).
        labels: What is learned (n,).
        groups: Held out whole (n,); so that no variant is judged by its neighbours.
    """
    left, ref, right = middle.astype(np.int64).T
    columns = np.stack([left, ref, right, alts.astype(np.int64)], axis=1)
    # The strand is arbitrary: purines in the middle are read on the other one.
    other = np.where(columns <= T, A + T - columns, columns)[:, [2, 1, 0, 3]]
    columns = np.where(np.isin(ref, (A, G))[:, None], other, columns)
    names = [[" ".join(map(str, row))] for row in columns.tolist()]
    features = OneHotEncoder().fit_transform(names)
    found = np.full(len(labels), np.nan)
    folds = GroupKFold(n_splits=min(FOLDS, len(np.unique(groups))))
    for train, test in folds.split(features, labels, groups):
        fitted = LogisticRegression(C=1.0, max_iter=1000).fit(features[train], labels[train])
        found[test] = fitted.decision_function(features[test])
    return found
