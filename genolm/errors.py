"""What a user can cause, two kinds of mistake and an end; the command line gives exit codes."""


class InputError(ValueError):
    """The content of a file is wrong; the message names file, place and fix (exit code 1)."""


class UsageError(ValueError):
    """A command, option or recipe is wrong, or a named file is missing (exit code 2)."""


class Terminated(BaseException):
    """SIGTERM came; no `except Exception` stops it on its way out (exit code 143)."""
