"""Variant-effect models: what the alleles exchange, what the strands exchange, what is saved."""

import json

import pytest
import torch

from genolm import load
from genolm.models import build_model
from genolm.models.describe import describe_model
from genolm.models.families import objective_of
from genolm.tokenization.tokenizer import CaduceusTokenizer, HyenaDNATokenizer

LENGTH = 24
COMPLEMENT = torch.tensor([0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11])
FAMILIES = {
    "ps": ("caduceus", {"rcps": True}),
    "ph": ("caduceus", {}),
    "mamba": ("caduceus", {"bidirectional": False}),
    "hyenadna": ("hyenadna", {"max_seq_len": 32}),
}
HEADS = {
    "linear": {},
    "hidden": {"effect_hidden": 12},
    "odd_linear": {"effect_antisymmetric": True},
    "odd_hidden": {"effect_antisymmetric": True, "effect_hidden": 12},
}


def build(family, **options):
    name, own = FAMILIES[family]
    sizes = {"d_model": 16, "n_layer": 2, "num_labels": 2}
    model = build_model(name, "variant_effect", {**sizes, **own, **options}, seed=4)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(4)
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model.double().eval()


def draw(rows=5, seed=1):
    """Pairs of windows that differ from some site on, and the site on either strand."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(7, 11, (rows, 2, LENGTH), generator=generator)
    site = torch.randint(4, LENGTH - 4, (rows, 1), generator=generator).expand(-1, 2)
    same = torch.arange(LENGTH) < site[:, :1]
    ids[:, 1] = torch.where(same, ids[:, 0], ids[:, 1])
    return ids, torch.stack([site, LENGTH - 1 - site], dim=-1)


def other_strand(ids):
    return COMPLEMENT[ids.flip(2)]


def both_strands(ids):
    return torch.stack([ids, other_strand(ids)], dim=-1)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_exchanging_the_alleles_negates_what_an_antisymmetric_head_says(family, head):
    model = build(family, **HEADS[head])
    ids, sites = draw()
    there, back = model(ids, sites).logits, model(ids.flip(1), sites.flip(1)).logits
    assert there.shape == (5, 2)
    assert there.abs().max() > 1e-3
    if head.startswith("odd"):
        torch.testing.assert_close(back, -there)
        same = model(ids[:, :1].expand(-1, 2, -1), sites).logits
        assert same.abs().max() == 0
    else:
        assert not torch.allclose(back, -there)


@pytest.mark.parametrize("head", HEADS)
def test_an_equivariant_model_does_not_know_the_strand(head):
    model = build("ps", **HEADS[head])
    ids, sites = draw()
    one, other = model(ids, sites).logits, model(other_strand(ids), sites.flip(2)).logits
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("family", ["ph", "mamba", "hyenadna"])
def test_conjoining_averages_what_both_strands_say(family):
    ids, sites = draw()
    plain = build(family)
    wanted = (plain(ids, sites).logits + plain(other_strand(ids), sites.flip(2)).logits) / 2
    for flag in ("conjoin_train", "conjoin_eval"):
        model = build(family, **{flag: True})
        torch.testing.assert_close(model(both_strands(ids), sites).logits, wanted)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_variant_does_not_depend_on_its_batch(family):
    model = build(family, effect_hidden=12)
    ids, sites = draw(7)
    whole = model(ids, sites).logits
    alone = torch.cat([model(ids[i : i + 1], sites[i : i + 1]).logits for i in range(7)])
    torch.testing.assert_close(whole, alone)


def test_a_causal_model_sees_what_follows_the_variant_in_the_sum_alone():
    # The last base of ALT is another one, which no earlier state can know.
    model = build("mamba", effect_antisymmetric=True, num_labels=1)
    ids, sites = draw()
    ids[:, 1] = ids[:, 0]
    ids[:, 1, -1] = torch.where(ids[:, 0, -1] == 7, 8, 7)
    with torch.no_grad():
        model.score.out.weight[:, 16:] = 0
        assert model(ids, sites).logits.abs().max() == 0
        model.score.out.weight[:, 16:] = 1
        assert model(ids, sites).logits.abs().min() > 0


@pytest.mark.parametrize(
    ("ids", "sites", "said"),
    [
        ((5, LENGTH), (5, 2, 2), r"\(batch, 2, length\), not \(5, 24\)"),
        ((5, 3, LENGTH), (5, 2, 2), "both alleles"),
        ((5, 2, LENGTH, 2), (5, 2, 2), "both alleles"),
        ((5, 2, LENGTH), (5, 2), r"sites must be \(batch, 2, 2\), not \(5, 2\)"),
    ],
)
def test_other_shapes_are_refused(ids, sites, said):
    with pytest.raises(ValueError, match=said):
        build("ph")(torch.full(ids, 7), torch.zeros(sites, dtype=torch.long))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_gives_the_same_model_back(family, head, tmp_path):
    model = build(family, **HEADS[head]).float()
    model.save_pretrained(tmp_path)
    tokenizer = HyenaDNATokenizer if family == "hyenadna" else CaduceusTokenizer
    tokenizer().save_pretrained(tmp_path)
    assert {file.name for file in tmp_path.glob("*.safetensors")} == {"model.safetensors"}
    stated = json.loads((tmp_path / "config.json").read_text())
    stated["auto_map"] = {"AutoModel": "evil.Model"}
    (tmp_path / "config.json").write_text(json.dumps(stated))
    again, _ = load(tmp_path)
    assert type(again) is type(model)
    assert objective_of(again) == "variant_effect"
    assert not hasattr(again.config, "auto_map")
    ids, sites = draw()
    assert torch.equal(again(ids, sites).logits, model(ids, sites).logits)


def test_another_models_backbone_gets_a_fresh_head_by_seed(tmp_path):
    base = build_model("caduceus", "masked_lm", {"d_model": 16, "n_layer": 1}, seed=1)
    base.save_pretrained(tmp_path)
    options = {"effect_hidden": 6, "id2label": {0: "value"}, "problem_type": "regression"}

    def head(seed):
        model, _ = load(tmp_path, task="variant_effect", options=options, seed=seed)
        words = "backbone.embeddings.word_embeddings.weight"
        assert torch.equal(model.caduceus.get_parameter(words), base.caduceus.get_parameter(words))
        return model.score.state_dict()

    first, again, other = head(3), head(3), head(4)
    assert first["hidden.weight"].shape == (6, 80)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["out.weight"], other["out.weight"])


def test_a_model_is_described_with_its_head(tmp_path):
    build("ps", effect_hidden=12, effect_antisymmetric=True).float().save_pretrained(tmp_path)
    facts = describe_model(tmp_path)
    assert facts["task"] == "variant_effect"
    assert facts["effect"].startswith("head with a hidden layer of 12, antisymmetric")
    plain = build_model("caduceus", "classification", {"d_model": 8, "n_layer": 1}, seed=1)
    plain.save_pretrained(tmp_path / "plain")
    assert describe_model(tmp_path / "plain")["effect"] is None


def test_a_hidden_layer_needs_a_width():
    with pytest.raises(ValueError, match="effect_hidden must be 1 or more"):
        build("ph", effect_hidden=0)
