import numpy as np
import pytest

from genolm.errors import InputError, UsageError
from genolm.genome.interval import Interval
from genolm.scoring.fast import FAST_MODES, fast_account, make_fast
from genolm.scoring.fast_parts import ALLELES_AT_ONCE, FastParts
from genolm.scoring.fast_store import FILE_NAME, FastStore
from genolm.scoring.likelihood import ModelRunner
from genolm.scoring.masked import MaskedRatios
from genolm.scoring.saturate import SiteScorer
from genolm.scoring.saturate_file import SaturationJob, saturate_file
from genolm.scoring.saturate_heading import LLR
from genolm.scoring.score_file import ScoringJob, score_file
from genolm.scoring.scorer import VariantScorer
from genolm.scoring.seeded_calibration import (
    LARGEST_ERROR,
    MARGIN,
    SITES,
    calibrate,
    draw_edits,
    make_seeded,
)

REGION = "chr1:101-180"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENOLM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def parts(models, genome, window_size):
    def make(name, store=None, genome=genome):
        exact = MaskedRatios(
            ModelRunner(models[name]), genome, window_size, equivariant=name == "ps"
        )
        return FastParts(
            models[name], genome, window_size, "auto", name == "ps", exact, store or FastStore()
        )

    return make


@pytest.fixture
def folder(model_folders, tmp_path):
    """A model folder of this test's own, in which a calibration can be kept."""
    own = tmp_path / "model"
    own.mkdir()
    for file in (model_folders / "ps").iterdir():
        (own / file.name).write_bytes(file.read_bytes())
    return own


def test_sites_are_drawn_from_all_of_the_genome_and_always_the_same(genome, contigs):
    edits = draw_edits(genome, 200)
    assert edits == draw_edits(genome, 200)
    assert len(edits) == 600
    assert {edit.contig for edit in edits} == set(contigs)
    for edit in edits:
        assert contigs[edit.contig][edit.start].upper() == edit.ref != edit.alt


def test_a_genome_of_n_alone_is_refused(make_genome):
    with pytest.raises(InputError, match="no A, C, G or T"):
        draw_edits(make_genome({"chr1": "N" * 50}), 2)


@pytest.mark.parametrize("name", ["ps", "ph"])
def test_a_calibration_is_near_enough_and_its_error_is_what_is_measured(parts, name):
    own = parts(name)
    tiling, error = calibrate(own)
    assert tiling.radius < own.window
    edits = draw_edits(own.genome, SITES)
    exact = own.exact.score(edits)["llr"]
    mode = make_seeded(own)
    assert (mode.note.settings, mode.note.error) == (
        {"R": tiling.radius, "step": tiling.step},
        error,
    )
    assert error.alleles == len(edits)
    assert 0 < error.largest <= 2 * LARGEST_ERROR / MARGIN
    # Sites that pay to share are off by what the note says; the rest by nothing.
    found = np.abs(mode.score(edits)["llr"] - exact)
    assert found.max() <= error.largest * (1 + 1e-6)


def test_where_nothing_is_near_enough_everything_is_exact(parts, monkeypatch):
    monkeypatch.setattr("genolm.scoring.seeded_calibration.LARGEST_ERROR", 1e-300)
    own = parts("ps")
    mode = make_seeded(own)
    assert mode.note.error.largest == 0
    edits = draw_edits(own.genome, 50)
    assert np.array_equal(mode.score(edits)["llr"], own.exact.score(edits)["llr"])
    assert mode.account() == f"0 alleles by segments, {len(edits)} by full passes"


def test_a_calibration_is_used_again_for_the_same_model_genome_and_window(
    parts, models, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("genolm.scoring.seeded_calibration.SITES", 4)
    store = FastStore(tmp_path, "ab" * 32, "cd" * 16)
    first = make_seeded(parts("ps", store))
    assert str(tmp_path / FILE_NAME) in capsys.readouterr().err
    passes = []
    handle = models["ps"].register_forward_pre_hook(lambda *_: passes.append(1))
    try:
        again = make_seeded(parts("ps", store))
        assert not passes
        assert again.note == first.note
        assert "as calibrated before" in capsys.readouterr().err
        make_seeded(parts("ps", FastStore(tmp_path, "ab" * 32, "ef" * 16)))
        assert passes
    finally:
        handle.remove()


def saturate(folder, fasta_path, output, *, fast):
    job = SaturationJob(REGION, str(fasta_path), str(folder), str(output), fast=fast)
    return saturate_file(job)


def values(path):
    rows = [line.split("\t") for line in path.read_text().splitlines() if line[0] != "#"]
    return np.array([float(row[-1]) for row in rows[1:]])


def test_saturation_says_what_was_fast_and_is_near_the_exact_one(folder, fasta_path, tmp_path):
    exact, fast = tmp_path / "exact.tsv", tmp_path / "fast.tsv"
    plain = saturate(folder, fasta_path, exact, fast=False)
    assert not (folder / FILE_NAME).exists()
    summary = saturate(folder, fasta_path, fast, fast=True)
    assert (folder / FILE_NAME).exists()
    assert "--fast" not in plain.line()
    assert "genolmFast" not in exact.read_text()
    line = next(x for x in fast.read_text().splitlines() if x.startswith("##genolmFast="))
    assert line.startswith("##genolmFast=<ID=seeded_window,R=")
    assert "--fast seeded_window R=" in summary.line()
    assert "240 alleles by segments, 0 by full passes" in summary.line()
    difference = np.abs(values(fast) - values(exact))
    assert len(difference) == 240
    assert 0 < difference.max() < LARGEST_ERROR < np.abs(values(exact)).max()


def test_scoring_again_without_fast_takes_its_line_out(folder, fasta_path, contigs, tmp_path):
    source = tmp_path / "in.vcf"
    sites = [(p, contigs["chr1"][p].upper()) for p in range(100, 140)]
    records = [f"chr1\t{p + 1}\t.\t{ref}\t{'CA'[ref == 'C']}\t.\t.\tx=1\n" for p, ref in sites]
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    source.write_text("##fileformat=VCFv4.2\n" + columns + "".join(records))

    def score(vcf, name, *, fast):
        output = tmp_path / name
        job = ScoringJob(str(vcf), str(fasta_path), str(folder), str(output), fast=fast)
        return output, score_file(job)

    fast, summary = score(source, "fast.vcf", fast=True)
    assert fast.read_text().count("##genolmFast=<ID=seeded_window,R=") == 1
    assert "--fast seeded_window R=" in summary.line()
    again, _ = score(fast, "again.vcf", fast=True)
    assert again.read_text() == fast.read_text()
    exact, _ = score(source, "exact.vcf", fast=False)
    later, summary = score(fast, "later.vcf", fast=False)
    assert later.read_text() == exact.read_text()
    assert "--fast" not in summary.line()


def test_what_shares_a_tile_does_not_depend_on_threads_or_batches(
    models, tokenizers, fasta, monkeypatch
):
    monkeypatch.setattr("genolm.scoring.seeded_calibration.SITES", 4)

    def scores(batch_size):
        scorer = SiteScorer(
            models["ps"], tokenizers["ps"], fasta, batch_size=batch_size, fast=FastStore()
        )
        assert scorer.sites_at_once == ALLELES_AT_ONCE
        return np.concatenate(
            [block.scores(LLR) for block in scorer.saturate([Interval("chr1", 150, 190)])]
        )

    np.testing.assert_allclose(scores("auto"), scores(3), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["hyena", "classifier"])
def test_models_without_a_fast_mode_say_so(models, tokenizers, fasta, name):
    scores = ["dist"] if name == "classifier" else ["llr"]
    with pytest.raises(UsageError, match=r"--fast"):
        VariantScorer(models[name], tokenizers[name], fasta, scores=scores, fast=FastStore())


def test_the_fast_mode_is_of_the_likelihood_ratios_alone(models, tokenizers, fasta):
    with pytest.raises(UsageError, match="llr and llr_strands"):
        VariantScorer(models["ps"], tokenizers["ps"], fasta, scores=["wild_type"], fast=FastStore())


def test_an_objective_without_a_mode_is_refused_by_name(parts):
    assert "masked_lm" in FAST_MODES
    with pytest.raises(UsageError, match="a regression model has no fast mode"):
        make_fast("regression", parts("ps"))
    assert fast_account(None) == ""
