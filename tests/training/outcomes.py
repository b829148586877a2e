"""What runs left, as tests look at it."""

import csv
import json

import torch
from safetensors.torch import load_file


def weights(recipe):
    """The published weights of a recipe's run."""
    return load_file(recipe.output / "model" / "model.safetensors")


def same(one, other):
    """Whether two models have the same weights to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def metrics(recipe):
    """Its final figures."""
    return json.loads((recipe.output / "metrics.json").read_text())


def predictions(recipe):
    """The rows of its table of predictions."""
    with (recipe.output / "test_predictions.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))
