"""Tiles of the genome that neighbouring sites share, and the segment of each site.

Tiles begin at the multiples of a step, so that they depend on the genome alone. A site belongs to
the tile in which it is nearest to the middle, half a step away from it at most; at the ends of a
contig tiles are shifted inside, as the windows of the exact score are.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from genolm.data.edit_windows import window_start

FINEST: Final = 32  # bases: segments begin at multiples of it, counted from a tile's first site
MOST_PLACES: Final = 32
LEAST_GAIN: Final = 1.2
# Per base, in passes of the model over a window; benchmarks/saturate.py --fast prints what it is
# worth. A pass over segments reads no logits but those asked for, and no last layer but to there.
READING: Final = 1.0
SEGMENT: Final = 0.75


class Segment(NamedTuple):
    """A piece of a tile."""

    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Tiling:
    """How sites share work.

    Attributes:
        window: Bases of a tile.
        step: Bases from one tile to the next.
        radius: Bases that a segment has on either side of its site, at least.
    """

    window: int
    step: int
    radius: int

    @property
    def stride(self) -> int:
        """Bases from one place where segments begin to the next."""
        return min(self.step, max(FINEST, self.step // MOST_PLACES))

    @property
    def places(self) -> int:
        """How many places of a tile are remembered, about."""
        return self.step // self.stride + 1

    def tile(self, middle: int, contig_length: int) -> int:
        """Return where the tile of a site begins.

        Args:
            middle: The site's middle base on its contig.
            contig_length: Bases of the contig.
        """
        wanted = middle - self.window // 2
        start = (wanted + self.step // 2) // self.step * self.step
        return window_start(start, self.window, contig_length)

    def segment(self, first: int, last: int) -> Segment:
        """Return the segment of hidden bases.

        Args:
            first: The first of them, in the tile.
            last: The last of them.
        """
        origin = self.window // 2 - self.step // 2
        begin = (first - origin) // self.stride
        cells = (last - origin) // self.stride - begin + 1
        length = min(self.window, 2 * self.radius + cells * self.stride)
        start = origin + begin * self.stride - self.radius
        return Segment(min(max(start, 0), self.window - length), length)

    def pays(self, segments: int, length: int) -> bool:
        """Whether a tile's segments, of so many bases in all, take less than passes of their own.

        Args:
            segments: How many sites share the tile.
            length: Bases of all their segments together.
        """
        cost = READING * self.window + SEGMENT * length
        return segments * self.window >= LEAST_GAIN * cost
