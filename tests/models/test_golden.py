"""Outputs, losses, hidden states and gradients of the original implementations."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from genolm.models.families import FAMILIES

FOLDER = Path(__file__).parents[1] / "fixtures" / "golden"
NAMES = sorted(
    path.parent.name
    for path in FOLDER.glob("*/config.json")
    if "architectures" in json.loads(path.read_text())
)
WITH_BOTH_STRANDS = [
    name for name in NAMES if "rc_input_ids" in np.load(FOLDER / name / "expected.npz")
]
# Largest difference over largest value: logits and hidden states, loss, gradients.
TOLERANCE = {"f32": (2e-5, 1e-5, 2e-4), "f64": (1e-9, 1e-9, 1e-9)}
DTYPE = {"f32": torch.float32, "f64": torch.float64}
GRADIENT = {"f32": "grad:", "f64": "grad64:"}


def read(folder, config, dtype):
    family = FAMILIES[config["model_type"]]
    options = {"conjoin_eval": True} if "conjoin" in folder.name else {}
    if "_max" in folder.name:
        options["pooling_strategy"] = "max"
    model_class = family.named(config["architectures"][0])
    return model_class.from_pretrained(folder, dtype=dtype, **options)


def test_the_original_is_covered_in_every_kind():
    assert len(NAMES) >= 13


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("name", NAMES)
def test_outputs_and_gradients_are_the_originals(name, precision, golden, error):
    case = golden(name)
    for_values, for_loss, for_gradients = TOLERANCE[precision]
    model = read(case.folder, case.config, DTYPE[precision])
    inputs = {"input_ids": case.tensor("input_ids"), "labels": case.tensor("labels")}
    if "loss_weights" in case.arrays:
        inputs["loss_weights"] = case.tensor("loss_weights")
    output = model(**inputs, output_hidden_states=True)
    assert error(output.logits, case.arrays[f"logits_{precision}"]) < for_values
    assert error(output.loss, case.arrays[f"loss_{precision}"]) < for_loss
    last = case.arrays.get(f"last_hidden_{precision}")
    if last is not None and len(output.hidden_states) > model.config.n_layer:
        assert error(output.hidden_states[-1], last) < for_values
    output.loss.backward()
    parameters = dict(model.named_parameters())
    prefix = GRADIENT[precision]
    stored = [key for key in case.arrays if key.startswith(prefix)]
    assert stored
    for key in stored:
        gradient = parameters[key.removeprefix(prefix)].grad
        assert error(gradient, case.arrays[key]) < for_gradients, key


@pytest.mark.parametrize("name", NAMES)
def test_hidden_states_are_the_originals_in_number_and_value(name, golden, error):
    case = golden(name)
    model = read(case.folder, case.config, torch.float32)
    states = model(case.tensor("input_ids"), output_hidden_states=True).hidden_states
    stored = [key for key in case.arrays if key.startswith("hidden") and key.endswith("_f32")]
    assert len(states) == len(stored)
    for index, state in enumerate(states):
        assert error(state, case.arrays[f"hidden{index}_f32"]) < 2e-5


@pytest.mark.parametrize("name", WITH_BOTH_STRANDS)
def test_the_reverse_complement_is_read_as_the_original_reads_it(name, golden, error):
    case = golden(name)
    model = read(case.folder, case.config, torch.float32)
    logits = model(case.tensor("rc_input_ids")).logits
    assert error(logits, case.arrays["rc_logits_f32"]) < 2e-5


def test_strand_order_of_the_fused_model_is_not_that_of_the_other(golden, error):
    case = golden("caduceus_ps_fused_even")
    family = FAMILIES["caduceus"]
    config = family.config.from_pretrained(case.folder)
    fused = family.tasks["masked_lm"].from_pretrained(case.folder)
    config.fused_add_norm = False
    other = family.tasks["masked_lm"](config).eval()
    weights = {
        key.replace("norm.weight", "norm.submodule.weight").replace(
            "norm_f.weight", "norm_f.submodule.weight"
        ): value
        for key, value in fused.state_dict().items()
    }
    other.load_state_dict(weights)
    ids = case.tensor("input_ids")
    assert error(other(ids).logits, fused(ids).logits.detach().numpy()) > 0.1
    assert np.isfinite(other(ids).logits.detach().numpy()).all()
