"""Every published layout becomes a model of genolm that computes what the original does."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from genolm.errors import InputError, UsageError
from genolm.models import build_model, load
from genolm.models.convert import convert
from genolm.models.convert_folder import convert_folder

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden"
LANGUAGE = [
    "caduceus_ph_tied_add",
    "caduceus_ph_untied_ewmul_layernorm_unfused",
    "caduceus_ps_fused_odd",
    "caduceus_ps_unfused",
    "hyenadna_hf_lm_a",
    "mamba_unidirectional",
]
CLASSIFIERS = ["caduceus_ps_seqcls_mean", "hyenadna_hf_seqcls"]
ORIGINALS = ["hyenadna_orig", "hyenadna_orig_gradckpt_keys"]


def copy(name: str, place: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / name, place / name))


def edit(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    options = {**json.loads(path.read_text()), **changes}
    kept = {key: value for key, value in options.items() if value is not ...}
    path.write_text(json.dumps(kept))


def as_bin(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def as_shards(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    places = {name: f"part-{i % 2}.safetensors" for i, name in enumerate(names)}
    for part in set(places.values()):
        held = {name: tensors[name] for name in names if places[name] == part}
        save_file(held, folder / part, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()


def as_lightning(folder: Path) -> None:
    """As the training code saves it: prefixes, metrics, both names of shared tensors."""
    tensors = load_file(folder / "model.safetensors")
    options = json.loads((folder / "config.json").read_text())
    if options["bidirectional"] and options["bidirectional_weight_tie"]:
        for key in [key for key in tensors if ".mamba_fwd." in key and "x_proj" not in key]:
            if ".in_proj." in key or ".out_proj." in key:
                tensors[key.replace(".mamba_fwd.", ".mamba_rev.")] = tensors[key]
    state = {f"model.{key}": value for key, value in tensors.items()}
    state["train_torchmetrics.num_tokens.count"] = torch.tensor(5)
    (folder / "checkpoints").mkdir()
    torch.save({"state_dict": state, "epoch": 3}, folder / "checkpoints" / "last.ckpt")
    (folder / "model.safetensors").unlink()
    edit(folder, model_type=..., architectures=..., auto_map=...)
    (folder / "config.json").rename(folder / "model_config.json")


def logits_match(folder: Path, expected: Path, error, name: str = "logits_f64") -> None:
    model, _ = load(folder, dtype="float64")
    with np.load(expected / "expected.npz") as arrays:
        ids = torch.from_numpy(arrays["input_ids"])
        with torch.no_grad():
            assert error(model(ids).logits, arrays[name]) < 1e-6


@pytest.mark.parametrize("layout", [None, as_bin, as_shards])
@pytest.mark.parametrize("name", [*LANGUAGE, *CLASSIFIERS])
def test_hub_folders(name, layout, tmp_path, error):
    folder = copy(name, tmp_path)
    if layout is not None:
        layout(folder)
    found = convert_folder(folder, tmp_path / "out")
    logits_match(tmp_path / "out", GOLDEN / name, error)
    assert set(found.ignored) <= {"lm_head.weight"}  # some store the second name, too
    assert not found.filled.initialised
    assert "auto_map" not in (tmp_path / "out" / "config.json").read_text()


@pytest.mark.parametrize("name", [name for name in LANGUAGE if not name.startswith("hyena")])
def test_checkpoints_of_the_caduceus_training_code(name, tmp_path, error):
    folder = copy(name, tmp_path)
    as_lightning(folder)
    found = convert_folder(folder / "checkpoints" / "last.ckpt", tmp_path / "out")
    logits_match(tmp_path / "out", GOLDEN / name, error)
    assert "train_torchmetrics.num_tokens.count" in found.ignored
    assert found.renamed == len(found.filled.mapped)


@pytest.mark.parametrize("name", ORIGINALS)
@pytest.mark.parametrize("as_file", [False, True])
def test_original_hyenadna_folders(name, as_file, tmp_path, error):
    folder = copy(name, tmp_path)
    found = convert_folder(folder / "weights.ckpt" if as_file else folder, tmp_path / "out")
    logits_match(tmp_path / "out", GOLDEN / name, error, "lm_logits_f64")
    assert any(key.endswith(".3.freq") for key in found.ignored)
    account = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert account["source"] == "weights.ckpt"
    assert account["mapped"] == len(found.filled.mapped)


def test_names_that_wrappers_put_in_front_are_dropped(tmp_path, error):
    folder = copy("caduceus_ps_fused_even", tmp_path)
    tensors = load_file(folder / "model.safetensors")
    for prefix in ("module.", "_orig_mod.", "model._orig_mod."):
        save_file({prefix + key: value for key, value in tensors.items()}, folder / "x.safetensors")
        model = convert(folder / "x.safetensors", folder / "config.json").model.double()
        with np.load(folder / "expected.npz") as arrays:
            ids = torch.from_numpy(arrays["input_ids"])
            assert error(model(ids).logits, arrays["logits_f64"]) < 1e-6


def test_a_head_that_is_not_there_is_drawn_from_the_seed_and_said(tmp_path):
    folder = copy("caduceus_ps_fused_even", tmp_path)
    edit(folder, architectures=["CaduceusForSequenceClassification"])
    first, again, other = (convert(folder, seed=seed) for seed in (1, 1, 2))
    assert first.filled.initialised == ("score.weight",)
    assert "score.weight" in first.lines()[-1]
    heads = [found.model.score.weight for found in (first, again, other)]
    assert heads[0].equal(heads[1])
    assert not heads[0].equal(heads[2])


def test_a_backbone_alone_stays_one(tmp_path, make):
    model = make("ps").base_model
    model.save_pretrained(tmp_path / "in")
    found = convert_folder(tmp_path / "in", tmp_path / "out")
    assert type(found.model) is type(model)
    for key, value in model.state_dict().items():
        assert found.model.state_dict()[key].equal(value)


def test_frequencies_that_are_not_trained_follow_from_the_config(tmp_path, bases):
    options = {"d_model": 8, "n_layer": 1, "train_freq": False, "activation_freq": 3.0}
    model = build_model("hyenadna", "causal_lm", options, seed=1).eval()
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    kept = {key: value for key, value in load_file(path).items() if not key.endswith("freq")}
    save_file(kept, path, metadata={"format": "pt"})
    found = convert(tmp_path)
    assert [key.rpartition(".")[2] for key in found.filled.derived] == ["freq"]
    assert found.model(bases).logits.equal(model(bases).logits)


def wrong_shape(folder: Path) -> None:
    edit(folder, d_model=64, d_inner=...)


def missing_layer(folder: Path) -> None:
    edit(folder, n_layer=3)


def surplus_layer(folder: Path) -> None:
    edit(folder, n_layer=1)


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def no_size(folder: Path) -> None:
    edit(folder, n_layer=...)


def no_object(folder: Path) -> None:
    (folder / "config.json").write_text("[1]")


def misspelt(folder: Path) -> None:
    edit(folder, d_modle=3)


@pytest.mark.parametrize("name", ["caduceus_ps_fused_even", "hyenadna_hf_lm_a"])
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (wrong_shape, r"should be \(.*64.*\) by the config, but is \(.*32.*\)"),
        (missing_layer, r"lacks \d+ tensors, such as .*layers\.2\..*n_layer 3"),
        (surplus_layer, r"beyond this config.*layers\.1\..*n_layer 1"),
        (cut_short, "damaged or cut short"),
        (no_size, "has no n_layer"),
        (no_object, "no JSON object"),
        (misspelt, "d_modle.*did you mean|d_modle.*d_model"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line_and_nothing_is_written(name, damage, told, tmp_path):
    folder = copy(name, tmp_path)
    damage(folder)
    with pytest.raises(InputError, match=told) as raised:
        convert_folder(folder, tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_shared_weights_that_differ_are_not_dropped_silently(tmp_path):
    folder = copy("caduceus_ph_tied_add", tmp_path)
    tensors = load_file(folder / "model.safetensors")
    key = next(key for key in tensors if key.endswith("mamba_fwd.in_proj.weight"))
    other = key.replace("mamba_fwd", "mamba_rev")
    save_file({**tensors, other: tensors[key] + 1}, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"mamba_rev.*differs.*bidirectional_weight_tie"):
        convert(folder)
    save_file({**tensors, "lm_head.weight": torch.ones(16, 32)}, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"lm_head\.weight differs.*tie_word_embeddings"):
        convert(folder)


def test_what_is_not_there_or_not_known_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="no checkpoint"):
        convert(tmp_path / "none.ckpt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="has no weights"):
        convert(tmp_path / "empty")
    folder = copy("hyenadna_orig", tmp_path)
    (folder / "config.json").rename(tmp_path / "elsewhere.json")
    with pytest.raises(UsageError, match=r"no config\.json beside .*--config"):
        convert(folder)
    assert convert(folder, tmp_path / "elsewhere.json").filled.mapped
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UsageError, match=r"'bert'.*caduceus, hyenadna"):
        convert(folder)
    (folder / "config.json").write_text('{"hidden": 3}')
    with pytest.raises(UsageError, match="does not know this kind"):
        convert(folder)
    (tmp_path / "many").mkdir()
    for name in ("a.ckpt", "b.ckpt"):
        (tmp_path / "many" / name).touch()
    with pytest.raises(UsageError, match=r"several checkpoints, a\.ckpt, b\.ckpt"):
        convert(tmp_path / "many")


def test_a_folder_is_replaced_only_on_request_and_only_if_it_is_a_model(tmp_path):
    folder = copy("hyenadna_orig", tmp_path)
    convert_folder(folder, tmp_path / "out")
    (tmp_path / "out" / "left").touch()
    with pytest.raises(UsageError, match="--force"):
        convert_folder(folder, tmp_path / "out")
    convert_folder(folder, tmp_path / "out", force=True)
    assert not (tmp_path / "out" / "left").exists()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="no model folder"):
        convert_folder(folder, tmp_path / "notes", force=True)
    assert (tmp_path / "notes" / "thesis.txt").exists()
