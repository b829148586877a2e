"""What a pretraining recipe may say about genomes: which, which bases of them, and as what."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from genolm.data.bed_layout import BedLayout
from genolm.training.recipe_types import Count, Fraction, Name, Names, Positive, Section, Whole

UnknownBases = Literal["ignored", "pad", "predicted"]
Overlapping = Literal["refuse", "warn"]

OF_ONE_GENOME = ("fasta", "train", "valid", "test", "bed")
"""Keys that each of several genomes has for itself."""


class GenomePart(Section):
    """One of several genomes."""

    fasta: Path = Field(description="the genome: FASTA, plain or bgzip")
    name: Name | None = Field(
        default=None, description="in figures and messages; null = the file's, up to its first dot"
    )
    weight: Positive | None = Field(
        default=None,
        description="its share of the train windows drawn, beside those of the others; for all or "
        "none; null = its number of windows, so that an epoch shows each once",
    )
    train: Names | None = Field(default=None, description="as data.train")
    valid: Names | None = Field(default=None, description="as data.valid")
    test: Names | None = Field(default=None, description="as data.test")
    bed: Path | None = Field(default=None, description="as data.bed")

    @property
    def label(self) -> str:
        """What it is called."""
        return self.name or self.fasta.name.partition(".")[0]


class GenomeSection(Section):
    """Which bases are trained on and which are held out."""

    fasta: Path | None = Field(
        default=None, description="the genome: FASTA, plain or bgzip; required, or genomes"
    )
    genomes: tuple[GenomePart, ...] = Field(
        default=(),
        description="several of them, in place of fasta, train, valid, test and bed: "
        "[{fasta: a.fa, weight: 2, train: [I], valid: [II], test: [III]}, {fasta: b.fa, ...}]",
    )
    length: Count = Field(default=1024, description="bases in a window")
    stride: Count | None = Field(
        default=None, description="bases between train windows; null = length"
    )
    train: Names | None = Field(
        default=None, description="contigs; null = all that are not held out"
    )
    valid: Names | None = Field(
        default=None, description="contigs; null = 10 % of each train contig, before those of test"
    )
    test: Names | None = Field(
        default=None, description="contigs; null = the last 10 % of each train one"
    )
    bed: Path | None = Field(
        default=None,
        description="regions to stay in; a 4th column of train/valid/test sets the split",
    )
    bed_windows: BedLayout = Field(
        default="tile",
        description="what its rows mean; tile: stretches to fill with windows; centre: a window "
        "each, cut or grown around its centre; hyenadna: a window each, the first bases, or grown; "
        "caduceus: the 2^20 bases from its start, to fill",
    )
    overlap: Overlapping = Field(
        default="refuse",
        description="when train, valid and test share bases: refuse, or warn and go on (the "
        "published human split as Caduceus extends it does)",
    )
    max_n_fraction: Fraction = Field(
        default=0.1, description="windows with a larger share of N are left out"
    )
    n_bases: UnknownBases = Field(
        default="ignored",
        description="N in training; ignored: shown, never a target; pad: shown as [PAD], never a "
        "target (Caduceus); predicted: a target as any base (HyenaDNA); held-out targets are "
        "always A, C, G, T",
    )
    jitter: Whole | None = Field(
        default=None, description="bases a train window is moved by at most; null = half of length"
    )
    rc_augment: bool | None = Field(
        default=None, description="train on random strands; null = unless the model is equivariant"
    )
    soft_mask_weight: Fraction = Field(
        default=1.0,
        description="weight in the training loss of bases in lower case (repeats); 0 = not learned",
    )
    workers: Whole = Field(
        default=0, description="processes that prepare batches; 0 = the main one"
    )

    @model_validator(mode="after")
    def _names_genomes_once(self) -> Self:
        if not self.genomes:
            if self.fasta is None:
                raise PydanticCustomError("missing_key", "no genome", {"key": "fasta"})
            return self
        if given := [key for key in OF_ONE_GENOME if getattr(self, key) is not None]:
            raise ValueError(f"leave out {' and '.join(given)}: each of genomes has its own")
        labels = [one.label for one in self.genomes]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"two of genomes are called {twice[0]}; give each a name")
        weighed = [one.label for one in self.genomes if one.weight is not None]
        if weighed and len(weighed) < len(labels):
            raise ValueError(f"only {', '.join(weighed)} has a weight; give all of genomes one")
        return self

    @model_validator(mode="after")
    def _has_rows_to_lay_out(self) -> Self:
        if self.bed_windows != "tile" and all(one.bed is None for one in self.listed):
            raise ValueError(f"bed_windows: {self.bed_windows} needs a bed")
        return self

    @property
    def listed(self) -> tuple[GenomePart, ...]:
        """The genomes: those listed, or the only one."""
        if self.fasta is None:
            return self.genomes
        own = {key: getattr(self, key) for key in OF_ONE_GENOME}
        return (GenomePart.model_construct(name=None, weight=None, **own),)
