"""`genolm evaluate eqtl`: frozen models by the eQTL protocol, a result each, and one table.

OUT/MODEL.json   a result; what is there is not done again
OUT/table.csv .md of all results
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import Field

from genolm import console
from genolm.atomic import write_text
from genolm.data.edit_windows import GenomeWindows
from genolm.data.variant_texts import category
from genolm.errors import UsageError
from genolm.evaluation.eqtl import (
    EDGES,
    TEST_CONTIGS,
    Bucket,
    Eqtls,
    Features,
    judge_eqtls,
    read_eqtls,
)
from genolm.evaluation.results import fingerprint_of
from genolm.genome.fasta import Fasta
from genolm.models import load
from genolm.scoring.model_files import model_digest, model_name
from genolm.scoring.scorer import choose_window
from genolm.scoring.site_features import SITE_WINDOW, SiteFeatures
from genolm.training.checkpoints import read_json, write_json
from genolm.training.machine import choose_device, set_threads
from genolm.training.recipe_files import apply_override, check_values
from genolm.training.recipe_types import Count, Name, Names, Section

FILES: Final = tuple(
    f"variants{suffix}"
    for suffix in (".vcf.gz", ".vcf", ".bcf", ".tsv.gz", ".tsv", ".csv.gz", ".csv", ".parquet")
)
COLUMNS: Final = (
    *("row", "distance", "train", "test", "auroc", "spread"),
    "auroc_as_published",
)


class EqtlSettings(Section):
    """What KEY=VALUE may say."""

    window: Count | None = Field(default=None, description="bases; null = as for genolm score")
    site_window: Count = Field(default=SITE_WINDOW, description="positions averaged, an odd number")
    label: Name = Field(default="label", description="INFO key or column, 0 or 1")
    distance: Name = Field(
        default="distance_to_nearest_tss", description="likewise, bases to a transcription start"
    )
    tissue: Name | None = Field(default="tissue", description="likewise; null = none")
    test_contigs: Names = Field(default=TEST_CONTIGS, description="the test part")
    edges: tuple[float, ...] = Field(default=EDGES, description="between ranges of distances")
    both_strands: bool = Field(default=False, description="of models that read one strand")


@dataclass(frozen=True)
class EqtlRequest:
    """What a command says.

    Attributes:
        data: The variants, or a folder with a file called ``variants.vcf.gz`` or the like.
        output: Folder of the results.
        reference: FASTA.
        models: ``PATH`` or ``NAME=PATH`` each.
        overrides: ``KEY=VALUE`` each, of :class:`EqtlSettings`.
        restart: Compute all anew.
        device: "auto", "cpu" or "cuda".
        threads: CPU threads; None leaves the choice to torch.
    """

    data: Path
    output: Path
    reference: Sequence[str]
    models: Sequence[str]
    overrides: Sequence[str] = ()
    restart: bool = False
    device: str = "auto"
    threads: int | None = None


def run_eqtl(request: EqtlRequest) -> Path:
    """Judge every model, and two baselines that see no window, and write the table.

    Returns:
        The Markdown table.

    Raises:
        UsageError: An option is wrong, or a file or part is missing.
        InputError: The variants are not what they should be.
    """
    values: dict[str, Any] = {}
    for override in request.overrides:
        apply_override(values, override)
    settings = check_values(EqtlSettings, values, "genolm evaluate eqtl")
    if len(request.reference) != 1:
        raise UsageError("genolm evaluate eqtl: the genome of the variants, one --reference FASTA")
    if not request.models:
        raise UsageError("genolm evaluate eqtl: name a model with --model")
    file = find_variants(request.data)
    device = choose_device(request.device)
    set_threads(request.threads)
    state = file.stat()
    shared = (str(file), f"{state.st_size} {state.st_mtime_ns}", str(request.reference[0]))
    rows: dict[str, list[dict[str, Any]]] = {}
    for given in request.models:
        name, _, path = given.rpartition("=")
        name = name or model_name(path)
        place = request.output / f"{name}.json"
        mark = fingerprint_of(settings.model_dump(), *shared, model_digest(path))
        known = read_json(place) if place.is_file() and not request.restart else {}
        if known.get("fingerprint") != mark:
            model, _ = load(path, device=device)
            known = {"fingerprint": mark, **_judge(model, file, request.reference[0], settings)}
            request.output.mkdir(parents=True, exist_ok=True)
            write_json(place, known)
        rows |= {name: known["buckets"]} | known["baselines"]
    return _write(request.output, rows)


def find_variants(data: Path) -> Path:
    """Return the file of variants that ``--data`` names.

    Raises:
        UsageError: There is none.
    """
    if data.is_file():
        return data
    found = [data / name for name in FILES if (data / name).is_file()]
    if len(found) != 1:
        problem = "no file" if not found else "more than one file"
        raise UsageError(f"--data {data}: {problem} called {', '.join(FILES)}")
    return found[0]


def _judge(model: Any, file: Path, reference: str, settings: EqtlSettings) -> dict[str, Any]:
    window = choose_window(model, settings.window)
    genome = GenomeWindows(Fasta(reference))
    variants = read_eqtls(
        file,
        genome,
        reference=reference,
        label=settings.label,
        distance=settings.distance,
        tissue=settings.tissue,
        window=window,
        test_contigs=settings.test_contigs,
        edges=settings.edges,
    )
    console.say(
        f"{len(variants.edits):,} variants, {int(variants.is_test.sum()):,} of them to be judged "
        f"on; windows of {window:,} bases"
    )
    features = SiteFeatures(
        model,
        genome,
        window,
        site_window=settings.site_window,
        both_strands=settings.both_strands,
    ).compute(variants.edits)
    baselines = {
        name: _values(judge_eqtls(variants, seen))
        for name, seen in baseline_features(variants, genome).items()
    }
    return {
        "window": window,
        "skipped": variants.skipped,
        "buckets": _values(judge_eqtls(variants, features)),
        "baselines": baselines,
    }


def baseline_features(variants: Eqtls, genome: GenomeWindows) -> dict[str, Features]:
    """Return what baselines see: nothing but the tissue; and the trinucleotide change.

    Args:
        variants: The variants (n).
        genome: The reference bases.
    """
    names = [category(genome, edit) for edit in variants.edits]
    known, places = np.unique(np.array(names), return_inverse=True)
    changes = np.eye(len(known), dtype=np.float32)[places]
    return {"tissue only": np.zeros((len(names), 1), dtype=np.float32), "trinucleotide": changes}


def _values(buckets: Sequence[Bucket]) -> list[dict[str, Any]]:
    return [asdict(one) for one in buckets]


def _write(output: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    for row, buckets in rows.items():
        for one in buckets:
            numbers = [one[name] for name in ("auroc", "spread", "auroc_as_published")]
            cells = [row, one["name"], one["train"], one["test"], *(f"{n:.4f}" for n in numbers)]
            writer.writerow(cells)
            lines.append(f"| {' | '.join(map(str, cells))} |")
    write_text(output / "table.csv", text.getvalue())
    markdown = output / "table.md"
    write_text(markdown, "\n".join(lines) + "\n")
    return markdown
