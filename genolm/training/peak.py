"""How many floating-point operations a second a device can do at best.

Of GPUs that is what the vendor's data sheet says of dense matrix products (without sparsity): in
float32 outside the tensor cores, which torch uses by default, and in half precision with float32
sums. A GPU that is not in the table has no known peak, and then no utilisation is told. Of CPUs,
whose sheets say no such thing, it is what a large matrix product reaches here.
"""

import re
import time
from functools import cache
from typing import Final

import torch

GPU_TERAFLOPS: dict[str, tuple[float, float]] = {
    # name in torch: float32, bfloat16 or float16
    "A10": (31.2, 125.0),
    "A100": (19.5, 312.0),
    "H100 PCIe": (51.2, 756.0),
    "H100 80GB HBM3": (66.9, 989.4),
    "H200": (66.9, 989.4),
    "L4": (30.3, 121.0),
    "L40S": (91.6, 362.0),
    "RTX A5000": (27.8, 111.1),
    "RTX A6000": (38.7, 154.8),
    "T4": (8.1, 65.0),
    "V100 SXM2": (15.7, 125.0),
}
"""Peaks in 10^12 operations a second. Half precision of T4 and V100 is float16; they have no fast
bfloat16."""

NO_BFLOAT16 = ("T4", "V100 SXM2")

LESSER: Final = re.compile(r" (MIG|NVL|Laptop|GRID|\d+[ABCQ]) ")
"""In the names of parts (MIG, virtual GPUs) and of smaller models of a GPU that is in the table."""

SIZE = 768
REPEATS = 4


def peak_flops(device: torch.device, precision: str) -> float | None:
    """Return the operations a second that linear layers could do at best.

    Args:
        device: "cpu", or a CUDA device.
        precision: "float32", "bf16" or "fp16".

    Returns:
        The peak of one device (all CPU threads together are one); None where it is unknown.
    """
    if device.type == "cpu":
        return _measure(precision, torch.get_num_threads())
    return gpu_peak(torch.cuda.get_device_name(device), precision)


def gpu_peak(name: str, precision: str) -> float | None:
    """Return the peak of the GPU that torch calls ``name``; None if it is not in the table.

    Args:
        name: Such as "NVIDIA A100-SXM4-80GB" or "Tesla T4".
        precision: "float32", "bf16" or "fp16".
    """
    words = f" {name.replace('-', ' ')} "
    known = [gpu for gpu in GPU_TERAFLOPS if f" {gpu} " in words]
    if not known or LESSER.search(words):
        return None
    gpu = max(known, key=len)
    if precision == "bf16" and gpu in NO_BFLOAT16:
        return None
    return GPU_TERAFLOPS[gpu][0 if precision == "float32" else 1] * 1e12


@cache
def _measure(precision: str, threads: int) -> float:
    """Time a matrix product on that many CPU threads: the best of a few, after a first one."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    left, right = torch.ones(SIZE, SIZE, dtype=dtype), torch.ones(SIZE, SIZE, dtype=dtype)
    seconds = []
    with torch.inference_mode():
        for _ in range(REPEATS + 1):
            started = time.perf_counter()
            torch.mm(left, right)
            seconds.append(time.perf_counter() - started)
    return 2 * SIZE**3 / min(seconds[1:])
