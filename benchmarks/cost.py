"""What the published pretraining runs cost, from counted operations and bytes: `docs/cost.md`.

    python benchmarks/cost.py

Prints the page's two tables. Nothing is measured here: operations and bytes of a token are counted
from the configs (`genolm.models.cost`), peaks are those of data sheets, and how much of them a
training reaches is an assumption, stated below and compared with the times that authors report.
"""

from dataclasses import dataclass

import torch

from genolm.models.configuration import GenolmConfig
from genolm.models.cost import count_cost
from genolm.training.model_source import language_model
from genolm.training.peak import gpu_peak
from genolm.training.ranks import Ranks
from genolm.training.recipe_files import check_values, read_yaml, shipped_recipes
from genolm.training.recipe_pretrain import PretrainRecipe
from genolm.training.watch import count_steps

REACHED = (0.5, 0.1)
"""Best and worst share of what limits a training (matrix products or memory) that it reaches."""


@dataclass(frozen=True)
class Gpu:
    """A GPU as its data sheet has it.

    Attributes:
        name: As torch calls it.
        bandwidth: Bytes a second of its memory.
    """

    name: str
    bandwidth: float

    @property
    def peak(self) -> float:
        """Operations a second of dense products in half precision."""
        peak = gpu_peak(self.name, "fp16")
        assert peak is not None
        return peak


GPUS = {
    "A5000": Gpu("NVIDIA RTX A5000", 768e9),
    "A100 80 GB": Gpu("NVIDIA A100-SXM4-80GB", 2.039e12),
    "H100 SXM": Gpu("NVIDIA H100 80GB HBM3", 3.35e12),
}
A100_40 = Gpu("NVIDIA A100-SXM4-40GB", 1.555e12)

REPORTED = (
    # recipe, GPUs, which, hours that the authors report
    ("hyenadna_tiny_1k", 1, A100_40, 80 / 60),
    ("caduceus_ps_1k_d118", 8, GPUS["A5000"], 70 / 60),
    ("caduceus_ps_1k_d256", 8, GPUS["A5000"], 200 / 60),
    ("caduceus_ps_131k", 8, GPUS["A100 80 GB"], 15.0),
    ("hyenadna_large_1m", 8, GPUS["A100 80 GB"], 4 * 7 * 24.0),
)


@dataclass(frozen=True)
class Run:
    """A published run.

    Attributes:
        parameters: Of the model.
        tokens: Shown in all.
        flops: Floating-point operations in all.
        bytes: That cross the memory in all.
    """

    parameters: int
    tokens: int
    flops: float
    bytes: float

    def hours(self, gpu: Gpu) -> float:
        """Hours on one GPU that did what limits the run at its full speed."""
        return max(self.flops / gpu.peak, self.bytes / gpu.bandwidth) / 3600


def count_run(name: str) -> Run:
    """Count a run from its recipe."""
    file = shipped_recipes()[f"published/{name}"]
    recipe = check_values(PretrainRecipe, read_yaml(file), file)
    with torch.device("meta"):
        model, _ = language_model(recipe)
    config, train, length = model.config, recipe.train, recipe.data.length
    assert isinstance(config, GenolmConfig)
    flops = count_steps(config, recipe, Ranks())
    tokens = train.steps * train.batch_size * train.accumulate * length
    cost = count_cost(config, length, batch_size=train.batch_size)
    return Run(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        tokens=tokens,
        flops=sum(flops(step) for step in range(1, train.steps + 1)),
        bytes=tokens * cost.training_bytes,
    )


def hours(run: Run, gpu: Gpu) -> str:
    """Return the range of GPU hours."""
    best, worst = (run.hours(gpu) / share for share in REACHED)
    return f"{best:,.2g} to {worst:,.2g}" if worst < 10 else f"{best:,.0f} to {worst:,.0f}"


def published_table() -> str:
    """Return the table of what every published run costs."""
    head = ["recipe", "parameters", "tokens", "MFLOP a token", "kB a token", "EFLOP"]
    rows = [[*head, *(f"{name}, GPU hours" for name in GPUS)]]
    names = sorted(name for name in shipped_recipes() if name.startswith("published/"))
    for name in names:
        run = count_run(name.partition("/")[2])
        cells = [name, f"{run.parameters:,}", f"{run.tokens:.2e}"]
        cells += [f"{run.flops / run.tokens / 1e6:.3g}", f"{run.bytes / run.tokens / 1e3:,.0f}"]
        rows.append(
            [*cells, f"{run.flops / 1e18:.3g}", *(hours(run, gpu) for gpu in GPUS.values())]
        )
    return write_table(rows)


def reported_table() -> str:
    """Return the table of what authors report beside what was counted."""
    rows = [["recipe", "on", "hours reported", "share of peak FLOP", "share of memory bandwidth"]]
    for name, count, gpu, reported in REPORTED:
        run = count_run(name)
        seconds = 3600 * reported * count
        shares = run.flops / gpu.peak / seconds, run.bytes / gpu.bandwidth / seconds
        on = f"{count} x {gpu.name.removeprefix('NVIDIA ')}"
        rows.append([name, on, f"{reported:.3g}", *(f"{100 * share:.2g} %" for share in shares)])
    return write_table(rows)


def write_table(rows: list[list[str]]) -> str:
    """Return rows, the heading first, as Markdown."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"|{' --- |' * len(rows[0])}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(published_table())
    print()
    print(reported_table())
