"""The gradients of the selective scan, tile by tile, from the last step to the first.

With g_t the gradient of the state h_t, dy_t that of y_t before the gate, x_t = dt_t u_t, and the
decays a_t = exp(dt_t A):

    g_t = C_t dy_t + a_{t+1} g_{t+1}        d(dt_t A) = g_t a_t h_{t-1}
    dC_t = sum_P h_t dy_t        dB_t = sum_P g_t x_t        dx_t = sum_N g_t B_t

States are computed again from those at the tiles' starts. Letters are those of `tiles`.
"""

from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from genolm_kernels.selective_scan.chunked import Matrix, Segment, Work
from genolm_kernels.selective_scan.recurrence import Slots, retreat
from genolm_kernels.selective_scan.tiles import Call, Layout


@dataclass
class Gradients:
    """Gradients of a call's tensors; those of tensors that are None are meaningless.

    A and constant matrices are (G, N, P), states (batch, G, N, P), others as their tensors.
    """

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor
    z: Tensor
    delta_bias: Tensor
    initial_state: Tensor

    @classmethod
    def of(cls, call: Call, layout: Layout) -> "Gradients":
        """Places for the gradients: zeros for sums, unwritten memory for the others."""

        def unwritten(tensor: Tensor) -> Tensor:
            return torch.empty(tensor.shape, dtype=tensor.dtype)

        def matrix(tensor: Tensor) -> Tensor:
            return torch.zeros_like(A) if tensor.dim() == 2 else unwritten(tensor)

        A = torch.zeros(layout.state_shape, dtype=call.dtype)
        D = torch.zeros(call.u.shape[2], dtype=call.dtype)
        states = torch.empty(layout.batch, *layout.state_shape, dtype=call.dtype)
        z = call.u.new_empty(0) if call.z is None else unwritten(call.z)
        return cls(
            u=unwritten(call.u),
            delta=unwritten(call.delta),
            A=A,
            B=matrix(call.B),
            C=matrix(call.C),
            D=D,
            z=z,
            delta_bias=torch.zeros_like(D),
            initial_state=states,
        )

    def rows(self, rows: slice, call: Call) -> "Gradients":
        """The same places for some sequences of the batch; sums are shared."""
        return replace(
            self,
            u=self.u[rows],
            delta=self.delta[rows],
            B=self.B if call.B.dim() == 2 else self.B[rows],
            C=self.C if call.C.dim() == 2 else self.C[rows],
            z=self.z[rows],
            initial_state=self.initial_state[rows],
        )

    def finished(self, call: Call, layout: Layout) -> list[Tensor]:
        """The gradients of the tensors that are there, in the order, shape and type of these."""
        found: list[Tensor] = []
        for field, tensor in zip(fields(self), call.tensors, strict=True):
            if tensor is not None:
                value: Tensor = getattr(self, field.name)
                if value.shape != tensor.shape:
                    value = layout.from_states(value)
                found.append(value.to(tensor.dtype).contiguous())
        return found


class MatrixGradient:
    """The gradient of B or C over one segment.

    Attributes:
        values: (T, B, G, N) where the matrix varies, else (G, N, P), summed.
    """

    def __init__(self, matrix: Matrix) -> None:
        self.constant = matrix.constant
        self.values = torch.zeros_like(matrix.values if self.constant else matrix.values[..., 0])

    def collect(self, states: Tensor, vectors: Tensor, tile: slice) -> None:
        """Sum states (T, B, G, N, P) * vectors (T, B, G, 1, P) over P, or over T and B."""
        if self.constant:
            self.values += (states * vectors).sum((0, 1))
            return
        # With the vector on the left, MKL takes a seventh of the time it takes on the right.
        rows = self.values[tile].flatten(0, 2).unsqueeze(1)
        torch.bmm(vectors.flatten(0, 2), states.flatten(0, 2).transpose(1, 2), out=rows)

    def put_into(self, total: Tensor, call: Call, span: range) -> None:
        """Add to the gradient of a constant matrix, or fill in these steps of a varying one."""
        if self.constant:
            total += self.values
        elif total.dim() == 3:
            call.write(self.values.sum(2), span, total)
        else:
            shared = self.values.view(*self.values.shape[:2], *total.shape[2:3], -1, total.shape[3])
            call.write(shared.sum(3), span, total)


class BackwardWork(Work):
    """Buffers for going back through the tiles of one block of sequences.

    Attributes:
        A: (G, N, P).
        adjoints: g, T + 1 slots. The slot after a tile's last step holds, in `adjoints` and in
            `decays`, what the step after the tile has.
    """

    def __init__(self, call: Call, layout: Layout, last_gradient: Tensor | None) -> None:
        super().__init__(call, layout)
        self.A = layout.states(call.A.to(call.dtype)).contiguous()
        self.adjoints = Slots(layout.steps + 1, self.states.tensor.shape[1:], call.dtype)
        last = layout.length - (layout.tiles - 1) * layout.steps
        self.decays.tensor[last].fill_(1)
        if last_gradient is None:
            self.adjoints.tensor[last].zero_()
        else:
            self.adjoints.tensor[last].copy_(layout.states(last_gradient))

    def retreat(self, count: int) -> Tensor:
        """Turn what each step adds to the adjoints into adjoints (T, B, G, N, P)."""
        retreat(self.adjoints, self.decays, self.products, count)
        self.adjoints.tensor[-1].copy_(self.adjoints.tensor[0])
        self.decays.tensor[-1].copy_(self.decays.tensor[0])
        return self.adjoints.tensor[:count]


class SegmentGradient:
    """The gradients of one segment, collected tile by tile from its end.

    Attributes:
        dy: Gradient of y before the gate (T, B, G, 1, P).
        dx: Gradient of x = dt * u (T, B, G, 1, P).
        sizes: Gradient of dt through the decays alone (T, B, G, 1, P).
        B: Gradient of the input matrix.
        C: Gradient of the output matrix.
        y: Outputs before the skip and the gate (T, B, G, 1, P), where there is a gate.
    """

    def __init__(self, segment: Segment, dy: Tensor, gated: bool) -> None:
        self.segment = segment
        self.dy = dy
        self.dx, self.sizes = torch.empty_like(segment.x), torch.empty_like(segment.x)
        self.B, self.C = MatrixGradient(segment.B), MatrixGradient(segment.C)
        self.y = torch.empty_like(segment.x) if gated else None

    def go_back(self, work: BackwardWork, tile: slice, start: Tensor, dA: Tensor) -> None:
        """Collect from one tile, whose entry state is `start`; adds to dA (G, N, P)."""
        segment, dy, count = self.segment, self.dy[tile], tile.stop - tile.start
        work.states.tensor[0] = start
        states = work.scan(segment, tile)
        if self.y is not None:
            segment.C.contract(states, tile, self.y[tile])
        self.C.collect(states, dy, tile)

        segment.C.spread(dy, tile, work.adjoints.tensor[:count])
        adjoints = work.retreat(count)
        segment.B.contract(adjoints, tile, self.dx[tile])
        self.B.collect(adjoints, segment.x[tile], tile)

        exponents = work.decays.tensor[:count]
        exponents.mul_(adjoints).mul_(work.states.tensor[:count])
        dA += torch.mul(exponents, segment.dt[tile], out=adjoints).sum((0, 1))
        torch.sum(exponents.mul_(work.A), -2, keepdim=True, out=self.sizes[tile])


def backward(call: Call, starts: Tensor, dy: Tensor, last_gradient: Tensor | None) -> list[Tensor]:
    """Gradients of the call's tensors, in their order, without those that are None.

    Args:
        call: The arguments of the forward pass.
        starts: The states it kept (tiles, batch, G, N, P).
        dy: Gradient of y (batch, length, d_inner).
        last_gradient: Gradient of the last state (batch, d_inner, N), or None for zeros.
    """
    layout = Layout.of(call)
    total = Gradients.of(call, layout)
    for rows in layout.blocks():
        part, into = call.rows(rows), total.rows(rows, call)
        work = BackwardWork(part, layout, None if last_gradient is None else last_gradient[rows])
        for span in reversed(layout.segments()):
            _backward_segment(part, layout, work, span, starts[:, rows], dy[rows], into)
        torch.mul(work.decays.tensor[-1], work.adjoints.tensor[-1], out=into.initial_state)
    return total.finished(call, layout)


def _backward_segment(
    call: Call,
    layout: Layout,
    work: BackwardWork,
    span: range,
    starts: Tensor,
    dy: Tensor,
    into: Gradients,
) -> None:
    segment = Segment.read(call, layout, span)
    outer = call.read(dy, span)
    inner = torch.empty_like(segment.raw)
    if call.z is None:
        inner.copy_(outer)
    else:
        torch.mul(outer, F.silu(call.read(call.z, span)), out=inner)
    found = SegmentGradient(segment, layout.channels(inner), call.z is not None)
    for tile in reversed(layout.tiles_of(span)):
        start = starts[(span.start + tile.start) // layout.steps]
        found.go_back(work, tile, start, into.A)
    found.B.put_into(into.B, call, span)
    found.C.put_into(into.C, call, span)

    if call.z is not None and found.y is not None:
        dz = _gate_gradient(call, span, segment, found.y.flatten(2), outer)
        call.write(dz, span, into.z)
    dx = found.dx.flatten(2)
    du, sizes = dx * segment.sizes, found.sizes.flatten(2).addcmul_(dx, segment.u)
    if call.D is not None:
        du.addcmul_(inner, call.D.to(call.dtype))
        into.D += (inner * segment.u).sum((0, 1))
    if call.delta_softplus:
        sizes.mul_(torch.sigmoid(segment.raw))
    into.delta_bias += sizes.sum((0, 1))
    call.write(du, span, into.u)
    call.write(sizes, span, into.delta)


def _gate_gradient(call: Call, span: range, segment: Segment, y: Tensor, outer: Tensor) -> Tensor:
    """Gradient of z (T, B, d_inner): dy * y * silu'(z)."""
    assert call.z is not None
    if call.D is not None:
        y = torch.addcmul(y, segment.u, call.D.to(call.dtype))
    dz: Tensor = torch.ops.aten.silu_backward(outer * y, call.read(call.z, span))
    return dz
