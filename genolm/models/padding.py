"""Padding left out of the computation, for models whose config says `mask_padding`.

The published models have no mask: padding is a token like any other, and the results printed for
them count it. Here padding at the ends of a sequence may be left out instead: sequences of a batch
whose real tokens stand at the same place go through the model together, cut to these tokens, and
no mixer needs to know of it.
"""

from collections import defaultdict

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.utils import logging

from genolm.models.configuration import GenolmConfig
from genolm.parallel import refuse_slices

logger = logging.get_logger(__name__)


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
    backbone: nn.Module,
    input_ids: Tensor | None,
    inputs_embeds: Tensor | None,
    keep_states: bool,
    mask: Tensor | None,
) -> tuple[Tensor, tuple[Tensor, ...] | None]:
    """Run a backbone on the real positions of each row, and put its states in their places.

    Args:
        backbone: Ids, embeddings and whether to keep states, to final states (batch, length,
            channels) and the states between blocks, or None.
        input_ids: Token ids (batch, length).
        inputs_embeds: Embedded sequences instead (batch, length, channels).
        keep_states: Whether to collect the states between blocks.
        mask: Real positions (batch, length), a single stretch in each row; None for all.

    Returns:
        What the backbone gives for each row cut to its real positions; zeros everywhere else.
    """
    groups = {} if mask is None else _group_rows(mask)
    if mask is None or list(groups) == [(0, mask.shape[1])]:
        whole: tuple[Tensor, tuple[Tensor, ...] | None]
        whole = backbone(input_ids, inputs_embeds, keep_states)
        return whole
    found = []
    for (start, stop), rows in groups.items():
        # A row without any token gets zeros in the shape of one token's states.
        piece = slice(start, max(stop, 1))
        ids = None if input_ids is None else input_ids[rows, piece]
        embeds = None if inputs_embeds is None else inputs_embeds[rows, piece]
        last, states = backbone(ids, embeds, keep_states)
        parts = [last, *(states or ())]
        if start == stop:
            parts = [part.new_zeros(part.shape) for part in parts]
        behind = mask.shape[1] - piece.stop
        found.append([functional.pad(part, (0, 0, start, behind)) for part in parts])
    order = torch.tensor([row for rows in groups.values() for row in rows], device=mask.device)
    last, *between = (torch.cat(parts)[order.argsort()] for parts in zip(*found, strict=True))
    return last, tuple(between) or None


def _group_rows(mask: Tensor) -> dict[tuple[int, int], list[int]]:
    """Rows whose real positions are the same, by the first of these and the end."""
    start, count = mask.int().argmax(dim=1), mask.sum(dim=1)
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, (first, stop) in enumerate(torch.stack([start, start + count], dim=1).tolist()):
        groups[first, stop].append(row)
    return groups


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
