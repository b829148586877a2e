"""One genome for each class, to labelled windows: which species is a stretch of DNA from?

Windows are drawn uniformly, by a seed of the task and not of a training, so that the test part is
the same in every run. Train, validation and test have different contigs; a genome of a single
contig is cut into three stretches.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from genolm.data.labelled_set import LabelledSet
from genolm.errors import InputError, UsageError
from genolm.evaluation.labelled_fasta import FASTA_SUFFIXES
from genolm.evaluation.layouts import TaskData
from genolm.genome.fasta import Fasta

SHARES: Final = {"test": 0.2, "valid": 0.1, "train": 0.7}
"""Of a genome's bases, at least, in the order in which contigs are given out."""
SEED: Final = 1
MOST_N: Final = 0.1
TRIES: Final = 100

Stretch = tuple[str, int, int]


@dataclass(frozen=True)
class Drawing:
    """How many windows of each genome, and how long they are.

    Attributes:
        window: Bases.
        windows: Of every class in train; validation has a tenth of it, test a quarter.
    """

    window: int
    windows: int = 1000

    def count(self, split: str) -> int:
        """Return how many windows of a class a part has."""
        return {"train": self.windows, "valid": self.windows // 10, "test": self.windows // 4}[
            split
        ]


def read_genomes(folder: Path, drawing: Drawing) -> TaskData:
    """Draw labelled windows from a folder with one FASTA for each class, named after it.

    Raises:
        UsageError: There is no such folder, or fewer than two genomes in it.
        InputError: A genome is too short, or mostly N.
    """
    files = _genome_files(folder)
    parts = {name: LabelledSet(f"{folder} ({name})", [], [], [], []) for name in SHARES}
    for number, (name, file) in enumerate(files.items()):
        with Fasta(file) as fasta:
            rng = np.random.default_rng([SEED, number])
            stretches = split_contigs(fasta.contigs, drawing.window, rng)
            for split, rows in parts.items():
                if not stretches[split]:
                    raise InputError(
                        f"{file}: no stretch of {drawing.window:,} bases for the {split} part"
                    )
                for start in range(drawing.count(split)):
                    bases = _draw(fasta, stretches[split], drawing.window, rng, file)
                    rows.sequences.append(bases)
                    rows.labels.append(name)
                    rows.files.append(str(file))
                    rows.lines.append(start + 1)
    return TaskData(parts["train"], parts["valid"] if len(parts["valid"]) else None, parts["test"])


def _genome_files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; it holds one FASTA for each class")
    found = {}
    for file in sorted(folder.iterdir()):
        plain = file.name.removesuffix(".gz").removesuffix(".bgz")
        if file.is_file() and plain.endswith(FASTA_SUFFIXES):
            found[Path(plain).stem] = file
    if len(found) < 2:
        raise UsageError(f"{folder}: {len(found)} FASTA files; a class is one, and two are needed")
    return found


def split_contigs(
    contigs: dict[str, int], window: int, rng: np.random.Generator
) -> dict[str, list[Stretch]]:
    """Give the contigs of a genome out to test, validation and train.

    Args:
        contigs: Names and lengths.
        window: Bases of a window; shorter contigs are left out.
        rng: Decides their order.

    Returns:
        Contig, start and end of the stretches of each part; of one contig alone, the first 70 %,
        the next 10 % and the rest.
    """
    long = {name: length for name, length in contigs.items() if length >= window}
    parts: dict[str, list[Stretch]] = {name: [] for name in SHARES}
    if len(long) < len(SHARES):
        for name, length in long.items():
            _cut(name, length, window, parts)
        return parts
    names = [sorted(long)[i] for i in rng.permutation(len(long))]
    total = sum(long.values())
    for still_empty, (split, share) in zip((2, 1, 0), SHARES.items(), strict=True):
        given = 0
        while len(names) > still_empty and (split == "train" or given < share * total):
            name = names.pop()
            given += long[name]
            parts[split].append((name, 0, long[name]))
    return parts


def _cut(name: str, length: int, window: int, parts: dict[str, list[Stretch]]) -> None:
    first, second = round(0.7 * length), round(0.8 * length)
    for split, start, end in (
        ("train", 0, first),
        ("valid", first, second),
        ("test", second, length),
    ):
        if end - start >= window:
            parts[split].append((name, start, end))


def _draw(
    fasta: Fasta, stretches: list[Stretch], window: int, rng: np.random.Generator, file: Path
) -> str:
    """Draw one window uniformly; one with many N is drawn again."""
    room = np.array([end - start - window + 1 for _, start, end in stretches])
    for _ in range(TRIES):
        place = int(rng.integers(room.sum()))
        number = int(np.searchsorted(np.cumsum(room), place, side="right"))
        name, begin, _ = stretches[number]
        start = begin + place - int(room[:number].sum())
        bases = fasta.fetch(name, start, start + window)
        if bases.upper().count("N") <= MOST_N * window:
            return bases
    raise InputError(f"{file}: {TRIES} windows of {window:,} bases in a row are mostly N")
