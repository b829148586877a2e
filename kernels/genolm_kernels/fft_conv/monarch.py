"""Transforms as products of small matrices: which sizes there are, and the matrices.

A sequence of N = n1 n2 numbers is a matrix X (n1, n2), and its transform is F1 X, times factors,
times F2, with the matrices F1 (n1, n1) and F2 (n2, n2) of small transforms (Fu et al. 2023, arXiv
2311.05908). Positions are weighted by a^t with a^N = i, so that a linear convolution of real
sequences needs no padding to twice their length: its first N outputs are the real part of the
cyclic one (Crandall and Fagin 1994). With P = diag(a^(t1 n2)) and all products by `*` elementwise,

    Z = (F1 P X * T) F2,    Y = Re[(F1 P)^H (((Z * K) F2^H) * conj(T))] / N,
    T = exp(-2 pi i t2 (f1 - 1/4) / N),    a = exp(i pi / 2N),    K the filter's own Z.
"""

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

SIDES = (16, 32, 64, 128)  # of the matrices: beyond, their products outgrow what they save


class Plan(NamedTuple):
    """The matrices of a transform: real parts, then imaginary parts.

    Attributes:
        n1: Rows of the matrix that a sequence is.
        n2: Columns.
        first: F1 P (2, n1, n1).
        second: F2 (2, n2, n2).
        factors: T (2, n1, n2).
    """

    n1: int
    n2: int
    first: Tensor
    second: Tensor
    factors: Tensor

    @property
    def layout(self) -> str:
        """The name of the spectra's order."""
        return f"monarch {self.n1} {self.n2}"


def shapes() -> list[tuple[int, int]]:
    """Every matrix that sequences are taken as, smallest first."""
    pairs = [(n1, n2) for n1 in SIDES for n2 in SIDES if n2 in (n1, 2 * n1)]
    return sorted(pairs, key=math.prod)


def plan_for(length: int, device: torch.device) -> Plan | None:
    """The smallest plan for sequences of a length; None where cuFFT does better.

    The rule is by counting: n1 + n2 products for each number and direction pay while they hide
    behind the reading and writing. It has not been measured on a GPU.
    """
    for n1, n2 in shapes():
        if n1 * n2 >= length:
            return _make_plan(n1, n2, device)
    return None


@functools.lru_cache(maxsize=16)
def _make_plan(n1: int, n2: int, device: torch.device) -> Plan:
    rows, columns = (torch.arange(n, dtype=torch.float64) for n in (n1, n2))
    rows_down, columns_down = rows[:, None], columns[:, None]
    return Plan(
        n1,
        n2,
        _turns(rows_down * rows / n1 - rows / (4 * n1), device),
        _turns(columns_down * columns / n2, device),
        _turns((rows_down - 0.25) * columns / (n1 * n2), device),
    )


def _turns(part: Tensor, device: torch.device) -> Tensor:
    """exp(-2 pi i part) as (2, ...) in float32."""
    angle = -2 * math.pi * part
    return torch.stack([angle.cos(), angle.sin()]).to(device, torch.float32)


def crossed(one: Tensor, other: Tensor) -> Tensor:
    """Sum over sequences of one conj(other), all (batch, 2, n1, n2, channels)."""
    re = (one[:, 0] * other[:, 0] + one[:, 1] * other[:, 1]).sum(0)
    im = (one[:, 1] * other[:, 0] - one[:, 0] * other[:, 1]).sum(0)
    return torch.stack([re, im]).unsqueeze(0)
