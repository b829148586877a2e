"""In-context classification: a causal model is shown labelled sequences before each question.

The demonstrations are drawn from the train part, as many of each class; the answer is the letter
that the model finds likeliest to come next. A model that was only pretrained has never seen
letters after separators; ``tune_on_prompts`` shows it some (the k-shot protocol of HyenaDNA).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from genolm.errors import UsageError
from genolm.evaluation.prompt_tuning import Tuning, tune
from genolm.evaluation.prompts import (
    Answers,
    Ids,
    Reader,
    demonstration,
    letters_of,
    log_shares,
    question,
)
from genolm.models.backbone import GenolmModel
from genolm.scoring.batches import BatchSize
from genolm.tokenization.vocabulary import VOCABULARY
from genolm.training.judge import Scores, judge
from genolm.training.labelled_parts import LabelledPart, LabelledParts

PAPER: Final = Tuning(epochs=1, batch_size=2, learning_rate=1e-4)
"""How HyenaDNA's paper tunes a model on prompts."""


def k_shot(
    model: GenolmModel,
    parts: LabelledParts,
    *,
    shots: int = 8,
    draws: int = 1,
    calibrate: bool = True,
    length: int | None = None,
    seed: int = 1,
    batch_size: BatchSize = "auto",
) -> Answers:
    """Classify by what a causal model says after ``shots`` demonstrations; nothing is trained.

    Args:
        model: A causal language model.
        parts: A labelled set of two to five exclusive classes.
        shots: Demonstrations before a question, of all classes in turn; 0 for none.
        draws: Sets of demonstrations; the log-probabilities of the letters are averaged.
        calibrate: Take the mean answer to the held-out rows from every answer, so that no letter
            is likelier because of the model's habits. Their labels are not used.
        length: Bases after which sequences are cut; None leaves them whole.
        seed: Of the demonstrations.
        batch_size: Questions a batch, or "auto".

    Raises:
        UsageError: The model, the labels or the length do not fit.
    """
    if shots < 0 or draws < 1:
        raise UsageError(f"shots {shots}, draws {draws}: none of them can be less than 0 and 1")
    letters, reader = letters_of(parts), Reader(model, batch_size=batch_size)
    prompts = [
        draw_demonstrations(parts.train, shots, letters, (seed, draw), length=length)
        for draw in range(draws)
    ]
    valid, test = (
        np.mean([_answer(reader, part, prompt, length, letters) for prompt in prompts], axis=0)
        for part in (parts.valid, parts.test)
    )
    if calibrate:
        habit = valid.mean(axis=0)
        valid, test = valid - habit, test - habit
    return Answers(
        letters,
        judge(valid, parts.valid.targets, "classification"),
        judge(test, parts.test.targets, "classification"),
        test,
    )


def draw_demonstrations(
    part: LabelledPart,
    shots: int,
    letters: Mapping[str, str],
    seed: Sequence[int],
    *,
    length: int | None = None,
    besides: int | None = None,
) -> Ids | None:
    """Return the token ids of demonstrations one after another, or None for no shots.

    Args:
        part: To draw from.
        shots: How many; classes take turns, in an order drawn anew in each round.
        letters: Of the classes.
        seed: Of the draw.
        length: Bases after which sequences are cut.
        besides: A row that is not drawn.

    Raises:
        UsageError: A class has too few rows.
    """
    if shots == 0:
        return None
    rng = np.random.default_rng(seed)
    there = np.arange(len(part.targets)) != besides
    rows = [
        rng.permutation(np.flatnonzero(there & (part.targets == c))) for c in range(len(letters))
    ]
    turns = [c for _ in range(-(-shots // len(letters))) for c in rng.permutation(len(letters))]
    taken = [0] * len(letters)
    shown: list[Ids] = []
    names = list(letters)
    for label in turns[:shots]:
        if taken[label] == len(rows[label]):
            raise UsageError(
                f"shots {shots}: class {names[label]} has {len(rows[label])} train rows; take fewer"
            )
        row = rows[label][taken[label]]
        taken[label] += 1
        shown.append(demonstration(part.rows.sequences[row][:length], letters[names[label]]))
    return np.concatenate(shown)


def tune_on_prompts(
    model: GenolmModel,
    parts: LabelledParts,
    *,
    samples: int = 256,
    shots: int = 8,
    tuning: Tuning = PAPER,
    length: int | None = None,
    seed: int = 1,
) -> None:
    """Train a causal model, in place, to answer with letters after demonstrations.

    Args:
        model: A causal language model; all its weights are trained.
        parts: A labelled set; only its train part is looked at.
        samples: Questions, each a train row after demonstrations of its own.
        shots: Demonstrations before each.
        tuning: How; the paper's by default.
        length: Bases after which sequences are cut.
        seed: Of the rows, their order and the demonstrations.

    Raises:
        UsageError: The model, the labels or the length do not fit.
    """
    letters, reader = letters_of(parts), Reader(model)
    chosen = np.random.default_rng(seed).permutation(len(parts.train.targets))[:samples]
    rows, targets = [], []
    for number, row in enumerate(chosen):
        label = int(parts.train.targets[row])
        own = question(parts.train.rows.sequences[row][:length])
        prompt = draw_demonstrations(
            parts.train, shots, letters, (seed, 1, number), length=length, besides=int(row)
        )
        rows.append(own if prompt is None else np.concatenate([prompt, own]))
        targets.append(VOCABULARY[list(letters.values())[label]])
    reader.require_length(rows, 0)
    tune(reader.logits, list(model.parameters()), rows, targets, tuning, seed)


def _answer(
    reader: Reader,
    part: LabelledPart,
    prompt: Ids | None,
    length: int | None,
    letters: dict[str, str],
) -> Scores:
    """Return log-probabilities (rows, classes) of the letters, among themselves."""
    questions = [question(sequence[:length]) for sequence in part.rows.sequences]
    said = reader.ask(questions, prompt)[:, [VOCABULARY[letter] for letter in letters.values()]]
    return log_shares(said)
