"""Bases to token ids through one byte table: the path that all data takes.

The rule: ``ACGT`` in either case keep their id, ``U`` reads as T, every other IUPAC letter
(``RYSWKMBDHVN``) is N, and any other byte is an error. Lower case is soft-masking: it is counted,
and kept as a repeat mask when asked for.
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genolm.errors import InputError
from genolm.tokenization.vocabulary import CHARACTERS, A, C, G, N, T

# A coded byte holds the id in its low four bits and what was said about the letter above them.
_ID_BITS: Final = 0x0F
_INVALID: Final = 0x10
_AMBIGUOUS: Final = 0x20
_URACIL: Final = 0x40
SOFT_MASKED: Final = 0x80

_CHUNK: Final = 1 << 20  # counting stays inside the processor's cache


def _coded_table() -> bytes:
    letters = dict(zip("ACGTN", (A, C, G, T, N), strict=True))
    letters["U"] = T | _URACIL
    letters.update(dict.fromkeys("RYSWKMBDHV", N | _AMBIGUOUS))
    table = bytearray([_INVALID]) * 256
    for letter, code in letters.items():
        table[ord(letter)] = code
        table[ord(letter.lower())] = code | SOFT_MASKED
    return bytes(table)


_CODED: Final = _coded_table()
_TO_LETTER: Final = bytes(ord(CHARACTERS[i - A]) if A <= i <= N else 0 for i in range(256))


@dataclass(frozen=True, slots=True)
class EncodingCounts:
    """How many letters were not plainly A, C, G or T.

    Attributes:
        ambiguous: IUPAC letters other than N that were read as N.
        uracil: ``U`` read as T.
        soft_masked: Letters in lower case.
        n: ``N`` or ``n`` itself.
    """

    ambiguous: int = 0
    uracil: int = 0
    soft_masked: int = 0
    n: int = 0

    def __add__(self, other: "EncodingCounts") -> "EncodingCounts":
        """Add field by field, for a genome of many contigs."""
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return EncodingCounts(**sums)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one sequence and what was noticed on the way.

    Attributes:
        ids: Token ids (length,), uint8, values 7 to 11.
        counts: Letters that were not plainly A, C, G or T.
        repeat_mask: True where the letter was lower case (length,), or None.
    """

    ids: NDArray[np.uint8]
    counts: EncodingCounts
    repeat_mask: NDArray[np.bool_] | None = None


def _as_bytes(
    sequence: bytes | bytearray | str | NDArray[np.uint8], source: str, offset: int
) -> bytes:
    if isinstance(sequence, str):
        try:
            return sequence.encode("latin-1")
        except UnicodeEncodeError as error:
            shown = repr(sequence[error.start])
            raise _not_a_base(source, offset + error.start, shown) from None
    if isinstance(sequence, np.ndarray):
        if sequence.dtype != np.uint8 or sequence.ndim != 1:
            raise ValueError(f"expected uint8 (length,), got {sequence.dtype} {sequence.shape}")
        return sequence.tobytes()
    return bytes(sequence)


def _not_a_base(source: str, position: int, shown: str) -> InputError:
    return InputError(
        f"{source}: {shown} at position {position + 1} (counted from 1) is not a base;"
        " allowed are A C G T U N and the IUPAC letters RYSWKMBDHV, in either case"
    )


def _count(coded: NDArray[np.uint8], flag: int) -> int:
    starts = range(0, len(coded), _CHUNK)
    return sum(int(np.count_nonzero(coded[i : i + _CHUNK] & np.uint8(flag))) for i in starts)


def _count_n(coded: NDArray[np.uint8]) -> int:
    starts = range(0, len(coded), _CHUNK)
    return sum(int(np.count_nonzero(coded[i : i + _CHUNK] & np.uint8(0x7F) == N)) for i in starts)


def encode(
    sequence: bytes | bytearray | str | NDArray[np.uint8],
    *,
    repeat_mask: bool = False,
    source: str = "sequence",
    offset: int = 0,
) -> Encoded:
    """Turn letters into token ids.

    Args:
        sequence: Letters (length,), as text, bytes or an array of their byte values.
        repeat_mask: Also return where the letters were lower case.
        source: What the error message calls the sequence (a file, a line, a contig).
        offset: Letters before this piece of a longer sequence, for the position in the message.

    Returns:
        Token ids (length,) with counts.

    Raises:
        InputError: A byte that is no base, with its position and value.
    """
    raw = _as_bytes(sequence, source, offset)
    coded = np.frombuffer(raw.translate(_CODED), dtype=np.uint8)
    seen = int(np.bitwise_or.reduce(coded)) if len(coded) else 0
    if seen & _INVALID:
        position = int(np.argmax(coded == _INVALID))
        shown = f"byte 0x{raw[position]:02X} {chr(raw[position])!r}"
        raise _not_a_base(source, offset + position, shown)
    counts = EncodingCounts(
        ambiguous=_count(coded, _AMBIGUOUS) if seen & _AMBIGUOUS else 0,
        uracil=_count(coded, _URACIL) if seen & _URACIL else 0,
        soft_masked=_count(coded, SOFT_MASKED) if seen & SOFT_MASKED else 0,
        n=_count_n(coded),
    )
    ids = coded & np.uint8(_ID_BITS)
    return Encoded(ids, counts, (coded & np.uint8(SOFT_MASKED)) != 0 if repeat_mask else None)


def decode(ids: NDArray[np.integer]) -> str:
    """Turn token ids of bases back into upper-case letters.

    Args:
        ids: Token ids (length,), values 7 to 11.

    Raises:
        ValueError: An id that is not a base or N.
    """
    array = np.asarray(ids)
    if array.size and (array.min() < A or array.max() > N):
        raise ValueError(f"ids {A} to {N} are bases, got {array.min()} to {array.max()}")
    return array.astype(np.uint8).tobytes().translate(_TO_LETTER).decode("ascii")
