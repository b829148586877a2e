"""How well the classes of bases are told on a whole test part, and what was predicted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genolm.atomic import write_text
from genolm.data.base_labels import describe_classes, row_bounds
from genolm.metrics.intervals import Bootstrap, compare_counts
from genolm.metrics.positions import class_figures, count_by_sequence, macro_f1
from genolm.training.judge import Scores, describe_certainty, judge, judge_baselines
from genolm.training.recipe_finetune import Task
from genolm.training.token_parts import TokenPart, TokenParts


def judge_bases(
    parts: TokenParts, seed: int, logits: Scores, scores: Mapping[str, Scores]
) -> dict[str, Any]:
    """Return what metrics.json says of the test part.

    Args:
        parts: The labelled set.
        seed: Of the rows that baselines learn from.
        logits: Of the model, for every base of the test part that counts (bases, classes).
        scores: What ``TokenParts.baseline_scores`` returned.

    Returns:
        Figures over all these bases of ``test`` and ``baselines``, ``f1_macro`` among them; their
        intervals, for which whole sequences are drawn; ``by_class`` and ``confusion`` (bases by
        label and prediction).
    """
    task: Task = "classification"
    targets, names = parts.test.targets, parts.space.names
    counts = {
        name: count_by_sequence(targets, found.argmax(axis=1), parts.test.bounds(), len(names))
        for name, found in {"model": logits, **scores}.items()
    }
    totals = {name: found.sum(axis=0) for name, found in counts.items()}
    bootstrap = Bootstrap()
    compared = compare_counts(counts, bootstrap=bootstrap)
    baselines = judge_baselines(parts, task, seed, scores)
    for name in scores:
        baselines[name] |= {"f1_macro": macro_f1(totals[name])}
    return {
        "test": {**judge(logits, targets, task), "f1_macro": macro_f1(totals["model"])},
        "baselines": baselines,
        **describe_certainty(compared, bootstrap),
        "by_class": class_figures(totals["model"], names),
        "confusion": totals["model"].tolist(),
    }


def write_base_predictions(
    path: Path, part: TokenPart, logits: Scores, names: Sequence[str], ignored: str | None = None
) -> None:
    """Write a TSV: the classes of each sequence's bases, and those predicted, row by row.

    Args:
        path: Where.
        part: The sequences.
        logits: For every base that counts (bases, classes).
        names: Of the classes.
        ignored: What stands for bases that do not count, in both.
    """
    predicted, bounds = part.classes.copy(), row_bounds(part.rows.sequences)
    predicted[part.counted] = logits.argmax(axis=1)
    lines = ["\t".join([*part.name_columns(), "label", "predicted"])]
    for row in range(len(part.rows)):
        bases = slice(bounds[row], bounds[row + 1])
        told = (describe_classes(ids[bases], names, ignored) for ids in (part.classes, predicted))
        lines.append("\t".join([*part.name(row), *told]))
    write_text(path, "\n".join(lines) + "\n")
