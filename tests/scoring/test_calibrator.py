import itertools
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from genolm.errors import InputError, UsageError
from genolm.genome.fasta import Fasta
from genolm.genome.sequence import reverse_complement
from genolm.genome.variant import Variant
from genolm.scoring import Calibration, calibrate, score_variants
from genolm.scoring import calibration_store as store
from genolm.scoring import score_file as module
from genolm.scoring.calibration import read_calibration
from genolm.scoring.fast import FAST_MODES
from genolm.scoring.fast_note import ErrorSummary, FastNote
from genolm.scoring.merge_files import merge_files
from genolm.scoring.runtime import Runtime
from genolm.scoring.saturate_file import SaturationJob, saturate_file
from genolm.scoring.score_file import ScoringJob, score_file

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
BACKGROUND = "random:1920"
BASES = "".join(np.array(list("ACGT"))[np.random.default_rng(7).integers(0, 4, 3000)])


@pytest.fixture(scope="module")
def big_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("big") / "big.fa"
    path.write_text(f">chr1\n{BASES}\n")
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENOLM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def _loaded_once(monkeypatch):
    known = {}
    load = Runtime.load

    def cached(self, model):
        key = (Path(model).resolve(), self.dtype)
        if key not in known:
            known[key] = load(self, model)
        return known[key]

    monkeypatch.setattr(Runtime, "load", cached)


@pytest.fixture
def folder(model_folders, tmp_path):
    """A model's folder that nothing is kept in yet."""
    return shutil.copytree(model_folders / "ps", tmp_path / "ps")


@pytest.fixture
def job(tmp_path, big_path, folder):
    def make(name="out.vcf", text=None, **options):
        vcf = tmp_path / "in.vcf"
        vcf.write_text(HEADER + ("".join(snvs(range(5, 45))) if text is None else text))
        given = {"model": str(folder), "calibrate": BACKGROUND, "runtime": Runtime("cpu")}
        return ScoringJob(
            vcf=str(vcf),
            reference=str(big_path),
            output=str(tmp_path / name),
            command="genolm score",
            **given | options,
        )

    return make


def other(base):
    return "ACGT"[("ACGT".index(base) + 1) % 4]


def snvs(starts):
    return [f"chr1\t{i + 1}\t.\t{BASES[i]}\t{other(BASES[i])}\t.\t.\t.\n" for i in starts]


def variants(starts):
    return [Variant("chr1", i, BASES[i], other(BASES[i])) for i in starts]


def folded(variant):
    """Class of a SNV, as ``TCAT`` for T[C>T]A; shorter at the ends of the contig."""
    three, alt = BASES[max(0, variant.start - 1) : variant.start + 2], variant.alt
    if variant.ref in "AG":
        three, alt = reverse_complement(three), reverse_complement(alt)
    return three + alt


def of_classes(*classes, most=60):
    """The first SNVs of each of some classes, in the order of the genome."""
    every = [
        Variant("chr1", i, BASES[i], alt)
        for i in range(1, len(BASES) - 1)
        for alt in "ACGT"
        if alt != BASES[i]
    ]
    chosen = [[v for v in every if folded(v) == one][:most] for one in classes]
    return sorted(itertools.chain.from_iterable(chosen), key=lambda v: (v.start, v.alt))


def write_vcf(path, records):
    lines = [f"chr1\t{v.start + 1}\t.\t{v.ref}\t{v.alt}\t.\t.\t.\n" for v in records]
    path.write_text(HEADER + "".join(lines))
    return path


def column(path, name):
    lines = [line for line in Path(path).read_text().splitlines() if line[0] != "#"]
    found = [re.search(rf"[\t;]{name}=([^;]*)", line).group(1) for line in lines]
    return [None if value == "." else float(value) for value in found]


def kept_in(folder):
    return sorted((folder / "calibration").glob("*"))


def test_percentiles_are_added_and_what_they_come_from_is_kept(job, folder, capsys):
    one = job()
    score_file(one)
    found, scores = column(one.output, "GENOLM_LLR_PCT"), column(one.output, "GENOLM_LLR")
    assert all(0 <= value <= 100 for value in found)
    assert len(set(found)) > 10
    (path,) = kept_in(folder)
    kept = read_calibration(path)
    assert set(kept.counts.values()) == {20}
    header = Path(one.output).read_text()
    assert kept.note.line() in header
    assert header.count("##INFO=<ID=GENOLM_LLR_PCT,Number=A,Type=Float") == 1
    said = capsys.readouterr().err
    assert f"kept as {path}" in said
    assert len(scores) == len(found)


def test_what_was_kept_is_used_again_to_the_same_bytes(job, folder, capsys, monkeypatch):
    score_file(job())
    (path,) = kept_in(folder)
    before = path.read_bytes()
    capsys.readouterr()

    def never(*arguments):
        raise AssertionError("scored again")

    monkeypatch.setattr("genolm.scoring.calibrator.Calibrator.make", never)
    score_file(job("again.vcf"))
    assert f"made before: {path}" in capsys.readouterr().err
    outputs = [Path(job(name).output).read_bytes() for name in ("out.vcf", "again.vcf")]
    assert outputs[0] == outputs[1]
    assert path.read_bytes() == before


def test_the_same_seed_gives_the_same_file_and_another_seed_another(job, folder):
    score_file(job())
    (path,) = kept_in(folder)
    first = path.read_bytes()
    path.unlink()
    score_file(job(runtime=Runtime("cpu", seed=1)))
    assert kept_in(folder) == [path]
    assert path.read_bytes() == first
    score_file(job(runtime=Runtime("cpu", seed=2)))
    assert len(kept_in(folder)) == 2
    texts = [json.loads(one.read_text())["scores"] for one in kept_in(folder)]
    assert texts[0] != texts[1]


@pytest.mark.parametrize(
    "change", [{"window": 24}, {"scores": ("wild_type",)}, {"calibrate": "random:2016"}]
)
def test_other_conditions_have_a_calibration_of_their_own(job, folder, change):
    score_file(job())
    score_file(job(**change))
    assert len(kept_in(folder)) == 2


@pytest.mark.parametrize("name", ["ps", "ph", "mamba"])
def test_the_background_itself_is_uniform(models, tokenizers, big_path, tmp_path, name):
    """The same SNVs as background and as what is placed: every class has a mean of 50."""
    few = of_classes("GTGC", most=19)
    records = [*of_classes("TCAT", "ACGG", "CTTA"), *few]
    path = write_vcf(tmp_path / "bg.vcf", records)
    scores = ("llr", "llr_strands", "wild_type")
    model, tokenizer = models[name], tokenizers[name]
    made = calibrate(model, tokenizer, big_path, path, scores)
    by_class = {}
    for one in score_variants(model, tokenizer, records, big_path, scores, calibration=made):
        by_class.setdefault(folded(one.variant), []).append(one.values)
    assert not any(key.endswith("_PCT") for values in by_class.pop("GTGC") for key in values)
    for values in by_class.values():
        assert len(values) == 60
        for field in ("GENOLM_LLR_PCT", "GENOLM_WT_PCT"):
            numbers = [one[field] for one in values]
            assert np.mean(numbers) == pytest.approx(50, abs=1e-6)
            assert np.ptp(numbers) == pytest.approx(100 * (1 - 1 / 60), abs=0.5)
        ordered = sorted((one["GENOLM_LLR"], one["GENOLM_LLR_PCT"]) for one in values)
        assert all(after[1] >= before[1] - 1e-9 for before, after in pairwise(ordered))


def test_strands_are_exchanged_with_the_genome(models, tokenizers, big_path, tmp_path):
    """On the other strand of the genome the same SNVs have the same percentiles.

    The window is odd: an even one has a base more on one side.
    """
    turned_path = tmp_path / "turned.fa"
    turned_path.write_text(f">chr1\n{reverse_complement(BASES)}\n")
    last = len(BASES) - 1
    here = of_classes("TCAT", "ACGG")
    there = [
        Variant("chr1", last - v.start, reverse_complement(v.ref), reverse_complement(v.alt))
        for v in here
    ]
    found = []
    for path, records in ((big_path, here), (turned_path, there)):
        background = write_vcf(tmp_path / "bg.vcf", records)
        arguments = models["ph"], tokenizers["ph"], records, path, ("llr", "llr_strands")
        placed = score_variants(*arguments, window=31, calibration=background)
        found.append([one.values for one in placed])
    names = {"LLR": "LLR", "LLR_FWD": "LLR_REV", "LLR_REV": "LLR_FWD"}
    for ours, theirs in zip(*found, strict=True):
        for one, same in names.items():
            expected = pytest.approx(theirs[f"GENOLM_{same}_PCT"], abs=1e-6)
            assert ours[f"GENOLM_{one}_PCT"] == expected
    assert len({values["GENOLM_LLR_FWD_PCT"] for values in found[0]}) > 50


def test_neither_order_nor_batch_nor_shards_change_a_percentile(job, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "SHARD_BLOCK", 3)
    monkeypatch.setattr(module, "CHUNK", 4)
    score_file(job("whole.vcf"))
    whole = column(tmp_path / "whole.vcf", "GENOLM_LLR_PCT")
    score_file(job("ones.vcf", runtime=Runtime("cpu", batch_size=1)))
    assert column(tmp_path / "ones.vcf", "GENOLM_LLR_PCT") == pytest.approx(whole, abs=0.1)
    score_file(job("back.vcf", text="".join(snvs(range(44, 4, -1)))))
    assert column(tmp_path / "back.vcf", "GENOLM_LLR_PCT")[::-1] == pytest.approx(whole, abs=0.1)
    parts = [job(f"{i}.vcf", shard=(i, 3)) for i in range(3)]
    for part in parts:
        score_file(part)
    merge_files([part.output for part in parts], str(tmp_path / "merged.vcf"), "genolm merge")
    assert column(tmp_path / "merged.vcf", "GENOLM_LLR_PCT") == pytest.approx(whole, abs=0.1)
    assert (tmp_path / "merged.vcf").read_text().count("##genolmCalibration=") == 1


def test_shards_of_different_calibrations_are_not_joined(job, tmp_path):
    parts = [
        job("0.vcf", shard=(0, 2)),
        job("1.vcf", shard=(1, 2), runtime=Runtime("cpu", seed=2)),
    ]
    for part in parts:
        score_file(part)
    with pytest.raises(InputError, match="not parts of one scoring: calibration"):
        merge_files([part.output for part in parts], str(tmp_path / "m.vcf"), "genolm merge")


def test_scoring_again_replaces_fields_and_header_lines(job, tmp_path):
    score_file(job())
    first = (tmp_path / "out.vcf").read_text()
    (tmp_path / "scored.vcf").write_text(first)
    again = job("again.vcf")
    score_file(
        ScoringJob(
            vcf=str(tmp_path / "scored.vcf"),
            reference=again.reference,
            model=again.model,
            output=again.output,
            calibrate=BACKGROUND,
            runtime=Runtime("cpu"),
            command="genolm score",
        )
    )
    assert Path(again.output).read_text() == first


@pytest.mark.parametrize(
    "suffix", [".vcf.gz", ".bcf", ".tsv", ".csv", ".parquet", ".jsonl", ".bed"]
)
def test_every_format_has_the_percentiles(job, tmp_path, suffix):
    indel = f"chr1\t101\t.\t{BASES[100]}\t{BASES[100]}{other(BASES[100])}\t.\t.\t.\n"
    text = "".join(snvs(range(50, 60))) + indel
    score_file(job("plain.vcf", text))
    expected = column(tmp_path / "plain.vcf", "GENOLM_LLR_PCT")
    assert expected[-1] is None
    assert None not in expected[:-1]
    path = tmp_path / f"out{suffix}"
    score_file(job(path.name, text))
    assert _read(path) == [None if x is None else pytest.approx(x, rel=1e-6) for x in expected]


def _read(path):
    name = "GENOLM_LLR_PCT"
    if path.suffix in (".gz", ".bcf"):
        import pysam.bcftools

        text = pysam.bcftools.query("-f", f"%INFO/{name}\n", str(path))
        assert "##genolmCalibration=<ID=" in pysam.bcftools.view("-h", str(path))
        return [None if one == "." else float(one) for one in text.split()]
    if path.suffix == ".parquet":
        from pyarrow import parquet

        table = parquet.read_table(path)
        assert b"##genolmCalibration=" in table.schema.metadata[b"genolm"]
        return table[name].to_pylist()
    lines = path.read_text().splitlines()
    if path.suffix == ".jsonl":
        assert json.loads(lines[0])["genolm"]["calibration_snvs"] == 1920
        return [json.loads(line)[name] for line in lines[1:]]
    if path.suffix == ".bed":
        assert any(line.startswith("#genolmCalibration=") for line in lines)
    delimiter = "," if path.suffix == ".csv" else "\t"
    rows = [line.split(delimiter) for line in lines if "#genolm" not in line]
    place = rows[0].index(name)
    return [None if row[place] in ("NA", ".") else float(row[place]) for row in rows[1:]]


def test_saturation_has_the_same_percentiles_of_the_same_calibration(job, folder, tmp_path):
    every = [
        f"chr1\t{i + 1}\t.\t{BASES[i]}\t{alt}\t.\t.\t.\n"
        for i in range(10)
        for alt in "ACGT"
        if alt != BASES[i]
    ]
    one = job(text="".join(every))
    score_file(one)
    expected = column(one.output, "GENOLM_LLR_PCT")
    assert expected[:3] == [None] * 3  # nothing stands before the first base
    for name in ("sites.vcf", "sites.tsv", "sites.npz"):
        saturate_file(
            SaturationJob(
                region="chr1:1-10",
                reference=one.reference,
                model=one.model,
                output=str(tmp_path / name),
                calibrate=BACKGROUND,
                runtime=Runtime("cpu"),
            )
        )
    assert len(kept_in(folder)) == 1
    same = [None if x is None else pytest.approx(x, abs=0.1) for x in expected]
    assert column(tmp_path / "sites.vcf", "GENOLM_LLR_PCT") == same
    assert _read(tmp_path / "sites.tsv") == same
    with np.load(tmp_path / "sites.npz") as arrays:
        table = arrays["percentiles"]
        found = [
            table[i, "ACGT".index(alt)] for i in range(10) for alt in "ACGT" if alt != BASES[i]
        ]
        assert "##genolmCalibration=" in str(arrays["provenance"])
    assert [None if np.isnan(x) else float(x) for x in found] == same


def test_a_file_of_snvs_and_a_kept_calibration_are_backgrounds_too(job, tmp_path, folder, capsys):
    background = tmp_path / "bg.vcf"
    background.write_text(HEADER + "".join(snvs(range(1500))))
    score_file(job("a.vcf", calibrate=str(background)))
    (path,) = kept_in(folder)
    assert (
        'background="bg.vcf",n=1499' in (tmp_path / "a.vcf").read_text()
    )  # the first has no class
    said = capsys.readouterr().err
    assert re.search(r"\d+ of 96 trinucleotide changes \(.*, \.\.\.\) have fewer than 20", said)
    copy = shutil.copy(path, tmp_path / "mine.json")
    score_file(job("b.vcf", calibrate=str(copy)))
    assert (tmp_path / "a.vcf").read_bytes() == (tmp_path / "b.vcf").read_bytes()
    assert kept_in(folder) == [path]
    assert None in column(tmp_path / "a.vcf", "GENOLM_LLR_PCT")


def test_a_calibration_of_another_window_is_refused_before_anything_is_written(
    job, folder, tmp_path
):
    score_file(job())
    (path,) = kept_in(folder)
    with pytest.raises(InputError, match="its window is 32, expected 24"):
        score_file(job("other.vcf", window=24, calibrate=str(path)))
    assert not (tmp_path / "other.vcf").exists()


def test_a_folder_that_cannot_be_written_leaves_it_to_the_cache(
    job, folder, cache, capsys, monkeypatch
):
    publish = store._publish

    def refuse(path, text):
        if folder in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        publish(path, text)

    monkeypatch.setattr(store, "_publish", refuse)
    score_file(job())
    (path,) = kept_in(cache)
    assert f"kept as {path}" in capsys.readouterr().err
    score_file(job("again.vcf"))
    assert f"made before: {path}" in capsys.readouterr().err


class Rounded:
    """A fast mode that is the exact one."""

    note = FastNote("rounded", {"R": 1}, ErrorSummary.of([0.0]))

    def __init__(self, parts):
        self.score = parts.exact.score

    def account(self):
        return "all sites alike"


def test_fast_scores_are_placed_among_fast_ones(job, folder, monkeypatch, tmp_path):
    monkeypatch.setitem(FAST_MODES, "masked_lm", Rounded)
    score_file(job("exact.vcf"))
    (exact,) = kept_in(folder)
    score_file(job("fast.vcf", fast=True))
    assert len(kept_in(folder)) == 2
    names = ("exact.vcf", "fast.vcf")
    found = [column(tmp_path / name, "GENOLM_LLR_PCT") for name in names]
    assert found[0] == found[1]
    with pytest.raises(InputError, match="its mode is 'exact', expected 'rounded'"):
        score_file(job("other.vcf", fast=True, calibrate=str(exact)))


def test_nowhere_to_keep_it_is_said_and_no_reason_to_stop(job, capsys, monkeypatch, tmp_path):
    def refuse(path, text):
        raise PermissionError(13, "Permission denied", str(path))

    score_file(job("kept.vcf"))
    shutil.rmtree(tmp_path / "ps" / "calibration")
    monkeypatch.setattr(store, "_publish", refuse)
    score_file(job())
    assert "the next run makes it again" in capsys.readouterr().err
    assert (tmp_path / "out.vcf").read_bytes() == (tmp_path / "kept.vcf").read_bytes()


def test_of_two_shards_at_once_the_first_to_finish_is_kept(tmp_path):
    path = tmp_path / "one.json"
    store._publish(path, "first")
    store._publish(path, "second")
    assert path.read_text() == "first"
    assert list(tmp_path.glob("*one.json")) == [path]


def test_models_that_come_with_genolm_have_their_calibrations_in_the_cache(cache, tmp_path):
    from genolm.bundled import bundled_models

    name, folder = next(iter(bundled_models().items()))
    for model in (name, str(folder), "owner/name"):
        assert store.places_for(model) == [cache / "calibration"]
    assert store.places_for(str(tmp_path)) == [tmp_path / "calibration", cache / "calibration"]


def test_too_small_a_genome_is_refused_and_a_small_one_is_said_to_be(
    job, tmp_path, models, tokenizers, capsys
):
    tiny, small = tmp_path / "tiny.fa", tmp_path / "small.fa"
    tiny.write_text(f">chr1\n{BASES[:200]}\n")
    small.write_text(f">chr1\n{BASES[:900]}\n")
    with pytest.raises(InputError, match=r"tiny\.fa: no background: 594 SNVs .*has 20"):
        calibrate(models["ps"], tokenizers["ps"], tiny)
    made = calibrate(models["ps"], tokenizers["ps"], small)
    assert sum(made.counts.values()) == 3 * 898
    said = capsys.readouterr().err
    assert "small.fa has fewer than 100 sites of some trinucleotides" in said
    assert "have fewer than 20 background SNVs" in said


def test_a_background_without_a_usable_snv_is_refused(job, tmp_path):
    background = tmp_path / "bg.vcf"
    background.write_text(HEADER + f"chr1\t11\t.\t{BASES[10]}\t<DEL>\t.\t.\t.\n")
    with pytest.raises(InputError, match=r"bg\.vcf: no background: 0 SNVs"):
        score_file(job(calibrate=str(background)))
    assert not (tmp_path / "out.vcf").exists()


def test_a_missing_background_is_noticed_before_the_model_is_loaded(job, monkeypatch):
    def never(self, model):
        raise AssertionError("loaded")

    monkeypatch.setattr(Runtime, "load", never)
    with pytest.raises(UsageError, match=r"no such file: none\.vcf"):
        score_file(job(calibrate="none.vcf"))


@pytest.mark.parametrize("name", ["ps", "classifier", "hyena"])
def test_every_number_has_its_percentile(models, tokenizers, big_path, tmp_path, name):
    scores = {"classifier": ("delta", "dist_cosine")}.get(name, ("llr", "dist", "dist_site"))
    some = of_classes("TCAT", most=40)
    background = write_vcf(tmp_path / "bg.vcf", some[:20])
    arguments = models[name], tokenizers[name], some[15:], big_path, scores
    for one in score_variants(*arguments, calibration=background):
        own = [field for field in one.values if not field.endswith("_PCT")]
        assert len(own) == (4 if name == "classifier" else 3)
        assert set(one.values) == {*own, *(f"{field}_PCT" for field in own)}


def test_a_calibration_in_memory_is_checked_like_a_file(models, tokenizers, big_path, tmp_path):
    model, tokenizer = models["ps"], tokenizers["ps"]
    made = calibrate(model, tokenizer, big_path, BACKGROUND)
    assert isinstance(made, Calibration)
    made.save(tmp_path / "mine.json")
    some = variants(range(10, 14))
    one, two = (
        [s.values for s in score_variants(model, tokenizer, some, big_path, calibration=each)]
        for each in (made, tmp_path / "mine.json")
    )
    assert one == two
    with pytest.raises(InputError, match="its window is 32, expected 24"):
        score_variants(model, tokenizer, some, Fasta(big_path), window=24, calibration=made)
    with pytest.raises(InputError, match="expected GENOLM_DIST"):
        score_variants(model, tokenizer, some, big_path, ("dist",), calibration=made)
