"""The eQTL protocol: a frozen model's features of both alleles, and an SVM for each distance.

Schiff et al. 2024 (Caduceus), section 5.2.3: whether a variant changes the expression of a gene, by
distance to the gene's transcription start. Features are the means of 1,537 final states around the
variant, REF and ALT side by side, and a number for the tissue; variants of chromosomes 9 and 10 are
the test part. Their code draws 5,000 train rows, chooses C of the SVM by the *test* part, and takes
the AUROC of hard labels. Here C is chosen by cross-validation within train and the AUROC is that of
decision values; their figure, done as they did it, stands beside. Two differences are left: a
distance at the edge of two ranges belongs to the farther one alone, and fewer than 5,000 train rows
are taken as they are, not drawn with replacement.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genolm.data.edit_windows import GenomeWindows, place
from genolm.data.labelled_variants import CONTIG, read_labelled_variants
from genolm.data.strata import name_strata
from genolm.errors import InputError, UsageError
from genolm.genome.aliases import plain_name
from genolm.genome.edits import Edit
from genolm.tokenization.vocabulary import N

EDGES: Final = (30_000.0, 100_000.0)
TEST_CONTIGS: Final = ("9", "10")
STRENGTHS: Final = (1.0, 5.0, 10.0)
TRAIN_ROWS: Final = 5000
SEEDS: Final = (1, 2, 3, 4, 5)
CV_FOLDS: Final = 3
MOST_N: Final = 0.005
"""Share of N from which a window is left out."""
MANY_N: Final = "many_n"

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Eqtls:
    """Variants with their labels.

    Attributes:
        edits: What changes (n,).
        labels: Whether expression changes (n,).
        buckets: Range of distances to the transcription start (n,).
        tissues: Number of the tissue (n,); zeros where none was named.
        is_test: Of which part (n,).
        skipped: How many alleles were left out, by reason.
    """

    edits: Sequence[Edit]
    labels: NDArray[np.bool_]
    buckets: Sequence[str]
    tissues: NDArray[np.int64]
    is_test: NDArray[np.bool_]
    skipped: dict[str, int]


@dataclass(frozen=True)
class Bucket:
    """What an SVM reached on one range of distances.

    Attributes:
        name: The range.
        train: Rows to learn from, before they are drawn.
        test: Rows to be judged on.
        auroc: Of decision values, C by cross-validation within train; mean over seeds.
        spread: Largest less smallest over seeds.
        strengths: The C of each seed.
        auroc_as_published: Of hard labels, with the C that is best on the test part; for
            comparison with published figures only.
    """

    name: str
    train: int
    test: int
    auroc: float
    spread: float
    strengths: tuple[float, ...]
    auroc_as_published: float


def read_eqtls(
    path: str | Path,
    genome: GenomeWindows,
    *,
    reference: str,
    label: str = "label",
    distance: str = "distance_to_nearest_tss",
    tissue: str | None = "tissue",
    window: int,
    test_contigs: Sequence[str] = TEST_CONTIGS,
    edges: Sequence[float] = EDGES,
    most_n: float = MOST_N,
) -> Eqtls:
    """Read variants of a VCF or table.

    Args:
        path: The file.
        genome: Where REF must stand.
        reference: How messages call it.
        label: INFO key or column, 0 or 1.
        distance: Likewise, bases to the transcription start; its sign does not count.
        tissue: Likewise; None for none.
        window: Bases of a window; longer edits than half of it are left out.
        test_contigs: Whose variants are the test part, by any usual name.
        edges: Between ranges of distances, ascending.
        most_n: Share of N in the window of REF from which a variant is left out.

    Raises:
        UsageError: There is no such file, or one of the parts has no variant.
        InputError: A label or distance is wrong; file and line are named.
    """
    options: dict[str, Any] = {"reference": reference, "label": label, "group": CONTIG}
    rows = read_labelled_variants(path, genome, stratum=distance, **options).fitting(window)
    named = ["."] * len(rows)
    if tissue is not None:
        again = read_labelled_variants(path, genome, stratum=tissue, **options)
        named = again.fitting(window).strata
    kept = [i for i, edit in enumerate(rows.edits) if share_of_n(genome, edit, window) < most_n]
    skipped = rows.skipped + Counter({MANY_N: len(rows) - len(kept)})
    rows, named = replace(rows.take(kept), skipped=skipped), [named[i] for i in kept]
    rows.require_some()
    for index, text in enumerate(rows.labels):
        if text not in ("0", "1", "0.0", "1.0"):
            raise InputError(f"{rows.place(index)}: label {text!r}; an eQTL's is 0 or 1")
    held = {plain_name(name) for name in test_contigs}
    is_test = np.array([plain_name(name) in held for name in rows.groups])
    if is_test.all() or not is_test.any():
        part = "train" if is_test.all() else "test"
        raise UsageError(
            f"{path}: no variant for the {part} part; contigs {', '.join(test_contigs)} are tested"
        )
    distances = [text.removeprefix("-") for text in rows.strata]
    return Eqtls(
        edits=rows.edits,
        labels=np.array([text.startswith("1") for text in rows.labels]),
        buckets=name_strata(distances, edges, rows.places),
        tissues=np.unique(np.array(named), return_inverse=True)[1].astype(np.int64),
        is_test=is_test,
        skipped=dict(rows.skipped),
    )


def share_of_n(genome: GenomeWindows, edit: Edit, window: int) -> float:
    """Return the share of N in what the reference window of an edit has of its contig."""
    length = genome.contigs[edit.contig]
    start = place(edit, window, length).ref
    bases = genome.ids(edit.contig, max(0, start), min(start + window, length))
    return float((bases == N).mean())


def judge_eqtls(variants: Eqtls, features: Features, seeds: Sequence[int] = SEEDS) -> list[Bucket]:
    """Train and judge the SVM of every range of distances.

    Args:
        variants: The variants (n).
        features: Of a frozen model (n, width); the tissue is appended here.
        seeds: Of the drawn train rows.

    Returns:
        The ranges in order of distance; those without both labels in both parts are left out.

    Raises:
        ValueError: When features and variants differ in number.
    """
    if len(features) != len(variants.edits):
        raise ValueError(f"{len(features)} features for {len(variants.edits)} variants")
    rows = np.concatenate([features, variants.tissues[:, None]], axis=1).astype(np.float64)
    names = np.array(variants.buckets)
    found = []
    for name in dict.fromkeys(sorted(variants.buckets, key=_begin)):
        train, test = ((names == name) & part for part in (~variants.is_test, variants.is_test))
        sets = [(rows[part], variants.labels[part]) for part in (train, test)]
        if all(0 < labels.sum() < len(labels) for _, labels in sets):
            found.append(_judge_bucket(name, sets[0], sets[1], seeds))
    return found


def _begin(name: str) -> float:
    """Where a range begins, to order them."""
    return -1.0 if name.startswith("<") else float(name.removeprefix(">=").split("-")[0])


Set = tuple[NDArray[np.float64], NDArray[np.bool_]]


def _judge_bucket(name: str, train: Set, test: Set, seeds: Sequence[int]) -> Bucket:
    from sklearn.metrics import roc_auc_score

    honest, chosen = [], []
    hard: dict[float, list[float]] = {strength: [] for strength in STRENGTHS}
    for seed in seeds:
        features, labels = _draw(train, seed)
        best = _choose_strength(features, labels, seed)
        chosen.append(best)
        for strength in STRENGTHS:
            machine = _machine(strength, seed).fit(features, labels)
            hard[strength].append(float(roc_auc_score(test[1], machine.predict(test[0]))))
            if strength == best:
                values = machine.decision_function(test[0])
                honest.append(float(roc_auc_score(test[1], values)))
    return Bucket(
        name=name,
        train=len(train[1]),
        test=len(test[1]),
        auroc=float(np.mean(honest)),
        spread=max(honest) - min(honest),
        strengths=tuple(chosen),
        auroc_as_published=max(float(np.mean(values)) for values in hard.values()),
    )


def _draw(train: Set, seed: int) -> Set:
    """Return at most 5,000 rows, with both labels among them."""
    features, labels = train
    if len(labels) <= TRAIN_ROWS:
        return train
    rows = np.random.default_rng(seed).choice(len(labels), TRAIN_ROWS, replace=False)
    return features[rows], labels[rows]


def _choose_strength(features: NDArray[np.float64], labels: NDArray[np.bool_], seed: int) -> float:
    """Return the C with the best AUROC over folds of train, the first of equals."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    rarest = int(min(labels.sum(), (~labels).sum()))
    if rarest < CV_FOLDS:
        return STRENGTHS[0]
    folds = StratifiedKFold(CV_FOLDS, shuffle=True, random_state=seed)
    scores = [
        cross_val_score(_machine(one, seed), features, labels, cv=folds, scoring="roc_auc").mean()
        for one in STRENGTHS
    ]
    return STRENGTHS[int(np.argmax(scores))]


def _machine(strength: float, seed: int) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return make_pipeline(
        StandardScaler(), SVC(C=strength, kernel="rbf", gamma="scale", random_state=seed)
    )
