"""Labelled variants from the files of a recipe, and how they are split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genolm.data.edit_windows import GenomeWindows
from genolm.data.holdout import split_groups, split_holdout
from genolm.data.labelled_variants import CONTIG, LabelledVariants, read_labelled_variants
from genolm.data.labels import LabelSpace
from genolm.data.labels import Task as Label
from genolm.errors import UsageError
from genolm.genome.aliases import ContigResolver
from genolm.genome.fasta import Fasta
from genolm.training.recipe_finetune import LabelledSection
from genolm.training.variant_parts import VariantPart, VariantParts


@dataclass(frozen=True)
class VariantFiles:
    """What a recipe's files hold, before it is split.

    Attributes:
        data: The recipe's section.
        genome: The reference bases.
        train: Without what ``test_groups`` takes out of it.
        valid: None where it is held out of train.
        test: From its own file, or of train's test groups.
    """

    data: LabelledSection
    genome: GenomeWindows
    train: LabelledVariants
    valid: LabelledVariants | None
    test: LabelledVariants

    def split(self, space: LabelSpace, window: int, seed: int) -> VariantParts:
        """Leave out what a window does not hold, turn labels into numbers and hold out a part.

        Args:
            space: What labels can be.
            window: Bases of a window.
            seed: Of the held-out part.

        Raises:
            UsageError: A part would be empty, or there is no such group.
            InputError: A label is not one of train's, or not a number; or no variant is left.
        """

        def part(rows: LabelledVariants) -> VariantPart:
            return VariantPart(rows, space.encode(rows), self.genome)

        whole, test = self.train.fitting(window), self.test.fitting(window)
        # What was left out of a file that both parts come from counts for train.
        own = test.skipped if self.data.test else test.skipped - self.test.skipped
        skipped = {"train": whole.skipped, "test": own}
        learned = part(whole)
        if self.valid is not None:
            held = self.valid.fitting(window)
            skipped["valid"] = held.skipped
            train, valid = learned, part(held)
        else:
            stay, out = self._hold_out(whole, space.task, seed)
            train, valid = (
                VariantPart(whole.take(at), learned.targets[at], self.genome) for at in (stay, out)
            )
        edges = self.data.stratum_edges
        return VariantParts(space, train, valid, part(test), learned, window, skipped, edges)

    def _hold_out(
        self, whole: LabelledVariants, task: Label, seed: int
    ) -> tuple[list[int], list[int]]:
        data = self.data
        if data.valid_groups is not None:
            contigs = data.group == CONTIG
            stay, out = divide(whole, data.valid_groups, "valid_groups", contigs=contigs)
        elif data.group is not None:
            try:
                stay, out = split_groups(whole.groups, data.valid_fraction, seed)
            except ValueError as error:
                raise UsageError(f"data.group: {data.group}: {error}") from None
        else:
            classes = None if task == "regression" else whole.labels
            stay, out = split_holdout(len(whole), data.valid_fraction, seed, classes=classes)
        if not stay or not out:
            lacks = "train on" if not stay else "choose an epoch by"
            raise UsageError(
                f"data: {len(whole)} variants with valid_fraction {data.valid_fraction} leave "
                f"nothing to {lacks}"
            )
        return stay, out


def read_variant_files(data: LabelledSection) -> VariantFiles:
    """Read labelled variants.

    Raises:
        UsageError: When a file or a group is missing.
        InputError: When a file is not what it should be, or is of another genome.
    """
    assert data.fasta is not None
    for part in ("test", "valid"):
        if getattr(data, part) is not None and getattr(data, f"{part}_groups") is not None:
            raise UsageError(f"data.{part}_groups: data.{part} is given; leave one of them out")
    genome = GenomeWindows(Fasta(data.fasta))
    train = _read(data, data.train, genome)
    valid = None if data.valid is None else _read(data, data.valid, genome)
    if data.test is not None:
        return VariantFiles(data, genome, train, valid, _read(data, data.test, genome))
    if data.test_groups is None:
        raise UsageError("data.test is required, or data.group and data.test_groups")
    stay, out = divide(train, data.test_groups, "test_groups", contigs=data.group == CONTIG)
    return VariantFiles(data, genome, train.take(stay), valid, train.take(out))


def _read(data: LabelledSection, path: Path, genome: GenomeWindows) -> LabelledVariants:
    assert isinstance(data.label, str)
    return read_labelled_variants(
        path,
        genome,
        reference=str(data.fasta),
        label=data.label,
        group=data.group,
        group_match=data.group_match,
        stratum=data.stratum,
        chrom=data.chrom,
    )


def divide(
    rows: LabelledVariants, names: Sequence[str], key: str, *, contigs: bool = False
) -> tuple[list[int], list[int]]:
    """Return the variants outside some groups, and those inside.

    Args:
        rows: Variants with groups.
        names: Of groups.
        key: Of the recipe, for messages.
        contigs: Whether groups are contigs, which have aliases.

    Raises:
        UsageError: There is no such group, or nothing is left outside.
    """
    known = sorted(set(rows.groups))
    if contigs:
        resolver = ContigResolver(dict.fromkeys(known, 0))
        names = [resolver.resolve(name) or name for name in names]
    for name in names:
        if name not in known:
            listed = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
            raise UsageError(f"data.{key}: {rows.name} has no group {name!r}; there are {listed}")
    chosen = set(names)
    numbers = range(len(rows))
    stay = [i for i in numbers if rows.groups[i] not in chosen]
    if not stay:
        raise UsageError(f"data.{key}: no group of {rows.name} is left to train on")
    return stay, [i for i in numbers if rows.groups[i] in chosen]
