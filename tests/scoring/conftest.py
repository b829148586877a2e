"""A small genome and small models with random weights, in float64 so that laws hold tightly."""

import numpy as np
import pytest
import torch

from genolm.genome.fasta import Fasta
from genolm.models.auto import TOKENIZERS
from genolm.models.build import build_model
from genolm.scoring.windows import GenomeWindows
from genolm.tokenization.encode import encode

WINDOW = 32

MODELS = {
    "ps": ("caduceus", "masked_lm", {"rcps": True}),
    "ph": ("caduceus", "masked_lm", {"rcps": False}),
    "mamba": ("caduceus", "causal_lm", {"bidirectional": False}),
    "hyena": ("hyenadna", "causal_lm", {"max_seq_len": 66}),
    "classifier": ("caduceus", "classification", {"num_labels": 3}),
}


def draw(seed, size):
    letters = np.array(list("ACGT"))
    return "".join(letters[np.random.default_rng(seed).integers(0, 4, size)])


def write_fasta(path, contigs):
    lines = [f">{name}\n{bases}\n" for name, bases in contigs.items()]
    path.write_text("".join(lines), encoding="ascii")
    return path


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def contigs():
    first = draw(1, 400)
    return {
        "chr1": first[:100] + first[100:200].lower() + first[200:],
        "chr2": draw(2, 150) + "N" * 30 + draw(3, 150),
        "short": draw(4, 21),
        "chrM": draw(5, 120),
    }


@pytest.fixture(scope="session")
def fasta_path(tmp_path_factory, contigs):
    return write_fasta(tmp_path_factory.mktemp("genome") / "small.fa", contigs)


@pytest.fixture(scope="session")
def fasta(fasta_path):
    return Fasta(fasta_path)


@pytest.fixture(scope="session")
def genome(fasta):
    return GenomeWindows(fasta)


@pytest.fixture(scope="session")
def make_genome(tmp_path_factory):
    """Another genome, given its contigs."""

    def make(contigs):
        return GenomeWindows(
            Fasta(write_fasta(tmp_path_factory.mktemp("other") / "other.fa", contigs))
        )

    return make


def build(name):
    family, task, options = MODELS[name]
    sizes = {"d_model": 16, "n_layer": 2, "training_length": WINDOW}
    return build_model(family, task, {**sizes, **options}, seed=3)


@pytest.fixture(scope="session")
def models():
    """Models by name, in float64, with weights large enough for their scores to differ."""
    found = {}
    for name, (family, task, options) in MODELS.items():
        model = build_model(
            family,
            task,
            {"d_model": 16, "n_layer": 2, "training_length": WINDOW, **options},
            seed=3,
        )
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if "embedding" in key:
                    parameter.mul_(20)
        found[name] = model.double().eval()
    return found


@pytest.fixture(scope="session")
def tokenizers():
    return {name: TOKENIZERS[family]() for name, (family, _, _) in MODELS.items()}


@pytest.fixture(scope="session")
def model_folders(models, tokenizers, tmp_path_factory):
    """The models saved in float32, as the command line loads them."""
    root = tmp_path_factory.mktemp("models")
    for name, (family, task, options) in MODELS.items():
        copy = build_model(
            family,
            task,
            {"d_model": 16, "n_layer": 2, "training_length": WINDOW, **options},
            seed=3,
        )
        copy.load_state_dict(models[name].state_dict())
        copy.save_pretrained(root / name)
        tokenizers[name].save_pretrained(root / name)
    return root


@pytest.fixture(scope="session")
def log_probabilities():
    """Straight from a model: log-probabilities (length, vocabulary) of one text."""

    def run(model, text, hidden=()):
        ids = torch.from_numpy(encode(text).ids).long()[None]
        for position in hidden:
            ids[0, position] = 3
        with torch.no_grad():
            return torch.log_softmax(model(ids).logits[0].double(), dim=-1).numpy()

    return run


@pytest.fixture(scope="session")
def window_text(contigs):
    """The window around one base as text: shifted inside the contig, then padded with N."""

    def cut(contig, centre, window=WINDOW):
        bases = contigs[contig].upper()
        low, high = sorted((0, len(bases) - window))
        start = min(max(centre - window // 2, low), high)
        padded = "N" * max(0, -start) + bases[max(0, start) : start + window]
        return padded.ljust(window, "N"), start

    return cut


@pytest.fixture(scope="session")
def window_size():
    return WINDOW
