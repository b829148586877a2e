"""`genolm convert` and `genolm info` as a user runs them."""

import json
from pathlib import Path

import pytest
import torch

from genolm.cli.main import run

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden"


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return exec, (f"open({str(self.target)!r}, 'w').close()",)


def test_a_checkpoint_becomes_a_folder_that_other_verbs_take(tmp_path, capsys):
    source = GOLDEN / "hyenadna_orig_gradckpt_keys" / "weights.ckpt"
    assert run(["convert", str(source), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert "tensors mapped" in said.out
    assert "ignored" in said.out
    assert "0 initialised" in said.out
    assert run(["info", str(tmp_path / "out"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["family"] == "hyenadna"
    assert facts["max_length"] == 130
    assert facts["conversion"]["source"] == "weights.ckpt"
    (tmp_path / "in.fa").write_text(">one\nACGTACGTAC\n")
    embed = ["embed", str(tmp_path / "in.fa"), "-m", str(tmp_path / "out")]
    assert run([*embed, "-o", str(tmp_path / "vectors")]) == 0
    assert (tmp_path / "vectors.npy").exists()


def test_a_hostile_checkpoint_is_refused_in_one_line_and_nothing_runs(tmp_path, capsys):
    target = tmp_path / "run"
    torch.save({"state_dict": {"w": torch.ones(1), "x": Bomb(target)}}, tmp_path / "weights.ckpt")
    (tmp_path / "config.json").write_text((GOLDEN / "hyenadna_orig" / "config.json").read_text())
    assert run(["convert", str(tmp_path), "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "is refused" in said.err
    assert not target.exists()
    assert not (tmp_path / "out").exists()


def test_the_layout_of_the_hub_on_request(tmp_path, capsys):
    source = str(GOLDEN / "caduceus_ps_unfused")
    assert run(["convert", source, "-o", str(tmp_path / "hub"), "--to", "hub-layout"]) == 0
    options = json.loads((tmp_path / "hub" / "config.json").read_text())
    assert "ssm_cfg" in options
    assert "mixer" not in options
    assert run(["convert", source, "-o", str(tmp_path / "x"), "--to", "elsewhere"]) == 2
    assert run(["convert", str(tmp_path / "none.ckpt"), "-o", str(tmp_path / "x")]) == 2
    capsys.readouterr()


@pytest.mark.parametrize(
    ("name", "parameters", "longest"),
    [
        ("hyenadna-tiny-1k", 436_096, 1_026),
        ("hyenadna-tiny-1k-d256", 1_641_088, 1_026),
        ("hyenadna-tiny-16k", 436_096, 16_386),
        ("hyenadna-small-32k", 3_277_568, 32_770),
        ("hyenadna-medium-160k", 6_550_528, 160_002),
        ("hyenadna-medium-450k-seqlen", 6_550_528, 450_002),
        ("hyenadna-large-1m", 6_550_528, 1_000_002),
        ("caduceus-ps-1k-d118", 470_702, None),
        ("caduceus-ph-1k-d256", 1_934_592, None),
        ("caduceus-ps-131k", 7_725_312, None),
        ("caduceus-ph_seqlen-131k_d_model-256_n_layer-16", 7_725_312, None),
    ],
)
def test_published_sizes_have_the_published_counts(name, parameters, longest, capsys):
    assert run(["info", name, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["parameters"] == parameters
    assert facts["max_length"] == longest
    assert facts["reverse_complement_equivariant"] is name.startswith("caduceus-ps")


def test_all_sizes_are_listed_and_a_stranger_is_wrong_usage(capsys):
    assert run(["info"]) == 0
    listed = capsys.readouterr().out
    assert "hyenadna-large-1m" in listed
    assert "6,550,528" in listed
    assert run(["info", "ecoli-mamba-d128"]) == 0
    shown = capsys.readouterr().out
    assert "447,104" in shown
    assert "causal_lm" in shown
    assert run(["info", "nowhere-model"]) == 2
    assert "hyenadna-tiny-1k" in capsys.readouterr().err
