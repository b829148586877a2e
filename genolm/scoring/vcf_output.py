"""The header lines and INFO entries that scoring adds to a VCF; everything else passes through."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from genolm.scoring.calibration_note import CalibrationNote
from genolm.scoring.fast_note import FastNote
from genolm.scoring.fields import (
    PREFIX,
    SKIP,
    SKIP_DESCRIPTION,
    Result,
    ScoreField,
)
from genolm.scoring.shards import Shard

_OWN_KINDS: Final = "Version|Command|Model|Reference|Fast|Calibration|Shard|Merge"
_OWN_LINE: Final = re.compile(rf"##(genolm({_OWN_KINDS})=|INFO=<ID={PREFIX}[^,>]*[,>])")
_INFO_COLUMN: Final = 7
_NOT_IN_AN_ID: Final = re.compile(r"[^A-Za-z0-9_.+-]")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the scores come from.

    Attributes:
        version: Version of genolm.
        command: The command line.
        model: Name of the model.
        model_sha256: Digest of its weights file.
        reference: Name of the FASTA.
        reference_fai_md5: Digest of its index.
        fast: How they are not exact; None where they are.
        calibration: Which background percentiles were taken from; None where there are none.
        shard: Which part of the input's records it is; None for all of them.
        merge: The command line that joined the parts again; empty where none did.
    """

    version: str
    command: str
    model: str
    model_sha256: str
    reference: str
    reference_fai_md5: str
    fast: FastNote | None = None
    calibration: CalibrationNote | None = None
    shard: Shard | None = None
    merge: str = ""

    def lines(self) -> list[str]:
        """Return the header lines, structured so that htslib keeps them."""
        return [
            f"##genolmVersion={self.version}",
            f"##genolmCommand={' '.join(self.command.split())}",
            f"##genolmModel=<ID={_as_id(self.model)},sha256={self.model_sha256}>",
            f"##genolmReference=<ID={_as_id(self.reference)},fai_md5={self.reference_fai_md5}>",
            *([self.fast.line()] if self.fast else []),
            *([self.calibration.line()] if self.calibration else []),
            *([self.shard.line()] if self.shard else []),
            *([f"##genolmMerge={' '.join(self.merge.split())}"] if self.merge else []),
        ]

    def values(self) -> dict[str, str | int | float]:
        """Return the same by name, for formats that have names."""
        found: dict[str, str | int | float] = {
            "version": self.version,
            "command": self.command,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "reference": self.reference,
            "reference_fai_md5": self.reference_fai_md5,
        }
        if self.fast is not None:
            found |= self.fast.values()
        if self.calibration is not None:
            found |= self.calibration.values()
        if self.shard is not None:
            found |= {"shard": self.shard.number, "shards": self.shard.count}
        return found


def _as_id(name: str) -> str:
    return _NOT_IN_AN_ID.sub("_", name) or "_"


def info_lines(fields: Sequence[ScoreField]) -> list[str]:
    """Return the INFO declarations of the score fields and of the skip reason."""
    lines = [
        f"##INFO=<ID={field.name},Number=A,Type={field.info_type},"
        f'Description="{field.description}">'
        for field in fields
    ]
    lines.append(f'##INFO=<ID={SKIP},Number=A,Type=String,Description="{SKIP_DESCRIPTION}">')
    return lines


def annotate_header(
    header: Sequence[str], fields: Sequence[ScoreField], provenance: Provenance
) -> tuple[list[str], bool]:
    """Add our lines to a header and take out those of an earlier run.

    Args:
        header: The lines that begin with ``##``.
        fields: The score fields that records will carry.
        provenance: Where the scores come from.

    Returns:
        The new lines, and whether an earlier run's were taken out.
    """
    kept = [line for line in header if not _OWN_LINE.match(line)]
    lines = [*kept, *provenance.lines(), *info_lines(fields)]
    return lines, len(kept) < len(header)


def info_entry(fields: Sequence[ScoreField], results: Sequence[Result]) -> str:
    """Return what is appended to INFO: one value per ALT allele in every field."""
    if len(results) == 1:  # as in nearly every record of a real file
        (result,) = results
        entries = [f"{field.name}={_text(field.text(result))}" for field in fields]
        entries.append(f"{SKIP}={result if isinstance(result, str) else '.'}")
        return ";".join(entries)
    entries = [f"{field.name}={','.join(map(_text, map(field.text, results)))}" for field in fields]
    reasons = (result if isinstance(result, str) else "." for result in results)
    return ";".join([*entries, f"{SKIP}={','.join(reasons)}"])


def _text(value: str | None) -> str:
    return "." if value is None else value


def annotate_line(line: str, entry: str) -> tuple[str, bool]:
    """Append an entry to the INFO column; an earlier run's entries are taken out.

    Args:
        line: A record without its line end.
        entry: What ``info_entry`` made.

    Returns:
        The new line, and whether an earlier run's entries were taken out.
    """
    columns = line.split("\t", _INFO_COLUMN + 1)
    info, replaced = _without_own(columns[_INFO_COLUMN])
    if info in ("", "."):
        columns[_INFO_COLUMN] = entry
    else:
        columns[_INFO_COLUMN] = f"{info}{'' if info.endswith(';') else ';'}{entry}"
    return "\t".join(columns), replaced


def _without_own(info: str) -> tuple[str, bool]:
    if PREFIX not in info:
        return info, False
    entries = info.split(";")
    kept = [entry for entry in entries if not entry.startswith(PREFIX)]
    return ";".join(kept), len(kept) < len(entries)


def undeclared(kind: str, header: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return the names that a header has no ``##kind=<ID=name,...>`` line for, in their order."""
    start = f"##{kind}=<"
    known = {
        match.group(1)
        for line in header
        if line.startswith(start) and (match := re.search(r"[<,]ID=([^,>]+)", line))
    }
    return [name for name in names if name not in known]
