"""Original checkpoints are read for their tensors; nothing in them is run."""

import collections
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from genolm.errors import InputError, UsageError
from genolm.models.checkpoint import read_tensors


class Bomb:
    """Unpickling this runs a command in any ordinary reader."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return exec, (f"open({str(self.target)!r}, 'w').close()",)


class Stateful:
    """Stands for the configuration objects that training frameworks pickle."""

    def __init__(self) -> None:
        self.content = {"lr": 6e-4}

    def __reduce__(self):
        return Stateful, (), {"content": 1}, iter([1, 2]), iter([("a", 1)])

    def __setstate__(self, state):
        raise AssertionError("state of a foreign class was set")

    append = extend = __setitem__ = __setstate__


def test_tensors_come_back_and_foreign_objects_do_not(tmp_path):
    tensors = collections.OrderedDict(
        {"a": torch.arange(6.0).view(2, 3), "b": torch.nn.Parameter(torch.ones(2))}
    )
    state = {
        "state_dict": {**tensors, "metric": Stateful()},
        "hyper_parameters": Stateful(),
        "callbacks": {Stateful: collections.defaultdict(list), "epoch": 3},
    }
    torch.save(state, tmp_path / "file.ckpt")
    read = read_tensors(tmp_path / "file.ckpt")
    assert read.keys() == {"a", "b"}
    assert read["a"].equal(tensors["a"])
    assert read["b"].equal(torch.ones(2))


def test_tensors_at_the_top_are_taken_where_there_is_no_state_dict(tmp_path):
    torch.save({"w": torch.ones(3), "step": 7}, tmp_path / "file.bin")
    assert read_tensors(tmp_path / "file.bin").keys() == {"w"}


@pytest.mark.parametrize("place", ["state_dict", "hyper_parameters"])
def test_a_checkpoint_that_asks_for_code_to_be_run_is_refused_and_nothing_runs(place, tmp_path):
    target = tmp_path / "run"
    state = {"state_dict": {"w": torch.ones(1)}, "hyper_parameters": {}}
    state[place]["bomb"] = Bomb(target)
    torch.save(state, tmp_path / "file.ckpt")
    with pytest.raises(
        InputError, match=r"file\.ckpt is refused: .*__builtin__\.exec.*nothing"
    ) as told:
        read_tensors(tmp_path / "file.ckpt")
    assert "\n" not in str(told.value)
    assert not target.exists()
    # The same file does run its code in a reader that trusts it.
    torch.load(tmp_path / "file.ckpt", weights_only=False)
    assert target.exists()


@pytest.mark.parametrize(
    "name", ["os.system", "posix.system", "subprocess.Popen", "importlib.import_module"]
)
def test_whatever_runs_commands_is_refused_by_name(name, tmp_path):
    module, function = name.split(".")
    # What a pickle says to call a global with a text: of protocol 0, as any reader takes it.
    program = f"c{module}\n{function}\n(S'true'\ntR.".encode()
    with zipfile.ZipFile(tmp_path / "file.ckpt", "w") as archive:
        archive.writestr("file/data.pkl", program)
        archive.writestr("file/version", "3")
    with pytest.raises(InputError, match=f"refused: .*{name}"):
        read_tensors(tmp_path / "file.ckpt")


def test_bare_pickles_and_programs_are_refused(tmp_path):
    bare = tmp_path / "bare.ckpt"
    bare.write_bytes(pickle.dumps({"w": 1}))
    with pytest.raises(InputError, match="no checkpoint that torch wrote"):
        read_tensors(bare)
    program = tmp_path / "program.pt"
    with zipfile.ZipFile(program, "w") as archive:
        archive.writestr("program/constants.pkl", b"")
    with pytest.raises(InputError, match="TorchScript"):
        read_tensors(program)


def test_damaged_and_missing_files_are_told_apart(tmp_path):
    with pytest.raises(UsageError, match="no checkpoint"):
        read_tensors(tmp_path / "none.ckpt")
    whole = tmp_path / "whole.ckpt"
    torch.save({"state_dict": {"w": torch.ones(1000)}}, whole)
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(whole.read_bytes()[:-300])
    with pytest.raises(InputError, match="cut short"):
        read_tensors(cut)
    torch.save({"state_dict": {}}, whole)
    with pytest.raises(InputError, match="no named tensors"):
        read_tensors(whole)
    torch.save([1, 2], whole)
    with pytest.raises(InputError, match="no named tensors"):
        read_tensors(whole)
    hollow = tmp_path / "hollow.ckpt"
    with zipfile.ZipFile(hollow, "w") as archive:
        archive.writestr("hollow/data.pkl", b"not a pickle")
    with pytest.raises(InputError, match="cannot be read"):
        read_tensors(hollow)
