import pytest

from genolm.errors import UsageError
from genolm.evaluation.plan import make_plan
from genolm.evaluation.protocols import PROTOCOLS
from genolm.evaluation.request import Request
from genolm.evaluation.settings import merge


@pytest.fixture
def sets(tmp_path, make_task):
    for name in ("one", "two"):
        make_task(tmp_path / "sets" / name, train=4, test=4)
    return tmp_path / "sets"


def plan(sets, text, tmp_path, **options):
    file = tmp_path / "r.yaml"
    file.write_text(text)
    suite = options.pop("suite", "folder")
    return make_plan(Request(suite, sets, tmp_path / "out", recipe=str(file), **options))


def test_later_layers_win(sets, tmp_path):
    text = """
    default: {model: {family: caduceus, d_model: 8}, train: {epochs: 5, batch_size: 7}}
    models:
      a: {train: {epochs: 6}}
      b: {model: {d_model: 16}, tasks: {two: {train: {epochs: 9}}}}
    tasks: {two: {train: {epochs: 8}, crop: 10}}
    """
    one, two = plan(sets, text, tmp_path, overrides=["train.batch_size=3"], max_minutes=2).tasks
    epochs = {(t.task.name, m): t.recipes[m]["train"]["epochs"] for t in (one, two) for m in "ab"}
    assert epochs == {("one", "a"): 6, ("one", "b"): 5, ("two", "a"): 8, ("two", "b"): 9}
    assert one.recipes["b"]["model"] == {"family": "caduceus", "d_model": 16}
    assert two.recipes["b"]["train"]["batch_size"] == 3
    assert two.recipes["b"]["train"]["max_minutes"] == two.cnn.max_minutes == 2
    assert (one.settings.crop, two.settings.crop) == (None, 10)


def test_a_model_section_that_names_another_source_replaces_the_one_before():
    base = {"model": {"family": "caduceus", "d_model": 8}}
    assert merge(base, {"model": {"d_model": 4}})["model"] == {"family": "caduceus", "d_model": 4}
    assert merge(base, {"model": {"path": "x"}})["model"] == {"path": "x"}


def test_a_method_of_the_command_is_that_of_rows_that_name_another(sets, tmp_path):
    text = """
    default: {model: {path: ecoli-mamba-d128}}
    models: {a: {method: probe}, b: {method: {name: k_shot, shots: 3}}, c: {}}
    """
    found = plan(sets, text, tmp_path, overrides=["method.name=soft_prompt"]).tasks[0].recipes
    assert {name: recipe["method"]["name"] for name, recipe in found.items()} == dict.fromkeys(
        "abc", "soft_prompt"
    )
    assert plan(sets, text, tmp_path).tasks[0].recipes["a"]["method"] == "probe"


def test_rows_are_named_after_their_folders(sets, tmp_path):
    for name in ("yeast/model", "human"):
        (tmp_path / name).mkdir(parents=True)
    text = "models: {scratch: {model: {family: caduceus}}}"
    given = [
        str(tmp_path / "yeast/model"),
        f"h={tmp_path / 'human'}",
        "scratch",
        "ecoli-mamba-d128",
    ]
    found = plan(sets, text, tmp_path, models=given).tasks[0].recipes
    assert list(found) == ["yeast", "h", "scratch", "ecoli-mamba-d128"]
    assert found["h"]["model"] == {"path": str(tmp_path / "human")}


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (
            "models: {a: {model: {family: caduceus}, train: {epoch: 3}}}",
            {},
            "a on one: train.epoch is",
        ),
        ("models: {a: {}}", {}, "a on one: no model"),
        ("models: {a: {model: {path: nowhere}}}", {}, "there is no folder nowhere"),
        ("models: {cnn: {model: {family: caduceus}}}", {}, "cannot be called 'cnn'"),
        ("seed: 3", {}, "seed is not a key of a recipe; did you mean seeds"),
        ("{}", {"models": ["nowhere"]}, "there is no model folder nowhere"),
        ("{}", {}, "no model: name some"),
        ("baselines: [kmer]", {"protocol": "honest"}, "choose clean, paper-hyenadna"),
        ("baselines: [knn]", {}, "choose majority, length, trinuc"),
        ("baselines: [kmer]", {"folds": 3, "seeds": 2}, "give one of them"),
        ("baselines: [kmer]", {"suite": "variants"}, "no task; describe some"),
        ("baselines: [kmer]", {"suite": "gue", "tasks": ["tf_9"]}, "--tasks: no 'tf_9'"),
        (
            "default: {data: {train: x.csv}, model: {family: caduceus}}\nmodels: {a: {}}",
            {},
            "data.train is the suite's",
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_run(sets, tmp_path, text, options, said):
    with pytest.raises(UsageError, match=said):
        plan(sets, text, tmp_path, **options)
    assert not (tmp_path / "out").exists()


def test_protocols_do_what_the_papers_did(tmp_path):
    text = "models: {a: {model: {family: caduceus}}}"

    def recipe(protocol, suite, task):
        tasks = plan(tmp_path, text, tmp_path, suite=suite, protocol=protocol, tasks=[task]).tasks
        return tasks[0].recipes["a"]

    hyena = recipe("paper-hyenadna", "genomic_benchmarks", "human_enhancers_cohn")
    assert (hyena["train"]["epochs"], hyena["data"]["length"]) == (100, 500)
    caduceus = recipe("paper-caduceus", "nucleotide_transformer", "H3")
    assert (caduceus["train"]["epochs"], caduceus["train"]["early_stopping_metric"]) == (20, "mcc")
    assert "epochs" not in recipe("clean", "genomic_benchmarks", "human_enhancers_cohn")["train"]


@pytest.mark.parametrize(
    ("protocol", "suite", "runs"),
    [
        ("clean", "gue", 3),
        ("paper-hyenadna", "genomic_benchmarks", 1),
        ("paper-caduceus", "genomic_benchmarks", 5),
        ("paper-caduceus", "nucleotide_transformer", 10),
    ],
)
def test_a_protocol_has_its_number_of_seeds(tmp_path, protocol, suite, runs):
    found = plan(tmp_path, "baselines: [kmer]", tmp_path, suite=suite, protocol=protocol)
    assert [run.seed for run in found.runs] == list(range(1, runs + 1))
    assert protocol in PROTOCOLS
