"""The end of a run: the model and its figures appear whole, or not at all."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizer

from genolm import console
from genolm.atomic import temporary_name
from genolm.training.checkpoints import write_json
from genolm.training.run_folder import RunFolder
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


@contextmanager
def replace_folder_when_done(final: Path) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of ``final`` when the block succeeds."""
    partial = temporary_name(final)
    partial.mkdir(parents=True)
    try:
        yield partial
        if final.exists():
            shutil.rmtree(final)
        partial.replace(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


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
