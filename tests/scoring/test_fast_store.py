import json

import pytest

from genolm.scoring.fast_store import FILE_NAME, FastStore

KEY = "seeded_window window=64 float32"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENOLM_CACHE", str(tmp_path / "cache"))


def test_what_is_kept_beside_a_model_is_found_again(tmp_path):
    store = FastStore.beside(str(tmp_path), "ab" * 32, "cd" * 16)
    assert store.find(KEY) is None
    assert store.keep(KEY, {"R": 64, "error": 1.5e-3}) == tmp_path / FILE_NAME
    store.keep("another", {"R": 32})
    assert store.find(KEY) == {"R": 64, "error": 1.5e-3}
    for other in (
        FastStore(tmp_path, "ef" * 32, "cd" * 16),
        FastStore(tmp_path, "ab" * 32, "ef" * 16),
    ):
        assert other.find(KEY) is None  # of other weights, or of another genome


def test_a_model_without_a_folder_of_its_own_has_a_place_in_the_cache(tmp_path):
    store = FastStore.beside("owner/name", "ab" * 32, "cd" * 16)
    path = store.keep(KEY, {"R": 8})
    assert path is not None
    assert path.is_relative_to(tmp_path / "cache")
    assert store.find(KEY) == {"R": 8}


def test_a_folder_that_cannot_be_written_to_sends_it_to_the_cache(tmp_path):
    blocked = tmp_path / "model"
    blocked.write_text("a file, so nothing can be written below it")
    store = FastStore(blocked, "ab" * 32, "cd" * 16)
    path = store.keep(KEY, {"R": 8})
    assert path is not None
    assert path.is_relative_to(tmp_path / "cache")
    assert store.find(KEY) == {"R": 8}


def test_without_a_digest_nothing_is_kept(tmp_path):
    store = FastStore()
    assert store.keep(KEY, {"R": 8}) is None
    assert store.find(KEY) is None
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("content", ["", "[1]", "{", json.dumps({KEY: {"R": 8}})])
def test_a_damaged_file_is_made_again(tmp_path, content):
    (tmp_path / FILE_NAME).write_text(content)
    store = FastStore(tmp_path, "ab" * 32, "cd" * 16)
    assert store.find(KEY) is None
    store.keep(KEY, {"R": 8})
    assert store.find(KEY) == {"R": 8}
