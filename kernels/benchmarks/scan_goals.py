"""What the selective scan is to reach: speed against peers, memory, and cost against length."""

from collections.abc import Callable
from functools import partial

import peers
import torch
from goals import Result
from measuring import MIB, peak_memory, take_turns
from torch import Tensor

from genolm_kernels import selective_scan

STATES = 16


def inputs(length: int, channels: int, *, gradients: bool) -> list[Tensor]:
    """Random arguments of a scan of one sequence, in the order of `selective_scan`."""
    torch.manual_seed(0)
    steps = [torch.randn(1, length, channels) for _ in range(3)]
    rates = -torch.arange(1.0, STATES + 1).repeat(channels, 1)
    matrices = [torch.randn(1, length, STATES) for _ in range(2)]
    bias = torch.empty(channels).uniform_(-7, -2)  # steps of 0.001 to 0.1, as in Mamba
    values = [*steps[:2], rates, *matrices, torch.ones(channels), steps[2], bias]
    return [value.requires_grad_(gradients) for value in values]


def ours(*values: Tensor) -> Tensor:
    """The scan with everything fused, as mixers call it."""
    return selective_scan(*values, delta_softplus=True)


def there_and_back(scan: Callable[..., Tensor], values: list[Tensor]) -> None:
    """One forward and one backward pass."""
    y = scan(*values)
    torch.autograd.grad(y, values, torch.ones_like(y))


def forward() -> list[Result]:
    """Forward, 1 x 8192 x 256."""
    values = inputs(8192, 256, gradients=False)
    runs = {
        "ours": partial(ours, *values),
        "slow path": partial(peers.slow_path_scan, *values),
        "mambapy": partial(peers.mambapy_scan, *values),
    }
    with torch.no_grad():
        times = take_turns(runs, 7, warm=True)
    name = "selective_scan fwd, 1 x 8192 x 256, N 16"
    rate = 8192 * 256 * STATES / times["ours"] / 1e9
    slow, mambapy = (times[peer] / times["ours"] for peer in ("slow path", "mambapy"))
    return [
        Result(name, "state updates/s", rate, "G", at_least=8),
        Result(name, "against transformers' slow path", slow, "x", at_least=50),
        Result(name, "against mambapy", mambapy, "x", at_least=15),
    ]


def backward() -> list[Result]:
    """Forward and backward, 1 x 8192 x 256."""
    values = inputs(8192, 256, gradients=True)
    runs = {
        name: partial(there_and_back, scan, values)
        for name, scan in (("ours", ours), ("mambapy", peers.mambapy_scan))
    }
    times = take_turns(runs, 5)
    name = "selective_scan fwd+bwd, 1 x 8192 x 256"
    return [Result(name, "against mambapy", times["mambapy"] / times["ours"], "x", 12)]


def memory() -> list[Result]:
    """Peak of forward and backward."""
    results = []
    for length, bar in ((8192, 64), (65536, 512)):
        values = inputs(length, 256, gradients=True)
        there_and_back(ours, [value[:, :64] if value.dim() == 3 else value for value in values])
        added, _ = peak_memory(partial(there_and_back, ours, values))
        name = f"selective_scan fwd+bwd, 1 x {length} x 256"
        results.append(Result(name, "peak extra memory", added / MIB, "MiB", at_most=bar))
    return results


def growth() -> list[Result]:
    """Time a position, 131,072 positions against 8,192."""
    runs = {}
    for length in (8192, 131072):
        runs[str(length)] = partial(ours, *inputs(length, 256, gradients=False))
    with torch.no_grad():
        times = take_turns(runs, 7)
    factor = times["131072"] / times["8192"] / 16
    return [Result("selective_scan, 8k to 131k", "cost over linear", factor, "", at_most=1.15)]
