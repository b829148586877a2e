"""Labels as letters: what a causal language model is shown, and what it says comes next.

HyenaDNA (arXiv 2306.15794, section 4.3) writes a label as one of the model's own letters after a
separator, so that a model which only guesses the next token can be asked for it:

    sequence [SEP] letter                                  an example
    sequence [SEP] letter [SEP] ... sequence [SEP]         demonstrations, then a question
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genolm.errors import UsageError
from genolm.models import maximum_length
from genolm.models.backbone import GenolmModel
from genolm.models.causal_cache import CausalCache
from genolm.models.configuration import GenolmConfig
from genolm.models.language import CausalLanguageModel
from genolm.modules.precision import at_least_float32
from genolm.scoring.batches import Batches, BatchSize
from genolm.tokenization.encode import encode
from genolm.tokenization.vocabulary import SEP, VOCABULARY
from genolm.training.judge import Figures, Scores
from genolm.training.labelled_parts import LabelledParts

LETTERS: Final = {2: "AN", 3: "AGN", 4: "ACGN", 5: "ACGTN"}
"""The letter of each class, by the number of classes; of two and three as the paper has them."""

Ids = NDArray[np.uint8]


@dataclass(frozen=True)
class Answers:
    """What a model says of a labelled set when it is asked in letters.

    Attributes:
        letters: By class, in the order of the classes.
        valid: Figures on the held-out rows.
        test: Figures on the test part, with ``n``.
        scores: Log-odds of the letters in each test row (rows, classes).
    """

    letters: dict[str, str]
    valid: Figures
    test: Figures
    scores: Scores


def letters_of(parts: LabelledParts) -> dict[str, str]:
    """Return the letter of every class.

    Raises:
        UsageError: The labels are not two to five exclusive classes.
    """
    names = parts.space.names
    if parts.train.targets.ndim != 1 or len(names) not in LETTERS:
        raise UsageError(
            f"labels as letters: two to five exclusive classes are needed, not {len(names)} labels"
            " of a row; use a fine-tuned head"
        )
    return dict(zip(names, LETTERS[len(names)], strict=True))


def question(sequence: str) -> Ids:
    """Return token ids (bases + 1,) after which the letter of a label comes."""
    return np.append(encode(sequence).ids, np.uint8(SEP))


def demonstration(sequence: str, letter: str) -> Ids:
    """Return token ids (bases + 3,) of a sequence and its label, ready to be followed."""
    end = np.array([VOCABULARY[letter], SEP], dtype=np.uint8)
    return np.concatenate([question(sequence), end])


def log_shares(scores: Scores) -> Scores:
    """Return scores (rows, classes) as the logarithms of probabilities."""
    return np.asarray(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))


class Reader:
    """A causal language model that says what comes next.

    Questions of one length are run together and none is ever padded. Demonstrations that all
    questions share are read once where the model can go on from what it remembers.

    Args:
        model: It is put into evaluation mode.
        batch_size: Questions a batch, or "auto".

    Raises:
        UsageError: The model is no causal language model.
    """

    def __init__(self, model: GenolmModel, *, batch_size: BatchSize = "auto") -> None:
        if not isinstance(model, CausalLanguageModel):
            raise UsageError(
                f"labels as letters: {type(model).__name__} does not guess the next token; a causal"
                " language model is needed (model_type hyenadna, or caduceus with"
                " bidirectional: false)"
            )
        model.eval()  # type: ignore[no-untyped-call]  # transformers' own
        self.model = model
        self.batches = Batches(next(model.parameters()).device, batch_size)

    def require_length(self, questions: Sequence[Ids], before: int) -> None:
        """Refuse questions that the model cannot read after ``before`` positions.

        Raises:
            UsageError: The message says how long it may be.
        """
        most = maximum_length(cast(GenolmConfig, self.model.config))
        longest = before + max(map(len, questions))
        if most is not None and longest > most:
            raise UsageError(
                f"labels as letters: {before:,} positions before a question and the longest"
                f" question take {longest:,} tokens, and this model reads {most:,}: take fewer"
                " demonstrations or vectors, or cut the sequences (length)"
            )

    def ask(self, questions: Sequence[Ids], before: Ids | Tensor | None = None) -> Scores:
        """Return the logits of the token after each question.

        Args:
            questions: Token ids, (length,) each.
            before: What stands before every question: token ids (length,), or vectors
                (length, d_model); None for nothing.

        Returns:
            Logits (questions, vocabulary).

        Raises:
            UsageError: They are longer than the model reads.
        """
        self.require_length(questions, 0 if before is None else len(before))
        cache = None
        if isinstance(before, np.ndarray) and self.model.resumable:
            with torch.inference_mode():
                cache = self.model.remember(self._tensor([before]))
            before = None
        by_length: dict[int, list[int]] = defaultdict(list)
        for number, ids in enumerate(questions):
            by_length[len(ids)].append(number)
        found: dict[int, Scores] = {}
        for length, numbers in by_length.items():
            tokens = length + (0 if before is None else len(before))
            alike = [questions[number] for number in numbers]
            parts = self.batches.run(lambda some: self._run(some, before, cache), alike, tokens)
            found |= zip(numbers, np.concatenate(parts), strict=True)
        return np.stack([found[number] for number in range(len(questions))])

    def _tensor(self, rows: Sequence[Ids]) -> Tensor:
        return torch.from_numpy(np.stack(rows).astype(np.int64)).to(self.batches.device)

    def _run(
        self, rows: Sequence[Ids], before: Ids | Tensor | None, cache: CausalCache | None
    ) -> Scores:
        if cache is not None:
            index = torch.zeros(len(rows), dtype=torch.int64, device=self.batches.device)
            logits, _ = self.model.resume(self._tensor(rows), cache.rows(index))
            logits = logits[:, -1]
        else:
            logits = self.logits(rows, before)
        return np.asarray(at_least_float32(logits).double().cpu().numpy())

    def logits(self, rows: Sequence[Ids], before: Ids | Tensor | None = None) -> Tensor:
        """Return the logits (rows, vocabulary) after questions of one length, with gradients."""
        if isinstance(before, np.ndarray):
            rows, before = [np.concatenate([before, row]) for row in rows], None
        ids = self._tensor(rows)
        if before is None:
            return cast(Tensor, self.model(input_ids=ids).logits[:, -1])
        words = self.model.get_input_embeddings()(ids)
        shared = before.to(words.dtype).expand(len(rows), *before.shape)
        return cast(Tensor, self.model(inputs_embeds=torch.cat([shared, words], 1)).logits[:, -1])
