"""Every key that a recipe may have, as text for people."""

from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from genolm.training.recipe_finetune import FinetuneRecipe
from genolm.training.recipe_pretrain import PretrainRecipe

KINDS: dict[str, type[BaseModel]] = {"pretrain": PretrainRecipe, "finetune": FinetuneRecipe}


def list_keys(kind: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield each dotted key with its field, sections before what is in them."""
    for name, field in kind.model_fields.items():
        yield f"{prefix}{name}", field
        if (section := section_of(field) or _item_of(field)) is not None:
            yield from list_keys(section, f"{prefix}{name}.")


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the section that a key holds; None for a key that holds a value."""
    kind = field.annotation
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    found = (one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel))
    return next(found, None)


def _item_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the section that each item of a key's list is; None for other keys."""
    items = [one for one in get_args(field.annotation) if isinstance(one, type)]
    return next((one for one in items if issubclass(one, BaseModel)), None)


def describe_keys(kind: str) -> Iterator[tuple[str, str, str]]:
    """Yield key, default and meaning of every key that holds a value, the words it may be first.

    Args:
        kind: "pretrain" or "finetune".
    """
    for key, field in list_keys(KINDS[kind]):
        if section_of(field) is None or (not field.is_required() and field.default is None):
            words = " | ".join(_words(field.annotation))
            yield key, _default(field), f"{words}: {field.description}".removeprefix(": ")


def _words(annotation: Any) -> list[str]:
    """Return the words that a value may be; none where it is no choice of words."""
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return [word for part in get_args(annotation) for word in _words(part)]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default()
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "[]" if value == () else str(value)
