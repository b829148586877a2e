"""Print what the kernels are to reach on a CPU of two cores, and what they reach here.

    python kernels/benchmarks/goals.py [ROW ...] [--long] [--out FILE.json]

Every row runs in a process of its own, with two threads unless OMP_NUM_THREADS says otherwise, and
with the allocator set as `genolm` sets it, for us and for the peers. Contestants take turns and
medians are compared; on a busy machine the ratios hold better than the times. Peers need
`pip install "genolm[bench]"`. The rows are those of `ROWS`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

ROWS = {
    "scan-forward": "scan_goals.forward",
    "scan-backward": "scan_goals.backward",
    "scan-memory": "scan_goals.memory",
    "scan-growth": "scan_goals.growth",
    "train": "model_goals.train",
    "caduceus-131k": "model_goals.long_caduceus",
    "fft-cached": "fft_goals.cached",
    "fft-growth": "fft_goals.growth",
    "hyenadna-1m": "model_goals.million",
}
LONG = ("hyenadna-1m",)


@dataclass(frozen=True)
class Result:
    """One figure, and the bar it is held against."""

    row: str
    what: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the figure is on the right side of its bar."""
        if self.at_least is not None and self.value < self.at_least:
            return False
        return self.at_most is None or self.value <= self.at_most

    def __str__(self) -> str:
        """One line of the table."""
        bar = "" if self.at_least is None else f"at least {self.at_least:g}"
        bar = bar if self.at_most is None else f"at most {self.at_most:g}"
        verdict = "holds" if self.holds else "MISSED"
        figure = f"{self.value:.3g} {self.unit}"
        return f"{self.row:42} {self.what:34} {figure:>12}  {bar:14} {verdict}"


def run_row(name: str) -> list[Result]:
    """Measure one row in this process."""
    from measuring import keep_memory

    keep_memory()
    module, function = ROWS[name].split(".")
    found: list[Result] = getattr(import_module(module), function)()
    return found


def run_in_a_process(name: str) -> list[Result]:
    """Measure one row in a process of its own; nothing if it fails, which is printed."""
    environment = {"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "1000", **os.environ}
    command = [sys.executable, __file__, "--in-this-process", name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name}: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return []
    return [Result(**values) for values in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    """Read the command line, measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--long", action="store_true", help=f"also {', '.join(LONG)} (minutes)")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    parser.add_argument("--in-this-process", metavar="ROW", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_this_process:
        print(json.dumps([asdict(result) for result in run_row(options.in_this_process)]))
        return
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    names = options.rows or [name for name in ROWS if options.long or name not in LONG]
    results: list[Result] = []
    missing = 0
    for name in names:
        found = run_in_a_process(name)
        missing += not found
        results += found
        for result in found:
            print(result, flush=True)
    if options.out:
        import torch

        about = {
            "torch": torch.__version__,
            "python": platform.python_version(),
            "processor": torch.backends.cpu.get_cpu_capability(),
            "threads": os.environ.get("OMP_NUM_THREADS", "2"),
        }
        rows = [asdict(result) | {"holds": result.holds} for result in results]
        options.out.write_text(json.dumps({"about": about, "results": rows}, indent=1) + "\n")
    if missing or not all(result.holds for result in results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
