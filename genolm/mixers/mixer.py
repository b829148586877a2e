"""What a mixer is: a frozen config that builds a module, (batch, length, d_model) to the same."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, get_type_hints

from torch import Tensor, nn

from genolm.modules.linear import Linear
from genolm.modules.options import check_type, reject_unknown


class Mixer(nn.Module, ABC):
    """A mixer between two projections, which a bidirectional pair may share."""

    in_proj: Linear
    out_proj: Linear

    @abstractmethod
    def core(self, projected: Tensor, *, reverse: bool = False) -> Tensor:
        """Mix along the length, between the projections.

        Args:
            projected: Output of in_proj (batch, length, channels).
            reverse: Whether to run from the last position to the first:
                flip(core(flip(projected))) along the length.

        Returns:
            Input of out_proj (batch, length, channels).
        """

    def core_both_ways(self, other: Self, projected: Tensor, *, reverse: bool = False) -> Tensor:
        """Sum of this mixer's core and of another's that runs in the opposite direction.

        Args:
            other: A mixer of the same kind.
            projected: What both read (batch, length, channels).
            reverse: Whether this one runs from the last position and the other from the first.

        Returns:
            Input of out_proj (batch, length, channels).
        """
        forward = self.core(projected, reverse=reverse)
        return forward + other.core(projected, reverse=not reverse)

    def forward(self, x: Tensor, *, reverse: bool = False, mirrored: bool = False) -> Tensor:
        """Mix along the length.

        Args:
            x: Sequence (batch, length, d_model).
            reverse: Whether to run from the last position to the first.
            mirrored: Whether the channels of x and of the result are in the opposite order.

        Returns:
            (batch, length, d_model).
        """
        mixed = self.core(self.project_in(x, mirrored=mirrored), reverse=reverse)
        return self.project_out(mixed, mirrored=mirrored)

    def project_in(self, x: Tensor, *, mirrored: bool) -> Tensor:
        """Apply in_proj to x (batch, length, d_model), in mirrored order if so asked."""
        if mirrored:
            return self.in_proj.mirrored(x, ends="in")
        projected: Tensor = self.in_proj(x)
        return projected

    def project_out(self, mixed: Tensor, *, mirrored: bool) -> Tensor:
        """Apply out_proj to (batch, length, channels), giving mirrored order if so asked."""
        if mirrored:
            return self.out_proj.mirrored(mixed, ends="out")
        out: Tensor = self.out_proj(mixed)
        return out


@dataclass(frozen=True, kw_only=True)
class MixerConfig(ABC):
    """Options of a mixer, checked when they are given."""

    name: ClassVar[str]
    causal: ClassVar[bool]

    def __new__(cls, **options: Any) -> Self:
        """Refuse unknown options before the generated constructor meets them."""
        reject_unknown(f"mixer {cls.name!r}", options, (field.name for field in fields(cls)))
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Refuse values of the wrong type."""
        kinds = get_type_hints(type(self))
        for field in fields(self):
            value = getattr(self, field.name)
            check_type(f"mixer {self.name!r}", field.name, value, kinds[field.name])

    @property
    def max_length(self) -> int | None:
        """The longest sequence this mixer takes; None for no limit."""
        return None

    @abstractmethod
    def build(self, d_model: int) -> Mixer:
        """Make the module, with fresh weights, for d_model channels."""
