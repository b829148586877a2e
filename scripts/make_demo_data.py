r"""Make what `genolm demo` runs on: two genomes, a labelled set, variants and a split.

The two FASTA files come with Debian:

    apt-get download bowtie-examples bowtie2-examples
    for package in bowtie*-examples_*.deb; do dpkg -x $package unpacked; done
    python scripts/make_demo_data.py \
        --ecoli unpacked/usr/share/doc/bowtie/examples/genomes/NC_008253.fna.gz \
        --phage unpacked/usr/share/doc/bowtie2/examples/reference/lambda_virus.fa.gz

Without --ecoli and --phage the bundled copies are read, so the rest can be made anew from a clone.
The bases are checked against recorded checksums. The same inputs give the same text; the same
pysam and zlib versions give the same compressed bytes.
"""

import argparse
import gzip
import hashlib
import io
from pathlib import Path

import numpy as np
import pysam
from demo_orfs import (
    LONG_ORF,
    STOPS,
    UNIQUE,
    WINDOW,
    Orf,
    as_numbers,
    coding_windows,
    drop_shadows,
    find_orfs,
    intergenic_windows,
    match_gc,
    order_by_hash,
    unique_words,
)
from demo_provenance import CONTIGS, Contig, provenance_text
from demo_variants import choose_changes, vcf_text
from numpy.typing import NDArray

BUNDLED = Path(__file__).resolve().parent.parent / "genolm" / "demo" / "data"
LINE = 70
TRAIN_END, TEST_START = 0.75, 0.80


def read_bases(path: Path, contig: Contig) -> str:
    """Read the one sequence of a FASTA file and check that it is the recorded one."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="ascii") as lines:
        header = next(lines)
        sequence = "".join(line.strip() for line in lines).upper()
    if contig.accession not in header:
        raise SystemExit(f"{path}: header {header.strip()!r} does not name {contig.accession}")
    if hashlib.sha256(sequence.encode("ascii")).hexdigest() != contig.sha256:
        raise SystemExit(f"{path}: these are not the bases of {contig.accession} recorded here")
    return sequence


def write_bgzip(path: Path, text: str) -> None:
    """Write text in BGZF blocks, as bgzip does."""
    plain = path.with_suffix(".partial")
    plain.write_text(text, encoding="ascii")
    pysam.tabix_compress(str(plain), str(path), force=True)
    plain.unlink()


def write_fasta(path: Path, contig: Contig, sequence: str) -> None:
    """Write a BGZF FASTA file with its .fai and .gzi."""
    lines = [sequence[at : at + LINE] for at in range(0, len(sequence), LINE)]
    write_bgzip(path, "\n".join([f">{contig.accession} {contig.title}", *lines]) + "\n")
    pysam.faidx(str(path))


def write_gzip(path: Path, text: str) -> None:
    """Write gzip without name and time, so that the bytes depend on the text alone."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as out:
        out.write(text.encode("ascii"))
    path.write_bytes(buffer.getvalue())


def label_windows(
    bases: NDArray[np.int64], orfs: list[Orf], unique: NDArray[np.bool_]
) -> dict[str, list[tuple[int, int]]]:
    """Choose (start, label) of the train and the test windows, each part in a shuffled order."""
    summed = np.concatenate([[0], np.cumsum((bases == 1) | (bases == 2))])
    gc = summed[WINDOW:] - summed[:-WINDOW]
    pools = [
        [start for start in starts if unique[start : start + WINDOW - UNIQUE + 1].all()]
        for starts in (coding_windows(orfs), intergenic_windows(bases))
    ]
    border = round(TEST_START * len(bases))
    inside = {
        "train": lambda start: start + WINDOW <= border,
        "test": lambda start: start >= border,
    }
    parts = {}
    for part, belongs in inside.items():
        matched = match_gc(*([start for start in pool if belongs(start)] for pool in pools), gc)
        keys = [f"{start}:{label}" for label in (0, 1) for start in matched[label]]
        pairs = (key.split(":") for key in order_by_hash(keys))
        parts[part] = [(int(start), int(label)) for start, label in pairs]
    return parts


def labelled_text(sequence: str, contig: str, rows: list[tuple[int, int]]) -> str:
    """Return the CSV of a labelled part."""
    lines = [
        f"{sequence[start : start + WINDOW]},{label},{contig},{start},{start + WINDOW}"
        for start, label in rows
    ]
    return "\n".join(["sequence,label,chrom,start,end", *lines]) + "\n"


def has_open_frame(window: str) -> bool:
    """Whether one of the six frames of a window has no stop codon."""
    other = window[::-1].translate(str.maketrans("ACGT", "TGCA"))
    frames = [strand[phase:] for strand in (window, other) for phase in range(3)]
    return any(
        all(frame[at : at + 3] not in STOPS for at in range(0, len(frame) - 2, 3))
        for frame in frames
    )


def open_frame_accuracy(sequence: str, rows: list[tuple[int, int]]) -> float:
    """Accuracy of "coding where a frame is open": the rule a perfect student would find."""
    right = [
        has_open_frame(sequence[start : start + WINDOW]) == bool(label) for start, label in rows
    ]
    return sum(right) / len(right)


def split_text(contig: str, length: int) -> str:
    """Return the HyenaDNA split (chrom, start, end, split): 75 % train, 5 % valid, 20 % test."""
    borders = [0, round(TRAIN_END * length), round(TEST_START * length), length]
    return "".join(
        f"{contig}\t{start}\t{end}\t{part}\n"
        for start, end, part in zip(borders, borders[1:], ("train", "valid", "test"), strict=False)
    )


def main() -> None:
    """Write every file, then their provenance."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--ecoli", type=Path, default=BUNDLED / "ecoli536.fa.gz")
    parser.add_argument("--phage", type=Path, default=BUNDLED / "lambda.fa.gz")
    parser.add_argument("--out", type=Path, default=BUNDLED)
    options = parser.parse_args()
    ecoli, phage = CONTIGS
    sequence = read_bases(options.ecoli, ecoli)
    phage_sequence = read_bases(options.phage, phage)
    (options.out / "labelled").mkdir(parents=True, exist_ok=True)
    write_fasta(options.out / "ecoli536.fa.gz", ecoli, sequence)
    write_fasta(options.out / "lambda.fa.gz", phage, phage_sequence)

    bases = as_numbers(sequence)
    unique = unique_words(bases)
    orfs = drop_shadows(find_orfs(bases, {"ATG": LONG_ORF}))
    labelled = label_windows(bases, orfs, unique)
    for part, rows in labelled.items():
        text = labelled_text(sequence, ecoli.accession, rows)
        write_gzip(options.out / "labelled" / f"{part}.csv.gz", text)

    border = round(TEST_START * len(sequence))
    changes = choose_changes(sequence, orfs, unique, border)
    vcf = options.out / "variants.vcf.gz"
    write_bgzip(vcf, vcf_text(sequence, ecoli.accession, changes, border + 5000))
    pysam.tabix_index(str(vcf), preset="vcf", force=True)
    split = split_text(ecoli.accession, len(sequence))
    (options.out / "splits.bed").write_text(split, encoding="ascii")

    facts = {
        "train_rows": len(labelled["train"]),
        "test_rows": len(labelled["test"]),
        "open_frame": open_frame_accuracy(sequence, labelled["test"]),
        "variants": len(changes),
    }
    (options.out / "PROVENANCE.md").write_text(provenance_text(options.out, facts))
    print(f"{options.out}: {facts}")


if __name__ == "__main__":
    main()
