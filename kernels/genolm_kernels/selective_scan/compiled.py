"""The selective scan by the compiled library: one direction, or two whose outputs are added.

Mirrors the structures of native/source/selective_scan.h. Inputs are read where they lie, by
strides; narrower types than float32 are widened first.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genolm_kernels.native import library
from genolm_kernels.selective_scan.tiles import Call, ceil_div

TILE = 16  # steps between two saved states: a kilobyte of them for 16 states of 16 channels
LANES = 16  # of the widest vectors; saved states are padded to it whatever the machine has
ITEMS = 8  # of work at least in a backward pass, where there are enough channels

_POINTERS = ("u", "delta", "A", "B", "C", "D", "bias", "initial", "last", "starts")
_STRIDES = ("u_batch", "u_step", "delta_batch", "delta_step")
_MATRIX_STRIDES = ("B_batch", "B_step", "B_group", "C_batch", "C_step", "C_group")
_SIZES = ("batch", "length", "channels", "states", "groups", "tile", "parts", "directions")
_GRADIENTS = ("du", "ddelta", "dB", "dC", "dA", "dinitial", "dD", "dbias", "dlast")


class _Direction(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in _POINTERS),
        *((name, ctypes.c_int64) for name in (*_STRIDES, *_MATRIX_STRIDES, "reverse")),
    ]


class _Scan(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in (*_SIZES, "softplus")),
        ("z", ctypes.c_void_p),
        ("z_batch", ctypes.c_int64),
        ("z_step", ctypes.c_int64),
        ("direction", _Direction * 2),
    ]


class _DirectionGradients(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in _GRADIENTS]


class _ScanGradients(ctypes.Structure):
    _fields_ = [
        ("dy", ctypes.c_void_p),
        ("dy_batch", ctypes.c_int64),
        ("dy_step", ctypes.c_int64),
        ("dz", ctypes.c_void_p),
        ("direction", _DirectionGradients * 2),
    ]


def takes(call: Call) -> bool:
    """Whether the compiled library is there and computes this call."""
    return (
        call.dtype == torch.float32
        and min(call.B.dim(), call.C.dim()) >= 3
        and _groups(call.B) == _groups(call.C)
        and library() is not None
    )


def starts_shape(call: Call, keep: bool) -> tuple[int, ...]:
    """Shape of the states saved at the tiles' starts; no tiles unless they are kept."""
    batch, length, d_inner = call.u.shape
    groups = _groups(call.B)
    padded = ceil_div(d_inner // groups, LANES) * LANES
    return (batch, ceil_div(length, TILE) if keep else 0, groups, padded, call.A.shape[1])


def forward(
    calls: Sequence[Call], z: Tensor | None, keep: bool
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Scan in the directions of these calls and add up.

    Args:
        calls: One or two calls of equal sizes; their own gates are not looked at.
        z: Gate of the sum (batch, length, d_inner), or None.
        keep: Whether a backward pass will need the states at the starts of the tiles.

    Returns:
        y (batch, length, d_inner) in u's type, and for each direction the last state and the
        saved states.
    """
    u, A = calls[0].u, calls[0].A
    batch, _, d_inner = u.shape
    y = torch.empty(u.shape, dtype=torch.float32)
    last = [y.new_empty(batch, d_inner, A.shape[1]) for _ in calls]
    starts = [y.new_empty(starts_shape(call, keep)) for call in calls]
    if u.numel():
        ready = _Ready.of(calls, z)
        threads = torch.get_num_threads()
        items = ceil_div(2 * threads, batch * ready.scan.groups)
        blocks = ceil_div(ready.scan.channels // ready.scan.groups, LANES)
        ready.scan.parts = max(1, min(blocks, items))
        for direction, end, start in zip(ready.scan.direction, last, starts, strict=False):
            direction.last = end.data_ptr()
            direction.starts = start.data_ptr() if keep else None
        loaded = library()
        assert loaded is not None
        address = ctypes.c_void_p(y.data_ptr())
        loaded.genolm_selective_scan(ctypes.byref(ready.scan), address, ctypes.c_int(threads))
    return y.to(u.dtype), last, starts


def backward(
    calls: Sequence[Call],
    z: Tensor | None,
    starts: Sequence[Tensor],
    dy: Tensor,
    dlast: Sequence[Tensor | None],
) -> tuple[list[list[Tensor | None]], Tensor | None]:
    """The gradients of `forward`.

    Args:
        calls: As in `forward`.
        z: As in `forward`.
        starts: The saved states of each direction.
        dy: Gradient of y (batch, length, d_inner).
        dlast: Gradient of each last state, or None.

    Returns:
        For each direction the gradients of its call's tensors but z, in their order and types,
        None where the tensor is None; and the gradient of z.
    """
    ready = _Ready.of(calls, z)
    scan = ready.scan
    blocks = ceil_div(scan.channels // scan.groups, LANES)
    # A matter of sizes alone: dB and dC are added up part by part.
    scan.parts = max(1, min(blocks, ceil_div(ITEMS, max(1, scan.batch * scan.groups))))
    gradients = _ScanGradients()
    wide_dy = ready.steps(dy)
    gradients.dy, gradients.dy_batch, gradients.dy_step = wide_dy.data_ptr(), *_strides(wide_dy)
    dz = None if z is None else wide_dy.new_empty(z.shape)
    gradients.dz = None if dz is None else dz.data_ptr()
    sums: list[_Sums] = []
    for call, start, end, direction, out in zip(
        calls, starts, dlast, scan.direction, gradients.direction, strict=False
    ):
        direction.starts = start.data_ptr()
        found = _Sums.empty(call, scan)
        found.point(out)
        out.dlast = None if end is None else ready.keep(end.float().contiguous()).data_ptr()
        sums.append(found)
    if dy.numel():
        loaded = library()
        assert loaded is not None
        pointers = ctypes.byref(scan), ctypes.byref(gradients)
        loaded.genolm_selective_scan_backward(*pointers, ctypes.c_int(torch.get_num_threads()))
    found_lists = [total.finished(call) for total, call in zip(sums, calls, strict=True)]
    return found_lists, None if z is None or dz is None else dz.to(z.dtype)


class _Ready:
    """A call's arguments as the library wants them, kept alive while it runs."""

    def __init__(self) -> None:
        self.scan = _Scan()
        self.kept: list[Tensor] = []

    @classmethod
    def of(cls, calls: Sequence[Call], z: Tensor | None) -> "_Ready":
        ready, first = cls(), calls[0]
        scan = ready.scan
        scan.batch, scan.length, scan.channels = first.u.shape
        scan.states, scan.groups = first.A.shape[1], _groups(first.B)
        scan.tile, scan.parts, scan.directions = TILE, 1, len(calls)
        scan.softplus = first.delta_softplus
        if z is not None:
            gate = ready.steps(z)
            scan.z, scan.z_batch, scan.z_step = gate.data_ptr(), *_strides(gate)
        for call, direction in zip(calls, scan.direction, strict=False):
            ready._fill(call, direction)
        return ready

    def _fill(self, call: Call, direction: _Direction) -> None:
        for name, tensor in (("u", call.u), ("delta", call.delta)):
            steps = self.steps(tensor)
            setattr(direction, name, steps.data_ptr())
            self._set_strides(direction, name, steps)
        for name, tensor in (("B", call.B), ("C", call.C)):
            steps = self.steps(tensor if tensor.dim() == 4 else tensor.unsqueeze(2))
            setattr(direction, name, steps.data_ptr())
            self._set_strides(direction, name, steps)
            setattr(direction, f"{name}_group", steps.stride(2))
        whole = {"A": call.A, "D": call.D, "bias": call.delta_bias, "initial": call.initial_state}
        for name, given in whole.items():
            if given is not None:
                setattr(direction, name, self.keep(given.float().contiguous()).data_ptr())
        direction.reverse = call.reverse

    @staticmethod
    def _set_strides(direction: _Direction, name: str, steps: Tensor) -> None:
        by_sequence, by_step = _strides(steps)
        setattr(direction, f"{name}_batch", by_sequence)
        setattr(direction, f"{name}_step", by_step)

    def steps(self, tensor: Tensor) -> Tensor:
        wide = tensor.float()
        return self.keep(wide if wide.stride(-1) == 1 else wide.contiguous())

    def keep(self, tensor: Tensor) -> Tensor:
        self.kept.append(tensor)
        return tensor


@dataclass
class _Sums:
    """Places for the gradients of one direction; dB, dC, dA, dD and dbias in parts."""

    du: Tensor
    ddelta: Tensor
    dB: Tensor
    dC: Tensor
    dA: Tensor
    dinitial: Tensor | None
    dD: Tensor
    dbias: Tensor

    @classmethod
    def empty(cls, call: Call, scan: _Scan) -> "_Sums":
        batch, length, d_inner = call.u.shape
        states = call.A.shape[1]

        def place(*shape: int) -> Tensor:
            return torch.empty(shape, dtype=torch.float32)

        planes = (scan.groups, scan.parts, batch, length, states)
        return cls(
            du=place(batch, length, d_inner),
            ddelta=place(batch, length, d_inner),
            dB=place(*planes),
            dC=place(*planes),
            dA=place(batch, d_inner, states),
            dinitial=None if call.initial_state is None else place(batch, d_inner, states),
            dD=place(batch, d_inner),
            dbias=place(batch, d_inner),
        )

    def point(self, out: _DirectionGradients) -> None:
        for name in _GRADIENTS[:-1]:
            tensor = getattr(self, name)
            setattr(out, name, None if tensor is None else tensor.data_ptr())

    def finished(self, call: Call) -> list[Tensor | None]:
        matrices = (self._matrix(self.dB, call.B), self._matrix(self.dC, call.C))
        found = [self.du, self.ddelta, self.dA.sum(0), *matrices, self.dD.sum(0)]
        places = (*found, None, self.dbias.sum(0), self.dinitial)
        pairs = zip(places, call.tensors, strict=True)
        return [
            None if tensor is None or value is None else value.to(tensor.dtype)
            for value, tensor in pairs
        ]

    @staticmethod
    def _matrix(planes: Tensor, matrix: Tensor) -> Tensor:
        total = planes.sum(1) if planes.shape[1] > 1 else planes.squeeze(1)
        return total[0] if matrix.dim() == 3 else total.permute(1, 2, 0, 3).contiguous()


def _groups(matrix: Tensor) -> int:
    return matrix.shape[2] if matrix.dim() == 4 else 1


def _strides(steps: Tensor) -> tuple[int, int]:
    return steps.stride(0), steps.stride(1)
