"""The bundled DNA, and the copy of it that a demo works on."""

import shutil
from pathlib import Path

DATA = Path(__file__).parent / "data"
RECIPES = Path(__file__).parent / "recipes"

GENOME = "ecoli536.fa.gz"
VARIANTS = "variants.vcf.gz"
BUNDLED_MODEL = "ecoli-mamba-d128"
"""Trained on the train part of the same splits; see its model card."""


def copy_data(folder: Path) -> Path:
    """Copy the bundled data into ``folder/data`` and return that folder.

    The demo works on a copy so that indexes and genome stores never land in the installed package,
    and so that the files are there to play with. A file that is already there is left alone.
    """
    target = folder / "data"
    for source in sorted(path for path in DATA.rglob("*") if path.is_file()):
        copy = target / source.relative_to(DATA)
        if copy.exists():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy)
    return target
