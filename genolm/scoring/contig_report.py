"""What is said of contigs when the records have been gone through."""

from typing import Final

from genolm.console import say, warn
from genolm.data.sites import SiteReader
from genolm.data.variant_sources import VariantSource
from genolm.genome.aliases import ContigResolver
from genolm.genome.fasta import Fasta

NAMED: Final = 5  # contigs that a message lists


def report_contigs(
    resolver: ContigResolver, sites: SiteReader, source: VariantSource, fasta: Fasta
) -> None:
    """Say which contigs went by another name, and warn of those that did not fit the genome."""
    if resolver.aliases_used:
        pairs = ", ".join(f"{ours} as {theirs}" for ours, theirs in resolver.aliases_used.items())
        say(f"contigs found in {fasta.name} under another name: {pairs}")
    for reason in resolver.refused.values():
        warn(f"{reason}: not the same contig")
    if sites.missing:
        names = list(sites.missing)
        listed = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
        warn(f"{fasta.name} has no contig {listed}; the records there were skipped")
    for name, declared in source.contig_lengths.items():
        if fasta.contigs.get(name, declared) != declared:
            warn(
                f"{name} is declared with {declared} bases, but has {fasta.contigs[name]} in"
                f" {fasta.name}: wrong genome build?"
            )
