"""Predict on a file of sequences: its columns, and what the model says, in the same order."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from genolm import __version__
from genolm.console import meter, warn
from genolm.data.columns import Column
from genolm.errors import InputError
from genolm.models.backbone import GenolmModel
from genolm.models.token_classification import TokenClassifier
from genolm.scoring.model_files import model_digest, model_name
from genolm.scoring.predict import SequencePredictor
from genolm.scoring.predict_tokens import TokenPredictor
from genolm.scoring.runtime import Runtime
from genolm.scoring.sequences import chunks, read_sequences
from genolm.scoring.tables import check_table, open_table

CHUNK: Final = 1024


@dataclass(frozen=True, slots=True)
class PredictionJob:
    """Everything that one prediction on a file needs to know.

    Attributes:
        input: FASTA, CSV, TSV, Parquet or BED; "-" is FASTA on standard input.
        model: Folder of a fine-tuned model.
        output: TSV, CSV or Parquet by its name; "-" is TSV on standard output.
        reference: The FASTA that a BED refers to.
        column: The column of a table that holds the bases.
        probabilities: Whether a model of bases gives probabilities; one of sequences always does.
        runtime: How the model is run.
    """

    input: str
    model: str
    output: str
    reference: str | None = None
    column: str = "sequence"
    probabilities: bool = False
    runtime: Runtime = field(default_factory=Runtime)


@dataclass(frozen=True, slots=True)
class PredictionSummary:
    """What a prediction came to.

    Attributes:
        sequences: Sequences predicted on.
        truncated: Of those, how many were cut to the model's length.
        seconds: Time from the first sequence to the last.
    """

    sequences: int
    truncated: int
    seconds: float

    def line(self) -> str:
        """Return the closing line."""
        rate = self.sequences / max(self.seconds, 1e-9)
        return (
            f"{self.sequences} sequences, {self.truncated} truncated in {self.seconds:.1f} s"
            f" ({rate:.1f} sequences/s)"
        )


def predict_file(job: PredictionJob) -> PredictionSummary:
    """Predict on every sequence of a file and write the table, whole or not at all.

    Raises:
        UsageError: An option, a file that is not there, or a model that is no classifier.
        InputError: The content of a file; nothing is published then.
    """
    job.runtime.check()
    check_table(job.output)
    table = read_sequences(job.input, column=job.column, fasta=job.reference)
    model, _ = job.runtime.load(job.model)
    predictor = _make_predictor(model, job)
    columns = _join(job.input, table.columns, predictor.columns)
    origin = f"genolm {__version__}, model {model_name(job.model)}"
    metadata = {"genolm": f"{origin}, sha256 {model_digest(job.model)}"}
    count = 0
    started = time.monotonic()
    with (
        open_table(job.output, columns, metadata) as write,
        meter("predicting", "sequences") as shown,
    ):
        for rows in chunks(table.rows, CHUNK):
            if isinstance(predictor, TokenPredictor):
                predictor.require_fit(rows)
            predicted = predictor.predict([row.sequence for row in rows])
            write([*row.values, *new] for row, new in zip(rows, predicted, strict=True))
            count += len(rows)
            shown.advance(len(rows))
    if predictor.truncated:
        warn(
            f"{predictor.truncated} of {count} sequences are longer than the model reads"
            f" ({predictor.length} bases): their right end was cut off"
        )
    return PredictionSummary(count, predictor.truncated, time.monotonic() - started)


def _make_predictor(model: GenolmModel, job: PredictionJob) -> SequencePredictor | TokenPredictor:
    batch_size = job.runtime.batch_size
    if isinstance(model, TokenClassifier):
        return TokenPredictor(model, batch_size=batch_size, probabilities=job.probabilities)
    return SequencePredictor(model, batch_size=batch_size)


def _join(name: str, given: Sequence[Column], new: Sequence[Column]) -> list[Column]:
    taken = {column.name for column in given}
    for column in new:
        if column.name in taken:
            raise InputError(
                f"{name}: has a column {column.name!r} already, which is what the prediction is"
                " called; rename it"
            )
    return [*given, *new]
