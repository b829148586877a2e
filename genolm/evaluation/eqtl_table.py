"""`genolm evaluate eqtl`: frozen models by the eQTL protocol, a result each, and one table.

OUT/MODEL.json   a result; what is there is not done again
OUT/table.csv .md of all results with the same variants and settings
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import Field, field_validator

from genolm import console
from genolm.atomic import write_text
from genolm.data.edit_windows import GenomeWindows
from genolm.data.labelled_variants import describe_skipped
from genolm.data.variant_texts import category
from genolm.errors import UsageError
from genolm.evaluation.eqtl import (
    EDGES,
    MOST_N,
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
from genolm.training.recipe_types import Count, Name, Names, Positive, Section, Share

FILES: Final = tuple(
    f"variants{suffix}"
    for suffix in (".vcf.gz", ".vcf", ".bcf", ".tsv.gz", ".tsv", ".csv.gz", ".csv", ".parquet")
)
BASELINES: Final = ("tissue only", "trinucleotide")
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
    edges: tuple[Positive, ...] = Field(
        default=EDGES, min_length=1, description="between ranges of distances, ascending"
    )
    most_n: Share = Field(default=MOST_N, description="share of N from which a window is left out")
    both_strands: bool = Field(default=False, description="of models that read one strand")

    @field_validator("edges")
    @classmethod
    def _check_edges(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if list(edges) != sorted(set(edges)):
            raise ValueError(f"{list(edges)} do not ascend")
        return edges


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
    models = name_models(request.models)
    file = find_variants(request.data)
    device = choose_device(request.device)
    set_threads(request.threads)
    state = file.stat()
    shared = (str(file), f"{state.st_size} {state.st_mtime_ns}", str(request.reference[0]))
    about = fingerprint_of(settings.model_dump(), *shared)
    results: dict[str, dict[str, Any]] = {}
    for name, path in models.items():
        place = request.output / f"{name}.json"
        mark = fingerprint_of(settings.model_dump(), *shared, model_digest(path))
        known = read_json(place) if place.is_file() and not request.restart else {}
        if known.get("fingerprint") != mark:
            model, _ = load(path, device=device)
            found = _judge(model, file, request.reference[0], settings)
            known = {"fingerprint": mark, "about": about, **found}
            request.output.mkdir(parents=True, exist_ok=True)
            write_json(place, known)
        results[name] = known
    return _write(request.output, _with_earlier(request.output, about, results))


def name_models(given: Sequence[str]) -> dict[str, str]:
    """Return the models of ``PATH`` or ``NAME=PATH`` by their names.

    Raises:
        UsageError: Two have the same name, or a name cannot be that of a file.
    """
    models: dict[str, str] = {}
    for text in given:
        name, _, path = text.rpartition("=")
        name = name or model_name(path)
        if "/" in name or name.startswith(".") or name in BASELINES:
            raise UsageError(f"--model {text}: a row cannot be called {name!r}; write NAME=PATH")
        if name in models:
            raise UsageError(f"--model {text}: two rows are called {name!r}; write NAME=PATH")
        models[name] = path
    return models


def _with_earlier(
    output: Path, about: str, results: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the table: models of this command and of earlier ones, then baselines."""
    earlier = {file.stem: read_json(file) for file in sorted(output.glob("[!.]*.json"))}
    known = {
        **results,
        **{
            name: values
            for name, values in earlier.items()
            if name not in results and values.get("about") == about
        },
    }
    rows = {name: values["buckets"] for name, values in known.items()}
    for values in results.values():
        rows |= values["baselines"]
    return rows


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
        most_n=settings.most_n,
    )
    left_out = ", ".join(describe_skipped(variants.skipped))
    console.say(
        f"{len(variants.edits):,} variants, {int(variants.is_test.sum()):,} of them to be judged "
        f"on; windows of {window:,} bases" + (f"; left out: {left_out}" if left_out else "")
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
    nothing = np.zeros((len(names), 1), dtype=np.float32)
    return dict(zip(BASELINES, (nothing, changes), strict=True))


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
