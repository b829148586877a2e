"""Hyena (Poli et al. 2023): gates and long convolutions whose filters are functions of position."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from genolm.mixers.mixer import Mixer, MixerConfig
from genolm.modules.initial import set_initial_values
from genolm.modules.linear import Linear
from genolm.modules.precision import at_least_float32
from genolm.modules.short_conv import ShortConv
from genolm_kernels import fft_conv


@dataclass(frozen=True, kw_only=True)
class HyenaConfig(MixerConfig):
    """Options of a Hyena mixer.

    Attributes:
        l_max: Longest sequence; the filter's positions are measured in it.
        order: Number of gates; one less long convolution.
        filter_order: Width of the network that computes the filters.
        emb_dim: Position features, odd and at least 3.
        w: Frequency of the sines at the start.
        num_inner_mlps: Hidden layers of the network.
        short_filter_order: Taps of the short convolution.
        shift: Added to the decaying window: 0.05 in the published weights' code, 0.0 where they
            were trained.
        lr_pos_emb: Position features are trained if this is not 0.
        train_freq: Whether the sines' frequencies are trained.
    """

    l_max: int = 1026
    order: int = 2
    filter_order: int = 64
    emb_dim: int = 5
    w: float = 10.0
    num_inner_mlps: int = 2
    short_filter_order: int = 3
    shift: float = 0.05
    lr_pos_emb: float = 0.0
    train_freq: bool = True

    name: ClassVar[str] = "hyena"
    causal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse sizes for which there is no filter."""
        super().__post_init__()
        if self.order < 2:
            raise ValueError(f"mixer 'hyena': order must be 2 or more, got {self.order}")
        if self.emb_dim < 3 or self.emb_dim % 2 == 0:
            raise ValueError(f"mixer 'hyena': emb_dim must be odd and >= 3, got {self.emb_dim}")
        if self.l_max < 2:
            raise ValueError(f"mixer 'hyena': l_max must be 2 or more, got {self.l_max}")

    @property
    def max_length(self) -> int:
        """The longest sequence, l_max."""
        return self.l_max

    def build(self, d_model: int) -> "Hyena":
        """Make a Hyena mixer for d_model channels."""
        return Hyena(self, d_model)


class Hyena(Mixer):
    """The mixer; its state-dict keys are those of the original module.

    Args:
        config: Options.
        d_model: Number of channels.
    """

    def __init__(self, config: HyenaConfig, d_model: int) -> None:
        super().__init__()
        self.config = config
        channels = (config.order + 1) * d_model
        self.in_proj = Linear(d_model, channels)
        self.short_filter = ShortConv(channels, config.short_filter_order)
        self.filter_fn = HyenaFilter(config, (config.order - 1) * d_model)
        self.out_proj = Linear(d_model, d_model, writes_residual=True)

    def core(self, projected: Tensor, *, reverse: bool = False) -> Tensor:
        """Gate and convolve: (batch, length, (order + 1) d_model) to (batch, length, d_model)."""
        length, order = projected.shape[1], self.config.order
        if length > self.config.l_max:
            raise ValueError(
                f"the sequence has {length} tokens, but this model was built for at most "
                f"{self.config.l_max} (max_seq_len, or l_max of the hyena mixer)"
            )
        filters = self.filter_fn(length).chunk(order - 1, dim=-1)
        skips = at_least_float32(self.filter_fn.bias).chunk(order - 1)
        *gates, v = self.short_filter(projected, reverse=reverse).chunk(order + 1, dim=-1)
        for long_filter, skip in zip(filters, skips, strict=True):
            v = _long_conv(v * gates.pop(), long_filter, skip, reverse)
        out: Tensor = v * gates.pop()
        return out


def _long_conv(v: Tensor, long_filter: Tensor, skip: Tensor, reverse: bool) -> Tensor:
    if reverse:
        return fft_conv(v.flip(1), long_filter, skip).flip(1)
    return fft_conv(v, long_filter, skip)


class HyenaFilter(nn.Module):
    """Filters as functions of position (sections 3.3 and 4.1), computed in float32 at least.

    Args:
        config: Options of the mixer.
        channels: Number of filters: d_model for each long convolution, one after another.
    """

    def __init__(self, config: HyenaConfig, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(channels))
        self.pos_emb = PositionFeatures(config)
        self.implicit_filter = ImplicitFilter(config, channels)
        self.modulation = Window(channels, config.shift)
        set_initial_values(self)

    def forward(self, length: int) -> Tensor:
        """Compute the first taps of every filter: (length, channels)."""
        with torch.autocast(self.bias.device.type, enabled=False):
            z = at_least_float32(self.pos_emb.z[0, :length])
            t = at_least_float32(self.pos_emb.t[0, :length])
            taps: Tensor = self.implicit_filter(z) * self.modulation(t)
            return taps

    def initial_values(self) -> dict[str, Tensor]:
        """The skip of each convolution from the standard normal distribution."""
        return {"bias": torch.randn(self.bias.shape)}


class PositionFeatures(nn.Module):
    """Time and its complex exponentials at a few frequencies, for every position.

    Args:
        config: Options of the mixer: l_max, emb_dim, lr_pos_emb.
    """

    z: Tensor
    t: Tensor

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        self.sizes = (config.l_max, (config.emb_dim - 1) // 2)
        self.register_buffer("t", torch.empty(1, config.l_max, 1))
        z = torch.empty(1, config.l_max, config.emb_dim)
        if config.lr_pos_emb:
            self.z = nn.Parameter(z)
        else:
            self.register_buffer("z", z)
        set_initial_values(self)

    def initial_values(self) -> dict[str, Tensor]:
        """T = s / (l_max - 1) and z = [t, cos(f w), -sin(f w)] with w = 2 pi s / l_max."""
        l_max, bands = self.sizes
        position = torch.arange(l_max, dtype=torch.float64)[:, None]
        t = position / (l_max - 1)
        angle = torch.linspace(1e-4, bands - 1, bands, dtype=torch.float64) * (
            2 * math.pi * position / l_max
        )
        z = torch.cat([t, angle.cos(), -angle.sin()], dim=-1)
        return {"z": z[None], "t": t[None]}


class ImplicitFilter(nn.Module):
    """Linear layers with sines between them; the sines share one set of frequencies.

    Args:
        config: Options of the mixer: emb_dim, filter_order, num_inner_mlps, w, train_freq.
        channels: Size of the output.
    """

    def __init__(self, config: HyenaConfig, channels: int) -> None:
        super().__init__()
        width, inner = config.filter_order, config.num_inner_mlps
        self.linears = [str(2 * index) for index in range(inner + 2)]
        sizes = [config.emb_dim, *[width] * (inner + 1), channels]
        # Checkpoints number the layers as a sequence in which every second one is the sine; the
        # shared one is stored once, under its first number.
        for index, name in enumerate(self.linears):
            last = index == inner + 1
            layer = Linear(sizes[index], sizes[index + 1], bias=not last, full_precision=True)
            self.add_module(name, layer)
            if index == 0:
                self.add_module("1", Sine(config, width))

    def forward(self, z: Tensor) -> Tensor:
        """Map position features (length, emb_dim) to taps (length, channels)."""
        sine = self.get_submodule("1")
        hidden: Tensor = self.get_submodule(self.linears[0])(z)
        for name in self.linears[1:]:
            hidden = self.get_submodule(name)(sine(hidden))
        return hidden


class Sine(nn.Module):
    """sin(freq * x) with a frequency for each channel.

    Args:
        config: Options of the mixer: w, train_freq.
        width: Number of channels.
    """

    def __init__(self, config: HyenaConfig, width: int) -> None:
        super().__init__()
        self.w = float(config.w)
        self.freq = nn.Parameter(torch.empty(1, width), requires_grad=config.train_freq)
        set_initial_values(self)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the sine to x (length, width)."""
        return torch.sin(self.freq * x)

    def initial_values(self) -> dict[str, Tensor]:
        """The same frequency w everywhere."""
        return {"freq": torch.full(self.freq.shape, self.w)}


class Window(nn.Module):
    """Exponential decay, faster in later channels, over a constant floor.

    Args:
        channels: Number of filters.
        shift: The floor.
    """

    FAST, SLOW, TARGET = 0.3, 1.5, 0.01

    deltas: Tensor

    def __init__(self, channels: int, shift: float) -> None:
        super().__init__()
        self.shift = float(shift)
        self.register_buffer("deltas", torch.empty(1, 1, channels))
        set_initial_values(self)

    def forward(self, t: Tensor) -> Tensor:
        """Compute the window at times t (length, 1): (length, channels)."""
        return torch.exp(-t * at_least_float32(self.deltas[0]).abs()) + self.shift

    def initial_values(self) -> dict[str, Tensor]:
        """Rates at which the window falls to 0.01 between 0.3 and 1.5 of the longest length."""
        slow, fast = math.log(self.TARGET) / self.SLOW, math.log(self.TARGET) / self.FAST
        channels = self.deltas.shape[2]
        return {"deltas": torch.linspace(slow, fast, channels, dtype=torch.float64)[None, None]}
