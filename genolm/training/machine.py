"""What this machine trains with: device, precision, threads, versions."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

import genolm
from genolm.errors import UsageError
from genolm.modules.linear import set_compute_dtype
from genolm.modules.recompute import recompute_parts
from genolm_kernels import backends, use_backend

CPU_INFO = Path("/proc/cpuinfo")


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called "auto", "cpu" or "cuda".

    Raises:
        UsageError: For another name, and for "cuda" where there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {name}: choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch finds no CUDA device here")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if (rank := os.environ.get("LOCAL_RANK")) is not None:  # torchrun: a device for each process
        return torch.device("cuda", int(rank) % torch.cuda.device_count())
    return torch.device("cuda")


def choose_precision(wanted: str, device: torch.device) -> str:
    """Return "float32", "bf16" or "fp16"; "auto" is bf16 where matrix products in it are fast.

    Raises:
        UsageError: For fp16 on a CPU.
    """
    if wanted == "fp16" and device.type != "cuda":
        raise UsageError(
            "train.precision: fp16 needs a CUDA device, for its gradients are scaled there;"
            f" on {device.type} choose bf16 or float32"
        )
    if wanted != "auto":
        return wanted
    fast = gpu_multiplies_bf16(device) if device.type == "cuda" else cpu_multiplies_bf16()
    return "bf16" if fast else "float32"


def gpu_multiplies_bf16(device: torch.device) -> bool:
    """Tell whether a GPU has bfloat16 products; before Ampere (V100, T4) it has not."""
    return torch.cuda.get_device_capability(device) >= (8, 0)


def cpu_multiplies_bf16() -> bool:
    """Tell whether this CPU has bfloat16 products (3-4 times as fast as float32 ones)."""
    if not CPU_INFO.is_file():
        return False
    flags = CPU_INFO.read_text(encoding="utf-8", errors="replace").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def set_precision(model: nn.Module, precision: str) -> None:
    """Run the linear layers of ``model`` in ``precision``; its weights stay float32.

    Those of fp16 are autocast's business, which the Trainer switches on around each step.
    """
    set_compute_dtype(model, torch.bfloat16 if precision == "bf16" else None)


def set_checkpointing(model: nn.Module, parts: str) -> None:
    """Let the blocks of ``model`` compute parts again in the backward pass instead of keeping them.

    Args:
        model: To be trained.
        parts: "none", "mixer", "mlp" or "both".

    Raises:
        UsageError: The model has no such part.
    """
    names = {"none": (), "both": ("mixer", "mlp")}.get(parts, (parts,))
    try:
        recompute_parts(model, names)
    except ValueError as error:
        raise UsageError(f"train.checkpointing: {error}") from None


def set_threads(count: int | None) -> None:
    """Use ``count`` CPU threads; None leaves the choice to torch."""
    if count is not None:
        torch.set_num_threads(count)


def describe(device: torch.device) -> dict[str, Any]:
    """Return versions and machine, for the record of a run."""
    return {
        "versions": {
            "genolm": genolm.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
        "machine": {"device": device.type, "threads": torch.get_num_threads()},
    }


@contextmanager
def kernel_backend(name: str | None) -> Iterator[None]:
    """Run the block's operators on the backend called ``name``; None leaves the choice to them.

    Raises:
        UsageError: When no operator has such a backend.
    """
    known = sorted({backend for choices in backends().values() for backend in choices})
    if name is not None and name not in known:
        raise UsageError(f"train.backend: no backend {name!r}; choose {', '.join(known)} or null")
    with use_backend(name) if name is not None else nullcontext():
        yield
