"""Two mixers that read a sequence from both ends (BiMamba, Caduceus section 3.1)."""

from typing import Literal, get_args

from torch import Tensor, nn

from genolm.mixers.mixer import Mixer, MixerConfig
from genolm.modules.by_rows import by_sequences, is_large

MOST_ELEMENTS = 1 << 24  # of a batch: of a larger one, several inner tensors would fill gigabytes

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

    def forward(self, x: Tensor, *, mirrored: bool = False) -> Tensor:
        """Mix in both directions.

        Args:
            x: Sequence (batch, length, d_model).
            mirrored: Whether x is stored backwards, in positions and in channels, and the result
                is to be: flip(self(flip(x))) over both axes, without flipping either.

        Returns:
            (batch, length, d_model).
        """
        if x.shape[0] > 1 and is_large(x.numel(), MOST_ELEMENTS):
            return by_sequences(lambda one: self._mix(one, mirrored), x)
        return self._mix(x, mirrored)

    def _mix(self, x: Tensor, mirrored: bool) -> Tensor:
        first, second = self.mamba_fwd, self.mamba_rev
        projected, other = self.project_in(x, mirrored=mirrored)
        if self.tie and self.merge == "add":
            both = first.core_both_ways(second, projected, reverse=mirrored)
            return self._project_sum(both, mirrored)
        forward = first.core(projected, reverse=mirrored)
        backward = second.core(other, reverse=not mirrored)
        return self.project_out(forward, backward, mirrored=mirrored)

    def project_in(self, x: Tensor, *, mirrored: bool) -> tuple[Tensor, Tensor]:
        """What the two mixers read of x (batch, length, d_model); the same if they are tied."""
        projected = self.mamba_fwd.project_in(x, mirrored=mirrored)
        if self.tie:
            return projected, projected
        return projected, self.mamba_rev.project_in(x, mirrored=mirrored)

    def project_out(self, forward: Tensor, backward: Tensor, *, mirrored: bool) -> Tensor:
        """Merge what the cores of the two mixers made (batch, length, channels).

        Args:
            forward: The core of `mamba_fwd`.
            backward: The core of `mamba_rev`.
            mirrored: Whether the channels of the result are in the opposite order.

        Returns:
            (batch, length, d_model).
        """
        if self.tie and self.merge == "add":
            return self._project_sum(forward + backward, mirrored)
        first = self.mamba_fwd
        second = first if self.tie else self.mamba_rev
        one = first.project_out(forward, mirrored=mirrored)
        other = second.project_out(backward, mirrored=mirrored)
        return one * other if self.merge == "ew_multiply" else one + other

    def _project_sum(self, both: Tensor, mirrored: bool) -> Tensor:
        # The projection is linear: projecting the sum saves one product, and owes one bias.
        first = self.mamba_fwd
        out = first.project_out(both, mirrored=mirrored)
        bias = first.out_proj.bias
        if bias is None:
            return out
        return out + (bias.flip(0) if mirrored else bias).to(out.dtype)


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

    def forward(self, x: Tensor, *, mirrored: bool = False) -> Tensor:
        """Mix x (batch, length, d_model) from left to right; `mirrored` as in `Bidirectional`."""
        out: Tensor = self.mamba_fwd(x, reverse=mirrored, mirrored=mirrored)
        return out
