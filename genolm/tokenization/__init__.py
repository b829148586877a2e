"""DNA to token ids: one base is one id.

The tokenizer for Hugging Face's world (``DNATokenizer``) needs transformers and is imported on
first use; the byte table that data takes (``encode``) needs numpy alone.
"""

from typing import TYPE_CHECKING, Any

from genolm.tokenization.complement import complement_map, reverse_complement_ids
from genolm.tokenization.encode import Encoded, EncodingCounts, decode, encode

if TYPE_CHECKING:
    from genolm.tokenization.tokenizer import CaduceusTokenizer as CaduceusTokenizer
    from genolm.tokenization.tokenizer import DNATokenizer as DNATokenizer
    from genolm.tokenization.tokenizer import HyenaDNATokenizer as HyenaDNATokenizer

__all__ = [
    "CaduceusTokenizer",
    "DNATokenizer",
    "Encoded",
    "EncodingCounts",
    "HyenaDNATokenizer",
    "complement_map",
    "decode",
    "encode",
    "reverse_complement_ids",
]


def __getattr__(name: str) -> Any:
    """Import the tokenizer classes, and transformers with them, on first use."""
    if name in ("DNATokenizer", "CaduceusTokenizer", "HyenaDNATokenizer"):
        from genolm.tokenization import tokenizer

        return getattr(tokenizer, name)
    raise AttributeError(f"module 'genolm.tokenization' has no attribute {name!r}")
