import numpy as np
import pytest
import torch

from genolm.evaluation.benchmark_cnn import SHORTEST, BenchmarkCNN, train_cnn
from genolm.evaluation.settings import CnnSettings
from genolm.training.labelled_parts import read_parts
from genolm.training.recipe_finetune import LabelledSection


def test_it_has_the_published_number_of_parameters():
    model = BenchmarkCNN(1024, 2)
    assert sum(parameter.numel() for parameter in model.parameters()) == 264_710


def test_it_computes_what_the_paper_draws():
    """An embedding, and then a convolution over its channels."""
    torch.manual_seed(0)
    model = BenchmarkCNN(64, 2).double()
    ids = torch.randint(0, 12, (3, 64))
    drawn = model.blocks(model.first(model.embedding(ids).transpose(1, 2)))
    expected = model.score(model.hidden(drawn.flatten(1)))
    assert torch.allclose(model(ids), expected, atol=1e-12)


def test_the_shortest_input_leaves_one_position():
    assert BenchmarkCNN(SHORTEST, 3)(torch.zeros(2, SHORTEST, dtype=torch.long)).shape == (2, 3)
    with pytest.raises(ValueError, match="57 positions"):
        BenchmarkCNN(SHORTEST - 1, 2)


@pytest.fixture
def parts(tmp_path, make_task):
    folder = make_task(tmp_path / "task", train=80, test=30)
    section = LabelledSection.model_validate(
        {"train": folder / "train.csv", "test": folder / "test.csv"}
    )
    return read_parts(section, "classification", seed=1)


SETTINGS = CnnSettings(epochs=3, batch_size=16)


def test_a_seed_fixes_everything_and_an_easy_task_is_learned(parts):
    before = torch.random.get_rng_state()
    first, again, other = (train_cnn(parts, "classification", SETTINGS, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.logits, again.logits)
    assert not np.array_equal(first.logits, other.logits)
    assert torch.equal(before, torch.random.get_rng_state())
    assert (first.logits.argmax(1) == parts.test.targets).mean() > 0.9


def test_patience_and_the_limit_of_minutes_end_it(parts):
    still = CnnSettings(epochs=9, batch_size=16, learning_rate=1e-12, patience=2)
    run = train_cnn(parts, "classification", still, seed=1, metric="accuracy")
    assert run.epochs == run.best_epoch + 2 < 9
    short = CnnSettings(epochs=9, batch_size=16, max_minutes=1e-9)
    assert train_cnn(parts, "classification", short, seed=1).epochs == 1
