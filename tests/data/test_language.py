"""A sample is a function of (seed, epoch, window), however it is fetched."""

import hashlib
import time

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from genolm.data.genome_store import open_store
from genolm.data.language import LanguageDataset
from genolm.data.masking import EvaluationMasking, Masking, sparse_evaluation_mask
from genolm.data.windows import from_regions, make_windows
from genolm.genome.interval import Interval
from genolm.tokenization import reverse_complement_ids
from genolm.tokenization.vocabulary import MASK, N

LENGTH = 96
TRAINING = {
    "masked": ("masked_lm", {"masking": Masking(), "rc_augment": True, "jitter": 40}),
    "causal": ("causal_lm", {"rc_augment": True, "jitter": 40}),
    "plain": ("causal_lm", {}),
}


@pytest.fixture(scope="module")
def windows(store):
    return make_windows(store.contigs, LENGTH, chroms=["chr1", "chr2", "chr3"])


@pytest.fixture(params=TRAINING)
def dataset(request, store, windows):
    objective, options = TRAINING[request.param]
    return LanguageDataset(store, windows, objective, seed=3, samples=300, **options)


def stack(items):
    return {key: torch.stack([item[key] for item in items]) for key in items[0]}


def same(one, other):
    return all(torch.equal(one[key], other[key]) for key in ("input_ids", "labels"))


def test_shapes_and_types(dataset):
    item = dataset[7]
    assert list(item) == ["input_ids", "labels"]
    assert all(v.shape == (LENGTH,) and v.dtype == torch.int64 for v in item.values())
    assert len(dataset) == 300


def test_one_by_one_and_in_batches_are_the_same(dataset):
    indices = [5, 299, 5, 0, 130]
    assert same(stack(dataset.__getitems__(indices)), stack([dataset[i] for i in indices]))


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_same_batches(dataset, workers):
    alone = [stack([dataset[i] for i in range(s, s + 4)]) for s in range(0, 40, 4)]
    subset = torch.utils.data.Subset(dataset, range(40))
    loader = DataLoader(subset, batch_size=4, num_workers=workers)
    assert all(same(a, b) for a, b in zip(alone, loader, strict=True))


def test_a_fresh_dataset_resumes_anywhere(dataset, store, windows):
    fresh = LanguageDataset(
        store,
        windows,
        dataset.objective,
        seed=3,
        samples=900,
        rc_augment=dataset.rc_augment,
        masking=dataset.masking,
        jitter=dataset.jitter,
    )
    assert same(fresh[251], dataset[251])


@pytest.mark.parametrize("name", ["masked", "causal"])
def test_seed_and_epoch_each_change_the_samples(store, windows, name):
    objective, options = TRAINING[name]
    size = len(windows)

    def epoch_of(seed, epoch):
        data = LanguageDataset(store, windows, objective, seed=seed, samples=2 * size, **options)
        return stack(data.__getitems__(list(range(epoch * size, epoch * size + size))))

    assert not same(epoch_of(1, 0), epoch_of(2, 0))
    assert not same(epoch_of(1, 0), epoch_of(1, 1))
    assert same(epoch_of(1, 1), epoch_of(1, 1))


def test_an_epoch_shows_every_window_once_and_the_next_in_another_order(store, windows):
    size = len(windows)
    data = LanguageDataset(store, windows, "causal_lm", seed=0, samples=3 * size)
    ordered = LanguageDataset(store, windows, "causal_lm", seed=0, order="sequential")
    expected = sorted(
        tuple(item["input_ids"].tolist()) for item in ordered.__getitems__(range(size))
    )
    epochs = [
        [tuple(data[e * size + i]["input_ids"].tolist()) for i in range(size)] for e in range(3)
    ]
    assert all(sorted(epoch) == expected for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_sequential_samples_are_the_windows_in_order(store, windows):
    data = LanguageDataset(store, windows, "causal_lm", seed=0, order="sequential")
    assert len(data) == len(windows)
    for i in (0, 31, len(windows) - 1):
        where = windows[i]
        np.testing.assert_array_equal(
            data[i]["input_ids"].numpy(), store.ids(where.chrom, where.start, where.end)
        )


def test_causal_labels_are_the_inputs_except_n(store, windows):
    item = stack(LanguageDataset(store, windows, "causal_lm", seed=0).__getitems__(range(60)))
    is_n = item["input_ids"] == N
    assert is_n.any()
    assert (item["labels"][is_n] == -100).all()
    assert torch.equal(item["labels"][~is_n], item["input_ids"][~is_n])


def test_half_of_the_samples_are_the_other_strand(store, windows):
    plain = LanguageDataset(store, windows, "causal_lm", seed=0, samples=400)
    turned = LanguageDataset(store, windows, "causal_lm", seed=0, samples=400, rc_augment=True)
    forward = 0
    for i in range(400):
        a, b = plain[i]["input_ids"].numpy(), turned[i]["input_ids"].numpy()
        forward += np.array_equal(a, b)
        assert np.array_equal(a, b) or np.array_equal(reverse_complement_ids(a), b)
    assert 150 < forward < 250


def test_masks_fall_on_the_strand_that_is_shown(store, windows):
    data = LanguageDataset(
        store, windows, "masked_lm", seed=5, masking=Masking(0.3, 1.0, 0.0), rc_augment=True
    )
    turned = LanguageDataset(store, windows, "causal_lm", seed=5, rc_augment=True)
    for i in range(20):
        item, shown = data[i], turned[i]["input_ids"]
        target = item["labels"] != -100
        assert torch.equal(item["labels"][target], shown[target])
        assert (item["input_ids"][target] == MASK).all()
        assert torch.equal(item["input_ids"][~target], shown[~target])


def test_shifted_windows_stay_in_their_region_and_reach_its_ends(store):
    region = Interval("chr3", 500, 700)
    windows = from_regions([region], 50)
    data = LanguageDataset(store, windows, "causal_lm", seed=0, samples=2000, jitter=60)
    whole = store.ids("chr3", 500, 700)
    known = {whole[s : s + 50].tobytes(): s for s in range(151)}
    starts = {
        known[item["input_ids"].numpy().astype(np.uint8).tobytes()]
        for item in data.__getitems__(list(range(2000)))
    }
    assert min(starts) == 0
    assert max(starts) == 150
    assert len(starts) > 140


def test_the_evaluation_mask_does_not_change_with_epoch_order_or_selection(store, windows):
    def read(chosen, **options):
        data = LanguageDataset(
            store, chosen, "masked_lm", seed=1, masking=EvaluationMasking(), **options
        )
        return {
            (item["labels"] + 1000 * item["input_ids"]).numpy().tobytes()
            for item in data.__getitems__(list(range(len(data))))
        }

    everything = read(windows, order="sequential")
    assert read(windows, order="shuffled") == everything
    assert read(windows, order="shuffled", samples=2 * len(windows)) == everything
    assert read(windows.spread(9), order="sequential") < everything


def test_the_evaluation_mask_is_the_published_function(store, windows):
    data = LanguageDataset(
        store, windows, "masked_lm", seed=1, masking=EvaluationMasking(), order="sequential"
    )
    places = windows.places(store)
    for i in (0, 17):
        chosen = sparse_evaluation_mask(LENGTH, 1, int(places[i]))
        where = windows[i]
        is_base = store.ids(where.chrom, where.start, where.end) != N
        np.testing.assert_array_equal(data[i]["labels"].numpy() != -100, chosen & is_base)


@pytest.mark.parametrize(
    ("objective", "options", "message"),
    [
        ("mlm", {}, "objective must be"),
        ("causal_lm", {"masking": Masking()}, "masking goes with masked_lm"),
        ("masked_lm", {}, "masking goes with masked_lm"),
        ("causal_lm", {"order": "random"}, "order must be"),
        ("causal_lm", {"jitter": -1}, "jitter must be"),
    ],
)
def test_wrong_options_are_refused(store, windows, objective, options, message):
    with pytest.raises(ValueError, match=message):
        LanguageDataset(store, windows, objective, seed=0, **options)


def test_no_window_is_refused(store, windows):
    with pytest.raises(ValueError, match="at least one window"):
        LanguageDataset(store, windows.take(np.zeros(len(windows), bool)), "causal_lm", seed=0)


@pytest.mark.parametrize("index", [-1, 300])
def test_samples_beyond_the_end_are_an_index_error(dataset, index):
    with pytest.raises(IndexError, match="numbered 0 to 299"):
        dataset[index]


def test_a_sample_of_1024_bases_takes_less_than_half_a_millisecond(store):
    data = LanguageDataset(
        store,
        make_windows(store.contigs, 1024, 64),
        "masked_lm",
        seed=0,
        masking=Masking(),
        rc_augment=True,
        samples=10_000,
    )
    best = min(_seconds_per_sample(data) for _ in range(5))
    assert best < 0.5e-3


def _seconds_per_sample(data):
    start = time.process_time()
    for i in range(100):
        data[i]
    return (time.process_time() - start) / 100


@pytest.mark.parametrize("name", ["masked", "causal"])
def test_weights_follow_the_lower_case_through_shift_and_strand(store, windows, name):
    objective, options = TRAINING[name]
    build = {"seed": 3, "samples": 60, **options}
    plain = LanguageDataset(store, windows, objective, **build)
    weighed = LanguageDataset(store, windows, objective, soft_mask_weight=0.1, **build)
    whole = {chrom: store.repeat_mask(chrom) for chrom in store.contigs}
    found = set()
    for index in range(60):
        item = weighed[index]
        assert same(stack([item]), stack([plain[index]]))
        weights = item["loss_weights"].numpy()
        assert weights.dtype == np.float32
        found |= set(weights.tolist())
        # The bases that were weighed are those in lower case, wherever and however they stand.
        (place,) = find_place(store, item)
        chrom, start, reverse = place
        repeats = whole[chrom][start : start + LENGTH]
        repeats = repeats[::-1] if reverse else repeats
        assert ((weights < 1) == repeats).all()
    assert found == {np.float32(0.1), 1.0}


def find_place(store, item):
    """Where the bases of an item that can be told stand in the genome, on either strand."""
    ids, labels = item["input_ids"].numpy(), item["labels"].numpy()
    true = np.where(labels >= 0, labels, ids)
    for chrom, size in store.contigs.items():
        genome = store.ids(chrom)
        for reverse in (False, True):
            wanted = reverse_complement_ids(true.astype(np.uint8)) if reverse else true
            for start in range(size - LENGTH + 1):
                if (genome[start : start + LENGTH] == wanted).all():
                    yield chrom, start, reverse
                    return


@pytest.mark.parametrize("name", ["masked", "causal"])
def test_stages_show_the_same_bases_in_pieces(store, windows, name):
    objective, options = TRAINING[name]
    build = {"seed": 3, "samples": 40, **options}
    plain = LanguageDataset(store, windows, objective, **build)
    staged = LanguageDataset(store, windows, objective, stages=[(8, 24), (20, 48)], **build)
    for indices, length in ((range(8), 24), (range(8, 20), 48), (range(20, 40), LENGTH)):
        batch = staged.collate(staged.__getitems__(list(indices)))
        assert batch["input_ids"].shape == (len(indices) * LENGTH // length, length)
        whole = stack(plain.__getitems__(list(indices)))
        assert all(torch.equal(batch[k].flatten(), whole[k].flatten()) for k in whole)


def test_stages_that_do_not_divide_the_window_are_refused(store, windows):
    with pytest.raises(ValueError, match="must divide 96"):
        LanguageDataset(store, windows, "causal_lm", seed=0, stages=[(8, 36)])


def test_samples_are_named_by_their_windows(store, windows):
    dataset = LanguageDataset(store, windows, "causal_lm", seed=0, order="sequential")
    assert dataset.names(range(2)) == ["chr1:0-96", "chr1:96-192"]


@pytest.mark.parametrize(
    ("masking", "digest"),
    [
        (Masking(), "718b3f4af4315b2a"),
        (Masking(0.3, 1.0, 0.0), "febd3fce2e3366d7"),
        (Masking(0.5, 0.25, 0.25, 6), "81a0e81f5ae956d0"),
        (Masking(1.0, 0.5, 0.5), "6110defb5624585f"),
        (None, "ed9baaa06aae157e"),
    ],
    ids=["paper", "plain", "spans", "all", "causal"],
)
def test_samples_stay_those_of_every_earlier_version(make_fasta, masking, digest):
    """A run that an earlier version began is gone on with, so that nothing here may change."""
    letters = np.frombuffer(b"ACGTacgtN", dtype=np.uint8)
    bases = letters[np.arange(5000) ** 2 % 9973 % 9].tobytes().decode()
    opened = open_store(make_fasta({"a": bases, "b": bases[::-1]}))
    data = LanguageDataset(
        opened,
        make_windows(opened.contigs, LENGTH),
        "causal_lm" if masking is None else "masked_lm",
        seed=2222,
        rc_augment=True,
        masking=masking,
        samples=400,
        jitter=48,
        soft_mask_weight=0.5,
    )
    batch = data.collate(data.__getitems__(list(range(400))))
    shown = b"".join(column.numpy().tobytes() for column in batch.values())
    assert hashlib.sha256(shown).hexdigest()[:16] == digest


@pytest.mark.parametrize("length", [256, 1024, 131_072, 1_048_576])
@pytest.mark.parametrize("name", ["masked", "causal"])
def test_windows_of_any_published_length(long_store, length, name):
    objective, options = TRAINING[name]
    windows = make_windows(long_store.contigs, length)
    data = LanguageDataset(
        long_store, windows, objective, seed=1, samples=10**9, **options | {"jitter": length // 2}
    )
    items = data.__getitems__([3, 10**9 - 1])
    assert all(column.shape == (length,) for item in items for column in item.values())
    assert same(items[1], data[10**9 - 1])
    targets = items[0]["labels"] != -100
    assert targets.float().mean() == pytest.approx(0.15 if name == "masked" else 1, abs=0.1)
    if name == "causal":
        for item in items:
            shown = item["input_ids"].numpy().astype(np.uint8)
            strands = (shown.tobytes(), reverse_complement_ids(shown).tobytes())
            assert any(strand in long_store.ids("a").tobytes() for strand in strands)


@pytest.fixture(scope="module")
def long_store(tmp_path_factory):
    drawn = np.random.default_rng(3).integers(0, 4, 2_500_000)
    path = tmp_path_factory.mktemp("long") / "long.fa"
    path.write_text(f">a\n{np.frombuffer(b'ACGT', np.uint8)[drawn].tobytes().decode()}\n")
    return open_store(path)
