"""What is compiled ahead of time of the Triton kernels of the selective scan."""

from typing import Any

from genolm_kernels._triton import Compilation
from genolm_kernels.selective_scan import triton_plan
from genolm_kernels.selective_scan.triton_backward import backward, chunk_adjoints
from genolm_kernels.selective_scan.triton_kernels import carry, chunk_ends, forward
from genolm_kernels.selective_scan.triton_launch import CARRY_AHEAD, CARRY_BLOCK
from genolm_kernels.selective_scan.triton_plan import Plan

TYPES = ("fp32", "bf16", "fp16")
# In the inputs' type; other tensors are float32, as models keep them under mixed precision.
NARROW = {"u", "delta", "B", "C", "z", "y", "dy", "du", "ddelta", "dz"}
VECTORS = {"D", "bias"}
STATES = {"A", "sums", "entries", "kept", "last", "ends", "initial", "scratch"}
GRADIENTS = {"dA", "dB", "dC", "dD", "dbias", "dinitial"}
ALIGNED_SIZES = {"channels", "width", "size", "u_step", "delta_step", "z_step", "u_batch"}
# What a call may lack: here it does.
LACKING = {"dinitial", "initial"}
# What a call without skip, gate and bias, in one chunk and without a backward pass lacks as well.
BARE = {"D", "D2", "bias", "bias2", "z", "sums", "dz", "dD", "dbias", "entries", "kept"}
OTHER_STATES = 64


def scan_compilations(directions: int) -> list[Compilation]:
    """The kernels for one direction or both, as models call them, and in their rarer forms."""
    found = []
    for dtype in TYPES:
        found += _kernels(dtype, directions, 16)
    found += _kernels("bf16", directions, OTHER_STATES)
    if directions == 1:
        found += _kernels("fp32", directions, 16, fixed=True)
        found += _kernels("fp32", directions, 5, grouped=True, softplus=False)
        found += _kernels("fp32", directions, 16, lacking=frozenset(BARE))
        for states in (16, OTHER_STATES):
            found.append(_carry(states))
    return found


def _kernels(
    dtype: str,
    directions: int,
    states: int,
    *,
    fixed: bool = False,
    grouped: bool = False,
    softplus: bool = True,
    lacking: frozenset[str] = frozenset(),
) -> list[Compilation]:
    width = triton_plan.BLOCK
    plan = Plan(1, 1, 2 * width, states, 2 if grouped else 1, directions, triton_plan.SPAN)
    constants: dict[str, Any] = {
        "N": states,
        "NP": plan.padded,
        "BD": width,
        "SPAN": triton_plan.SPAN,
        "DIRECTIONS": directions,
        "GROUPED": grouped,
        "B_FIXED": fixed,
        "C_FIXED": fixed,
        "SOFTPLUS": softplus,
        "T": plan.tile,
        **dict.fromkeys(lacking | LACKING),
    }
    form = "".join(word for word, has in (("fixed ", fixed), ("grouped ", grouped)) if has)
    form += "bare " if lacking else ""
    found = []
    for kernel in (
        (forward, backward) if lacking else (chunk_ends, forward, chunk_adjoints, backward)
    ):
        of_kernel = {name: constants[name] for name in kernel.arg_names if name in constants}
        if kernel is backward:
            of_kernel.pop("kept", None)
        name = f"{kernel.__name__} {form}{directions}x{states} {dtype}"
        found.append(_compilation(name, kernel, dtype, of_kernel, fixed, plan.warps))
    return found


def _compilation(
    name: str, kernel: Any, dtype: str, constants: dict[str, Any], fixed: bool, warps: int
) -> Compilation:
    signature = {}
    for argument in kernel.arg_names:
        base = argument.removesuffix("2")
        if argument in constants:
            signature[argument] = "constexpr"
        elif base in ("B", "C") and fixed:
            signature[argument] = "*fp32"
        elif base in NARROW:
            signature[argument] = f"*{dtype}"
        elif base in VECTORS | STATES | GRADIENTS:
            signature[argument] = "*fp32"
        else:
            signature[argument] = "i32"
    aligned = [n for n, kind in signature.items() if kind[0] == "*" or n in ALIGNED_SIZES]
    return Compilation(
        name, kernel, signature, constants, num_warps=warps, num_stages=2, aligned=tuple(aligned)
    )


def _carry(states: int) -> Compilation:
    constants = {"N": states, "BLOCK": CARRY_BLOCK, "AHEAD": CARRY_AHEAD, "initial": None}
    return _compilation(f"carry {states}", carry, "fp32", constants, False, 4)
