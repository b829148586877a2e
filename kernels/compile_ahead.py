"""Compile every Triton kernel for GPUs that need not be there, and read what the compiler made.

    python kernels/compile_ahead.py [--arch 80 90 100] [--operator NAME ...] [--first] [--json FILE]

Prints registers, shared memory and instruction counts of every specialisation that the operators'
`compilations()` list, and ends with status 1 where one spills, has a stack, or takes more
registers than its operator allows. Needs triton alone: no driver, no CUDA toolkit.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ARCHITECTURES = (80, 90, 100)
REGISTER_FILE = 65536  # 32-bit registers of one multiprocessor, on every one of them
RESOURCES = {"REG": "registers", "STACK": "stack", "LOCAL": "local"}
INSTRUCTIONS = {
    "spills": r"\b(?:LDL|STL)\b",
    "mma": r"\b(?:HMMA|HGMMA|UTC\w*MMA)\b",
    "ldg128": r"\bLDG\.E\S*\.128\b",
    "ex2": r"\bMUFU\.EX2\b",
}


@dataclass(frozen=True)
class Kernel:
    """What became of one specialisation on one architecture.

    Attributes:
        module: Where `compilations()` lists it.
        name: What the operator calls it.
        arch: Compute capability times ten.
        registers: Of one thread.
        shared: Bytes of shared memory of one program.
        stack: Bytes of stack of one thread.
        local: Bytes of local memory of one thread.
        spills: Instructions that read or write local memory.
        mma: Matrix instructions.
        ldg128: Loads of 16 bytes.
        ex2: Exponentials.
        error: Why it did not compile, or None.
        seconds: Time taken.
        most_registers: The most that the operator allows.
        num_warps: Warps of one program.
    """

    module: str
    name: str
    arch: int
    registers: int = 0
    shared: int = 0
    stack: int = 0
    local: int = 0
    spills: int = 0
    mma: int = 0
    ldg128: int = 0
    ex2: int = 0
    error: str | None = None
    seconds: float = 0.0
    most_registers: int = 255
    num_warps: int = 4

    def faults(self) -> Iterator[str]:
        """What is wrong with it, in words."""
        if self.error is not None:
            yield f"does not compile: {self.error}"
        if self.spills or self.stack or self.local:
            yield f"{self.spills} spills, stack {self.stack}, local memory {self.local}"
        if self.registers > self.most_registers:
            yield f"{self.registers} registers, {self.most_registers} allowed"
        if self.registers * self.num_warps * 32 > REGISTER_FILE:
            yield f"{self.registers} registers in {self.num_warps} warps do not fit"


def modules(operators: list[str] | None) -> list[str]:
    """Names of the modules with Triton kernels, of some operators or of all."""
    package = Path(__file__).parent / "genolm_kernels"
    found = {path for path in package.glob("*/triton*.py") if path.name != "__init__.py"}
    known = sorted({path.parent.name for path in found})
    for name in operators or ():
        if name not in known:
            raise SystemExit(f"no operator {name!r} has Triton kernels; known: {', '.join(known)}")
    return [
        f"genolm_kernels.{path.parent.name}.{path.stem}"
        for path in sorted(found)
        if (operators is None or path.parent.name in operators)
        and "def compilations(" in path.read_text(encoding="utf-8")
    ]


@cache
def compilations(module: str) -> list[Any]:
    """The specialisations that a module lists."""
    listed: list[Any] = import_module(module).compilations()
    return listed


def compile_one(module: str, index: int, arch: int) -> Kernel:
    """Compile one specialisation for one architecture and read the machine code."""
    from triton import compile as triton_compile
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    wanted = compilations(module)[index]
    start = time.perf_counter()
    names = wanted.kernel.arg_names
    source = ASTSource(
        fn=wanted.kernel,
        signature={name: wanted.signature.get(name, "constexpr") for name in names},
        constexprs=dict(wanted.constants),
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in wanted.aligned},
    )
    options = {"num_warps": wanted.num_warps, "num_stages": wanted.num_stages}
    compiled = triton_compile(source, target=GPUTarget("cuda", arch, 32), options=options)
    return Kernel(
        module,
        wanted.name,
        arch,
        most_registers=wanted.most_registers,
        num_warps=wanted.num_warps,
        shared=compiled.metadata.shared,
        seconds=time.perf_counter() - start,
        **read_cubin(compiled.asm["cubin"]),
    )


def read_cubin(cubin: bytes) -> dict[str, int]:
    """Resources and instruction counts of one kernel's machine code."""
    import triton

    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        usage = _output(tools / "cuobjdump", "-res-usage", file.name)
        code = _output(tools / "nvdisasm", "-c", file.name)
    resources = {key: max(map(int, re.findall(rf"\b{key}:(\d+)", usage))) for key in RESOURCES}
    counts = {key: len(re.findall(pattern, code)) for key, pattern in INSTRUCTIONS.items()}
    return {RESOURCES[key]: value for key, value in resources.items()} | counts


def _output(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


def compile_all(
    chosen: list[str], arches: list[int], workers: int, *, first: bool = False
) -> Iterator[Kernel]:
    """Compile what the chosen modules list, in a few processes; results in the order listed.

    Args:
        chosen: Names of modules.
        arches: Compute capabilities times ten.
        workers: Processes.
        first: Whether to take only the first specialisation of each kernel.
    """
    # Processes are spawned, since torch and the compiler have threads that do not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting: list[tuple[Kernel, Future[Kernel]]] = [
            (Kernel(module, name, arch), pool.submit(compile_one, module, index, arch))
            for module in chosen
            for index, name in _listed(module, first=first)
            for arch in arches
        ]
        for kernel, future in waiting:
            yield _result(kernel, future)


def _listed(module: str, *, first: bool) -> Iterator[tuple[int, str]]:
    seen = set()
    for index, wanted in enumerate(compilations(module)):
        if not first or wanted.kernel not in seen:
            seen.add(wanted.kernel)
            yield index, wanted.name


def _result(kernel: Kernel, future: Future[Kernel]) -> Kernel:
    error = future.exception()
    if error is None:
        return future.result()
    return replace(kernel, error=f"{type(error).__name__}: {error}")


def report(kernels: Iterable[Kernel]) -> list[Kernel]:
    """Print the table, a line as soon as it is known; returns what it was made of."""
    columns = ("registers", "shared", "stack", "spills", "mma", "ldg128", "ex2")
    print(f"{'kernel':<72} {'arch':>6}", *(f"{column:>9}" for column in columns))
    shown = []
    for kernel in kernels:
        values = (f"{getattr(kernel, column):>9}" for column in columns)
        print(f"{_label(kernel):<72} {f'sm_{kernel.arch}':>6}", *values, flush=True)
        shown.append(kernel)
    return shown


def _label(kernel: Kernel) -> str:
    return f"{kernel.module.split('.')[1]} {kernel.name}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", nargs="+", type=int, default=list(ARCHITECTURES))
    parser.add_argument("--operator", nargs="+", help="only these operators")
    parser.add_argument(
        "--first", action="store_true", help="only the first specialisation of each kernel"
    )
    parser.add_argument("--json", type=Path, help="write the table here as well")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    options = parser.parse_args(arguments)
    # Kernels defined under the interpreter cannot be compiled.
    os.environ.pop("TRITON_INTERPRET", None)
    os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

    start = time.perf_counter()
    chosen = modules(options.operator)
    kernels = report(compile_all(chosen, options.arch, options.workers, first=options.first))
    print(f"{len(kernels)} compilations in {time.perf_counter() - start:.0f} s")
    if options.json is not None:
        content = {"versions": _versions(), "kernels": [asdict(kernel) for kernel in kernels]}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    faults = [f"{_label(k)} sm_{k.arch}: {fault}" for k in kernels for fault in k.faults()]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def _versions() -> dict[str, str]:
    import torch
    import triton

    return {
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "triton": triton.__version__,
    }


if __name__ == "__main__":
    sys.exit(main())
