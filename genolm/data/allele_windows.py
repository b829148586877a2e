"""The REF and the ALT window of an edit, and where the edit stands in each."""

from genolm.data.edit_windows import GenomeWindows, Placement, alt_ids
from genolm.genome.edits import Edit
from genolm.tokenization.complement import reverse_complement_ids

SitedWindow = tuple[bytes, int]  # token ids, and the position of the edit among them


def window_pair(
    genome: GenomeWindows, edit: Edit, placed: Placement, window: int, *, reverse: bool
) -> tuple[SitedWindow, SitedWindow]:
    """Return the windows of both alleles on one strand, of equal length.

    The edit's position is its first changed base as the strand is read, or, where an allele has
    none there, the base that follows.

    Args:
        genome: The reference bases.
        edit: What changes.
        placed: Where the windows begin.
        window: Bases of each.
        reverse: Whether the strand is the reverse one.
    """
    ref, alt = (placed.ref_reverse, placed.alt_reverse) if reverse else (placed.ref, placed.alt)
    ids = genome.ids(edit.contig, ref, ref + window)
    changed = alt_ids(genome, edit, alt, window)
    sites = edit.start - ref, edit.start - alt
    last = window - 1
    if reverse:
        ids, changed = reverse_complement_ids(ids), reverse_complement_ids(changed)
        sites = opposite_site(sites[0], edit.ref, window), opposite_site(sites[1], edit.alt, window)
    inside = [min(max(site, 0), last) for site in sites]
    return (ids.tobytes(), inside[0]), (changed.tobytes(), inside[1])


def opposite_site(site: int, allele: str, window: int) -> int:
    """Return where an allele stands in the same window as the other strand reads it.

    Args:
        site: The first base of the allele on this strand.
        allele: Its bases; the first that the other strand reads is the last of these. Without any,
            it is the base before ``site``, which that strand reads next.
        window: Bases of the window.
    """
    return min(max(window - site - len(allele), 0), window - 1)
