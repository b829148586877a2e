"""What the numbers of a scoring depend on besides the alleles."""

from collections.abc import Mapping, Sequence

import torch

from genolm.genome.fasta import Fasta
from genolm.scoring.journal import Identity
from genolm.scoring.runtime import Runtime
from genolm.scoring.vcf_output import Provenance


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
