"""Several genomes in one run: each judged for itself, resumed as one, told apart when changed."""

import json

import numpy as np
import pytest
import yaml

from genolm.errors import InputError, UsageError
from genolm.training.check import check_splits
from genolm.training.genomes import open_genomes, training_examples
from genolm.training.judge_genomes import pool, read_parts
from genolm.training.pretrain import pretrain
from genolm.training.recipe_pretrain import PretrainRecipe
from tests.training.outcomes import metrics, same, weights


def random_dna(length, seed):
    drawn = np.random.default_rng(seed).integers(0, 4, length)
    return np.frombuffer(b"ACGT", np.uint8)[drawn].tobytes().decode()


@pytest.fixture
def other(tmp_path):
    """A second genome, of two contigs."""
    file = tmp_path / "other.fa"
    file.write_text(f">x\n{random_dna(2000, 7)}\n>y\n{random_dna(2000, 8)}\n")
    return file


@pytest.fixture
def several(pretraining, genome, other):
    """A recipe of both; keys given replace those of the first, or of the run."""

    def make(first=None, second=None, **sections):
        one = {"fasta": genome, "name": "first", "train": "I", "valid": "II", "test": "III"}
        two = {"fasta": other}
        data = {"genomes": [one | (first or {}), two | (second or {})]}
        nothing = dict.fromkeys(("fasta", "train", "valid", "test"))
        data = nothing | data | sections.pop("data", {})
        return pretraining(data=data, **sections)

    return make


def test_one_listed_genome_is_the_run_of_data_fasta(pretraining, genome, tmp_path):
    plain = pretraining(output=tmp_path / "plain", train={"steps": 3})
    own = {"fasta": genome, "train": "I", "valid": "II", "test": "III"}
    nothing = dict.fromkeys(("fasta", "train", "valid", "test"))
    listed = pretraining(
        output=tmp_path / "listed", data=nothing | {"genomes": [own]}, train={"steps": 3}
    )
    for recipe in (plain, listed):
        pretrain(recipe)
    assert same(weights(plain), weights(listed))
    without = [{k: v for k, v in metrics(r).items() if k != "seconds"} for r in (plain, listed)]
    assert without[0] == without[1]


@pytest.mark.parametrize("objective", ["masked_lm", "causal_lm"])
def test_every_genome_is_judged_beside_its_own_counts(several, objective, capsys):
    hyena = {"family": "hyenadna", "d_model": 8, "n_layer": 1}
    recipe = several(
        objective=objective, train={"steps": 3}, model=hyena if objective == "causal_lm" else None
    )
    pretrain(recipe)
    figures = metrics(recipe)
    for split in ("valid", "test"):
        rows = figures[split]["genomes"]
        assert list(rows) == ["first", "other"]
        assert figures[split]["n_targets"] == sum(row["n_targets"] for row in rows.values())
        nats = sum(row["loss"] * row["n_targets"] for row in rows.values())
        assert figures[split]["loss"] * figures[split]["n_targets"] == pytest.approx(nats)
        for row in rows.values():
            assert row["markov"].keys() == figures["markov"].keys()
            assert row["markov"] != figures[split]["markov"]
    said = capsys.readouterr().err
    assert "first 93 train, 93 valid, 9" in said
    assert "bits per base, other" in said
    look = next(
        json.loads(line)
        for line in (recipe.output / "metrics.jsonl").read_text().splitlines()
        if "valid_loss" in line
    )
    assert {"valid_bits_per_base", "valid_bits_per_base_first"} <= look.keys()


def test_figures_over_one_genome_are_its_own():
    row = {"loss": 1.1, "bits_per_base": 1.5, "n_targets": 7}
    assert pool({"a": row}) == row


def test_a_run_over_several_genomes_goes_on_as_if_it_had_not_stopped(several, tmp_path):
    options = {
        "train": {"length_stages": [{"length": 16, "steps": 2}], "accumulate": 2},
        "first": {"weight": 2},
        "second": {"weight": 1.5},
    }
    whole = several(output=tmp_path / "whole", **options)
    pretrain(whole)
    stopped = several(output=tmp_path / "stopped", **options)
    for minutes in (1e-6, 1e-6):
        stop = {"train": options["train"] | {"max_minutes": minutes}}
        pretrain(several(output=tmp_path / "stopped", **(options | stop)))
        undo_the_end(stopped.output)
    pretrain(stopped)
    assert metrics(stopped)["steps"] == 6
    assert same(weights(whole), weights(stopped))


def undo_the_end(folder):
    """Make a finished run one that was stopped after its last checkpoint."""
    (folder / "metrics.json").unlink()
    for file in (folder / "model").iterdir():
        file.unlink()
    (folder / "model").rmdir()


def test_the_genome_that_changed_is_named(several, other):
    recipe = several(train={"steps": 2})
    pretrain(recipe)
    other.write_text(f">x\n{random_dna(2000, 7)}\n>y\n{random_dna(2000, 9)}\n")
    with pytest.raises(UsageError, match=r"data has changed since this run began \(other\)"):
        pretrain(recipe)


def test_a_genome_may_move_but_not_change_its_weight(several, other, tmp_path):
    recipe = several(second={"name": "b"}, train={"steps": 2})
    pretrain(recipe)
    moved = other.rename(tmp_path / "moved.fa")
    assert pretrain(several(second={"name": "b", "fasta": moved}, train={"steps": 2}))
    weighed = several({"weight": 1}, {"name": "b", "weight": 3, "fasta": moved}, train={"steps": 2})
    with pytest.raises(UsageError, match=r"different in data\.genomes\.0\.weight, data\.genomes"):
        pretrain(weighed)


def test_weights_are_shares_of_the_windows_drawn(several):
    recipe = several({"weight": 3}, {"weight": 1}, objective="causal_lm")
    with open_genomes(recipe.data) as genomes:
        examples = training_examples(recipe, genomes)
        names = [name.partition(":")[0] for name in examples.names(range(12))]
    assert len(examples) == 12
    assert names.count("first") == 9
    rows, notes = check_splits(recipe)
    assert [(row.genome, row.name) for row in rows[2:4]] == [("first", "test"), ("other", "train")]
    assert any(note.startswith("first: 75.0% of the samples, 0.10 epochs: 9") for note in notes)


def test_held_out_windows_are_shown_as_n_is_trained(several):
    recipe = several(data={"n_bases": "pad", "max_n_fraction": 1})
    with open_genomes(recipe.data) as genomes:
        parts = read_parts(genomes, recipe, "test", None)
    assert not (parts["first"].inputs == 11).any()
    assert (parts["first"].inputs == 4).sum() == 10


@pytest.mark.parametrize(
    ("first", "second", "error", "message"),
    [
        ({"valid": ["IX"]}, {}, UsageError, r"data\.genomes, first: data\.valid: .* no contig"),
        ({}, {"train": ["x"], "valid": ["x"]}, UsageError, r"genomes, other: .*already in"),
        ({}, {"test": ["z"]}, UsageError, r"genomes, other: data\.test: .* has x, y"),
    ],
)
def test_what_is_wrong_names_the_genome(several, first, second, error, message):
    with pytest.raises(error, match=message):
        check_splits(several(first, second))


def test_a_genome_smaller_than_a_window_is_named(several, other):
    other.write_text(">tiny\nACGTACGT\n")
    with pytest.raises(InputError, match=r"genomes, other: no window of 32 bases left for train"):
        check_splits(several())


@pytest.mark.parametrize(
    ("first", "second", "data", "message"),
    [
        ({}, {"name": "first"}, {}, "two of genomes are called first"),
        ({"weight": 1}, {}, {}, "only first has a weight"),
        ({"weight": 0}, {"weight": 1}, {}, "greater than 0"),
        ({}, {}, {"train": ["I"]}, "leave out train: each of genomes has its own"),
        ({}, {}, {"bed_windows": "centre"}, "bed_windows: centre needs a bed"),
    ],
)
def test_recipes_that_contradict_themselves_are_refused(several, first, second, data, message):
    with pytest.raises(ValueError, match=message):
        several(first, second, data=data)


@pytest.fixture
def shared_bases(pretraining, tmp_path):
    bed = tmp_path / "splits.bed"
    bed.write_text("I\t0\t2000\ttrain\nI\t1900\t3000\tvalid\nII\t0\t3000\ttest\n")

    def make(overlap):
        nothing = dict.fromkeys(("train", "valid", "test"))
        data = nothing | {"bed": bed, "overlap": overlap}
        return pretraining(data=data, train={"steps": 2})

    return make


def test_parts_that_share_bases_are_refused_or_told(shared_bases, capsys):
    line = "train and valid share bases at I:1,900-2,000 (counted from 0), 100 in all, under 3 of"
    with pytest.raises(InputError) as refused:
        pretrain(shared_bases("refuse"))
    assert line in str(refused.value)
    recipe = shared_bases("warn")
    pretrain(recipe)
    assert line in capsys.readouterr().err
    (found,) = metrics(recipe)["overlaps"]
    assert (found["parts"], found["bases"], found["windows"]) == (["train", "valid"], 100, [3, 4])
    assert any(line in note for note in check_splits(recipe)[1])


def test_a_run_of_before_these_keys_is_gone_on_with(pretraining):
    recipe = pretraining(train={"steps": 2})
    pretrain(recipe)
    file = recipe.output / "recipe.yaml"
    values = yaml.safe_load(file.read_text())
    for key in ("genomes", "bed_windows", "overlap", "n_bases"):
        del values["data"][key]
    file.write_text(yaml.safe_dump(values))
    before = (recipe.output / "metrics.json").stat().st_mtime_ns
    assert pretrain(recipe) == recipe.output / "model"
    assert (recipe.output / "metrics.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match=r"different in data\.n_bases"):
        pretrain(
            PretrainRecipe.model_validate(
                recipe.model_dump() | {"data": recipe.data.model_dump() | {"n_bases": "pad"}}
            )
        )
