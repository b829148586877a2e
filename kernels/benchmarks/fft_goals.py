"""What the long convolution is to reach: speed, memory, and cost against length."""

import math
from functools import partial

import peers
import torch
from goals import Result
from measuring import MIB, peak_memory, take_turns

from genolm_kernels import fft_conv, prepare_filter


def cached() -> list[Result]:
    """128 channels of 160,000 positions, the filter's spectrum at hand."""
    torch.manual_seed(0)
    u, k, d = torch.randn(1, 160_000, 128), torch.randn(160_000, 128), torch.randn(128)
    with torch.no_grad():
        spectrum = prepare_filter(k, 160_000)
        runs = {
            "ours": partial(fft_conv, u, spectrum, d),
            "plain": partial(peers.fft_conv, u, k, d),
        }
        fft_conv(u[:, :64], spectrum, d)  # torch loads parts of itself at the first call
        added, _ = peak_memory(runs["ours"])
        times = take_turns(runs, 5)
    name = "fft_conv, 128 x 160k, cached"
    return [
        Result(name, "against plain torch.fft", times["plain"] / times["ours"], "x", 2.5),
        Result(name, "peak extra memory", added / MIB, "MiB", at_most=128),
    ]


def growth() -> list[Result]:
    """Time against L log L, 131,072 positions against 8,192."""
    runs = {}
    with torch.no_grad():
        for length in (8192, 131072):
            u, k = torch.randn(1, length, 128), torch.randn(length, 128)
            runs[str(length)] = partial(fft_conv, u, prepare_filter(k, length))
        times = take_turns(runs, 9)
    work = 16 * math.log(131072) / math.log(8192)
    factor = times["131072"] / times["8192"] / work
    return [Result("fft_conv, 8k to 131k", "cost over L log L", factor, "", at_most=1.15)]
