import numpy as np
import pytest
import torch

from genolm.data.edit_windows import GenomeWindows
from genolm.genome.edits import Edit
from genolm.genome.fasta import Fasta
from genolm.models.build import build_model
from genolm.scoring.causal import CausalRatios
from genolm.scoring.likelihood import ModelRunner, SequenceWindow
from genolm.scoring.prefix import (
    STEP,
    PrefixRunner,
    causal_runner,
    group_by_beginning,
    shared_length,
)

LENGTH = 150


def draw_edits(genome, count, seed):
    """SNVs, several alleles of a site, MNVs and indels, anywhere on two contigs."""
    random = np.random.default_rng(seed)
    edits = []
    while len(edits) < count:
        contig = ("chr1", "chrM")[random.integers(2)]
        ref_size, alt_size = random.integers(0, 6, 2) if random.random() < 0.4 else (1, 1)
        start = int(random.integers(0, genome.contigs[contig] - ref_size))
        ids = genome.ids(contig, start, start + int(ref_size))
        ref = "".join("ACGT"[i - 7] for i in ids)
        for _ in range(random.integers(1, 4)):
            alt = "".join("ACGT"[i] for i in random.integers(0, 4, alt_size))
            edit = Edit.between(contig, start, ref, alt)
            if edit.ref or edit.alt:
                edits.append(edit)
    return edits


@pytest.fixture
def edits(genome):
    return draw_edits(genome, 30, seed=11)


@pytest.fixture
def windows():
    """Windows of which some begin alike."""
    random = np.random.default_rng(5)
    found = []
    for first in (0, 1, 9, 40, 73, 74, 75, 76, 149):
        ids = random.integers(7, 11, LENGTH).astype(np.uint8)
        for _ in range(random.integers(1, 5)):
            other = ids.copy()
            other[first:] = random.integers(7, 12, LENGTH - first)
            found.append(SequenceWindow(other, first))
    return [found[i] for i in random.permutation(len(found))]


def test_what_windows_share_is_read_once_and_the_numbers_are_those_of_whole_windows(
    models, windows
):
    expected = ModelRunner(models["mamba"]).sequences(windows)
    assert len(group_by_beginning(windows)) > 3  # several lengths, and some that share nothing
    for batch_size in (1, 3, "auto"):
        found = PrefixRunner(models["mamba"], batch_size=batch_size).sequences(windows)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("window", [8, 31, 32, 96])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)])
def test_ratios_of_any_edits_are_those_of_full_passes(
    models, genome, edits, window, dtype, tolerance
):
    model = models["mamba"] if dtype == torch.float64 else small_mamba({})
    expected = CausalRatios(ModelRunner(model), genome, window)
    shared = CausalRatios(causal_runner(model), genome, window)
    some = [edit for edit in edits if edit.size <= window // 2]
    found = shared.ratios(some)
    np.testing.assert_allclose(found, expected.ratios(some), rtol=0, atol=tolerance)
    order = np.random.default_rng(1).permutation(len(some))
    again = shared.ratios([some[i] for i in order])
    np.testing.assert_allclose(again, found[order], rtol=0, atol=tolerance)
    alone = np.concatenate([shared.ratios([edit]) for edit in some])
    np.testing.assert_allclose(alone, found, rtol=0, atol=tolerance)


def small_mamba(options):
    sizes = {"d_model": 16, "n_layer": 2, "bidirectional": False}
    model = build_model("caduceus", "causal_lm", sizes | options, seed=4)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(20)
    return model.eval()


@pytest.mark.parametrize(
    "options",
    [
        {"fused_add_norm": False, "rms_norm": False},
        {"ssm_cfg": {"d_conv": 7, "d_state": 5, "bias": True}},
        {"n_layer": 1, "ssm_cfg": {"d_conv": 1}},
    ],
)
def test_a_model_resumed_anywhere_gives_the_logits_of_the_whole(options):
    model = small_mamba(options).double()
    ids = torch.randint(7, 12, (3, 41), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        whole = model(ids).logits
        for split in (0, 1, 2, 7, 40):
            cache = model.remember(ids[:, :split])
            rest, cache = model.resume(ids[:, split:-1], cache)
            last, _ = model.resume(ids[[2, 0], -1:], cache.rows(torch.tensor([2, 0])))
            torch.testing.assert_close(rest, whole[:, split:-1], rtol=0, atol=1e-11)
            torch.testing.assert_close(last, whole[[2, 0], -1:], rtol=0, atol=1e-11)


def test_only_a_plain_mamba_shares_beginnings(models):
    assert isinstance(causal_runner(models["mamba"]), PrefixRunner)
    assert type(causal_runner(models["hyena"])) is ModelRunner
    assert not models["hyena"].resumable
    other = build_model(
        "caduceus",
        "causal_lm",
        {
            "bidirectional": False,
            "d_model": 16,
            "n_layer": 1,
            "mixer": {"name": "mamba2", "headdim": 8},
        },
        seed=1,
    )
    assert type(causal_runner(other)) is ModelRunner


@pytest.mark.parametrize("length", [8, 31, 32, 512, 1025])
def test_what_is_shared_depends_on_the_window_alone_and_ends_before_the_first_that_counts(length):
    for first in range(length):
        shared = shared_length(SequenceWindow(np.zeros(length, dtype=np.uint8), first))
        assert 0 <= shared < max(1, first)
        assert shared == 0 or first - 1 - shared < STEP
    centre = length // 2
    forward, reverse = (
        shared_length(SequenceWindow(np.zeros(length, dtype=np.uint8), first))
        for first in (centre, length - centre - 1)
    )
    assert forward == reverse


def test_windows_of_different_beginnings_are_not_put_together():
    ids = np.full(64, 7, dtype=np.uint8)
    other = ids.copy()
    other[3] = 8
    windows = [SequenceWindow(one, 40) for one in (ids, other, ids)]
    groups = group_by_beginning(windows)
    assert sorted(map(list, groups[0])) == [[1]]
    assert [sorted(group) for shared, some in groups.items() if shared for group in some] == [
        [0, 2]
    ]


def test_a_variant_of_a_repeat_does_not_depend_on_its_neighbours(models, tmp_path):
    path = tmp_path / "repeat.fa"
    path.write_text(">c\n" + "ACGTTGCA" * 40 + "\n", encoding="ascii")
    genome = GenomeWindows(Fasta(path))
    edits = [Edit("c", 160 + 8 * i, "A", "T") for i in range(3)]
    runner = causal_runner(models["mamba"])
    ratios = CausalRatios(runner, genome, 64).ratios(edits)
    np.testing.assert_allclose(ratios, ratios[[0, 0, 0]], rtol=0, atol=1e-11)
