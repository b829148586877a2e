"""Mamba-2 (Dao and Gu 2024, section 7): state-space duality behind a short convolution."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from genolm.mixers.duality import DualityConfig, Range
from genolm.mixers.mixer import Mixer
from genolm.modules.initial import set_initial_values
from genolm.modules.linear import Linear
from genolm.modules.norm import RMSNorm
from genolm.modules.precision import at_least_float32
from genolm.modules.short_conv import ShortConv
from genolm.parallel import ssd
from genolm_kernels import causal_conv1d_step, ssd_step


@dataclass(frozen=True, kw_only=True)
class Mamba2Config(DualityConfig):
    """Options of a Mamba-2 mixer; the others are those of `DualityConfig`.

    Attributes:
        A_init_range: Bounds of the rates drawn at the start.
    """

    A_init_range: Range = (1.0, 16.0)

    name: ClassVar[str] = "mamba2"
    causal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse bounds that are none."""
        super().__post_init__()
        self._read_range("A_init_range")

    def build(self, d_model: int) -> "Mamba2":
        """Make a Mamba-2 mixer for d_model channels."""
        return Mamba2(self, d_model)


@dataclass(frozen=True)
class Mamba2State:
    """All that a Mamba-2 mixer remembers of a sequence, whatever its length.

    Attributes:
        window: The last inputs of the short convolution (batch, d_conv - 1, channels).
        ssm: State of the scan (batch, heads, headdim, d_state), in float32 at least.
    """

    window: Tensor
    ssm: Tensor


class Mamba2(Mixer):
    """The mixer; its state-dict keys are those of the original module.

    Args:
        config: Options.
        d_model: Number of channels.
    """

    init_states: nn.Parameter | None

    def __init__(self, config: Mamba2Config, d_model: int) -> None:
        super().__init__()
        self.config = config
        heads, inner = config.heads(d_model), config.expand * d_model
        matrix = config.ngroups * config.d_state
        convolved = inner + 2 * matrix
        self.sizes = [inner, convolved, heads]
        self.convolved_sizes = [inner, matrix, matrix]
        self.in_proj = Linear(d_model, sum(self.sizes), bias=config.bias)
        self.conv1d = ShortConv(convolved, config.d_conv, bias=config.conv_bias, activation="silu")
        self.dt_bias = nn.Parameter(torch.empty(heads))
        self.A_log = nn.Parameter(torch.empty(heads))
        self.D = nn.Parameter(torch.empty(heads))
        shape = (heads, config.headdim, config.d_state)
        learned = config.learnable_init_states
        self.init_states = nn.Parameter(torch.empty(shape)) if learned else None
        self.norm = RMSNorm(inner)
        self.out_proj = Linear(inner, d_model, bias=config.bias, writes_residual=True)
        set_initial_values(self)

    def core(self, projected: Tensor, *, reverse: bool = False) -> Tensor:
        """Convolve, scan, gate and normalise: (batch, length, channels) to (batch, length, inner).

        Channels of the input are gate, inputs, input and output matrices, step sizes.
        """
        z, convolved, dt = torch.split(projected, self.sizes, dim=-1)
        x, B, C = self._split(self.conv1d(convolved, reverse=reverse))
        dt, bias = self.config.limit(dt, at_least_float32(self.dt_bias))
        start = self.init_states
        y = ssd(
            x,
            dt,
            self._rates(),
            B,
            C,
            at_least_float32(self.D),
            self._by_head(z),
            bias,
            dt_softplus=bias is not None,
            chunk_size=self.config.chunk_size,
            reverse=reverse,
            initial_state=None if start is None else start.expand(x.shape[0], *start.shape),
        )
        normed: Tensor = self.norm(y.flatten(-2))
        return normed

    def initial_values(self) -> dict[str, Tensor]:
        """Rates uniform in their range, step sizes log-uniform, D = 1, states zero."""
        heads = len(self.D)
        rates = torch.empty(heads).uniform_(*self.config.A_init_range)
        values = {
            "dt_bias": self.config.draw_step_bias(heads),
            "A_log": rates.log(),
            "D": torch.ones(heads),
        }
        if self.init_states is not None:
            values["init_states"] = torch.zeros(self.init_states.shape)
        return values

    def initial_state(self, batch: int) -> Mamba2State:
        """What is remembered before the first position, of that many sequences."""
        channels, _, width = self.conv1d.weight.shape
        config, heads = self.config, len(self.D)
        if self.init_states is None:
            start = self.D.new_zeros(heads, config.headdim, config.d_state)
        else:
            start = self.init_states
        return Mamba2State(
            window=self.conv1d.weight.new_zeros(batch, width - 1, channels),
            ssm=at_least_float32(start.expand(batch, *start.shape)),
        )

    def step(self, x: Tensor, state: Mamba2State) -> tuple[Tensor, Mamba2State]:
        """Take one position of sequences that `forward` would take whole, in constant memory.

        Args:
            x: The next position (batch, d_model).
            state: What is remembered of those before it.

        Returns:
            The output at this position (batch, d_model), and the state with it included.
        """
        z, convolved, dt = torch.split(self.in_proj(x), self.sizes, dim=-1)
        taps = self.conv1d.weight.squeeze(1)
        convolved, window = causal_conv1d_step(
            state.window, convolved, taps, self.conv1d.bias, activation=self.conv1d.activation
        )
        inputs, B, C = self._split(convolved)
        dt, bias = self.config.limit(dt, at_least_float32(self.dt_bias))
        y, ssm = ssd_step(
            state.ssm,
            inputs,
            dt,
            self._rates(),
            B,
            C,
            at_least_float32(self.D),
            self._by_head(z),
            bias,
            dt_softplus=bias is not None,
        )
        normed = self.norm(y.flatten(-2).unsqueeze(1)).squeeze(1)
        return self.out_proj(normed), Mamba2State(window, ssm)

    def _split(self, convolved: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs by head, and both matrices by group."""
        x, B, C = torch.split(convolved, self.convolved_sizes, dim=-1)
        groups = (self.config.ngroups, self.config.d_state)
        return self._by_head(x), torch.unflatten(B, -1, groups), torch.unflatten(C, -1, groups)

    def _by_head(self, channels: Tensor) -> Tensor:
        return torch.unflatten(channels, -1, (-1, self.config.headdim))

    def _rates(self) -> Tensor:
        return -torch.exp(at_least_float32(self.A_log))
