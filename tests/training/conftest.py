import csv
import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from genolm.training.recipe_finetune import FinetuneRecipe
from genolm.training.recipe_pretrain import PretrainRecipe
from tests.training.interruptions import PowerCut, at_step

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden"


@pytest.fixture
def golden():
    """Open a golden file: arrays by name, or the content of a JSON file."""

    def open_golden(name):
        if name.endswith(".npz"):
            return dict(np.load(GOLDEN / name))
        return json.loads((GOLDEN / name).read_text())

    return open_golden


def repetitive_dna(length, seed):
    """Bases that mostly follow from the one before, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([1, 1, 1, 2, 3], size=length)
    return "".join("ACGT"[i] for i in np.cumsum(steps) % 4)


@pytest.fixture(scope="session")
def genome(tmp_path_factory):
    """A FASTA of three contigs, I, II and III, of 3,000 bases; some N in the last."""
    file = tmp_path_factory.mktemp("genome") / "genome.fa"
    contigs = {name: repetitive_dna(3000, seed) for seed, name in enumerate(("I", "II", "III"))}
    contigs["III"] = contigs["III"][:1000] + "N" * 10 + contigs["III"][1010:]
    file.write_text("".join(f">{name}\n{bases}\n" for name, bases in contigs.items()))
    return file


@pytest.fixture
def pretraining(genome, tmp_path):
    """Make a tiny pretraining recipe; sections given replace keys of the default ones."""

    def make(*, model=None, data=None, train=None, **top):
        values = {
            "model": model or {"family": "caduceus", "d_model": 8, "n_layer": 1},
            "data": {"fasta": genome, "length": 32, "train": "I", "valid": "II", "test": "III"}
            | (data or {}),
            "objective": "masked_lm",
            "train": {
                "steps": 6,
                "batch_size": 2,
                "save_every": 2,
                "eval_every": 3,
                "log_every": 3,
                "eval_windows": 4,
                "test_windows": 8,
                "precision": "float32",
            }
            | (train or {}),
            "output": tmp_path / "run",
        }
        return PretrainRecipe.model_validate(values | top)

    return make


@pytest.fixture
def power_cut():
    """Stop what the block does just before the end of a step is dealt with: `with power_cut(7):`.

    Further arguments: the folder name of the run that is hit, if not any; what is raised.
    """

    @contextmanager
    def cut(step, run_name=None, by=PowerCut):
        def strike():
            raise by

        with at_step(step, strike, run_name), pytest.raises(by):
            yield

    return cut


@pytest.fixture
def causal():
    return {"family": "caduceus", "d_model": 8, "n_layer": 1, "bidirectional": False}


def write_rows(file, rows, columns=("sequence", "label")):
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([columns, *rows])
    return file


@pytest.fixture
def write_table():
    return write_rows


def labelled_rows(count, seed):
    """Sequences of 20 bases: rich in A and T, or in C and G; any strand."""
    rng = np.random.default_rng(seed)
    shares = {"at": [0.45, 0.05, 0.05, 0.45], "cg": [0.05, 0.45, 0.45, 0.05]}
    names = [("at", "cg")[i % 2] for i in range(count)]
    return [("".join(rng.choice(list("ACGT"), 20, p=shares[name])), name) for name in names]


@pytest.fixture
def finetuning(tmp_path):
    """Make a tiny fine-tuning recipe over tables of 40 and 20 easy rows."""
    write_rows(tmp_path / "train.csv", labelled_rows(40, 0))
    write_rows(tmp_path / "test.csv", labelled_rows(20, 1))

    def make(*, model=None, data=None, train=None, **top):
        values = {
            "model": model
            or {"family": "caduceus", "d_model": 8, "n_layer": 1, "bidirectional": False},
            "data": {"train": tmp_path / "train.csv", "test": tmp_path / "test.csv"} | (data or {}),
            "train": {
                "epochs": 2,
                "batch_size": 12,
                "learning_rate": 1e-2,
                "precision": "float32",
                "log_every": 1,
            }
            | (train or {}),
            "output": tmp_path / "run",
        }
        return FinetuneRecipe.model_validate(values | top)

    return make


VARIANT_HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture
def variant_effect(genome, tmp_path):
    """Make a tiny recipe for variants: those that gain an A or a T are bad, and have more effect.

    The genome's contigs I and II give train and test; every contig has 48 substitutions and some
    indels, in genes of 200 bases.
    """
    contigs = dict(
        pair.split("\n", 1) for pair in genome.read_text().strip().removeprefix(">").split("\n>")
    )

    def write(name):
        rng = np.random.default_rng(ord(name[-1]))
        bases, rows = contigs[name].replace("\n", ""), []
        for pos in range(20, 2900, 60):
            ref = bases[pos - 1]
            alt = rng.choice([base for base in "ACGT" if base != ref])
            if pos % 240 == 20:
                alt = ref + "GG" if pos % 480 == 20 else ref
                ref = ref if pos % 480 == 20 else bases[pos - 1 : pos + 2]
            value = ("A" in alt or "T" in alt) - 0.5 + 0.05 * rng.standard_normal()
            label = "bad" if value > 0 else "good"
            info = f"CLASS={label};VALUE={value:.4f};GENE={name}{pos // 200}"
            rows.append("\t".join([name, str(pos), ".", ref, alt, ".", ".", info]))
        file = tmp_path / f"{name}.vcf"
        file.write_text(VARIANT_HEADER + "\n".join(rows) + "\n")
        return file

    train, test = write("I"), write("II")

    def make(*, model=None, data=None, train_options=None, **top):
        values = {
            "model": model or {"family": "caduceus", "d_model": 8, "n_layer": 1, "rcps": True},
            "task": "variant_effect",
            "data": {"train": train, "test": test, "fasta": genome, "window": 32, "label": "CLASS"}
            | (data or {}),
            "train": {
                "epochs": 2,
                "batch_size": 8,
                "learning_rate": 1e-2,
                "precision": "float32",
                "log_every": 1,
            }
            | (train_options or {}),
            "output": tmp_path / "run",
        }
        return FinetuneRecipe.model_validate(values | top)

    return make
