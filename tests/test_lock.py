import subprocess
import sys

import pytest

from genolm.errors import UsageError
from genolm.lock import hold_folder

pytest.importorskip("fcntl", reason="folders are locked on Unix only")

HOLDER = """
import sys, pathlib
from genolm.lock import hold_folder
with hold_folder(pathlib.Path(sys.argv[1]), "taken"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_held_once_and_leaves_nothing_behind(tmp_path):
    with hold_folder(tmp_path, "taken"):
        with (
            pytest.raises(UsageError, match="taken; wait for it"),
            hold_folder(tmp_path, "taken"),
        ):
            pass
        assert list(tmp_path.iterdir()) == []
    with hold_folder(tmp_path, "taken"):
        pass


def test_a_process_that_is_killed_lets_go(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(UsageError, match="taken"), hold_folder(tmp_path, "taken"):
        pass
    holder.kill()
    holder.communicate()
    with hold_folder(tmp_path, "taken"):
        pass
