"""Finding and loading the compiled library (first version: the system's compiler, cached)."""

import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).parent / "source"


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled library, or None where there is none; `why_not` tells the reason."""
    if os.environ.get("GENOLM_NATIVE") == "off":
        return None
    files = sorted(SOURCE.glob("*.[ch]"))
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / "genolm-native"
    folder.mkdir(exist_ok=True)
    target = folder / f"{digest}.so"
    if not target.exists():
        sources = [str(file) for file in files if file.suffix == ".c"]
        temporary = folder / f"{digest}.{os.getpid()}"
        flags = ["-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fPIC"]
        command = ["gcc", "-std=c11", *flags, "-shared", "-pthread", *sources, "-o", str(temporary)]
        subprocess.run([*command, "-lm"], check=True)
        temporary.replace(target)
    loaded = ctypes.CDLL(str(target))
    _share_threads(loaded)
    return loaded


def why_not() -> str | None:
    """The reason why there is no compiled library, or None if there is one."""
    return None if library() is not None else "GENOLM_NATIVE=off"


def _share_threads(loaded: ctypes.CDLL) -> None:
    """Run on the threads of torch's own OpenMP, where that is GNU's."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return
    names = {line.split(maxsplit=5)[-1] for line in maps.splitlines() if "libgomp" in line}
    for name in names:
        team = ctypes.CDLL(name).GOMP_parallel
        loaded.genolm_set_team(ctypes.cast(team, ctypes.c_void_p))
