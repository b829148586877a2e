"""The trials of a search: a file with one line each, and the values that the next one gets.

The next values depend on the recipe's seed and the lines before, and on nothing else: a search that
was stopped anywhere goes on as if it had not been.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genolm.atomic import write_text
from genolm.errors import UsageError
from genolm.training.json_lines import append_json_line, read_json_lines
from genolm.training.patience import worth
from genolm.training.recipe_search import Choices, Dimension, Scalar, SearchSection

if TYPE_CHECKING:
    import optuna

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """A training of a search.

    Attributes:
        number: From 0.
        values: By dotted key.
        state: ``pruned`` when it was ended early, ``failed`` when it could not be done.
        figure: The best validation; None where there is none.
        by_epoch: The validations, in order.
        epochs: Epochs trained.
        seconds: Seconds they took.
        reason: Why it failed.
    """

    number: int
    values: dict[str, Scalar]
    state: State
    figure: float | None = None
    by_epoch: list[float] = field(default_factory=list)
    epochs: int = 0
    seconds: float = 0.0
    reason: str = ""


class Trials:
    """The file of the trials that have ended.

    Args:
        file: JSON lines.
        metric: What they are judged by; "loss" is best where it is lowest.
    """

    def __init__(self, file: Path, metric: str) -> None:
        self._file = file
        self._metric = metric
        lines = read_json_lines(file)
        self.ended = [Trial(**line) for line in lines]
        if file.is_file():  # without the half line of a crash
            write_text(file, "".join(json.dumps(line) + "\n" for line in lines))

    def add(self, trial: Trial) -> None:
        """Write down a trial that has ended."""
        append_json_line(self._file, asdict(trial))
        self.ended.append(trial)

    def ranked(self) -> list[Trial]:
        """Return the complete trials, the best first; of equal ones the earlier."""
        complete = [trial for trial in self.ended if trial.state == "complete"]
        return sorted(complete, key=lambda trial: -worth(trial.figure, self._metric))

    def ask(self, search: SearchSection) -> "optuna.Trial":
        """Return the next trial, with its values.

        Raises:
            UsageError: optuna is not there.
        """
        optuna = require_optuna()
        sampler = optuna.samplers.TPESampler(seed=10_000 * search.seed + len(self.ended))
        prune = optuna.pruners.MedianPruner() if search.prune else optuna.pruners.NopPruner()
        study = optuna.create_study(
            direction="minimize" if self._metric == "loss" else "maximize",
            sampler=sampler,
            pruner=prune,
        )
        space = {key: _distribution(of) for key, of in search.dimensions().items()}
        for trial in self.ended:
            study.add_trial(_as_optuna(trial, space))
        return study.ask(space)


def require_optuna() -> Any:
    """Return the library that chooses values.

    Raises:
        UsageError: It is not there.
    """
    try:
        import optuna
    except ModuleNotFoundError:
        raise UsageError("search: needs optuna: pip install 'genolm[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _distribution(of: Dimension) -> Any:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(of, Choices):
        return CategoricalDistribution(of.values)
    if isinstance(of.low, int) and isinstance(of.high, int):
        return IntDistribution(of.low, of.high, log=of.log)
    return FloatDistribution(of.low, of.high, log=of.log)


def _as_optuna(trial: Trial, space: Mapping[str, Any]) -> Any:
    from optuna.trial import TrialState, create_trial

    states = {
        "complete": TrialState.COMPLETE,
        "pruned": TrialState.PRUNED,
        "failed": TrialState.FAIL,
    }
    return create_trial(
        state=states[trial.state],
        value=trial.figure if trial.state == "complete" else None,
        params=trial.values,
        distributions=dict(space),
        intermediate_values=dict(enumerate(trial.by_epoch)),
    )


def report_epochs(asked: "optuna.Trial", by_epoch: Sequence[float], reported: int) -> bool:
    """Tell optuna the validations after the first ``reported`` ones; say whether to give up."""
    for epoch, figure in enumerate(by_epoch[reported:], start=reported):
        if math.isfinite(figure):
            asked.report(figure, epoch)
    return bool(asked.should_prune())
