import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, matthews_corrcoef
from sklearn.utils.class_weight import compute_class_weight
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

from genolm import load
from genolm.errors import InputError, UsageError
from genolm.genome.sequence import reverse_complement
from genolm.report import write_report
from genolm.scoring.predict_tokens import TokenPredictor
from genolm.training.class_weights import weighted_loss
from genolm.training.finetune import finetune
from genolm.training.finetuning import prepare
from genolm.training.recipe_files import check_values
from genolm.training.recipe_finetune import FinetuneRecipe

SMALL = {"family": "caduceus", "d_model": 8, "n_layer": 1}
EQUIVARIANT = SMALL | {"rcps": True}
HYENA = {"family": "hyenadna", "d_model": 8, "n_layer": 1}


def labelled_bases(count, seed):
    """Sequences of 12 or 16 bases: R are purines, but G before T is S, and pyrimidines are Y."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        bases = "".join(rng.choice(list("ACGT"), rng.choice([12, 16])))
        labels = ["R" if base in "AG" else "Y" for base in bases]
        for i in range(len(bases) - 1):
            labels[i] = "S" if bases[i : i + 2] == "GT" else labels[i]
        rows.append((bases, "".join(labels)))
    return rows


@pytest.fixture
def tokens(tmp_path, write_table):
    """Make a tiny recipe over tables of 40 and 15 rows with a class for every base."""
    write_table(tmp_path / "train.csv", labelled_bases(40, 0))
    write_table(tmp_path / "test.csv", labelled_bases(15, 1))

    def make(*, model=SMALL, data=None, train=None, **top):
        values = {
            "model": model,
            "task": "token_classification",
            "data": {"train": tmp_path / "train.csv", "test": tmp_path / "test.csv"} | (data or {}),
            "train": {
                "epochs": 2,
                "batch_size": 12,
                "learning_rate": 1e-2,
                "precision": "float32",
                "threads": 1,
            }
            | (train or {}),
            "output": tmp_path / "run",
        }
        return check_values(FinetuneRecipe, values | top, "recipe")

    return make


@pytest.fixture
def genes(tmp_path):
    """A genome in which every run of A is a gene, and its BED: I and II have some, III has none."""
    rng = np.random.default_rng(5)
    lines, contigs = [], {}
    for name in ("I", "II", "III"):
        parts = []
        for _ in range(12):
            start = sum(map(len, parts))
            parts.append("A" * 9 if name != "III" else "")
            if parts[-1]:
                lines.append(f"{name}\t{start}\t{start + 9}\tgene\n")
            parts.append("".join(rng.choice(list("CGT"), 11)))
        contigs[name] = "".join(parts)
    (tmp_path / "genome.fa").write_text("".join(f">{n}\n{b}\n" for n, b in contigs.items()))
    (tmp_path / "genes.bed").write_text("".join(lines))
    return {"train": tmp_path / "genes.bed", "fasta": tmp_path / "genome.fa", "window": 24}


def metrics(recipe):
    return json.loads((recipe.output / "metrics.json").read_text())


def predictions(recipe):
    with (recipe.output / "test_predictions.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def weights(recipe):
    return load_file(recipe.output / "model" / "model.safetensors")


def test_figures_are_scikit_learns_over_all_bases(tokens):
    recipe = tokens()
    finetune(recipe)
    figures, rows = metrics(recipe), predictions(recipe)
    labels, said = ("".join(row[key] for row in rows) for key in ("label", "predicted"))
    assert [row["label"] for row in rows] == [label for _, label in labelled_bases(15, 1)]
    true, told = list(labels), list(said)
    test = figures["test"]
    assert test["n"] == len(labels)
    assert test["accuracy"] == pytest.approx(accuracy_score(true, told))
    assert test["mcc"] == pytest.approx(matthews_corrcoef(true, told))
    assert test["f1_macro"] == test["f1"] == pytest.approx(f1_score(true, told, average="macro"))
    by_class = f1_score(true, told, average=None, labels=["R", "S", "Y"])
    assert [figures["by_class"][name]["f1"] for name in "RSY"] == pytest.approx(list(by_class))
    assert figures["confusion"] == confusion_matrix(true, told).tolist()
    assert figures["classes"] == ["R", "S", "Y"]
    assert figures["baselines"].keys() == {"majority", "local_kmers"}
    assert figures["baselines"]["local_kmers"]["accuracy"] > 0.9
    for name, (low, high) in figures["intervals"].items():
        assert low - 1e-12 <= test[name] <= high + 1e-12


def hide(rows, seed):
    """Put a dot for a third of the labels."""
    rng = np.random.default_rng(seed)
    return [
        (bases, "".join("." if rng.random() < 0.3 else label for label in labels))
        for bases, labels in rows
    ]


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_ignored_bases_count_neither_in_the_loss_nor_in_figures(
    tokens, tmp_path, write_table, weights
):
    hidden = hide(labelled_bases(15, 1), 3)
    data = {
        "train": write_table(tmp_path / "part.csv", hide(labelled_bases(40, 0), 2)),
        "test": write_table(tmp_path / "hidden.csv", hidden),
        "ignore": ".",
    }
    recipe = tokens(data=data, train={"class_weights": weights})
    with prepare(recipe, "cpu") as session:
        part, examples = session.parts.train, session.parts.train.examples(16)
        shown = torch.cat([item["labels"][item["labels"] != -100] for item in examples])
        texts = zip(part.rows.labels, examples, strict=True)
        assert all(len(t) - t.count(".") == (e["labels"] != -100).sum() for t, e in texts)
        assert shown.tolist() == part.targets.tolist()
    finetune(recipe)
    figures, rows = metrics(recipe), predictions(recipe)
    assert [row["label"] for row in rows] == [label for _, label in hidden]
    pairs = [pair for row in rows for pair in zip(row["label"], row["predicted"], strict=True)]
    assert all((label == ".") == (said == ".") for label, said in pairs)
    true, told = zip(*(pair for pair in pairs if pair[0] != "."), strict=True)
    test = figures["test"]
    assert figures["classes"] == ["R", "S", "Y"]
    assert test["n"] == len(true)
    assert figures["ignored_bases"] == len(pairs) - len(true) > 50
    assert test["accuracy"] == pytest.approx(accuracy_score(true, told))
    assert test["f1_macro"] == pytest.approx(f1_score(true, told, average="macro"))
    assert figures["confusion"] == confusion_matrix(true, told).tolist()
    assert figures["baselines"]["local_kmers"]["accuracy"] > 0.9
    assert figures["intervals"].keys() >= {"accuracy", "mcc"}


def test_what_an_ignored_base_would_have_been_changes_nothing(tokens, tmp_path, write_table):
    rows = hide(labelled_bases(40, 0), 2)
    runs = []
    for letter in ".?":
        file = write_table(tmp_path / "part.csv", [(b, t.replace(".", letter)) for b, t in rows])
        data, output = (
            {"train": file, "test": file, "ignore": letter},
            tmp_path / f"of{ord(letter)}",
        )
        runs.append(tokens(data=data, output=output, train={"epochs": 1}))
        finetune(runs[-1], with_baselines=False)
    one, other = map(weights, runs)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert metrics(runs[0])["test"] == metrics(runs[1])["test"]


def test_an_easy_task_is_learned_and_reported(tokens):
    recipe = tokens(train={"epochs": 6, "learning_rate": 6e-2, "patience": None})
    finetune(recipe)
    assert metrics(recipe)["test"]["accuracy"] > 0.9
    page = write_report(recipe.output).read_text()
    assert "label \\ predicted" in page
    assert f"{metrics(recipe)['by_class']['S']['f1']:.4f}" in page


@pytest.mark.parametrize("model", [SMALL, EQUIVARIANT, HYENA], ids=["ph", "ps", "hyenadna"])
def test_the_published_folder_is_one_of_transformers(tokens, model):
    recipe = tokens(model=model)
    folder = finetune(recipe, with_baselines=False)
    ours, _ = load(folder)
    theirs = AutoModelForTokenClassification.from_pretrained(folder).eval()
    assert theirs.config.id2label == {0: "R", 1: "S", 2: "Y"}
    assert theirs.config.label2id == {"R": 0, "S": 1, "Y": 2}
    ids = torch.tensor([[7, 8, 9, 10, 9]])
    assert torch.equal(ours(ids).logits, theirs(ids).logits)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = pipeline("token-classification", model=str(folder), ignore_labels=[])("ACGTG")
    whole = theirs(**tokenizer("ACGTG", return_tensors="pt")).logits.softmax(dim=-1)[0]
    assert [entry["word"] for entry in found] == list("ACGTG")
    start = tokenizer("ACGTG")["input_ids"].index(7)
    wanted = whole[start : start + 5].max(dim=-1)
    assert [entry["score"] for entry in found] == pytest.approx(wanted.values.tolist(), rel=1e-4)
    assert [entry["entity"] for entry in found] == ["RSY"[i] for i in wanted.indices]


@pytest.mark.parametrize("rc", ["none", "conjoin"])
def test_predictions_depend_neither_on_the_batch_nor_on_padding(tokens, rc):
    recipe = tokens(train={"rc": rc})
    with prepare(recipe, "cpu") as session:
        model, test = session.model.eval(), session.parts.test
        whole = session.predict(test)
        assert whole.shape == (len(test.targets), 3)
        for batch_size in (1, 4):
            changed = session.recipe.train.model_copy(update={"batch_size": batch_size})
            small = replace(session, recipe=session.recipe.model_copy(update={"train": changed}))
            assert np.abs(small.predict(test) - whole).max() < 1e-5
        alone = np.concatenate(TokenPredictor(model, batch_size=2).logits(test.rows.sequences))
        assert np.abs(alone - whole).max() < 1e-5


def test_a_length_beyond_the_longest_sequence_changes_nothing(tokens, tmp_path):
    one, other = (
        tokens(output=tmp_path / str(length), data={"length": length}, train={"epochs": 1})
        for length in (16, 40)
    )
    for recipe in (one, other):
        finetune(recipe, with_baselines=False)
    assert metrics(one)["test"]["loss"] == pytest.approx(metrics(other)["test"]["loss"], abs=1e-5)


def test_buckets_change_the_order_of_rows_and_not_that_of_predictions(tokens):
    with (
        prepare(tokens(), "cpu") as plain,
        prepare(tokens(train={"bucket": True}), "cpu") as sorted_,
    ):
        same = sorted_.predict(sorted_.parts.test) - plain.predict(plain.parts.test)
    assert np.abs(same).max() < 1e-5


def test_the_seed_fixes_everything_and_another_changes_it(tokens, tmp_path):
    runs = [
        tokens(output=tmp_path / name, train={"rc": "augment", "seed": seed, "epochs": 1})
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    ]
    for recipe in runs:
        finetune(recipe, with_baselines=False)
    one, again, other = map(weights, runs)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["score.weight"], other["score.weight"])
    assert metrics(runs[0])["test"] == metrics(runs[1])["test"]


def test_resuming_equals_not_stopping_bit_for_bit(tokens, tmp_path, capsys, power_cut):
    whole, stopped = (
        tokens(output=tmp_path / name, train={"rc": "augment"}) for name in ("whole", "stopped")
    )
    finetune(whole, with_baselines=False)
    with power_cut(5):
        finetune(stopped)
    finetune(stopped, with_baselines=False)
    assert "resuming at step 3" in capsys.readouterr().err
    one, other = weights(whole), weights(stopped)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert metrics(whole)["test"] == metrics(stopped)["test"]
    finetune(stopped)
    assert "is done" in capsys.readouterr().err


def test_labels_of_an_equivariant_model_belong_to_a_strand_unless_told_otherwise(tokens):
    bases = "ACGGTTACAG"
    for head, alike in ((None, False), ("invariant", True)):
        with prepare(tokens(model=EQUIVARIANT, train={"head": head}), "cpu") as session:
            predictor = TokenPredictor(session.model)
        forward, reverse = predictor.logits([bases, reverse_complement(bases)])
        assert np.allclose(forward, reverse[::-1], atol=1e-5) is alike


def test_augmentation_shows_labels_in_the_direction_of_the_strand(tokens):
    with prepare(tokens(train={"rc": "augment"}), "cpu") as session:
        part = session.parts.train
        forward, reverse = (part.examples(16, reverse=reverse) for reverse in (False, True))
    for one, other in zip(forward, reverse, strict=True):
        real = one["labels"] != -100
        assert torch.equal(one["labels"][real].flip(0), other["labels"][real])
        complement = 17 - one["input_ids"][real].flip(0)  # A 7, C 8, G 9, T 10
        assert torch.equal(other["input_ids"][real], complement)


@pytest.mark.parametrize("wanted", ["balanced", {"S": 9}], ids=["balanced", "named"])
def test_a_weighted_loss_is_of_the_real_bases_alone(tokens, wanted):
    with prepare(tokens(), "cpu") as session:
        parts = session.parts
    labels = torch.stack([item["labels"] for item in parts.train.examples(20)])
    logits = torch.randn(*labels.shape, 3, generator=torch.Generator().manual_seed(1))
    real, targets = labels != -100, parts.train.targets
    assert real.sum() == len(targets)
    weights = {"R": 1.0, "S": 9.0, "Y": 1.0}
    if wanted == "balanced":
        shares = compute_class_weight("balanced", classes=np.arange(3), y=targets)
        weights = dict(zip("RSY", shares, strict=True))
    tensor = torch.tensor(list(weights.values()), dtype=torch.float32)
    expected = torch.nn.functional.cross_entropy(logits[real], labels[real], tensor)
    found = weighted_loss(wanted, parts, "classification")(logits, labels)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.slow
def test_strands_weights_and_methods_go_together(tokens):
    recipe = tokens(
        train={
            "rc": "auto",
            "class_weights": {"S": 9},
            "self_pretrain": {"steps": 2},
            "lora": {"rank": 2},
            "epochs": 1,
        }
    )
    finetune(recipe, with_baselines=False)
    figures = metrics(recipe)
    assert figures["rc"]["candidates"].keys() == {"none", "augment", "conjoin"}
    assert figures["self_pretraining"]["steps"] == 2
    assert figures["baselines"].keys() == {"majority"}


def test_intervals_of_a_genome_are_classes_and_contigs_are_held_out(tokens, genes):
    recipe = tokens(data={**genes, "test": None, "test_groups": ["chrII"]}, train={"epochs": 1})
    finetune(recipe)
    rows = predictions(recipe)
    assert [(row["chrom"], row["start"], row["end"]) for row in rows[:2]] == [
        ("II", "0", "24"),
        ("II", "24", "48"),
    ]
    assert rows[0]["label"] == "0-9:gene;9-20:background;20-24:gene"
    figures = metrics(recipe)
    assert figures["test"]["n"] == 240
    assert figures["by_class"]["gene"]["n"] == 12 * 9
    assert figures["baselines"]["local_kmers"]["accuracy"] > 0.9


def test_only_named_intervals_may_count(tokens, genes, tmp_path):
    lines = (tmp_path / "genes.bed").read_text().splitlines()
    others = [line.split("\t") for line in lines]
    spacers = [f"{c}\t{int(end) + 1}\t{int(end) + 3}\tspacer" for c, _, end, _ in others]
    (tmp_path / "genes.bed").write_text("\n".join([*lines, *spacers]) + "\n")
    data = {**genes, "test": None, "test_groups": ["II"], "ignore": "background"}
    recipe = tokens(data=data, train={"epochs": 1})
    finetune(recipe)
    assert metrics(recipe)["test"]["n"] == 12 * (9 + 2)
    assert metrics(recipe)["classes"] == ["gene", "spacer"]
    told = predictions(recipe)[0]["predicted"].split(";")
    assert {part.split(":")[1] for part in told} <= {"background", "gene", "spacer"}
    assert "9-10:background" in predictions(recipe)[0]["label"].split(";")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("ACGTA", "RYRY")], r"bad.csv:2: 4 label\(s\) for a sequence of 5 bases"),
        ([("AC", "RY"), ("AC", "RZ")], "bad.csv:3: label 'Z' of base 2 is not in the train part"),
        ([], "bad.csv: no row below the header"),
    ],
    ids=["length", "unknown", "empty"],
)
def test_a_bad_test_part_is_refused_in_one_line(tokens, tmp_path, write_table, rows, message):
    bad = write_table(tmp_path / "bad.csv", rows)
    with pytest.raises(InputError, match=message) as error:
        finetune(tokens(data={"test": bad}))
    assert "\n" not in str(error.value)


def test_sequences_longer_than_the_model_are_refused(tokens, tmp_path, write_table):
    long = write_table(tmp_path / "long.csv", [("ACGT", "RYRY"), ("A" * 30, "R" * 30)])
    fixed = HYENA | {"max_seq_len": 20}
    with pytest.raises(InputError, match=r"long.csv:3: the sequence has 30 bases, and the model"):
        finetune(tokens(model=fixed, data={"test": long}))
    with pytest.raises(InputError, match=r"long.csv:3: .*, and data.length is 20; labelled bases"):
        finetune(tokens(data={"test": long, "length": 20}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": ["a", "b"]}, "data.label: one column, with a character for every base"),
        ({"window": 10}, "data.window: is for the intervals of a genome: give data.fasta"),
        ({"fasta": "genome.fa"}, "data.window: required"),
        ({"stratum": "x"}, "data.stratum: only variants have it"),
        ({"ignore": "NA"}, "data.ignore: 'NA' is no single character"),
        ({"test": None}, "data.test is required"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_keys_that_do_not_go_together_are_refused(tokens, changes, message):
    with pytest.raises(UsageError, match=message):
        finetune(tokens(data=changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_groups": ["III"]}, "data.test_groups: .* has no interval on 'III'"),
        ({"test_groups": ["I", "II"]}, "data.test_groups: no contig of .* is left"),
        ({}, "data.test is required, or data.test_groups"),
        ({"test": "genes.bed"}, "both have intervals on I; every part needs contigs of its own"),
    ],
    ids=["unknown", "all", "none", "shared"],
)
def test_contigs_are_trained_on_or_judged_on(tokens, genes, tmp_path, changes, message):
    test = {"test": tmp_path / changes["test"] if "test" in changes else None}
    with pytest.raises(UsageError, match=message):
        finetune(tokens(data=genes | changes | test))


def test_only_labels_of_bases_may_be_ignored(tokens):
    with pytest.raises(UsageError, match=r"data.ignore: is for labels of bases"):
        tokens(task="classification", data={"ignore": "."})


def test_conjoining_is_refused_by_an_equivariant_model(tokens):
    with pytest.raises(UsageError, match=r"train.rc: an equivariant model reads both strands"):
        finetune(tokens(model=EQUIVARIANT, train={"rc": "conjoin"}))
