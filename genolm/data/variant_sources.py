"""Variants to read, as one kind of stream: VCF or BCF, a table, variants as arguments."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from genolm.data.variant_tables import VariantTable, is_variant_table, open_variant_table
from genolm.genome.compression import source_name
from genolm.genome.regions import Regions
from genolm.genome.variant import Variant, parse_variant
from genolm.genome.vcf import VcfRecord, open_vcf, pos_from_start

MINIMAL_COLUMNS: Final = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
_FILE: Final = re.compile(r".*\.(vcf|bcf|gz|bgz|txt)", re.IGNORECASE)
_SPELLED: Final = re.compile(r"[^/,]+[:_-][0-9]+[:_-].*", re.DOTALL)


@dataclass
class VariantSource:
    """Records in order, and what the output takes over from their file.

    Attributes:
        name: How messages call it.
        records: The records; can be gone through once.
        header: The ``##`` lines of a VCF; for other inputs what a VCF begins with.
        columns: The ``#CHROM`` line.
        newline: What ends the header's lines.
        contig_lengths: Lengths that the input declares.
        is_vcf: Whether the input is VCF or BCF.
        table: The table that the records are rows of, None for other inputs.
        place: Returns how messages call the record with a number.
        is_file: Whether the records come from a file, which is read without waiting for anybody.
    """

    name: str
    records: Iterator[VcfRecord]
    header: list[str] = field(default_factory=lambda: ["##fileformat=VCFv4.2"])
    columns: str = MINIMAL_COLUMNS
    newline: str = "\n"
    contig_lengths: dict[str, int] = field(default_factory=dict)
    is_vcf: bool = False
    table: VariantTable | None = None
    place: Callable[[int], str] = str
    is_file: bool = False

    def declare(self, contigs: Mapping[str, int]) -> None:
        """Give a header that no file had the contigs of the genome."""
        if not self.is_vcf:
            self.header += [f"##contig=<ID={n},length={size}>" for n, size in contigs.items()]


@contextmanager
def open_source(
    text: str, regions: Regions | None = None, *, chrom: str | None = None
) -> Iterator[VariantSource]:
    """Open what was named on the command line.

    Args:
        text: A file, "-" for VCF on standard input, or variants with commas between them.
        regions: Leave out the records whose POS lies in none of them.
        chrom: Column with the contig, where a table calls it by no usual name.

    Raises:
        UsageError: There is no such file, or the variants are misspelt.
        InputError: The content of the file is wrong.
    """
    if is_variant_list(text):
        variants = [parse_variant(piece) for piece in text.split(",")]
        yield VariantSource("the command line", _within(_as_records(variants), regions))
    elif is_variant_table(text):
        table = open_variant_table(text, chrom)
        records = _within(table.records(), regions)
        is_file = Path(text).is_file()
        yield VariantSource(text, records, table=table, place=table.place, is_file=is_file)
    else:
        name = source_name(text)
        with open_vcf(text, regions) as reader:
            yield VariantSource(
                name,
                iter(reader),
                reader.header,
                reader.columns,
                reader.newline,
                reader.contig_lengths,
                is_vcf=True,
                place=lambda number: f"{name}:{number}",
                is_file=text != "-" and Path(text).is_file(),
            )


def is_variant_list(text: str) -> bool:
    """Say whether an input is spelt as variants, and no file of that name is there."""
    spelled = _SPELLED.fullmatch(text) and not _FILE.fullmatch(text)
    return bool(spelled) and not is_variant_table(text) and not Path(text).exists()


def _as_records(variants: list[Variant]) -> Iterator[VcfRecord]:
    for number, one in enumerate(variants, 1):
        pos = pos_from_start(one.start)
        line = f"{one.chrom}\t{pos}\t.\t{one.ref}\t{one.alt}\t.\t.\t."
        yield VcfRecord(line, "\n", number, one.chrom, one.start, one.ref, (one.alt,), ".")


def _within(records: Iterator[VcfRecord], regions: Regions | None) -> Iterator[VcfRecord]:
    if regions is None:
        return records
    return (record for record in records if regions.hold(record.chrom, record.start))
