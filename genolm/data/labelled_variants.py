"""Variants with their labels as text, held against a genome: those that a model can learn from.

The rules are those of scoring: what cannot be scored is left out and counted by its reason, contig
aliases are resolved, and more than half of the REF alleles wrong is an error.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

from genolm.data.build_check import BuildCheck
from genolm.data.edit_windows import GenomeWindows
from genolm.data.sites import SiteReader
from genolm.data.variant_sources import VariantSource, open_source
from genolm.errors import InputError
from genolm.genome.aliases import ContigResolver
from genolm.genome.edits import Edit
from genolm.genome.variant import Variant
from genolm.genome.vcf import VcfRecord

MISSING: Final = frozenset({"", ".", "NA"})
"""What stands where a variant has no label."""
NO_LABEL: Final = "no_label"
CONTIG: Final = "chrom"
"""The group of a variant that is its contig, whatever the file."""
_ANY_SIZE: Final = 1 << 62

Says = Callable[[VcfRecord], str | None]


@dataclass(frozen=True, slots=True)
class LabelledVariants:
    """Alleles with what is said about them.

    Attributes:
        name: The file.
        edits: What changes, in the genome's own contig names.
        variants: The same as the file has it.
        labels: As text.
        groups: Variants of one group are kept together when a part is held out; empty without.
        places: ``file:line`` of each.
        skipped: How many alleles of the file were left out, by reason.
        strata: What each is judged among; empty without.
        label_names: None here: labels stand in one column.
    """

    name: str
    edits: list[Edit]
    variants: list[Variant]
    labels: list[str]
    groups: list[str]
    places: list[str]
    skipped: Counter[str] = field(default_factory=Counter)
    strata: list[str] = field(default_factory=list)
    label_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.edits)

    def place(self, index: int) -> str:
        """Return ``file:line`` of a variant, for messages."""
        return self.places[index]

    def take(self, indices: Iterable[int]) -> Self:
        """Return the chosen variants, in that order; the counts stay those of the file."""
        chosen = list(indices)
        return replace(
            self,
            edits=[self.edits[i] for i in chosen],
            variants=[self.variants[i] for i in chosen],
            labels=[self.labels[i] for i in chosen],
            groups=[self.groups[i] for i in chosen] if self.groups else [],
            strata=[self.strata[i] for i in chosen] if self.strata else [],
            places=[self.places[i] for i in chosen],
        )

    def fitting(self, window: int) -> Self:
        """Return the variants that a window holds; the others are counted as ``too_long``.

        Raises:
            InputError: None is left.
        """
        kept = [i for i, edit in enumerate(self.edits) if edit.size <= window // 2]
        long = len(self) - len(kept)
        counts = self.skipped + Counter({"too_long": long} if long else {})
        found = replace(self.take(kept), skipped=counts)
        return found.require_some()

    def require_some(self) -> Self:
        """Return the set itself.

        Raises:
            InputError: It holds no variant.
        """
        if self.edits:
            return self
        why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(self.skipped.items()))
        raise InputError(f"{self.name}: no labelled variant to use ({why or 'no record'})")


def read_labelled_variants(
    path: str | Path,
    genome: GenomeWindows,
    *,
    reference: str,
    label: str,
    group: str | None = None,
    group_match: str | None = None,
    stratum: str | None = None,
    chrom: str | None = None,
) -> LabelledVariants:
    """Read variants and their labels.

    Args:
        path: VCF or BCF, or a table with the columns chrom, pos (1-based), ref and alt.
        genome: Where REF must stand.
        reference: How messages call it.
        label: INFO key, or column. Of a record with several ALT alleles it holds a value for each,
            with commas between them, or one for all. Alleles without one (nothing, ``.`` or
            ``NA``) are left out.
        group: INFO key or column; ``chrom`` is the contig, whatever the file. None for no groups.
        group_match: Regular expression; the part of a group's name that it matches, from the
            beginning, is the group. None for the whole name.
        stratum: INFO key or column with what a variant is judged among; None for none.
        chrom: Column with the contig, where a table calls it by no usual name.

    Raises:
        UsageError: There is no such file.
        InputError: It is no such file, has no such key or column, a group that ``group_match`` does
            not match, or is of another genome.
    """
    with open_source(str(path), chrom=chrom) as source:
        reader = _Reader(source, genome, reference, label, group, stratum, group_match)
        for record in source.records:
            reader.add(record)
        return reader.finish()


class _Reader:
    def __init__(
        self,
        source: VariantSource,
        genome: GenomeWindows,
        reference: str,
        label: str,
        group: str | None,
        stratum: str | None,
        group_match: str | None,
    ) -> None:
        self._source = source
        self._label = label
        self._keys: dict[str, None] = {}
        self._resolver = ContigResolver(genome.contigs, source.contig_lengths)
        self._says = self._saying(label)
        self._group = None if group is None else self._saying(group)
        self._match = None if group_match is None else re.compile(group_match)
        self._stratum = None if stratum is None else self._saying(stratum)
        if group == CONTIG:
            self._group = lambda record: self._resolver.resolve(record.chrom)
        self._sites = SiteReader(genome, self._resolver, _ANY_SIZE)
        self._check = BuildCheck(source.name, reference, strict=False, place=source.place)
        self._found = LabelledVariants(source.name, [], [], [], [], [])

    def _saying(self, name: str) -> Says:
        """Return what reads a column, or an INFO key, of a record."""
        table = self._source.table
        if table is None:
            return lambda record: self._info(record).get(name)
        if name == CONTIG:
            return lambda record: record.chrom
        headings = [column.name.strip() for column in table.columns]
        if headings.count(name) != 1:
            problem = "no column" if name not in headings else "two columns"
            raise InputError(
                f"{self._source.name}:1: {problem} {name!r}; the columns are {', '.join(headings)}"
            )
        place = headings.index(name)
        return lambda record: None if record.cells[place] is None else str(record.cells[place])

    def _info(self, record: VcfRecord) -> Mapping[str, str]:
        pairs = (entry.partition("=") for entry in record.info.split(";"))
        found = {key: value for key, equals, value in pairs if equals}
        self._keys |= dict.fromkeys(found)
        return found

    def add(self, record: VcfRecord) -> None:
        """Take in the alleles of a record."""
        site = self._sites.read(record.chrom, record.start, record.ref, record.alts)
        self._check.see(record, site)
        labels = self._labels(record)
        for allele, alt, label in zip(site.alleles, record.alts, labels, strict=True):
            if isinstance(allele, str):
                self._found.skipped[allele] += 1
            elif label in MISSING:
                self._found.skipped[NO_LABEL] += 1
            else:
                self._keep(record, allele, alt, label)

    def _keep(self, record: VcfRecord, edit: Edit, alt: str, label: str) -> None:
        found, place = self._found, self._source.place(record.number)
        if self._group is not None:
            found.groups.append(self._name_group(self._group(record), place))
        if self._stratum is not None:
            found.strata.append((self._stratum(record) or ".").strip())
        found.edits.append(edit)
        found.variants.append(Variant(record.chrom, record.start, record.ref, alt))
        found.labels.append(label)
        found.places.append(place)

    def _name_group(self, group: str | None, place: str) -> str:
        if group is None or group.strip() in MISSING:
            raise InputError(f"{place}: the variant has no group (data.group)")
        name = group.strip()
        if self._match is None:
            return name
        found = self._match.match(name)
        if found is None or not found[0]:
            raise InputError(
                f"{place}: data.group_match {self._match.pattern!r} matches nothing where the group"
                f" {name!r} begins"
            )
        return found[0]

    def _labels(self, record: VcfRecord) -> Sequence[str]:
        """The label of each allele of a record."""
        count = len(record.alts)
        said = (self._says(record) or "").strip()
        if count == 1:
            return [said]
        each = [part.strip() for part in said.split(",")]
        if len(each) not in (1, count):
            raise InputError(
                f"{self._source.place(record.number)}: {self._label} has {len(each)} values for "
                f"{count} ALT alleles; give one for each, or one for all"
            )
        return each if len(each) == count else each * count

    def finish(self) -> LabelledVariants:
        """Return what was found."""
        self._check.finish()
        for name, reason in self._resolver.refused.items():
            raise InputError(f"{self._source.name}: {name}: {reason}")
        if self._source.table is None and self._keys and self._label not in self._keys:
            known = ", ".join(list(self._keys)[:20])
            raise InputError(
                f"{self._source.name}: no record has the INFO key {self._label!r} (data.label); "
                f"there are {known}"
            )
        return self._found.require_some()


def describe_skipped(skipped: Mapping[str, int]) -> Iterator[str]:
    """Yield ``count reason`` for everything that was left out, the most frequent first."""
    for reason, count in sorted(skipped.items(), key=lambda item: (-item[1], item[0])):
        yield f"{count:,} {reason}"
