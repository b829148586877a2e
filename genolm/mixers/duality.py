"""What the mixers of state-space duality share: heads with one rate and one step size each."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from genolm.mixers.mixer import MixerConfig

Range = tuple[float, float] | list[float]


@dataclass(frozen=True, kw_only=True)
class DualityConfig(MixerConfig):
    """Options of a mixer of state-space duality, named as in the originals.

    Attributes:
        d_state: Size of the state of each channel.
        d_conv: Taps of the short convolution.
        expand: Inner channels per model channel.
        headdim: Channels of a head; divides the inner channels.
        ngroups: Groups of heads; each group has input and output matrices of its own.
        dt_min: Smallest step size drawn at the start.
        dt_max: Largest step size drawn at the start.
        dt_init_floor: Floor of the step sizes drawn at the start.
        dt_limit: Bounds that step sizes are clamped to.
        learnable_init_states: Whether the state before the first position is trained.
        bias: Whether the projections in and out have biases.
        conv_bias: Whether the short convolution has a bias.
        chunk_size: Positions multiplied with each other at a time; no matter of results.
    """

    d_state: int = 64
    d_conv: int = 4
    expand: int = 2
    headdim: int = 64
    ngroups: int = 1
    dt_min: float = 1e-3
    dt_max: float = 0.1
    dt_init_floor: float = 1e-4
    dt_limit: Range = (0.0, math.inf)
    learnable_init_states: bool = False
    bias: bool = False
    conv_bias: bool = True
    chunk_size: int = 256

    def __post_init__(self) -> None:
        """Refuse bounds that are none."""
        super().__post_init__()
        self._read_range("dt_limit")

    def _read_range(self, name: str) -> None:
        """Turn a list, as files have it, into the pair of numbers that it must be."""
        value = getattr(self, name)
        try:
            low, high = (float(bound) for bound in value)
        except (TypeError, ValueError):
            low, high = math.nan, math.nan
        # Written so that NaN is refused.
        if not 0 <= low <= high:
            raise ValueError(
                f"mixer {self.name!r}: {name} must be two numbers, 0 <= low <= high, got {value!r}"
            )
        object.__setattr__(self, name, (low, high))

    def heads(self, d_model: int) -> int:
        """Number of heads for d_model channels.

        Raises:
            ValueError: If headdim or ngroups does not divide what it must.
        """
        inner = self.expand * d_model
        heads, rest = divmod(inner, self.headdim)
        if rest or heads == 0:
            raise ValueError(
                f"mixer {self.name!r}: headdim must divide expand * d_model = {inner}, "
                f"got {self.headdim}"
            )
        if heads % self.ngroups:
            raise ValueError(
                f"mixer {self.name!r}: ngroups must divide the {heads} heads of {self.headdim} "
                f"channels, got {self.ngroups}"
            )
        return heads

    def limit(self, dt: Tensor, bias: Tensor) -> tuple[Tensor, Tensor | None]:
        """Apply dt_limit to step sizes (..., heads), if it excludes any.

        Returns:
            What the scan takes as dt, and the bias that it adds before a softplus; None where both
            are done already.
        """
        if self.dt_limit == (0.0, math.inf):
            return dt, bias
        return softplus(dt + bias).clamp(*self.dt_limit), None

    def draw_step_bias(self, heads: int) -> Tensor:
        """Biases (heads,) whose softplus is log-uniform between dt_min and dt_max."""
        low, high = math.log(self.dt_min), math.log(self.dt_max)
        step = torch.exp(torch.rand(heads) * (high - low) + low).clamp(min=self.dt_init_floor)
        # The inverse of softplus, in the form that keeps small steps exact.
        return step + torch.log(-torch.expm1(-step))
