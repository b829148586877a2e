"""What baselines see of variants: the class of change, the bases around, the neighbours."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from genolm.data.edit_windows import GenomeWindows
from genolm.data.trinucleotides import change_of
from genolm.genome.edits import Edit
from genolm.tokenization.encode import decode

RADIUS: Final = 5  # bases on either side: k-mers of 6 bases reach no further


def category(genome: GenomeWindows, edit: Edit) -> str:
    """Return one of the 96 trinucleotide changes, or what else an edit is."""
    change = change_of(genome, edit)
    if change is not None:
        return change.name
    if len(edit.ref) == len(edit.alt):
        return "substitution"
    return "insertion" if len(edit.alt) > len(edit.ref) else "deletion"


def local_texts(genome: GenomeWindows, edit: Edit) -> tuple[str, str]:
    """Return the bases around an edit, with REF and with ALT."""
    end = edit.start + len(edit.ref)
    before = decode(genome.ids(edit.contig, edit.start - RADIUS, edit.start))
    after = decode(genome.ids(edit.contig, end, end + RADIUS))
    return before + edit.ref + after, before + edit.alt + after


def count_near(known: Sequence[Edit], asked: Sequence[Edit], distance: int) -> int:
    """Count the edits that stand within some bases of one that is known, on the same contig."""
    starts: dict[str, list[int]] = {}
    for edit in known:
        starts.setdefault(edit.contig, []).append(edit.start)
    ordered = {contig: np.sort(np.array(places)) for contig, places in starts.items()}
    count = 0
    for edit in asked:
        places = ordered.get(edit.contig)
        if places is None:
            continue
        first, last = np.searchsorted(places, [edit.start - distance, edit.start + distance + 1])
        count += bool(last > first)
    return count
