import csv

import numpy as np
import pytest

SCRATCH = "model: {family: caduceus, d_model: 8, n_layer: 1, bidirectional: false}"
RECIPE = f"""
seeds: 2
default:
  train: {{epochs: 1, batch_size: 16, learning_rate: 1e-2, precision: float32, threads: 1}}
cnn: {{epochs: 1, batch_size: 16}}
models:
  scratch: {{{SCRATCH}}}
"""


def easy_rows(count, seed, length=60, names=("at", "cg")):
    """Sequences rich in A and T, or in C and G."""
    rng = np.random.default_rng(seed)
    shares = ([0.4, 0.1, 0.1, 0.4], [0.1, 0.4, 0.4, 0.1])
    return [
        ("".join(rng.choice(list("ACGT"), length, p=shares[i % 2])), names[i % 2])
        for i in range(count)
    ]


def write_rows(file, rows, columns=("sequence", "label")):
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([columns, *rows])
    return file


def write_task(folder, seed=0, train=40, test=20, **options):
    write_rows(folder / "train.csv", easy_rows(train, seed, **options))
    write_rows(folder / "test.csv", easy_rows(test, seed + 1, **options))
    return folder


@pytest.fixture(scope="session")
def make_rows():
    return easy_rows


@pytest.fixture(scope="session")
def make_table():
    return write_rows


@pytest.fixture(scope="session")
def make_task():
    return write_task


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE)
    return file


@pytest.fixture(scope="session")
def recipe_text():
    return RECIPE
