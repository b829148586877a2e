"""What variants do to genes: transcripts of an annotation, and the effect of an allele on them."""

from genolm.genome.consequences.caller import Consequence, ConsequenceCaller
from genolm.genome.consequences.terms import ORDER as TERMS

__all__ = ["TERMS", "Consequence", "ConsequenceCaller"]
