import math

import numpy as np
import pytest
import torch

from genolm.data.genome_store import open_store
from genolm.data.windows import make_windows
from genolm.models import build_model
from genolm.objectives import causal_lm_loss, masked_lm_loss
from genolm.training.held_out import HeldOut, count_baselines, language_figures, read_part

CPU = torch.device("cpu")


@pytest.fixture
def store(genome):
    with open_store(genome) as opened:
        yield opened


@pytest.fixture
def part(store):
    def read(objective, chroms=("III",), length=50):
        return read_part(store, make_windows(store.contigs, length, chroms=chroms), objective)

    return read


@pytest.fixture
def model():
    def make(objective):
        options = {"d_model": 8, "n_layer": 1, "bidirectional": objective == "masked_lm"}
        return build_model("caduceus", objective, options, seed=1)

    return make


def test_causal_targets_are_all_bases_but_the_first_of_a_window(part):
    causal = part("causal_lm")
    assert not causal.targets[:, 0].any()
    assert (causal.targets[:, 1:] == (causal.ids[:, 1:] != 11)).all()
    assert (causal.inputs == causal.ids).all()


def test_masked_targets_are_few_hidden_bases(part, store):
    masked = part("masked_lm", ("I", "II", "III"))
    assert (masked.inputs[masked.targets] == 3).all()
    assert (masked.inputs != 3).sum() == (~masked.targets).sum()
    assert masked.targets.mean() == pytest.approx(1 / 32, rel=0.2)
    assert (masked.ids[0] == store.ids("I", 0, 50)).all()


def test_targets_do_not_change_with_the_selection_of_windows(store):
    windows = make_windows(store.contigs, 50)
    whole, some = (read_part(store, chosen, "masked_lm") for chosen in (windows, windows.spread(7)))
    rows = [np.flatnonzero((whole.ids == row).all(axis=1))[0] for row in some.ids]
    assert (whole.targets[rows] == some.targets).all()


@pytest.mark.parametrize("objective", ["masked_lm", "causal_lm"])
def test_the_loss_is_summed_over_the_part_whatever_the_batch(part, model, objective):
    held, net = part(objective), model(objective)
    by_one, by_seven = (language_figures(net, held, batch_size=size, device=CPU) for size in (1, 7))
    assert by_one["loss"] == pytest.approx(by_seven["loss"], rel=1e-6)
    assert by_one["bits_per_base"] == by_one["loss"] / math.log(2)
    assert by_one["n_targets"] == held.targets.sum()


@pytest.mark.parametrize("objective", ["masked_lm", "causal_lm"])
def test_the_loss_is_the_one_that_is_trained(part, model, objective):
    held, net = part(objective), model(objective).eval()
    loss = masked_lm_loss if objective == "masked_lm" else causal_lm_loss
    with torch.no_grad():
        logits = net(torch.from_numpy(held.inputs.astype(np.int64))).logits
        expected = loss(logits, torch.from_numpy(held.labels.astype(np.int64)))
    found = language_figures(net, held, batch_size=8, device=CPU)
    assert found["loss"] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("objective", "names"),
    [
        ("causal_lm", ["order_0", "order_3", "order_5", "order_7"]),
        ("masked_lm", ["two_sided_2", "two_sided_3", "two_sided_4"]),
    ],
)
def test_counting_finds_what_there_is_to_learn(part, store, objective, names):
    rows = count_baselines(
        store, make_windows(store.contigs, 50, chroms=["I", "II"]), part(objective)
    )
    assert list(rows) == names
    assert all(0 < bits < 2.01 for bits in rows.values())
    # The next base is known with probability 3/5 or 1/5: 1.371 bits.
    if objective == "causal_lm":
        assert rows["order_3"] == pytest.approx(1.371, abs=0.08)


def test_counting_is_judged_on_the_targets_alone(part, store):
    held = part("causal_lm")
    rows = make_windows(store.contigs, 50, chroms=["I"])
    few = held.labels.copy()
    few[:, :40] = -100
    narrowed = HeldOut(held.inputs, few, masked=False)
    assert count_baselines(store, rows, narrowed) != count_baselines(store, rows, held)
