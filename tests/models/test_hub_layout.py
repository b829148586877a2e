"""Folders for the original code: its keys, its names, and its numbers once read again."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from genolm.errors import UsageError
from genolm.models import load
from genolm.models.convert import convert
from genolm.models.convert_folder import convert_folder
from genolm.models.hub_layout import save_hub_layout

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden"
NAMES = sorted(path.parent.name for path in GOLDEN.glob("*/model.safetensors"))
MODELS = [name for name in NAMES if name.startswith(("caduceus", "hyenadna", "mamba_uni"))]


@pytest.mark.parametrize("name", MODELS)
def test_a_published_folder_comes_back_as_it_was(name, tmp_path):
    convert_folder(GOLDEN / name, tmp_path / "ours")
    convert_folder(tmp_path / "ours", tmp_path / "hub", layout="hub-layout")
    theirs = load_file(GOLDEN / name / "model.safetensors")
    again = load_file(tmp_path / "hub" / "model.safetensors")
    # Some fixtures hold a shared head under both of its names.
    assert theirs.keys() - again.keys() <= {"lm_head.weight", "lm_head.lm_head.weight"}
    assert not again.keys() - theirs.keys()
    for key, tensor in again.items():
        assert tensor.dtype == theirs[key].dtype
        assert tensor.equal(theirs[key]), key
    options = json.loads((GOLDEN / name / "config.json").read_text())
    written = json.loads((tmp_path / "hub" / "config.json").read_text())
    for key in options.keys() - {"auto_map", "transformers_version"}:
        if key in written:
            assert written[key] == options[key], key
    surplus = {"num_labels", "pooling_strategy", "conjoin_eval", "conjoin_train"}
    missing = options.keys() - written.keys() - {"auto_map", "transformers_version"}
    assert missing <= surplus


@pytest.mark.parametrize("name", ["hyenadna_orig", "hyenadna_orig_gradckpt_keys"])
def test_an_original_checkpoint_gets_the_head_that_the_published_code_wants(name, tmp_path):
    convert_folder(GOLDEN / name, tmp_path / "hub", layout="hub-layout")
    options = json.loads((tmp_path / "hub" / "config.json").read_text())
    assert options["tie_word_embeddings"] is False
    tensors = load_file(tmp_path / "hub" / "model.safetensors")
    words = tensors["hyena.backbone.embeddings.word_embeddings.weight"]
    assert tensors["lm_head.weight"].equal(words)
    assert not any(".layer." in key for key in tensors)
    ids = torch.randint(7, 11, (2, 50), generator=torch.Generator().manual_seed(1))
    first, second = convert(GOLDEN / name).model, load(tmp_path / "hub")[0]
    assert first(ids).logits.equal(second(ids).logits)


def test_a_causal_mamba_stays_causal_on_its_way_there_and_back(tmp_path, make, bases):
    model = make("mamba", training_length=256)
    save_hub_layout(model, tmp_path / "hub")
    options = json.loads((tmp_path / "hub" / "config.json").read_text())
    assert options["architectures"] == ["CaduceusForMaskedLM"]  # the original has no other
    again = convert(tmp_path / "hub").model
    assert type(again) is type(model)
    assert again.config.training_length == 256
    assert again(bases).logits.equal(model(bases).logits)


def test_the_complement_map_stands_in_the_order_of_the_ids(tmp_path):
    convert_folder(GOLDEN / "caduceus_ps_fused_even", tmp_path / "hub", layout="hub-layout")
    table = json.loads((tmp_path / "hub" / "config.json").read_text())["complement_map"]
    assert list(table) == [str(i) for i in range(16)]
    assert list(table.values()) == [0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11, 12, 13, 14, 15]


def test_files_say_what_older_transformers_ask_for(tmp_path, make):
    folder = save_hub_layout(make("ps"), tmp_path / "hub")
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    assert json.loads((folder / "config.json").read_text())["torch_dtype"] == "float32"
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer_config.json",
    ]


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        ("ps_mamba2", {}, "no mixer 'mamba2'"),
        ("hyenadna_mamba", {}, "no mixer 'mamba'"),
        ("hyenadna", {"modulation_shift": 0.0}, r"shift of 0\.05"),
        ("hyenadna", {"hyena_order": 3}, "hyena_order 2 only"),
    ],
)
def test_what_the_original_code_does_not_have_is_refused(kind, changes, told, make, tmp_path):
    with pytest.raises(UsageError, match=told):
        save_hub_layout(make(kind, **changes), tmp_path / "hub")
    assert not (tmp_path / "hub").exists()


def test_a_refused_layout_leaves_nothing_behind(tmp_path, make):
    make("ps_mamba2").save_pretrained(tmp_path / "in")
    with pytest.raises(UsageError, match="no mixer"):
        convert_folder(tmp_path / "in", tmp_path / "out", layout="hub-layout")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    shutil.rmtree(tmp_path / "in")
