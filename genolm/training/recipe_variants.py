"""The keys of a fine-tuning recipe's data that are for variants, and what goes with what."""

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import Field

from genolm.training.recipe_types import Count, Name, Names, Section

VARIANT_EFFECT = "variant_effect"


class VariantKeys(Section):
    """What variants need besides their file; some of it also named intervals of a genome."""

    fasta: Path | None = Field(
        default=None,
        description="of variants, and of BED intervals: the genome (FASTA, plain or bgzip)",
    )
    window: Count | None = Field(
        default=None,
        description="of variants: bases that the model reads of each allele; null = the model's "
        "training length, or 1024; of BED intervals: bases that contigs are cut into",
    )
    kind: Literal["classification", "regression"] = Field(
        default="classification", description="of variants: what their labels are"
    )
    chrom: Name | None = Field(
        default=None, description="of variants: column with the contig; null = chrom and the like"
    )
    group: Name | None = Field(
        default=None,
        description="of variants: INFO key or column whose values are held out whole, such as the "
        "element or gene; chrom = the contig; null = variants are held out one by one",
    )
    group_match: Name | None = Field(
        default=None,
        description="of variants: regular expression; what of a group's name it matches from the "
        "beginning is the group, for several names of one thing: [^.-]+ makes SORT1 of SORT1.2; "
        "null = the whole name",
    )
    stratum: Name | None = Field(
        default=None,
        description="of variants: INFO key or column; the test figures are also given for each of "
        "its values, and their mean",
    )
    stratum_edges: tuple[float, ...] | None = Field(
        default=None,
        description="of variants: a stratum is a range of numbers between these, such as distances",
    )
    valid_groups: Names | None = Field(
        default=None,
        description="of variants: groups of train that are held out; null = by seed; of BED "
        "intervals: contigs",
    )
    test_groups: Names | None = Field(
        default=None,
        description="of variants: groups of train that are the test part; of BED intervals: "
        "contigs",
    )

    def stated(self) -> Iterator[str]:
        """Yield the names of those that say something."""
        for name, field in VariantKeys.model_fields.items():
            if getattr(self, name) != field.default:
                yield name


def check_variants(task: str, data: VariantKeys, label: object, length: int | None) -> None:
    """Refuse keys that do not go together.

    Args:
        task: Of the recipe.
        data: Its section.
        label: Its ``label``.
        length: Its ``length``.

    Raises:
        ValueError: Naming the key and the fix.
    """
    if task != VARIANT_EFFECT:
        for name in data.stated():
            raise ValueError(f"data.{name}: only variants have it (task: {VARIANT_EFFECT})")
        return
    if data.fasta is None:
        raise ValueError(f"data.fasta: required for task: {VARIANT_EFFECT}")
    if length is not None:
        raise ValueError("data.length: is for sequences; of variants it is data.window")
    if not isinstance(label, str):
        raise ValueError("data.label: one INFO key or column, not several")
    _check_strata(data)
    _check_match(data)
    named = [name for name in ("valid_groups", "test_groups") if getattr(data, name) is not None]
    if named and data.group is None:
        raise ValueError(f"data.{named[0]}: say which groups these are with data.group")


def _check_match(data: VariantKeys) -> None:
    if data.group_match is None:
        return
    if data.group is None:
        raise ValueError("data.group_match: say whose names these are with data.group")
    try:
        re.compile(data.group_match)
    except re.error as error:
        raise ValueError(
            f"data.group_match: {data.group_match!r} is no regular expression: {error}"
        ) from None


def _check_strata(data: VariantKeys) -> None:
    if (edges := data.stratum_edges) is None:
        return
    if data.stratum is None:
        raise ValueError("data.stratum_edges: say what is divided there with data.stratum")
    if not edges or not all(low < high for low, high in pairwise((*edges, math.inf))):
        raise ValueError(
            f"data.stratum_edges: {list(edges)} must be numbers that grow, one or more"
        )
