import numpy as np
import pytest

from genolm.data.similar import canonical_kmers, find_similar
from genolm.genome.sequence import reverse_complement

RNG = np.random.default_rng(3)
SEQUENCES = ["".join(RNG.choice(list("ACGT"), 200)) for _ in range(40)]
OTHERS = ["".join(RNG.choice(list("ACGT"), 200)) for _ in range(40)]


def naive_kmers(sequence, k):
    kmers = {sequence[i : i + k].upper() for i in range(len(sequence) - k + 1)}
    return {min(one, reverse_complement(one)) for one in kmers if set(one) <= set("ACGT")}


@pytest.mark.parametrize("k", [3, 16, 32])
@pytest.mark.parametrize("sequence", [SEQUENCES[0], "acgtNacgtacgtaaccggtt" * 3, "ACG", ""])
def test_kmers_are_counted_once_on_either_strand(sequence, k):
    assert len(canonical_kmers(sequence, k)) == len(naive_kmers(sequence, k))
    assert (canonical_kmers(sequence, k) == canonical_kmers(reverse_complement(sequence), k)).all()


def test_shared_kmers_have_shared_hashes():
    one, other = SEQUENCES[0], SEQUENCES[0][40:] + SEQUENCES[1][:40]
    shared = len(naive_kmers(one, 16) & naive_kmers(other, 16))
    assert len(np.intersect1d(canonical_kmers(one), canonical_kmers(other))) == shared


def mutate(sequence, places):
    letters = list(sequence)
    for place in places:
        letters[place] = "ACGT"["ACGT".index(letters[place]) ^ 1]
    return "".join(letters)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s,
        lambda s: s.lower(),
        reverse_complement,
        lambda s: s[20:] + OTHERS[0][:20],
        lambda s: mutate(s, [100]),
        lambda s: s[30:120],
    ],
    ids=["copy", "case", "strand", "shift", "mutation", "part"],
)
def test_what_is_nearly_the_same_is_found(change):
    asked = [change(sequence) for sequence in SEQUENCES[10:30]]
    assert find_similar(SEQUENCES, asked).tolist() == list(range(10, 30))


def test_what_is_not_is_not():
    assert (find_similar(SEQUENCES, OTHERS) == -1).all()
    half = [a[:100] + b[:100] for a, b in zip(SEQUENCES, OTHERS, strict=True)]
    assert (find_similar(SEQUENCES, half) == -1).all()
    assert find_similar([], ["ACGT" * 20]).tolist() == [-1]
    assert find_similar(SEQUENCES, ["ACGT", ""]).tolist() == [-1, -1]
