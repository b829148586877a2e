"""The twelve tokens that HyenaDNA and Caduceus share, by name and by number."""

from typing import Final

CLS: Final = 0
SEP: Final = 1
BOS: Final = 2
MASK: Final = 3
PAD: Final = 4
RESERVED: Final = 5
UNK: Final = 6
A: Final = 7
C: Final = 8
G: Final = 9
T: Final = 10
N: Final = 11

VOCABULARY: Final[dict[str, int]] = {
    "[CLS]": CLS,
    "[SEP]": SEP,
    "[BOS]": BOS,
    "[MASK]": MASK,
    "[PAD]": PAD,
    "[RESERVED]": RESERVED,
    "[UNK]": UNK,
    "A": A,
    "C": C,
    "G": G,
    "T": T,
    "N": N,
}
VOCAB_SIZE: Final = len(VOCABULARY)
BASE_IDS: Final = (A, C, G, T)
CHARACTERS: Final = ("A", "C", "G", "T", "N")
