"""Bare modules of the original implementations."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genolm.mixers import MIXERS, Mixer, MixerConfig

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden"
MODULES = {
    "HyenaOperator": "hyena",
    "Hydra": "hydra",
    "Mamba": "mamba",
    "Mamba2Simple": "mamba2",
}
# What makes a mixer fit the small widths of the tests.
SMALL: dict[str, dict[str, Any]] = {
    "hydra": {"headdim": 6, "d_state": 8},
    "mamba2": {"headdim": 6, "d_state": 8},
}


@pytest.fixture
def read_golden() -> Callable[[str], tuple[str, dict[str, Any], dict[str, np.ndarray]]]:
    def read(folder: str) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
        options = json.loads((GOLDEN / folder / "config.json").read_text())
        name = MODULES[options.pop("module")]
        with np.load(GOLDEN / folder / "expected.npz") as arrays:
            return name, options, dict(arrays)

    return read


@pytest.fixture(params=sorted(MIXERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def config(name: str) -> MixerConfig:
    return MIXERS[name](**SMALL.get(name, {}))


@pytest.fixture
def make() -> Callable[..., Mixer]:
    def build(name: str, d_model: int = 12, seed: int = 0, **options: Any) -> Mixer:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            mixer = MIXERS[name](**(SMALL.get(name, {}) | options)).build(d_model)
            for parameter in mixer.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
        return mixer

    return build


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(3, 29, 12, generator=torch.Generator().manual_seed(1))
