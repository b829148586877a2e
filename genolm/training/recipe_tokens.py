"""What goes with what in a fine-tuning recipe of a class for every base."""

from typing import Final

from genolm.training.recipe_variants import VariantKeys

TOKEN_CLASSIFICATION: Final = "token_classification"

OF_INTERVALS: Final = ("fasta", "window", "valid_groups", "test_groups")
"""Keys of :class:`VariantKeys` that named intervals of a genome have too."""


def check_tokens(data: VariantKeys, label: object, ignore: str | None) -> None:
    """Refuse keys that do not go together.

    Args:
        data: The recipe's section.
        label: Its ``label``.
        ignore: Its ``ignore``.

    Raises:
        ValueError: Naming the key and the fix.
    """
    if not isinstance(label, str):
        raise ValueError("data.label: one column, with a character for every base")
    if data.fasta is None and ignore is not None and len(ignore) != 1:
        raise ValueError(f"data.ignore: {ignore!r} is no single character, as labels of bases are")
    for name in data.stated():
        if name not in OF_INTERVALS:
            raise ValueError(f"data.{name}: only variants have it (task: variant_effect)")
        if data.fasta is None:
            raise ValueError(f"data.{name}: is for the intervals of a genome: give data.fasta")
    if data.fasta is not None and data.window is None:
        raise ValueError("data.window: required: the bases that contigs of data.fasta are cut into")
