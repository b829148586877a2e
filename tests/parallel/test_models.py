"""A sequence over several processes is the sequence in one: outputs, loss and gradients."""

import pytest
import torch

from tests.parallel.cases import CASES, compare, each, measure_memory

MAIN = ["hyena", "causal-mamba", "caduceus", "caduceus-ps"]


def test_two_processes_compute_what_one_does(run_ranks):
    run_ranks(2, each, MAIN, compare, torch.float32, "cpu")


def test_in_double_precision_there_is_no_other_difference(run_ranks):
    run_ranks(2, each, sorted(CASES), compare, torch.float64, "reference", True)


def test_four_processes_compute_what_one_does_and_do_it_again_when_asked_to(run_ranks):
    run_ranks(4, each, [*MAIN, "causal-mamba2"], compare, torch.float32, "cpu", True, True)


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 4])
def test_every_case_in_single_precision(size, run_ranks):
    run_ranks(size, each, sorted(CASES), compare, torch.float32, "cpu", True)


def test_each_process_keeps_its_share_of_the_memory(run_ranks):
    run_ranks(4, each, ["hyena", "caduceus-ps"], measure_memory, 4096, 1.2)
