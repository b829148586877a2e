import csv

import numpy as np
import pytest
import torch

from genolm.cli.main import run
from genolm.models.auto import TOKENIZERS
from genolm.models.build import build_model
from genolm.scoring.predict_tokens import TokenPredictor

SIZES = {"d_model": 8, "n_layer": 1, "training_length": 12}
SEQUENCES = ["ACGTTGCAACGT", "GGN", "acgttgcaacgt", "ACGTT", "A" * 20]
IDS = {base: number for number, base in enumerate("ACGTN", start=7)}


def make(family="caduceus", names=("B", "E", "N"), **options):
    named = {"id2label": dict(enumerate(names))}
    model = build_model(family, "token_classification", {**SIZES, **named, **options}, seed=1)
    with torch.no_grad():
        model.score.weight.mul_(100)  # so that classes differ
    return model.eval()


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def save(**options):
        model = make(**options)
        model.save_pretrained(tmp_path / "model")
        TOKENIZERS[model.config.model_type]().save_pretrained(tmp_path / "model")
        return model

    return save


def direct(model, sequence, padding=0):
    ids = [4] * padding + [IDS[base] for base in sequence.upper()]
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0, padding:].numpy()


@pytest.mark.parametrize("batch_size", [1, 2, "auto"])
def test_every_base_has_the_models_logits_in_any_batch(batch_size):
    model = make(mask_padding=True)
    found = TokenPredictor(model, batch_size=batch_size).logits(SEQUENCES)
    for sequence, logits in zip(SEQUENCES, found, strict=True):
        assert np.abs(logits - direct(model, sequence)).max() < 1e-5


def test_where_padding_counts_sequences_are_padded_as_in_training():
    model = make()
    found = TokenPredictor(model).logits(SEQUENCES)
    for sequence, logits in zip(SEQUENCES, found, strict=True):
        wanted = direct(model, sequence, padding=max(0, 12 - len(sequence)))
        assert np.abs(logits - wanted).max() < 1e-5


def test_both_strands_are_read_where_the_model_conjoins_them():
    model = make(mask_padding=True, conjoin_eval=True)
    model.config.conjoin_eval = False
    turn = str.maketrans("ACGT", "TGCA")
    wanted = [
        (direct(model, s) + direct(model, s.upper().translate(turn)[::-1])[::-1]) / 2
        for s in SEQUENCES
    ]
    model.config.conjoin_eval = True
    for logits, mean in zip(TokenPredictor(model).logits(SEQUENCES), wanted, strict=True):
        assert np.abs(logits - mean).max() < 1e-5


@pytest.mark.parametrize("names", [("B", "E", "N"), ("background", "exon", "intron")])
def test_the_command_writes_a_string_of_classes(saved, tmp_path, names, capfd):
    model = saved(names=names, mask_padding=True)
    (tmp_path / "in.csv").write_text("id,sequence\n" + "".join(f"s,{s}\n" for s in SEQUENCES))
    assert run(["predict", "in.csv", "-m", "model", "-o", "out.tsv", "--device", "cpu"]) == 0
    assert "0 truncated" in capfd.readouterr().err
    with (tmp_path / "out.tsv").open() as opened:
        rows = list(csv.DictReader(opened, delimiter="\t"))
    for row, sequence in zip(rows, SEQUENCES, strict=True):
        ids = direct(model, sequence).argmax(axis=1).tolist()
        told = row["prediction"]
        if names[0] != "B":
            stretches = [part.split(":") for part in told.split(";")]
            ends = [(*map(int, place.split("-")), name) for place, name in stretches]
            told = [name for start, end, name in ends for _ in range(start, end)]
        assert list(told) == [names[i] for i in ids]


@pytest.mark.parametrize("suffix", ["tsv", "csv"])
def test_probabilities_of_every_base_on_request(saved, tmp_path, suffix):
    model = saved(mask_padding=True)
    (tmp_path / "in.csv").write_text("sequence\n" + "".join(f"{s}\n" for s in SEQUENCES))
    command = ["predict", "in.csv", "-m", "model", "-o", f"out.{suffix}", "--device", "cpu"]
    assert run([*command, "--probabilities"]) == 0
    with (tmp_path / f"out.{suffix}").open() as opened:
        rows = list(csv.DictReader(opened, delimiter="\t" if suffix == "tsv" else ","))
    assert list(rows[0]) == ["sequence", "prediction", "p_B", "p_E", "p_N"]
    for row, sequence in zip(rows, SEQUENCES, strict=True):
        wanted = torch.from_numpy(direct(model, sequence)).softmax(dim=1).numpy()
        found = np.array([row[f"p_{name}"].split(";") for name in "BEN"], dtype=float).T
        assert found.shape == (len(sequence), 3)
        assert np.abs(found - wanted).max() < 1e-5
        assert np.abs(found.sum(axis=1) - 1).max() < 1e-5
        assert row["prediction"] == "".join("BEN"[i] for i in found.argmax(axis=1))


def test_what_the_model_cannot_read_whole_is_refused_with_its_line(saved, tmp_path, capfd):
    saved(family="hyenadna", max_seq_len=12)
    (tmp_path / "in.csv").write_text("sequence\nACGT\n" + "A" * 13 + "\n")
    assert run(["predict", "in.csv", "-m", "model", "-o", "out.tsv", "--device", "cpu"]) == 1
    assert "in.csv:3: the sequence has 13 bases, and the model reads at most 12" in (
        capfd.readouterr().err
    )
    assert not (tmp_path / "out.tsv").exists()
