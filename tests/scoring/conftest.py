"""A small genome and small models with random weights, in float64 so that laws hold tightly."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from genolm.data.edit_windows import GenomeWindows
from genolm.genome.fasta import Fasta
from genolm.models.auto import TOKENIZERS
from genolm.models.build import build_model
from genolm.scoring import journal, score_file
from genolm.scoring.runtime import Runtime
from genolm.scoring.score_file import ScoringJob
from genolm.scoring.scorer import VariantScorer
from genolm.tokenization.encode import encode

WINDOW = 32
VCF_HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"

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


class StopError(Exception):
    """What a test ends a run with."""


def complements(contigs, count=60):
    bases = contigs["chr2"].upper()[:count]
    return [
        f"chr2\t{i + 1}\tv{i}\t{b}\t{'ACGT'['TGCA'.index(b)]}\t.\t.\tX={i}\n"
        for i, b in enumerate(bases)
    ]


class Calls:
    """Every computation by its edits; a run ends at the one whose number is given."""

    error = StopError

    def __init__(self):
        self.edits, self.stop, self.how = [], None, None
        self._lock = threading.Lock()

    def stop_at(self, number, how=None):
        self.edits, self.stop, self.how = [], number, how or self._raise

    def _raise(self):
        raise StopError

    def count(self):
        return len(self.edits)

    def see(self, edits):
        with self._lock:  # of processes that are threads
            if len(self.edits) == self.stop:
                self.how()
            self.edits.append(list(edits))


@pytest.fixture
def calls(monkeypatch):
    found = Calls()
    columns = VariantScorer._columns

    def counted(self, edits):
        found.see(edits)
        return columns(self, edits)

    monkeypatch.setattr(VariantScorer, "_columns", counted)
    return found


@pytest.fixture
def resumable(tmp_path, fasta_path, model_folders, contigs, monkeypatch):
    """Make jobs of 60 records in 9 slices of at most 8, each worth a journal."""
    monkeypatch.setattr(journal, "WORTHWHILE_SECONDS", 0.0)
    monkeypatch.setattr(score_file, "CHUNK", 20)
    known = {}
    load = Runtime.load

    def cached(self, name):
        if name not in known:
            known[name] = load(self, name)
        return known[name]

    monkeypatch.setattr(Runtime, "load", cached)

    def make(name="out.vcf", lines=None, **options):
        source = tmp_path / "in.vcf"
        source.write_text(VCF_HEADER + "".join(complements(contigs) if lines is None else lines))
        given = {
            "model": str(model_folders / "ps"),
            "runtime": Runtime("cpu", threads=1, batch_size=1),
            **options,
        }
        return ScoringJob(
            vcf=str(source), reference=str(fasta_path), output=str(tmp_path / name), **given
        )

    return make


@pytest.fixture
def whole(resumable):
    """The bytes of a run that nothing stopped."""

    def make(one):
        score_file.score_file(one)
        found = Path(one.output).read_bytes()
        for path in Path(one.output).parent.glob("o*"):
            path.unlink()
        return found

    return make
