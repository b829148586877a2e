import json

import pytest

from genolm.errors import UsageError
from genolm.training.checkpoints import checkpoint_step, is_complete, mark_complete
from genolm.training.publish import replace_folder_when_done
from genolm.training.run_folder import RunFolder

FACTS = {"versions": {"genolm": "1"}, "data": {"fasta": "abc"}}


def checkpoint(run, step, *, complete=True):
    folder = run.checkpoints / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "trainer_state.json").write_text("{}")
    if complete:
        mark_complete(folder)
    return folder


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "run")


def test_the_same_recipe_may_go_on(run, pretraining):
    run.begin(pretraining(), FACTS, restart=False)
    run.begin(pretraining(), FACTS, restart=False)


def test_another_recipe_is_refused_and_the_keys_are_named(run, pretraining):
    run.begin(pretraining(), FACTS, restart=False)
    other = pretraining(train={"steps": 7, "seed": 1}, model={"family": "hyenadna"})
    with pytest.raises(UsageError) as caught:
        run.begin(other, FACTS, restart=False)
    said = str(caught.value)
    for key in ("model.family", "model.d_model", "train.seed", "train.steps", "--restart"):
        assert key in said
    assert "train.batch_size" not in said


def test_keys_that_change_no_result_may_change(run, pretraining):
    run.begin(pretraining(), FACTS, restart=False)
    free = {"threads": 1, "log_every": 1, "save_every": 9, "eval_every": 9, "max_minutes": 1}
    run.begin(pretraining(train=free, data={"workers": 1}), FACTS, restart=False)


def test_other_data_is_refused(run, pretraining):
    run.begin(pretraining(), FACTS, restart=False)
    with pytest.raises(UsageError, match="data has changed"):
        run.begin(pretraining(), FACTS | {"data": {"fasta": "xyz"}}, restart=False)


def test_restart_forgets_the_run_and_nothing_else(run, pretraining):
    run.begin(pretraining(), FACTS, restart=False)
    checkpoint(run, 1)
    run.append_line({"step": 1})
    (run.path / "notes.txt").write_text("mine")
    run.begin(pretraining(train={"steps": 7}), FACTS, restart=True)
    assert run.latest_checkpoint() is None
    assert run.read_lines() == []
    assert (run.path / "notes.txt").read_text() == "mine"


def test_an_output_that_is_a_file_is_refused(run, pretraining):
    run.path.write_text("")
    with pytest.raises(UsageError, match="is a file"):
        run.begin(pretraining(), FACTS, restart=False)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("name", ["model", "checkpoints", "metrics.json"])
def test_a_folder_with_other_peoples_things_is_left_alone(run, pretraining, name, restart):
    (run.path / name).mkdir(parents=True)
    (run.path / name / "precious").touch()
    with pytest.raises(UsageError, match=f"holds {name} that no run left there"):
        run.begin(pretraining(), FACTS, restart=restart)
    assert (run.path / name / "precious").exists()


def test_a_run_may_live_beside_other_files(run, pretraining):
    run.path.mkdir()
    (run.path / "notes.txt").write_text("mine")
    run.begin(pretraining(), FACTS, restart=False)
    assert run.recipe.is_file()


def test_the_newest_complete_checkpoint_is_taken_by_number(run):
    for step in (9, 10, 100):
        checkpoint(run, step)
    assert checkpoint_step(run.latest_checkpoint()) == 100


def test_a_checkpoint_that_was_not_finished_is_passed_over_and_removed(run):
    good = checkpoint(run, 10)
    half = checkpoint(run, 20, complete=False)
    assert run.latest_checkpoint() == good
    assert not half.exists()


@pytest.mark.parametrize("damage", ["shorten", "remove", "garble the list"])
def test_a_damaged_checkpoint_is_not_complete(run, damage):
    folder = checkpoint(run, 10)
    assert is_complete(folder)
    if damage == "shorten":
        (folder / "model.safetensors").write_bytes(b"weigh")
    elif damage == "remove":
        (folder / "trainer_state.json").unlink()
    else:
        (folder / "complete.json").write_text('{"model')
    assert not is_complete(folder)


def test_a_half_line_and_lines_after_a_step_are_forgotten(run):
    run.path.mkdir()
    for step in (1, 2, 2, 3):
        run.append_line({"step": step})
    with run.lines.open("a") as file:
        file.write('{"step": 4, "lo')
    run.forget_lines_after(2)
    assert [json.loads(line)["step"] for line in run.lines.read_text().splitlines()] == [1, 2, 2]


def test_what_a_killed_process_was_writing_is_removed(run, pretraining):
    run.begin(pretraining(), FACTS, restart=False)
    (run.path / ".0a1b2c3d.partial.model").mkdir()
    (run.path / ".0a1b2c3d.partial.run.json").touch()
    run.begin(pretraining(), FACTS, restart=False)
    assert list(run.path.glob(".*")) == []


def write_half_of(final):
    with replace_folder_when_done(final) as folder:
        (folder / "a").write_text("2")
        raise OSError("full")


def test_a_folder_appears_whole_or_stays_as_it_was(tmp_path):
    final = tmp_path / "model"
    with replace_folder_when_done(final) as folder:
        (folder / "a").write_text("1")
    with pytest.raises(OSError, match="full"):
        write_half_of(final)
    assert (final / "a").read_text() == "1"
    with replace_folder_when_done(final) as folder:
        (folder / "b").write_text("3")
    assert [file.name for file in final.iterdir()] == ["b"]
    assert list(tmp_path.iterdir()) == [final]
