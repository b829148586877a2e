"""Residual sum and norm on the GPU: a row of channels stays in registers from sum to norm.

Backwards, with n = normed / weight, s = 1 / sqrt(mean(square) + eps) and g = weight * dnormed,

    dsum = dresidual + s (g - n mean(g n) - mean(g))

of which RMSNorm has no last term. dweight and dbias are summed by each program over its own rows,
then over programs in a fixed order, so that results repeat bit for bit.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from genolm_kernels._triton import Compilation
from genolm_kernels.add_norm import MOST_TRITON_CHANNELS

# Elements of a thread at a time; the backward pass keeps as many of five tensors, and two sums.
ELEMENTS = 16
BACKWARD_ELEMENTS = 8
# The backward pass has as many programs as fill the largest GPU a few times, each with many rows.
MOST_PROGRAMS = 1024


def triton_add_norm(
    hidden: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
    rms: bool,
) -> tuple[Tensor, Tensor]:
    """Add and normalise; arguments as in `genolm_kernels.add_norm`.

    Returns:
        The normed sum in weight's type, and the sum in float32; both (batch, length, d_model).
    """
    found: tuple[Tensor, Tensor] = _add_norm(hidden, residual, weight, bias, eps, rms)
    return found


@torch.library.custom_op("genolm::add_norm_triton", mutates_args=())
def _add_norm(
    hidden: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
    rms: bool,
) -> tuple[Tensor, Tensor]:
    normed, total = _outputs(hidden, weight)
    rows, channels = _rows(hidden)
    if rows == 0:
        return normed, total
    height, block, warps = tile(channels, ELEMENTS)
    hidden = hidden.contiguous()
    with torch.cuda.device_of(hidden):
        forward[(triton.cdiv(rows, height),)](
            hidden,
            hidden if residual is None else residual.contiguous(),
            weight.contiguous(),
            weight if bias is None else bias.contiguous(),
            normed,
            total,
            rows,
            channels,
            0 if bias is None else channels,
            eps,
            ADD=residual is not None,
            RMS=rms,
            HEIGHT=height,
            BLOCK=block,
            num_warps=warps,
        )
    return normed, total


@_add_norm.register_fake
def _add_norm_fake(
    hidden: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
    rms: bool,
) -> tuple[Tensor, Tensor]:
    return _outputs(hidden, weight)


@torch.library.custom_op("genolm::add_norm_triton_backward", mutates_args=())
def _add_norm_backward(
    total: Tensor,
    weight: Tensor,
    hidden_type: torch.dtype,
    eps: float,
    rms: bool,
    dnormed: Tensor,
    dresidual: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    dtotal, dhidden = _gradients(total, hidden_type)
    rows, channels = _rows(total)
    if rows == 0:
        return dtotal, dhidden, total.new_zeros(2, channels)
    height, block, warps = tile(channels, BACKWARD_ELEMENTS)
    tiles = triton.cdiv(rows, height)
    steps = triton.next_power_of_2(triton.cdiv(tiles, MOST_PROGRAMS))
    partial = total.new_empty(triton.cdiv(tiles, steps), 2, channels)
    with torch.cuda.device_of(total):
        backward[(len(partial),)](
            total,
            weight.contiguous(),
            dnormed.contiguous(),
            dresidual.contiguous(),
            dtotal,
            dhidden if dhidden.numel() > 0 else dtotal,
            partial,
            rows,
            channels,
            eps,
            RMS=rms,
            NARROW=dhidden.numel() > 0,
            STEPS=steps,
            HEIGHT=height,
            BLOCK=block,
            num_warps=warps,
        )
    return dtotal, dhidden, partial.sum(0)


@_add_norm_backward.register_fake
def _add_norm_backward_fake(
    total: Tensor,
    weight: Tensor,
    hidden_type: torch.dtype,
    eps: float,
    rms: bool,
    dnormed: Tensor,
    dresidual: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    return *_gradients(total, hidden_type), total.new_empty(2, total.shape[2])


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    hidden, residual, weight, bias, ctx.eps, ctx.rms = inputs
    ctx.hidden_type = hidden.dtype
    ctx.residual_type = None if residual is None else residual.dtype
    ctx.bias_type = None if bias is None else bias.dtype
    ctx.save_for_backward(output[1], weight)


def _differentiate(ctx: Any, dnormed: Tensor, dresidual: Tensor) -> tuple[Tensor | None, ...]:
    total, weight = ctx.saved_tensors
    dtotal, dhidden, sums = _add_norm_backward(
        total, weight, ctx.hidden_type, ctx.eps, ctx.rms, dnormed, dresidual
    )
    return (
        dtotal if ctx.hidden_type == dtotal.dtype else dhidden,
        None if ctx.residual_type is None else dtotal.to(ctx.residual_type),
        sums[0].to(weight.dtype),
        None if ctx.bias_type is None else sums[1].to(ctx.bias_type),
        None,
        None,
    )


_add_norm.register_autograd(_differentiate, setup_context=_keep)


def _outputs(hidden: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    normed = hidden.new_empty(hidden.shape, dtype=weight.dtype)
    return normed, hidden.new_empty(hidden.shape, dtype=torch.float32)


def _gradients(total: Tensor, hidden_type: torch.dtype) -> tuple[Tensor, Tensor]:
    """Memory for the gradient of the sum, and for that of hidden if it has a type of its own."""
    narrow = total.shape if hidden_type != total.dtype else torch.Size([0])
    return total.new_empty(total.shape), total.new_empty(narrow, dtype=hidden_type)


def _rows(x: Tensor) -> tuple[int, int]:
    return x.shape[0] * x.shape[1], x.shape[2]


def tile(channels: int, elements: int) -> tuple[int, int, int]:
    """Rows and padded channels of a program at a time, and its warps: four, or more for one row."""
    block = max(16, triton.next_power_of_2(channels))
    height = max(1, min(32, 4 * 32 * elements // block))
    return height, block, max(1, height * block // (32 * elements))


@triton.jit
def places(tile, rows, channels, HEIGHT: tl.constexpr, BLOCK: tl.constexpr):
    """Offsets of a tile's elements, and which of them there are."""
    row = tile * HEIGHT + tl.arange(0, HEIGHT)[:, None]
    column = tl.arange(0, BLOCK)[None, :]
    return row.to(tl.int64) * channels + column, (row < rows) & (column < channels)


@triton.jit
def statistics(x, mask, channels, eps, RMS: tl.constexpr):
    """The rows without their mean (as they are for RMSNorm), and one over their spread."""
    if not RMS:
        mean = tl.sum(x, 1)[:, None] / channels
        x = tl.where(mask, x - mean, 0.0)
    return x, tl.rsqrt(tl.sum(x * x, 1) / channels + eps)[:, None]


@triton.jit
def forward(
    hidden_ptr,
    residual_ptr,
    weight_ptr,
    bias_ptr,
    normed_ptr,
    total_ptr,
    rows,
    channels,
    bias_channels,
    eps,
    ADD: tl.constexpr,
    RMS: tl.constexpr,
    HEIGHT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Add and normalise HEIGHT rows."""
    place, mask = places(tl.program_id(0), rows, channels, HEIGHT, BLOCK)
    c = tl.arange(0, BLOCK)
    total = tl.load(hidden_ptr + place, mask, other=0.0).to(tl.float32)
    if ADD:
        total += tl.load(residual_ptr + place, mask, other=0.0).to(tl.float32)
    tl.store(total_ptr + place, total, mask)
    centred, scale = statistics(total, mask, channels, eps, RMS)
    weight = tl.load(weight_ptr + c, c < channels, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + c, c < bias_channels, other=0.0).to(tl.float32)
    normed = centred * scale * weight[None, :] + bias[None, :]
    tl.store(normed_ptr + place, normed.to(normed_ptr.dtype.element_ty), mask)


@triton.jit
def backward(
    total_ptr,
    weight_ptr,
    dnormed_ptr,
    dresidual_ptr,
    dtotal_ptr,
    dhidden_ptr,
    partial_ptr,
    rows,
    channels,
    eps,
    RMS: tl.constexpr,
    NARROW: tl.constexpr,
    STEPS: tl.constexpr,
    HEIGHT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Gradients of STEPS times HEIGHT rows, and what they add to those of weight and bias."""
    c = tl.arange(0, BLOCK)
    weight = tl.load(weight_ptr + c, c < channels, other=0.0).to(tl.float32)[None, :]
    dweight = tl.zeros((HEIGHT, BLOCK), tl.float32)
    dbias = tl.zeros((HEIGHT, BLOCK), tl.float32)
    for step in range(STEPS):
        place, mask = places(tl.program_id(0) * STEPS + step, rows, channels, HEIGHT, BLOCK)
        total = tl.load(total_ptr + place, mask, other=0.0)
        dnormed = tl.load(dnormed_ptr + place, mask, other=0.0).to(tl.float32)
        dresidual = tl.load(dresidual_ptr + place, mask, other=0.0)
        centred, scale = statistics(total, mask, channels, eps, RMS)
        n = centred * scale
        dweight += dnormed * n
        dbias += dnormed
        g = dnormed * weight
        back = g - n * (tl.sum(g * n, 1)[:, None] / channels)
        if not RMS:
            back -= tl.sum(g, 1)[:, None] / channels
        dtotal = dresidual + scale * back
        tl.store(dtotal_ptr + place, dtotal, mask)
        if NARROW:
            tl.store(dhidden_ptr + place, dtotal.to(dhidden_ptr.dtype.element_ty), mask)
    partial_ptr += tl.program_id(0).to(tl.int64) * 2 * channels
    tl.store(partial_ptr + c, tl.sum(dweight, 0), c < channels)
    tl.store(partial_ptr + channels + c, tl.sum(dbias, 0), c < channels)


def compilations() -> list[Compilation]:
    """Every pair of types at d_model 256, LayerNorm, and the widest row."""
    types = [("fp32", "fp32"), ("bf16", "fp32"), ("fp16", "fp32"), ("bf16", "bf16")]
    listed = [(hidden, weight, 256, True) for hidden, weight in types]
    listed += [("fp16", "fp16", 256, False), ("bf16", "fp32", MOST_TRITON_CHANNELS, False)]
    return [_compilation(kernel, *one) for one in listed for kernel in (forward, backward)]


def _compilation(kernel: Any, hidden: str, weight: str, channels: int, rms: bool) -> Compilation:
    height, block, warps = tile(channels, ELEMENTS if kernel is forward else BACKWARD_ELEMENTS)
    kinds = {"rows": "i32", "channels": "i32", "bias_channels": "i32", "eps": "fp32"}
    kinds |= dict.fromkeys(("hidden_ptr", "dhidden_ptr"), f"*{hidden}")
    kinds |= dict.fromkeys(("weight_ptr", "bias_ptr", "normed_ptr", "dnormed_ptr"), f"*{weight}")
    signature = {name: kinds.get(name, "*fp32") for name in kernel.arg_names if not name.isupper()}
    chosen = {"ADD": True, "RMS": rms, "NARROW": hidden != "fp32", "STEPS": 4}
    chosen |= {"HEIGHT": height, "BLOCK": block}
    norm = "rms" if rms else "layer"
    return Compilation(
        name=f"{kernel.__name__} {norm} {channels} {hidden} weight={weight}",
        kernel=kernel,
        signature=signature,
        constants={name: value for name, value in chosen.items() if name in kernel.arg_names},
        num_warps=warps,
        aligned=tuple(name for name in signature if name not in {"rows", "eps"}),
    )
