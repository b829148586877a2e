"""Score a background and keep the result, or find the one that was kept."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from transformers import PreTrainedTokenizerBase

from genolm import __version__
from genolm.console import meter, say, warn
from genolm.data.trinucleotides import CHANGES, CONTEXTS, change_of
from genolm.errors import InputError
from genolm.genome.edits import Edit
from genolm.genome.fasta import Fasta
from genolm.models.backbone import GenolmModel
from genolm.scoring.background import (
    RANDOM,
    SNVS_A_SITE,
    Background,
    draw_sites,
    parse_background,
    read_snvs,
    snvs_at,
)
from genolm.scoring.batches import BatchSize
from genolm.scoring.calibration import Calibration, Conditions, is_calibration, read_calibration
from genolm.scoring.calibration_note import CalibrationNote
from genolm.scoring.calibration_store import find_kept, keep, places_for
from genolm.scoring.fields import ScoreField
from genolm.scoring.model_files import PATTERNS, model_digest
from genolm.scoring.percentiles import FEWEST, key_on_strand
from genolm.scoring.runtime import Runtime
from genolm.scoring.scorer import VariantScorer

_NAMED: Final = 5  # classes that a message lists


@dataclass(frozen=True, slots=True)
class Calibrator:
    """A model and a genome whose scores are to be placed among a background's.

    Attributes:
        scorer: The engine.
        model: Its model.
        fasta: Its genome.
        fields: Scores to place; the engine finds them.
        model_sha256: Digest of the model's weights file.
        layer: That the engine was made with.
        seed: Of random SNVs.
    """

    scorer: VariantScorer
    model: GenolmModel
    fasta: Fasta
    fields: Sequence[ScoreField]
    model_sha256: str
    layer: int | None
    seed: int

    def find(self, background: Background, places: Sequence[Path]) -> Calibration:
        """Return a calibration: the one that was named or kept, or else a new one, which is kept.

        Args:
            background: What to compare with.
            places: Folders in which calibrations are kept, best first.

        Raises:
            InputError: A file is damaged, or made for something else, or there are too few SNVs.
        """
        if not background.sites and is_calibration(Path(background.text)):
            found = read_calibration(background.text)
            found.check(self.conditions(), background.text)
            say(f"calibration: {found}, from {background.text}")
        else:
            found = self._kept_or_new(background, places)
        if found.scarce:
            listed = ", ".join(found.scarce[:_NAMED]) + ", ..." * (len(found.scarce) > _NAMED)
            warn(
                f"{len(found.scarce)} of {len(CHANGES)} trinucleotide changes ({listed}) have fewer"
                f" than {FEWEST} background SNVs: no percentiles for them"
            )
        return found

    def conditions(self, background: Background | None = None) -> Conditions:
        """Return what a calibration depends on, its background or what is placed among one."""
        named, seed = "", None
        if background is not None:
            named, seed = background.name, self.seed if background.sites else None
        distances = any(one.key.startswith("dist") for one in self.fields)
        formats = {str(one.dtype).removeprefix("torch.") for one in self.model.parameters()}
        return Conditions(
            version=__version__,
            model_sha256=self.model_sha256,
            reference_fai_md5=self.fasta.index_md5(),
            window=self.scorer.window,
            layer=self.layer if distances else None,
            dtype="+".join(sorted(formats)),
            mode=self.scorer.fast.note.mode if self.scorer.fast else "exact",
            scores=tuple(one.name for one in self.fields),
            background=named,
            seed=seed,
        )

    def _kept_or_new(self, background: Background, places: Sequence[Path]) -> Calibration:
        kept = find_kept(self.conditions(background), places)
        if kept is not None:
            return kept
        started = time.monotonic()
        found = self.make(background)
        say(f"calibration: {found}, scored in {time.monotonic() - started:.1f} s")
        return keep(found, places) if places else found

    def make(self, background: Background) -> Calibration:
        """Score a background.

        Raises:
            InputError: Its file is wrong, or no class has enough SNVs.
        """
        conditions, genome = self.conditions(background), self.scorer.genome
        if background.sites:
            sites = draw_sites(genome, background.sites, self.seed)
            self._report_sites(len(sites), background.sites)
            scores = self._score(snvs_at(genome, sites), SNVS_A_SITE * len(sites))
            found = Calibration.of(conditions, background.name, scores)
        else:
            scores = self._score(read_snvs(background.text, genome, self.fasta.name), None)
            found = Calibration.of(conditions, Path(background.text).name, scores)
        if len(found.scarce) == len(CHANGES):
            place = self.fasta.path if background.sites else background.text
            raise InputError(
                f"{place}: no background: {sum(found.counts.values())} SNVs whose REF stands in"
                f" {self.fasta.name}, and no trinucleotide change has {FEWEST}"
            )
        return found

    def _report_sites(self, found: int, wanted: int) -> None:
        if found < wanted * len(CONTEXTS):
            say(
                f"calibration: {self.fasta.name} has fewer than {wanted} sites of some"
                f" trinucleotides; all that it has are taken"
            )

    def _score(
        self, chunks: Iterator[list[Edit]], total: int | None
    ) -> dict[str, dict[str, list[float]]]:
        genome = self.scorer.genome
        found: dict[str, dict[str, list[float]]] = {one.name: {} for one in self.fields}
        with meter("calibrating", "SNVs", total) as shown:
            for edits in chunks:
                for edit, result in zip(
                    edits, self.scorer.score(edits, shown.advance), strict=True
                ):
                    change = change_of(genome, edit)
                    assert change is not None
                    assert not isinstance(result, str)
                    for one in self.fields:
                        score = result[key_on_strand(one.key, change)]
                        found[one.name].setdefault(change.name, []).append(score)
        return found


class CalibratedJob(Protocol):
    """What a command knows that can give percentiles."""

    @property
    def calibrate(self) -> str | None:
        """Background, see ``parse_background``; None for no percentiles."""

    @property
    def model(self) -> str:
        """What the model was loaded from."""

    @property
    def runtime(self) -> Runtime:
        """How it is run; its seed is that of random SNVs."""


def apply_calibration(
    job: CalibratedJob,
    scorer: VariantScorer,
    model: GenolmModel,
    fasta: Fasta,
    *,
    layer: int | None = None,
    fields: Sequence[ScoreField] | None = None,
) -> CalibrationNote | None:
    """Make an engine give percentiles too where a command was asked for them.

    Args:
        job: What was asked for.
        scorer: The engine.
        model: Its model.
        fasta: Its genome.
        layer: That the engine was made with.
        fields: Scores to place; None means all of the engine's.

    Returns:
        What the output is to say about the calibration, None without one.

    Raises:
        UsageError: There is no such background.
        InputError: A file is damaged or does not belong here.
    """
    if job.calibrate is None:
        return None
    wanted = scorer.fields if fields is None else fields
    digest = model_digest(job.model)
    calibrator = Calibrator(scorer, model, fasta, wanted, digest, layer, job.runtime.seed)
    found = calibrator.find(parse_background(job.calibrate), places_for(job.model))
    scorer.percentiles = found.percentiles(wanted)
    return found.note


def calibrate(
    model: GenolmModel,
    tokenizer: PreTrainedTokenizerBase,
    fasta: Fasta | str | Path,
    background: str | Path = RANDOM,
    scores: Sequence[str] = (),
    *,
    window: int | None = None,
    layer: int | None = None,
    batch_size: BatchSize = "auto",
    seed: int = 1,
) -> Calibration:
    """Return the scores of background SNVs, for ``score_variants`` to place others among.

    Nothing is kept: ``Calibration.save`` writes a file that can be named wherever a background
    can. The model is told by the file that it was loaded from; save one that was changed since.

    Args:
        model: A language model, a classifier or a regressor.
        tokenizer: Its tokenizer.
        fasta: The reference genome.
        background: ``random`` or ``random:N`` for SNVs drawn from the genome, equally many of each
            trinucleotide; or the path of a VCF, a BCF, a table of variants, or a saved calibration.
        scores: As for ``score_variants``.
        window: As for ``score_variants``.
        layer: As for ``score_variants``.
        batch_size: Windows a batch, or "auto".
        seed: Of random SNVs.

    Raises:
        UsageError: There is no such background, or an option is wrong.
        InputError: A file is damaged, or does not belong to the model, window and genome.
    """
    parsed = parse_background(str(background))
    opened = fasta if isinstance(fasta, Fasta) else Fasta(fasta)
    scorer = VariantScorer(
        model, tokenizer, opened, scores=scores, window=window, layer=layer, batch_size=batch_size
    )
    return _in_memory(model, scorer, opened, layer, seed).find(parsed, ())


def add_calibration(
    calibration: Calibration | str | Path,
    model: GenolmModel,
    scorer: VariantScorer,
    fasta: Fasta,
    layer: int | None,
) -> None:
    """Make an engine give percentiles too, from Python.

    Args:
        calibration: One of ``calibrate``, or a background as it takes them.
        model: The engine's model.
        scorer: The engine.
        fasta: Its genome.
        layer: That the engine was made with.

    Raises:
        UsageError: There is no such background.
        InputError: A file is damaged, or the calibration does not belong to the engine.
    """
    calibrator = _in_memory(model, scorer, fasta, layer, seed=1)
    if isinstance(calibration, Calibration):
        calibration.check(calibrator.conditions(), str(calibration))
        found = calibration
    else:
        found = calibrator.find(parse_background(str(calibration)), ())
    scorer.percentiles = found.percentiles(scorer.fields)


def _in_memory(
    model: GenolmModel, scorer: VariantScorer, fasta: Fasta, layer: int | None, seed: int
) -> Calibrator:
    source = model.name_or_path or None  # None of a model that was built here
    has_weights = source and any(next(Path(source).glob(one), None) for one in PATTERNS)
    digest = model_digest(source) if source and has_weights else ""
    return Calibrator(scorer, model, fasta, scorer.fields, digest, layer, seed)
