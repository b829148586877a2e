"""Equal-length windows of the reference and of the alternative haplotype, as token ids.

Coordinates are 0-based half-open. The haplotype of an edit is the contig with the edit made: up
to the edit both haplotypes have the same coordinates, after it they differ by the change in
length.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genolm.genome.edits import Edit
from genolm.genome.fasta import Fasta
from genolm.tokenization.encode import encode
from genolm.tokenization.vocabulary import A, C, G, N, T

BLOCK: Final = 1 << 16  # bases decoded at a time: 16 MiB for all the blocks that are kept
BLOCKS_KEPT: Final = 256
_IDS: Final = bytes.maketrans(b"ACGTacgt", bytes((A, C, G, T) * 2))


def allele_ids(bases: str) -> NDArray[np.uint8]:
    """Return token ids of an allele that is known to be A, C, G, T in either case.

    ``encode`` checks and counts as well, which costs more than the rest of reading a record.
    """
    return np.frombuffer(bases.encode("ascii").translate(_IDS), dtype=np.uint8)


class GenomeWindows:
    """Token ids of any stretch of a FASTA, decoded block by block in constant memory.

    Threads may share it: one reads records while another one scores.

    Args:
        fasta: An open FASTA.
    """

    def __init__(self, fasta: Fasta) -> None:
        self.contigs = fasta.contigs
        self._fasta = fasta
        self._blocks: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def ids(self, contig: str, start: int, end: int) -> NDArray[np.uint8]:
        """Return token ids (end - start,), 7 to 11, with N where the contig has no bases."""
        found = np.full(max(0, end - start), N, dtype=np.uint8)
        first, last = max(0, start), min(end, self.contigs[contig])
        for number in range(first // BLOCK, -(-last // BLOCK)):
            begin = number * BLOCK
            low, high = max(first, begin), min(last, begin + BLOCK)
            block = np.frombuffer(self._block(contig, number), dtype=np.uint8)
            found[low - start : high - start] = block[low - begin : high - begin]
        return found

    def matches(self, contig: str, start: int, bases: str) -> bool:
        """Whether ``bases`` (A, C, G, T in either case) stand at ``start`` of ``contig``."""
        end = start + len(bases)
        if start < 0 or end > self.contigs[contig]:
            return False
        if len(bases) == 1:
            block = self._block(contig, start // BLOCK)
            return block[start % BLOCK] == _IDS[ord(bases)]
        return bool((self.ids(contig, start, end) == allele_ids(bases)).all())

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what another process makes for itself."""
        return {"contigs": self.contigs, "_fasta": self._fasta}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _blocks=OrderedDict(), _lock=threading.Lock())

    def _block(self, contig: str, number: int) -> bytes:
        """Return token ids as bytes: one of them is had 10 times faster than from an array."""
        key = (contig, number)
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
            else:
                self._blocks[key] = self._decode(contig, number * BLOCK)
                if len(self._blocks) > BLOCKS_KEPT:
                    self._blocks.popitem(last=False)
            return self._blocks[key]

    def _decode(self, contig: str, start: int) -> bytes:
        letters = self._fasta.fetch(contig, start, min(start + BLOCK, self.contigs[contig]))
        source = f"{self._fasta.path}: {contig} from base {start + 1}"
        return encode(letters, source=source).ids.tobytes()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the windows of an edit begin, each in the coordinates of its own haplotype.

    On the forward strand both windows begin at the same base, and the far end of the shorter
    allele's window takes in more of what follows. The reverse strand mirrors this: both windows
    end at the same base, so that whatever is read before the edit is again the same.
    """

    ref: int
    alt: int
    ref_reverse: int
    alt_reverse: int


def window_start(wanted: int, window: int, contig_length: int) -> int:
    """Shift a window inside its contig; one longer than the contig holds all of it.

    Args:
        wanted: Where the window would begin.
        window: Bases in all.
        contig_length: Bases of the contig.

    Returns:
        The start, negative when N must be put before the contig.
    """
    low, high = sorted((0, contig_length - window))
    return min(max(wanted, low), high)


def place(edit: Edit, window: int, contig_length: int) -> Placement:
    """Centre the windows of an edit: the middle of the longer allele stands at ``window // 2``.

    Args:
        edit: At most ``window // 2`` bases long.
        window: Bases in all.
        contig_length: Bases of the reference contig.
    """
    assert edit.size <= window // 2
    centred = edit.start + edit.size // 2 - window // 2
    grown = len(edit.alt) - len(edit.ref)
    alt_length = contig_length + grown
    return Placement(
        ref=window_start(centred, window, contig_length),
        alt=window_start(centred, window, alt_length),
        ref_reverse=window_start(centred - max(0, grown), window, contig_length),
        alt_reverse=window_start(centred - max(0, -grown), window, alt_length),
    )


def alt_ids(genome: GenomeWindows, edit: Edit, start: int, window: int) -> NDArray[np.uint8]:
    """Return the window (window,) of the edited contig that begins at ``start``.

    Args:
        genome: Where the unchanged bases come from.
        edit: Must lie inside the window.
        start: In coordinates of the edited contig.
        window: Bases in all.
    """
    assert start <= edit.start <= start + window - len(edit.alt)
    before = genome.ids(edit.contig, start, edit.start)
    changed = allele_ids(edit.alt)
    resume = edit.start + len(edit.ref)
    after = genome.ids(edit.contig, resume, resume + window - len(before) - len(changed))
    return np.concatenate((before, changed, after))
