"""The SNVs that scores are compared with: drawn from the genome, or read from a file.

Drawn ones are matched by class: for each of the 32 trinucleotides (both strands folded together)
equally many sites, each with its three SNVs. Sites are drawn without replacement, each with the
same chance wherever it lies, in one pass over the genome: the genome is cut into strides, every
stride has one random candidate, and of a trinucleotide's candidates those with the smallest random
numbers are taken. All is a function of the seed and the position, so it does not depend on how the
genome is read. Where candidates are too few the strides are made shorter, down to every base.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genolm.data.build_check import BuildCheck
from genolm.data.edit_windows import GenomeWindows
from genolm.data.randomness import BACKGROUND, random_words, sample_keys
from genolm.data.sites import SiteReader
from genolm.data.trinucleotides import BASES, CHANGES, CONTEXTS, change_of, contexts_at
from genolm.data.variant_sources import open_source
from genolm.errors import UsageError
from genolm.genome.aliases import ContigResolver
from genolm.genome.compression import require_file
from genolm.genome.edits import Edit
from genolm.models.weights import weights_digest
from genolm.scoring.percentiles import FEWEST
from genolm.tokenization.encode import decode

CANDIDATES: Final = 1 << 20
FINER: Final = 8  # how much shorter strides become
SCAN: Final = 1 << 20  # bases looked at together
SNVS_A_SITE: Final = len(BASES) - 1
CHUNK: Final = 4096  # SNVs handed on together
RANDOM: Final = "random"
DEFAULT_SNVS: Final = 100 * len(CHANGES)


@dataclass(frozen=True, slots=True)
class Background:
    """What scores are compared with.

    Attributes:
        text: As the user named it.
        sites: Random sites of every trinucleotide; 0 for a file.
    """

    text: str
    sites: int = 0

    @property
    def snvs(self) -> int:
        """Random SNVs in all."""
        return self.sites * len(CHANGES)

    @property
    def name(self) -> str:
        """What it is, whatever it is called: ``random:N``, or the digest of the file."""
        if self.sites:
            return f"{RANDOM}:{self.snvs}"
        return f"sha256:{weights_digest(Path(self.text))}"


def parse_background(text: str) -> Background:
    """Read ``random``, ``random:N`` or the name of a file.

    Raises:
        UsageError: N is no number or too small, or there is no such file.
    """
    name, colon, number = text.partition(":")
    if name != RANDOM:
        require_file(text)
        return Background(text)
    if colon and not (number.isdecimal() and int(number) >= FEWEST * len(CHANGES)):
        raise UsageError(
            f"--calibrate {text}: write random:N with N from {FEWEST * len(CHANGES)} on"
            f" ({FEWEST} for each of the {len(CHANGES)} trinucleotide changes)"
        )
    wanted = int(number) if colon else DEFAULT_SNVS
    return Background(text, -(-wanted // len(CHANGES)))


def check_background(text: str | None) -> None:
    """Refuse a background that is none before any work is done for it; None is fine.

    Raises:
        UsageError: See ``parse_background``.
    """
    if text is not None:
        parse_background(text)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Sites (n,) that were looked at.

    Attributes:
        contexts: Number of each one's trinucleotide in ``CONTEXTS``.
        priorities: Random numbers; the smallest are taken.
        contigs: Numbers of their contigs.
        starts: Where they lie, 0-based.
    """

    contexts: NDArray[np.int8]
    priorities: NDArray[np.uint64]
    contigs: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "_Candidates":
        return _Candidates(
            self.contexts[chosen],
            self.priorities[chosen],
            self.contigs[chosen],
            self.starts[chosen],
        )


class _Urn:
    """Keeps, of every trinucleotide, the candidates with the smallest random numbers.

    Args:
        size: How many of each.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._parts: list[_Candidates] = []
        self._waiting = 0
        self._limits = np.full(len(CONTEXTS), np.iinfo(np.uint64).max, dtype=np.uint64)

    def add(self, found: _Candidates) -> None:
        """Take in candidates."""
        found = found[found.contexts >= 0]
        found = found[found.priorities <= self._limits[found.contexts]]
        self._parts.append(found)
        self._waiting += len(found.starts)
        if self._waiting > 4 * self._size * len(CONTEXTS):
            self.best()

    def best(self) -> _Candidates:
        """Return what is kept, by trinucleotide and random number."""
        names = ("contexts", "priorities", "contigs", "starts")
        columns = [np.concatenate([getattr(part, name) for part in self._parts]) for name in names]
        whole = _Candidates(*columns)
        whole = whole[np.lexsort((whole.priorities, whole.contexts))]
        edges = np.searchsorted(whole.contexts, np.arange(len(CONTEXTS) + 1))
        places = np.arange(len(whole.starts)) - edges[whole.contexts]
        whole = whole[places < self._size]
        full = np.flatnonzero(np.diff(edges) >= self._size)
        last = whole.contexts.searchsorted(full, side="right") - 1
        self._limits[full] = whole.priorities[last]
        self._parts, self._waiting = [whole], len(whole.starts)
        return whole


def draw_sites(genome: GenomeWindows, sites: int, seed: int) -> list[tuple[str, int]]:
    """Draw sites of every trinucleotide, fewer where the genome has fewer.

    Args:
        genome: Bases in lower case count like the others.
        sites: How many of each of ``CONTEXTS``.
        seed: Another one gives other sites.

    Returns:
        Contigs and 0-based positions, in the order of the genome.
    """
    step = max(1, sum(genome.contigs.values()) // CANDIDATES)
    while True:
        urn = _Urn(sites)
        for found in _candidates(genome, step, seed):
            urn.add(found)
        best = urn.best()
        if step == 1 or len(best.starts) == sites * len(CONTEXTS):
            break
        step = max(1, step // FINER)
    names = list(genome.contigs)
    order = np.lexsort((best.starts, best.contigs))
    pairs = zip(best.contigs[order].tolist(), best.starts[order].tolist(), strict=True)
    return [(names[contig], start) for contig, start in pairs]


def _candidates(genome: GenomeWindows, step: int, seed: int) -> Iterator[_Candidates]:
    """Yield one random position of every stride of ``step`` bases, contigs laid end to end."""
    offset = 0
    for number, (contig, length) in enumerate(genome.contigs.items()):
        for start in range(0, length, SCAN):
            end = min(start + SCAN, length)
            strides = np.arange((offset + start) // step, -(-(offset + end) // step))
            keys = sample_keys(seed, BACKGROUND, step, strides)
            # 32 bits times the stride, then the top half: no bias beyond stride / 2 ** 32.
            inside = ((keys >> np.uint64(32)) * np.uint64(step)) >> np.uint64(32)
            starts = strides * step + inside.astype(np.int64) - offset
            here = (starts >= start) & (starts < end)
            starts, keys = starts[here], keys[here]
            ids = genome.ids(contig, start - 1, end + 1)
            yield _Candidates(
                contexts_at(ids, starts - start + 1),
                random_words(keys, 1)[:, 0],
                np.full(len(starts), number),
                starts,
            )
        offset += length


def snvs_at(genome: GenomeWindows, sites: list[tuple[str, int]]) -> Iterator[list[Edit]]:
    """Yield the three SNVs of every site, some thousands at a time."""
    size = CHUNK // SNVS_A_SITE
    for first in range(0, len(sites), size):
        edits: list[Edit] = []
        for contig, start in sites[first : first + size]:
            ref = decode(genome.ids(contig, start, start + 1))
            edits += [Edit(contig, start, ref, alt) for alt in BASES if alt != ref]
        yield edits


def read_snvs(path: str | Path, genome: GenomeWindows, reference: str) -> Iterator[list[Edit]]:
    """Yield the SNVs of a file that have a class, in its order, some thousands at a time.

    Args:
        path: VCF, BCF or a table of variants; every SNV counts as often as it is there.
        genome: The reference bases.
        reference: How messages call the genome.

    Raises:
        UsageError: There is no such file.
        InputError: Its content is wrong, or is of another genome.
    """
    with open_source(str(path)) as source:
        resolver = ContigResolver(genome.contigs, source.contig_lengths)
        reader = SiteReader(genome, resolver, window=2)
        check = BuildCheck(source.name, reference, strict=False, place=source.place)
        waiting: list[Edit] = []
        for record in source.records:
            site = reader.read(record.chrom, record.start, record.ref, record.alts)
            check.see(record, site)
            edits = (one for one in site.alleles if isinstance(one, Edit))
            waiting += [edit for edit in edits if change_of(genome, edit) is not None]
            if len(waiting) >= CHUNK:
                yield waiting
                waiting = []
        check.finish()
        if waiting:
            yield waiting
