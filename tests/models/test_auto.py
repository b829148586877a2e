"""Loading: Auto classes, folders of the hub, tasks, refusals; and no foreign code ever."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from transformers.utils import logging

import genolm
from genolm.errors import InputError, UsageError
from genolm.models import load, objective_of
from genolm.models.caduceus.modeling_caduceus import Caduceus, CaduceusForMaskedLM
from genolm.models.hyenadna.modeling_hyenadna import HyenaDNAModel
from genolm.modules.linear import Linear
from genolm.tokenization import CaduceusTokenizer, HyenaDNATokenizer

BOMB = "raise RuntimeError('code of the folder was run')\n"


@pytest.fixture
def hub_folder(golden, tmp_path):
    """A folder as on the hub: an auto_map, Python files beside it, an old tokenizer config."""

    def copy(name):
        case = golden(name)
        folder = tmp_path / name
        shutil.copytree(case.folder, folder)
        modules = {value.split(".")[0] for value in case.config["auto_map"].values()}
        for module in modules | {"tokenization_caduceus", "tokenization_hyena"}:
            (folder / f"{module}.py").write_text(BOMB)
        family = case.config["model_type"]
        tokenizer = {"caduceus": "CaduceusTokenizer", "hyenadna": "HyenaDNATokenizer"}[family]
        config = {
            "auto_map": {"AutoTokenizer": [f"tokenization_{family}.{tokenizer}", None]},
            "characters": ["A", "C", "G", "T", "N"],
            "model_max_length": 1024,
            "padding_side": "left",
            "tokenizer_class": tokenizer,
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        return folder

    return copy


@pytest.fixture
def saved(make, tmp_path):
    def save(kind, **changes):
        folder = tmp_path / kind
        make(kind, **changes).save_pretrained(folder)
        return folder

    return save


@pytest.mark.parametrize(
    ("name", "auto"),
    [
        ("caduceus_ps_fused_even", AutoModelForMaskedLM),
        ("caduceus_ps_seqcls_mean", AutoModelForSequenceClassification),
        ("mamba_unidirectional", AutoModelForCausalLM),
        ("hyenadna_hf_lm_a", AutoModelForCausalLM),
        ("hyenadna_hf_seqcls", AutoModelForSequenceClassification),
        ("hyenadna_hf_lm_a", AutoModel),
    ],
)
@pytest.mark.parametrize("trust", [None, False])
def test_auto_classes_read_hub_folders_without_running_their_code(name, auto, trust, hub_folder):
    folder = hub_folder(name)
    config = AutoConfig.from_pretrained(folder, trust_remote_code=trust)
    assert not hasattr(config, "auto_map")
    model = auto.from_pretrained(folder, trust_remote_code=trust)
    assert type(model).__module__.startswith("genolm.models.")
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust)
    family = {"caduceus": CaduceusTokenizer, "hyenadna": HyenaDNATokenizer}[config.model_type]
    assert type(tokenizer) is family
    assert tokenizer("ACGT", add_special_tokens=False)["input_ids"] == [7, 8, 9, 10]


def test_saving_a_hub_folder_again_leaves_its_code_behind(hub_folder, tmp_path):
    model = AutoModelForMaskedLM.from_pretrained(hub_folder("caduceus_ps_fused_even"))
    model.save_pretrained(tmp_path / "again")
    assert "auto_map" not in json.loads((tmp_path / "again" / "config.json").read_text())
    files = {path.name for path in (tmp_path / "again").iterdir()}
    assert files == {"config.json", "model.safetensors"}
    again = AutoModelForMaskedLM.from_pretrained(tmp_path / "again")
    assert again.state_dict().keys() == model.state_dict().keys()


def test_load_takes_the_task_from_the_folder(golden, hub_folder):
    for name, task in (
        ("caduceus_ph_tied_add", "masked_lm"),
        ("hyenadna_hf_lm_a", "causal_lm"),
        ("hyenadna_hf_seqcls", "classification"),
    ):
        model, tokenizer = genolm.load(golden(name).folder)
        assert objective_of(model) == task
        assert not model.training
        assert type(tokenizer).__name__.lower().startswith(model.config.model_type)
    _, tokenizer = genolm.load(hub_folder("hyenadna_hf_lm_a"))
    assert tokenizer.model_max_length == 1024


def test_a_folder_without_tokenizer_gets_that_of_its_family(golden):
    _, caduceus = load(golden("caduceus_ph_tied_add").folder)
    _, hyenadna = load(golden("hyenadna_hf_lm_a").folder)
    assert caduceus("acgt", add_special_tokens=False)["input_ids"] == [7, 8, 9, 10]
    assert hyenadna("acgt", add_special_tokens=False)["input_ids"] == [6, 6, 6, 6]
    assert hyenadna.model_max_length == 130


def test_a_folder_without_a_stated_architecture_is_a_language_model(saved):
    folder = saved("hyenadna")
    config = json.loads((folder / "config.json").read_text())
    del config["architectures"]
    (folder / "config.json").write_text(json.dumps(config))
    assert objective_of(load(folder)[0]) == "causal_lm"


def test_a_backbone_without_a_head_loads_and_takes_any_head(make, tmp_path, bases):
    model = make("ps")
    model.caduceus.save_pretrained(tmp_path)
    backbone, _ = load(tmp_path)
    assert type(backbone) is Caduceus
    with pytest.raises(ValueError, match="no head"):
        objective_of(backbone)
    assert load(tmp_path, task="masked_lm")[0](bases).logits.equal(model(bases).logits)
    hyena = make("hyenadna")
    hyena.hyena.save_pretrained(tmp_path / "hyena")
    assert type(load(tmp_path / "hyena")[0]) is HyenaDNAModel


def test_a_language_model_becomes_a_classifier_with_its_backbone_and_a_seeded_head(saved, bases):
    folder = saved("ps")
    options = {"num_labels": 5, "pooling_strategy": "max"}
    language, _ = load(folder)
    state = torch.random.get_rng_state()
    first, _ = load(folder, task="classification", options=options, seed=3)
    assert torch.random.get_rng_state().equal(state)
    torch.manual_seed(99)
    again, _ = load(folder, task="classification", options=options, seed=3)
    other, _ = load(folder, task="classification", options=options, seed=4)
    assert first(bases).logits.shape == (3, 5)
    assert first.config.pooling_strategy == "max"
    assert again.score.weight.equal(first.score.weight)
    assert not other.score.weight.equal(first.score.weight)
    assert first.score.weight.std().item() == pytest.approx(0.02, rel=0.4)
    for name, value in language.caduceus.state_dict().items():
        assert first.caduceus.state_dict()[name].equal(value), name


def test_a_classifier_gets_a_new_head_for_another_number_of_classes(saved):
    folder = saved("hyenadna_classifier")
    kept, _ = load(folder)
    changed, _ = load(folder, options={"num_labels": 7})
    assert changed.score.weight.shape == (7, 16)
    assert kept.score.weight.shape == (3, 16)


@pytest.mark.parametrize("dtype", ["bfloat16", "torch.float16", torch.bfloat16])
def test_narrow_types_narrow_the_products_and_nothing_else(dtype, saved, bases):
    folder = saved("ps")
    model, _ = load(folder, dtype=dtype)
    wide, _ = load(folder)
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    wanted = getattr(torch, str(dtype).removeprefix("torch."))
    layers = [module for module in model.modules() if isinstance(module, Linear)]
    assert {layer.compute_dtype for layer in layers if not layer.full_precision} == {wanted}
    difference = (model(bases).logits - wide(bases).logits).abs().max()
    assert 0 < difference < 0.05 * wide(bases).logits.abs().max()


def test_float64_is_float64_throughout(saved, bases):
    model, _ = load(saved("hyenadna"), dtype="float64")
    assert model(bases).logits.dtype == torch.float64
    assert {value.dtype for value in model.state_dict().values()} == {torch.float64}


def test_loading_prints_nothing_and_leaves_transformers_as_it_was(saved, capfd):
    folder = saved("ph")
    logging.enable_progress_bar()
    verbosity = logging.get_verbosity()
    capfd.readouterr()
    load(folder, task="classification")
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    assert logging.is_progress_bar_enabled()
    assert logging.get_verbosity() == verbosity


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_is_not_there_or_not_known_is_wrong_usage(saved, tmp_path):
    folder = saved("ph")
    with pytest.raises(UsageError, match="no model folder a/b/c"):
        load("a/b/c")
    with pytest.raises(UsageError, match="is a file"):
        load(folder / "config.json")
    with pytest.raises(UsageError, match=r"no config\.json"):
        load(tmp_path)
    with pytest.raises(UsageError, match="float32, float64, bfloat16, float16"):
        load(folder, dtype="float8")
    with pytest.raises(UsageError, match="sees later bases"):
        load(folder, task="causal_lm")
    with pytest.raises(UsageError, match="masked_lm, causal_lm, classification"):
        load(folder, task="generation")
    with pytest.raises(ValueError, match="no option 'num_label'"):
        load(folder, options={"num_label": 3})
    change_config(folder, architectures=["CaduceusForMagic"])
    with pytest.raises(UsageError, match="CaduceusForMaskedLM"):
        load(folder)
    change_config(folder, model_type="bert")
    with pytest.raises(UsageError, match="'bert'; genolm knows caduceus, hyenadna"):
        load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="no weights"):
        load(folder)
    (folder / "weights.ckpt").touch()
    with pytest.raises(UsageError, match="genolm convert"):
        load(folder)


def test_another_vocabulary_is_refused(tmp_path):
    config = {
        "vocab_size": 8,
        "pad_vocab_size_multiple": 8,
        "complement_map": {3: 6, 4: 5, 5: 4, 6: 3},
    }
    model = CaduceusForMaskedLM(CaduceusForMaskedLM.config_class(d_model=8, n_layer=1, **config))
    model.save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="another tokenizer"):
        load(tmp_path)


def rewrite(folder, change):
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def test_weights_that_do_not_belong_to_the_config_are_refused(saved):
    folder = saved("ps")
    original = load_file(folder / "model.safetensors")
    change_config(folder, fused_add_norm=False)
    with pytest.raises(InputError, match=r"lack 3 tensors .*norm\.submodule\.weight"):
        load(folder)
    change_config(folder, fused_add_norm=True, n_layer=1)
    with pytest.raises(InputError, match=r"have no use for .* tensors"):
        load(folder)
    change_config(folder, n_layer=2)
    name = "caduceus.backbone.norm_f.weight"
    rewrite(folder, lambda tensors: {**tensors, name: torch.ones(5)})
    with pytest.raises(InputError, match="another shape of 1 tensors"):
        load(folder)
    save_file(original, folder / "model.safetensors", metadata={"format": "pt"})
    load(folder)
    rewrite(folder, lambda tensors: {k: v for k, v in tensors.items() if "A_log" not in k})
    with pytest.raises(InputError, match="lack 4 tensors"):
        load(folder)


def test_a_classifier_that_lost_its_head_is_refused(saved):
    folder = saved("ps_classifier")
    rewrite(folder, lambda tensors: {k: v for k, v in tensors.items() if k != "score.weight"})
    with pytest.raises(InputError, match="lack 1 tensors"):
        load(folder)


def test_damaged_files_are_told_in_one_line(saved):
    folder = saved("ph")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match="weights are damaged") as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    change_config(folder, d_modle=3)
    with pytest.raises(InputError, match=r"config\.json: .*d_modle"):
        load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match="no JSON"):
        load(folder)
