"""Where calibrations are kept: beside the model, or in the user's cache."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from genolm.atomic import temporary_name
from genolm.bundled import bundled_models
from genolm.console import say, warn
from genolm.genome.cache import cache_location
from genolm.scoring.calibration import Calibration, Conditions, read_calibration

FOLDER: Final = "calibration"
_NO_PLACE: Final = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR}


def find_kept(conditions: Conditions, places: Sequence[Path]) -> Calibration | None:
    """Return the calibration of these conditions, None where none is kept.

    Raises:
        InputError: Its file is damaged.
    """
    for path in (place / f"{conditions.name}.json" for place in places):
        if path.is_file():
            found = read_calibration(path)
            found.check(conditions, path)
            say(f"calibration: {found}, made before: {path}")
            return found
    return None


def keep(found: Calibration, places: Sequence[Path]) -> Calibration:
    """Store a calibration; where another process was faster, return what that one stored."""
    text = found.text()
    for place in places:
        path = place / f"{found.conditions.name}.json"
        try:
            place.mkdir(parents=True, exist_ok=True)
            _publish(path, text)
        except OSError as error:
            if error.errno not in _NO_PLACE:
                raise
            continue
        say(f"calibration: kept as {path}")
        return read_calibration(path)
    listed = " nor in ".join(map(str, places))
    warn(f"the calibration can be kept neither in {listed}: the next run makes it again")
    return found


def _publish(path: Path, text: str) -> None:
    """Write a file whole, unless one of that name is there by then: shards share the first."""
    partial = temporary_name(path)
    try:
        partial.write_text(text, encoding="utf-8")
        try:
            os.link(partial, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def places_for(model: str) -> list[Path]:
    """Return the folders in which a model's calibrations are kept, best first.

    Args:
        model: What the model was loaded from; one that comes with genolm, or from the hub, has its
            calibrations in the user's cache.
    """
    cache = cache_location() / FOLDER
    folder = Path(model)
    own = {path.resolve() for path in bundled_models().values()}
    if not folder.is_dir() or folder.resolve() in own:
        return [cache]
    return [folder / FOLDER, cache]
