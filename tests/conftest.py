"""What every test stands on: no network, no shared caches, one thread a process."""

import os

import pytest

# Several tests run at a time, and threads that outnumber the cores wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Keep indexes and genome stores of tests out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENOLM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
