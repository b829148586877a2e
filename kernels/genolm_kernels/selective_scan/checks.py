"""What a selective scan refuses before any backend is chosen; messages name the argument."""

from collections.abc import Sequence

import torch
from torch import Tensor

from genolm_kernels._checks import check_numbers

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias", "initial_state")


def check_call(tensors: Sequence[Tensor | None], *, prefix: str = "") -> None:
    """Refuse arguments of wrong shapes, types or devices.

    Args:
        tensors: The arguments in the order of `NAMES`, as in `genolm_kernels.selective_scan`.
        prefix: Put before their names in messages.

    Raises:
        ValueError: If one does not fit the others.
    """
    names = [prefix + name for name in NAMES]
    _check_shapes(dict(zip(names, tensors, strict=True)), prefix)
    check_numbers(dict(zip(names, tensors, strict=True)))


def _check_shapes(tensors: dict[str, Tensor | None], prefix: str) -> None:
    u, A = tensors[prefix + "u"], tensors[prefix + "A"]
    assert u is not None
    assert A is not None
    if u.dim() != 3 or u.shape[1] == 0:
        raise ValueError(f"{prefix}u must be (batch, length >= 1, d_inner), got {_shape(u)}")
    batch, length, d_inner = u.shape
    if A.dim() != 2 or A.shape[0] != d_inner:
        raise ValueError(f"{prefix}A must be (d_inner={d_inner}, d_state), got {_shape(A)}")
    d_state = A.shape[1]
    wanted = {
        "delta": (batch, length, d_inner),
        "D": (d_inner,),
        "z": (batch, length, d_inner),
        "delta_bias": (d_inner,),
        "initial_state": (batch, d_inner, d_state),
    }
    for name, shape in wanted.items():
        tensor = tensors[prefix + name]
        if tensor is not None and tensor.shape != torch.Size(shape):
            raise ValueError(f"{prefix}{name} must be {shape}, got {_shape(tensor)}")
    for name in (f"{prefix}B", f"{prefix}C"):
        matrix = tensors[name]
        assert matrix is not None
        _check_matrix(name, matrix, batch, length, d_inner, d_state)


def _check_matrix(
    name: str, matrix: Tensor, batch: int, length: int, d_inner: int, d_state: int
) -> None:
    forms = {
        2: (d_inner, d_state),
        3: (batch, length, d_state),
        4: (batch, length, matrix.shape[2] if matrix.dim() == 4 else 1, d_state),
    }
    if forms.get(matrix.dim()) != tuple(matrix.shape):
        raise ValueError(
            f"{name} must be {forms[3]}, ({batch}, {length}, groups, {d_state}) or {forms[2]}, "
            f"got {_shape(matrix)}"
        )
    if matrix.dim() == 4 and (matrix.shape[2] == 0 or d_inner % matrix.shape[2]):
        raise ValueError(f"{name} has {matrix.shape[2]} groups, which do not divide {d_inner}")


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
