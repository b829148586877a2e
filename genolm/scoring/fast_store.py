"""Where the calibration of a fast mode is kept: beside its model, else in the user's cache."""

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from genolm.atomic import write_text
from genolm.genome.cache import cache_location

_LOG = logging.getLogger(__name__)

FILE_NAME: Final = "fast.json"

Numbers = dict[str, float]


@dataclass(frozen=True, slots=True)
class FastStore:
    """Calibrations of one model on one genome.

    Attributes:
        folder: The model's own folder; None where it has none that may be written to.
        model_sha256: Digest of its weights; empty where nothing is to be kept.
        reference_fai_md5: Digest of the genome's index.
    """

    folder: Path | None = None
    model_sha256: str = ""
    reference_fai_md5: str = ""

    @classmethod
    def beside(cls, model: str, model_sha256: str, reference_fai_md5: str) -> Self:
        """Return the store of a model as it was named on the command line."""
        folder = Path(model)
        return cls(folder if folder.is_dir() else None, model_sha256, reference_fai_md5)

    def find(self, key: str) -> Numbers | None:
        """Return what was kept under a key, None where there is nothing that can be read."""
        for path in self._files():
            known = _read(path).get(self._key(key))
            if isinstance(known, dict) and all(isinstance(v, int | float) for v in known.values()):
                _LOG.info("calibration of --fast found in %s", path)
                return {str(name): value for name, value in known.items()}
        return None

    def keep(self, key: str, numbers: Numbers) -> Path | None:
        """Write numbers down under a key; return the file, None where none can be written."""
        for path in self._files():
            with suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                content = _read(path) | {self._key(key): numbers}
                write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")
                return path
        return None

    def _key(self, key: str) -> str:
        return f"{key} model={self.model_sha256} genome={self.reference_fai_md5}"

    def _files(self) -> Iterator[Path]:
        if not self.model_sha256:
            return
        if self.folder is not None:
            yield self.folder / FILE_NAME
        yield cache_location() / "fast" / f"{self.model_sha256[:16]}.json"


def _read(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # missing or damaged: it is made again
    return content if isinstance(content, dict) else {}
