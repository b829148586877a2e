"""The sizes that the kernels are timed at."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """One size of an operator's call.

    Attributes:
        batch: Sequences.
        length: Positions.
        channels: d_inner of a scan, in heads of 64 for ssd; those of one part of a gated
            convolution.
        inner: State size of a scan, width of a short filter; a long filter's is `length`.
        reference: Whether the reference is fast enough to be timed.
    """

    batch: int
    length: int
    channels: int
    inner: int = 0
    reference: bool = True

    @property
    def elements(self) -> int:
        """What the work grows with: outputs, times the state size or the width of a filter."""
        return self.batch * self.length * self.channels * max(1, self.inner)

    def __str__(self) -> str:
        sizes = (self.batch, self.length, self.channels, self.inner)
        return "x".join(str(size) for size in sizes if size)


SHAPES: dict[str, tuple[Shape, ...]] = {
    "selective_scan": (
        Shape(8, 512, 128, 16),
        Shape(8, 512, 192, 16),
        Shape(1, 1024, 256, 16),
        Shape(32, 256, 236, 16),
        Shape(1, 8192, 256, 16, reference=False),
    ),
    "ssd": (
        Shape(8, 512, 128, 64),
        Shape(1, 1024, 512, 64),
        Shape(1, 8192, 256, 16, reference=False),
        Shape(1, 8192, 512, 64, reference=False),
    ),
    "causal_conv1d": (
        Shape(8, 512, 128, 4),
        Shape(8, 1024, 384, 3),
        Shape(1, 32768, 256, 4),
    ),
    "gated_short_conv": (
        Shape(8, 512, 128, 3),
        Shape(1, 160000, 128, 3, reference=False),
    ),
    "add_norm": (
        Shape(8, 512, 128),
        Shape(1, 32768, 256),
    ),
    "fft_conv": (
        Shape(8, 512, 128),
        Shape(8, 1026, 128),
        Shape(1, 32768, 256),
        Shape(1, 160000, 32),
    ),
}
