"""Which parameters decay, how fast they learn: the two papers' rules, and AdamW.

HyenaDNA decays everything but the linear layers and frequencies of its implicit filters, the
biases and norms included. Caduceus decays neither biases nor embeddings (hence nor the tied head)
nor LayerNorm weights; its RMSNorm and convolution weights do decay, as in the original code.
``A_log`` and ``D`` of a Mamba mixer never decay, nor ``dt_bias`` and ``init_states`` of the mixers
of state-space duality.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from genolm.training.guard import GuardedAdamW
from genolm.training.recipe import TrainSection
from genolm.training.schedules import LearningRate


@dataclass(frozen=True)
class PaperDefaults:
    """What a paper's training recipe sets, where ours leaves it open.

    Attributes:
        learning_rate: Peak rate.
        betas: AdamW's.
        warmup: Share of the steps.
        end_share: Last rate as a share of the peak.
        schedule: Name of the schedule.
    """

    learning_rate: float
    betas: tuple[float, float]
    warmup: float
    end_share: float
    schedule: str

    def complete(self, train: TrainSection, peak: float | None) -> dict[str, Any]:
        """Return the values of the keys that a recipe left open.

        Args:
            train: The recipe's section.
            peak: Its learning rate.
        """
        rate = self.learning_rate if peak is None else peak
        values = {
            "learning_rate": rate,
            "betas": self.betas,
            "warmup": self.warmup,
            "min_learning_rate": rate * self.end_share,
            "schedule": self.schedule,
        }
        return {key: value for key, value in values.items() if getattr(train, key) is None}


HYENADNA = PaperDefaults(6e-4, (0.9, 0.999), 0.01, 0.1, "cosine")
CADUCEUS = PaperDefaults(8e-3, (0.9, 0.95), 0.1, 1e-4 / 8e-3, "cosine_after_warmup")
PRETRAINING = {"hyenadna": HYENADNA, "caduceus": CADUCEUS}
FINE_TUNING = PaperDefaults(1e-3, (0.9, 0.999), 0.01, 0.1, "cosine")
"""The GenomicBenchmarks protocol of the Caduceus paper, section 5.2, for both families."""

LAYER = re.compile(r"\.layers\.(\d+)\.")
NEVER_DECAYED = ("A_log", "D", "dt_bias", "init_states")


def make_optimizer(
    model: nn.Module,
    family: str,
    *,
    rate: float,
    weight_decay: float,
    betas: tuple[float, float],
    layer_decay: float = 1.0,
) -> GuardedAdamW:
    """Return AdamW over the parameters that are trained, in the family's decay groups.

    Args:
        model: The model; parameters that need no gradient are left out.
        family: ``model_type`` of the model's config.
        rate: Learning rate of all groups.
        weight_decay: Of the parameters that decay.
        betas: AdamW's.
        layer_decay: Factor of the rate from each layer to the one below it; see `depth_below`.
    """
    kept = set(names_without_decay(model, family))
    layers = count_layers(model) if layer_decay < 1 else 0
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            depth = depth_below(name, layers) if layers else 0
            groups.setdefault((depth, name in kept), []).append(parameter)
    # From the head down, so that the rate that is logged, the first group's, is the recipe's.
    listed: list[dict[str, Any]] = [
        {
            "params": groups[depth, is_kept],
            "weight_decay": 0.0 if is_kept else weight_decay,
            "lr": rate * layer_decay**depth,
        }
        for depth, is_kept in sorted(groups)
    ]
    return GuardedAdamW(listed, lr=rate, betas=betas)


def count_layers(model: nn.Module) -> int:
    """Count the layers of a model by the names of its parameters."""
    found = (LAYER.search(name) for name, _ in model.named_parameters())
    return max((int(one[1]) + 1 for one in found if one is not None), default=0)


def depth_below(name: str, layers: int) -> int:
    """Return how far below the head a parameter is: 0 for the head and the final norm.

    Args:
        name: Of the parameter.
        layers: Number of layers; the last of them is 1 below the head, the embedding 1 below all.
    """
    if (found := LAYER.search(name)) is not None:
        return layers - int(found[1])
    return layers + 1 if ".embeddings." in name else 0


def names_without_decay(model: nn.Module, family: str) -> Iterator[str]:
    """Yield the names of the parameters that keep their size, by the rule of ``family``."""
    for path, module in model.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            dotted = f"{path}.{name}" if path else name
            if _is_spared(dotted, name, module, biases_too=family != "hyenadna"):
                yield dotted


def _is_spared(dotted: str, name: str, module: nn.Module, *, biases_too: bool) -> bool:
    if name in NEVER_DECAYED or ".implicit_filter." in f".{dotted}":
        return True
    return biases_too and (name.endswith("bias") or isinstance(module, nn.Embedding | nn.LayerNorm))


def learning_rate(train: TrainSection, peak: float, steps: int) -> LearningRate:
    """Return the learning rate of a run.

    Args:
        train: The recipe's section, with nothing left open.
        peak: Its learning rate.
        steps: Steps of the optimiser in the whole run.
    """
    assert train.warmup is not None
    assert train.min_learning_rate is not None
    assert train.schedule is not None
    return LearningRate(
        peak=peak,
        end=min(train.min_learning_rate, peak),
        steps=steps,
        # A millionth of a step keeps 0.29 of 100 from being 28.
        warmup=int(train.warmup * steps + 1e-6),
        schedule=train.schedule,
    )
