import numpy as np
import pytest

from genolm.cli.main import run
from genolm.models.auto import TOKENIZERS
from genolm.models.build import build_model

BASES = "".join(np.array(list("ACGT"))[np.random.default_rng(3).integers(0, 4, 1500)])


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    root = tmp_path_factory.mktemp("calibrate")
    options = {"d_model": 8, "n_layer": 1, "training_length": 16, "rcps": True}
    build_model("caduceus", "masked_lm", options, seed=1).save_pretrained(root / "m")
    TOKENIZERS["caduceus"]().save_pretrained(root / "m")
    (root / "g.fa").write_text(f">chr1\n{BASES}\n")
    return root


@pytest.fixture(autouse=True)
def _here(work, monkeypatch):
    monkeypatch.chdir(work)


def score(background, *arguments):
    variant = f"chr1:10:{BASES[9]}>{'A' if BASES[9] != 'A' else 'C'}"
    command = ["score", variant, "-r", "g.fa", "-m", "m", "--device", "cpu"]
    return run([*command, "--calibrate", background, *arguments])


def test_a_variant_on_the_command_line_has_a_percentile(work, capfd):
    assert score("random:1920", "--seed", "5") == 0
    out, err = capfd.readouterr()
    columns, values = (line.split("\t") for line in out.splitlines())
    assert 0 <= float(values[columns.index("GENOLM_LLR_PCT")]) <= 100
    (kept,) = (work / "m" / "calibration").glob("*.json")
    assert f"kept as m/calibration/{kept.name}" in err
    assert score(str(kept)) == 0
    assert capfd.readouterr().out == out


def test_saturate_takes_the_same_option(capfd):
    command = ["saturate", "chr1:5-6", "-r", "g.fa", "-m", "m", "-o", "-", "--device", "cpu"]
    assert run([*command, "--calibrate", "random:1920", "--seed", "5"]) == 0
    rows = [line for line in capfd.readouterr().out.splitlines() if line[0] != "#"]
    assert rows[0].endswith("GENOLM_LLR\tGENOLM_LLR_PCT")
    assert len(rows) == 7


@pytest.mark.parametrize(
    ("background", "code", "message"),
    [
        ("none.vcf", 2, "no such file: none.vcf"),
        ("random:5", 2, "write random:N with N from 1920 on"),
        ("m", 2, "m is a folder"),
        ("bad.json", 1, "bad.json: a damaged calibration"),
        ("g.fa", 1, "g.fa is not a VCF file but"),
    ],
)
def test_a_wrong_background_is_one_line_and_an_exit_code(work, capfd, background, code, message):
    (work / "bad.json").write_text('{"genolm_calibration": 1')
    assert score(background) == code
    out, err = capfd.readouterr()
    errors = [line for line in err.splitlines() if line.startswith("genolm: error: ")]
    assert out == ""
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in err
