from pathlib import Path

from genolm.genome import cache_folder


def test_own_variable_wins_and_the_folder_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("GENOLM_CACHE", str(tmp_path / "a" / "b"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "a" / "b"
    assert cache_folder().is_dir()


def test_xdg_folder_is_used_when_it_is_absolute(tmp_path, monkeypatch):
    monkeypatch.delenv("GENOLM_CACHE")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "genolm"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / "home" / ".cache" / "genolm"
