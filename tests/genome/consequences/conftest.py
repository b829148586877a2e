"""What asks for the consequences of variants."""

import pytest

from genolm.genome import Fasta
from genolm.genome.consequences import ConsequenceCaller


@pytest.fixture
def caller_of(write):
    """A caller made of contigs and of the text of an annotation."""

    def make(contigs, annotation, name="a.gff3", **options):
        text = "".join(f">{contig}\n{bases}\n" for contig, bases in contigs.items())
        fasta = Fasta(write("g.fa", text))
        return ConsequenceCaller(write(name, annotation), fasta, **options)

    return make
