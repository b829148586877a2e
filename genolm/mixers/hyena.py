"""Hyena (Poli et al. 2023): gates and long convolutions whose filters are functions of position."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from genolm.mixers.hyena_filter import Features, HyenaFilter
from genolm.mixers.mixer import Mixer, MixerConfig
from genolm.mixers.spectrum_cache import SpectrumCache
from genolm.modules.by_rows import is_plain
from genolm.modules.linear import Linear
from genolm.modules.precision import at_least_float32
from genolm.modules.short_conv import ShortConv
from genolm.parallel import fft_conv, gated_short_conv, sequence_group, whole_length
from genolm_kernels import FilterSpectrum

MOST_PROJECTED_BYTES = 1 << 29  # of the projection in, for all channels at once
TILE_BYTES = 1 << 27  # of one tensor of the channels that are taken together
CHANNEL_GROUP = 16  # the fewest of them: a cache line


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

    Without gradients, sequences too long for all channels at once go by a few channels at a time:
    `mix_by_channels`.

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
        self.spectra = SpectrumCache()

    def forward(self, x: Tensor, *, reverse: bool = False, mirrored: bool = False) -> Tensor:
        """Mix x (batch, length, d_model) along the length; see `Mixer.forward`."""
        if mirrored or not self.goes_by_channels(x):
            return super().forward(x, reverse=reverse, mirrored=mirrored)
        return self.project_out(self.mix_by_channels(x, reverse=reverse), mirrored=False)

    def train(self, mode: bool = True) -> "Hyena":
        """Switch to training, or back; neither keeps what the other one cached."""
        self.spectra.clear()
        return super().train(mode)

    def _apply(self, fn: Any, recurse: bool = True) -> "Hyena":
        """Change type or device of all tensors; spectra of the old ones are of no more use."""
        self.spectra.clear()
        moved: Hyena = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch's own
        return moved

    def core(self, projected: Tensor, *, reverse: bool = False) -> Tensor:
        """Gate and convolve: (batch, length, (order + 1) d_model) to (batch, length, d_model)."""
        length, order = projected.shape[1], self.config.order
        self._check(whole_length(length))
        taps, bias = self.short_filter.weight.squeeze(1), self.short_filter.bias
        gated, gates = gated_short_conv(projected, taps, bias, parts=order + 1, reverse=reverse)
        filters = self.spectra.get(self.filter_fn, length, self.training)
        if filters is None:
            filters = self.filter_fn(length).chunk(order - 1, dim=-1)
        return self._convolve(gated, gates, filters, slice(None), reverse)

    def goes_by_channels(self, x: Tensor) -> bool:
        """Whether x (batch, length, d_model) is to be mixed a few channels at a time."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or sequence_group():
            return False
        projected = x.numel() * (self.config.order + 1) * x.element_size()
        return projected > MOST_PROJECTED_BYTES and is_plain(self.in_proj, Linear)

    def mix_by_channels(self, x: Tensor, *, reverse: bool = False) -> Tensor:
        """Project in, gate and convolve a few channels at a time, without gradients.

        The projection of all channels, their filters and their spectra never exist together.

        Args:
            x: Inputs (batch, length, d_model).
            reverse: Whether to run from the last position to the first.

        Returns:
            Input of out_proj (batch, length, d_model).
        """
        batch, length, d_model = x.shape
        self._check(length)
        features = self.filter_fn.features(length)
        column = batch * length * x.element_size()
        width = max(1, TILE_BYTES // (column * CHANNEL_GROUP)) * CHANNEL_GROUP
        mixed: list[Tensor] = []
        for first in range(0, d_model, width):
            some = slice(first, min(first + width, d_model))
            piece = self._mix_channels(x, features, some, reverse)
            if first == 0:
                mixed.append(piece.new_empty(x.shape))
            mixed[0][..., some] = piece
        return mixed[0]

    def _mix_channels(self, x: Tensor, features: Features, some: slice, reverse: bool) -> Tensor:
        d_model, order = x.shape[2], self.config.order

        def pick(values: Tensor) -> Tensor:
            return torch.cat([part[some] for part in torch.split(values, d_model)])

        weights = {name: pick(value) for name, value in self.in_proj.named_parameters()}
        projected = torch.func.functional_call(self.in_proj, weights, (x,))
        taps, bias = self.short_filter.weight.squeeze(1), self.short_filter.bias
        assert bias is not None
        gated, gates = gated_short_conv(
            projected, pick(taps), pick(bias), parts=order + 1, reverse=reverse
        )
        del projected
        firsts = range(0, (order - 1) * d_model, d_model)
        filters = (
            self.filter_fn.taps(features, slice(first + some.start, first + some.stop))
            for first in firsts
        )
        return self._convolve(gated, gates, filters, some, reverse)

    def _convolve(
        self,
        v: Tensor,
        gates: Tensor,
        filters: Iterable[Tensor | FilterSpectrum],
        some: slice,
        reverse: bool,
    ) -> Tensor:
        """The recurrence of long convolutions and gates, for some of the channels."""
        remaining = gates.chunk(self.config.order - 1, dim=-1)[::-1]
        skips = at_least_float32(self.filter_fn.bias).chunk(self.config.order - 1)
        for gate, long_filter, skip in zip(remaining, filters, skips, strict=True):
            v = fft_conv(v, long_filter, skip[some], gate_out=gate, reverse=reverse)
        return v

    def _check(self, length: int) -> None:
        if length > self.config.l_max:
            raise ValueError(
                f"the sequence has {length} tokens, but this model was built for at most "
                f"{self.config.l_max} (max_seq_len, or l_max of the hyena mixer)"
            )
