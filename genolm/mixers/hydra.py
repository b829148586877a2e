"""Hydra (Hwang et al. 2024): a quasiseparable matrix, or duality from both ends at once."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from genolm.mixers.duality import DualityConfig
from genolm.mixers.mixer import Mixer
from genolm.modules.initial import set_initial_values
from genolm.modules.linear import Linear
from genolm.modules.norm import RMSNorm
from genolm.modules.precision import at_least_float32
from genolm.modules.short_conv import ShortConv
from genolm.parallel import borrow, shard_sequence, ssd


@dataclass(frozen=True, kw_only=True)
class HydraConfig(DualityConfig):
    """Options of a Hydra mixer: those of `DualityConfig`, with an odd number of taps.

    It reads both ways by itself: `bidirectional: false` gives a model with one of it in a block.
    """

    d_conv: int = 7

    name: ClassVar[str] = "hydra"
    causal: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse filters that have no middle."""
        super().__post_init__()
        if self.d_conv % 2 == 0:
            raise ValueError(f"mixer 'hydra': d_conv must be odd, got {self.d_conv}")

    def build(self, d_model: int) -> "Hydra":
        """Make a Hydra mixer for d_model channels."""
        return Hydra(self, d_model)


class Hydra(Mixer):
    """The mixer; its state-dict keys are those of the original module.

    Args:
        config: Options.
        d_model: Number of channels.
    """

    init_states: nn.Parameter | None

    def __init__(self, config: HydraConfig, d_model: int) -> None:
        super().__init__()
        self.config = config
        heads, inner = config.heads(d_model), config.expand * d_model
        matrix = config.ngroups * config.d_state
        convolved = inner + 4 * matrix
        self.sizes = [inner, convolved, heads, heads]
        self.convolved_sizes = [inner, *[matrix] * 4]
        self.in_proj = Linear(d_model, sum(self.sizes), bias=config.bias)
        self.conv1d = CentredConv(
            convolved, config.d_conv, bias=config.conv_bias, activation="silu"
        )
        self.dt_bias = nn.Parameter(torch.empty(heads))
        self.A_log = nn.Parameter(torch.empty(heads))
        self.D = nn.Parameter(torch.empty(heads))
        self.fc_D = Linear(inner, heads, bias=False)
        shape = (heads, config.headdim, config.d_state)
        learned = config.learnable_init_states
        self.init_states = nn.Parameter(torch.empty(shape)) if learned else None
        self.norm = RMSNorm(inner)
        self.out_proj = Linear(inner, d_model, bias=config.bias, writes_residual=True)
        set_initial_values(self)

    def core(self, projected: Tensor, *, reverse: bool = False) -> Tensor:
        """Convolve, scan from both ends, normalise and gate (equation 7 and figure 3).

        Args:
            projected: Gate, inputs, input and output matrices from the left and from the right,
                step sizes from the left and from the right (batch, length, channels).
            reverse: Whether what is from the left is from the right.

        Returns:
            (batch, length, inner).
        """
        z, convolved, *steps = torch.split(projected, self.sizes, dim=-1)
        convolved = self.conv1d(convolved, reverse=reverse)
        channels, *matrices = torch.split(convolved, self.convolved_sizes, dim=-1)
        x = torch.unflatten(channels, -1, (-1, self.config.headdim))
        skip = self.fc_D(channels) + at_least_float32(self.D)
        y = skip.unsqueeze(-1) * x
        # Positions on the diagonal belong to the skip: each direction gives what it knew one
        # position earlier.
        for dt, B, C, backwards in (
            (steps[0], matrices[0], matrices[1], reverse),
            (steps[1], matrices[2], matrices[3], not reverse),
        ):
            known = self._scan(x, dt, B, C, backwards)
            edge = borrow(known, 1, after=backwards)
            if backwards:
                y[:, :-1] += known[:, 1:]
            else:
                y[:, 1:] += known[:, :-1]
            if edge is not None:
                y[:, slice(-1, None) if backwards else slice(1)] += edge
        normed: Tensor = self.norm(y.flatten(-2))
        return normed * functional.silu(z)

    def _scan(self, x: Tensor, dt: Tensor, B: Tensor, C: Tensor, reverse: bool) -> Tensor:
        groups = (self.config.ngroups, self.config.d_state)
        dt, bias = self.config.limit(dt, at_least_float32(self.dt_bias))
        start = self.init_states
        return ssd(
            x,
            dt,
            -torch.exp(at_least_float32(self.A_log)),
            torch.unflatten(B, -1, groups),
            torch.unflatten(C, -1, groups),
            dt_bias=bias,
            dt_softplus=bias is not None,
            chunk_size=self.config.chunk_size,
            reverse=reverse,
            initial_state=None if start is None else start.expand(x.shape[0], *start.shape),
        )

    def initial_values(self) -> dict[str, Tensor]:
        """A = -1, D = 1, step sizes log-uniform, states zero."""
        heads = len(self.D)
        values = {
            "dt_bias": self.config.draw_step_bias(heads),
            "A_log": torch.zeros(heads),
            "D": torch.ones(heads),
        }
        if self.init_states is not None:
            values["init_states"] = torch.zeros(self.init_states.shape)
        return values


class CentredConv(ShortConv):
    """A filter of an odd number of taps for each channel, that looks as far ahead as back."""

    def forward(self, x: Tensor, *, reverse: bool = False) -> Tensor:
        """Convolve x (batch, length, channels); `reverse` turns the filter round."""
        half = self.weight.shape[2] // 2
        before = borrow(x, half, after=False)
        if before is not None:
            return self._convolve_slice(x, before, half, reverse)
        padded = functional.pad(x, (0, 0, half, 0) if reverse else (0, 0, 0, half))
        whole = super().forward(padded, reverse=reverse)
        return whole[:, : x.shape[1]] if reverse else whole[:, half:]

    def _convolve_slice(self, x: Tensor, before: Tensor, half: int, reverse: bool) -> Tensor:
        """Convolve a slice between the positions next to it."""
        after = borrow(x, half, after=True)
        assert after is not None
        with shard_sequence(None):  # everything that is seen is there
            whole = super().forward(torch.cat([before, x, after], dim=1), reverse=reverse)
        return whole[:, : x.shape[1]] if reverse else whole[:, 2 * half :]
