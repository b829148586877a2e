import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from genolm.errors import UsageError
from genolm.report import write_report
from genolm.report.predictions import (
    class_table,
    confusion_table,
    precision_lines,
    read_predictions,
    roc_lines,
    show_predictions,
    value_dots,
)
from genolm.training.json_lines import append_json_line
from genolm.training.recipe_pretrain import PretrainRecipe
from genolm.training.run_folder import RunFolder

FACTS = {
    "versions": {"genolm": "1", "torch": "2"},
    "machine": {"device": "cpu", "threads": 2},
    "data": {"fasta": "abc"},
}
RECIPE = {
    "model": {"family": "caduceus", "d_model": 8, "n_layer": 1},
    "data": {"fasta": "genome.fa", "train": ["<I>"]},
    "objective": "masked_lm",
}


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    recipe = PretrainRecipe.model_validate(RECIPE | {"output": folder.path})
    folder.begin(recipe, FACTS, restart=False)
    for step in (1, 2, 3):
        folder.append_line(
            {"step": step, "bits_per_base": 2 - step / 10, "loss": 1.0, "seconds": step * 2.0}
            | {"learning_rate": 1e-3, "grad_norm": 0.5, "tokens_per_second": 1000.0}
            | {"mfu": 0.4, "peak_memory_bytes": 1 << 30}
        )
    folder.append_line({"step": 3, "valid_bits_per_base": 1.75, "seconds": 7.0})
    return folder


class Balance(HTMLParser):
    VOID = ("meta", "line", "polyline", "circle")

    def __init__(self):
        super().__init__()
        self.open = []
        self.links = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check(text):
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert parser.links == []  # the page needs nothing else


def test_an_unfinished_run_has_its_curves_and_recipe(run):
    text = write_report(run.path).read_text()
    check(text)
    assert "not finished, at step 3" in text
    assert text.count("<svg") == 5
    assert "&lt;I&gt;" in text
    assert "<I>" not in text


def test_a_finished_run_has_its_figures_beside_counting(run, tmp_path):
    figures = {"bits_per_base": 1.75, "loss": 1.2, "markov": {"two_sided_2": 1.9}}
    run.model.mkdir()
    metrics = {"valid": figures, "test": figures, "markov": figures["markov"], "steps": 3}
    run.metrics.write_text(json.dumps(metrics))
    (run.path / "baselines.json").write_text('{"look": {"two_sided_2": 1.95}}')
    place = write_report(run.path, tmp_path / "page.html")
    text = place.read_text()
    check(text)
    assert place == tmp_path / "page.html"
    assert ">done<" in text
    assert "counting, two_sided_2" in text
    assert "1.7500" in text


def test_steps_that_were_left_out_are_listed(run):
    for step in range(60):
        append_json_line(
            run.skipped,
            {"step": step, "action": "skip", "reason": "no number", "shown": ["I:0-9"]},
        )
    text = write_report(run.path).read_text()
    check(text)
    assert "and 10 more in skipped.jsonl" in text


PREDICTIONS = [
    ("0", "a", "a", "0.9", "0.1"),
    ("1", "b", "a", "0.6", "0.4"),
    ("2", "b", "b", "0.2", "0.8"),
    ("3", "a", "a", "0.7", "0.3"),
    ("4", "b", "b", "0.35", "0.65"),
]


@pytest.fixture
def predictions(tmp_path):
    file = tmp_path / "test_predictions.tsv"
    rows = [("row", "label", "predicted", "p_a", "p_b"), *PREDICTIONS]
    file.write_text("".join("\t".join(row) + "\n" for row in rows))
    return file


def test_the_confusion_matrix_is_scikit_learns(predictions):
    cells = re.findall(r'number">(\d+)<', confusion_table(read_predictions(predictions)))
    expected = confusion_matrix([p[1] for p in PREDICTIONS], [p[2] for p in PREDICTIONS])
    assert list(map(int, cells)) == expected.flatten().tolist()


def test_the_curve_of_two_classes_is_that_of_the_second(predictions):
    line, chance = roc_lines(read_predictions(predictions))
    area = roc_auc_score([p[1] == "b" for p in PREDICTIONS], [float(p[4]) for p in PREDICTIONS])
    assert line.name == f"b (AUROC {area:.4f})"
    assert line.points[0] == (0, 0)
    assert line.points[-1] == (1, 1)
    assert chance.dashed


def test_a_classifiers_run_has_both(run, predictions):
    shutil.copy(predictions, run.path)
    text = write_report(run.path).read_text()
    check(text)
    assert text.count("<svg") == 7
    assert "label \\ predicted" in text


def test_the_precision_of_two_classes_is_that_of_the_second(predictions):
    line, chance = precision_lines(read_predictions(predictions))
    truth = [p[1] == "b" for p in PREDICTIONS]
    area = average_precision_score(truth, [float(p[4]) for p in PREDICTIONS])
    assert line.name == f"b (AUPRC {area:.4f})"
    assert [x for x, _ in line.points] == sorted(x for x, _ in line.points)
    assert line.points[-1][0] == 1
    assert chance.points == [(0, 0.6), (1, 0.6)]


def test_the_table_of_classes_is_scikit_learns(predictions):
    cells = re.findall(r'number">([\d.]+)<', class_table(read_predictions(predictions)))
    precision, recall, f1, rows = precision_recall_fscore_support(
        [p[1] for p in PREDICTIONS], [p[2] for p in PREDICTIONS]
    )
    for at in (0, 1):
        found = list(map(float, cells[6 * at : 6 * at + 4]))
        assert found == pytest.approx([rows[at], precision[at], recall[at], f1[at]], abs=1e-4)


def test_independent_labels_have_a_curve_each_and_no_confusion(tmp_path):
    file = tmp_path / "test_predictions.tsv"
    file.write_text(
        "row\tlabel\tpredicted\tp_x\tp_y\n"
        "0\tx;y\tx\t0.9\t0.2\n1\t\tx;y\t0.6\t0.7\n2\ty\t\t0.1\t0.4\n"
    )
    found = read_predictions(file)
    assert confusion_table(found) == ""
    assert [line.name[:1] for line in roc_lines(found)] == ["x", "y", "c"]
    assert [line.name[:1] for line in precision_lines(found)] == ["x", "y"]
    cells = re.findall(r'number">([^<]+)<', class_table(found))
    assert list(map(float, cells[:4])) == pytest.approx([1, 0.5, 1, 2 / 3], abs=1e-4)


def test_names_may_hold_quotation_marks_and_semicolons(tmp_path):
    file = tmp_path / "test_predictions.tsv"
    file.write_text(
        'row\tlabel\tpredicted\tp_"a"\tp_b;c\n'
        '0\t"a"\t"a"\t.8\t.2\n1\tb;c\tb;c\t.4\t.6\n2\t"a"\tb;c\t.3\t.7\n'
    )
    found = read_predictions(file)
    assert re.findall(r'number">(\d+)<', confusion_table(found)) == ["1", "1", "0", "1"]
    rows = re.findall(r'<td class="number">(\d+)</td>', class_table(found))
    assert rows == ["2", "1"]
    assert [line.name[:3] for line in roc_lines(found)] == ["b;c", "cha"]


def test_a_curve_lies_within_its_chart(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["row\tlabel\tpredicted\tp_a\tp_b"]
    for row in range(300):
        share = 0.999 if row == 0 else 0.5 * rng.random()
        label = "b" if row == 0 or rng.random() < 0.05 else "a"
        lines.append(f"{row}\t{label}\ta\t{1 - share:.4f}\t{share:.4f}")
    file = tmp_path / "test_predictions.tsv"
    file.write_text("\n".join(lines) + "\n")
    *_, chart = show_predictions(file)
    assert "precision" in chart
    points = re.search(r'points="([^"]+)"', chart)[1].split()
    heights = [float(point.split(",")[1]) for point in points]
    # The best row alone has precision 1; what is clipped would stand as high.
    assert heights.count(min(heights)) == 2


def test_a_class_that_the_test_part_lacks_has_no_curve(tmp_path):
    file = tmp_path / "test_predictions.tsv"
    file.write_text(
        "row\tlabel\tpredicted\tp_x\tp_y\tp_z\n0\tx\tx\t.8\t.1\t.1\n1\ty\tx\t.5\t.4\t.1\n"
    )
    found = read_predictions(file)
    assert [line.name[:1] for line in roc_lines(found)] == ["x", "y", "c"]
    assert class_table(found).count("&ndash;") == 6  # of z all but its rows; y was never predicted


def test_a_regression_has_dots_and_nothing_of_classes(tmp_path):
    file = tmp_path / "test_predictions.tsv"
    file.write_text("row\tlabel\tpredicted\n0\t1.5\t1.4\n1\t-2\t40\n")
    found = read_predictions(file)
    assert confusion_table(found) == class_table(found) == ""
    assert roc_lines(found) == precision_lines(found) == []
    dots, same = value_dots(found)
    assert dots.points == [(-2, 40), (1.5, 1.4)]
    assert same.points == [(-2, -2), (1.5, 1.5)]
    [chart] = show_predictions(file)
    check(chart)
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)" r="2"', chart)]
    assert len(set(heights)) == 2


def test_figures_stand_beside_their_intervals_and_leads(run):
    figures = {"accuracy": 0.9, "loss": 0.3, "n": 50}
    run.metrics.write_text(
        json.dumps(
            {
                "test": figures,
                "intervals": {"accuracy": [0.85, 0.95]},
                "baselines": {"kmer_logistic": {"accuracy": 0.8}},
                "above_baselines": {"kmer_logistic": {"accuracy": [-0.0125, 0.2]}},
                "bootstrap": {"draws": 1000, "confidence": 0.95},
            }
        )
    )
    text = write_report(run.path).read_text()
    check(text)
    shown = re.sub(r"<[^>]+>", "|", text)
    assert re.search(r"95 % from\|+0\.8500", shown)
    assert re.search(r"95 % to\|+0\.9500", shown)
    assert "above kmer_logistic||-0.0125 to +0.2000" in shown
    assert "95 % of 1,000 draws" in shown


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no run \(it has no run\.json\)"):
        write_report(tmp_path)
