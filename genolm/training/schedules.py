"""Learning rates over time, as the two papers' code set them.

With s the step (from 0), T all steps and W the steps of warm-up:

    warm-up (s < W)        lr = start + (peak - start) s / W
    cosine                 lr = end + (peak - end) (1 + cos(pi s / T)) / 2
    cosine_after_warmup    lr = end + (peak - end) (1 + cos(pi (s - W) / (T - W))) / 2

HyenaDNA (arXiv 2306.15794) counts the cosine from step 0, so that it does not begin at its peak;
Caduceus (arXiv 2403.03234) counts it from the end of the warm-up. ``start`` is 1e-6 in both.
"""

import math
from dataclasses import dataclass

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

WARMUP_START = 1e-6


@dataclass(frozen=True)
class LearningRate:
    """A learning rate as a function of the step.

    Attributes:
        peak: Rate at the top.
        end: Rate from step ``steps`` on.
        steps: Steps of the whole run.
        warmup: Steps of linear warm-up.
        schedule: "cosine", "cosine_after_warmup" or "constant".
    """

    peak: float
    end: float
    steps: int
    warmup: int
    schedule: str

    def at(self, step: int) -> float:
        """Return the rate used for the update number ``step``, counted from 0."""
        if step < self.warmup:
            start = min(WARMUP_START, self.peak)
            return start + (self.peak - start) * step / self.warmup
        if self.schedule == "constant":
            return self.peak
        if step >= self.steps:
            return self.end
        skipped = self.warmup if self.schedule == "cosine_after_warmup" else 0
        turn = math.pi * (step - skipped) / (self.steps - skipped)
        return self.end + (self.peak - self.end) * (1 + math.cos(turn)) / 2

    def drive(self, optimizer: Optimizer) -> LambdaLR:
        """Return a scheduler that sets this rate on every group of ``optimizer``."""
        return LambdaLR(optimizer, lambda step: self.at(step) / self.peak)
