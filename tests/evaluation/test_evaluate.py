import csv
import json
import re
import shutil
from contextlib import ExitStack

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, matthews_corrcoef, roc_auc_score
from transformers import AutoConfig

import genolm.models  # noqa: F401  registers the families
from genolm.errors import UsageError
from genolm.evaluation import contest
from genolm.evaluation.evaluate import evaluate
from genolm.evaluation.request import Request
from genolm.evaluation.results import ResultFile, averaged_figures, median_auroc
from genolm.evaluation.summary import spread_of
from genolm.lock import hold_folder

ROWS = ("majority", "length", "kmer", "cnn", "scratch")


def request(root, **options):
    return Request("folder", root / "sets", root / "out", recipe=str(root / "r.yaml"), **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, make_task, recipe_text):
    """Two tasks, the second with copies and in another order, after one whole evaluation."""
    root = tmp_path_factory.mktemp("suite")
    make_task(root / "sets" / "one", seed=0)
    two = make_task(root / "sets" / "two", seed=10)
    train = (two / "train.csv").read_text().splitlines()
    (two / "test.csv").write_text(
        "\n".join([*(two / "test.csv").read_text().splitlines(), *train[1:5]]) + "\n"
    )
    (root / "r.yaml").write_text(recipe_text)
    table, failures = evaluate(request(root))
    assert failures == []
    assert table == root / "out" / "table.md"
    return root


def results(root):
    return {
        file.relative_to(root / "out"): (file.read_bytes(), file.stat().st_mtime_ns)
        for file in sorted((root / "out").glob("*/*/*.json"))
    }


def test_every_task_row_and_seed_is_a_file(finished):
    names = {str(name) for name in results(finished)}
    assert names == {
        f"{task}/{row}/seed-{seed}.json"
        for task in ("one", "two")
        for row in ROWS
        for seed in (1, 2)
    }


def test_figures_are_those_of_scikit_learn_on_the_whole_set(finished):
    for row in ("scratch", "cnn", "kmer"):
        file = ResultFile(finished / "out" / "two" / row / "seed-1.json")
        scores, test = file.read_scores(), file.read()["test"]
        with (finished / "sets" / "two" / "test.csv").open() as opened:
            truth = np.array([line["label"] == "cg" for line in csv.DictReader(opened)])
        assert test["n"] == len(truth) == 24
        assert test["accuracy"] == pytest.approx(accuracy_score(truth, scores.argmax(1)), abs=1e-9)
        assert test["mcc"] == pytest.approx(matthews_corrcoef(truth, scores.argmax(1)), abs=1e-9)
        odds = scores[:, 1] - scores[:, 0]
        assert test["auroc"] == pytest.approx(roc_auc_score(truth, odds), abs=1e-9)


def test_copies_of_train_are_also_left_out(finished):
    one = ResultFile(finished / "out" / "one" / "scratch" / "seed-1.json").read()
    two = ResultFile(finished / "out" / "two" / "scratch" / "seed-1.json").read()
    assert "without_copies" not in one
    assert two["without_copies"]["n"] == 20
    table = (finished / "out" / "table.md").read_text()
    assert "of 24: 4 test rows are in train" in table
    assert "composition alone 1.000" in table
    assert "without copies" in table


def test_the_tables_hold_every_row(finished):
    with (finished / "out" / "table.csv").open() as opened:
        lines = list(csv.DictReader(opened))
    assert {(line["task"], line["row"]) for line in lines} == {
        (task, row) for task in ("one", "two") for row in ROWS
    }
    line = next(line for line in lines if (line["task"], line["row"]) == ("one", "scratch"))
    runs = [
        ResultFile(finished / "out" / "one" / "scratch" / f"seed-{seed}.json").read()
        for seed in (1, 2)
    ]
    figures = [run["test"]["accuracy"] for run in runs]
    assert float(line["value"]) == pytest.approx(np.mean(figures), abs=1e-6)
    assert float(line["deviation"]) == pytest.approx(np.std(figures, ddof=1), abs=1e-6)
    assert float(line["spread"]) == pytest.approx(np.ptp(figures), abs=1e-6)
    assert int(line["parameters"]) == runs[0]["parameters"]
    assert line["rival"] in ("kmer", "cnn")
    assert (finished / "out" / "table.html").read_text().count("<table>") == 2


def test_a_model_is_published_with_its_classes_in_order(finished):
    folder = finished / "out" / "one" / "scratch" / "seed-1" / "model"
    assert AutoConfig.from_pretrained(folder).id2label == {0: "at", 1: "cg"}
    assert not (folder.parent / "checkpoints").exists()


def test_the_same_command_leaves_what_is_done_untouched(finished, monkeypatch):
    before = results(finished)
    monkeypatch.setattr(contest, "finetune", None)
    monkeypatch.setattr(contest, "run_baseline", None)
    evaluate(request(finished))
    assert results(finished) == before


def test_a_metric_that_is_changed_judges_what_is_there(finished, tmp_path):
    shutil.copytree(finished / "out", tmp_path / "out")
    text = (finished / "r.yaml").read_text()
    (tmp_path / "r.yaml").write_text(text + "tasks: {one: {metric: mcc, oriented: true}}\n")
    given = Request("folder", finished / "sets", tmp_path / "out", recipe=str(tmp_path / "r.yaml"))
    before = results(tmp_path)
    _, failures = evaluate(given)
    assert failures == []
    assert results(tmp_path) == before
    with (tmp_path / "out" / "table.csv").open() as opened:
        line = next(row for row in csv.DictReader(opened) if row["row"] == "scratch")
    assert line["metric"] == "mcc"
    assert float(line["value"]) == float(line["mcc"])
    assert "labels belong to a strand" in line["remarks"]


def test_a_baseline_that_comes_later_is_compared_with_as_if_it_had_been_there(
    finished, tmp_path, monkeypatch
):
    (tmp_path / "sets").symlink_to(finished / "sets")
    shutil.copy(finished / "r.yaml", tmp_path)
    asked = {"tasks": ["two"], "seeds": 1}
    evaluate(request(tmp_path, **asked, baselines=["length"]))
    model = "out/two/scratch/seed-1.json"
    assert set(ResultFile(tmp_path / model).read()["above"]) == {"length"}
    monkeypatch.setattr(contest, "finetune", None)
    assert evaluate(request(tmp_path, **asked))[1] == []
    resumed, whole = (ResultFile(root / model).read() for root in (tmp_path, finished))
    told = ("above", "intervals", "rivals", "fingerprint", "test")
    assert [resumed[name] for name in told] == [whole[name] for name in told]
    # Fewer baselines are asked for: those that are there stay what it is compared with.
    before = results(tmp_path)
    evaluate(request(tmp_path, **asked, baselines=["length"]))
    assert results(tmp_path) == before
    changed = (tmp_path / "r.yaml").read_text().replace("cnn: {epochs: 1", "cnn: {epochs: 3")
    (tmp_path / "r.yaml").write_text(changed)
    assert evaluate(request(tmp_path, **asked))[1] == []
    again = ResultFile(tmp_path / model).read()
    assert again["above"]["kmer"] == whole["above"]["kmer"]
    assert again["rivals"]["cnn"] != whole["rivals"]["cnn"]


def test_a_result_of_an_earlier_version_is_left_as_it_is(finished, tmp_path):
    shutil.copytree(finished / "out", tmp_path / "out")
    for file in (tmp_path / "out").glob("*/scratch/*.json"):
        values = json.loads(file.read_text())
        del values["rivals"]
        file.write_text(json.dumps(values))
    before = results(tmp_path)
    given = Request("folder", finished / "sets", tmp_path / "out", recipe=str(finished / "r.yaml"))
    assert evaluate(given)[1] == []
    assert results(tmp_path) == before


def test_the_table_names_all_versions_that_runs_were_made_with(finished, tmp_path):
    shutil.copytree(finished / "out", tmp_path / "out")
    now = ResultFile(tmp_path / "out" / "one" / "cnn" / "seed-1.json").read()["versions"]
    whole = ", ".join(f"{name} {version}" for name, version in now.items())
    about = (tmp_path / "out" / "table.md").read_text().split("\n\n")[3]
    assert about.startswith(f"Versions: {whole}. Machine: device cpu, threads ")
    others = {
        "two/cnn": {"versions": {**now, "torch": "1.0"}},
        "one/cnn": {"begun_with": {**now, "torch": "1.0"}},
        "one/kmer": {"versions": None, "machine": {"device": "cuda", "threads": 9}},
    }
    for place, changed in others.items():
        file = tmp_path / "out" / f"{place}/seed-1.json"
        values = {**json.loads(file.read_text()), **changed}
        file.write_text(json.dumps({name: v for name, v in values.items() if v is not None}))
    given = Request("folder", finished / "sets", tmp_path / "out", recipe=str(finished / "r.yaml"))
    before = results(tmp_path)
    _, failures = evaluate(given)
    assert failures == []
    assert results(tmp_path) == before
    runs = [json.loads(text) for text, _ in before.values()]
    own = sum("as_in" not in run for run in runs)
    older = whole.replace(f"torch {now['torch']}", "torch 1.0")
    versions = f"{whole} ({own - 2} runs); {older} (2 runs); not recorded (1 run)"
    table = (tmp_path / "out" / "table.md").read_text()
    assert f"Versions: {versions}. Machine: device cpu" in table
    assert f"({own - 1} runs); device cuda, threads 9 (1 run). Trainings" in table
    assert versions in (tmp_path / "out" / "table.html").read_text()


def test_a_training_that_other_versions_began_names_both(tmp_path, make_task, recipe_text):
    make_task(tmp_path / "sets" / "one")
    (tmp_path / "r.yaml").write_text(recipe_text)
    asked = request(tmp_path, baselines=["majority"])
    assert evaluate(asked)[1] == []
    place = tmp_path / "out" / "one" / "scratch"
    record = json.loads((place / "seed-1" / "run.json").read_text())
    record["versions"]["torch"] = "1.0"
    (place / "seed-1" / "run.json").write_text(json.dumps(record))
    for seed in (1, 2):
        (place / f"seed-{seed}.json").unlink()
    assert evaluate(asked)[1] == []
    one, two = (ResultFile(place / f"seed-{seed}.json").read() for seed in (1, 2))
    assert one["begun_with"] == record["versions"]
    assert "begun_with" not in two
    assert re.search(r"torch 1\.0, [^()]*\(1 run\)", (tmp_path / "out" / "table.md").read_text())


def test_another_recipe_is_refused_for_the_row_and_the_others_stay(finished):
    before = results(finished)
    _, failures = evaluate(request(finished, overrides=["train.epochs=2"], tasks=["one"]))
    assert [failure.what for failure in failures] == [f"one, scratch, seed-{n}" for n in (1, 2)]
    assert "made with another recipe" in failures[0].why
    assert results(finished) == before


def test_another_protocol_needs_another_folder(finished):
    with pytest.raises(UsageError, match="protocol clean, not paper-caduceus"):
        evaluate(request(finished, protocol="paper-caduceus"))


def test_what_was_stopped_between_two_runs_goes_on_there(
    tmp_path, make_task, recipe_text, monkeypatch
):
    make_task(tmp_path / "sets" / "one")
    (tmp_path / "r.yaml").write_text(recipe_text)
    train = contest.finetune
    done = []

    def stopping(recipe, **options):
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(recipe)
        return train(recipe, **options)

    monkeypatch.setattr(contest, "finetune", stopping)
    asked = request(tmp_path, baselines=["majority"])
    with pytest.raises(KeyboardInterrupt):
        evaluate(asked)
    before = results(tmp_path)
    assert len(before) == 3
    monkeypatch.setattr(contest, "finetune", train)
    _, failures = evaluate(asked)
    assert failures == []
    after = results(tmp_path)
    assert len(after) == 4
    assert {name: after[name] for name in before} == before


def test_the_papers_protocols_report_means_over_batches(tmp_path, make_task, recipe_text):
    make_task(tmp_path / "sets" / "one")
    (tmp_path / "r.yaml").write_text(recipe_text)
    asked = request(
        tmp_path,
        protocol="paper-caduceus",
        seeds=1,
        baselines=["kmer"],
        overrides=["train.epochs=1"],
    )
    _, failures = evaluate(asked)
    assert failures == []
    found = json.loads((tmp_path / "out/one/scratch/seed-1.json").read_text())
    assert found["averaged"]["accuracy"] == pytest.approx(found["test"]["accuracy"])


def test_means_over_batches_are_not_the_whole():
    rng = np.random.default_rng(0)
    targets = (rng.random(600) < 0.3).astype(np.int64)
    scores = np.stack([np.zeros(600), targets - 0.5 + rng.normal(0, 1, 600)], axis=1)
    whole = matthews_corrcoef(targets, scores.argmax(1))
    averaged = averaged_figures(scores, targets, "classification")["mcc"]
    assert averaged != whole
    assert averaged == pytest.approx(whole, abs=0.05)


@pytest.mark.parametrize("rows", [256, 257, 600])
def test_a_batch_counts_as_much_as_it_has_rows(rows):
    rng = np.random.default_rng(rows)
    targets = (rng.random(rows) < 0.3).astype(np.int64)
    scores = np.stack([np.zeros(rows), targets - 0.5 + rng.normal(0, 1, rows)], axis=1)
    averaged = averaged_figures(scores, targets, "classification")["accuracy"]
    assert averaged == pytest.approx(accuracy_score(targets, scores.argmax(1)), abs=1e-12)


def test_copies_in_other_folds_are_also_left_out(tmp_path, make_table, make_rows):
    rng = np.random.default_rng(4)
    rows = [(sequence, "ab"[rng.integers(2)]) for sequence, _ in make_rows(24, 7)]
    make_table(tmp_path / "sets" / "one" / "train.csv", [*rows, *rows[:16]])
    (tmp_path / "r.yaml").write_text("baselines: [kmer]\n")
    asked = request(tmp_path, baselines=["kmer"], folds=4)
    assert evaluate(asked)[1] == []
    runs = [ResultFile(tmp_path / f"out/one/kmer/fold-{n}.json").read() for n in (1, 2, 3, 4)]
    assert sum(run["test"]["n"] for run in runs) == 40
    assert 8 <= sum(run["without_copies"]["n"] for run in runs) < 24
    assert "without copies" in (tmp_path / "out" / "table.md").read_text()


@pytest.mark.parametrize(
    ("folds", "said"), [(None, "one: no test part; judge it with --folds 10"), (30, "too many")]
)
def test_a_task_that_cannot_be_judged_is_said_once(tmp_path, make_task, recipe_text, folds, said):
    (make_task(tmp_path / "sets" / "one") / "test.csv").unlink()
    (tmp_path / "r.yaml").write_text(recipe_text)
    _, [failure] = evaluate(request(tmp_path, folds=folds))
    assert said in failure.why


def test_a_spread_is_that_of_the_defined_values():
    spread = spread_of([0.5, None, 0.7, 0.6])
    assert (spread.mean, spread.deviation) == pytest.approx((0.6, 0.1))
    assert (spread.spread, spread.runs) == (pytest.approx(0.2), 3)
    assert str(spread_of([0.5])) == "0.500"
    assert spread_of([None]) is None


def test_labels_are_also_reported_by_their_groups():
    rng = np.random.default_rng(1)
    targets = (rng.random((80, 5)) < 0.4).astype(np.int64)
    targets[:, 4] = 0
    scores = targets + rng.normal(0, 1, targets.shape)
    found = median_auroc(scores, targets, {"a": (0, 3), "b": (3, 5), "gone": (5, 9)})
    one_each = [roc_auc_score(targets[:, i], scores[:, i]) for i in range(4)]
    assert found["auroc_a"] == pytest.approx(np.median(one_each[:3]))
    assert found["auroc_b"] == pytest.approx(one_each[3])
    assert found["auroc_gone"] is None


def test_a_suite_of_many_labels_says_what_each_group_reaches(tmp_path, make_rows, make_table):
    names = [f"l{i}" for i in range(130)]
    rng = np.random.default_rng(2)
    for part, count in (("train", 30), ("test", 20)):
        rows = [
            (sequence, *(rng.random(129) < 0.5).astype(int), int(label == "at"))
            for sequence, label in make_rows(count, count)
        ]
        make_table(tmp_path / "deepsea" / f"{part}.csv", rows, ("sequence", *names))
    _, failures = evaluate(
        Request("chromatin_profiles", tmp_path, tmp_path / "out", seeds=1, baselines=["length"])
    )
    assert failures == []
    found = ResultFile(tmp_path / "out/deepsea/length/seed-1.json").read()
    assert found["groups"].keys() == {"auroc_DHS", "auroc_TF", "auroc_HM"}
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| deepsea | length only | auroc_DHS |" in table
    assert "| deepsea | DeepSEA 40M | auroc_TF | 0.958 |" in table
    assert "130 classes in train, where the suite has 919" in table


def test_data_that_changed_is_refused_until_the_task_is_begun_anew(
    tmp_path, make_task, make_table, make_rows, recipe_text
):
    make_task(tmp_path / "sets" / "one")
    (tmp_path / "r.yaml").write_text(recipe_text)
    asked = request(tmp_path, seeds=1, baselines=["length"])
    assert evaluate(asked)[1] == []
    before = results(tmp_path)
    make_table(tmp_path / "sets" / "one" / "test.csv", make_rows(12, 99))
    _, [failure] = evaluate(asked)
    assert "the data of one is not that of the results there" in failure.why
    assert results(tmp_path) == before
    assert evaluate(asked, restart=True)[1] == []
    after = {path.parts[1]: json.loads(found[0]) for path, found in results(tmp_path).items()}
    assert {row: found["test"]["n"] for row, found in after.items()} == {
        "length": 12,
        "scratch": 12,
    }


@pytest.fixture
def quick(tmp_path, make_task, make_table, make_rows):
    """A task of classes and one of values, for which baselines are enough."""
    one = make_task(tmp_path / "sets" / "one")
    test = (one / "test.csv").read_text().splitlines()
    (one / "valid.csv").write_text("\n".join(test[:4]) + "\n")
    for part, count in (("train", 30), ("test", 20)):
        rows = [(sequence, sequence.count("A") / 60) for sequence, _ in make_rows(count, count)]
        make_table(tmp_path / "sets" / "two" / f"{part}.csv", rows)
    (tmp_path / "sets" / "two" / "info.json").write_text('{"kind": "regression"}')
    (tmp_path / "r.yaml").write_text("baselines: [kmer]\nseeds: 1\n")
    return tmp_path


def test_the_table_has_all_that_is_there_whatever_was_asked_for_last(quick):
    assert evaluate(request(quick, tasks=["one"]))[1] == []
    shutil.rmtree(quick / "sets" / "one")
    assert evaluate(request(quick, tasks=["two"]))[1] == []
    with (quick / "out" / "table.csv").open() as opened:
        assert [line["task"] for line in csv.DictReader(opened)] == ["two", "one"]
    table = (quick / "out" / "table.md").read_text()
    assert "3 test rows are in the validation part, which chooses" in table
    assert re.search(r"\| two \| k-mers \| pearson 0\.\d{3} \| - \| - \| - \|", table)


@pytest.mark.parametrize("freed", [True, False])
def test_a_task_of_another_process_is_taken_up_after_the_others(quick, monkeypatch, freed):
    (quick / "out" / "one").mkdir(parents=True)
    judge = contest.run_baseline
    with ExitStack() as other:
        other.enter_context(hold_folder(quick / "out" / "one", "it is taken"))

        def judging(row, given):
            if freed:
                other.close()
            return judge(row, given)

        monkeypatch.setattr(contest, "run_baseline", judging)
        _, failures = evaluate(request(quick))
    assert [failure.what for failure in failures] == ([] if freed else ["one"])
    done = sorted(str(name.parent) for name in results(quick))
    assert done == (["one/kmer", "two/kmer"] if freed else ["two/kmer"])


def test_finished_results_need_their_data_no_more(tmp_path, make_task, recipe_text):
    folder = make_task(tmp_path / "sets" / "one")
    make_task(tmp_path / "sets" / "two")
    (tmp_path / "r.yaml").write_text(recipe_text + "only: [one]\n")
    asked = request(tmp_path, seeds=1, baselines=["length"])
    assert evaluate(asked)[1] == []
    before = results(tmp_path)
    stray = tmp_path / "out" / "one" / "scratch" / ".1234abcd.partial.seed-2.json"
    stray.write_text("{")
    shutil.rmtree(folder)
    assert evaluate(asked)[1] == []
    assert {
        name: found for name, found in results(tmp_path).items() if name.name[0] != "."
    } == before
