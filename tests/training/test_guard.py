import json

import pytest
import torch

from genolm.training.guard import FEWEST, MOST_IN_A_ROW, Guard, GuardedAdamW
from genolm.training.pretrain import pretrain
from genolm.training.run_folder import RunFolder
from genolm.training.trainer import RunTrainer
from tests.training.outcomes import same, weights


@pytest.fixture
def weight():
    return torch.nn.Parameter(torch.ones(3))


@pytest.fixture
def optimizer(weight):
    return GuardedAdamW([weight], lr=0.1, weight_decay=0.5)


@pytest.fixture
def make(tmp_path, optimizer):
    def guard(action="skip", spike=None):
        made = Guard(RunFolder(tmp_path), action, spike, 4, lambda some: [f"w{i}" for i in some])
        optimizer.guard = made
        return made

    return guard


def take_step(guard, optimizer, weight, loss, gradient=1.0, step=1):
    guard.begin(step)
    guard.see(torch.tensor(loss))
    weight.grad = torch.full((3,), gradient)
    before = weight.detach().clone()
    optimizer.step()
    return not torch.equal(before, weight)


def written(guard):
    return [json.loads(line) for line in guard.run.skipped.read_text().splitlines()]


@pytest.mark.parametrize(
    ("loss", "gradient", "reason"),
    [
        (float("nan"), 1.0, "the loss is no longer a number"),
        (float("inf"), 1.0, "the loss is no longer a number"),
        (1.0, float("nan"), "a gradient is no longer a number"),
        (1.0, float("inf"), "a gradient is no longer a number"),
    ],
)
def test_a_step_that_would_harm_moves_neither_weights_nor_moments(
    make, optimizer, weight, loss, gradient, reason, capsys
):
    guard = make()
    assert take_step(guard, optimizer, weight, 1.0)
    moments = {key: value.clone() for key, value in optimizer.state[weight].items()}
    assert not take_step(guard, optimizer, weight, loss, gradient, step=3)
    assert all(torch.equal(moments[key], value) for key, value in optimizer.state[weight].items())
    (line,) = written(guard)
    assert (line["step"], line["reason"], line["samples"]) == (3, reason, [8, 12])
    assert line["shown"] == ["w8", "w9", "w10", "w11"]
    assert f"{reason} at step 3: left out" in capsys.readouterr().err


def test_stop_ends_there_and_says_how_to_go_on(make, optimizer, weight):
    guard = make("stop")
    with pytest.raises(ValueError, match=r"no longer a number at step 1: .*train\.guard=skip"):
        take_step(guard, optimizer, weight, float("nan"))
    assert written(guard)[0]["action"] == "stop"


def test_a_spike_is_measured_against_the_losses_before(make, optimizer, weight):
    guard = make(spike=6.0)
    for step in range(FEWEST):
        assert take_step(guard, optimizer, weight, 2.0 + 0.01 * (step % 3), step=step)
    assert take_step(guard, optimizer, weight, 2.03)
    assert not take_step(guard, optimizer, weight, 2.2)
    assert guard.skipped == 1
    assert take_step(guard, optimizer, weight, 2.01)
    assert guard.in_a_row == 0


def test_without_a_limit_and_at_the_beginning_no_loss_is_a_spike(make, optimizer, weight):
    guard = make(spike=1.0)
    assert take_step(guard, optimizer, weight, 1.0)
    assert take_step(guard, optimizer, weight, 1e9)
    loose = make()
    for loss in [1.0] * FEWEST + [1e9]:
        assert take_step(loose, optimizer, weight, loss)


def test_skipping_for_ever_is_refused(make, optimizer, weight):
    guard = make()
    for step in range(1, MOST_IN_A_ROW):
        take_step(guard, optimizer, weight, float("nan"), step=step)
    with pytest.raises(ValueError, match="20 steps in a row were left out"):
        take_step(guard, optimizer, weight, float("nan"), step=MOST_IN_A_ROW)


def test_losses_of_accumulated_batches_are_judged_together(make, optimizer, weight):
    guard = make()
    guard.begin(1)
    guard.see(torch.tensor(1.0))
    guard.see(torch.tensor(float("nan")))
    weight.grad = torch.ones(3)
    optimizer.step()
    assert guard.skipped == 1


def test_what_a_guard_knows_survives_a_checkpoint(make, optimizer, weight, tmp_path):
    guard = make(spike=6.0)
    for step in range(FEWEST):
        take_step(guard, optimizer, weight, float(step))
    guard.save(tmp_path)
    again = make(spike=6.0)
    again.load(tmp_path)
    assert again.losses == guard.losses
    assert again.losses.maxlen == guard.losses.maxlen


def take_scaled_step(guard, optimizer, weight, scaler, loss):
    """What accelerate does in float16, with torch's scaler on the CPU."""
    guard.begin(guard._step + 1)
    value = (weight * loss).mean()
    guard.see(value)
    optimizer.zero_grad()
    before = weight.detach().clone()
    scaler.scale(value).backward()
    scaler.step(optimizer)
    scaler.update()
    guard.end()
    return not torch.equal(before, weight)


def test_a_step_that_the_scaler_tries_again_is_no_fault(make, optimizer, weight, capsys):
    guard = make("stop", spike=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    # 12 / 3 times the scale is more than float32 holds, until the scale has fallen twice.
    moved = [take_scaled_step(guard, optimizer, weight, scaler, 12.0) for _ in range(4)]
    assert moved == [False, False, True, True]
    assert (len(guard.losses), guard.in_a_row, guard.overflows, guard.skipped) == (2, 0, 0, 0)
    assert not guard.run.skipped.exists()
    assert capsys.readouterr().err == ""


def test_the_guard_judges_what_the_scaler_lets_through(make, optimizer, weight):
    guard = make(spike=6.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for step in range(FEWEST):
        assert take_scaled_step(guard, optimizer, weight, scaler, 1.0), step
    assert (weight < 0).all()
    assert not take_scaled_step(guard, optimizer, weight, scaler, -1e6)
    assert (guard.skipped, guard.overflows) == (1, 0)
    assert scaler.get_scale() == 2.0**10


@pytest.mark.parametrize("action", ["stop", "skip"])
def test_a_loss_that_is_no_number_is_one_at_every_scale(make, optimizer, weight, action):
    guard = make(action)
    scaler = torch.amp.GradScaler("cpu")
    if action == "stop":
        with pytest.raises(ValueError, match="the loss is no longer a number at step 1"):
            take_scaled_step(guard, optimizer, weight, scaler, float("nan"))
    else:
        assert not take_scaled_step(guard, optimizer, weight, scaler, float("nan"))
        assert (guard.skipped, guard.in_a_row, guard.overflows) == (1, 1, 0)
    assert written(guard)[0]["reason"] == "the loss is no longer a number"


def test_a_scaler_that_finds_no_scale_ends_the_run(make, optimizer, weight):
    guard = make("skip")
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=0.999)
    for _ in range(MOST_IN_A_ROW - 1):
        assert not take_scaled_step(guard, optimizer, weight, scaler, 12.0)
    with pytest.raises(ValueError, match=r"20 steps in a row at step 20; set train\.precision to"):
        take_scaled_step(guard, optimizer, weight, scaler, 12.0)


def spoil(steps):
    """Training steps whose losses, at these steps, are no numbers."""
    original = RunTrainer.training_step

    def training_step(self, *inputs, **named):
        loss = original(self, *inputs, **named)
        if self.state.global_step + 1 in steps:
            self.guard.see(torch.tensor(float("nan")))
            return loss * float("nan")
        return loss

    return training_step


def test_a_run_skips_and_goes_on_the_same_whether_it_is_resumed_or_not(
    pretraining, tmp_path, monkeypatch
):
    train = {"guard": "skip", "log_every": 1}
    whole, stopped = (pretraining(train=train, output=tmp_path / n) for n in ("whole", "stopped"))
    monkeypatch.setattr(RunTrainer, "training_step", spoil({3, 5}))
    pretrain(whole)
    run = RunFolder(whole.output)
    assert [json.loads(line)["step"] for line in run.skipped.read_text().splitlines()] == [3, 5]
    assert all(line.get("loss", 0.0) >= 0 for line in run.read_lines())
    shown = json.loads(run.skipped.read_text().splitlines()[0])["shown"]
    assert [name.split(":")[0] for name in shown] == ["I", "I"]

    monkeypatch.setattr(Guard, "save", fail_at(Guard.save, 6))
    with pytest.raises(SystemExit):
        pretrain(stopped)
    monkeypatch.undo()
    monkeypatch.setattr(RunTrainer, "training_step", spoil({3, 5}))
    pretrain(stopped)
    assert same(weights(whole), weights(stopped))
    assert RunFolder(stopped.output).skipped.read_text() == run.skipped.read_text()


def fail_at(original, step):
    def save(self, folder):
        if folder.name.endswith(f"-{step}"):
            raise SystemExit
        original(self, folder)

    return save
