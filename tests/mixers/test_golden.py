"""Bare mixers load the original's state dicts unchanged, and compute what it does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from genolm.mixers import MIXERS

FOLDER = Path(__file__).parents[1] / "fixtures" / "golden"
KINDS = ("mamba_block*", "hyena_operator*", "mamba2_simple*", "hydra_mixer*")
NAMES = sorted(path.name for kind in KINDS for path in FOLDER.glob(kind))
# Largest difference over largest value: outputs, gradients.
TOLERANCE = {"f32": (2e-5, 2e-4), "f64": (1e-9, 1e-9)}


def error(ours, theirs):
    return np.abs(ours.detach().double().numpy() - theirs).max() / np.abs(theirs).max()


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("folder", NAMES)
def test_outputs_and_gradients_are_the_originals(folder, precision, read_golden):
    name, options, arrays = read_golden(folder)
    dtype = {"f32": torch.float32, "f64": torch.float64}[precision]
    d_model = options.pop("d_model")
    mixer = MIXERS[name](**options).build(d_model)
    mixer.load_state_dict(load_file(FOLDER / folder / "model.safetensors"), strict=True)
    mixer = mixer.to(dtype)
    x = torch.from_numpy(arrays["x"]).to(dtype).requires_grad_()
    y = mixer(x)
    for_values, for_gradients = TOLERANCE[precision]
    assert y.dtype == dtype
    assert error(y, arrays[f"y_{precision}"]) < for_values
    if "dout" not in arrays:
        return
    (y * torch.from_numpy(arrays["dout"]).to(dtype)).sum().backward()
    assert error(x.grad, arrays[f"grad_x_{precision}"]) < for_gradients
    prefix = {"f32": "grad:", "f64": "grad64:"}[precision]
    parameters = dict(mixer.named_parameters())
    for key in (key for key in arrays if key.startswith(prefix)):
        assert error(parameters[key.removeprefix(prefix)].grad, arrays[key]) < for_gradients, key


@pytest.mark.parametrize("folder", [name for name in NAMES if "hyena" in name])
def test_position_tables_follow_from_the_options(folder, read_golden):
    name, options, _ = read_golden(folder)
    d_model = options.pop("d_model")
    fresh = MIXERS[name](**options).build(d_model).state_dict()
    stored = load_file(FOLDER / folder / "model.safetensors")
    for key in ("filter_fn.pos_emb.z", "filter_fn.pos_emb.t", "filter_fn.modulation.deltas"):
        assert torch.allclose(fresh[key], stored[key], atol=1e-6), key


def test_the_filter_without_a_floor_is_the_originals(read_golden):
    name, options, arrays = read_golden("hyena_operator_shift0")
    d_model = options.pop("d_model")
    mixer = MIXERS[name](**options).build(d_model)
    mixer.load_state_dict(load_file(FOLDER / "hyena_operator_shift0" / "model.safetensors"))
    assert error(mixer.filter_fn(arrays["filter_f32"].shape[0]), arrays["filter_f32"]) < 2e-5
