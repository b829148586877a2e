"""What a mixer is: a frozen config that builds a module, (batch, length, d_model) to the same."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, get_type_hints

from torch import Tensor, nn

from genolm.modules.options import check_type, reject_unknown


class Mixer(nn.Module, ABC):
    """A mixer between two projections, which a bidirectional pair may share."""

    in_proj: nn.Module
    out_proj: nn.Module

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

    def forward(self, x: Tensor, *, reverse: bool = False) -> Tensor:
        """Mix x (batch, length, d_model) along the length, backwards if `reverse`."""
        mixed: Tensor = self.out_proj(self.core(self.in_proj(x), reverse=reverse))
        return mixed


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
