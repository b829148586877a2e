"""Builds the compiled CPU library into the wheel: one per instruction set, by zig from PyPI.

GENOLM_BUILD_PLATFORM names another platform to build for (linux-aarch64, macos-arm64, ...), or
`none` for a wheel of pure Python, which computes with torch or compiles at first use.
"""

import functools
import importlib.util
import os
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ENVIRONMENT_VARIABLE = "GENOLM_BUILD_PLATFORM"
NATIVE = "kernels/genolm_kernels/native"


class NativeBuildHook(BuildHookInterface[Any]):
    """Compiles before a wheel is written; never fails, since genolm runs without, only slower."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say which files go into the wheel and which tag it has."""
        compiler = _load_compiler(Path(self.root))
        name = _wanted_platform(compiler)
        if name is None:
            self._say("built without compiled code; torch computes instead")
            return
        target = compiler.TARGETS[name]
        self._folder = tempfile.TemporaryDirectory(prefix="genolm-build-")
        built, by_zig = self._compile(compiler, name, Path(self._folder.name))
        if version == "editable":
            _put_beside_the_sources(compiler.SHIPPED, built)
        elif built:
            for file in built:
                build_data["force_include"][str(file)] = f"genolm_kernels/native/lib/{file.name}"
            system = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            tag = target.tag if by_zig or target.suffix != ".so" else system
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{tag}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled, which the wheel holds by now."""
        if folder := getattr(self, "_folder", None):
            folder.cleanup()

    def _say(self, text: str) -> None:
        self.app.display_warning(f"genolm: {text}")

    def _compile(self, compiler: ModuleType, name: str, folder: Path) -> tuple[list[Path], bool]:
        """The libraries that could be compiled into the folder, and whether zig did it."""
        target = compiler.TARGETS[name]
        ways = []
        if importlib.util.find_spec("ziglang") is not None:
            # A cache of hundreds of megabytes has no place in the home of someone who ran pip.
            ways.append(functools.partial(compiler.compile_by_zig, folder / "zig"))
        if name == compiler.this_machine():
            ways += [
                functools.partial(compiler.compile_by_system, command)
                for command in compiler.system_compilers()
            ]
        for compile_one in ways:
            with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
                jobs = {
                    processor: folder / compiler.library_name(target, processor)
                    for processor in target.processors
                }
                running = [pool.submit(compile_one, target, *job) for job in jobs.items()]
            for error in filter(None, (job.exception() for job in running)):
                self._say(str(error))
            if built := [path for path in jobs.values() if path.exists()]:
                return built, compile_one.func is compiler.compile_by_zig
        self._say("built without its compiled library, since no compiler worked; see genolm doctor")
        return [], False


def _load_compiler(root: Path) -> ModuleType:
    """The module of genolm_kernels that knows how to compile, without the package around it."""
    spec = importlib.util.spec_from_file_location("compiler", root / NATIVE / "compiler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _wanted_platform(compiler: ModuleType) -> str | None:
    """The name of the platform to compile for, or None for no compiled code.

    Raises:
        ValueError: If GENOLM_BUILD_PLATFORM asks for one that is not known.
    """
    known = compiler.TARGETS
    asked = os.environ.get(ENVIRONMENT_VARIABLE)
    if asked:
        if asked not in {*known, "none"}:
            raise ValueError(
                f"{ENVIRONMENT_VARIABLE}={asked}: choose from {', '.join(known)}, none"
            )
        return asked if asked in known else None
    name: str | None = compiler.this_machine()
    # Python knows this name of a constant only where the C library is GNU's, which wheels need.
    if name and name.startswith("linux") and "CS_GNU_LIBC_VERSION" not in os.confstr_names:
        return None
    return name


def _put_beside_the_sources(folder: Path, built: list[Path]) -> None:
    folder.mkdir(exist_ok=True)
    for old in folder.glob("genolm-*"):
        old.unlink()
    for file in built:
        # Moved and not copied onto: a process may have the old one of that name loaded.
        temporary = folder / f".{file.name}"
        temporary.write_bytes(file.read_bytes())
        temporary.replace(folder / file.name)
