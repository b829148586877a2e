"""Long filters as functions of position (Poli et al. 2023, sections 3.3 and 4.1)."""

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from genolm.modules.initial import set_initial_values
from genolm.modules.linear import Linear, exact_linear
from genolm.modules.precision import at_least_float32
from genolm.parallel import first_position

if TYPE_CHECKING:
    from genolm.mixers.hyena import HyenaConfig


class Features(NamedTuple):
    """What all filters are made from: hidden (length, filter_order), and times (length, 1)."""

    hidden: Tensor
    t: Tensor


class HyenaFilter(nn.Module):
    """The filters of one mixer, computed in float32 at least.

    Args:
        config: Options of the mixer.
        channels: Number of filters: d_model for each long convolution, one after another.
    """

    def __init__(self, config: "HyenaConfig", channels: int) -> None:
        super().__init__()
        self.d_model = channels // (config.order - 1)
        self.bias = nn.Parameter(torch.empty(channels))
        self.pos_emb = PositionFeatures(config)
        self.implicit_filter = ImplicitFilter(config, channels)
        self.modulation = Window(channels, config.shift)
        set_initial_values(self)

    def forward(self, length: int) -> Tensor:
        """Compute the first taps of every filter: (length, channels).

        Where sequences are shared over processes, so are filters: the taps of this process's slice.
        """
        return self.taps(self.features(length))

    def features(self, length: int) -> Features:
        """Compute what the first taps of all filters have in common."""
        with torch.autocast(self.bias.device.type, enabled=False):
            first = first_position(length)
            z = at_least_float32(self.pos_emb.z[0, first : first + length])
            t = at_least_float32(self.pos_emb.t[0, first : first + length])
            return Features(self.implicit_filter.features(z), t)

    def taps(self, features: Features, channels: slice | None = None) -> Tensor:
        """Compute the taps of some filters: (length, channels); of all of them by default."""
        with torch.autocast(self.bias.device.type, enabled=False):
            window = self.modulation(features.t, channels)
            taps: Tensor = self.implicit_filter.taps(features.hidden, channels) * window
            return taps

    def state(self, length: int) -> tuple[list[Tensor], tuple[object, ...]]:
        """Everything that the first taps depend on: tensors, and what is not a tensor."""
        positions = {"pos_emb.z", "pos_emb.t"}
        named = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        del named["bias"]
        tensors = [
            value[:, :length] if name in positions else value for name, value in named.items()
        ]
        return tensors, (*named, self.modulation.shift)

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

    def __init__(self, config: "HyenaConfig") -> None:
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

    def __init__(self, config: "HyenaConfig", channels: int) -> None:
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

    def features(self, z: Tensor) -> Tensor:
        """Map position features (length, emb_dim) to the last hidden layer (length, width)."""
        sine = self.get_submodule("1")
        hidden: Tensor = z
        for name in self.linears[:-1]:
            hidden = sine(self.get_submodule(name)(hidden))
        return hidden

    def taps(self, hidden: Tensor, channels: slice | None = None) -> Tensor:
        """Map the last hidden layer (length, width) to taps (length, channels)."""
        last = self.get_submodule(self.linears[-1])
        if channels is None:
            whole: Tensor = last(hidden)
            return whole
        assert isinstance(last, Linear)
        return exact_linear(hidden, last.weight[channels])


class Sine(nn.Module):
    """sin(freq * x) with a frequency for each channel.

    Args:
        config: Options of the mixer: w, train_freq.
        width: Number of channels.
    """

    def __init__(self, config: "HyenaConfig", width: int) -> None:
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

    def forward(self, t: Tensor, channels: slice | None = None) -> Tensor:
        """Compute the window at times t (length, 1): (length, channels), of all by default."""
        rates = at_least_float32(self.deltas[0, :, channels or slice(None)]).abs()
        return torch.exp(-t * rates) + self.shift

    def initial_values(self) -> dict[str, Tensor]:
        """Rates at which the window falls to 0.01 between 0.3 and 1.5 of the longest length."""
        slow, fast = math.log(self.TARGET) / self.SLOW, math.log(self.TARGET) / self.FAST
        channels = self.deltas.shape[2]
        return {"deltas": torch.linspace(slow, fast, channels, dtype=torch.float64)[None, None]}
