"""Two mixers that read a sequence from both ends (BiMamba, Caduceus section 3.1)."""

from typing import Literal, get_args

from torch import Tensor, nn

from genolm.mixers.mixer import Mixer, MixerConfig

Merge = Literal["add", "ew_multiply"]


class Bidirectional(nn.Module):
    """m_fwd(x) merged with flip(m_rev(flip(x))); nothing is flipped where a mixer runs backwards.

    Args:
        config: Options of both mixers.
        d_model: Number of channels.
        merge: Whether the two outputs are added or multiplied.
        tie: Whether the two mixers share their projections in and out.
    """

    mamba_fwd: Mixer
    mamba_rev: Mixer

    def __init__(
        self, config: MixerConfig, d_model: int, *, merge: Merge = "add", tie: bool = True
    ) -> None:
        super().__init__()
        if merge not in get_args(Merge):
            raise ValueError(f"merge must be one of {', '.join(get_args(Merge))}, got {merge!r}")
        self.merge = merge
        self.tie = tie
        self.mamba_fwd = config.build(d_model)
        self.mamba_rev = config.build(d_model)
        if tie:
            # Checkpoints store the shared projections once, with the forward mixer.
            del self.mamba_rev.in_proj, self.mamba_rev.out_proj

    def forward(self, x: Tensor) -> Tensor:
        """Mix x (batch, length, d_model) in both directions."""
        if not self.tie:
            return self._merge(self.mamba_fwd(x), self.mamba_rev(x, reverse=True))
        projected = self.mamba_fwd.in_proj(x)
        forward = self.mamba_fwd.core(projected)
        backward = self.mamba_rev.core(projected, reverse=True)
        out_proj = self.mamba_fwd.out_proj
        if self.merge == "ew_multiply":
            return self._merge(out_proj(forward), out_proj(backward))
        # The projection is linear: projecting the sum saves one product, and owes one bias.
        out: Tensor = out_proj(forward + backward)
        bias: Tensor | None = getattr(out_proj, "bias", None)
        return out if bias is None else out + bias.to(out.dtype)

    def _merge(self, forward: Tensor, backward: Tensor) -> Tensor:
        return forward * backward if self.merge == "ew_multiply" else forward + backward


class Unidirectional(nn.Module):
    """One mixer under the name that checkpoints of a plain Mamba give it.

    Args:
        config: Options of the mixer.
        d_model: Number of channels.
    """

    mamba_fwd: Mixer

    def __init__(self, config: MixerConfig, d_model: int) -> None:
        super().__init__()
        self.mamba_fwd = config.build(d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Mix x (batch, length, d_model) from left to right."""
        out: Tensor = self.mamba_fwd(x)
        return out
