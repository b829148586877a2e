"""The parts of a scoring that was split with ``--shard``: whether they belong together."""

import itertools
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from genolm.errors import InputError
from genolm.scoring.shards import Shard

T = TypeVar("T")

# Options that may differ between shards: where they ran, and what they are called.
_WITH_VALUE: Final = (
    "-o", "-O", "--output", "--shard", "--device", "--threads", "--batch-size", "--seed",
)  # fmt: skip
_SAME: Final = ("Version", "Command", "Model", "Reference", "Fast", "Calibration")
_ALONE: Final = ("-q", "--quiet", "-v", "--verbose")


@dataclass(frozen=True, slots=True)
class Part:
    """One output of ``genolm score --shard``.

    Attributes:
        path: Its name.
        lines: Its provenance lines.
        shard: Which part it is.
        form: What else must be the same in all parts: the header of a VCF, the columns of a table.
    """

    path: str
    lines: tuple[str, ...]
    shard: Shard
    form: tuple[str, ...]


def read_part(path: str, lines: Sequence[str], form: Sequence[str]) -> Part:
    """Return a part, given the lines that say where it is from.

    Raises:
        InputError: They do not say which part it is.
    """
    shards = [shard for shard in map(Shard.from_line, lines) if shard is not None]
    if len(shards) != 1:
        raise InputError(
            f"{path}: no ##genolmShard line says which part it is; `genolm merge` joins outputs of"
            " `genolm score --shard i/n`"
        )
    return Part(path, tuple(lines), shards[0], tuple(form))


def in_order(parts: Sequence[Part]) -> list[Part]:
    """Return the parts by their numbers.

    Raises:
        InputError: They are not the parts of one scoring, or one is missing or there twice.
    """
    first = parts[0]
    for part in parts[1:]:
        if (part.shard.count, part.shard.block) != (first.shard.count, first.shard.block):
            raise InputError(
                f"{part.path} is one of {part.shard.count} parts, {first.path} is one of"
                f" {first.shard.count}"
            )
        for kind in _SAME:
            ours, others = _line(part, kind), _line(first, kind)
            if ours != others:
                raise InputError(
                    f"{part.path} and {first.path} are not parts of one scoring: {kind.lower()}"
                    f" {ours} there, {others} here"
                )
        if part.form != first.form:
            raise InputError(
                f"{part.path} and {first.path} have different headers: they are of different inputs"
            )
    return _complete(parts)


def _complete(parts: Sequence[Part]) -> list[Part]:
    known: dict[int, Part] = {}
    for part in parts:
        number, count = part.shard.number, part.shard.count
        if number in known:
            raise InputError(
                f"{part.path} and {known[number].path} are both part {number} of {count}"
            )
        known[number] = part
    missing = [f"{i}/{count}" for i in range(count) if i not in known]
    if missing:
        raise InputError(f"part {', '.join(missing)} is missing; all of {count} must be named")
    return [known[i] for i in range(count)]


def _line(part: Part, kind: str) -> str:
    start = f"##genolm{kind}="
    text = next((one for one in part.lines if one.startswith(start)), start)
    value = text.removeprefix(start)
    if kind == "Fast":
        return value.partition(",error_")[0]  # machines may differ in the last digits of an error
    return _without_place(value) if kind == "Command" else value


def _without_place(command: str) -> str:
    try:
        words = iter(shlex.split(command))
    except ValueError:
        return command
    kept = []
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif word not in _ALONE and word.partition("=")[0] not in _WITH_VALUE:
            kept.append(word)
    return shlex.join(kept)


def take_turns(
    parts: Sequence[Part], blocks: Sequence[Iterator[list[T]]], size: int | None
) -> Iterator[list[T]]:
    """Yield a block of every part in turn, until the first part that has no more.

    Args:
        parts: In order.
        blocks: The blocks of each.
        size: What a block holds; a smaller one can only be the last. None where that is not known.

    Raises:
        InputError: A part goes on after another one has ended: records are missing.
    """
    turns = itertools.cycle(range(len(parts)))
    ended = 0
    for ended in turns:
        block = next(blocks[ended], [])
        if block:
            yield block
        if not block or (size is not None and len(block) < size):
            break
    for part, rest in zip(parts, blocks, strict=True):
        if next(rest, None):
            raise InputError(
                f"{parts[ended].path} ends too early: {part.path} goes on, so records are missing"
            )
