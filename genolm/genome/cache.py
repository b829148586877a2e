"""The folder for what can be rebuilt but has no better place to stand."""

import os
from pathlib import Path


def cache_location() -> Path:
    """Return where the user's genolm cache is, whether it exists or not.

    It is ``$GENOLM_CACHE``, or ``$XDG_CACHE_HOME/genolm``, or ``~/.cache/genolm``.
    """
    own = os.environ.get("GENOLM_CACHE")
    if own:
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    if shared and Path(shared).is_absolute():  # the XDG standard ignores relative values
        return Path(shared) / "genolm"
    return Path.home() / ".cache" / "genolm"


def cache_folder() -> Path:
    """Return the user's genolm cache, created when missing.

    Raises:
        OSError: The folder cannot be created.
    """
    folder = cache_location()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
