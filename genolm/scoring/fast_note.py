"""What an output says of ``--fast``: which mode, its settings, and how far it was from exact."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class ErrorSummary:
    """Absolute differences between the scores of a fast mode and the exact ones, in nats.

    Attributes:
        alleles: How many were compared.
        median: Half of them are smaller.
        p99: 99 % of them are smaller.
        largest: The largest of them.
    """

    alleles: int
    median: float
    p99: float
    largest: float

    @classmethod
    def of(cls, differences: ArrayLike) -> Self:
        """Summarise differences (alleles,), of which there is at least one."""
        sizes = np.abs(np.asarray(differences, dtype=np.float64))
        median, p99 = np.quantile(sizes, (0.5, 0.99)).tolist()
        return cls(sizes.size, median, p99, float(sizes.max()))

    def text(self) -> str:
        """Return the numbers in words."""
        return (
            f"error median {self.median:.1e}, p99 {self.p99:.1e}, max {self.largest:.1e} nats"
            f" on {self.alleles} alleles"
        )


@dataclass(frozen=True, slots=True)
class FastNote:
    """A fast mode as it was run.

    Attributes:
        mode: Its name, such as ``seeded_window``.
        settings: Its numbers by name, such as R.
        error: What it was off by when it was calibrated.
    """

    mode: str
    settings: Mapping[str, int]
    error: ErrorSummary

    def line(self) -> str:
        """Return the header line, structured so that htslib keeps it."""
        pairs = ",".join(f"{name}={value}" for name, value in self.settings.items())
        error = self.error
        return (
            f"##genolmFast=<ID={self.mode},{pairs},error_median={error.median:.3g},"
            f"error_p99={error.p99:.3g},error_max={error.largest:.3g},"
            f"error_alleles={error.alleles}>"
        )

    def values(self) -> dict[str, str | int | float]:
        """Return the same by name, for formats that have names."""
        return {
            "fast": self.mode,
            **{f"fast_{name}": value for name, value in self.settings.items()},
            "fast_error_median": self.error.median,
            "fast_error_p99": self.error.p99,
            "fast_error_max": self.error.largest,
            "fast_error_alleles": self.error.alleles,
        }

    def text(self) -> str:
        """Return the same in words."""
        settings = "".join(f" {name}={value}" for name, value in self.settings.items())
        return f"--fast {self.mode}{settings}, {self.error.text()}"
