"""Short convolution and gate on the GPU: the two parts of a product are walked along together.

As the kernels of `causal_conv1d`, with two filters to a thread. What is not multiplied is convolved
by those very kernels. Backwards the convolutions are computed again, in float32: with
gated_t = v_t g_t,

    dv_t = g_t dgated_t     dg_t = v_t dgated_t

and each goes back through its filter.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from genolm_kernels._triton import Compilation
from genolm_kernels.causal_conv1d import MOST_TRITON_TAPS
from genolm_kernels.causal_conv1d.triton import (
    MOST_SEQUENCES,
    STRETCHES,
    add_sums,
    dense,
    launch_backward,
    launch_forward,
    narrow,
    own_part,
    read,
    read_rows,
    read_taps,
    rows,
    walk,
    weigh,
    weigh_back,
    write_row,
    zeros,
)

BLOCK = 64  # channels of each part in a program: half as many as of a single convolution
GROUP = 8  # rows loaded before any is used
BACKWARD_GROUP = 4


def triton_gated_short_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, parts: int, reverse: bool
) -> tuple[Tensor, Tensor]:
    """Convolve and gate; arguments as in `genolm_kernels.gated_short_conv`.

    Returns:
        gated (batch, length, d) and rest (batch, length, (parts - 2) * d) in x's type, computed
        in float32.
    """
    if len(x) > MOST_SEQUENCES:
        some = x.split(MOST_SEQUENCES)
        pairs = [triton_gated_short_conv(x, weight, bias, parts, reverse) for x in some]
        gated, rest = (torch.cat(outputs) for outputs in zip(*pairs, strict=True))
        return gated, rest
    found: tuple[Tensor, Tensor] = _gated_conv(x, weight, bias, parts, reverse)
    return found


@torch.library.custom_op("genolm::gated_short_conv_triton", mutates_args=())
def _gated_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, parts: int, reverse: bool
) -> tuple[Tensor, Tensor]:
    gated, rest = _outputs(x, parts)
    kept = rest.shape[2]
    if x.numel() > 0:
        launch_forward(x[..., :kept], weight[:kept], _head(bias, kept), rest, False, reverse)
        pair, taps = dense(x[..., kept:]), weight[kept:].contiguous()
        plan = walk(gated, weight.shape[1], BLOCK)
        with torch.cuda.device_of(x):
            forward[plan.grid](
                pair,
                taps,
                taps if bias is None else bias[kept:].contiguous(),
                gated,
                *gated.shape[1:],
                0 if bias is None else gated.shape[2],
                *rows(pair, reverse),
                *rows(gated, reverse),
                WIDTH=weight.shape[1],
                STRETCH=plan.stretch,
                GROUP=GROUP,
                BLOCK=plan.block,
                num_warps=1,
            )
    return gated, rest


@_gated_conv.register_fake
def _outputs_fake(
    x: Tensor, weight: Tensor, bias: Tensor | None, parts: int, reverse: bool
) -> tuple[Tensor, Tensor]:
    return _outputs(x, parts)


def _outputs(x: Tensor, parts: int) -> tuple[Tensor, Tensor]:
    batch, length, channels = x.shape
    d = channels // parts
    return x.new_empty(batch, length, d), x.new_empty(batch, length, channels - 2 * d)


def _head(bias: Tensor | None, kept: int) -> Tensor | None:
    return None if bias is None else bias[:kept]


@torch.library.custom_op("genolm::gated_short_conv_triton_backward", mutates_args=())
def _gated_conv_backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    reverse: bool,
    dgated: Tensor,
    drest: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    dx = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    bias_type = weight.dtype if bias is None else bias.dtype
    if x.numel() == 0:
        return dx, torch.zeros_like(weight), weight.new_zeros(len(weight), dtype=bias_type)
    kept, d, width = drest.shape[2], dgated.shape[2], weight.shape[1]
    dtaps, dstart = launch_backward(
        x[..., :kept], weight[:kept], _head(bias, kept), drest, dx[..., :kept], False, reverse
    )
    pair, dpair, dgated = dense(x[..., kept:]), dx[..., kept:], dense(dgated)
    taps = weight[kept:].contiguous()
    plan = walk(dgated, width, BLOCK)
    partial = x.new_empty(plan.walkers, width + 1, 2 * d, dtype=torch.float32)
    with torch.cuda.device_of(x):
        backward[plan.grid](
            pair,
            taps,
            taps if bias is None else bias[kept:].contiguous(),
            dgated,
            dpair,
            partial,
            *dgated.shape[1:],
            0 if bias is None else d,
            *rows(pair, reverse),
            *rows(dgated, reverse),
            *rows(dpair, reverse),
            WIDTH=width,
            STRETCH=plan.stretch,
            GROUP=BACKWARD_GROUP,
            BLOCK=plan.block,
            num_warps=1,
        )
    total = partial.sum(0)
    dweight = torch.cat((dtaps, total[:width].t().to(weight.dtype)))
    return dx, dweight, torch.cat((dstart, total[width].to(bias_type)))


@_gated_conv_backward.register_fake
def _gated_conv_backward_fake(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    reverse: bool,
    dgated: Tensor,
    drest: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    bias_type = weight.dtype if bias is None else bias.dtype
    dbias = weight.new_empty(len(weight), dtype=bias_type)
    return x.new_empty(x.shape), weight.new_empty(weight.shape), dbias


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.reverse = inputs[4]
    ctx.save_for_backward(*inputs[:3])


def _differentiate(ctx: Any, dgated: Tensor, drest: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, bias = ctx.saved_tensors
    dx, dweight, dbias = _gated_conv_backward(x, weight, bias, ctx.reverse, dgated, drest)
    return dx, dweight, None if bias is None else dbias, None, None


_gated_conv.register_autograd(_differentiate, setup_context=_keep_inputs)


@triton.jit
def forward(
    x_ptr,
    weight_ptr,
    bias_ptr,
    gated_ptr,
    length,
    channels,
    bias_channels,
    x_batch,
    x_first,
    x_row,
    gated_batch,
    gated_first,
    gated_row,
    WIDTH: tl.constexpr,
    STRETCH: tl.constexpr,
    GROUP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Convolve one stretch of a block of channels of the gate and of what it gates; multiply."""
    c, begin, sequence, _ = own_part(STRETCH, BLOCK)
    gate_ptr = x_ptr + sequence * x_batch + x_first
    value_ptr = gate_ptr + channels
    gated_ptr += sequence * gated_batch + gated_first
    gate_taps = read_taps(weight_ptr, c, channels, WIDTH)
    value_taps = read_taps(weight_ptr + channels * WIDTH, c, channels, WIDTH)
    gate_bias = read(bias_ptr, c, c < bias_channels)
    value_bias = read(bias_ptr + bias_channels, c, c < bias_channels)

    LEAD: tl.constexpr = WIDTH - 1
    gate_window = read_rows(gate_ptr, x_row, c, channels, begin - LEAD, length, LEAD)
    value_window = read_rows(value_ptr, x_row, c, channels, begin - LEAD, length, LEAD)
    for offset in range(0, STRETCH, GROUP):
        begun = begin + offset
        gates = gate_window + read_rows(gate_ptr, x_row, c, channels, begun, length, GROUP)
        values = value_window + read_rows(value_ptr, x_row, c, channels, begun, length, GROUP)
        for i in tl.static_range(GROUP):
            gate = weigh(gate_bias, gate_taps, gates, i, WIDTH)
            gated = gate * weigh(value_bias, value_taps, values, i, WIDTH)
            write_row(gated_ptr, gated_row, c, channels, begun + i, length, gated)
        gate_window = gates[GROUP:]
        value_window = values[GROUP:]


@triton.jit
def step_back(
    output, owned, gate, value, gates, values, sums, FIRST: tl.constexpr, WIDTH: tl.constexpr
):
    """Gradients of both sums at one position, and both parts' sums over the positions owned.

    gate and value are (bias, taps), gates and values the inputs, and sums those of both parts.
    """
    dgate = output * weigh(value[0], value[1], values, FIRST, WIDTH)
    dvalue = output * weigh(gate[0], gate[1], gates, FIRST, WIDTH)
    gate_sums = add_sums(sums[0], tl.where(owned, dgate, 0.0), gates, FIRST, WIDTH)
    value_sums = add_sums(sums[1], tl.where(owned, dvalue, 0.0), values, FIRST, WIDTH)
    return dgate, dvalue, (gate_sums, value_sums)


@triton.jit
def backward(
    x_ptr,
    weight_ptr,
    bias_ptr,
    dgated_ptr,
    dx_ptr,
    partial_ptr,
    length,
    channels,
    bias_channels,
    x_batch,
    x_first,
    x_row,
    dgated_batch,
    dgated_first,
    dgated_row,
    dx_batch,
    dx_first,
    dx_row,
    WIDTH: tl.constexpr,
    STRETCH: tl.constexpr,
    GROUP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Gradients of one stretch of a block of channels of the gate and of what it gates."""
    LEAD: tl.constexpr = WIDTH - 1
    c, begin, sequence, walker = own_part(STRETCH, BLOCK)
    x_ptr += sequence * x_batch + x_first
    dgated_ptr += sequence * dgated_batch + dgated_first
    dx_ptr += sequence * dx_batch + dx_first
    partial_ptr += walker * (WIDTH + 1) * 2 * channels
    gate = (read(bias_ptr, c, c < bias_channels), read_taps(weight_ptr, c, channels, WIDTH))
    value = (
        read(bias_ptr + bias_channels, c, c < bias_channels),
        read_taps(weight_ptr + channels * WIDTH, c, channels, WIDTH),
    )
    sums = (zeros(WIDTH + 1, BLOCK), zeros(WIDTH + 1, BLOCK))

    # dx of the stretch's first positions needs the gradients of its first sums.
    early_gates = read_rows(x_ptr, x_row, c, channels, begin - LEAD, length, 2 * LEAD)
    early_values = read_rows(x_ptr + channels, x_row, c, channels, begin - LEAD, length, 2 * LEAD)
    dgates = read_rows(dgated_ptr, dgated_row, c, channels, begin, length, LEAD)
    dvalues = dgates
    for i in tl.static_range(LEAD):
        dgate, dvalue, sums = step_back(
            dgates[0], i < STRETCH, gate, value, early_gates, early_values, sums, i, WIDTH
        )
        dgates = dgates[1:] + (dgate,)
        dvalues = dvalues[1:] + (dvalue,)
    gate_window = early_gates[LEAD:]
    value_window = early_values[LEAD:]

    for offset in range(0, STRETCH, GROUP):
        begun = begin + offset
        t = begun + LEAD
        gates = gate_window + read_rows(x_ptr, x_row, c, channels, t, length, GROUP)
        values = value_window + read_rows(x_ptr + channels, x_row, c, channels, t, length, GROUP)
        outputs = read_rows(dgated_ptr, dgated_row, c, channels, t, length, GROUP)
        for i in tl.static_range(GROUP):
            # The next stretch counts the sums that lie in it.
            dg, dv, sums = step_back(
                outputs[i], offset + i + LEAD < STRETCH, gate, value, gates, values, sums, i, WIDTH
            )
            dgates = dgates + (dg,)
            dvalues = dvalues + (dv,)
            dx = weigh_back(gate[1], dgates, WIDTH)
            write_row(dx_ptr, dx_row, c, channels, begun + i, length, dx)
            dx = weigh_back(value[1], dvalues, WIDTH)
            write_row(dx_ptr + channels, dx_row, c, channels, begun + i, length, dx)
            dgates = dgates[1:]
            dvalues = dvalues[1:]
        gate_window = gates[GROUP:]
        value_window = values[GROUP:]

    for j in tl.static_range(WIDTH + 1):
        tl.store(partial_ptr + 2 * j * channels + c, sums[0][j], c < channels)
        tl.store(partial_ptr + (2 * j + 1) * channels + c, sums[1][j], c < channels)


def compilations() -> list[Compilation]:
    """Hyena's width in every type, and the widest."""
    listed = [(3, "fp32"), (3, "bf16"), (3, "fp16"), (MOST_TRITON_TAPS, "bf16")]
    return [
        Compilation(
            name=f"{kernel.__name__} width={width} {dtype}",
            kernel=kernel,
            signature=_signature(kernel, dtype),
            constants={
                "WIDTH": width,
                "STRETCH": STRETCHES[1],
                "GROUP": GROUP if kernel is forward else BACKWARD_GROUP,
                "BLOCK": narrow(BLOCK, width),
            },
            num_warps=1,
            aligned=tuple(name for name in _signature(kernel, dtype) if name != "length"),
        )
        for width, dtype in listed
        for kernel in (forward, backward)
    ]


def _signature(kernel: Any, dtype: str) -> dict[str, str]:
    kinds = {"weight_ptr": "*fp32", "bias_ptr": "*fp32", "partial_ptr": "*fp32"}
    kinds |= dict.fromkeys(("x_ptr", "gated_ptr", "dgated_ptr", "dx_ptr"), f"*{dtype}")
    return {name: kinds.get(name, "i32") for name in kernel.arg_names if not name.isupper()}
