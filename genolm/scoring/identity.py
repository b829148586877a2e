"""Where the numbers of a scoring come from, and what they depend on besides the alleles."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch

from genolm import __version__
from genolm.genome.fasta import Fasta
from genolm.scoring.calibration_note import CalibrationNote
from genolm.scoring.journal import Identity
from genolm.scoring.model_files import model_name
from genolm.scoring.runtime import Runtime
from genolm.scoring.scorer import VariantScorer
from genolm.scoring.shards import Shard
from genolm.scoring.vcf_output import Provenance


class Job(Protocol):
    """What scoring and saturation are both told."""

    @property
    def command(self) -> str:
        """The command line."""

    @property
    def model(self) -> str:
        """A bundled name, a folder or a hub id."""


def provenance_of(
    job: Job,
    digest: str,
    fasta: Fasta,
    scorer: VariantScorer,
    calibration: CalibrationNote | None,
    shard: Shard | None = None,
) -> Provenance:
    """Return what stands over the numbers of a job.

    Args:
        job: Names the command and the model.
        digest: Of the model's weights.
        fasta: The reference.
        scorer: Its fast mode is named, if it has one.
        calibration: Where percentiles come from; None where there are none.
        shard: Which part of the input is scored; None for all of it.
    """
    return Provenance(
        version=__version__,
        command=job.command,
        model=model_name(job.model),
        model_sha256=digest,
        reference=fasta.name,
        reference_fai_md5=fasta.index_md5(),
        fast=scorer.fast.note if scorer.fast else None,
        calibration=calibration,
        shard=shard,
    )


def identity_of(
    provenance: Provenance,
    fasta: Fasta,
    window: int,
    scores: Sequence[str],
    runtime: Runtime,
    options: Mapping[str, str | int | None],
) -> Identity:
    """Return all that has to be the same for numbers to be taken over from an earlier run.

    Args:
        provenance: Names model, weights, index of the reference, and which shard is scored.
        fasta: The reference; other bases of the same lengths have the same index.
        window: Bases in all.
        scores: Names of the scores.
        runtime: How the model is run.
        options: Other options, by the name that messages use.
    """
    file = fasta.path.stat()
    return {
        "genolm": provenance.version,
        "torch": torch.__version__,
        "model": provenance.model_sha256,
        "reference": provenance.reference_fai_md5,
        "reference file": f"{file.st_size} bytes, {file.st_mtime_ns} ns",
        "window": window,
        "scores": ",".join(scores),
        "dtype": runtime.dtype,
        "device": runtime.device_type,
        "shard": provenance.shard.line() if provenance.shard else None,
        "fast": provenance.fast.line() if provenance.fast else None,
        **options,
    }
