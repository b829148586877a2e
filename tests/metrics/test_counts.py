"""The vectorised count models against a literal, base-by-base reading of their equation."""

import gzip
import math
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from genolm.metrics.counts import (
    PRIOR_WEIGHT,
    markov_bits,
    reverse_complement_counts,
    two_sided_bits,
)


def ids(text):
    return np.array([{"A": 7, "C": 8, "G": 9, "T": 10}.get(base, 11) for base in text], np.uint8)


def random_dna(seed, length, letters="ACGTN", weights=(0.3, 0.2, 0.15, 0.3, 0.05)):
    return "".join(np.random.default_rng(seed).choice(list(letters), p=weights, size=length))


def other_strand(text):
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def context(text, at, level, two_sided):
    """Flanks of level ``level``, or None where they are not all known."""
    left = text[max(0, at - level) : at]
    right = text[at + 1 : at + 1 + level] if two_sided else ""
    complete = len(left) == level and (not two_sided or len(right) == level)
    return (left, right) if complete and "N" not in left + right else None


class SlowModel:
    def __init__(self, texts, top, two_sided, weight):
        self.two_sided, self.weight, self.counts = two_sided, weight, Counter()
        for text in [*texts, *map(other_strand, texts)]:
            for at, base in enumerate(text):
                for level in range(top + 1):
                    flanks = context(text, at, level, two_sided)
                    if base != "N" and flanks is not None:
                        self.counts[flanks, base] += 1

    def probability(self, base, flanks):
        left, right = flanks
        prior = self.probability(base, (left[1:], right[:-1])) if left else 0.25
        seen = sum(self.counts[flanks, other] for other in "ACGT")
        return (self.counts[flanks, base] + self.weight * prior) / (seen + self.weight)

    def bits(self, texts, top, targets=None):
        total, number = 0.0, 0
        for row, text in enumerate(texts):
            for at, base in enumerate(text):
                if base == "N" or (targets is not None and not targets[row][at]):
                    continue
                flanks = next(
                    found
                    for level in range(top, -1, -1)
                    if (found := context(text, at, level, self.two_sided)) is not None
                )
                total -= math.log2(self.probability(base, flanks))
                number += 1
        return total / number


TRAIN = [random_dna(1, 700), random_dna(2, 40)]
TEST = [random_dna(3, 120), random_dna(4, 3), random_dna(5, 60)]


@pytest.mark.parametrize("weight", [0.5, PRIOR_WEIGHT])
def test_markov_bits_follow_their_equation(weight):
    slow = SlowModel(TRAIN, 4, two_sided=False, weight=weight)
    fast = markov_bits(map(ids, TRAIN), map(ids, TEST), orders=(0, 1, 2, 4), prior_weight=weight)
    assert list(fast) == ["order_0", "order_1", "order_2", "order_4"]
    for order in (0, 1, 2, 4):
        assert fast[f"order_{order}"] == pytest.approx(slow.bits(TEST, order), abs=1e-12)


@pytest.mark.parametrize("weight", [0.5, PRIOR_WEIGHT])
def test_two_sided_bits_follow_their_equation(weight):
    slow = SlowModel(TRAIN, 3, two_sided=True, weight=weight)
    fast = two_sided_bits(map(ids, TRAIN), map(ids, TEST), ks=(0, 1, 3), prior_weight=weight)
    assert list(fast) == ["two_sided_0", "two_sided_1", "two_sided_3"]
    for k in (0, 1, 3):
        assert fast[f"two_sided_{k}"] == pytest.approx(slow.bits(TEST, k), abs=1e-12)


@pytest.mark.parametrize("two_sided", [False, True])
def test_only_targets_are_scored(two_sided):
    rng = np.random.default_rng(6)
    targets = [rng.random(len(text)) < 0.3 for text in TEST]
    slow = SlowModel(TRAIN, 2, two_sided=two_sided, weight=PRIOR_WEIGHT)
    score = two_sided_bits if two_sided else markov_bits
    (fast,) = score(map(ids, TRAIN), map(ids, TEST), (2,), targets=targets).values()
    assert fast == pytest.approx(slow.bits(TEST, 2, targets), abs=1e-12)
    assert fast != pytest.approx(slow.bits(TEST, 2), abs=1e-4)


@pytest.mark.parametrize("score", [markov_bits, two_sided_bits])
def test_the_strand_of_the_training_sequence_does_not_matter(score):
    forward = score([ids(TRAIN[0])], [ids(TEST[0])])
    backward = score([ids(other_strand(TRAIN[0]))], [ids(TEST[0])])
    assert forward == pytest.approx(backward, abs=1e-12)


def test_two_sided_bits_are_the_same_on_both_strands_of_the_test_part():
    forward = two_sided_bits([ids(TRAIN[0])], [ids(TEST[0])])
    backward = two_sided_bits([ids(TRAIN[0])], [ids(other_strand(TEST[0]))])
    assert forward == pytest.approx(backward, abs=1e-12)


def test_reverse_complement_counts_read_every_word_on_the_other_strand():
    table = np.zeros(4**3, dtype=np.int64)
    table[0 * 16 + 1 * 4 + 1] = 5
    other = reverse_complement_counts(table)
    assert np.flatnonzero(other).tolist() == [2 * 16 + 2 * 4 + 3]
    assert other.sum() == 5


def test_independent_bases_cost_two_bits_at_any_order():
    rng = np.random.default_rng(7)
    train, test = rng.integers(7, 11, 400_000), rng.integers(7, 11, 50_000)
    for bits in (markov_bits([train], [test], (0, 2, 5)), two_sided_bits([train], [test], (1, 2))):
        assert all(value == pytest.approx(2.0, abs=0.01) for value in bits.values())


def test_nothing_learned_costs_exactly_two_bits():
    assert markov_bits([], [ids("ACGTACGT")], (0, 3)) == {"order_0": 2.0, "order_3": 2.0}


def test_a_repeat_is_learned_by_the_order_that_sees_it():
    bits = markov_bits([ids("AACGATTC" * 500)], [ids("AACGATTC" * 20)], (0, 5))
    assert bits["order_0"] > 1.9
    assert bits["order_5"] < 0.7


@pytest.mark.parametrize(
    ("score", "lengths"), [(markov_bits, (12,)), (markov_bits, (-1,)), (two_sided_bits, (6,))]
)
def test_context_lengths_out_of_range_are_named(score, lengths):
    with pytest.raises(ValueError, match=re.escape(str(list(lengths)))):
        score([ids("ACGT")], [ids("ACGT")], lengths)


def test_nothing_to_score_is_an_error():
    with pytest.raises(ValueError, match="no A, C, G or T"):
        markov_bits([ids("ACGT")], [ids("NNN")])
    with pytest.raises(ValueError, match="no A, C, G or T"):
        two_sided_bits([ids("ACGT")], [ids("ACG")], targets=[np.zeros(3, bool)])


def test_prior_weight_must_be_positive():
    with pytest.raises(ValueError, match="prior_weight 0"):
        markov_bits([ids("ACGT")], [ids("ACGT")], prior_weight=0)


@pytest.fixture(scope="module")
def yeast():
    folder = os.environ.get("GENOLM_DATA")
    path = Path(folder or "") / "genomes" / "scerevisiae_R64-1-1.fa.gz"
    if not folder or not path.is_file():
        pytest.skip("needs GENOLM_DATA with genomes/scerevisiae_R64-1-1.fa.gz")
    records = gzip.decompress(path.read_bytes()).split(b">")[1:]
    table = np.zeros(256, np.uint8)
    table[list(b"ACGT")] = [7, 8, 9, 10]
    contigs = {}
    for record in records:
        header, bases = record.split(b"\n", 1)
        codes = np.frombuffer(bases.replace(b"\n", b""), np.uint8)
        contigs[header.split()[0].decode()] = table[codes]
    test = [contigs.pop("XV"), contigs.pop("XVI")]
    del contigs["Mito"]
    return list(contigs.values()), test


@pytest.mark.parametrize(
    ("score", "level", "reference"),
    [
        (markov_bits, 0, 1.959),
        (markov_bits, 3, 1.941),
        (markov_bits, 5, 1.939),
        (markov_bits, 11, 1.925),
        (two_sided_bits, 4, 1.915),
    ],
)
def test_yeast_bits_agree_with_an_independent_implementation(yeast, score, level, reference):
    train, test = yeast
    (bits,) = score(train, test, (level,)).values()
    assert bits == pytest.approx(reference, abs=0.003)
