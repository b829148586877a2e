"""Soft prompts: vectors before every sequence are trained, and the model itself is not.

Lester et al. 2021 (arXiv 2104.08691), for DNA as in HyenaDNA (arXiv 2306.15794, section 4.3): the
input is [vectors] sequence [SEP], and the loss that of the label's letter.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from genolm.errors import UsageError
from genolm.evaluation.prompt_tuning import Tuning, tune
from genolm.evaluation.prompts import Answers, Ids, Reader, letters_of, log_shares, question
from genolm.genome.sequence import reverse_complement
from genolm.models.backbone import GenolmModel
from genolm.scoring.batches import BatchSize
from genolm.tokenization.vocabulary import VOCABULARY
from genolm.training.judge import Scores, judge
from genolm.training.labelled_parts import LabelledPart, LabelledParts

SPREAD: Final = 0.02
"""Standard deviation of the vectors before training."""

DROPOUT: Final = 0.1


@dataclass(frozen=True)
class SoftPrompt:
    """Trained vectors, and what the model says after them.

    Attributes:
        vectors: To be put before embedded sequences (vectors, d_model).
        answers: Of the held-out and the test rows.
    """

    vectors: Tensor
    answers: Answers


def tune_soft_prompt(
    model: GenolmModel,
    parts: LabelledParts,
    *,
    vectors: int = 32,
    tuning: Tuning | None = None,
    both_strands: bool = False,
    length: int | None = None,
    seed: int = 1,
    batch_size: BatchSize = "auto",
) -> SoftPrompt:
    """Train vectors that make a causal model answer with the letter of the label.

    Args:
        model: A causal language model; it stays as it is.
        parts: A labelled set of two to five exclusive classes. The held-out rows choose the epoch,
            the test part is judged once.
        vectors: How many.
        tuning: How; None for 20 epochs at most, as in the paper.
        both_strands: Also learn from the other strand of each train row.
        length: Bases after which sequences are cut; None leaves them whole.
        seed: Of the vectors, the order and the dropout.
        batch_size: Questions a batch when the model is judged, or "auto".

    Raises:
        UsageError: The model, the labels or the length do not fit.
    """
    if vectors < 1:
        raise UsageError(f"vectors {vectors}: one at least")
    letters, reader = letters_of(parts), Reader(model, batch_size=batch_size)
    ids = [VOCABULARY[letter] for letter in letters.values()]
    rows, answers = _examples(parts.train, ids, length, both_strands)
    valid, test = (_examples(part, ids, length, False)[0] for part in (parts.valid, parts.test))
    reader.require_length([*rows, *valid, *test], vectors)
    targets = np.array(ids)[parts.valid.targets]
    with _frozen(model), torch.random.fork_rng():
        torch.manual_seed(seed)
        words = cast(Tensor, model.get_input_embeddings().weight)
        prompt = nn.Parameter(SPREAD * torch.randn(vectors, words.shape[1]).to(words))

        def logits_of(some: Sequence[Ids]) -> Tensor:
            return reader.logits(some, functional.dropout(prompt, DROPOUT))

        def validate() -> float:
            said = log_shares(reader.ask(valid, prompt.detach()))
            return float(-said[np.arange(len(said)), targets].mean())

        tune(logits_of, [prompt], rows, answers, tuning or Tuning(), seed, validate)
    found: list[Scores] = [
        log_shares(reader.ask(asked, prompt.detach())[:, ids]) for asked in (valid, test)
    ]
    at_valid, at_test = (
        judge(scores, part.targets, "classification")
        for scores, part in zip(found, (parts.valid, parts.test), strict=True)
    )
    return SoftPrompt(prompt.detach(), Answers(letters, at_valid, at_test, found[1]))


def _examples(
    part: LabelledPart, ids: Sequence[int], length: int | None, both_strands: bool
) -> tuple[list[Ids], list[int]]:
    """Return questions and the tokens that answer them, of both strands where wanted."""
    sequences = list(part.rows.sequences)
    answers = [ids[int(label)] for label in part.targets]
    if both_strands:
        sequences += [reverse_complement(sequence) for sequence in sequences]
        answers += answers
    return [question(sequence[:length]) for sequence in sequences], answers


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Keep gradients from every weight of a model during the block."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
