"""How the operators are commonly written in plain torch: what the backends are measured against."""

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 32


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor,
) -> Tensor:
    """Exact chunked scan on four-dimensional tensors, differentiated by autograd.

    All chunks are stepped through side by side from zero, then the entry states are carried from
    chunk to chunk. Shapes as in `genolm_kernels.selective_scan`; the softplus is included.
    """
    length = u.shape[1]
    padding = (0, 0, 0, -length % CHUNK)
    dt = F.softplus(delta + delta_bias)
    pieces = (F.pad(t, padding).unflatten(1, (-1, CHUNK)) for t in (dt, dt * u, B, C))
    dt, x, B, C = pieces
    decay = torch.exp(dt.unsqueeze(-1) * A)  # (batch, chunks, CHUNK, d_inner, d_state)
    added = x.unsqueeze(-1) * B.unsqueeze(-2)
    state, product = torch.zeros_like(added[:, :, 0]), torch.ones_like(added[:, :, 0])
    states, products = [], []
    for a, b in zip(decay.unbind(2), added.unbind(2), strict=True):
        state, product = a * state + b, a * product
        states.append(state)
        products.append(product)
    entry = torch.zeros_like(state[:, 0])
    entries = []
    for a, b in zip(product.unbind(1), state.unbind(1), strict=True):
        entries.append(entry)
        entry = a * entry + b
    whole = torch.stack(states, 2) + torch.stack(products, 2) * torch.stack(entries, 1).unsqueeze(2)
    y = (whole @ C.unsqueeze(-1)).squeeze(-1).flatten(1, 2)[:, :length]
    return (y + D * u) * F.silu(z)


def ssd(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    dt_bias: Tensor,
) -> Tensor:
    """The matrix form over all chunks at once, differentiated by autograd.

    Shapes as in `genolm_kernels.ssd` with one group; the softplus is included.
    """
    length = x.shape[1]
    sizes = F.softplus(dt + dt_bias)
    padding = (0, 0, 0, -length % CHUNK)
    stepped = (sizes.unsqueeze(-1) * x).flatten(2)
    parts = (stepped, B.flatten(2), C.flatten(2), sizes * A)
    stepped, B, C, rates = (F.pad(t, padding).unflatten(1, (-1, CHUNK)) for t in parts)
    stepped, sums = stepped.unflatten(-1, x.shape[2:]), rates.cumsum(2)
    between = (sums.unsqueeze(3) - sums.unsqueeze(2)).movedim(-1, 2)  # (b, chunks, heads, i, j)
    later = torch.ones(between.shape[-2:], dtype=torch.bool).triu(1)
    pairs = between.masked_fill(later, -torch.inf).exp() * (C @ B.mT).unsqueeze(2)
    within = torch.einsum("bchij,bcjhp->bcihp", pairs, stepped)
    until = (sums[:, :, -1:] - sums).exp()
    added = torch.einsum("bcjn,bcjh,bcjhp->bchpn", B, until, stepped)
    state, entries = torch.zeros_like(added[:, 0]), []
    for chunk, across in zip(added.unbind(1), sums[:, :, -1].exp().unbind(1), strict=True):
        entries.append(state)
        state = across[..., None, None] * state + chunk
    before = torch.einsum("bcin,bchpn,bcih->bcihp", C, torch.stack(entries, 1), sums.exp())
    y = (within + before).flatten(1, 2)[:, :length]
    return (y + D.unsqueeze(-1) * x) * F.silu(z)


def causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise convolution of torch, channels first, then silu."""
    channels, width = weight.shape
    wide = F.conv1d(
        x.transpose(1, 2), weight.unsqueeze(1), bias, padding=width - 1, groups=channels
    )
    return F.silu(wide[..., : x.shape[1]]).transpose(1, 2)


def gated_short_conv(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Depthwise convolution of torch, channels first, then the product of its last two thirds."""
    channels, width = weight.shape
    wide = F.conv1d(
        x.transpose(1, 2), weight.unsqueeze(1), bias, padding=width - 1, groups=channels
    )
    rest, gate, v = wide[..., : x.shape[1]].chunk(3, dim=1)
    return (v * gate).transpose(1, 2), rest.transpose(1, 2)


def add_norm(hidden: Tensor, residual: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """A sum, and torch's RMSNorm of it."""
    total = hidden + residual
    return F.rms_norm(total, weight.shape, weight, 1e-5), total


def fft_conv(u: Tensor, k: Tensor, d: Tensor) -> Tensor:
    """Transforms of all channels at once, channels first, of twice the length."""
    length = u.shape[1]
    inputs = u.transpose(1, 2).contiguous()
    spectrum = torch.fft.rfft(inputs, n=2 * length) * torch.fft.rfft(k.t(), n=2 * length)
    outputs = torch.fft.irfft(spectrum, n=2 * length)[..., :length] + d.unsqueeze(-1) * inputs
    return outputs.transpose(1, 2)


def slow_path_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor,
) -> Tensor:
    """The way of transformers' slow path: a loop over slices of four-dimensional tensors."""
    decay, added = _four_dimensional(u, delta + delta_bias, A, B)
    state = torch.zeros_like(added[:, 0])
    outputs = []
    for t in range(u.shape[1]):
        state = decay[:, t] * state + added[:, t]
        outputs.append((state @ C[:, t].unsqueeze(-1)).squeeze(-1))
    return (torch.stack(outputs, 1) + D * u) * F.silu(z)


def mambapy_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor,
) -> Tensor:
    """The way of mambapy, and of transformers' use_mambapy: its parallel scan."""
    from mambapy.pscan import pscan

    states = pscan(*_four_dimensional(u, delta + delta_bias, A, B))
    return ((states @ C.unsqueeze(-1)).squeeze(-1) + D * u) * F.silu(z)


def _four_dimensional(u: Tensor, raw: Tensor, A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    dt = F.softplus(raw)
    return torch.exp(dt.unsqueeze(-1) * A), (dt * u).unsqueeze(-1) * B.unsqueeze(-2)
