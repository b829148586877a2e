import json

import pytest

from genolm.errors import UsageError
from genolm.training.checkpoints import find_damage, latest_checkpoint, mark_complete


@pytest.fixture
def make(tmp_path):
    def checkpoint(step):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder / "optimizer.pt").write_bytes(b"moments")
        mark_complete(folder)
        return folder

    return checkpoint


def test_one_bit_that_fell_over_is_found(make):
    folder = make(1)
    assert find_damage(folder) is None
    (folder / "optimizer.pt").write_bytes(b"momentr")
    assert find_damage(folder) == "optimizer.pt does not hold what was written"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"files", b"filer"),
        (b"size", b"sizd"),
        (b"sha256", b"rha256"),
        (b"optimizer.pt", b"optimizer.qt"),
        (b'"size": 7', b'"size": "x"'),
        (b'"format": 2', b'"foqmat": 2'),
        (b"sha256", b"\xf3ha256"),
        (b"{", b"["),
    ],
    ids=str,
)
def test_a_bit_that_fell_over_in_the_list_itself_is_damage_too(
    make, tmp_path, capsys, before, after
):
    good, bad = make(10), make(20)
    listed = (bad / "complete.json").read_bytes()
    assert before in listed
    (bad / "complete.json").write_bytes(listed.replace(before, after, 1))
    assert latest_checkpoint(tmp_path) == good
    assert "checkpoint-20 is damaged" in capsys.readouterr().err


def test_a_damaged_newest_one_falls_back_to_the_one_before_with_a_warning(make, tmp_path, capsys):
    good, bad = make(10), make(20)
    (bad / "model.safetensors").write_bytes(b"weigh")
    assert latest_checkpoint(tmp_path) == good
    said = capsys.readouterr().err
    assert "checkpoint-20 is damaged (model.safetensors has 5 bytes and not 7)" in said
    assert not bad.exists()


def test_one_that_was_never_finished_goes_without_a_word(make, tmp_path, capsys):
    good, half = make(10), make(20)
    (half / "complete.json").unlink()
    assert latest_checkpoint(tmp_path) == good
    assert capsys.readouterr().err == ""
    assert not half.exists()


def test_a_newer_genolms_checkpoint_is_refused_and_kept(make, tmp_path):
    folder = make(10)
    (folder / "complete.json").write_text(json.dumps({"format": 99, "files": {}}))
    with pytest.raises(UsageError, match="a newer genolm wrote this checkpoint"):
        latest_checkpoint(tmp_path)
    assert folder.is_dir()


def test_a_list_of_sizes_alone_is_what_the_first_format_had(make, tmp_path):
    folder = make(10)
    (folder / "complete.json").write_text(json.dumps({"model.safetensors": 7}))
    assert latest_checkpoint(tmp_path) == folder
    (folder / "complete.json").write_text(json.dumps({"model.safetensors": 8}))
    assert latest_checkpoint(tmp_path) is None
