"""Consequences a second, and what an annotation costs: a made-up one like that of human 20.

    python benchmarks/consequences.py

The contig is 64 Mb of random bases in which every coding exon is made of whole codons without a
stop; genes have 8 transcripts, half of them coding, as in Ensembl's GFF3.
"""

import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import Process
from pathlib import Path

import numpy as np

from genolm.genome.consequences import ConsequenceCaller
from genolm.genome.fasta import Fasta
from genolm.genome.sequence import reverse_complement

SIZE = 64_000_000
GENES = 1400
TRANSCRIPTS = 8
VARIANTS = 200_000
CODONS = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT"]
OPEN = [codon for codon in CODONS if codon not in ("TAA", "TAG", "TGA")]


def make_exons(draw: random.Random) -> list[tuple[int, int]]:
    """Exons of a gene: about nine, in some tens of kilobases."""
    size = min(int(draw.lognormvariate(10, 1.2)) + 4000, 1_500_000)
    start = draw.randrange(70_000, SIZE - size - 70_000)
    count = min(1 + int(draw.expovariate(1 / 9)), size // 1000)
    begins = sorted(start + 1000 * place for place in draw.sample(range(size // 1000), count))
    return [(begin, begin + 3 * draw.randrange(20, 100)) for begin in begins]


def rows(
    number: int, exons: list[tuple[int, int]], strand: str, draw: random.Random
) -> Iterator[str]:
    """Lines of GFF3 for one gene."""
    gene = f"gene:ENSG{number:011d}"
    line = f"20\thavana\t{{}}\t{{}}\t{{}}\t.\t{strand}\t{{}}\t{{}}\n".format
    yield line("gene", exons[0][0] + 1, exons[-1][1], ".", f"ID={gene};Name=GENE{number}")
    for copy in range(TRANSCRIPTS):
        own = [one for one in exons if draw.random() < 0.85] or exons[:1]
        name = f"ENST{number:07d}{copy:04d}"
        kind = f"ID=transcript:{name};Parent={gene};Name=GENE{number}-{copy};biotype=x;version=1"
        yield line("mRNA", own[0][0] + 1, own[-1][1], ".", kind)
        parent = f"Parent=transcript:{name}"
        for rank, (start, end) in enumerate(own):
            yield line("exon", start + 1, end, ".", f"{parent};exon_id=ENSE{number}{rank};rank=1")
        if copy % 2 == 0:
            for start, end in own:
                yield line("CDS", start + 1, end, "0", f"ID=CDS:{name};{parent};protein_id={name}")


def make(folder: Path, genes: int) -> None:
    """Write the genome and its annotation."""
    draw = random.Random(1)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    bases = letters[np.random.default_rng(1).integers(0, 4, SIZE)]
    with (folder / "a.gff3").open("w") as text:
        text.write("##gff-version 3\n")
        for number in range(genes):
            exons, strand = make_exons(draw), draw.choice("+-")
            for start, end in exons:
                codons = "".join(draw.choices(OPEN, k=(end - start) // 3))
                codons = reverse_complement(codons) if strand == "-" else codons
                bases[start:end] = np.frombuffer(codons.encode(), dtype=np.uint8)
            text.writelines(rows(number, exons, strand, draw))
    (folder / "g.fa").write_bytes(b">20\n" + bases.tobytes() + b"\n")


def memory() -> float:
    """Most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print what reading an annotation and asking it costs."""
    with tempfile.TemporaryDirectory() as folder:
        making = Process(target=make, args=(Path(folder), GENES))  # its memory is its own
        making.start()
        making.join()
        fasta = Fasta(Path(folder) / "g.fa")
        fasta.fetch("20", 0, 1000)
        before, started = memory(), time.perf_counter()
        caller = ConsequenceCaller(Path(folder) / "a.gff3", fasta)
        seconds = time.perf_counter() - started
        print(f"{caller.num_transcripts:,} transcripts read in {seconds:.1f} s")
        print(f"peak memory {before:.0f} MiB before, {memory():.0f} MiB after")
        draw = random.Random(2)
        places = sorted(draw.sample(range(60_000, SIZE - 60_000), VARIANTS))
        letters = [fasta.fetch("20", place, place + 1) for place in places]
        started = time.perf_counter()
        found = Counter(
            caller.call("20", place, ref, "A" if ref != "A" else "C").term
            for place, ref in zip(places, letters, strict=True)
        )
        seconds = time.perf_counter() - started
        print(f"{VARIANTS / seconds:,.0f} SNVs/s in the order of the contig; {memory():.0f} MiB")
        for term, count in found.most_common():
            print(f"{count:>8}  {term}")


if __name__ == "__main__":
    main()
