"""Where the demo's data come from: the accessions, the checksums and the text that says so."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from demo_orfs import LONG_ORF, MARGIN, SHORT_ORF, STEP, UNIQUE, WINDOW


@dataclass(frozen=True)
class Contig:
    """A bundled sequence; sha256 is that of its upper-case bases without line ends."""

    accession: str
    title: str
    length: int
    sha256: str
    package: str
    given_name: str
    given_header: str
    paper: str


CONTIGS = (
    Contig(
        accession="NC_008253.1",
        title="Escherichia coli 536, complete genome",
        length=4_938_920,
        sha256="169aeb32aa5f16e93aa7789f8fe1ce9f19d8de4c48c1dfafd05bcf772cb2c84a",
        package="Debian bowtie-examples 1.3.1-1",
        given_name="usr/share/doc/bowtie/examples/genomes/NC_008253.fna.gz",
        given_header="gi|110640213|ref|NC_008253.1|",
        paper="Brzuszkiewicz et al. 2006, PNAS 103:12879 (GenBank CP000247)",
    ),
    Contig(
        accession="NC_001416.1",
        title="Enterobacteria phage lambda, complete genome",
        length=48_502,
        sha256="36432a40f602258d19ae7c8152ddbc30390b559f2859c01d7047c77b048c71b3",
        package="Debian bowtie2-examples 2.5.0-3",
        given_name="usr/share/doc/bowtie2/examples/reference/lambda_virus.fa.gz",
        given_header="gi|9626243|ref|NC_001416.1|",
        paper="Sanger et al. 1982, J. Mol. Biol. 162:729 (GenBank J02459)",
    ),
)

TEMPLATE = """\
# What the demo runs on, and where it comes from

Made by `scripts/make_demo_data.py`; do not edit by hand.

## Sequences

{contigs}

The packages carry the records as NCBI gives them; the header `{given_header} ...` became
`>{accession} ...`, the bases are unchanged and upper case. NCBI places no restriction on the use
or redistribution of RefSeq and GenBank sequences: they are public-domain data. Nothing else of
the packages (Artistic-2.0, GPL-3) is bundled.

## labelled/train.csv.gz, labelled/test.csv.gz

Columns `sequence,label,chrom,start,end` (0-based half-open, forward strand); {window} bases a row.
{train_rows} rows from the first 80 % of {accession}, {test_rows} from the last 20 %, both
half and half. Label 1, coding: inside an open reading frame of at least {long_orf} bp (first ATG
after a stop codon, to the next stop codon; of frames that overlap by more than 60 bp the longest
is kept), at least {margin} bp from its ends, either strand. Label 0, intergenic: no base of the
row is in an open reading frame of {short} bp or more from an ATG, or of {short_other} bp or more
from an ATG, GTG or TTG, on either strand. Every {unique}-mer of a row occurs once in the genome
(both strands), so that no repeat links train and test. Neighbouring rows of a part start at least
{step} bp apart and may overlap by half; no row is in both parts.

What this is not: an annotation. The labels are what the frames say, and rows without a long frame
hold short genes. The same rules on E. coli K-12 MG1655, which has an annotation: 98 % of the
kept frames are annotated genes, and 13 % of the intergenic rows lie by more than half in a gene
(measured by `tests/demo/test_demo_data.py` where GENOLM_DATA has that genome).

Trivial cues: GC content tells coding from intergenic DNA (53 % against 38 %), so equal numbers of
rows of both classes were drawn from every 2 % step of GC: GC alone is right half the time. All
rows have one length. Open frames define the labels: the rule "coding where one of the six frames
has no stop codon" is right for {open_frame:.1%} of the test rows.

## variants.vcf.gz

{variants} substitutions inside open reading frames of at least {long_orf} bp in the last 20 %, at
least {margin} bp from the frame's ends: half create a stop codon (`CLASS=stop_gain`), half change
a codon into one for the same amino acid (`CLASS=synonymous`; genetic code 11), one of each class
from each frame. All are computed, none is observed. Trivial cue: the classes change different
codons, so base composition alone tells some apart; compare with a count model. Ten more records
(`CLASS=awkward`) are what real files hold and models cannot or should not score; their NOTE says
why.

## splits.bed

`chrom start end split`: train the first 75 % of {accession}, valid the next 5 %, test the last
20 %.

## Files

| file | bytes | sha256 |
| --- | --- | --- |
{files}
"""


def provenance_text(folder: Path, facts: dict[str, float]) -> str:
    """Return PROVENANCE.md for the files in ``folder``."""
    contigs = "\n".join(
        f"- **{contig.accession}**, {contig.title}, {contig.length:,} bp. {contig.paper}. "
        f"From {contig.package}, `{contig.given_name}`, header `{contig.given_header}`. "
        f"SHA-256 of the upper-case bases: `{contig.sha256}`."
        for contig in CONTIGS
    )
    names = sorted(path for path in folder.rglob("*") if path.is_file() and _is_listed(path))
    files = "\n".join(
        f"| {path.relative_to(folder).as_posix()} | {path.stat().st_size} "
        f"| {hashlib.sha256(path.read_bytes()).hexdigest()} |"
        for path in names
    )
    return TEMPLATE.format(
        contigs=contigs,
        files=files,
        accession=CONTIGS[0].accession,
        given_header=CONTIGS[0].given_header,
        window=WINDOW,
        long_orf=LONG_ORF,
        margin=MARGIN,
        short=SHORT_ORF["ATG"],
        short_other=SHORT_ORF["GTG"],
        unique=UNIQUE,
        step=STEP,
        **facts,
    )


def _is_listed(path: Path) -> bool:
    """Whether the script made the file: hidden ones and caches of a running genolm are not."""
    return path.name != "PROVENANCE.md" and path.suffix in {".gz", ".fai", ".gzi", ".tbi", ".bed"}
