"""Times of contestants that take turns, and the memory that a call adds at its peak."""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path

MIB = 1 << 20


def keep_memory() -> None:
    """Let glibc keep freed memory, as `genolm` does: for every contestant alike."""
    from genolm.cli.allocator import keep_freed_memory

    keep_freed_memory()


def take_turns(
    runs: dict[str, Callable[[], object]], repeats: int, *, warm: bool = False
) -> dict[str, float]:
    """Median seconds of each contestant; a first round warms caches and is not counted.

    Args:
        runs: What each contestant does, by name.
        repeats: Rounds that are counted.
        warm: Whether each turn begins with a call that is not counted, so that nobody pays for
            what the one before left in the caches; a model has just written an operator's inputs.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            if warm:
                run()
            start = time.perf_counter()
            run()
            if repeat:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def peak_memory(run: Callable[[], object]) -> tuple[int, int]:
    """Bytes that a call adds at its peak to what is in use, and the process's peak; Linux only."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    run()
    peak = _status("VmHWM")
    return peak - before, peak


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")
