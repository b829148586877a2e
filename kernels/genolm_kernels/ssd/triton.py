"""State-space duality on the GPU: launches of the kernels, as operators that autograd sees whole.

The backward pass computes the states before the chunks again from the inputs, so that nothing but
the inputs is kept.
"""

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from genolm_kernels._triton import INTERPRETED, Compilation
from genolm_kernels.ssd import triton_backward, triton_kernels

CARRIED = 64 if INTERPRETED else 256  # elements of the state that one program carries along
GROUP = 4  # chunks whose loads wait for memory together
WARPS = {"steps": 1, "pairs": 4, "collect": 8, "carry": 2, "matrices": 8}  # others: by positions
STAGES = 2
SUMS = ("A", "D", "dt_bias")  # what `rates` writes its parts of, in this order
SMALLEST = 16  # that tl.dot takes; interpreted kernels get it, so that small calls have many blocks
MANY_TILES = ("inputs", "rates", "matrices")  # kernels that hold many tiles at a time
# What has the type of the inputs.
TYPED = {f"{name}_ptr" for name in ("x", "z", "dt", "B", "C", "y", "dy", "dx", "dz", "ddt")}
TYPED |= {"matrix_ptr", "dB_ptr", "dC_ptr"}
# What is the bare output's gradient, in float32, in the backward pass.
WIDE_BACKWARD = {
    "collect": {"x_ptr"},
    "outputs": {"y_ptr"},
    "inputs": {"dy_ptr"},
    "rates": {"dy_ptr"},
    "matrices": {"dy_ptr"},
}
# What need not be a multiple of 16.
UNEVEN = {"length", "chunks", "heads_of_group", "across_blocks", "last", "sign", "dt_row"}
UNEVEN |= {"dt_batch", "D_heads", "bias_heads"}


class Call(NamedTuple):
    """The canonical arguments of a call; shapes as in `genolm_kernels.ssd`."""

    x: Tensor
    dt: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    z: Tensor | None
    dt_bias: Tensor | None
    initial_state: Tensor | None
    dt_softplus: bool
    chunk_size: int
    reverse: bool

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """Those of the arguments that have gradients."""
        return self[:9]

    def dense(self) -> "Call":
        """The same call with innermost axes that lie side by side in memory."""
        values = (
            t.contiguous() if isinstance(t, Tensor) and t.stride(-1) != 1 else t for t in self
        )
        return Call._make(values)


def triton_ssd(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor | None,
    dt_softplus: bool,
    chunk_size: int,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """Multiply chunk by chunk; arguments as in `genolm_kernels.ssd`.

    Returns:
        y (batch, length, heads, headdim) in x's type, and the last state (batch, heads, headdim,
        d_state) in float32.
    """
    found: tuple[Tensor, Tensor] = _ssd(
        x, dt, A, B, C, D, z, dt_bias, initial_state, dt_softplus, chunk_size, reverse
    )
    return found


@torch.library.custom_op("genolm::ssd_triton", mutates_args=())
def _ssd(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor | None,
    dt_softplus: bool,
    chunk_size: int,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    tensors = (x, dt, A, B, C, D, z, dt_bias, initial_state)
    call = Call(*tensors, dt_softplus, chunk_size, reverse).dense()
    y, last_state = _outputs(x, B)
    if x.shape[0] == 0:
        return y, last_state
    with torch.cuda.device_of(x):
        launch = Launch(call)
        launch.states(last_state)
        launch.outputs(y)
    return y, last_state


@_ssd.register_fake
def _ssd_fake(*args: Any) -> tuple[Tensor, Tensor]:
    return _outputs(args[0], args[3])


def _outputs(x: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    batch, _, heads, headdim = x.shape
    last_state = x.new_empty(batch, heads, headdim, B.shape[3], dtype=torch.float32)
    return x.new_empty(x.shape), last_state


@torch.library.custom_op("genolm::ssd_triton_backward", mutates_args=())
def _ssd_backward(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor | None,
    dt_softplus: bool,
    chunk_size: int,
    reverse: bool,
    dy: Tensor,
    last_gradient: Tensor | None,
) -> list[Tensor]:
    tensors = (x, dt, A, B, C, D, z, dt_bias, initial_state)
    call = Call(*tensors, dt_softplus, chunk_size, reverse)
    if x.shape[0] == 0:
        return [torch.zeros_like(tensor) for tensor in tensors if tensor is not None]
    with torch.cuda.device_of(x):
        launch = Launch(call.dense())
        launch.states(_outputs(x, B)[1])
        found = launch.backward(dy.contiguous(), last_gradient)
    return [
        found[name].to(value.dtype)
        for name, value in call._asdict().items()
        if isinstance(value, Tensor)
    ]


@_ssd_backward.register_fake
def _ssd_backward_fake(*args: Any) -> list[Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor in args[:9] if tensor is not None]


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.flags = inputs[9:]
    ctx.save_for_backward(*inputs[:9])


def _differentiate(ctx: Any, dy: Tensor | None, last: Tensor | None) -> tuple[Any, ...]:
    tensors = ctx.saved_tensors
    if dy is None:
        dy = torch.zeros_like(tensors[0])
    found = iter(_ssd_backward(*tensors, *ctx.flags, dy, last))
    gradients = (None if tensor is None else next(found) for tensor in tensors)
    return (*gradients, None, None, None)


_ssd.register_autograd(_differentiate, setup_context=_keep_inputs)


class Tiles(NamedTuple):
    """What the sizes of the kernels' tiles follow from: the type of the inputs.

    Calls that are smaller leave a part of the tiles unused. Products of float32 take three times
    the registers of those of bfloat16.

    Attributes:
        chunk: Positions.
        block: Of headdim and d_state, forward.
        small: The same in the kernels that hold many tiles at a time.
    """

    chunk: int
    block: int
    small: int

    @classmethod
    def of(cls, dtype: torch.dtype) -> "Tiles":
        """The tiles for inputs of this type."""
        if INTERPRETED:
            return cls(SMALLEST, SMALLEST, SMALLEST)
        return cls(64, 64, 32) if dtype == torch.bfloat16 else cls(32, 32, 16)

    def options(self, kernel: str) -> dict[str, int]:
        """Warps and stages of a kernel's programs, which change no result."""
        return {"num_warps": WARPS.get(kernel, self.chunk // 8), "num_stages": STAGES}

    def block_of(self, kernel: str) -> int:
        """Block of headdim and d_state in a kernel."""
        return self.small if kernel in MANY_TILES else self.block


def dot_kind(dtype: torch.dtype) -> str:
    """How matrices made of inputs of this type are multiplied, always into float32.

    float16 would overflow where float32 does not, so its matrices go as tf32, of equal precision.
    """
    if INTERPRETED:
        return "ieee"  # its products of bfloat16 are wrong
    return {torch.bfloat16: "bf16", torch.float16: "tf32"}.get(dtype, "tf32x3")


class Launch:
    """The kernels over one call, and the scratch memory between them.

    Args:
        call: The arguments, innermost axes dense, of at least one sequence.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.batch, self.length, self.heads, self.headdim = call.x.shape
        self.groups, self.d_state = call.B.shape[2:]
        self.tiles = Tiles.of(call.x.dtype)
        self.chunk = self.tiles.chunk
        self.chunks = triton.cdiv(self.length, self.chunk)
        self.size = self.headdim * self.d_state
        self.way = (self.length - 1, -1) if call.reverse else (0, 1)
        self.gate = call.x if call.z is None else call.z
        self.skip = call.A if call.D is None else call.D
        self.bias = call.A if call.dt_bias is None else call.dt_bias
        self.skip_heads = 0 if call.D is None else self.heads
        self.bias_heads = 0 if call.dt_bias is None else self.heads
        self.carriers = triton.cdiv(self.size, CARRIED)

    def _tile(self, kernel: str) -> dict[str, Any]:
        """Sizes of a kernel's tiles, and how many of them a head has."""
        block = self.tiles.block_of(kernel)
        return {
            "KIND": dot_kind(self.call.x.dtype),
            "Q": self.chunk,
            "P": block,
            "N": block,
            "P_BLOCKS": triton.cdiv(self.headdim, block),
            "N_BLOCKS": triton.cdiv(self.d_state, block),
            **self.tiles.options(kernel),
        }

    def _new(self, *shape: int) -> Tensor:
        return self.call.x.new_empty(self.batch, *shape, dtype=torch.float32)

    def _steps(self) -> None:
        call, per_place = self.call, (self.heads, self.chunks, self.chunk)
        self.sizes, self.high, self.low = (self._new(*per_place) for _ in range(3))
        triton_kernels.steps[(self.chunks, self.heads, self.batch)](
            call.dt,
            self.bias,
            call.A,
            self.sizes,
            self.high,
            self.low,
            self.length,
            *call.dt.stride()[:2],
            self.bias_heads,
            *self.way,
            SOFTPLUS=call.dt_softplus,
            Q=self.chunk,
            **self.tiles.options("steps"),
        )
        self.pairs = self._new(self.groups, self.chunks, self.chunk, self.chunk)
        tile = self._tile("pairs")
        del tile["P"], tile["P_BLOCKS"]
        triton_kernels.pairs[(self.chunks, self.groups, self.batch)](
            call.B,
            call.C,
            self.pairs,
            self.length,
            self.d_state,
            *call.B.stride()[:3],
            *call.C.stride()[:3],
            *self.way,
            **tile,
        )

    def _collect(self, x: Tensor, matrix: Tensor, *, backward: bool) -> Tensor:
        states = self._new(self.heads, self.chunks, self.size)
        tile = self._tile("collect")
        programs = self.heads * tile["P_BLOCKS"] * tile["N_BLOCKS"]
        triton_kernels.collect[(self.chunks, programs, self.batch)](
            x,
            matrix,
            self.sizes,
            self.high,
            self.low,
            states,
            self.length,
            self.heads // self.groups,
            self.headdim,
            self.d_state,
            *x.stride()[:3],
            *matrix.stride()[:3],
            *self.way,
            BACKWARD=backward,
            **tile,
        )
        return states

    def _carry(self, states: Tensor, start: Tensor | None, end: Tensor, entries: Tensor) -> Tensor:
        backward = entries is not states
        across = self._new(self.heads, self.chunks, self.carriers if backward else 0)
        triton_kernels.carry[(self.carriers, self.heads, self.batch)](
            states,
            entries,
            self.high,
            end if start is None else start.contiguous(),
            end,
            across,
            self.chunks,
            self.size,
            0 if start is None else self.size,
            BACKWARD=backward,
            Q=self.chunk,
            BLOCK=CARRIED,
            GROUP=GROUP,
            **self.tiles.options("carry"),
        )
        return across

    def states(self, last_state: Tensor) -> None:
        """Compute the states before the chunks, and the one after the last."""
        self._steps()
        self.entries = self._collect(self.call.x, self.call.B, backward=False)
        self._carry(self.entries, self.call.initial_state, last_state, self.entries)

    def outputs(self, y: Tensor, dy: Tensor | None = None, dz: Tensor | None = None) -> None:
        """Write y (batch, length, heads, headdim), contiguous, from the states.

        Given dy and dz, write the gradient of what was gated to y, and that of the gate to dz.
        """
        call, tile = self.call, self._tile("outputs")
        triton_kernels.outputs[(self.chunks, self.heads * tile["P_BLOCKS"], self.batch)](
            call.x,
            self.gate,
            call.C,
            self.skip,
            self.pairs,
            self.sizes,
            self.high,
            self.low,
            self.entries,
            y if dy is None else dy,
            y,
            y if dz is None else dz,
            self.length,
            self.heads // self.groups,
            self.headdim,
            self.d_state,
            *call.x.stride()[:3],
            *self.gate.stride()[:3],
            *call.C.stride()[:3],
            self.skip_heads,
            *self.way,
            GATED=call.z is not None,
            BACKWARD=dy is not None,
            **tile,
        )

    def backward(self, dy: Tensor, last_gradient: Tensor | None) -> dict[str, Tensor]:
        """Compute the gradients, by the arguments' names, from those of the outputs."""
        call = self.call
        found: dict[str, Tensor] = {}
        if call.z is None:
            dy = dy.float()
        else:
            bare = torch.empty_like(dy, dtype=torch.float32)
            found["z"] = torch.empty_like(dy, dtype=call.z.dtype)
            self.outputs(bare, dy, found["z"])
            dy = bare
        exits = self._collect(dy, call.C, backward=True)
        found["initial_state"] = self._new(self.heads, self.headdim, self.d_state)
        across = self._carry(exits, last_gradient, found["initial_state"], self.entries)
        found["x"], parts = self._inputs(dy, exits)
        found |= self._rates(dy, parts, across)
        found |= self._matrices(dy, exits)
        return found

    def _inputs(self, dy: Tensor, exits: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient of x, and sums over each block of headdim that `_rates` goes on with."""
        call, tile = self.call, self._tile("inputs")
        dx = call.x.new_empty(call.x.shape)
        parts = self._new(self.heads, self.chunks, tile["P_BLOCKS"], 4, self.chunk)
        triton_backward.inputs[(self.chunks, self.heads * tile["P_BLOCKS"], self.batch)](
            call.x,
            dy,
            call.B,
            call.C,
            self.skip,
            self.pairs,
            self.sizes,
            self.high,
            self.low,
            self.entries,
            exits,
            dx,
            parts,
            self.length,
            self.heads // self.groups,
            self.headdim,
            self.d_state,
            *call.x.stride()[:3],
            *call.B.stride()[:3],
            *call.C.stride()[:3],
            self.skip_heads,
            *self.way,
            **tile,
        )
        return dx, parts

    def _rates(self, dy: Tensor, parts: Tensor, across: Tensor) -> dict[str, Tensor]:
        call, tile = self.call, self._tile("rates")
        del tile["N"], tile["N_BLOCKS"]
        ddt = call.dt.new_empty(call.dt.shape)
        sums = self._new(self.heads, self.chunks, len(SUMS))
        triton_backward.rates[(self.chunks, self.heads, self.batch)](
            call.x,
            dy,
            call.dt,
            self.bias,
            call.A,
            self.pairs,
            self.sizes,
            self.high,
            self.low,
            parts,
            across,
            ddt,
            sums,
            self.length,
            self.heads // self.groups,
            self.headdim,
            self.carriers,
            *call.x.stride()[:3],
            *call.dt.stride()[:2],
            self.bias_heads,
            *self.way,
            SOFTPLUS=call.dt_softplus,
            ACROSS=triton.next_power_of_2(self.carriers),
            **tile,
        )
        # Copies, since outputs of an operator may not share memory.
        totals = (total.clone() for total in sums.sum((0, 2)).unbind(-1))
        return {"dt": ddt} | dict(zip(SUMS, totals, strict=True))

    def _matrices(self, dy: Tensor, exits: Tensor) -> dict[str, Tensor]:
        call, tile = self.call, self._tile("matrices")
        dB, dC = (matrix.new_empty(matrix.shape) for matrix in (call.B, call.C))
        triton_backward.matrices[(self.chunks, self.groups * tile["N_BLOCKS"], self.batch)](
            call.x,
            dy,
            call.B,
            call.C,
            self.sizes,
            self.high,
            self.low,
            self.entries,
            exits,
            dB,
            dC,
            self.length,
            self.headdim,
            self.d_state,
            *call.x.stride()[:3],
            *call.B.stride()[:3],
            *call.C.stride()[:3],
            *self.way,
            HEADS=self.heads // self.groups,
            **tile,
        )
        return {"B": dB, "C": dC}


def compilations() -> list[Compilation]:
    """Every kernel in every type; variants of some in one type.

    Numbers of blocks and heads are left out: they change no instruction but a loop's bound.
    """
    found = [_compilation("carry", "fp32", BACKWARD=way) for way in (False, True)]
    for dtype in ("fp32", "bf16", "fp16"):
        found += [_compilation("steps", dtype, SOFTPLUS=True), _compilation("pairs", dtype)]
        found += [_compilation("collect", dtype, BACKWARD=way) for way in (False, True)]
        found += [_compilation("outputs", dtype, GATED=True, BACKWARD=w) for w in (False, True)]
        found += [_compilation(name, dtype, 2) for name in MANY_TILES]
    found += [
        _compilation("steps", "bf16", SOFTPLUS=False),
        _compilation("outputs", "bf16", GATED=False, BACKWARD=False),
    ]
    found += [_compilation(name, "bf16") for name in MANY_TILES]
    return found


def _compilation(name: str, dtype: str, blocks: int = 1, **options: bool) -> Compilation:
    kernel = getattr(triton_backward if name in MANY_TILES else triton_kernels, name)
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[dtype]
    tiles = Tiles.of(kind)
    block = tiles.block_of(name)
    every = {"Q": tiles.chunk, "P": block, "N": block, "KIND": dot_kind(kind)}
    every |= {"P_BLOCKS": blocks, "N_BLOCKS": blocks, "BLOCK": CARRIED, "GROUP": GROUP}
    every |= {"HEADS": 4, "ACROSS": 16, "SOFTPLUS": True, **options}
    arguments = kernel.arg_names
    constants = {key: value for key, value in every.items() if key in arguments}
    signature = {key: "i32" for key in arguments if key not in constants}
    pointers = [key for key in arguments if key.endswith("_ptr")]
    typed = TYPED - WIDE_BACKWARD.get(name, set()) if options.get("BACKWARD", True) else TYPED
    signature |= {key: f"*{dtype if key in typed else 'fp32'}" for key in pointers}
    label = " ".join(f"{key.lower()}={value}" for key, value in options.items())
    return Compilation(
        name=f"{name} {dtype} blocks={blocks} {label}".rstrip(),
        kernel=kernel,
        signature=signature,
        constants=constants,
        **tiles.options(name),
        aligned=tuple(key for key in signature if key not in UNEVEN),
    )
