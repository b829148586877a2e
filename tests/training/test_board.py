"""TensorBoard's events: the same figures as metrics.jsonl, and no step twice."""

import json

import pytest

from genolm.errors import UsageError
from genolm.training import board
from genolm.training.board import Board
from genolm.training.callbacks import RunCallback
from genolm.training.pretrain import pretrain
from genolm.training.run_folder import RunFolder


def scalars(run):
    """Tag to {step: value}; a step that stands twice fails."""
    pytest.importorskip("tensorboard", reason="needs the extra `tensorboard`")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.boards))
    events.Reload()
    found = {}
    for tag in events.Tags()["scalars"]:
        rows = [(event.step, event.value) for event in events.Scalars(tag)]
        assert [step for step, _ in rows] == sorted({step for step, _ in rows}), tag
        found[tag] = dict(rows)
    return found


def written(run, key):
    lines = [json.loads(line) for line in run.lines.read_text().splitlines()]
    return {line["step"]: line[key] for line in lines if line.get(key) is not None}


def test_a_stopped_run_goes_on_in_its_events_without_doubled_steps(pretraining, monkeypatch):
    recipe = pretraining(train={"tensorboard": True, "log_every": 1})
    run = RunFolder(recipe.output)
    on_step_end = RunCallback.on_step_end

    def fail_at_five(self, args, state, control, **kwargs):
        if state.global_step == 5:
            raise RuntimeError("power cut")
        return on_step_end(self, args, state, control, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(RunCallback, "on_step_end", fail_at_five)
        with pytest.raises(RuntimeError):
            pretrain(recipe)
    # Step 5 was computed but not saved: what it may have told is told again.
    Board(run, 4).write(5, {"loss": 99.0})
    pretrain(recipe)
    found = scalars(run)
    for tag, key in (
        ("train/loss", "loss"),
        ("train/bits_per_base", "bits_per_base"),
        ("valid/loss", "valid_loss"),
        ("machine/tokens_per_second", "tokens_per_second"),
        ("machine/mfu", "mfu"),
    ):
        assert found[tag] == pytest.approx(written(run, key)), tag
    assert list(found["train/loss"]) == [1, 2, 3, 4, 5, 6]
    pretrain(recipe, restart=True)
    assert scalars(run)["train/loss"] == pytest.approx(written(run, "loss"))


def test_nothing_is_written_unless_asked_for(pretraining):
    recipe = pretraining(train={"steps": 2})
    pretrain(recipe)
    assert not RunFolder(recipe.output).boards.exists()


def test_a_missing_extra_is_named_before_anything_is_done(pretraining, monkeypatch):
    monkeypatch.setattr(board, "find_spec", lambda name: None)
    recipe = pretraining(train={"tensorboard": True})
    with pytest.raises(UsageError, match=r"pip install 'genolm\[tensorboard\]'"):
        pretrain(recipe)
    assert not recipe.output.exists()
