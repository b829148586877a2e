"""Saturation by the screening score alone: the numbers of scoring, in every kind of output."""

import csv

import numpy as np
import pytest

from genolm.errors import UsageError
from genolm.scoring.runtime import Runtime
from genolm.scoring.saturate import BASES
from genolm.scoring.saturate_file import SaturationJob, saturate_file
from genolm.scoring.score_file import ScoringJob, score_file

REGION = "chr1:101-140"
SNVS = 3 * 40


@pytest.fixture
def saturate(tmp_path, fasta_path, model_folders):
    def run(name, model="mamba", scores=("screen",), **options):
        job = SaturationJob(
            region=REGION,
            reference=str(fasta_path),
            model=str(model_folders / model),
            output=str(tmp_path / name),
            scores=scores,
            window=64,
            runtime=Runtime("cpu", threads=1),
            **options,
        )
        saturate_file(job)
        return tmp_path / name

    return run


def rows_of(path):
    with path.open() as opened:
        lines = [line for line in opened if not line.startswith("##")]
    return list(csv.DictReader(lines, delimiter="\t"))


def test_the_numbers_are_those_of_scoring_the_same_snvs(
    saturate, tmp_path, fasta_path, model_folders
):
    vcf = saturate("snvs.vcf")
    found = rows_of(saturate("snvs.tsv"))
    assert len(found) == SNVS
    assert "GENOLM_LLR" not in found[0]
    job = ScoringJob(
        vcf=str(vcf),
        reference=str(fasta_path),
        model=str(model_folders / "mamba"),
        output=str(tmp_path / "scored.tsv"),
        scores=("screen",),
        window=64,
        runtime=Runtime("cpu", threads=1, batch_size=2),
    )
    score_file(job)
    scored = rows_of(tmp_path / "scored.tsv")
    ours, theirs = (
        np.array([float(row["GENOLM_SCREEN"]) for row in rows]) for rows in (found, scored)
    )
    assert len(np.unique(ours)) > SNVS / 2
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_outputs_of_one_score_hold_it(saturate):
    values = {
        (int(row["pos"]), row["alt"]): float(row["GENOLM_SCREEN"])
        for row in rows_of(saturate("snvs.tsv"))
    }
    lines = saturate("snvs.bedgraph", site_value="min").read_text().splitlines()
    for line in lines:
        if line.startswith("chr1"):
            _, start, _, lowest = line.split("\t")
            site = [value for (pos, _), value in values.items() if pos == int(start) + 1]
            assert float(lowest) == pytest.approx(min(site), abs=1e-6)
    with np.load(saturate("snvs.npz")) as arrays:
        assert "scores" not in arrays
        for (pos, alt), value in values.items():
            (row,) = np.flatnonzero(arrays["positions"] == pos - 1)
            assert arrays["screen"][row, BASES.index(alt)] == pytest.approx(value, abs=1e-6)


def test_beside_ratios_it_stands_in_its_own_place(saturate):
    with np.load(saturate("both.npz", scores=("llr", "screen"))) as both:
        assert {"scores", "screen"} <= set(both)
        assert not np.allclose(both["scores"], both["screen"], equal_nan=True)


def test_a_masked_model_has_none(saturate):
    with pytest.raises(UsageError, match="screen"):
        saturate("snvs.tsv", model="ps")
