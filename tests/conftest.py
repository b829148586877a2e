"""What every test stands on: no network, no shared caches, one thread a process."""

import os
from pathlib import Path

import pytest

# Several tests run at a time, and threads that outnumber the cores wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
# Triton reads both when it is first imported, and so does genolm_kernels.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")


def _without_gpu() -> bool:
    # torch counts its threads when it is imported: not before the lines above.
    import torch

    return not torch.cuda.is_available()


if _without_gpu():
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.hookimpl(trylast=True)  # after those that are not to run have been taken out
def pytest_collection_modifyitems(items):
    """Begin with what takes minutes: at the end, one worker would run it while the others wait.

    pytest-xdist first gives each worker a quarter of its share, in one piece: each piece begins
    with one of the long ones.
    """
    long = [item for item in items if item.name.startswith("test_the_story_runs")]
    short = [item for item in items if item not in long]
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    piece = max(2, len(items) // workers // 4)
    for number, item in enumerate(long):
        short.insert(number % workers * piece + number // workers, item)
    items[:] = short


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Keep indexes and genome stores of tests out of the user's cache folder.

    Compiled kernels are shared with it: they are named after what they were made of, and tests of
    edited sources would compile anew in every process.
    """
    folder = tmp_path_factory.mktemp("cache")
    compiled = Path.home() / ".cache" / "genolm" / "native"
    if compiled.is_dir():
        (folder / "native").symlink_to(compiled, target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENOLM_CACHE", str(folder))
        yield


@pytest.fixture(autouse=True)
def _own_verbosity(monkeypatch):
    """Leave a command's ``--quiet`` to the test that gave it."""
    from genolm.console import VERBOSITY

    monkeypatch.setattr(VERBOSITY, "level", VERBOSITY.level)
