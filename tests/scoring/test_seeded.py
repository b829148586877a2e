import numpy as np
import pytest
import torch

from genolm.genome.edits import Edit
from genolm.models.seeded import SeededModel
from genolm.scoring.fast_parts import FastParts
from genolm.scoring.fast_store import FastStore
from genolm.scoring.likelihood import ModelRunner
from genolm.scoring.masked import MaskedRatios
from genolm.scoring.seeded import SeededRatios
from genolm.scoring.segments import SegmentRunner
from genolm.scoring.tiling import LEAST_GAIN, READING, SEGMENT, Tiling

ALL = ("llr", "llr_fwd", "llr_rev")


@pytest.fixture
def parts(models, genome, window_size):
    def make(name, batch_size="auto", window=window_size):
        runner = ModelRunner(models[name], batch_size=batch_size)
        equivariant = name == "ps"
        exact = MaskedRatios(runner, genome, window, equivariant=equivariant)
        return FastParts(models[name], genome, window, batch_size, equivariant, exact, FastStore())

    return make


def other(base):
    return "ACGT"[("ACGT".index(base) + 1) % 4]


def snv(contigs, contig, start):
    ref = contigs[contig][start].upper()
    return Edit(contig, start, ref, other(ref))


@pytest.fixture
def snvs(contigs):
    """Both ends of a contig, lower case, beside N, and a contig shorter than the window."""
    places = [("chr1", p) for p in (0, 1, 99, 100, 101, 102, 107, 201, 399)]
    places += [("chr2", 149), ("chr2", 181), ("short", 0), ("short", 12), ("short", 20)]
    return [snv(contigs, *place) for place in places]


@pytest.fixture
def mnvs(contigs):
    found = []
    for start, size in ((120, 2), (127, 3), (397, 3), (250, 4)):
        ref = contigs["chr1"][start : start + size].upper()
        alt = ref[0] + "".join(map(other, ref[1:])) if size == 4 else "".join(map(other, ref))
        found.append(Edit("chr1", start, ref, alt))
    return found


def numbers(function, edits):
    found = function.score(edits)
    return np.stack([found[key] for key in ALL], axis=1)


@pytest.mark.parametrize("name", ["ps", "ph"])
def test_whole_tiles_that_are_centred_are_the_exact_score(parts, snvs, mnvs, window_size, name):
    own = parts(name)
    seeded = SeededRatios(own, Tiling(window_size, 1, window_size), always=True)
    exact = numbers(own.exact, snvs)
    assert np.abs(exact).max() > 1e-3
    np.testing.assert_allclose(numbers(seeded, snvs), exact, rtol=0, atol=1e-10)
    assert seeded.counts == {"segments": len(snvs), "passes": 0}


@pytest.mark.parametrize("name", ["ps", "ph"])
def test_whole_tiles_are_the_full_pass_over_the_tile(
    parts, models, contigs, snvs, mnvs, window_size, log_probabilities, name
):
    tiling = Tiling(window_size, 8, window_size)
    edits = [*snvs, *mnvs]
    found = SeededRatios(parts(name), tiling, always=True).score(edits)["llr_fwd"]
    for edit, number in zip(edits, found, strict=True):
        bases = contigs[edit.contig].upper()
        start = tiling.tile(edit.start + edit.size // 2, len(bases))
        padded = "N" * max(0, -start) + bases[max(0, start) : start + window_size]
        hidden = [
            edit.start - start + i
            for i, (ref, alt) in enumerate(zip(edit.ref, edit.alt, strict=True))
            if ref != alt
        ]
        rows = log_probabilities(models[name], padded.ljust(window_size, "N"), hidden)
        expected = sum(
            rows[i, 7 + "ACGT".index(edit.alt[i - (edit.start - start)])]
            - rows[i, 7 + "ACGT".index(edit.ref[i - (edit.start - start)])]
            for i in hidden
        )
        assert number == pytest.approx(expected, abs=1e-10)


def test_the_strands_of_a_model_that_is_not_equivariant_differ(parts, snvs, window_size):
    found = SeededRatios(parts("ph"), Tiling(window_size, 8, 8), always=True).score(snvs)
    assert np.abs(found["llr_fwd"] - found["llr_rev"]).max() > 1e-3


@pytest.mark.parametrize("name", ["ps", "ph"])
def test_errors_are_small_and_shrink_with_the_radius(parts, snvs, mnvs, window_size, name):
    edits = [*snvs, *mnvs]
    whole, *shorter = (
        numbers(SeededRatios(parts(name), Tiling(window_size, 4, radius), always=True), edits)
        for radius in (window_size, 10, 5, 1)
    )
    errors = [np.abs(found - whole).max() for found in shorter]
    assert errors == sorted(errors)
    assert 1e-12 < errors[-1] < 0.05 * np.abs(whole).max()


@pytest.mark.parametrize("name", ["ps", "ph"])
def test_batches_order_threads_and_repeats_change_nothing(parts, snvs, mnvs, window_size, name):
    edits = [*snvs, *mnvs, *snvs[:3]]
    tiling = Tiling(window_size, 8, 4)
    expected = numbers(SeededRatios(parts(name), tiling, always=True), edits)
    order = np.random.default_rng(1).permutation(len(edits))
    shuffled = numbers(SeededRatios(parts(name, 3), tiling, always=True), [edits[i] for i in order])
    np.testing.assert_allclose(shuffled, expected[order], rtol=0, atol=1e-10)
    torch.set_num_threads(2)
    threaded = numbers(SeededRatios(parts(name, 2), tiling, always=True), edits)
    np.testing.assert_allclose(threaded, expected, rtol=0, atol=1e-10)


def test_a_bound_on_memory_reads_fewer_tiles_at_once_and_changes_nothing(
    parts, snvs, window_size, monkeypatch
):
    read = []

    def count(self, ids, *places):
        read.append(len(ids))
        return original(self, ids, *places)

    original = SeededModel.read
    monkeypatch.setattr(SeededModel, "read", count)
    tiling = Tiling(window_size, 8, 4)
    expected = numbers(SeededRatios(parts("ps"), tiling, always=True), snvs)
    assert len(read) == 1
    monkeypatch.setattr("genolm.scoring.segments.MOST_BYTES", 1)
    found = numbers(SeededRatios(parts("ps"), tiling, always=True), snvs)
    assert read[1:] == [1] * read[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_what_does_not_pay_or_cannot_share_is_exact(parts, snvs, contigs, window_size):
    own = parts("ps")
    seeded = SeededRatios(own, Tiling(window_size, 8, 2))
    deletion = Edit("chr1", 60, contigs["chr1"][60:62].upper(), "")
    long = contigs["chr1"][70:85].upper()
    rest = [deletion, Edit("chr1", 70, long, "".join(map(other, long))), Edit("chr1", 9, "", "")]
    crowd = [snv(contigs, "chr1", start) for start in range(300, 304)]
    edits = [snvs[3], *rest, *crowd]
    found = numbers(seeded, edits)
    assert seeded.counts == {"segments": len(crowd), "passes": 1 + len(rest)}
    exact = numbers(own.exact, edits)
    assert np.array_equal(found[: -len(crowd)], exact[: -len(crowd)])
    assert 0 < np.abs(found - exact)[-len(crowd) :].max() < 0.1 * np.abs(exact).max()


def test_no_edits_give_no_numbers(parts, window_size):
    assert numbers(SeededRatios(parts("ps"), Tiling(window_size, 8, 2)), []).shape == (0, 3)
    assert SegmentRunner(parts("ps").model, "auto", 4).run([]) == []


@pytest.mark.parametrize("step", [1, 4, 7, 64, 512])
@pytest.mark.parametrize("window", [33, 1024])
@pytest.mark.parametrize("length", [20, 1000, 5000])
def test_a_site_is_at_most_half_a_step_from_where_the_exact_window_has_it(step, window, length):
    tiling = Tiling(window, step, 16)
    low, high = sorted((0, length - window))
    for middle in range(0, length, 3):
        exact = min(max(middle - window // 2, low), high)
        tile = tiling.tile(middle, length)
        assert abs(tile - exact) <= step / 2
        assert low <= tile <= high
        assert tile in (low, high) or tile % step == 0


@pytest.mark.parametrize("step", [1, 4, 7, 64, 512])
@pytest.mark.parametrize("radius", [1, 16, 500, 1024])
def test_a_segment_has_its_radius_on_either_side_or_ends_with_the_tile(step, radius):
    tiling = Tiling(1024, step, radius)
    starts, lengths = set(), set()
    for first in range(0, 1024, 5):
        for last in (first, min(first + tiling.stride - 1, 1023)):
            segment = tiling.segment(first, last)
            end = segment.start + segment.length
            assert 0 <= segment.start <= max(0, first - radius)
            assert min(1024, last + 1 + radius) <= end <= 1024
            lengths.add(segment.length)
        starts.add(tiling.segment(first, first).start)
    assert len(lengths) <= 2
    assert len(starts) <= 1024 // tiling.stride + 2


def test_sharing_pays_from_some_number_of_sites_on():
    tiling = Tiling(1024, 512, 64)
    length = tiling.segment(512, 512).length
    pays = [tiling.pays(count, count * length) for count in range(1, 100)]
    assert pays == sorted(pays)
    assert not pays[0]
    gain = 99 * 1024 / (READING * 1024 + SEGMENT * 99 * length)
    assert pays[-1]
    assert gain > LEAST_GAIN
    whole = Tiling(1024, 1, 1024)  # what a calibration that found nothing leaves
    assert not whole.pays(1, 1024)
