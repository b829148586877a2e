"""One position of a causal depthwise convolution on the GPU, and the window after it, at once."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from genolm_kernels._triton import Compilation

BLOCK = 128  # channels of a program, of one sequence


def triton_causal_conv1d_step(
    window: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool
) -> tuple[Tensor, Tensor]:
    """Convolve one position; arguments as in `genolm_kernels.causal_conv1d_step`.

    Returns:
        y (batch, channels) in x's type, computed in float32, and the new window
        (batch, width - 1, channels) in the old one's type.
    """
    found: tuple[Tensor, Tensor] = _conv_step(window, x, weight, bias, silu)
    return found


@torch.library.custom_op("genolm::causal_conv1d_step_triton", mutates_args=())
def _conv_step(
    window: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool
) -> tuple[Tensor, Tensor]:
    batch, channels = x.shape
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    moved = torch.empty(window.shape, dtype=window.dtype, device=x.device)
    if x.numel() == 0:
        return y, moved
    taps = weight.contiguous()
    with torch.cuda.device_of(x):
        step[(triton.cdiv(channels, BLOCK) * batch,)](
            window.contiguous(),
            x.contiguous(),
            taps,
            taps if bias is None else bias.contiguous(),
            y,
            moved,
            channels,
            0 if bias is None else channels,
            WIDTH=weight.shape[1],
            SILU=silu,
            BLOCK=BLOCK,
            num_warps=1,
        )
    return y, moved


@_conv_step.register_fake
def _conv_step_fake(
    window: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), window.new_empty(window.shape)


@triton.jit
def step(
    window_ptr,
    x_ptr,
    weight_ptr,
    bias_ptr,
    y_ptr,
    moved_ptr,
    channels,
    bias_channels,
    WIDTH: tl.constexpr,
    SILU: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Convolve a block of channels of one sequence and move its window on."""
    # One axis of programs, since the others end at 65535.
    blocks = tl.cdiv(channels, BLOCK)
    c = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    present = c < channels
    sequence = (tl.program_id(0) // blocks).to(tl.int64)
    window_ptr += sequence * (WIDTH - 1) * channels
    moved_ptr += sequence * (WIDTH - 1) * channels
    x = tl.load(x_ptr + sequence * channels + c, present, other=0.0)
    tap = tl.load(weight_ptr + c * WIDTH + WIDTH - 1, present, other=0.0)
    y = tl.load(bias_ptr + c, c < bias_channels, other=0.0).to(tl.float32)
    y += tap.to(tl.float32) * x.to(tl.float32)
    for j in tl.static_range(WIDTH - 1):
        seen = tl.load(window_ptr + j * channels + c, present, other=0.0)
        tap = tl.load(weight_ptr + c * WIDTH + j, present, other=0.0)
        y += tap.to(tl.float32) * seen.to(tl.float32)
        if j > 0:
            tl.store(moved_ptr + (j - 1) * channels + c, seen, present)
    if WIDTH > 1:
        x = x.to(moved_ptr.dtype.element_ty)
        tl.store(moved_ptr + (WIDTH - 2) * channels + c, x, present)
    if SILU:
        y = y * tl.sigmoid(y)
    tl.store(y_ptr + sequence * channels + c, y.to(y_ptr.dtype.element_ty), present)


def compilations() -> list[Compilation]:
    """Mamba's width in every type, and its window in float32."""
    listed = [("fp32", "fp32"), ("bf16", "bf16"), ("fp16", "fp16"), ("bf16", "fp32")]
    return [_compilation(dtype, window) for dtype, window in listed]


def _compilation(dtype: str, window: str) -> Compilation:
    kinds: dict[str, Any] = dict.fromkeys(("window_ptr", "moved_ptr"), f"*{window}")
    kinds |= dict.fromkeys(("x_ptr", "y_ptr"), f"*{dtype}")
    kinds |= dict.fromkeys(("weight_ptr", "bias_ptr"), "*fp32")
    kinds |= dict.fromkeys(("channels", "bias_channels"), "i32")
    return Compilation(
        name=f"step width=4 {dtype} window={window}",
        kernel=step,
        signature=kinds,
        constants={"WIDTH": 4, "SILU": True, "BLOCK": BLOCK},
        num_warps=1,
        aligned=tuple(kinds),
    )
