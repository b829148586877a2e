import threading

import pytest
import torch

from genolm.scoring import batches as module
from genolm.scoring.batches import Batches

CPU = torch.device("cpu")


@pytest.fixture
def threads():
    torch.set_num_threads(3)  # put back by the folder's own fixture


def test_an_automatic_batch_has_a_fixed_number_of_tokens():
    batches = Batches(CPU)
    assert batches.size(128) == 8 * batches.size(1024)
    assert batches.size(1 << 40) == 1
    assert Batches(CPU, 5).size(128) == 5


@pytest.mark.parametrize("count", [0, 1, 4, 5, 23])
@pytest.mark.usefixtures("threads")
def test_results_come_in_order_and_none_is_lost(count):
    found = Batches(CPU, 2).run(list, range(count), 10)
    assert [item for batch in found for item in batch] == list(range(count))
    assert all(len(batch) <= 2 for batch in found)


@pytest.mark.usefixtures("threads")
def test_a_cpu_runs_a_batch_on_each_thread_and_divides_none():
    meet = threading.Barrier(3, timeout=20)

    def function(batch):
        meet.wait()  # passed only when three batches run at the same time
        return torch.get_num_threads(), torch.is_inference_mode_enabled()

    assert Batches(CPU, 1).run(function, range(3), 10) == [(1, True)] * 3
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("threads")
def test_an_error_ends_the_run_and_the_threads_are_given_back():
    def function(batch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Batches(CPU, 1).run(function, range(9), 10)
    assert torch.get_num_threads() == 3


def test_enough_is_run_at_once_for_every_thread(monkeypatch):
    one = Batches(CPU, 4).at_once(10)
    torch.set_num_threads(2)
    assert Batches(CPU, 4).at_once(10) == 2 * one == 2 * 4 * module.BATCHES_A_THREAD
