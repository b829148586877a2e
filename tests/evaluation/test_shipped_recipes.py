import pytest
import yaml

from genolm.evaluation.plan import make_plan
from genolm.evaluation.request import Request
from genolm.training.recipe_files import recipes_folder, shipped_recipes

SHIPPED = {
    name.partition("/")[2]: file
    for name, file in shipped_recipes().items()
    if name.startswith("evaluate/")
}
SUITES = {name: name for name in SHIPPED} | {"twenty_sets": "folder"}


def plan(name, folder, **options):
    return make_plan(Request(SUITES[name], folder, folder / "out", recipe=name, **options))


@pytest.fixture
def sets(tmp_path, make_task, monkeypatch):
    """A folder of sets with the names that the recipe of the twenty sets has, and its models."""
    monkeypatch.chdir(tmp_path.parent)
    for pretrained in ("human_chrX", "yeast_mamba"):
        (tmp_path.parent / "runs" / pretrained / "model").mkdir(parents=True, exist_ok=True)
    for name in yaml.safe_load(SHIPPED["twenty_sets"].read_text())["tasks"]:
        make_task(tmp_path / name, train=4, test=4)
    return tmp_path


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_recipe_of_an_evaluation_is_a_plan(name, sets):
    found = plan(name, sets)
    assert found.tasks
    assert all(task.recipes for task in found.tasks)


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_recipe_says_where_it_comes_from(name):
    text = SHIPPED[name].read_text()
    assert all(f"# {word}: " in text for word in ("Paper", "Hardware", "Run it"))
    assert "Expected: " in text
    assert f"| evaluate/{name} |" in (recipes_folder() / "README.md").read_text()


def test_the_twenty_sets_are_twenty_for_two_minutes_each(sets):
    tasks = plan("twenty_sets", sets).tasks
    assert len(tasks) == 20
    assert {task.recipes["scratch"]["train"]["max_minutes"] for task in tasks} == {2}
    # Both rows of a set are trained alike, and from the same architecture.
    for task in tasks:
        assert task.recipes["scratch"]["train"] == task.recipes["pretrained"]["train"]
        segments = {row["model"].get("pool_segments", 1) for row in task.recipes.values()}
        assert len(segments) == 1
        assert all(row["model"]["mask_padding"] for row in task.recipes.values())
    # Nothing of a strand-oriented set is read or shown on the other strand.
    assert {t.recipes["scratch"]["train"]["rc"] for t in tasks if t.task.oriented} == {"none"}


@pytest.mark.parametrize(
    ("name", "task", "row", "rate", "batch"),
    [
        ("genomic_benchmarks", "human_enhancers_cohn", "caduceus_ps", 2e-3, 256),
        ("genomic_benchmarks", "human_enhancers_cohn", "mamba", 1e-3, 256),
        ("genomic_benchmarks", "demo_human_or_worm", "hyenadna", 6e-4, 256),
        ("nucleotide_transformer", "enhancers_types", "caduceus_ps", 2e-3, 512),
        ("nucleotide_transformer", "H3K4me2", "caduceus_ps", 1e-3, 512),
        ("nucleotide_transformer", "H3", "caduceus_ps", 1e-3, 128),
    ],
)
def test_rates_and_batches_are_those_of_the_paper(tmp_path, name, task, row, rate, batch):
    planned = next(one for one in plan(name, tmp_path).tasks if one.task.name == task)
    train = planned.recipes[row]["train"]
    assert (float(train["learning_rate"]), train["batch_size"]) == (rate, batch)
