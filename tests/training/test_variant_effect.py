"""task: variant_effect, from a VCF to a model that `score` uses."""

import pytest
import torch

from genolm import load
from genolm.errors import InputError, UsageError
from genolm.training.epoch_examples import EpochExamples
from genolm.training.finetune import finetune
from genolm.training.prepare_parts import prepare_parts
from genolm.training.recipe_files import load_finetune_recipe
from tests.training.outcomes import metrics, predictions, same, weights

REGRESSION = {"kind": "regression", "label": "VALUE"}
MODELS = {
    "ps": {"family": "caduceus", "d_model": 8, "n_layer": 1, "rcps": True},
    "ph": {"family": "caduceus", "d_model": 8, "n_layer": 1},
    "hyenadna": {"family": "hyenadna", "d_model": 8, "n_layer": 1, "max_seq_len": 40},
}


def test_a_run_leaves_a_model_of_variants_with_figures_beside_baselines(variant_effect, capsys):
    recipe = variant_effect()
    finetune(recipe)
    figures = metrics(recipe)
    assert figures["task"] == "variant_effect"
    assert figures["classes"] == ["bad", "good"]
    assert {"accuracy", "mcc", "auroc", "auprc", "f1", "loss", "n"} <= figures["test"].keys()
    assert figures["baselines"].keys() == {"majority", "trinucleotide", "kmer_difference"}
    assert figures["test"]["n"] == 48
    assert figures["duplicates"] == {
        "test_in_train": 0,
        "test_near_train": 0,
        "valid_near_train": 0,
    }
    model, _ = load(recipe.output / "model")
    assert type(model).__name__ == "CaduceusForVariantEffect"
    assert model.config.training_length == 32
    said = capsys.readouterr().err
    assert "the windows of both alleles, 32 bases each: 44 train, 4 valid, 48 test" in said
    row = predictions(recipe)[0]
    assert list(row) == ["chrom", "pos", "ref", "alt", "label", "predicted", "p_bad", "p_good"]
    assert (row["chrom"], row["pos"]) == ("II", "20")


def test_an_easy_effect_is_learned_and_the_sign_is_that_of_the_exchange(variant_effect):
    recipe = variant_effect(
        model={**MODELS["ps"], "effect_antisymmetric": True},
        data=REGRESSION,
        train_options={"epochs": 12, "learning_rate": 3e-2, "patience": None},
    )
    finetune(recipe)
    figures = metrics(recipe)
    assert figures["test"]["pearson"] > 0.5
    assert figures["baselines"].keys() == {"mean", "trinucleotide", "kmer_difference"}
    assert figures["test"]["mse"] < figures["baselines"]["mean"]["mse"]
    model, _ = load(recipe.output / "model")
    parts = prepare_parts(recipe)[0]
    item = parts.test.examples(32)[3]
    ids, sites = item["input_ids"][None], item["sites"][None]
    there, back = model(ids, sites).logits, model(ids.flip(1), sites.flip(1)).logits
    torch.testing.assert_close(back, -there)


@pytest.mark.parametrize(
    "rc",
    [
        "augment",
        pytest.param("none", marks=pytest.mark.slow),
        pytest.param("conjoin", marks=pytest.mark.slow),
    ],
)
def test_resuming_equals_not_stopping_bit_for_bit(variant_effect, tmp_path, rc, power_cut):
    whole, stopped = (
        variant_effect(
            model=MODELS["ph"], output=tmp_path / name, train_options={"rc": rc, "epochs": 3}
        )
        for name in ("whole", "stopped")
    )
    finetune(whole)
    with power_cut(7):
        finetune(stopped)
    finetune(stopped)
    assert same(weights(whole), weights(stopped))
    assert metrics(whole)["test"] == metrics(stopped)["test"]
    assert predictions(whole) == predictions(stopped)


@pytest.mark.parametrize(
    ("family", "conjoin"),
    [
        ("ps", False),
        ("hyenadna", True),
        pytest.param("ph", True, marks=pytest.mark.slow),
        pytest.param("hyenadna", False, marks=pytest.mark.slow),
    ],
)
def test_scoring_says_what_the_test_predictions_said(
    variant_effect, family, conjoin, tmp_path, capsys
):
    from genolm.scoring.runtime import Runtime
    from genolm.scoring.score_file import ScoringJob, score_file

    recipe = variant_effect(
        model={**MODELS[family], "effect_hidden": 6},
        data=REGRESSION,
        train_options={"epochs": 1, "batch_size": 16, "rc": "conjoin" if conjoin else "none"},
    )
    finetune(recipe)
    job = ScoringJob(
        vcf=str(recipe.data.test),
        reference=str(recipe.data.fasta),
        model=str(recipe.output / "model"),
        output=str(tmp_path / "scored.vcf"),
        runtime=Runtime("cpu", batch_size=5),
    )
    summary = score_file(job)
    assert summary.scored == 48
    lines = (tmp_path / "scored.vcf").read_text().splitlines()
    said = [line for line in lines if line.startswith("##INFO=<ID=GENOLM_EFFECT")]
    assert len(said) == 1
    assert "ID=GENOLM_EFFECT_value,Number=A,Type=Float" in said[0]
    assert "variant-effect model" in said[0]
    scored = [
        float(line.partition("GENOLM_EFFECT_value=")[2].partition(";")[0])
        for line in lines
        if not line.startswith("#")
    ]
    expected = [float(row["predicted"]) for row in predictions(recipe)]
    assert scored == pytest.approx(expected, abs=1e-5, rel=1e-5)
    assert max(scored) - min(scored) > 1e-4


def test_groups_are_held_out_whole(variant_effect):
    recipe = variant_effect(data={"group": "GENE", "valid_fraction": 0.2})
    parts = prepare_parts(recipe)[0]
    train, valid = set(parts.train.rows.groups), set(parts.valid.rows.groups)
    assert not train & valid
    assert 0.2 <= len(parts.valid.rows) / len(parts.learned.rows) < 0.35
    assert len(parts.train.rows) + len(parts.valid.rows) == len(parts.learned.rows)
    other = prepare_parts(variant_effect(data={"group": "GENE"}, train_options={"seed": 7}))[0]
    assert set(other.valid.rows.groups) != valid


def test_the_test_part_may_be_groups_of_train(variant_effect):
    recipe = variant_effect(
        data={
            "group": "GENE",
            "test": None,
            "test_groups": ["I3", "I4"],
            "valid_groups": "I5",
        }
    )
    parts = prepare_parts(recipe)[0]
    assert set(parts.test.rows.groups) == {"I3", "I4"}
    assert set(parts.valid.rows.groups) == {"I5"}
    assert not {"I3", "I4", "I5"} & set(parts.train.rows.groups)


def test_what_a_file_lacks_is_counted_once_though_two_parts_come_from_it(variant_effect, tmp_path):
    with (tmp_path / "I.vcf").open("a") as file:
        file.write("I\t9\t.\tN\tA\t.\t.\tCLASS=bad;GENE=I0\n")
        bases = (tmp_path / "I.vcf").read_text().splitlines()[12].split("\t")
        cells = [*bases[:4], bases[3] + "ACGT" * 5, *bases[5:7], "CLASS=bad;GENE=I3"]
        file.write("\t".join(cells) + "\n")
    recipe = variant_effect(data={"group": "GENE", "test": None, "test_groups": "I3"})
    assert prepare_parts(recipe)[0].skipped == {
        "train": {"non_acgt_ref": 1},
        "test": {"too_long": 1},
    }


def test_groups_that_are_contigs_have_aliases(variant_effect, tmp_path):
    with (tmp_path / "I.vcf").open("a") as file:
        file.write((tmp_path / "II.vcf").read_text().partition("INFO\n")[2])
    recipe = variant_effect(data={"group": "chrom", "test": None, "test_groups": "chrII"})
    # One contig is left, and what chooses the epoch must come from another one.
    with pytest.raises(UsageError, match=r"1 group\(s\) cannot be divided"):
        prepare_parts(recipe)
    recipe = variant_effect(
        data={"group": "chrom", "test": None, "test_groups": "chrII", "valid": tmp_path / "II.vcf"}
    )
    parts = prepare_parts(recipe)[0]
    assert set(parts.test.rows.groups) == {"II"}
    assert set(parts.train.rows.groups) == {"I"}


def test_strata_of_the_test_part_have_figures_of_their_own(variant_effect):
    recipe = variant_effect(
        data={**REGRESSION, "stratum": "VALUE", "stratum_edges": [-0.5, 0.5]},
        train_options={"epochs": 1},
    )
    finetune(recipe)
    assert metrics(recipe)["test_strata"].keys() == {"model", "trinucleotide", "kmer_difference"}
    found = metrics(recipe)["test_strata"]["model"]
    assert found.keys() == {"<-0.5", "-0.5-0.5", ">=0.5", "mean"}
    rows = [row for row in predictions(recipe) if float(row["label"]) < -0.5]
    assert found["<-0.5"]["n"] == len(rows)
    errors = [(float(row["label"]) - float(row["predicted"])) ** 2 for row in rows]
    assert found["<-0.5"]["mse"] == pytest.approx(sum(errors) / len(rows), rel=1e-4)
    assert found["mean"]["n"] == 3


def test_neighbours_of_train_and_what_was_left_out_are_said(variant_effect, capsys, tmp_path):
    recipe = variant_effect(data={"test": tmp_path / "I.vcf", "window": 128})
    with (tmp_path / "I.vcf").open("a") as file:
        file.write("I\t9\t.\tN\tA\t.\t.\tCLASS=bad\nI\t9\t.\tA\tC\t.\t.\tX=1\n")
    finetune(recipe)
    said = capsys.readouterr().err
    assert "data.train: left out 1 no_label, 1 non_acgt_ref" in said
    assert "48 of 48 test variants are also in train" in said
    assert "4 of 4 valid variants stand within 64 bases of a train variant" in said
    figures = metrics(recipe)
    assert figures["skipped"]["train"]["non_acgt_ref"] == 1
    assert figures["duplicates"]["test_near_train"] == 48


def test_augmentation_shows_the_windows_of_both_strands(variant_effect):
    parts = prepare_parts(variant_effect())[0]
    options = {"length": 32, "per_epoch": 40, "epochs": 1, "seed": 5}
    plain = EpochExamples(parts.train, **options, rc="none")
    both = EpochExamples(parts.train, **options, rc="augment")
    flipped = 0
    for index in range(40):
        ids, shown = plain[index]["input_ids"], both[index]["input_ids"]
        if not torch.equal(ids, shown):
            flipped += 1
            site = both[index]["sites"][0, 0]
            assert shown[0, site] == 17 - ids[0, plain[index]["sites"][0, 1].neg() + 31]
    assert 8 < flipped < 32


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"data": {"label": "NOPE"}}, InputError, "no record has the INFO key 'NOPE'"),
        ({"data": {"window": 4}}, UsageError, "data.window: 4 is too short"),
        (
            {"model": MODELS["hyenadna"], "data": {"window": 41}},
            UsageError,
            r"data\.window: 41 is more than the model's maximum of 40",
        ),
        ({"data": {"test": None}}, UsageError, "data.test is required, or data.group and"),
        (
            {"data": {"group": "GENE", "test": None, "test_groups": "XX"}},
            UsageError,
            r"data\.test_groups: .*I\.vcf has no group 'XX'; there are I0, I1",
        ),
        (
            {"data": {"group": "GENE", "test_groups": "I1"}},
            UsageError,
            r"data\.test_groups: data\.test is given",
        ),
        ({"data": {"group": "chrom"}}, UsageError, r"data\.group: chrom: 1 group\(s\) cannot be"),
        (
            {"model": {**MODELS["ps"], "effect_antisymmetric": True}},
            UsageError,
            "a class has no sign to change",
        ),
        ({"train_options": {"rc": "conjoin"}}, UsageError, "an equivariant model reads both"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(variant_effect, options, error, said):
    recipe = variant_effect(**options)
    with pytest.raises(error, match=said):
        finetune(recipe)
    assert not recipe.output.exists()


def test_a_value_that_is_no_number_is_refused_with_its_line(variant_effect, tmp_path):
    recipe = variant_effect(data=REGRESSION)
    text = (tmp_path / "I.vcf").read_text()
    first = text.partition("VALUE=")[2].partition(";")[0]
    (tmp_path / "I.vcf").write_text(text.replace(f"VALUE={first};", "VALUE=nan;", 1))
    with pytest.raises(InputError, match=r"I\.vcf:3: label 'nan' is not a number"):
        finetune(recipe)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"fasta": None}}, r"data\.fasta: required for task: variant_effect"),
        ({"data": {"length": 32}}, r"data\.length: is for sequences"),
        ({"data": {"label": ["a", "b"]}}, r"data\.label: one INFO key or column"),
        ({"data": {"valid_groups": "a"}}, r"data\.valid_groups: say which groups"),
        ({"data": {"group_match": "a"}}, r"data\.group_match: say whose names"),
        (
            {"data": {"group": "gene", "group_match": "[a"}},
            r"data\.group_match: '\[a' is no regular expression: unterminated",
        ),
        (
            {"data": {"stratum": "X", "stratum_edges": [2, 1]}},
            r"\[2\.0, 1\.0\] must be numbers that grow",
        ),
        ({"data": {"stratum": "X", "stratum_edges": [1, 1]}}, r"stratum_edges: .* that grow"),
        ({"data": {"stratum": "X", "stratum_edges": []}}, r"stratum_edges: \[\] must be"),
        ({"task": "classification"}, r"data\.fasta: only variants have it"),
        (
            {"data": {"kind": "regression"}, "train_options": {"early_stopping_metric": "mcc"}},
            "mcc is no metric of a regression",
        ),
    ],
)
def test_keys_that_do_not_go_together_are_refused(variant_effect, changes, said):
    with pytest.raises(ValueError, match=said):
        variant_effect(**changes)


def test_a_recipe_that_names_no_fasta_file_is_refused(variant_effect, tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(
        "model: {family: caduceus}\ntask: variant_effect\n"
        f"data: {{train: {tmp_path}/I.vcf, test: {tmp_path}/II.vcf, fasta: none.fa}}\n"
        f"output: {tmp_path}/run\n"
    )
    with pytest.raises(UsageError, match=r"data\.fasta"):
        load_finetune_recipe(file)
