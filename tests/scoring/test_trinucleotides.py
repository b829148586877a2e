import itertools

import numpy as np
import pytest

from genolm.data.trinucleotides import CHANGES, CONTEXTS, Change, change_of, contexts_at
from genolm.genome.edits import Edit
from genolm.genome.sequence import reverse_complement
from genolm.tokenization.encode import encode

ALL_THREES = ["".join(bases) for bases in itertools.product("ACGT", repeat=3)]


def test_there_are_96_changes_of_32_trinucleotides():
    assert len(set(CHANGES)) == 96
    assert len(set(CONTEXTS)) == 32
    assert {name[2] for name in CHANGES} == {"C", "T"}


def test_both_strands_of_a_snv_are_one_class_read_from_opposite_sides(make_genome):
    threes = {three: make_genome({"a": three}) for three in ALL_THREES}
    seen = {}
    for three, alt in itertools.product(ALL_THREES, "ACGT"):
        if alt == three[1]:
            continue
        change = change_of(threes[three], Edit("a", 1, three[1], alt))
        mirrored = reverse_complement(three)
        other = Edit("a", 1, mirrored[1], reverse_complement(alt))
        assert change_of(threes[mirrored], other) == Change(change.name, not change.reverse)
        seen.setdefault(change.name, []).append((three, alt))
    assert set(seen) == set(CHANGES)
    assert {len(found) for found in seen.values()} == {2}


def test_a_change_is_called_after_its_pyrimidine(make_genome):
    genome = make_genome({"a": "TGCtca"})
    assert change_of(genome, Edit("a", 1, "G", "A")) == Change("G[C>T]A", reverse=True)
    assert change_of(genome, Edit("a", 4, "C", "G")) == Change("T[C>G]A", reverse=False)


@pytest.mark.parametrize(
    "edit",
    [
        Edit("a", 0, "A", "C"),  # nothing before it
        Edit("a", 4, "T", "C"),  # nothing behind it
        Edit("a", 1, "C", "G"),  # N behind it
        Edit("a", 3, "G", ""),
        Edit("a", 3, "", "G"),
        Edit("a", 3, "GT", "CA"),
        Edit("a", 3, "", ""),
    ],
)
def test_what_is_no_snv_between_known_bases_has_no_class(make_genome, edit):
    assert change_of(make_genome({"a": "ACNGT"}), edit) is None


def test_contexts_are_those_of_one_base_at_a_time():
    text = "ACGTTGCANACCGRTTTGACgtacnACG"
    ids = encode(text).ids
    places = np.arange(1, len(text) - 1)
    for place, number in zip(places, contexts_at(ids, places), strict=True):
        three = text[place - 1 : place + 2].upper()
        either = {three, reverse_complement(three)} & set(CONTEXTS)
        assert (CONTEXTS[number] if number >= 0 else None) == next(iter(either), None)
