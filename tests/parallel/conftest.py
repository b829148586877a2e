"""Processes that meet through gloo, forked from a server that has imported torch once."""

import multiprocessing
import os
import traceback

import pytest
import torch
from torch import distributed

SECONDS = 120


def _run(function, rank, size, store, failures, arguments):
    torch.set_num_threads(1)
    try:
        distributed.init_process_group(
            "gloo", init_method=f"file://{store}", rank=rank, world_size=size
        )
        function(*arguments)
        distributed.barrier()
        distributed.destroy_process_group()
    except BaseException:
        failures.joinpath(f"process-{rank}").write_text(traceback.format_exc())
        os._exit(1)  # the others wait for this one no longer


@pytest.fixture
def run_ranks(tmp_path):
    """Run function(*arguments) in so many processes of one gloo group; a failure fails the test."""

    def run(size, function, *arguments):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["genolm.models", "tests.parallel.cases"])
        store = tmp_path / f"store-{size}"
        shared = (size, str(store), tmp_path, arguments)
        processes = [
            context.Process(target=_run, args=(function, rank, *shared)) for rank in range(size)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(SECONDS)
        hung = [process for process in processes if process.is_alive()]
        for process in hung:
            process.kill()
        if hung or any(process.exitcode for process in processes):
            pytest.fail("\n".join(f.read_text() for f in tmp_path.glob("process-*")) or "they hang")

    return run
