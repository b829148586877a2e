"""Read the transcripts of an annotation, whatever its format; the bases are the FASTA's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genolm.errors import InputError
from genolm.genome.aliases import ContigResolver
from genolm.genome.compression import open_decompressed, source_name
from genolm.genome.consequences.codons import check_code
from genolm.genome.consequences.contigs import AnnotatedContigs
from genolm.genome.consequences.genbank import genbank_transcripts
from genolm.genome.consequences.gff import gff_transcripts
from genolm.genome.consequences.transcript import Transcript
from genolm.genome.content import HEAD_BYTES, kind_of
from genolm.genome.fasta import Fasta


@dataclass(frozen=True, slots=True)
class TranscriptSet:
    """What an annotation says of a genome.

    Attributes:
        transcripts: Those of each contig, by the FASTA's name.
        missing: Contigs that the genome does not have, as the annotation names them.
    """

    transcripts: Mapping[str, Sequence[Transcript]]
    missing: Sequence[str]


def read_transcripts(
    path: str | Path, fasta: Fasta, resolver: ContigResolver, code: int
) -> TranscriptSet:
    """Read the transcripts on the contigs of a genome, without any sequence.

    Args:
        path: GFF3, GTF or GenBank; plain, gzip or bgzip, told apart by content.
        fasta: The genome.
        resolver: Knows its contigs.
        code: NCBI's number of the genetic code where nothing else is said.

    Raises:
        UsageError: There is no such file, or no such code.
        InputError: It is malformed, or does not belong to the genome.
    """
    check_code(code)
    name = source_name(path)
    with open_decompressed(path) as stream:
        kind = kind_of(stream.read(HEAD_BYTES))
    contigs = AnnotatedContigs(fasta, resolver)
    if kind == "a GenBank file":
        found = genbank_transcripts(path, contigs, code)
    elif kind in ("a GFF file", None):  # GTF has no mark of its own
        found = gff_transcripts(path, contigs, code)
    else:
        raise InputError(f"{name} is {kind}; GenBank, GFF3 or GTF is needed")
    if not any(found.values()):
        if contigs.missing:
            raise InputError(
                f"{name}: none of its contigs is in {fasta.name} (another genome, or other names:"
                f" {', '.join(list(contigs.missing)[:5])})"
            )
        raise InputError(f"{name}: no gene, transcript, exon or CDS in it")
    return TranscriptSet(found, tuple(contigs.missing))
