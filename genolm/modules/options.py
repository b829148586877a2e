"""Options of configs, checked by name and type when they are read."""

import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Union, get_args, get_origin


def reject_unknown(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names that are no option of `owner`.

    Raises:
        ValueError: Naming the strangers and every known option.
    """
    known = sorted(known)
    if strangers := sorted(set(given) - set(known)):
        raise ValueError(
            f"{owner} has no option {', '.join(map(repr, strangers))}; it has {', '.join(known)}"
        )


def check_type(owner: str, name: str, value: object, kind: Any) -> None:
    """Refuse a value that is not of its option's type.

    Args:
        owner: What the option belongs to, for the message.
        name: Name of the option.
        value: The value given.
        kind: Annotation: a class, a Literal, or a union of these.

    Raises:
        ValueError: Naming option, value and what is accepted.
    """
    if not _fits(value, kind):
        raise ValueError(f"{owner}: {name} must be {_describe(kind)}, got {value!r}")


def read_number(value: object, kind: Any) -> object:
    """Turn text such as "1e-3", as YAML reads it, into the number that an option wants."""
    wanted = {part for part in _alternatives(kind) if part in (int, float)}
    if not isinstance(value, str) or not wanted or _fits(value, kind):
        return value
    for number in sorted(wanted, key=lambda part: part is float):
        try:
            return number(value)
        except ValueError:
            continue
    return value


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _fits(value: object, kind: Any) -> bool:
    return any(_fits_one(value, part) for part in _alternatives(kind))


def _fits_one(value: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    plain = get_origin(kind) or kind
    if isinstance(value, bool) or plain is bool:
        return isinstance(value, bool) and plain is bool
    if plain is float:
        return isinstance(value, int | float)
    if plain is dict:
        return isinstance(value, Mapping)
    return isinstance(value, plain)


def _describe(kind: Any) -> str:
    names: list[str] = []
    for part in _alternatives(kind):
        if get_origin(part) is Literal:
            names += [repr(choice) for choice in get_args(part)]
        elif part is types.NoneType:
            names.append("null")
        else:
            names.append((get_origin(part) or part).__name__)
    return " or ".join(names)
