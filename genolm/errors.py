"""The two kinds of mistake a user can make; the command line turns them into exit codes."""


class InputError(ValueError):
    """The content of a file is wrong; the message names file, place and fix (exit code 1)."""


class UsageError(ValueError):
    """A command, option or recipe is wrong, or a named file is missing (exit code 2)."""
