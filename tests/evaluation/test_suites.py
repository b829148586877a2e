import json

import pytest

from genolm.errors import InputError, UsageError
from genolm.evaluation.suites import describe_folder, find_suite, known_suites, published

GB, NT = "genomic_benchmarks", "nucleotide_transformer"


def test_the_suites_have_the_tasks_of_their_papers():
    counts = {name: len(suite.tasks) for name, suite in known_suites().items()}
    assert counts == {
        "genomic_benchmarks": 9,
        "nucleotide_transformer": 18,
        "gue": 28,
        "chromatin_profiles": 1,
        "species": 2,
        "variants": 0,
        "folder": 0,
    }


def test_published_rows_name_known_tasks_and_are_shares():
    rows = [
        row
        for suite in known_suites().values()
        for t in suite.tasks
        for row in published(suite.name, t)
    ]
    assert len(rows) == 310
    assert all(0 < row.value < 1 and row.source for row in rows)


@pytest.mark.parametrize(
    ("suite", "task", "model", "protocol", "value", "spread"),
    [
        (
            "genomic_benchmarks",
            "dummy_mouse_enhancers_ensembl",
            "Caduceus-PS",
            "paper-caduceus",
            0.793,
            0.058,
        ),
        (
            "genomic_benchmarks",
            "human_ensembl_regulatory",
            "HyenaDNA",
            "paper-hyenadna",
            0.938,
            None,
        ),
        ("nucleotide_transformer", "H3K14ac", "Caduceus-Ph", "paper-caduceus", 0.631, 0.026),
        (
            "nucleotide_transformer",
            "splice_sites_donors",
            "HyenaDNA",
            "paper-hyenadna",
            0.973,
            None,
        ),
    ],
)
def test_published_figures_are_those_of_the_papers(suite, task, model, protocol, value, spread):
    found = [r for r in published(suite, task) if (r.model, r.protocol) == (model, protocol)]
    assert [(row.value, row.spread) for row in found] == [(value, spread)]


def test_a_plain_folder_has_the_tasks_that_lie_there(tmp_path, make_task):
    for name in ("b", "a"):
        make_task(tmp_path / name, train=4, test=4)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a" / "info.json").write_text(
        json.dumps({"classes": ["at", "cg"], "oriented": True, "metric": "mcc"})
    )
    tasks = find_suite("folder", tmp_path).tasks
    assert list(tasks) == ["a", "b"]
    assert (tasks["a"].metric, tasks["a"].oriented, tasks["a"].classes) == ("mcc", True, 2)
    assert (tasks["b"].metric, tasks["b"].oriented) == ("accuracy", None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not valid JSON"),
        ("[1]", "not a JSON object"),
        ('{"metric": "r2"}', "metric 'r2'"),
        ('{"metric": ["mcc"]}', "choose accuracy"),
        ('{"kind": ["x"]}', "choose classification"),
        ('{"oriented": "yes"}', "oriented 'yes'; write true, false or null"),
    ],
)
def test_a_garbled_info_is_said(tmp_path, content, said):
    (tmp_path / "info.json").write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        describe_folder(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'info.json'}: ")


def test_an_info_may_leave_out_what_it_knows_not(tmp_path):
    (tmp_path / "info.json").write_text('{"kind": null, "metric": null, "oriented": null}')
    task = describe_folder(tmp_path)
    assert (task.kind, task.metric, task.oriented) == ("classification", "accuracy", None)


def test_an_unknown_suite_names_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="choose genomic_benchmarks"):
        find_suite("nonsense", tmp_path)
    with pytest.raises(UsageError, match="no folder with a train part"):
        find_suite("folder", tmp_path)
    with pytest.raises(UsageError, match="there is no such folder"):
        find_suite("gue", tmp_path / "nowhere")
