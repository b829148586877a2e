"""Files of JSON lines, which a process that dies while writing may leave with half a line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def append_json_line(file: Path, values: Mapping[str, Any]) -> None:
    """Add one line to a file of JSON lines."""
    with file.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(values) + "\n")


def read_json_lines(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of JSON lines; a half line at the end (a crash) is left out."""
    if not file.is_file():
        return []
    text = file.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
