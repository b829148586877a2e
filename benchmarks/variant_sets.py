"""The public sets of variants that models are judged on, as arrays.

They lie under the folder that GENOLM_DATA names: saturation mutagenesis of regulatory elements
(Kircher et al. 2019), the 1000 Genomes' chromosome 20 from 1 to 2 Mb, and ClinVar variants of
chromosomes 20 and X. All coordinates are GRCh37, or those of the elements.
"""

import csv
import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genolm.data.edit_windows import GenomeWindows
from genolm.genome.fasta import Fasta
from genolm.genome.variant import Variant
from genolm.genome.vcf import open_vcf

X = "genomes/human_GRCh37_chrX_1-70Mb.fa.gz"
CHR20 = "genomes/human_hs37d5_chr20.fa.gz"
MPRA = "variants/mpra_satmut_kircher"
THOUSAND = "variants/thousand_genomes_chr20_1-2Mb/common_vs_singleton_snv.tsv.gz"
CLINVAR = "variants/clinvar_capice_chr20X/variants.vcf.gz"

NAMES = ("mpra", "thousand_genomes", "clinvar")
SIGNIFICANT = 1e-5
BLOCK = 10_000  # bases that are resampled together: neighbours share their history
SAME_ELEMENT = re.compile("SORT1|TERT|ZRS")  # measured several times under names of their own


@dataclass(frozen=True)
class VariantSet:
    """Variants and what is known of them.

    Attributes:
        name: mpra, thousand_genomes or clinvar.
        variants: Single-base substitutions (n,).
        labels: What is to be found (n,): a significant effect, a common allele, a pathogenic one.
        groups: Rows with the same number (n,) are held out and resampled together.
        genomes: The FASTA of each contig.
        experiments: Which experiment measured a row (n,), numbers into ``experiment_names``.
        effects: log2 effect on expression (n,), of an MPRA.
        barcodes: How many carried the variant (n,), of an MPRA.
        experiment_names: Of an MPRA.
    """

    name: str
    variants: Sequence[Variant]
    labels: NDArray[np.bool_]
    groups: NDArray[np.int64]
    genomes: dict[str, Path]
    experiments: NDArray[np.int64] | None = None
    effects: NDArray[np.float64] | None = None
    barcodes: NDArray[np.float64] | None = None
    experiment_names: tuple[str, ...] = ()

    def substitutions(self) -> NDArray[np.int64]:
        """Return a number (n,) for each of the 12 kinds of substitution."""
        return _number([f"{one.ref}>{one.alt}" for one in self.variants])[1]

    def contexts(self, radius: int) -> NDArray[np.uint8]:
        """Return token ids (n, 2 radius + 1) around every variant, N outside its contig."""
        genomes = {path: GenomeWindows(Fasta(path)) for path in set(self.genomes.values())}
        found = [
            genomes[self.genomes[one.chrom]].ids(
                one.chrom, one.start - radius, one.start + radius + 1
            )
            for one in self.variants
        ]
        return np.stack(found)


def read_sets(data: Path, names: Sequence[str] = NAMES) -> Iterator[VariantSet]:
    """Yield sets.

    Args:
        data: What GENOLM_DATA names.
        names: Of ``NAMES``.
    """
    if "mpra" in names:
        yield read_mpra(data / MPRA)
    if "thousand_genomes" in names:
        yield read_thousand_genomes(data / THOUSAND, {"20": data / CHR20})
    if "clinvar" in names:
        yield read_clinvar(data / CLINVAR, {"20": data / CHR20, "X": data / X})


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as text:
        return list(csv.DictReader(text, delimiter="\t"))


def _number(names: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    known = tuple(dict.fromkeys(names))
    places = {name: number for number, name in enumerate(known)}
    return known, np.array([places[name] for name in names], dtype=np.int64)


def _snv(chrom: str, pos: str, ref: str, alt: str) -> Variant:
    return Variant(chrom, int(pos) - 1, ref, alt)


def read_mpra(folder: Path) -> VariantSet:
    """Read ``variants.tsv.gz`` and ``elements.fa.gz``; rows of one element form a group."""
    rows = _rows(folder / "variants.tsv.gz")
    names = [row["element"] for row in rows]
    known, experiments = _number(names)
    distinct = [found[0] if (found := SAME_ELEMENT.match(name)) else name for name in names]
    return VariantSet(
        "mpra",
        [_snv(row["element"], row["pos"], row["ref"], row["alt"]) for row in rows],
        np.array([float(row["pvalue"]) < SIGNIFICANT for row in rows]),
        _number(distinct)[1],
        dict.fromkeys(known, folder / "elements.fa.gz"),
        experiments,
        np.array([float(row["effect_log2"]) for row in rows]),
        np.array([float(row["barcodes"]) for row in rows]),
        known,
    )


def read_thousand_genomes(path: Path, genomes: dict[str, Path]) -> VariantSet:
    """Read common alleles (label 1) and singletons (0); rows of 10 kb form a group."""
    rows = _rows(path)
    variants = [_snv(row["chrom"], row["pos"], row["ref"], row["alt"]) for row in rows]
    blocks = [f"{one.chrom}:{one.start // BLOCK}" for one in variants]
    labels = np.array([row["label"] == "1" for row in rows])
    return VariantSet("thousand_genomes", variants, labels, _number(blocks)[1], genomes)


def read_clinvar(path: Path, genomes: dict[str, Path]) -> VariantSet:
    """Read pathogenic (label 1) and benign variants (0); rows of one gene form a group."""
    variants, labels, genes = [], [], []
    for record in open_vcf(path):
        info = dict(pair.partition("=")[::2] for pair in record.info.split(";"))
        variants.append(Variant(record.chrom, record.start, record.ref, str(record.alts[0])))
        labels.append(info["LABEL"] == "1")
        genes.append(info["GENE"])
    return VariantSet("clinvar", variants, np.array(labels), _number(genes)[1], genomes)
