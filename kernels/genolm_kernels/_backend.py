"""Choosing the backend of an operator: the first that runs, or the one asked for by name."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor

ENVIRONMENT_VARIABLE = "GENOLM_BACKEND"
RUNS_HERE = "runs here"

Result = TypeVar("Result")

# Process-wide and not a context variable: recomputation under gradient checkpointing may run in
# autograd's own threads, which must meet the same choice.
_asked_for: list[str] = []


@dataclass(frozen=True)
class Backend(Generic[Result]):
    """One way to compute an operator.

    Attributes:
        name: What a user calls it: "triton", "cpu" or "reference".
        run: The computation; takes the operator's canonical arguments.
        refuses: Same arguments; the reason why this call cannot run here, or None.
        unavailable: The reason why no call can run on this machine, or None.
        automatic: Whether it may be chosen without being asked for by name.
    """

    name: str
    run: Callable[..., Result]
    refuses: Callable[..., str | None]
    unavailable: Callable[[], str | None]
    automatic: Callable[[], bool] = lambda: True


def never(*_: object) -> str | None:
    """The `refuses` and `unavailable` of a backend that takes every call."""
    return None


def not_on_cpu(*args: object) -> str | None:
    """The `refuses` of a backend for CPU tensors of any floating type."""
    for tensor in args:
        if isinstance(tensor, Tensor) and tensor.device.type != "cpu":
            return f"it takes CPU tensors and was given one on {tensor.device}"
    return None


def requested(backend: str | None) -> str | None:
    """The name asked for: by argument, else by `use_backend`, else by GENOLM_BACKEND, else None."""
    if backend is not None:
        return backend
    if _asked_for:
        return _asked_for[-1]
    return os.environ.get(ENVIRONMENT_VARIABLE) or None


def choose(
    operator: str, backends: tuple[Backend[Result], ...], backend: str | None, *args: Any
) -> Backend[Result]:
    """The backend that computes this call.

    Args:
        operator: The operator's name, for messages.
        backends: In order of preference; the last one refuses nothing.
        backend: A name to insist on, or None.
        *args: The operator's canonical arguments, tensors first.

    Raises:
        ValueError: If the backend asked for does not exist or refuses this call.
    """
    name = requested(backend)
    if name is None:
        return _first_willing(operator, backends, *args)
    for candidate in backends:
        if candidate.name == name:
            reason = candidate.refuses(*args)
            if reason is None:
                return candidate
            raise ValueError(f"{operator}: backend {name!r} cannot run this call: {reason}")
    known = ", ".join(candidate.name for candidate in backends)
    raise ValueError(f"{operator} has no backend {name!r}; it has {known}")


def _first_willing(
    operator: str, backends: tuple[Backend[Result], ...], *args: Any
) -> Backend[Result]:
    for candidate in backends:
        if candidate.automatic() and candidate.refuses(*args) is None:
            break
    if candidate.name == "reference" and isinstance(args[0], Tensor) and args[0].is_cuda:
        # Python shows a warning once per place and text, which is what is wanted here.
        warnings.warn(f"{operator} runs its slow reference on CUDA tensors", stacklevel=3)
    return candidate


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Within the block every operator runs on this backend, or raises with the reason.

    Args:
        name: "cpu" or "reference"; an operator's own `backend=` argument wins over it.
    """
    _asked_for.append(name)
    try:
        yield
    finally:
        _asked_for.pop()


def describe(backends: tuple[Backend[Result], ...]) -> dict[str, str]:
    """Backend name to "runs here", or to the reason why it does not."""
    return {backend.name: backend.unavailable() or RUNS_HERE for backend in backends}
