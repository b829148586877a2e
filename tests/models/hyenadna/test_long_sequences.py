"""Long sequences go piece by piece on the residual stream, and nobody can tell."""

import pytest
import torch

from genolm.mixers import hyena
from genolm.models.families import FAMILIES
from genolm.models.hyenadna import modeling_hyenadna
from genolm.modules import by_rows

NAMES = ["hyenadna_hf_lm_a", "hyenadna_hf_lm_padded", "hyenadna_hf_seqcls"]


@pytest.fixture
def in_place(monkeypatch):
    """Take the shortest sequence for a long one; counts the blocks that are run in place."""
    monkeypatch.setattr(hyena, "MOST_PROJECTED_BYTES", 0)
    monkeypatch.setattr(hyena, "TILE_BYTES", 1)
    monkeypatch.setattr(by_rows, "MOST_ROWS", 13)
    ran = []
    run = modeling_hyenadna.run_in_place

    def counted(block, stream):
        ran.append(stream.shape)
        run(block, stream)

    monkeypatch.setattr(modeling_hyenadna, "run_in_place", counted)
    return ran


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("name", NAMES)
def test_gives_the_original_implementations_numbers(name, precision, golden, error, in_place):
    case = golden(name)
    dtype, tolerance = {"f32": (torch.float32, 2e-5), "f64": (torch.float64, 1e-9)}[precision]
    family = FAMILIES[case.config["model_type"]]
    model = family.named(case.config["architectures"][0]).from_pretrained(case.folder, dtype=dtype)
    with torch.no_grad():
        logits = model.eval()(case.tensor("input_ids")).logits
    assert len(in_place) == model.config.n_layer
    assert error(logits, case.arrays[f"logits_{precision}"]) < tolerance


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gives_the_ordinary_paths_numbers(dtype, make, bases, in_place):
    model = make("hyenadna", d_model=40).to(dtype)
    wanted = model(bases).logits
    assert not in_place
    with torch.inference_mode():
        found = model(bases).logits
    assert in_place == [(3, 41, 40)] * 2
    tolerance = {torch.float32: 1e-6, torch.float64: 1e-12}[dtype]
    assert (found - wanted).abs().max() <= tolerance * wanted.abs().max()


def test_leaves_the_callers_embeddings_as_they_are(make, bases, in_place):
    model = make("hyenadna")
    embedded = model.get_input_embeddings()(bases).detach()
    before = embedded.clone()
    with torch.no_grad():
        found = model(inputs_embeds=embedded).logits
    assert len(in_place) == 2
    assert embedded.equal(before)
    torch.testing.assert_close(found, model(bases).logits)
    weight = model.get_input_embeddings().weight.detach().clone()
    assert model.get_input_embeddings().weight.equal(weight)


def test_hidden_states_and_hooks_are_served_by_the_ordinary_path(make, bases, in_place):
    model = make("hyenadna")
    seen = []
    with torch.no_grad():
        states = model(bases, output_hidden_states=True).hidden_states
        mixer = model.hyena.backbone.layers[0].mixer
        mixer.register_forward_hook(lambda module, inputs, output: seen.append(output))
        model(bases)
    assert len(states) == 4
    assert not states[0].equal(states[1])
    assert len(seen) == 1
    assert not in_place


def test_other_mixers_take_the_ordinary_path(make, bases, in_place):
    model = make("hyenadna_mamba")
    with torch.no_grad():
        assert model(bases).logits.isfinite().all()
    assert not in_place
