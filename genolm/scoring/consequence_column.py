"""What scored alleles do to genes, beside their numbers: two text fields from an annotation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from genolm.console import say
from genolm.genome.consequences import TERMS, ConsequenceCaller
from genolm.genome.edits import Edit
from genolm.genome.fasta import Fasta
from genolm.scoring.fields import PREFIX, Result, ScoreField, TextedValues, TextField

NAMED: Final = 5  # contigs that a message lists
_IN_INFO: Final = "!#$'()*+/:<>?@[]^`{|}\"\\"  # all that VCF allows but for & , ; = % and blanks

CONSEQUENCE: Final = TextField(
    f"{PREFIX}CSQ",
    "consequence",
    "Most severe consequence over all transcripts of --annotation, . where the allele was not "
    "scored; from the most to the least severe: " + " ".join(TERMS),
)
GENE: Final = TextField(
    f"{PREFIX}GENE",
    "gene",
    f"Gene that {PREFIX}CSQ is about, several joined by &, . for none",
)


class ConsequenceColumn:
    """An annotation, ready to say what alleles do.

    Args:
        annotation: GFF3, GTF or GenBank.
        fasta: The genome.
        code: NCBI's number of the genetic code where nothing else is said.

    Attributes:
        fields: What ``add`` adds.
        caller: What finds the consequences.

    Raises:
        UsageError: There is no such file.
        InputError: The annotation is malformed, or does not belong to the genome.
    """

    fields: Sequence[ScoreField] = (CONSEQUENCE, GENE)

    def __init__(self, annotation: str | Path, fasta: Fasta, *, code: int) -> None:
        self.caller = ConsequenceCaller(annotation, fasta, code=code)
        text = f"{annotation}: {self.caller.num_transcripts:,} transcripts"
        if missing := list(self.caller.missing):
            listed = ", ".join(missing[:NAMED]) + (", ..." if len(missing) > NAMED else "")
            text += f"; {len(missing)} of its contigs are not in {fasta.name} ({listed})"
        say(text)

    def add(self, alleles: Sequence[Edit | str], results: Sequence[Result]) -> list[Result]:
        """Return results with the consequences of their alleles; reasons are handed through.

        Args:
            alleles: Edits, and reasons in the place of those that were not scored.
            results: One for each.
        """
        return [
            result
            if isinstance(result, str) or isinstance(allele, str)
            else self._texted(allele, result)
            for allele, result in zip(alleles, results, strict=True)
        ]

    def _texted(self, edit: Edit, result: Result) -> TextedValues:
        assert not isinstance(result, str)
        term, genes = self.caller.call(edit.contig, edit.start, edit.ref, edit.alt)
        texts = {CONSEQUENCE.key: term}
        if genes:
            texts[GENE.key] = "&".join(quote(name, safe=_IN_INFO) for name in genes)
        return TextedValues(result, texts)
