"""Files of the genome as values: FASTA, BED, VCF, GenBank and GFF; 0-based half-open throughout."""

from genolm.genome.aliases import ContigResolver, resolve_contigs
from genolm.genome.annotated import Annotation, Feature, read_annotated
from genolm.genome.bed import read_bed, read_split_bed
from genolm.genome.cache import cache_folder
from genolm.genome.fasta import Fasta
from genolm.genome.interval import Interval
from genolm.genome.sequence import gc_fraction, is_acgt, reverse_complement
from genolm.genome.variant import Variant, parse_variant
from genolm.genome.vcf import VcfReader, VcfRecord, open_vcf

__all__ = [
    "Annotation",
    "ContigResolver",
    "Fasta",
    "Feature",
    "Interval",
    "Variant",
    "VcfReader",
    "VcfRecord",
    "cache_folder",
    "gc_fraction",
    "is_acgt",
    "open_vcf",
    "parse_variant",
    "read_annotated",
    "read_bed",
    "read_split_bed",
    "resolve_contigs",
    "reverse_complement",
]
