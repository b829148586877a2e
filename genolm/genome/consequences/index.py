"""Which transcripts lie at a place: bins of each contig, made when it is first asked for."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from genolm.genome.consequences.transcript import Transcript

BIN_BITS: Final = 14  # 16 kb: few transcripts in a bin, few bins for a transcript


class TranscriptIndex:
    """Transcripts by contig and place.

    Args:
        transcripts: Those of each contig, in any order.
    """

    def __init__(self, transcripts: Mapping[str, Sequence[Transcript]]) -> None:
        self._transcripts = transcripts
        self._bins: dict[str, dict[int, array[int]]] = {}

    def overlapping(self, contig: str, start: int, end: int) -> Iterator[Transcript]:
        """Yield the transcripts with bases among those of an edit, in the order of the file.

        Args:
            contig: The FASTA's name.
            start: First base, 0-based; an insertion (``end`` equals it) stands before it and lies
                on the transcripts that have the bases on both sides of it.
            end: The base after the last one.
        """
        transcripts = self._transcripts.get(contig)
        if transcripts is None:
            return
        bins = self._bins.get(contig)
        if bins is None:
            bins = self._bins[contig] = _make_bins(transcripts)
        low, high = (start - 1, end + 1) if start == end else (start, end)
        first, last = low >> BIN_BITS, (high - 1) >> BIN_BITS
        numbers: Iterable[int] = bins.get(first, ())
        if last > first:
            found = {n for number in range(first, last + 1) for n in bins.get(number, ())}
            numbers = sorted(found)
        # An insertion needs both neighbours, everything else one base.
        begins, stops = (start, end) if start == end else (end, start)
        for number in numbers:
            bounds = transcripts[number].bounds
            if bounds[0] < begins and bounds[-1] > stops:
                yield transcripts[number]


def _make_bins(transcripts: Sequence[Transcript]) -> "dict[int, array[int]]":
    bins: dict[int, array[int]] = {}
    for number, one in enumerate(transcripts):
        for place in range(one.start >> BIN_BITS, (one.end - 1 >> BIN_BITS) + 1):
            bins.setdefault(place, array("l")).append(number)
    return bins
