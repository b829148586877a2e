"""The weights of a folder into a model, with nothing missing and nothing left over."""

import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
import torch
from transformers.utils import logging

from genolm.errors import InputError
from genolm.models.backbone import GenolmModel
from genolm.models.checkpoint import HEAD, LABEL_HEAD
from genolm.models.configuration import GenolmConfig
from genolm.models.folder_errors import (
    describe_damage,
    describe_depth,
    describe_missing,
    describe_shapes,
    describe_untied,
    describe_unused,
)
from genolm.models.weights import find_weights, read_weights

# Given by a formula, or by the config, wherever a file lacks them.
DERIVED = re.compile(r"(complement_map|pos_emb\.[zt]|modulation\.deltas)$")
FREQUENCY = re.compile(r"implicit_filter\.1\.freq$")
# What transformers and torch raise on files that are damaged, or absent though an index names them.
UNREADABLE = (
    OSError,
    RuntimeError,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
    EOFError,
    pickle.UnpicklingError,
)


def read_model(
    folder: Path,
    model_class: type[GenolmModel],
    config: GenolmConfig,
    dtype: torch.dtype,
    seed: int,
    fresh_head: bool,
) -> GenolmModel:
    """Build a model and read a folder's weights into it.

    Args:
        folder: The folder.
        model_class: What to build.
        config: Its config.
        dtype: Of all its tensors.
        seed: A fresh head is a function of it.
        fresh_head: Whether the folder's head, if it has one, is not the one wanted.

    Returns:
        The model, in evaluation mode.

    Raises:
        UsageError: If a file is missing.
        InputError: If the files are damaged or do not belong to the config.
    """
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            loaded: Any = model_class.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        except safetensors.SafetensorError as error:
            reason = describe_damage(folder) or error
            raise InputError(f"{folder}: the weights are damaged: {reason}") from error
        except UNREADABLE as error:
            read_weights(find_weights(folder))  # says what is wrong with the files, if they are
            if isinstance(error, pickle.UnpicklingError):
                raise InputError(
                    f"{folder}: the weights hold more than tensors: read them with genolm convert"
                ) from error
            raise
    model: GenolmModel
    model, found = loaded
    _check_tensors(folder, model, found, fresh_head)
    return model


def _check_tensors(
    folder: Path, model: GenolmModel, found: Mapping[str, Any], fresh_head: bool
) -> None:
    own = model.state_dict()
    config, missing, unused = model.config, found["missing_keys"], found["unexpected_keys"]
    assert isinstance(config, GenolmConfig)
    # Not the model's current list: transformers takes off it what the file holds twice.
    tied = model._tied_weights_keys if config.tie_word_embeddings else None
    problems = [
        describe_missing(own, {key for key in missing if not _may_lack(key, config, fresh_head)}),
        describe_unused(key for key in unused if not HEAD.search(key)),
        describe_shapes(
            entry
            for entry in found["mismatched_keys"]
            if not (fresh_head and LABEL_HEAD.match(entry[0]))
        ),
        describe_untied(tied, own),
    ]
    if told := [problem for problem in problems if problem]:
        depth = describe_depth(config, own, missing, unused)
        raise InputError(f"{folder}: {told[0]}" + (f"; {depth}" if depth else ""))


def _may_lack(key: str, config: GenolmConfig, fresh_head: bool) -> bool:
    # The original keeps frequencies that are not trained in its config alone.
    fixed = not getattr(config, "train_freq", True) and FREQUENCY.search(key)
    return bool(DERIVED.search(key) or fixed) or (fresh_head and bool(LABEL_HEAD.match(key)))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' progress bars and reports; what they say is checked here."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
