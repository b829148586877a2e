"""Mixers: (batch, length, d_model) to the same shape. A new one is a new file and one line here."""

from collections.abc import Mapping
from dataclasses import fields
from typing import get_type_hints

from genolm.mixers.bidirectional import Bidirectional, Merge, Unidirectional
from genolm.mixers.hydra import HydraConfig
from genolm.mixers.hyena import HyenaConfig
from genolm.mixers.mamba import MambaConfig
from genolm.mixers.mamba2 import Mamba2Config
from genolm.mixers.mixer import Mixer, MixerConfig
from genolm.modules.options import read_number, reject_unknown

__all__ = [
    "MIXERS",
    "Bidirectional",
    "Merge",
    "Mixer",
    "MixerConfig",
    "Unidirectional",
    "parse_mixer",
]

MIXERS: dict[str, type[MixerConfig]] = {
    "hydra": HydraConfig,
    "hyena": HyenaConfig,
    "mamba": MambaConfig,
    "mamba2": Mamba2Config,
}


def parse_mixer(options: Mapping[str, object]) -> MixerConfig:
    """Read a mixer from a mapping such as {"name": "mamba", "d_state": 8}.

    Args:
        options: The mixer's name under "name", and any of its options.

    Returns:
        The mixer's config.

    Raises:
        ValueError: If the name, or an option, is missing or unknown; the message lists the known.
    """
    name = options.get("name")
    if name not in MIXERS:
        raise ValueError(f"mixer needs a name out of {', '.join(sorted(MIXERS))}, got {name!r}")
    kind = MIXERS[str(name)]
    rest = {key: value for key, value in options.items() if key != "name"}
    reject_unknown(f"mixer {name!r}", rest, (field.name for field in fields(kind)))
    kinds = get_type_hints(kind)
    return kind(**{key: read_number(value, kinds[key]) for key, value in rest.items()})
