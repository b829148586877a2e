"""A search for the values of a fine-tuning recipe's keys, by the held-out part alone.

OUTPUT/search/recipe.yaml   the recipe with its search
OUTPUT/search/trials.jsonl  one line a trial that has ended
OUTPUT/search/trial-0003/   its run, without a test: the checkpoints of the best one so far are kept

When all trials are done, the best one's run moves to OUTPUT, where it is finished as any other run
is: that is when the test part is judged, once.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genolm import console
from genolm.errors import UsageError
from genolm.training.finetune_stages import train_whole
from genolm.training.finetuning import prepare
from genolm.training.loop import Lines
from genolm.training.machine import choose_device, describe
from genolm.training.patience import best_line
from genolm.training.recipe_files import check_values
from genolm.training.recipe_finetune import FinetuneRecipe
from genolm.training.recipe_search import Choices, Scalar, SearchSection
from genolm.training.run_folder import RunFolder
from genolm.training.search_trials import State, Trial, Trials, report_epochs, require_optuna

if TYPE_CHECKING:
    import optuna

SHOWN = 5
"""Trials that are listed at the end."""


class Search:
    """A search in its folder.

    Args:
        recipe: With a ``search`` section.
        device: "auto", "cpu" or "cuda".
    """

    def __init__(self, recipe: FinetuneRecipe, device: str) -> None:
        assert recipe.search is not None
        self.section: SearchSection = recipe.search
        self.run = RunFolder(recipe.output)
        self.folder = RunFolder(recipe.output / "search")
        self._recipe = recipe.model_copy(update={"search": None})
        self._whole = recipe
        self._device = device
        self._metric = recipe.train.early_stopping_metric

    def find(self, *, restart: bool = False) -> FinetuneRecipe:
        """Do the trials that are not done yet.

        Args:
            restart: Throw away what an earlier search and its run left.

        Returns:
            The recipe with the best values; its output folder holds their training.

        Raises:
            UsageError: optuna is missing, a key or value of the space is wrong, the folder holds
                something else, or no trial could be done.
        """
        require_optuna()
        self._check_space()
        with self.folder.hold():
            self._begin(restart)
            trials = Trials(self.folder.path / "trials.jsonl", self._metric)
            if self.run.is_done() and len(trials.ended) < self.section.trials:
                raise UsageError(
                    f"{self.run.path}: this search has ended and its best trial was judged on the"
                    " test part: give another output for more trials"
                )
            while len(trials.ended) < self.section.trials:
                trials.add(self._try(trials))
                self._forget_all_but(trials.ranked()[:1], trials)
            return self._choose(trials)

    def _check_space(self) -> None:
        for key, of in self.section.dimensions().items():
            for value in of.values if isinstance(of, Choices) else (of.low, of.high):
                self._with({key: value}, self.run.path)

    def _with(self, values: Mapping[str, Scalar], output: Path) -> FinetuneRecipe:
        """Return the recipe with some values changed."""
        changed: dict[str, Any] = self._recipe.model_dump() | {"output": output}
        for key, value in values.items():
            *sections, name = key.split(".")
            section = changed
            for inner in sections:
                section[inner] = section.get(inner) or {}
                section = section[inner]
            section[name] = value
        told = ", ".join(f"{key}={value}" for key, value in values.items())
        return check_values(FinetuneRecipe, changed, f"search.space: {told}")

    def _begin(self, restart: bool) -> None:
        if self.run.record.is_file() and not self.folder.record.is_file():
            raise UsageError(
                f"output: {self.run.path} holds a run that is no search: name another folder"
            )
        self.run.require_ours()
        with prepare(self._recipe, self._device) as session:
            facts = describe(choose_device(self._device)) | {"data": session.parts.digests()}
        self.folder.begin(self._whole, facts, restart=restart)
        if restart:
            self.run.remove()
            for folder in self.folder.path.glob("trial-*"):
                shutil.rmtree(folder)
            (self.folder.path / "trials.jsonl").unlink(missing_ok=True)

    def _try(self, trials: Trials) -> Trial:
        """Do one trial, or go on with one that was stopped."""
        number = len(trials.ended)
        asked = trials.ask(self.section)
        values: dict[str, Scalar] = dict(asked.params)
        told = ", ".join(f"{key} {_say(value)}" for key, value in values.items())
        console.say(f"trial {number + 1} of {self.section.trials}: {told}")
        run = self._place(number)
        try:
            given_up = self._train(self._with(values, run.path), asked)
        except ValueError as error:  # a combination that cannot be, or a training that diverged
            console.warn(f"trial {number + 1} failed: {error}")
            return Trial(number, values, "failed", reason=str(error))
        lines = run.read_lines()
        best = best_line(lines, self._metric)
        by_epoch = self._figures(lines)
        state: State = "failed" if best is None else "pruned" if given_up else "complete"
        return Trial(
            number,
            values,
            state,
            figure=None if best is None else best[f"valid_{self._metric}"],
            by_epoch=by_epoch,
            epochs=len(by_epoch),
            seconds=round(lines[-1]["seconds"], 3) if lines else 0.0,
            reason="" if best else f"no epoch has a {self._metric} on the held-out part",
        )

    def _train(self, recipe: FinetuneRecipe, asked: "optuna.Trial") -> bool:
        """Train without a look at the test part; tell whether it was given up early."""
        reported, given_up = 0, False

        def gives_up(lines: Lines) -> bool:
            nonlocal reported, given_up
            figures = self._figures(lines)
            given_up = report_epochs(asked, figures, reported)
            reported = len(figures)
            return given_up

        with prepare(recipe, self._device) as session, session.run.hold():
            facts = describe(session.device) | {"data": session.parts.digests()}
            session.run.begin(session.recipe, facts, restart=False)
            train_whole(session, gives_up)
        return given_up

    def _figures(self, lines: Lines) -> list[float]:
        name = f"valid_{self._metric}"
        return [float(line[name]) for line in lines if line.get(name) is not None]

    def _place(self, number: int) -> RunFolder:
        return RunFolder(self.folder.path / f"trial-{number:04d}")

    def _forget_all_but(self, kept: list[Trial], trials: Trials) -> None:
        for trial in trials.ended:
            if trial not in kept:
                self._place(trial.number).remove_weights()

    def _choose(self, trials: Trials) -> FinetuneRecipe:
        ranked = trials.ranked()
        if not ranked:
            last = trials.ended[-1].reason
            raise UsageError(f"search: none of {len(trials.ended)} trials could be done: {last}")
        best = ranked[0]
        console.say(f"trials by valid {self._metric}:")
        for trial in ranked[:SHOWN]:
            told = ", ".join(f"{key} {_say(value)}" for key, value in trial.values.items())
            console.say(f"  {trial.figure:.4f}  trial {trial.number + 1}: {told}")
        self._place(best.number).move_to(self.run)
        return self._with(best.values, self.run.path)


def _say(value: Scalar) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
