"""What the Triton kernels share: when they run, tuning, and what is compiled ahead of time."""

import os
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

# Triton reads the variable when it is first imported; kernels differ in places that its
# interpreter gets wrong.
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# Looked for once: a search takes longer than a small operator, and every call asks.
INSTALLED = find_spec("triton") is not None


def unavailable() -> str | None:
    """The reason why no Triton kernel can run in this process, or None."""
    if not INSTALLED:
        return 'triton is not installed: pip install "genolm[triton]"'
    if INTERPRETED or torch.cuda.is_available():
        return None
    return "it needs a CUDA device and there is none"


def refuses(*args: object) -> str | None:
    """The reason why a call with these arguments cannot run on Triton, or None."""
    reason = unavailable()
    if reason is not None:
        return reason
    for tensor in args:
        if not isinstance(tensor, Tensor):
            continue
        if tensor.dtype == torch.float64:
            return "it computes in float32 and was given float64"
        if not (tensor.is_cuda or INTERPRETED):
            return f"it takes CUDA tensors and was given one on {tensor.device}"
    return None


def refuses_gradients(*args: object) -> str | None:
    """As `refuses`, of a kernel that has no backward pass."""
    if torch.is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in args):
        return "it computes no gradients and was given a tensor that requires one"
    return refuses(*args)


def automatic() -> bool:
    """Whether Triton may be chosen without being asked for: not where it is interpreted."""
    return not INTERPRETED


@dataclass(frozen=True)
class Compilation:
    """One specialisation of a kernel, to be compiled ahead of time without a GPU.

    Attributes:
        name: What reports call it.
        kernel: The `triton.jit` function.
        signature: Argument name to Triton type, such as "*fp32", "*bf16", "i32", "constexpr".
        constants: Argument name to value, of those that are "constexpr".
        num_warps: Warps of one program.
        num_stages: Stages of software pipelining.
        aligned: Arguments whose pointers or values are multiples of 16.
        most_registers: More per thread than this is a mistake.
    """

    name: str
    kernel: Any
    signature: dict[str, str]
    constants: dict[str, Any] = field(default_factory=dict)
    num_warps: int = 4
    num_stages: int = 2
    aligned: tuple[str, ...] = ()
    most_registers: int = 255
