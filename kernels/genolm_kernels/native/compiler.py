"""Compiling the C sources: by zig for any machine, or by the system's own compiler for this one.

The wheel's build hook loads this file alone, where there is no torch, so it imports nothing but
the standard library.
"""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).parent / "source"
SHIPPED = Path(__file__).parent / "lib"
# Not -ffast-math: NaN and infinity must come through.
FLAGS = (
    "-std=c11",
    "-O3",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fomit-frame-pointer",
    "-fPIC",
    "-shared",
    "-pthread",
)
# Compilers split vectors of 16 floats in two by default: old processors slowed down on them.
WHOLE_VECTORS = "-mprefer-vector-width=512"
SECONDS_TO_COMPILE = 300


class CompilationError(RuntimeError):
    """A compiler is missing, or it failed; the text is one line."""


class Target(NamedTuple):
    """A kind of machine that a wheel is built for.

    Attributes:
        triple: Zig's name for it, with the oldest system it must run on.
        tag: The wheel's platform tag.
        processors: Our name of an instruction set to zig's, best first.
        suffix: What a shared library's name ends in.
    """

    triple: str
    tag: str
    processors: dict[str, str]
    suffix: str

    def has_x86(self) -> bool:
        """Whether its processors are Intel's kind."""
        return self.triple.startswith("x86_64")


_X86 = {"x86-64-v4": "x86_64_v4", "x86-64-v3": "x86_64_v3", "x86-64-v2": "x86_64_v2"}

TARGETS = {
    "linux-x86_64": Target("x86_64-linux-gnu.2.17", "manylinux2014_x86_64", _X86, ".so"),
    "linux-aarch64": Target(
        "aarch64-linux-gnu.2.17", "manylinux2014_aarch64", {"aarch64": "generic"}, ".so"
    ),
    "macos-x86_64": Target("x86_64-macos.11.0", "macosx_11_0_x86_64", _X86, ".dylib"),
    "macos-arm64": Target(
        "aarch64-macos.11.0", "macosx_11_0_arm64", {"aarch64": "apple_m1"}, ".dylib"
    ),
}


def this_machine() -> str | None:
    """The name in TARGETS of the machine we are on, or None for one without compiled code."""
    system = {"linux": "linux", "darwin": "macos"}.get(sys.platform)
    machine = platform.machine().lower()
    names = {"amd64": "x86_64", "arm64": "aarch64" if system == "linux" else "arm64"}
    name = f"{system}-{names.get(machine, machine)}"
    return name if name in TARGETS else None


def digest() -> str:
    """What the sources and the flags are now; it stands in the name of what they are built into."""
    state = hashlib.sha256(" ".join(FLAGS).encode())
    for file in sorted(SOURCE.glob("*.[ch]")):
        content = file.read_bytes()
        state.update(f"\n{file.name} {len(content)}\n".encode())
        state.update(content)
    return state.hexdigest()[:16]


def library_name(target: Target, processor: str) -> str:
    """The file name of the library for a processor, built from the sources as they are now."""
    return f"genolm-{processor}-{digest()}{target.suffix}"


def compile_by_zig(cache: Path, target: Target, processor: str, output: Path) -> None:
    """Compile for a processor of any target; needs the package ziglang and no other compiler.

    Args:
        cache: A folder for what zig makes on its way.
        target: The machine to compile for.
        processor: One of its processors.
        output: The library to write.

    Raises:
        CompilationError: If zig fails.
    """
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target.triple]
    command += [f"-mcpu={target.processors[processor]}"]
    # Without -s a Linux library keeps the symbols of zig's own runtime; macOS has no such flag.
    command += ["-s"] if target.suffix == ".so" else []
    folders = {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
    _compile(command, target, output, folders)


def compile_by_system(compiler: list[str], target: Target, processor: str, output: Path) -> None:
    """Compile for the machine that we are on.

    Args:
        compiler: The compiler's command.
        target: The machine that we are on.
        processor: One of its processors, or "native" for all that this very one has.
        output: The library to write.

    Raises:
        CompilationError: If the compiler fails.
    """
    option = "-march" if target.has_x86() else "-mcpu"
    names = [] if processor == "aarch64" else [f"{option}={processor}"]
    _compile([*compiler, *names], target, output, {})


def system_compilers() -> list[list[str]]:
    """The commands of the C compilers on this machine: $CC, then the usual names."""
    wanted = [shlex.split(os.environ.get("CC", "")), ["cc"], ["gcc"], ["clang"]]
    return [command for command in wanted if command and shutil.which(command[0])]


def _compile(command: list[str], target: Target, output: Path, folders: dict[str, str]) -> None:
    # Under its own name the library appears whole or not at all, whoever else builds it just now.
    handle, name = tempfile.mkstemp(dir=output.parent, suffix=output.suffix)
    os.close(handle)
    temporary = Path(name)
    sources = [str(file) for file in sorted(SOURCE.glob("*.c"))]
    whole = [WHOLE_VECTORS] if target.has_x86() else []
    try:
        _run([*command, *FLAGS, *whole, *sources, "-lm", "-o", name], {**os.environ, **folders})
        temporary.chmod(0o755)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)


def _run(command: list[str], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS_TO_COMPILE,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompilationError(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if "error" in line] or [""]
        raise CompilationError(f"{command[0]} failed ({done.returncode}): {said[0].strip()}")
