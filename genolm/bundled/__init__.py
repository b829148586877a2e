"""The trained models that come with genolm, each a folder with its model card.

Nothing of torch is imported here, so that the command line can list their names at once.
"""

from pathlib import Path

_FOLDER = Path(__file__).parent


def bundled_models() -> dict[str, Path]:
    """Return the folder of every bundled model by its name, sorted."""
    return {path.parent.name: path.parent for path in sorted(_FOLDER.glob("*/config.json"))}


def bundled_names() -> str:
    """Return the names of the bundled models as text, for messages and help."""
    return ", ".join(bundled_models())
