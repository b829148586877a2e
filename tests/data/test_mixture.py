"""Which genome a sample shows follows from its number and the shares, and from nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Subset

from genolm.data.genome_store import open_store
from genolm.data.language import LanguageDataset
from genolm.data.masking import Masking
from genolm.data.mixture import MixedDataset, count_shares, share_out, to_shares
from genolm.data.randomness import genome_seed
from genolm.data.windows import make_windows

SHARES = st.lists(st.integers(1, 50), min_size=1, max_size=5)


@given(SHARES, st.integers(0, 400))
def test_shares_hold_in_every_stretch_and_each_owner_counts_on(shares, samples):
    owners, within = share_out(np.arange(samples), shares)
    for number, share in enumerate(shares):
        mine = within[owners == number]
        np.testing.assert_array_equal(mine, np.arange(len(mine)))
        running = np.cumsum(owners == number)
        ideal = np.arange(1, samples + 1) * share / sum(shares)
        assert (np.abs(running - ideal) < len(shares)).all()
    assert np.bincount(owners, minlength=len(shares)).tolist() == count_shares(samples, shares)


@given(SHARES)
def test_a_round_of_all_shares_gives_each_owner_exactly_its_own(shares):
    assert count_shares(3 * sum(shares), shares) == [3 * share for share in shares]


def test_samples_far_into_a_run_are_shared_out_exactly():
    shares = [3_000_000, 12_000, 500_000]
    far = 10**9 + np.arange(1000)
    owners, within = share_out(far, shares)
    counts = count_shares(10**9, shares)
    for number in range(3):
        mine = within[owners == number]
        assert mine.tolist() == list(range(counts[number], counts[number] + len(mine)))


@pytest.mark.parametrize(
    ("weights", "shares"), [((2, 1), [2, 1]), ((3.0, 5.0), [3, 5]), ((7,), [7])]
)
def test_whole_weights_are_shares(weights, shares):
    assert to_shares(weights) == shares


@given(st.lists(st.floats(1e-3, 1e12), min_size=1, max_size=4))
def test_other_weights_become_shares_of_the_same_proportion(weights):
    shares = to_shares(weights)
    for weight, share in zip(weights, shares, strict=True):
        assert share / sum(shares) == pytest.approx(weight / sum(weights), abs=1e-6)
        assert share >= 1


@pytest.fixture(scope="module")
def stores(store, tmp_path_factory):
    drawn = np.random.default_rng(11).integers(0, 4, 4000)
    path = tmp_path_factory.mktemp("other") / "other.fa"
    path.write_text(f">z\n{np.frombuffer(b'ACGT', np.uint8)[drawn].tobytes().decode()}\n")
    return {"small": store, "other": open_store(path)}


@pytest.fixture(scope="module")
def make_mixture(stores):
    def make(samples=200, stages=(), shares=None, seed=3):
        windows = {name: make_windows(one.contigs, 96) for name, one in stores.items()}
        shares = shares or [len(part) for part in windows.values()]
        counts = count_shares(samples, shares)
        parts = {
            name: LanguageDataset(
                stores[name],
                windows[name],
                "masked_lm",
                seed=genome_seed(seed, number),
                masking=Masking(),
                rc_augment=True,
                jitter=40,
                samples=counts[number],
            )
            for number, name in enumerate(stores)
        }
        return MixedDataset(parts, shares, samples, stages)

    return make


def same(one, other):
    return all(torch.equal(one[key], other[key]) for key in ("input_ids", "labels"))


def test_every_sample_is_one_of_its_genomes_own(make_mixture):
    mixture = make_mixture()
    owners, within = share_out(np.arange(200), mixture.shares)
    parts = list(mixture.parts.values())
    for index in range(200):
        own = parts[owners[index]][int(within[index])]
        assert same(mixture[index], own)
    assert len(mixture) == 200


def test_one_by_one_in_batches_and_by_workers_are_the_same(make_mixture):
    mixture = make_mixture()
    indices = [5, 199, 5, 0, 130]
    items = mixture.__getitems__(indices)
    assert all(same(item, mixture[index]) for item, index in zip(items, indices, strict=True))
    alone = [
        LanguageDataset.collate([mixture[i] for i in range(s, s + 4)]) for s in range(0, 20, 4)
    ]
    loader = DataLoader(
        Subset(mixture, range(20)), 4, num_workers=2, collate_fn=LanguageDataset.collate
    )
    assert all(same(one, other) for one, other in zip(alone, loader, strict=True))


def test_a_fresh_mixture_of_another_length_resumes_anywhere(make_mixture):
    assert same(make_mixture(900)[151], make_mixture(200)[151])


def test_by_default_an_epoch_shows_every_window_of_every_genome_once(make_mixture):
    plain = make_mixture()
    size = sum(plain.shares)
    names = make_mixture(2 * size).names(range(2 * size))
    assert len(set(names)) == size
    assert sorted(names[:size]) == sorted(names[size:])
    assert names[0].partition(":")[0] in plain.parts


def test_genomes_have_unrelated_draws(make_mixture):
    assert genome_seed(3, 0) == 3
    assert len({genome_seed(seed, number) for seed in range(3) for number in range(4)}) == 12
    mixture = make_mixture(shares=[1, 1])
    masks = [mixture[index]["labels"] != -100 for index in (0, 1)]
    assert not torch.equal(*masks)


def test_stages_count_the_samples_of_the_mixture(make_mixture):
    plain, staged = make_mixture(40), make_mixture(40, stages=[(8, 24), (20, 48)])
    for indices, length in ((range(8), 24), (range(8, 20), 48), (range(20, 40), 96)):
        batch = LanguageDataset.collate(staged.__getitems__(list(indices)))
        whole = LanguageDataset.collate(plain.__getitems__(list(indices)))
        assert batch["labels"].shape[1] == length
        assert all(torch.equal(batch[key].flatten(), whole[key].flatten()) for key in whole)


def test_what_makes_no_mixture_is_refused(make_mixture):
    parts = make_mixture().parts
    with pytest.raises(ValueError, match="need as many shares"):
        MixedDataset(parts, [1], 10)
    with pytest.raises(ValueError, match="above 0"):
        MixedDataset(parts, [1, 0], 10)
    with pytest.raises(ValueError, match="too many"):
        MixedDataset(parts, [2**30, 1], 2**40)
    with pytest.raises(IndexError, match="numbered 0 to 9"):
        MixedDataset(parts, [1, 1], 10)[10]
