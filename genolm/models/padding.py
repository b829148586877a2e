"""Padding left out of the computation, for models whose config says `mask_padding`.

The published models have no mask: padding is a token like any other, and the results printed for
them count it. Here padding at the ends of a sequence may be left out instead, and no mixer needs to
know of it: sequences are moved to the front, and those of one length go through the model together.
A causal model cannot see what is behind the end of a sequence: there, those of similar lengths do.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import torch
from torch import Tensor
from torch.nn import functional
from transformers.utils import logging

from genolm.models.configuration import GenolmConfig
from genolm.parallel import refuse_slices

logger = logging.get_logger(__name__)

SPARE: Final = 128
"""What a row of a causal pass may be shorter than half of the longest, in tokens."""


class RunsBackbone(Protocol):
    """Embedding and blocks of a model.

    Attributes:
        causal: Whether no position sees a later one.
    """

    causal: bool

    def __call__(
        self, input_ids: Tensor | None, inputs_embeds: Tensor | None, keep_states: bool
    ) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        """Return final states (batch, length, channels) and, on request, those between blocks."""


def real_positions(
    config: GenolmConfig,
    input_ids: Tensor | None,
    inputs_embeds: Tensor | None,
    attention_mask: Tensor | None,
) -> Tensor | None:
    """Find the positions that are computed and count.

    Args:
        config: Options; without `mask_padding`, no mask has any effect.
        input_ids: Token ids (batch, length).
        inputs_embeds: Embedded sequences instead (batch, length, channels).
        attention_mask: 1 where a token is real and 0 where it is padding (batch, length); None
            finds the padding at the ends of each row of ids, and none in embeddings.

    Returns:
        Which positions are real (batch, length), a single stretch in each row; None if all count,
        padding included.

    Raises:
        ValueError: If the mask has another shape, or a hole; or if the model is to be exported,
            since what is computed then depends on the ids.
    """
    if not config.mask_padding:
        _warn_of_zeros(attention_mask)
        return None
    if torch.compiler.is_exporting():
        raise ValueError("a model with mask_padding: true cannot be exported: set it to false")
    refuse_slices("mask_padding: true")
    given = input_ids if inputs_embeds is None else inputs_embeds
    assert given is not None
    if attention_mask is not None:
        return _check_mask(attention_mask, given)
    if input_ids is not None:
        assert config.pad_token_id is not None
        return between_padding(input_ids, config.pad_token_id)
    return torch.ones(given.shape[:2], dtype=torch.bool, device=given.device)


def between_padding(input_ids: Tensor, pad_token_id: int) -> Tensor:
    """Find what stands between leading and trailing padding.

    Args:
        input_ids: Token ids (batch, length).
        pad_token_id: Id of the padding token.

    Returns:
        Which positions have a token that is no padding at or before them, and at or after them
        (batch, length): padding inside of a sequence is part of it.
    """
    real = (input_ids != pad_token_id).int()
    before = real.cumsum(dim=1) > 0
    after = real.flip(1).cumsum(dim=1).flip(1) > 0
    return before & after


def longest(mask: Tensor) -> int:
    """The most positions that are real in any row of a mask (batch, length)."""
    return int(mask.sum(dim=1).max()) if mask.numel() else 0


def run_backbone(
    backbone: RunsBackbone,
    input_ids: Tensor | None,
    inputs_embeds: Tensor | None,
    keep_states: bool,
    mask: Tensor | None,
) -> tuple[Tensor, tuple[Tensor, ...] | None]:
    """Run a backbone on the real positions of each row, and put its states in their places.

    Args:
        backbone: What is run.
        input_ids: Token ids (batch, length).
        inputs_embeds: Embedded sequences instead (batch, length, channels).
        keep_states: Whether to collect the states between blocks.
        mask: Real positions (batch, length), a single stretch in each row; None for all.

    Returns:
        What the backbone gives for each row cut to its real positions; zeros everywhere else.
    """
    counts = [] if mask is None else mask.sum(dim=1).tolist()
    if mask is None or all(count == mask.shape[1] for count in counts):
        return backbone(input_ids, inputs_embeds, keep_states)
    starts = mask.int().argmax(dim=1)
    # Where each position's states are among those of all passes; 0 is a row of zeros.
    places = torch.zeros(1 + mask.numel(), dtype=torch.long, device=mask.device)
    found, known = [], 1
    for rows in _passes(counts, backbone.causal):
        at = _positions(rows, counts, starts, mask)
        ids = None if input_ids is None else functional.pad(input_ids.flatten(), (1, 0))[at]
        embeds = None if inputs_embeds is None else _take([inputs_embeds], at)
        last, states = backbone(ids, embeds, keep_states)
        found.append([last, *(states or ())])
        places[at] = torch.arange(known, known + at.numel(), device=at.device).view(at.shape)
        known += at.numel()
    places[0] = 0
    home = places[1:].view(mask.shape)
    last, *between = (_take(parts, home) for parts in zip(*found, strict=True))
    return last, tuple(between) or None


def _passes(counts: list[int], causal: bool) -> list[list[int]]:
    """Divide rows into those that go through a model together.

    Args:
        counts: Real positions of each row; rows without any need no pass.
        causal: Whether what is behind a row's end has no influence. A pass is then cut to its
            longest row, and takes rows from about half of that on: padding is at most as much again
            as is real, and a few passes do for any lengths. Else rows of one length are a pass.

    Returns:
        The rows of each pass; at least one pass, so that the shape of states is known.
    """
    longest_first = sorted(range(len(counts)), key=counts.__getitem__, reverse=True)
    passes: list[list[int]] = []
    least = 0
    for row in [row for row in longest_first if counts[row]] or [0]:
        if not passes or counts[row] < least:
            passes.append([])
            least = counts[row] // 2 - SPARE if causal else counts[row]
        passes[-1].append(row)
    return passes


def _positions(rows: list[int], counts: list[int], starts: Tensor, mask: Tensor) -> Tensor:
    """Number the real positions of rows in all of the batch, from 1; 0 behind a row's end.

    Args:
        rows: The rows that are meant.
        counts: Real positions of each row of the batch.
        starts: The first of these (batch,).
        mask: Real positions (batch, length).

    Returns:
        (rows, the most real positions of any, 1 at least).
    """
    device = mask.device
    number = torch.tensor(rows, device=device)
    own = torch.tensor([counts[row] for row in rows], device=device)
    along = torch.arange(max(1, *(counts[row] for row in rows)), device=device)
    first = 1 + number * mask.shape[1] + starts[number]
    return torch.where(along < own[:, None], first[:, None] + along, 0)


def _take(parts: Sequence[Tensor], at: Tensor) -> Tensor:
    """Take positions of states, counted over all of them from 1; 0 gives zeros.

    Args:
        parts: States (any, any, channels).
        at: The positions (batch, length).

    Returns:
        (batch, length, channels). What is not taken has no gradient, not even NaN.
    """
    channels = parts[0].shape[-1]
    table = [parts[0].new_zeros(1, channels), *(part.reshape(-1, channels) for part in parts)]
    return functional.embedding(at, torch.cat(table), padding_idx=0)


def _check_mask(attention_mask: Tensor, given: Tensor) -> Tensor:
    if attention_mask.shape != given.shape[:2]:
        raise ValueError(
            f"attention_mask must be (batch, length), {tuple(given.shape[:2])}, "
            f"got {tuple(attention_mask.shape)}"
        )
    mask = attention_mask.bool()
    holes = (between_padding(mask, 0) & ~mask).any(dim=1)
    if holes.any():
        raise ValueError(
            "attention_mask has a hole: only padding at the ends of a sequence can be left out, "
            f"and row {int(holes.int().argmax())} has zeros between ones"
        )
    return mask


def _warn_of_zeros(attention_mask: Tensor | None) -> None:
    if attention_mask is None or torch.compiler.is_compiling() or attention_mask.all():
        return
    logger.warning_once(
        "attention_mask has no effect: in this model, as in the published ones, padding is a token "
        "like any other. Set mask_padding: true in its config to leave padding out."
    )
