"""Golden folders of the original implementations, and small models of every kind."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genolm.models import build_model
from genolm.models.backbone import GenolmModel

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden"

KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ph": ("caduceus", "masked_lm", {}),
    "ph_untied": ("caduceus", "masked_lm", {"bidirectional_weight_tie": False, "rms_norm": False}),
    "ps": ("caduceus", "masked_lm", {"rcps": True}),
    "ps_unfused": ("caduceus", "masked_lm", {"rcps": True, "fused_add_norm": False}),
    "ps_hyena": ("caduceus", "masked_lm", {"rcps": True, "mixer": {"name": "hyena", "l_max": 64}}),
    "ps_mamba2": (
        "caduceus",
        "masked_lm",
        {"rcps": True, "mixer": {"name": "mamba2", "headdim": 8, "learnable_init_states": True}},
    ),
    "hydra": (
        "caduceus",
        "masked_lm",
        {"bidirectional": False, "mixer": {"name": "hydra", "headdim": 8, "d_state": 8}},
    ),
    "ps_classifier": ("caduceus", "classification", {"rcps": True, "num_labels": 3}),
    "mamba": ("caduceus", "causal_lm", {"bidirectional": False, "ssm_cfg": {"bias": True}}),
    "hyenadna": ("hyenadna", "causal_lm", {"max_seq_len": 64}),
    "hyenadna_mamba": ("hyenadna", "causal_lm", {"mixer": {"name": "mamba"}}),
    "hyenadna_mamba2": (
        "hyenadna",
        "causal_lm",
        {"mixer": {"name": "mamba2", "headdim": 16, "d_state": 8}},
    ),
    # As many labels as tokens, so that tokens can stand in for labels.
    "ps_token": ("caduceus", "token_classification", {"rcps": True, "num_labels": 12}),
    "hyenadna_token": ("hyenadna", "token_classification", {"max_seq_len": 64, "num_labels": 12}),
    "hyenadna_classifier": ("hyenadna", "classification", {"max_seq_len": 64, "num_labels": 3}),
}


@dataclass(frozen=True)
class Golden:
    folder: Path
    config: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def tensor(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[name])


@pytest.fixture
def golden() -> Callable[[str], Golden]:
    def read(name: str) -> Golden:
        folder = GOLDEN / name
        with np.load(folder / "expected.npz") as arrays:
            return Golden(folder, json.loads((folder / "config.json").read_text()), dict(arrays))

    return read


@pytest.fixture
def error() -> Callable[[torch.Tensor, np.ndarray], float]:
    def relative(ours: torch.Tensor, theirs: np.ndarray) -> float:
        difference = np.abs(ours.detach().double().numpy() - theirs).max()
        return float(difference / np.abs(theirs).max())

    return relative


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make() -> Callable[..., GenolmModel]:
    def build(kind: str, *, seed: int = 1, **changes: Any) -> GenolmModel:
        family, task, options = KINDS[kind]
        sizes = {"d_model": 16, "n_layer": 2}
        model = build_model(family, task, {**sizes, **options, **changes}, seed=seed)
        # Noise everywhere, so that no bias, norm or skip stands at 0 or 1 by chance.
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            for parameter in model.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
        return model.eval()

    return build


@pytest.fixture
def bases() -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(7, 12, (3, 41), generator=generator)
