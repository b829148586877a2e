"""Short causal convolution on the GPU: each thread walks along the sequence with a few channels.

A program owns a block of channels and a stretch of positions. It reads every input once, keeps the
last `width` of them in registers, and loads a group of rows before it uses them, so that many
loads are under way at a time. Backwards it keeps the last gradients of the sums as well: with
p_t = bias + sum_lag w_lag x_{t - lag} and y_t = silu(p_t),

    dp_t = silu'(p_t) dy_t     dx_t = sum_lag w_lag dp_{t + lag}     dw_lag = sum_t dp_t x_{t - lag}

and dw is summed per stretch, then over stretches in a fixed order, so that results repeat bit for
bit. Reversed, the same program walks from the last position to the first: only strides differ.
"""

import math
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from genolm_kernels._triton import Compilation
from genolm_kernels.causal_conv1d import MOST_TRITON_TAPS

BLOCK = 128  # channels of a program: four for each thread of a warp, two where filters are wide
WIDE = 5  # taps
GROUP = 8  # rows loaded before any is used
BACKWARD_GROUP = 4  # rows of inputs and rows of gradients: more would take too many registers
# Positions of a program: the longest that makes enough programs. Never fewer than MOST_TRITON_TAPS.
STRETCHES = (256, 64, 16)
ENOUGH_PROGRAMS = 2048
MOST_SEQUENCES = 65535  # the end of a grid's third axis


def triton_causal_conv1d(
    x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool
) -> Tensor:
    """Convolve; arguments as in `genolm_kernels.causal_conv1d`.

    Returns:
        y (batch, length, channels) in x's type, computed in float32.
    """
    if len(x) > MOST_SEQUENCES:
        parts = x.split(MOST_SEQUENCES)
        return torch.cat([triton_causal_conv1d(x, weight, bias, silu, reverse) for x in parts])
    y: Tensor = _conv(x, weight, bias, silu, reverse)
    return y


@torch.library.custom_op("genolm::causal_conv1d_triton", mutates_args=())
def _conv(x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool) -> Tensor:
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    launch_forward(x, weight, bias, y, silu, reverse)
    return y


@_conv.register_fake
def _conv_fake(x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.custom_op("genolm::causal_conv1d_triton_backward", mutates_args=())
def _conv_backward(
    x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    dx = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    dweight, dbias = launch_backward(x, weight, bias, dy, dx, silu, reverse)
    return dx, dweight, dbias


@_conv_backward.register_fake
def _conv_backward_fake(
    x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    dbias = x.new_empty(x.shape[2], dtype=weight.dtype if bias is None else bias.dtype)
    return x.new_empty(x.shape), weight.new_empty(weight.shape), dbias


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.flags = inputs[3:]
    ctx.save_for_backward(*inputs[:3])


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, bias = ctx.saved_tensors
    dx, dweight, dbias = _conv_backward(x, weight, bias, *ctx.flags, dy)
    return dx, dweight, None if bias is None else dbias, None, None


_conv.register_autograd(_differentiate, setup_context=_keep_inputs)


class Walk(NamedTuple):
    """How the programs of one launch lie over a (batch, length, channels) tensor.

    Attributes:
        grid: Blocks of channels, stretches, sequences.
        block: Channels of a program.
        stretch: Positions of a program.
    """

    grid: tuple[int, int, int]
    block: int
    stretch: int

    @property
    def walkers(self) -> int:
        """Programs that share a block of channels."""
        return self.grid[1] * self.grid[2]


def walk(x: Tensor, width: int, block: int = BLOCK) -> Walk:
    """Stretches as long as leaves the GPU busy: short ones read more rows twice."""
    batch, length, channels = x.shape
    block = narrow(block, width)
    blocks = triton.cdiv(channels, block)
    for stretch in STRETCHES:
        grid = (blocks, triton.cdiv(length, stretch), batch)
        if math.prod(grid) >= ENOUGH_PROGRAMS:
            break
    return Walk(grid, block, stretch)


def narrow(block: int, width: int) -> int:
    """Half as many channels where so many taps would fill the registers."""
    return block // 2 if width >= WIDE else block


def rows(x: Tensor, reverse: bool) -> tuple[int, int, int]:
    """Strides (batch, first row, row) in elements, of rows in the order in which they are met."""
    batch, step, _ = x.stride()
    return (batch, (x.shape[1] - 1) * step, -step) if reverse else (batch, 0, step)


def dense(x: Tensor) -> Tensor:
    """The tensor, or a copy where its channels do not lie side by side."""
    return x if x.stride(2) == 1 else x.contiguous()


def launch_forward(
    x: Tensor, weight: Tensor, bias: Tensor | None, y: Tensor, silu: bool, reverse: bool
) -> None:
    """Write the convolution of x (batch, length, channels) into y, a dense view of its shape."""
    if x.numel() == 0:
        return
    x, weight = dense(x), weight.contiguous()
    plan = walk(x, weight.shape[1])
    with torch.cuda.device_of(x):
        forward[plan.grid](
            x,
            weight,
            weight if bias is None else bias.contiguous(),
            y,
            *x.shape[1:],
            0 if bias is None else x.shape[2],
            *rows(x, reverse),
            *rows(y, reverse),
            WIDTH=weight.shape[1],
            SILU=silu,
            STRETCH=plan.stretch,
            GROUP=GROUP,
            BLOCK=plan.block,
            num_warps=1,
        )


def launch_backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    dy: Tensor,
    dx: Tensor,
    silu: bool,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """Write the gradient of x into dx, a dense view of its shape; returns dweight and dbias."""
    if x.numel() == 0:
        return torch.zeros_like(weight), torch.zeros_like(weight[:, 0] if bias is None else bias)
    x, dy, taps = dense(x), dense(dy), weight.contiguous()
    channels, width = taps.shape
    plan = walk(x, width)
    partial = x.new_empty(plan.walkers, width + 1, channels, dtype=torch.float32)
    with torch.cuda.device_of(x):
        backward[plan.grid](
            x,
            taps,
            taps if bias is None else bias.contiguous(),
            dy,
            dx,
            partial,
            *x.shape[1:],
            0 if bias is None else channels,
            *rows(x, reverse),
            *rows(dy, reverse),
            *rows(dx, reverse),
            WIDTH=width,
            SILU=silu,
            STRETCH=plan.stretch,
            GROUP=BACKWARD_GROUP,
            BLOCK=plan.block,
            num_warps=1,
        )
    total = partial.sum(0)
    # A copy, since outputs of an operator may not share memory, and a single tap's would.
    dbias = total[width].to(weight.dtype if bias is None else bias.dtype, copy=True)
    return total[:width].t().to(weight.dtype).contiguous(), dbias


@triton.jit
def own_part(STRETCH: tl.constexpr, BLOCK: tl.constexpr):
    """A program's channels, first position and sequence, and its number among those of a block."""
    c = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    begin = tl.program_id(1).to(tl.int64) * STRETCH
    sequence = tl.program_id(2).to(tl.int64)
    return c, begin, sequence, sequence * tl.num_programs(1) + tl.program_id(1)


@triton.jit
def inside(c, channels, t, length):
    """Which channels of a row there are: none where position t is outside the sequence."""
    # A comparison of vectors alone: triton 3.9's interpreter makes integers of a mixed conjunction.
    return c < tl.where((t >= 0) & (t < length), channels, 0)


@triton.jit
def read(pointer, c, mask):
    """One row in float32, zero where it is masked."""
    return tl.load(pointer + c, mask, other=0.0).to(tl.float32)


@triton.jit
def read_rows(pointer, row, c, channels, t, length, COUNT: tl.constexpr):
    """COUNT rows from position t on, zero outside the sequence."""
    found = ()
    for i in tl.static_range(COUNT):
        mask = inside(c, channels, t + i, length)
        found = found + (read(pointer + (t + i) * row, c, mask),)
    return found


@triton.jit
def write_row(pointer, row, c, channels, t, length, values):
    """Store position t in the type of the memory, unless it is outside the sequence."""
    mask = inside(c, channels, t, length)
    tl.store(pointer + t * row + c, values.to(pointer.dtype.element_ty), mask)


@triton.jit
def read_taps(pointer, c, channels, WIDTH: tl.constexpr):
    """The filters of a block of channels, a vector for each tap."""
    found = ()
    for j in tl.static_range(WIDTH):
        found = found + (read(pointer + j, c * WIDTH, c < channels),)
    return found


@triton.jit
def zeros(COUNT: tl.constexpr, BLOCK: tl.constexpr):
    """COUNT vectors of zeros."""
    found = ()
    for _ in tl.static_range(COUNT):
        found = found + (tl.zeros((BLOCK,), tl.float32),)
    return found


@triton.jit
def weigh(total, taps, vectors, FIRST: tl.constexpr, WIDTH: tl.constexpr):
    """The total, and each tap times its own of the vectors from FIRST on."""
    for j in tl.static_range(WIDTH):
        total += taps[j] * vectors[FIRST + j]
    return total


@triton.jit
def weigh_back(taps, gradients, WIDTH: tl.constexpr):
    """Gradient of an input: each tap times the gradient of the sum that it led to."""
    total = taps[WIDTH - 1] * gradients[0]
    for j in tl.static_range(1, WIDTH):
        total += taps[WIDTH - 1 - j] * gradients[j]
    return total


@triton.jit
def add_sums(sums, dp, vectors, FIRST: tl.constexpr, WIDTH: tl.constexpr):
    """What one position adds to the gradients of the taps, and in the last sum of the bias."""
    found = ()
    for j in tl.static_range(WIDTH):
        found = found + (sums[j] + dp * vectors[FIRST + j],)
    return found + (sums[WIDTH] + dp,)


@triton.jit
def through_silu(dy, p):
    """Gradient of p from that of silu(p)."""
    s = tl.sigmoid(p)
    return dy * s * (1.0 + p * (1.0 - s))


@triton.jit
def forward(
    x_ptr,
    weight_ptr,
    bias_ptr,
    y_ptr,
    length,
    channels,
    bias_channels,
    x_batch,
    x_first,
    x_row,
    y_batch,
    y_first,
    y_row,
    WIDTH: tl.constexpr,
    SILU: tl.constexpr,
    STRETCH: tl.constexpr,
    GROUP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Convolve one stretch of one block of channels of one sequence."""
    c, begin, sequence, _ = own_part(STRETCH, BLOCK)
    x_ptr += sequence * x_batch + x_first
    y_ptr += sequence * y_batch + y_first
    taps = read_taps(weight_ptr, c, channels, WIDTH)
    bias = read(bias_ptr, c, c < bias_channels)

    window = read_rows(x_ptr, x_row, c, channels, begin - (WIDTH - 1), length, WIDTH - 1)
    for offset in range(0, STRETCH, GROUP):
        begun = begin + offset
        rows = window + read_rows(x_ptr, x_row, c, channels, begun, length, GROUP)
        for i in tl.static_range(GROUP):
            y = weigh(bias, taps, rows, i, WIDTH)
            if SILU:
                y = y * tl.sigmoid(y)
            write_row(y_ptr, y_row, c, channels, begun + i, length, y)
        window = rows[GROUP:]


@triton.jit
def backward(
    x_ptr,
    weight_ptr,
    bias_ptr,
    dy_ptr,
    dx_ptr,
    partial_ptr,
    length,
    channels,
    bias_channels,
    x_batch,
    x_first,
    x_row,
    dy_batch,
    dy_first,
    dy_row,
    dx_batch,
    dx_first,
    dx_row,
    WIDTH: tl.constexpr,
    SILU: tl.constexpr,
    STRETCH: tl.constexpr,
    GROUP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Gradients of one stretch: dx of its positions, and what its sums add to dweight and dbias."""
    LEAD: tl.constexpr = WIDTH - 1
    c, begin, sequence, walker = own_part(STRETCH, BLOCK)
    x_ptr += sequence * x_batch + x_first
    dy_ptr += sequence * dy_batch + dy_first
    dx_ptr += sequence * dx_batch + dx_first
    partial_ptr += walker * (WIDTH + 1) * channels
    taps = read_taps(weight_ptr, c, channels, WIDTH)
    bias = read(bias_ptr, c, c < bias_channels)
    sums = zeros(WIDTH + 1, BLOCK)

    # dx of the stretch's first positions needs the gradients of its first sums.
    early = read_rows(x_ptr, x_row, c, channels, begin - LEAD, length, 2 * LEAD)
    gradients = read_rows(dy_ptr, dy_row, c, channels, begin, length, LEAD)
    for i in tl.static_range(LEAD):
        gradient = gradients[0]
        if SILU:
            gradient = through_silu(gradient, weigh(bias, taps, early, i, WIDTH))
        gradients = gradients[1:] + (gradient,)
        sums = add_sums(sums, gradient, early, i, WIDTH)
    window = early[LEAD:]

    for offset in range(0, STRETCH, GROUP):
        begun = begin + offset
        rows = window + read_rows(x_ptr, x_row, c, channels, begun + LEAD, length, GROUP)
        outputs = read_rows(dy_ptr, dy_row, c, channels, begun + LEAD, length, GROUP)
        for i in tl.static_range(GROUP):
            dp = outputs[i]
            if SILU:
                dp = through_silu(dp, weigh(bias, taps, rows, i, WIDTH))
            # The next stretch counts the sums that lie in it.
            owned = tl.where(offset + i + LEAD < STRETCH, dp, 0.0)
            sums = add_sums(sums, owned, rows, i, WIDTH)
            gradients = gradients + (dp,)
            dx = weigh_back(taps, gradients, WIDTH)
            gradients = gradients[1:]
            write_row(dx_ptr, dx_row, c, channels, begun + i, length, dx)
        window = rows[GROUP:]

    for j in tl.static_range(WIDTH + 1):
        tl.store(partial_ptr + j * channels + c, sums[j], c < channels)


def compilations() -> list[Compilation]:
    """The usual width in every type, the widest, and the one without activation.

    Lengths of stretches are left out: they change no instruction but a loop's bound.
    """
    listed = [(4, kind, True) for kind in ("fp32", "bf16", "fp16")]
    listed += [(MOST_TRITON_TAPS, "fp32", True), (3, "bf16", False)]
    return [
        Compilation(
            name=f"{kernel.__name__} width={width} {dtype} silu={silu}",
            kernel=kernel,
            signature=_signature(kernel, dtype),
            constants={
                "WIDTH": width,
                "SILU": silu,
                "STRETCH": STRETCHES[1],
                "GROUP": GROUP if kernel is forward else BACKWARD_GROUP,
                "BLOCK": narrow(BLOCK, width),
            },
            num_warps=1,
            aligned=tuple(name for name in _signature(kernel, dtype) if name != "length"),
        )
        for width, dtype, silu in listed
        for kernel in (forward, backward)
    ]


def _signature(kernel: Any, dtype: str) -> dict[str, str]:
    kinds = {"weight_ptr": "*fp32", "bias_ptr": "*fp32", "partial_ptr": "*fp32"}
    kinds |= dict.fromkeys(("x_ptr", "y_ptr", "dy_ptr", "dx_ptr"), f"*{dtype}")
    return {name: kinds.get(name, "i32") for name in kernel.arg_names if not name.isupper()}
