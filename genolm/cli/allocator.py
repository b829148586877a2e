"""Keeping freed memory for the next operation, as a command line should and a library should not.

Long sequences make tensors of hundreds of megabytes. The GNU C library gets each from the system
and gives it back when it is freed, so that most of a forward's time goes into page faults.
"""

import os

ENVIRONMENT_VARIABLE = "GENOLM_MALLOPT"
# The parameters' numbers in malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_MAX = -4
_NEVER = -1  # a number of bytes would be an int, and long sequences free more than 2 GiB at once


def keep_freed_memory() -> bool:
    """Tell the C library to keep what it frees; GENOLM_MALLOPT=off leaves it as it is.

    Returns:
        Whether it was told: only GNU's C library can be.
    """
    if os.environ.get(ENVIRONMENT_VARIABLE) == "off" or not _is_gnu():
        return False
    import ctypes

    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_MMAP_MAX, 0) and libc.mallopt(_TRIM_THRESHOLD, _NEVER))


def _is_gnu() -> bool:
    # Python has this name of a constant only where it was built with GNU's C library.
    return "CS_GNU_LIBC_VERSION" in getattr(os, "confstr_names", {})
