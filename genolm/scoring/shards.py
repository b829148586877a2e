"""Shards: of every ``count`` blocks of records, one belongs to each."""

import re
from dataclasses import dataclass
from typing import Final

from genolm.errors import UsageError

SHARD_BLOCK: Final = 64
BLOCK_MARK: Final = "##genolmBlock"  # begins every block of a shard's TSV or CSV
END_MARK: Final = "##genolmEnd"  # ends it
BLOCK_COLUMN: Final = "genolm_block"  # numbers the blocks of a shard's Parquet
_LINE: Final = re.compile(r"##genolmShard=<ID=(\d+),Count=(\d+),Block=(\d+)>")


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of a scoring.

    Attributes:
        number: From 0.
        count: How many parts there are.
        block: Records of a block.
    """

    number: int
    count: int
    block: int = SHARD_BLOCK

    def line(self) -> str:
        """Return the header line, structured so that htslib keeps it."""
        return f"##genolmShard=<ID={self.number},Count={self.count},Block={self.block}>"

    @classmethod
    def from_line(cls, line: str) -> "Shard | None":
        """Read what ``line`` wrote, None where this is another line."""
        match = _LINE.fullmatch(line)
        return cls(*map(int, match.groups())) if match else None


def parse_shard(text: str) -> tuple[int, int]:
    """Read ``i/n`` with i from 0 to n - 1.

    Raises:
        UsageError: The text is something else.
    """
    number, slash, count = text.partition("/")
    if slash and number.isdecimal() and count.isdecimal() and int(number) < int(count):
        return int(number), int(count)
    raise UsageError(f"--shard {text}: write i/n with i from 0 to n-1, such as 0/4")
