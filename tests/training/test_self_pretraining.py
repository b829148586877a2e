import json

import pytest
import torch
from safetensors.torch import load_file

from genolm.errors import UsageError
from genolm.training.finetune import finetune
from genolm.training.recipe_keys import describe_keys
from genolm.training.self_pretraining import FOLDER, hold_out
from tests.training.outcomes import metrics, same

BRIEF = {"steps": 5, "batch_size": 8}
BOTH_WAYS = {"family": "caduceus", "d_model": 8, "n_layer": 1, "rcps": True}


def test_the_backbone_of_the_classifier_begins_where_the_language_model_ended(finetuning):
    recipe = finetuning(
        train={"self_pretrain": BRIEF, "freeze_backbone": True, "epochs": 1}, model=BOTH_WAYS
    )
    finetune(recipe)
    figures = metrics(recipe)[FOLDER]
    assert (figures["objective"], figures["steps"], figures["sequences"]) == ("masked_lm", 5, 36)
    assert figures["valid"]["bits_per_base"] > 0
    known, tuned = (
        load_file(f / "model" / "model.safetensors")
        for f in (recipe.output / FOLDER, recipe.output)
    )
    shared = [name for name in tuned if "backbone" in name]
    assert shared
    assert all(torch.equal(known[name], tuned[name]) for name in shared)


def test_it_learns_and_labels_and_other_parts_do_not_matter(finetuning, tmp_path):
    section = {"epochs": 20, "batch_size": 12, "learning_rate": 1e-2}
    found = []
    for name in ("one", "other"):
        recipe = finetuning(
            train={"self_pretrain": section, "epochs": 1},
            data={"valid": tmp_path / f"valid_{name}.csv", "test": tmp_path / f"test_{name}.csv"},
            output=tmp_path / name,
        )
        labels = ("at", "cg") if name == "one" else ("cg", "at")
        base = "A" if name == "one" else "G"
        for part in ("valid", "test"):
            rows = "".join(f"{base * (5 + i)},{labels[i % 2]}\n" for i in range(6))
            (tmp_path / f"{part}_{name}.csv").write_text("sequence,label\n" + rows)
        finetune(recipe)
        found.append(load_file(recipe.output / FOLDER / "model" / "model.safetensors"))
    assert same(*found)
    lines = (tmp_path / "one" / FOLDER / "metrics.jsonl").read_text().splitlines()
    losses = [line["loss"] for line in map(json.loads, lines) if "loss" in line]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("stop", [(5, FOLDER), (3, "stopped")])
def test_resuming_equals_not_stopping_wherever_it_stopped(
    finetuning, tmp_path, power_cut, stop, capsys
):
    section = {"epochs": 2, "batch_size": 12, "rc_augment": True}
    whole, stopped = (
        finetuning(output=tmp_path / name, train={"self_pretrain": section})
        for name in ("whole", "stopped")
    )
    finetune(whole)
    with power_cut(*stop):
        finetune(stopped)
    finetune(stopped)
    assert "resuming at step 3" in capsys.readouterr().err or stop[1] != FOLDER
    for folder in (FOLDER, "."):
        files = (run.output / folder / "model" / "model.safetensors" for run in (whole, stopped))
        assert same(*map(load_file, files))


@pytest.mark.slow
def test_beginning_anew_forgets_it(finetuning):
    recipe = finetuning(train={"self_pretrain": BRIEF, "epochs": 1})
    finetune(recipe)
    mark = recipe.output / FOLDER / "model" / "mark"
    mark.touch()
    finetune(recipe)
    assert mark.exists()
    finetune(recipe, restart=True)
    assert not mark.exists()


def test_targets_to_judge_by_are_fixed_and_never_padding():
    for objective in ("masked_lm", "causal_lm"):
        part, again = (hold_out(["ACGTA", "AC"], 6, objective) for _ in range(2))
        assert (part.labels == again.labels).all()
        assert part.targets.any()
        assert not part.targets[:, :1].any()
        assert not part.targets[1, :4].any()


def test_true_means_defaults_and_false_means_none(finetuning):
    assert finetuning(train={"self_pretrain": True}).train.self_pretrain.epochs is None
    assert finetuning(train={"self_pretrain": False}).train.self_pretrain is None
    with pytest.raises(ValueError, match="epochs or steps"):
        finetuning(train={"self_pretrain": {"steps": 1, "epochs": 1}})
    keys = {key for key, _, _ in describe_keys("finetune")}
    assert {"train.self_pretrain", "train.self_pretrain.minutes"} <= keys


def test_an_objective_that_the_model_cannot_have_is_refused(finetuning):
    section = BRIEF | {"objective": "causal_lm"}
    with pytest.raises(UsageError, match=r"train\.self_pretrain: .*later bases"):
        finetune(finetuning(model=BOTH_WAYS, train={"self_pretrain": section}))
