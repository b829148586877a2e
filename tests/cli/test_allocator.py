import os
import subprocess
import sys

import pytest

from genolm.cli import allocator

needs_gnu = pytest.mark.skipif(not allocator._is_gnu(), reason="only GNU's C library has this")

# Prints how many MiB the process holds after it has freed an array of as many as it is told.
PROGRAM = """
import sys
from pathlib import Path
import numpy
import genolm.cli.main
from genolm.cli.allocator import keep_freed_memory
told = keep_freed_memory() if sys.argv[1] == "tell" else None
array = numpy.ones(int(sys.argv[2]) * 2**17)
del array
held = int(Path("/proc/self/statm").read_text().split()[1]) // 256
print(told, held)
"""


def held_after_freeing(how: str, mebibytes: int = 200, **variables: str) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how, str(mebibytes)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **variables},
    )
    told, held = done.stdout.split()
    return told, int(held)


@needs_gnu
def test_freed_memory_is_kept_once_the_command_line_says_so():
    told, held = held_after_freeing("tell")
    assert told == "True"
    assert held > 200


@pytest.mark.slow
@needs_gnu
def test_more_than_an_int_of_bytes_is_kept_too():
    assert held_after_freeing("tell", 2200)[1] > 2200


@needs_gnu
def test_importing_the_command_line_changes_nothing():
    assert held_after_freeing("import only")[1] < 200


@needs_gnu
def test_the_switch_leaves_the_allocator_alone():
    told, held = held_after_freeing("tell", GENOLM_MALLOPT="off")
    assert told == "False"
    assert held < 200


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(os, "confstr_names", {})
    assert allocator.keep_freed_memory() is False


def test_the_command_starts_with_it(monkeypatch):
    from genolm.cli import main

    calls = []
    monkeypatch.setattr(main, "keep_freed_memory", lambda: calls.append("told"))
    monkeypatch.setattr(main, "run", lambda: calls.append("ran") or 0)
    with pytest.raises(SystemExit):
        main.main()
    assert calls == ["told", "ran"]
