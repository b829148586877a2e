"""The fast modes: scores within a stated error of the exact ones, for ``--fast`` alone.

A mode belongs to a kind of model. It calibrates itself on the model and the genome at hand, or
finds an earlier calibration, and says in `FastNote` what it was off by. Its numbers may depend on
which other alleles are scored with it: where a shared computation does not pay, it computes the
exact score instead.
"""

from collections.abc import Callable
from typing import Final

from genolm.errors import UsageError
from genolm.scoring.fast_parts import FastMode, FastParts
from genolm.scoring.seeded_calibration import make_seeded

FAST_MODES: Final[dict[str, Callable[[FastParts], FastMode]]] = {  # by the model's objective
    "masked_lm": make_seeded,
}


def make_fast(task: str, parts: FastParts) -> FastMode:
    """Return the fast mode of a model, calibrated.

    Args:
        task: The model's objective.
        parts: What it is made of.

    Raises:
        UsageError: There is none for such a model.
    """
    if task not in FAST_MODES:
        hint = ", or rank by --scores screen" if task == "causal_lm" else ""
        raise UsageError(f"--fast: a {task} model has no fast mode; leave --fast out{hint}")
    return FAST_MODES[task](parts)


def fast_account(mode: FastMode | None) -> str:
    """Return what the closing line adds for a fast mode; nothing for the exact scores."""
    return "" if mode is None else f"; {mode.note.text()}; {mode.account()}"
