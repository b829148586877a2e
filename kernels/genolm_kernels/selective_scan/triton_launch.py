"""Running the Triton kernels of the selective scan: what comes before, between and after them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genolm_kernels.selective_scan import triton_plan
from genolm_kernels.selective_scan.triton_backward import backward, chunk_adjoints
from genolm_kernels.selective_scan.triton_kernels import carry, chunk_ends, forward
from genolm_kernels.selective_scan.triton_plan import Plan, Way, ceil_div

CARRY_BLOCK = 128  # states that one program carries along
CARRY_AHEAD = 8  # chunks whose loads are under way at a time


class Call(NamedTuple):
    """A scan to be run in one launch.

    Attributes:
        ways: One direction or both; the second runs from the last position to the first.
        z: Gate (batch, length, d_inner).
        initial: Initial state (batch, d_inner, N) of the first direction.
        softplus: Whether step sizes are softplus(delta + delta_bias).
        reverse: Whether the first direction goes from the last position to the first.
    """

    ways: tuple[Way, ...]
    z: Tensor | None
    initial: Tensor | None
    softplus: bool
    reverse: bool


class Kept(NamedTuple):
    """What the forward pass leaves to the backward pass.

    Attributes:
        states: At the start of every span (directions, batch, spans, N, d_inner).
        sums: Outputs of all directions before the gate (batch, length, d_inner), if there is one.
    """

    states: Tensor
    sums: Tensor


def by_channel(tensor: Tensor) -> Tensor:
    """The tensor with its last axis contiguous."""
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def alike(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The same argument of every direction, with strides that they share."""
    found = [by_channel(tensor) for tensor in tensors]
    if any(tensor.stride() != found[0].stride() for tensor in found):
        return [tensor.contiguous() for tensor in found]
    return found


def matrices(given: Sequence[Tensor]) -> list[Tensor]:
    """B or C of every direction: (batch, length, groups, N), or one tensor for all if constant."""
    if given[0].dim() == 2:
        return [states_first(given)] * len(given)
    return alike([matrix.unsqueeze(2) if matrix.dim() == 3 else matrix for matrix in given])


def states_first(given: Sequence[Tensor]) -> Tensor:
    """(d_inner, N) of every direction as one float32 tensor (directions, N, d_inner)."""
    return torch.stack([matrix.float().t() for matrix in given])


class Arguments:
    """What the kernels of one call are given, by name.

    Attributes:
        call: The call.
        plan: Its sizes.
        tensors: By the names of the kernels' arguments.
        sizes: Sizes and strides.
        constants: What kernels are compiled for.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.plan = Plan.of(call.ways, call.z)
        plan, ways = self.plan, call.ways
        z = None if call.z is None else by_channel(call.z)
        self.tensors: dict[str, Tensor | None] = {"A": states_first([w.A for w in ways]), "z": z}
        u, delta = alike([way.u for way in ways]), alike([way.delta for way in ways])
        B, C = matrices([way.B for way in ways]), matrices([way.C for way in ways])
        for place in (0, -1):
            mark = "" if place == 0 else "2"
            way = ways[place]
            self.tensors |= {
                f"u{mark}": u[place],
                f"delta{mark}": delta[place],
                f"B{mark}": B[place],
                f"C{mark}": C[place],
                f"D{mark}": None if way.D is None else way.D.contiguous(),
                f"bias{mark}": None if way.delta_bias is None else way.delta_bias.contiguous(),
            }
        self.sizes = {
            "batch": plan.batch,
            "length": plan.length,
            "channels": plan.channels,
            "width": plan.width,
            "chunks": plan.chunks,
            "size": plan.size,
            "reverse": int(call.reverse),
            **_strides("u", u[0]),
            **_strides("delta", delta[0]),
            **_strides("z", z),
            **_matrix_strides("B", B[0], plan),
            **_matrix_strides("C", C[0], plan),
        }
        self.constants = plan.constants(ways, call.softplus)

    def run(self, kernel: Any, directions: int, **own: Any) -> None:
        """Launch one program for each block, chunk, sequence and some of the directions."""
        known = {**self.tensors, **self.sizes, **self.constants, **own}
        plan = self.plan
        grid = (plan.blocks, plan.chunks * directions, plan.batch)
        kernel[grid](**{name: known[name] for name in kernel.arg_names}, num_warps=plan.warps)

    def states(self, *pieces: int) -> Tensor:
        """Unwritten float32 memory (directions, *pieces, N, d_inner)."""
        plan = self.plan
        shape = (plan.directions, *pieces, plan.states, plan.channels)
        return self.call.ways[0].u.new_empty(shape, dtype=torch.float32)

    def entries(self, kernel: Any, initial: Tensor | None, reverse: bool, **own: Any) -> Any:
        """What chunks start from: what `kernel` says that they reach, carried from one to the next.

        Args:
            kernel: chunk_ends or chunk_adjoints.
            initial: What the first chunk starts from (batch, d_inner, N).
            reverse: Whether the first direction's first chunk is the one of the last positions.
            **own: Arguments of this kernel alone.

        Returns:
            (directions, batch, chunks, N, d_inner), or None where all start from zero.
        """
        plan = self.plan
        if initial is not None:
            initial = initial.float().transpose(1, 2).contiguous()
        if plan.chunks == 1:
            return initial
        ends = self.states(plan.batch, plan.chunks)
        sums = ends.new_empty(*ends.shape[:3], plan.channels)
        self.run(kernel, plan.directions, ends=ends, sums=sums, **own)
        blocks = ceil_div(plan.states * plan.channels, CARRY_BLOCK)
        carry[(blocks * plan.batch * plan.directions,)](
            ends=ends,
            sums=sums,
            A=self.tensors["A"],
            initial=initial,
            batch=plan.batch,
            channels=plan.channels,
            chunks=plan.chunks,
            reverse=int(reverse),
            N=plan.states,
            BLOCK=CARRY_BLOCK,
            AHEAD=CARRY_AHEAD,
            num_warps=4,
        )
        return ends


def _strides(name: str, tensor: Tensor | None) -> dict[str, int]:
    batch, step = (0, 0) if tensor is None else tensor.stride()[:2]
    return {f"{name}_batch": batch, f"{name}_step": step}


def _matrix_strides(name: str, matrix: Tensor, plan: Plan) -> dict[str, int]:
    if matrix.dim() == 3:  # constant
        return {f"{name}_batch": 0, f"{name}_step": 0, f"{name}_group": 0, f"{name}_repeats": 1}
    return {
        f"{name}_batch": matrix.stride(0),
        f"{name}_step": matrix.stride(1),
        f"{name}_group": matrix.stride(2),
        f"{name}_repeats": plan.groups // matrix.shape[2],
    }


def kept_shapes(call: Call, keep: bool) -> tuple[list[int], list[int]]:
    """Shapes of what `Kept` has; empty where nothing is kept."""
    if not keep:
        return [0], [0]
    u, A = call.ways[0].u, call.ways[0].A
    batch, length, channels = u.shape
    spans = ceil_div(length, triton_plan.SPAN)
    states = [len(call.ways), batch, spans, A.shape[1], channels]
    return states, [0] if call.z is None else [batch, length, channels]


def run_forward(call: Call, keep: bool) -> tuple[Tensor, Tensor, Kept]:
    """Scan.

    Args:
        call: What to scan.
        keep: Whether a backward pass will follow.

    Returns:
        y (batch, length, d_inner) in the type of u, the last states
        (directions, batch, d_inner, N), and what the backward pass needs.
    """
    u = call.ways[0].u
    y = u.new_empty(u.shape)
    states_shape, sums_shape = kept_shapes(call, keep)
    states = u.new_empty(states_shape, dtype=torch.float32)
    # The first direction's outputs wait here for the second's, whether they are kept or not.
    summed = len(call.ways) == 2 or sums_shape != [0]
    sums = u.new_empty(u.shape, dtype=torch.float32) if summed else None
    with torch.cuda.device_of(u):
        arguments = Arguments(call)
        last = arguments.states(arguments.plan.batch)
        if u.numel():
            entries = arguments.entries(chunk_ends, call.initial, call.reverse)
            arguments.run(
                forward,
                1,
                y=y,
                sums=sums,
                entries=entries,
                kept=states if keep else None,
                last=last,
                SPAN=triton_plan.SPAN,
            )
    if sums is None or sums_shape == [0]:
        sums = u.new_empty(0, dtype=torch.float32)
    return y, last.transpose(2, 3).contiguous(), Kept(states, sums)


def run_backward(
    call: Call, kept: Kept, dy: Tensor, last_gradient: Tensor | None
) -> tuple[list[Way], Tensor | None, Tensor | None]:
    """Gradients.

    Args:
        call: What was scanned.
        kept: What the forward pass left.
        dy: Gradient of y (batch, length, d_inner).
        last_gradient: That of the first direction's last state (batch, d_inner, N), or None.

    Returns:
        The gradients of each direction's tensors, of the gate, and of the initial state.
    """
    u = call.ways[0].u
    dy = dy.contiguous()
    with torch.cuda.device_of(u):
        arguments = Arguments(call)
        found = _places(arguments)
        if u.numel():
            entries = arguments.entries(chunk_adjoints, last_gradient, not call.reverse, dy=dy)
            plan = arguments.plan
            programs = plan.blocks * plan.chunks * plan.batch * plan.directions
            pieces = triton_plan.SPAN // plan.tile * plan.padded * plan.block
            arguments.run(
                backward,
                plan.directions,
                dy=dy,
                sums=kept.sums,
                entries=entries,
                kept=kept.states,
                scratch=dy.new_empty(programs * pieces, dtype=torch.float32),
                SPAN=triton_plan.SPAN,
                **found,
            )
        return _finish(arguments, found)


def _places(arguments: Arguments) -> dict[str, Tensor | None]:
    """Memory for gradients and their partial sums, by the names of the kernel's arguments."""
    call, plan = arguments.call, arguments.plan
    first, last = call.ways[0], call.ways[-1]
    states = arguments.states(plan.batch, plan.chunks)
    vectors = states.shape[:3] + states.shape[4:]
    positions = (plan.directions, plan.blocks, plan.batch, plan.length, plan.states)
    new = states.new_empty
    du = first.u.new_empty(first.u.shape)
    ddelta = first.delta.new_empty(first.delta.shape)
    two = plan.directions == 2
    return {
        "du": du,
        "ddelta": ddelta,
        "du2": last.u.new_empty(last.u.shape) if two else du,
        "ddelta2": last.delta.new_empty(last.delta.shape) if two else ddelta,
        "dz": None if call.z is None else call.z.new_empty(call.z.shape),
        "dA": states,
        "dB": new(states.shape) if first.B.dim() == 2 else new(positions),
        "dC": new(states.shape) if first.C.dim() == 2 else new(positions),
        "dD": None if first.D is None else new(vectors),
        "dbias": None if first.delta_bias is None else new(vectors),
        "dinitial": None if call.initial is None else arguments.states(plan.batch),
    }


def _finish(
    arguments: Arguments, found: dict[str, Tensor | None]
) -> tuple[list[Way], Tensor | None, Tensor | None]:
    """Add up partial sums, and give every gradient the shape and type of its tensor."""
    ways = []
    for direction, way in enumerate(arguments.call.ways):
        mark = "2" if direction else ""
        gradients = [found[f"du{mark}"], found[f"ddelta{mark}"]]
        for name, tensor in (
            ("dA", way.A),
            ("dB", way.B),
            ("dC", way.C),
            ("dD", way.D),
            ("dbias", way.delta_bias),
        ):
            partial = found[name]
            if tensor is None or partial is None:
                gradients.append(None)
            else:
                gradients.append(_add_up(partial[direction], tensor))
        ways.append(Way(*gradients))  # type: ignore[arg-type]
    initial = found["dinitial"]
    if initial is not None and arguments.call.initial is not None:
        initial = initial[0].transpose(1, 2).to(arguments.call.initial.dtype).contiguous()
    return ways, found["dz"], initial


def _add_up(partial: Tensor, like: Tensor) -> Tensor:
    """The gradient of `like` from the sums of single programs.

    Args:
        partial: (batch, chunks, d_inner), (batch, chunks, N, d_inner), or for a matrix that
            varies (blocks, batch, length, N).
        like: The tensor whose gradient it is.
    """
    if like.dim() == 1:
        total = partial.sum((0, 1))
    elif like.dim() == 2:
        total = partial.sum((0, 1)).t()
    else:
        groups = like.shape[2] if like.dim() == 4 else 1
        total = partial.unflatten(0, (groups, -1)).sum(1).permute(1, 2, 0, 3).reshape(like.shape)
    return total.to(like.dtype).contiguous()
