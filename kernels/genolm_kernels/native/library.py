"""Finding and loading the compiled library: a shipped one, else one compiled here, else none.

GENOLM_NATIVE=off switches it off; an instruction set such as x86-64-v3, or jit, insists on one.
"""

import ctypes
import functools
import hashlib
import os
import sys
from pathlib import Path
from typing import NamedTuple

import torch

from genolm_kernels.native import compiler, processor

ENVIRONMENT_VARIABLE = "GENOLM_NATIVE"

_forked: list[bool] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forked.append(True))


class Native(NamedTuple):
    """The compiled library of this process, or why there is none.

    Attributes:
        library: The library, or None.
        kind: "shipped", "jit" (compiled here), or "none".
        processor: The instruction set it was compiled for, "native" if for this very processor.
        path: Its file.
        threads: Whose threads it runs on.
        reason: Why there is none, or why it is not the best one; empty if it is.
    """

    library: ctypes.CDLL | None
    kind: str = "none"
    processor: str = ""
    path: Path | None = None
    threads: str = ""
    reason: str = ""


def library() -> ctypes.CDLL | None:
    """The compiled library, or None where there is none; `why_not` tells the reason.

    Raises:
        ValueError: If GENOLM_NATIVE insists on one that cannot run here.
    """
    return native().library


def native() -> Native:
    """The compiled library with where it comes from.

    Raises:
        ValueError: If GENOLM_NATIVE insists on one that cannot run here.
    """
    # Not cached: that one process can try both is worth a microsecond a call.
    return _find(os.environ.get(ENVIRONMENT_VARIABLE, ""))


def why_not() -> str | None:
    """The reason why there is no compiled library, or None if there is one."""
    found = native()
    return found.reason if found.library is None else None


def describe() -> str:
    """One line: which library runs, for which instruction set and on whose threads, or why none."""
    found = native()
    if found.library is None:
        return f"none, torch computes instead: {found.reason}"
    origin = "shipped" if found.kind == "shipped" else "compiled here"
    line = f"{found.processor}, {origin}, on {found.threads} ({found.path})"
    return f"{line}; {found.reason}" if found.reason else line


@functools.cache
def _find(wanted: str) -> Native:
    if wanted == "off":
        return Native(None, reason=f"{ENVIRONMENT_VARIABLE}=off")
    name = compiler.this_machine()
    if name is None:
        if wanted:
            raise ValueError(f"{ENVIRONMENT_VARIABLE}={wanted}: no compiled code for this system")
        return Native(None, reason="there is no compiled code for this system")
    return _insist(compiler.TARGETS[name], wanted) if wanted else _best(compiler.TARGETS[name])


def _insist(target: compiler.Target, wanted: str) -> Native:
    if wanted != "jit" and wanted not in target.processors:
        known = ", ".join(["off", "jit", *target.processors])
        raise ValueError(f"{ENVIRONMENT_VARIABLE}={wanted}: choose from {known}")
    reason = None if wanted == "jit" else processor.missing(wanted)
    if reason is None:
        found = _compiled_here(target) if wanted == "jit" else _shipped(target, wanted)
        if found.library is not None:
            return found
        reason = found.reason
    raise ValueError(f"{ENVIRONMENT_VARIABLE}={wanted} cannot run here: {reason}")


def _best(target: compiler.Target) -> Native:
    reasons: list[str] = []
    for name in [*processor.runnable(target.processors), "native"]:
        found = _compiled_here(target) if name == "native" else _shipped(target, name)
        if found.library is not None:
            return found._replace(reason="; ".join(reasons))
        # The same text comes for each of the instruction sets when none was built.
        reasons += [found.reason] if found.reason not in reasons else []
    return Native(None, reason="; ".join(reasons))


def _shipped(target: compiler.Target, name: str) -> Native:
    path = compiler.SHIPPED / compiler.library_name(target, name)
    if path.exists():
        return _load(path, "shipped", name)
    if any(compiler.SHIPPED.glob(f"genolm-{name}-*")):
        return Native(None, reason="the C sources changed since genolm was installed")
    return Native(None, reason="genolm was installed without a compiled library")


def _compiled_here(target: compiler.Target) -> Native:
    state = [compiler.digest(), os.environ.get("CC", ""), processor.identity()]
    key = hashlib.sha256("\n".join(state).encode()).hexdigest()[:16]
    try:
        folder = _cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home
        return Native(None, reason=f"no folder to compile in: {error}")
    path = folder / f"genolm-{key}{target.suffix}"
    if path.exists() and (found := _load(path, "jit", "native")).library is not None:
        return found
    reasons: list[str] = []
    for command in compiler.system_compilers():
        try:
            compiler.compile_by_system(command, target, "native", path)
        except (OSError, compiler.CompilationError) as error:
            reasons.append(str(error))
            continue
        return _load(path, "jit", "native")
    return Native(None, reason="; ".join(reasons) or "there is no C compiler here")


def _cache_folder() -> Path:
    """Where genolm keeps what it can make again."""
    if own := os.environ.get("GENOLM_CACHE"):
        return Path(own) / "native"
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "genolm" / "native"


def _load(path: Path, kind: str, name: str) -> Native:
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError as error:
        return Native(None, reason=str(error))
    return Native(loaded, kind, name, path, _share_threads(loaded))


def _share_threads(loaded: ctypes.CDLL) -> str:
    """Run on the threads of torch's own OpenMP where that can be; returns whose threads it uses."""
    # A forked child has none of the threads that its copy of OpenMP's state speaks of.
    if sys.platform == "linux" and not _forked and torch._C.__file__:
        try:
            # Looked up from torch outwards: other packages often load a second OpenMP.
            team = ctypes.CDLL(torch._C.__file__).GOMP_parallel
        except (OSError, AttributeError):
            return "threads of its own"
        loaded.genolm_set_team(ctypes.cast(team, ctypes.c_void_p))
        return "torch's threads"
    return "threads of its own"
