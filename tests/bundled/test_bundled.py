import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import genolm
from genolm.bundled import bundled_models, bundled_names
from genolm.errors import UsageError
from genolm.models.hub import find_folder
from genolm.scoring.model_files import model_digest, model_name
from genolm.tokenization.encode import encode
from genolm.training.recipe_files import load_finetune_recipe

NAME = "ecoli-mamba-d128"
FOLDER = Path(genolm.__file__).parent / "bundled" / NAME
TEXT = "ATGACCGTTAAACTGGCGATTGATGAACTGAAAGCGCAGGGCTTCACCGTTGAAGAAGCG"


def test_names_are_those_of_the_folders():
    assert bundled_models() == {NAME: FOLDER}
    assert bundled_names() == NAME


def test_names_are_listed_without_torch():
    program = "import sys, genolm.bundled as b; b.bundled_names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_the_weights_are_those_that_were_measured():
    weights = (FOLDER / "model.safetensors").read_bytes()
    digest = hashlib.sha256(weights).hexdigest()
    assert digest == json.loads((FOLDER / "training.json").read_text())["weights_sha256"]
    assert digest == model_digest(NAME)
    assert f"`{digest}`" in (FOLDER / "README.md").read_text()
    assert len(weights) < 1_000_000


def test_a_name_loads_the_same_model_as_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ids = torch.from_numpy(encode(TEXT).ids).long()[None]
    with torch.no_grad():
        by_name, by_folder = (genolm.load(which)[0](ids).logits for which in (NAME, FOLDER))
    assert torch.equal(by_name, by_folder)
    assert model_name(NAME) == NAME


def test_the_file_is_float16_and_every_way_of_loading_computes_in_float32():
    model, tokenizer = genolm.load(NAME)
    other = AutoModelForCausalLM.from_pretrained(FOLDER)
    assert {p.dtype for p in [*model.parameters(), *other.parameters()]} == {torch.float32}
    assert all(torch.equal(p, p.half().float()) for p in model.parameters())
    ids = AutoTokenizer.from_pretrained(FOLDER)(TEXT, add_special_tokens=False)["input_ids"]
    assert ids == tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    assert ids == encode(TEXT).ids.tolist()


def test_a_folder_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_folder(NAME) == FOLDER
    own = tmp_path / NAME
    own.mkdir()
    for file in ("config.json", "model.safetensors"):
        (own / file).touch()
    assert find_folder(NAME) == Path(NAME)


@pytest.mark.parametrize("wrong", ["ecoli-mamba", "ecoli_mamba_d128", "runs/none/model"])
def test_an_unknown_model_lists_the_bundled_names(wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match=f"^no model folder {wrong}; .*{NAME}"):
        genolm.load(wrong)


def test_a_recipe_takes_a_bundled_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("sequence,label\nACGT,a\n")
    text = "data: {train: rows.csv, test: rows.csv}\noutput: run\nmodel: {path: %s}\n"
    (tmp_path / "right.yaml").write_text(text % NAME)
    assert str(load_finetune_recipe("right.yaml").model.path) == NAME
    (tmp_path / "wrong.yaml").write_text(text % "ecoli")
    with pytest.raises(UsageError, match=r"model\.path: there is no file or folder ecoli"):
        load_finetune_recipe("wrong.yaml")


def test_the_card_gives_the_figures_that_were_measured():
    card = (FOLDER / "README.md").read_text()
    found = json.loads((FOLDER / "evaluation.json").read_text())
    training = json.loads((FOLDER / "training.json").read_text())
    for row in found["bits_per_base"].values():
        assert f"| {row['model']:.3f} | {row['order_3']:.3f} |" in card
    for part in ("held_out", "annotated"):
        for contrast in found[part]["auroc"].values():
            assert f"| {contrast['model']['auroc']:.3f} [" in card
    for fact in ("NC_008253.1", "169aeb32aa5f16e9", "Apache-2.0", training["made"], "missense"):
        assert fact in card
    assert "eukaryotes" in card
    assert str(os.sep + "tmp") not in card + json.dumps(training)


def test_what_the_card_claims_was_measured():
    found = json.loads((FOLDER / "evaluation.json").read_text())
    training = json.loads((FOLDER / "training.json").read_text())
    assert abs(training["test_bits_float16"] - training["test_bits_float32"]) < 1e-3
    for row in found["bits_per_base"].values():
        assert row["model"] < min(bits for name, bits in row.items() if name != "model")
    for part in ("held_out", "annotated"):
        auroc = found[part]["auroc"]
        for contrast in ("stop_gain:synonymous", "stop_gain:out_of_frame"):
            assert auroc[contrast]["model"]["interval"][0] > 0.7
            assert auroc[contrast]["model"]["lead"][0] > 0
        assert auroc["missense:synonymous"]["model"]["auroc"] < 0.6
