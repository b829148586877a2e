"""The end of a run: the model and its figures appear whole, or not at all."""

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizer

from genolm import console
from genolm.training.checkpoints import write_json
from genolm.training.run_folder import RunFolder, replace_folder_when_done
from genolm.training.trainer import say_what_could_not_be_written


def publish(
    run: RunFolder,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizer,
    metrics: Mapping[str, Any],
) -> None:
    """Write ``model/`` and then ``metrics.json``, which says that the run is done."""
    with replace_folder_when_done(run.model) as folder, say_what_could_not_be_written(run.model):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    write_json(run.metrics, metrics)


def say_table(
    title: str, columns: Sequence[str], rows: Mapping[str, Sequence[float | None]]
) -> None:
    """Print figures on stderr as a small table; an undefined figure is a dash."""
    width = max(len(title), *(len(name) for name in rows))
    head = "".join(f"{column:>10}" for column in columns)
    lines = [f"{title:<{width}}{head}"]
    for name, figures in rows.items():
        cells = ("-" if figure is None else f"{figure:.4f}" for figure in figures)
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>10}" for cell in cells))
    console.say("\n".join(lines))
