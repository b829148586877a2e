"""A run folder, finished or not, to one page: curves beside their baselines, figures, recipe."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from genolm.atomic import write_text
from genolm.console import format_seconds
from genolm.errors import UsageError
from genolm.report.chart import Line, draw_lines
from genolm.report.page import facts, note, page, preformatted, table
from genolm.report.positions import show_positions
from genolm.report.predictions import show_predictions
from genolm.training.checkpoints import read_json
from genolm.training.judge import interval_rows
from genolm.training.recipe_files import read_yaml
from genolm.training.recipe_tokens import TOKEN_CLASSIFICATION
from genolm.training.run_folder import RunFolder

Lines = Sequence[Mapping[str, Any]]
PARTS: Final = ("valid", "test")


def write_report(folder: str | Path, output: str | Path | None = None) -> Path:
    """Write the page of a run.

    Args:
        folder: The run's, as ``genolm pretrain`` or ``genolm finetune`` left it.
        output: The page; None for ``report.html`` in the run's folder.

    Returns:
        Where the page is.

    Raises:
        UsageError: The folder is no run's.
        InputError: One of its files is garbled.
    """
    run = RunFolder(Path(folder))
    if not run.record.is_file():
        raise UsageError(f"{folder}: no run (it has no {run.record.name}); name a recipe's output")
    place = run.path / "report.html" if output is None else Path(output)
    write_text(place, render(run))
    return place


def render(run: RunFolder) -> str:
    """Return the page of a run as HTML."""
    lines = run.read_lines()
    metrics = read_json(run.metrics) if run.metrics.is_file() else {}
    per_base = any("bits_per_base" in line or "valid_bits_per_base" in line for line in lines)
    sections = [
        ("The run", _about(run, lines, metrics)),
        ("Result", _result(metrics)),
        ("Bits per base" if per_base else "Loss", [_curves(run, lines, per_base=per_base)]),
        ("Validation", [] if per_base else [_validation(lines)]),
        ("Predictions", _predictions(run, metrics)),
        ("Learning rate", [_one(lines, "learning_rate", "learning rate")]),
        ("Size of the gradient", [_one(lines, "grad_norm", "norm of the gradient")]),
        ("Speed", [_one(lines, "tokens_per_second", "tokens a second")]),
        ("Share of the machine's peak", _utilisation(lines)),
        ("Steps that were stopped at or left out", _skipped(run)),
        ("Recipe", [preformatted(run.recipe.read_text(encoding="utf-8"))]),
    ]
    return page(run.path.resolve().name, sections)


def _about(run: RunFolder, lines: Lines, metrics: Mapping[str, Any]) -> list[str]:
    record = read_json(run.record)
    last = lines[-1] if lines else {}
    shown: dict[str, object] = {
        "state": "done" if run.is_done() else f"not finished, at step {last.get('step', 0)}",
        "time": format_seconds(float(last.get("seconds", 0.0))),
        "parameters": metrics.get("parameters"),
        "steps": metrics.get("steps"),
        "tokens": metrics.get("tokens"),
        "versions": ", ".join(f"{k} {v}" for k, v in record.get("versions", {}).items()),
        "machine": ", ".join(f"{k} {v}" for k, v in record.get("machine", {}).items()),
    }
    return [facts({name: value for name, value in shown.items() if value is not None})]


def _result(metrics: Mapping[str, Any]) -> list[str]:
    if not metrics:
        return []
    if "markov" in metrics:
        rows = [["model", *(metrics[part]["bits_per_base"] for part in PARTS)]]
        rows += [
            [f"counting, {name}", *(metrics[part]["markov"][name] for part in PARTS)]
            for name in metrics["markov"]
        ]
        return [table(("bits per base", *PARTS), rows, ours="model")]
    test = metrics["test"]
    names = [name for name in test if isinstance(test[name], float | int) and name != "n"]
    found = {"model": test, **interval_rows(metrics), **metrics.get("baselines", {})}
    rows = [
        [name, *(figures.get(key) for key in names)]
        for name, figures in found.items()
        if isinstance(figures, Mapping)
    ]
    figures = table((f"test, {test['n']:,} rows", *names), rows, ours="model")
    return [figures, *_leads(metrics)]


def _predictions(run: RunFolder, metrics: Mapping[str, Any]) -> list[str]:
    file = run.path / "test_predictions.tsv"
    if run.recipe.is_file() and read_yaml(run.recipe).get("task") == TOKEN_CLASSIFICATION:
        return show_positions(metrics) if metrics else []
    return show_predictions(file) if file.is_file() else []


def _leads(metrics: Mapping[str, Any]) -> list[str]:
    """Return what the model is above each baseline, with intervals over the test rows."""
    above = metrics.get("above_baselines", {})
    if not above:
        return []
    names = list(metrics["intervals"])
    rows = [
        [f"above {baseline}", *(_say_interval(intervals[name]) for name in names)]
        for baseline, intervals in above.items()
    ]
    drawn = metrics["bootstrap"]
    told = (
        f"{100 * drawn['confidence']:g} % of {drawn['draws']:,} draws of the test rows lie within"
        " an interval; one that holds 0 does not tell the two apart"
        + ("; less mse is better" if "mse" in names else "")
    )
    return [table(("the model", *names), rows), note(told)]


def _say_interval(ends: Sequence[float] | None) -> str | None:
    return None if ends is None else f"{ends[0]:+.4f} to {ends[1]:+.4f}"


def _points(lines: Lines, key: str) -> list[tuple[float, float]]:
    return [(line["step"], line[key]) for line in lines if line.get(key) is not None]


def _curves(run: RunFolder, lines: Lines, *, per_base: bool) -> str:
    key = "bits_per_base" if per_base else "loss"
    drawn = [Line("train", _points(lines, key)), Line("valid", _points(lines, f"valid_{key}"))]
    baselines = run.path / "baselines.json"
    if per_base and lines and baselines.is_file():
        ends = (lines[0]["step"], lines[-1]["step"])
        rows = read_json(baselines).get("look", {})
        drawn += [
            Line(f"counting, {name}", [(step, bits) for step in ends], dashed=True)
            for name, bits in rows.items()
        ]
    return draw_lines(drawn, "step", "bits per base" if per_base else "loss")


def _validation(lines: Lines) -> str:
    left_out = {"valid_loss", "valid_n", "valid_n_targets"}
    names = dict.fromkeys(
        key for line in lines for key in line if key.startswith("valid_") and key not in left_out
    )
    drawn = [Line(name.removeprefix("valid_"), _points(lines, name)) for name in names]
    return draw_lines(drawn, "step", "validation")


def _one(lines: Lines, key: str, label: str) -> str:
    return draw_lines([Line(label, _points(lines, key))], "step", label)


def _utilisation(lines: Lines) -> list[str]:
    known = any(line.get("mfu") is not None for line in lines)
    return [_one(lines, "mfu", "model FLOP utilisation")] if known else []


def _skipped(run: RunFolder) -> list[str]:
    if not run.skipped.is_file():
        return []
    rows = [json.loads(line) for line in run.skipped.read_text(encoding="utf-8").splitlines()]
    if not rows:
        return []
    shown = [
        [row["step"], row["action"], row["reason"], ", ".join(row["shown"][:3])] for row in rows
    ]
    return [
        table(("step", "what was done", "why", "some of what it showed"), shown[:50]),
        *([note(f"and {len(shown) - 50:,} more in {run.skipped.name}")] if len(shown) > 50 else []),
    ]
