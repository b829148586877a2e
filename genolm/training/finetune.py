"""Fine-tuning: labelled sequences and a recipe to a classifier or regressor.

A part of train is held out by seed; after every epoch the model is judged on it, and the epoch
that did best there is kept. The test part is judged once, at the end, by that model.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genolm import console
from genolm.training.finetune_stages import train_whole
from genolm.training.finetuning import Finetuning, prepare
from genolm.training.judge import (
    Figures,
    interval_rows,
    judge,
    judge_baselines,
    judge_certainty,
    write_predictions,
)
from genolm.training.loop import Ended, load_weights
from genolm.training.lora import merge_adapters
from genolm.training.machine import describe
from genolm.training.patience import best_line
from genolm.training.publish import publish, say_table
from genolm.training.ranks import refuse_ranks
from genolm.training.rc_choice import describe_choice
from genolm.training.recipe_finetune import FinetuneRecipe
from genolm.training.search import Search
from genolm.training.self_pretraining import describe_self_pretraining
from genolm.training.token_judge import judge_bases, write_base_predictions
from genolm.training.token_parts import TokenParts


def finetune(
    recipe: FinetuneRecipe,
    *,
    restart: bool = False,
    device: str = "auto",
    with_baselines: bool = True,
) -> Path:
    """Train a classifier or regressor, or go on with a training that was stopped.

    Args:
        recipe: What to do.
        restart: Throw away what an earlier run left in the output folder.
        device: "auto", "cpu" or "cuda".
        with_baselines: Whether k-mers and the length are judged too.

    Returns:
        The folder of the finished model.

    Raises:
        UsageError: When the recipe, its files or the output folder do not fit.
        InputError: When the labelled sequences are not what they should be.
        OSError: When something could not be written.
        KeyboardInterrupt: On Ctrl-C; the same call goes on from the last checkpoint.
        Terminated: On SIGTERM; likewise.
    """
    refuse_ranks("genolm finetune")
    if recipe.search is not None:
        recipe, restart = Search(recipe, device).find(restart=restart), False
    with prepare(recipe, device) as session:
        run = session.run
        facts = describe(session.device) | {"data": session.parts.digests()}
        with run.hold():
            run.begin(session.recipe, facts, restart=restart)
            if run.is_done():
                console.say(f"{run.path} is done; its model is {run.model} (--restart begins anew)")
                return run.model
            session, ended = train_whole(session)
            _finish(session, ended, with_baselines)
        return run.model


def _finish(session: Finetuning, ended: Ended, with_baselines: bool) -> None:
    """Take the best epoch, judge it on the test part once, publish it and say how it did."""
    recipe, run = session.recipe, session.run
    best = best_line(run.read_lines(), recipe.train.early_stopping_metric)
    # Where no epoch could be judged, the last one is what there is.
    step = ended.step if best is None else best["step"]
    if best is not None:
        load_weights(session.model, run.checkpoints / f"checkpoint-{step}")
    merge_adapters(session.model)
    valid = session.judge(session.parts.valid)
    judged = _judge_test(session, with_baselines)
    metrics = {
        **judged,
        "valid": valid,
        "classes": list(session.space.names),
        **session.parts.facts(),
        "task": recipe.task,
        "parameters": session.parameters,
        "best_epoch": round(step / session.steps_per_epoch, 4),
        "epochs": round(ended.step / session.steps_per_epoch, 4),
        "seconds": round(ended.seconds, 3),
        **describe_self_pretraining(session),
        **describe_choice(run),
    }
    session.model.config.training_length = session.length
    publish(run, session.model, session.tokenizer, metrics)
    _say_result(
        session, {"model": judged["test"], **interval_rows(judged), **judged["baselines"]}, ended
    )


def _judge_test(session: Finetuning, with_baselines: bool) -> dict[str, Any]:
    """Return what metrics.json says of the test part, and write what was predicted."""
    parts, names = session.parts, session.space.names
    task, seed = session.recipe.label_task, session.recipe.train.seed
    logits = session.predict(parts.test)
    scores = parts.baseline_scores(task, seed) if with_baselines else {}
    file = session.run.path / "test_predictions.tsv"
    if isinstance(parts, TokenParts):
        write_base_predictions(file, parts.test, logits, names, session.recipe.data.ignore)
        return judge_bases(parts, seed, logits, scores)
    write_predictions(file, parts.test, logits, task, names)
    return {
        "test": judge(logits, parts.test.targets, task),
        **judge_certainty(logits, scores, parts.test.targets, task),
        "baselines": judge_baselines(parts, task, seed, scores),
        **parts.strata_figures({"model": logits, **scores}, task),
    }


def _say_result(session: Finetuning, rows: Mapping[str, Figures], ended: Ended) -> None:
    names: Sequence[str] = [name for name in rows["model"] if name not in ("n", "loss")]
    table = {row: [figures.get(name) for name in names] for row, figures in rows.items()}
    say_table(f"test ({rows['model']['n']})", names, table)
    seconds = console.format_seconds(ended.seconds)
    epochs = ended.step / session.steps_per_epoch
    console.say(f"{epochs:.4g} epochs in {seconds}; {session.run.model}")
