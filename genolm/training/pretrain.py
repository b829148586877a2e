"""Pretraining: a genome and a recipe to a language model.

The order of what follows is the order of :func:`pretrain`: the recipe is completed, the genome is
cut into windows, the run folder is opened (or recognised), the loop runs, the held-out parts are
judged beside the count models, and the model is published.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizer

from genolm import console
from genolm.data.language import LanguageDataset
from genolm.data.masking import IGNORED
from genolm.parallel import add_up, sequence_group
from genolm.training.board import require_tensorboard
from genolm.training.genomes import (
    Genomes,
    describe_genomes,
    digests,
    open_genomes,
    overlap_lines,
    training_examples,
)
from genolm.training.judge_genomes import GenomeJudge, looked_at, read_parts, require_targets
from genolm.training.loop import Ended, Loop, run_loop
from genolm.training.machine import (
    choose_device,
    choose_precision,
    describe,
    kernel_backend,
    set_checkpointing,
    set_threads,
)
from genolm.training.model_source import language_model
from genolm.training.optimizer import PRETRAINING
from genolm.training.publish import publish, say_table
from genolm.training.ranks import Ranks, join_ranks
from genolm.training.recipe_pretrain import PretrainRecipe
from genolm.training.run_folder import RunFolder
from genolm.training.slices import slice_examples
from genolm.training.trainer import Pace
from genolm.training.watch import count_steps
from genolm.training.weight_shards import check_sharding, join_weights

JUDGED = ("valid", "test")


@dataclass(frozen=True)
class Pretraining:
    """Everything a run needs, once the recipe has been acted on.

    Attributes:
        recipe: With nothing left open.
        run: Its folder.
        genomes: The genomes, cut into the windows of train, valid and test.
        model: To be trained.
        tokenizer: Published beside it.
        device: To train on.
        ranks: Processes that train together.
    """

    recipe: PretrainRecipe
    run: RunFolder
    genomes: Genomes
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizer
    device: torch.device
    ranks: Ranks


def pretrain(recipe: PretrainRecipe, *, restart: bool = False, device: str = "auto") -> Path:
    """Train a language model on a genome, or go on with a training that was stopped.

    Args:
        recipe: What to do.
        restart: Throw away what an earlier run left in the output folder.
        device: "auto", "cpu" or "cuda".

    Returns:
        The folder of the finished model.

    Raises:
        UsageError: When the recipe, its files or the output folder do not fit.
        InputError: When the genome is not one.
        OSError: When something could not be written.
        KeyboardInterrupt: On Ctrl-C; the same call goes on from the last checkpoint.
        Terminated: On SIGTERM; likewise.
    """
    with _prepare(recipe, device) as session:
        recipe, run = session.recipe, session.run
        facts = describe(session.device) | {"data": digests(session.genomes, recipe.data)}
        ranks = session.ranks
        with run.hold() if ranks.leads else nullcontext():
            if ranks.leads:
                run.begin(recipe, facts, restart=restart)
            ranks.wait(patiently=True)
            if run.is_done():
                console.say(f"{run.path} is done; its model is {run.model} (--restart begins anew)")
                return run.model
            _say_what_is_trained(session)
            ended = _train(session)
            session = replace(session, model=join_weights(session.model))
            if ranks.leads:
                _finish(session, ended)
            ranks.wait(patiently=True)
        return run.model


@contextmanager
def _prepare(recipe: PretrainRecipe, device: str) -> Iterator[Pretraining]:
    """Build the model and cut the genome; nothing is written but the genome's store."""
    place = choose_device(device)
    require_tensorboard(recipe.train.tensorboard)
    set_threads(recipe.train.threads)
    model, tokenizer = language_model(recipe)
    set_checkpointing(model, recipe.train.checkpointing)
    complete = _complete(recipe, model, place)
    run = RunFolder(complete.output)
    with (
        join_ranks(
            place, recipe.train.rank_timeout, run.checkpoints, recipe.train.sequence_ranks
        ) as ranks,
        open_genomes(complete.data) as genomes,
        kernel_backend(recipe.train.backend),
    ):
        ranks.split(recipe.train.batch_size)
        check_sharding(recipe.train.sharding == "fsdp", ranks)
        require_targets(genomes, complete)
        yield Pretraining(complete, run, genomes, model, tokenizer, place, ranks)


def _complete(
    recipe: PretrainRecipe, model: PreTrainedModel, place: torch.device
) -> PretrainRecipe:
    """Fill in every key that the recipe left open."""
    data, train = recipe.data, recipe.train
    values: dict[str, Any] = {
        "stride": data.length,
        "jitter": data.length // 2,
        "rc_augment": not model.config.rcps,
    }
    left_open = {key: value for key, value in values.items() if getattr(data, key) is None}
    paper = PRETRAINING[model.config.model_type]
    filled = paper.complete(train, train.learning_rate)
    filled["precision"] = choose_precision(train.precision, place)
    return recipe.model_copy(
        update={
            "data": data.model_copy(update=left_open),
            "masking": recipe.masking.complete(
                train.steps * train.batch_size * train.accumulate * data.length
            ),
            "train": train.model_copy(update=filled),
        }
    )


def _say_what_is_trained(session: Pretraining) -> None:
    recipe, genomes = session.recipe, session.genomes
    console.say(
        f"pretraining {session.model.num_parameters():,} parameters ({recipe.objective}, "
        f"{recipe.train.precision} linear layers, {session.device.type}) on windows of "
        f"{recipe.data.length:,} bases: {'; '.join(describe_genomes(genomes))}"
    )
    for line in overlap_lines(genomes):
        console.warn(f"{line}: figures of held-out parts are not all of unseen DNA")
    for stage in recipe.train.length_stages:
        console.say(f"before that, {stage.steps:,} steps on pieces of {stage.length:,} bases")
    if recipe.data.soft_mask_weight < 1 and not any(
        genome.store.counts.soft_masked for genome in genomes
    ):
        console.warn("data.soft_mask_weight: the FASTA has no base in lower case to weigh")


def _train(session: Pretraining) -> Ended:
    recipe, train = session.recipe, session.recipe.train
    judge = _judge(session)
    look = read_parts(session.genomes, recipe, "valid", looked_at(session.genomes, recipe))
    rows = judge.count("look", look) if session.ranks.leads else {}
    session.ranks.wait(patiently=True)
    loop = Loop(
        run=session.run,
        model=session.model,
        device=session.device,
        train=train,
        peak=train.learning_rate or 0.0,
        pace=Pace(
            steps=train.steps,
            batch_size=session.ranks.split(train.batch_size),
            eval_every=train.eval_every,
            save_every=train.save_every,
            seed=train.seed,
            workers=recipe.data.workers,
        ),
        length=recipe.data.length,
        label="pretraining",
        collate=LanguageDataset.collate,
        ranks=session.ranks,
        shards=train.sharding == "fsdp",
        count_targets=partial(count_targets, causal=recipe.objective == "causal_lm"),
        flops_of_step=count_steps(session.model.config, recipe, session.ranks),
        beside="; counting: " + ", ".join(f"{name} {bits:.3f}" for name, bits in rows.items()),
    )
    examples = slice_examples(
        training_examples(recipe, session.genomes), loop.pace.batch_size, session.ranks.ways
    )
    return run_loop(loop, examples, partial(judge.look, look))


def _judge(session: Pretraining) -> GenomeJudge:
    return GenomeJudge(
        session.model,
        session.genomes,
        session.run.path,
        session.recipe.train.batch_size,
        session.device,
    )


def count_targets(batch: dict[str, torch.Tensor], *, causal: bool) -> torch.Tensor:
    """Return how much of a batch counts in its loss: its targets, by their weights if any.

    Args:
        batch: ``labels`` and perhaps ``loss_weights``, (batch, length).
        causal: Whether each position is predicted from those before it.
    """
    group = sequence_group()  # where windows are slices, those of all of them count
    first = 1 if causal and (group is None or group.place == 0) else 0
    counted = (batch["labels"][:, first:] != IGNORED).float()
    weights = batch.get("loss_weights")
    return add_up((counted if weights is None else counted * weights[:, first:]).sum())


def _finish(session: Pretraining, ended: Ended) -> None:
    """Judge the model on the held-out parts, publish it and say how it did."""
    recipe, train = session.recipe, session.recipe.train
    console.say("judging the model on the held-out parts")
    judge = _judge(session)
    figures: dict[str, Any] = {
        split: judge.judge(split, read_parts(session.genomes, recipe, split, train.test_windows))
        for split in JUDGED
    }
    metrics = figures | {
        "markov": figures["test"]["markov"],
        "objective": recipe.objective,
        "parameters": session.model.num_parameters(),
        "steps": ended.step,
        "tokens": ended.step * train.batch_size * train.accumulate * recipe.data.length,
        "seconds": round(ended.seconds, 3),
    }
    if found := [asdict(overlap) for genome in session.genomes for overlap in genome.overlaps]:
        metrics["overlaps"] = found
    session.model.config.objective = recipe.objective
    session.model.config.training_length = recipe.data.length
    publish(session.run, session.model, session.tokenizer, metrics)
    say_figures("bits per base", figures)
    for name in figures["test"].get("genomes", ()):
        say_figures(
            f"bits per base, {name}", {split: figures[split]["genomes"][name] for split in JUDGED}
        )
    console.say(
        f"{ended.step:,} steps in {console.format_seconds(ended.seconds)}; {session.run.model}"
    )


def say_figures(title: str, figures: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the bits per base of a model and of counting on each part as a table."""
    table = {"model": [figures[split]["bits_per_base"] for split in JUDGED]}
    for row in figures["test"]["markov"]:
        table[row] = [figures[split]["markov"][row] for split in JUDGED]
    say_table(title, JUDGED, table)
