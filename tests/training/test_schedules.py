import math

import pytest
import torch

from genolm.training.schedules import WARMUP_START, LearningRate


def rates_used(rate, steps):
    """The rates an optimiser really steps with."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW(
        [{"params": [weight]}, {"params": [torch.nn.Parameter(torch.zeros(1))]}], lr=rate.peak
    )
    schedule = rate.drive(optimizer)
    used = []
    for _ in range(steps):
        first, second = (group["lr"] for group in optimizer.param_groups)
        assert first == second
        used.append(first)
        optimizer.step()
        schedule.step()
    return used


@pytest.mark.parametrize(
    ("paper", "rate"),
    [
        ("hyenadna", LearningRate(6e-4, 6e-5, 1000, 10, "cosine")),
        ("caduceus", LearningRate(8e-3, 1e-4, 1000, 100, "cosine_after_warmup")),
    ],
)
def test_rates_are_those_of_the_original_schedulers(golden, paper, rate):
    expected = golden("lr_schedules.npz")
    assert int(expected["total_steps"]) == rate.steps
    assert rates_used(rate, len(expected[paper])) == pytest.approx(expected[paper], rel=1e-12)


def test_a_constant_rate_warms_up_and_stays():
    rate = LearningRate(1e-3, 1e-4, 10, 4, "constant")
    assert rate.at(0) == WARMUP_START
    assert [rate.at(step) for step in (4, 9, 10, 99)] == [1e-3] * 4


def test_without_warm_up_the_first_step_is_at_the_peak():
    for schedule in ("cosine", "cosine_after_warmup", "constant"):
        assert LearningRate(1e-3, 0.0, 10, 0, schedule).at(0) == 1e-3


def test_a_run_that_is_all_warm_up_is_finite():
    rate = LearningRate(1e-3, 0.0, 10, 10, "cosine_after_warmup")
    assert all(math.isfinite(rate.at(step)) for step in range(12))
