"""Shards: of every ``count`` blocks of records, one belongs to each."""

import re
from dataclasses import dataclass
from typing import Final

from genolm.errors import UsageError

SHARD_BLOCK: Final = 64
BLOCK_MARK: Final = "##genolmBlock"  # begins every block of a shard's TSV or CSV
END_MARK: Final = "##genolmEnd"  # ends it
BLOCK_COLUMN: Final = "genolm_block"  # numbers the blocks of a shard's Parquet
_LINE: Final = re.compile(r"##genolmShard=<ID=(\d+),Count=(\d+),Block=(\d+)(?:,Records=(\d+))?>")


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of a scoring.

    Attributes:
        number: From 0.
        count: How many parts there are.
        block: Records of a block.
        records: How many there are in all, where the line that says so can be written last.
    """

    number: int
    count: int
    block: int = SHARD_BLOCK
    records: int | None = None

    def line(self) -> str:
        """Return the header line, structured so that htslib keeps it.

        Its length does not depend on the number of records.
        """
        records = "" if self.records is None else f",Records={self.records:012}"
        return f"##genolmShard=<ID={self.number},Count={self.count},Block={self.block}{records}>"

    @classmethod
    def from_line(cls, line: str) -> "Shard | None":
        """Read what ``line`` wrote, None where this is another line."""
        match = _LINE.fullmatch(line)
        return cls(*(int(one) for one in match.groups() if one)) if match else None


def parse_shard(text: str) -> tuple[int, int]:
    """Read ``i/n`` with i from 0 to n - 1.

    Raises:
        UsageError: The text is something else.
    """
    number, slash, count = text.partition("/")
    if slash and number.isdecimal() and count.isdecimal() and int(number) < int(count):
        return int(number), int(count)
    raise UsageError(f"--shard {text}: write i/n with i from 0 to n-1, such as 0/4")
