"""Folders as they lie on the hub, with code beside the weights that is never run."""

import json
import pickle
import runpy

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
)

import genolm
import genolm.models
from genolm.errors import InputError, UsageError
from genolm.models.caduceus.configuration_caduceus import CaduceusConfig
from genolm.models.caduceus.modeling_caduceus import Caduceus
from genolm.models.hyenadna.configuration_hyenadna import HyenaDNAConfig
from genolm.tokenization import CaduceusTokenizer, HyenaDNATokenizer
from tests.models.original import caduceus, hyenadna
from tests.models.original.folders import (
    make_config,
    make_tensors,
    write_bin,
    write_folder,
    write_shards,
)

WRITERS = {"safetensors": write_folder, "bin": write_bin, "shards": write_shards}
# Unset, and refused: what whoever loads a folder may say of the code in it.
TRUST = [{}, {"trust_remote_code": False}]
PLANT = {
    "architectures": ["Caduceus"],
    "auto_map": {
        "AutoConfig": "configuration_caduceus.CaduceusConfig",
        "AutoModel": "modeling_caduceus.Caduceus",
        "AutoModelForMaskedLM": "modeling_caduceus.CaduceusForMaskedLM",
    },
    "complement_map": {"0": 0, "1": 1, "2": 2, "3": 6, "4": 5, "5": 4, "6": 3, "7": 7},
    "rcps": True,
    "residual_in_fp32": True,
    "vocab_size": 8,
}
PLANT_TOKENS = ("[PAD]", "[MASK]", "[UNK]", "a", "c", "g", "t")


class Layout:
    """A folder of one kind in one layout, and what it holds."""

    def __init__(self, place, kind, layout):
        self.family = "hyenadna" if kind == "hyenadna" else "caduceus"
        options = {"hyenadna": {}, "ph": {}, "ps": {"rcps": True}, "plant": PLANT}[kind]
        self.config = make_config(self.family, **options)
        self.tensors = make_tensors(self.config, 6, **({"prefix": ""} if kind == "plant" else {}))
        self.folder = WRITERS[layout](place / kind, self.config, self.tensors)
        self.marker = place / "code_was_run"
        self.plant_code()
        tokenizer = write_plant_tokenizer if kind == "plant" else write_old_tokenizer
        tokenizer(self.folder, self.family)
        rng = np.random.default_rng(7)
        self.ids = rng.integers(*((3, 7) if kind == "plant" else (7, 12)), (2, 35))

    def plant_code(self):
        """Python files under every name that the folder's auto_map gives."""
        names = {value.split(".")[0] for value in self.config["auto_map"].values()}
        for name in names | {"tokenization_hyena", "tokenization_caduceus", "__init__"}:
            (self.folder / f"{name}.py").write_text(f"open({str(self.marker)!r}, 'w').close()\n")

    @property
    def inputs(self):
        return torch.from_numpy(self.ids)

    @property
    def wanted(self):
        original = hyenadna if self.family == "hyenadna" else caduceus
        return original.language_model(self.tensors, self.config, self.ids)


def write_old_tokenizer(folder, family):
    """What transformers 4 wrote for a tokenizer whose code lies in the folder."""
    name = {"hyenadna": "HyenaDNATokenizer", "caduceus": "CaduceusTokenizer"}[family]
    module = {"hyenadna": "tokenization_hyena", "caduceus": "tokenization_caduceus"}[family]
    special = {"cls_token": "[CLS]", "sep_token": "[SEP]", "bos_token": "[BOS]"}
    special |= {"mask_token": "[MASK]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    config = {
        "add_prefix_space": False,
        "auto_map": {"AutoTokenizer": [f"{module}.{name}", None]},
        "characters": ["A", "C", "G", "T", "N"],
        "clean_up_tokenization_spaces": True,
        "model_max_length": 66,
        "padding_side": "left",
        "tokenizer_class": name,
        **special,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "special_tokens_map.json").write_text(json.dumps(special))


def write_plant_tokenizer(folder, _):
    """A tokenizer of seven tokens, all of it in files."""
    vocabulary = {token: index for index, token in enumerate(PLANT_TOKENS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512}
    config |= {"mask_token": "[MASK]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


@pytest.fixture
def lay(tmp_path):
    """Make folders; afterwards, none of their code has been run, though it does run."""
    made = []

    def make(kind, layout="safetensors"):
        made.append(Layout(tmp_path, kind, layout))
        return made[-1]

    yield make
    for one in made:
        assert not one.marker.exists()
        runpy.run_path(str(one.folder / "__init__.py"))
        assert one.marker.exists()
        one.marker.unlink()


def relative(ours, theirs):
    return float(np.abs(ours.detach().numpy() - theirs).max() / np.abs(theirs).max())


@pytest.mark.parametrize("trust", TRUST)
@pytest.mark.parametrize("layout", WRITERS)
@pytest.mark.parametrize("kind", ["hyenadna", "ph", "ps", "plant"])
def test_every_layout_loads_with_the_originals_numbers(kind, layout, trust, lay):
    one = lay(kind, layout)
    auto = AutoModelForCausalLM if kind == "hyenadna" else AutoModelForMaskedLM
    model = auto.from_pretrained(one.folder, dtype=torch.float64, **trust)
    assert type(model).__module__.startswith("genolm.models.")
    assert relative(model(one.inputs).logits, one.wanted.logits) < 1e-9
    backbone = AutoModel.from_pretrained(one.folder, dtype=torch.float64, **trust)
    states = backbone(one.inputs, output_hidden_states=True)
    assert relative(states.last_hidden_state, one.wanted.last_hidden) < 1e-9
    for ours, theirs in zip(states.hidden_states, one.wanted.hidden_states, strict=True):
        assert relative(ours, theirs) < 1e-9


@pytest.mark.parametrize("trust", TRUST)
@pytest.mark.parametrize("kind", ["hyenadna", "ph", "ps", "plant"])
def test_config_and_tokenizer_are_read_without_the_folders_code(kind, trust, lay):
    one = lay(kind)
    config = AutoConfig.from_pretrained(one.folder, **trust)
    assert type(config) is {"hyenadna": HyenaDNAConfig, "caduceus": CaduceusConfig}[one.family]
    assert not hasattr(config, "auto_map")
    assert (config.d_model, config.n_layer) == (one.config["d_model"], one.config["n_layer"])
    tokenizer = AutoTokenizer.from_pretrained(one.folder, **trust)
    found = tokenizer("ACGTNac", add_special_tokens=False)["input_ids"]
    if kind == "plant":
        assert found == [3, 4, 5, 6, 2, 3, 4]
    elif kind == "hyenadna":
        assert type(tokenizer) is HyenaDNATokenizer
        assert found == [7, 8, 9, 10, 11, 6, 6]
    else:
        assert type(tokenizer) is CaduceusTokenizer
        assert found == [7, 8, 9, 10, 11, 7, 8]
    assert tokenizer.model_max_length == (512 if kind == "plant" else 66)


@pytest.mark.parametrize("layout", WRITERS)
@pytest.mark.parametrize("kind", ["hyenadna", "ph", "ps"])
def test_load_reads_every_layout_and_what_it_saves_has_no_code(kind, layout, lay, tmp_path):
    one = lay(kind, layout)
    model, tokenizer = genolm.load(one.folder, dtype="float64")
    assert relative(model(one.inputs).logits, one.wanted.logits) < 1e-9
    assert tokenizer.model_max_length == 66
    model.save_pretrained(tmp_path / "saved")
    tokenizer.save_pretrained(tmp_path / "saved")
    assert not list((tmp_path / "saved").glob("*.py"))
    for file in (tmp_path / "saved").glob("*.json"):
        assert "auto_map" not in file.read_text()
    again, _ = genolm.load(tmp_path / "saved", dtype="float64")
    assert again(one.inputs).logits.equal(model(one.inputs).logits)


def test_a_backbone_with_its_own_vocabulary_keeps_it(lay):
    one = lay("plant", "bin")
    model, found = AutoModel.from_pretrained(one.folder, output_loading_info=True)
    assert type(model) is Caduceus
    assert not any(found.values())
    assert model.config.complement == (0, 1, 2, 6, 5, 4, 3, 7)
    assert model.get_input_embeddings().weight.shape == (8, 12)
    with pytest.raises(UsageError, match=r"8 tokens .* another tokenizer"):
        genolm.load(one.folder)


class Bomb:
    """Unpickling this makes a file in any reader that trusts it."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return exec, (f"open({str(self.target)!r}, 'w').close()",)


def test_a_pickle_that_asks_for_code_to_be_run_is_refused(lay, tmp_path):
    one = lay("ph", "bin")
    weights = one.folder / "pytorch_model.bin"
    content = torch.load(weights, weights_only=True)
    torch.save({**content, "more": Bomb(tmp_path / "exploded")}, weights)
    with pytest.raises(pickle.UnpicklingError):
        AutoModelForMaskedLM.from_pretrained(one.folder)
    with pytest.raises(InputError) as caught:
        genolm.load(one.folder)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()
    torch.load(weights, weights_only=False)
    assert (tmp_path / "exploded").exists()
