"""Who chooses what on which rows: the honest protocol, and those of the papers.

``clean`` holds a tenth of train out by seed (each class keeps its share), or takes the set's own
validation part; it chooses the epoch there, and the test part is judged once. The papers' protocols
do what their code does, for comparison with the papers' figures: see ``docs/evaluation.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from genolm.errors import UsageError

Chosen = Literal["held_out", "held_out_plain", "test"]


@dataclass(frozen=True)
class Protocol:
    """How a set is split, what chooses the epoch, and how figures are averaged.

    Attributes:
        name: On the command line.
        about: One sentence for the table.
        chosen_on: Where the epoch is chosen: on a held-out tenth of train with the classes' shares,
            on one drawn without them, or on the test part.
        averaged: Whether MCC and F1 are means over batches of the test part.
        train: What the paper trained with; a recipe may say otherwise.
        follows_suite: Whether inputs have the suite's length.
        by_task_metric: Whether the task's metric chooses the epoch; otherwise what the recipe says.
        epochs_of_suite: Whether there are as many epochs as the suite's papers have.
        seeds: Runs of a task; None for as many as the suite's papers have.
    """

    name: str
    about: str
    chosen_on: Chosen
    averaged: bool = False
    train: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    follows_suite: bool = False
    by_task_metric: bool = False
    epochs_of_suite: bool = False
    seeds: int | None = 3


AVERAGED_ROWS: Final = 256
"""Rows of a batch of the test part, where metrics are means over batches."""

PROTOCOLS: Final = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "clean",
            "a tenth of train, by seed, or the set's own validation part chooses the epoch; the"
            " test part is judged once, as a whole",
            "held_out",
        ),
        Protocol(
            "paper-hyenadna",
            "as in Nguyen et al. 2023: the epoch with the best accuracy on the test part is"
            " reported; MCC and F1 are means over batches",
            "test",
            averaged=True,
            train=MappingProxyType(
                {
                    "epochs": 100,
                    "batch_size": 256,
                    "learning_rate": 6e-4,
                    "patience": None,
                    "early_stopping_metric": "accuracy",
                }
            ),
            follows_suite=True,
            seeds=1,
        ),
        Protocol(
            "paper-caduceus",
            "as in Schiff et al. 2024: a tenth of train, drawn without regard to classes, chooses"
            " the epoch by the task's metric; MCC and F1 are means over batches",
            "held_out_plain",
            averaged=True,
            train=MappingProxyType(
                {"epochs": 10, "batch_size": 256, "learning_rate": 1e-3, "patience": None}
            ),
            follows_suite=True,
            by_task_metric=True,
            epochs_of_suite=True,
            seeds=None,
        ),
    )
}


def find_protocol(name: str) -> Protocol:
    """Return a protocol by its name.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in PROTOCOLS:
        raise UsageError(f"no protocol {name!r}; choose {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
