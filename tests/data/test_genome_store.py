"""A store holds what the FASTA says, whatever happened to it in between."""

import multiprocessing
import os
import pickle
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from genolm.data.genome_store import open_store
from genolm.errors import InputError, UsageError
from genolm.genome.fasta import Fasta
from genolm.tokenization import decode, encode


def read_by_rule(sequence):
    plain = sequence.upper().replace("U", "T")
    return "".join(c if c in "ACGT" else "N" for c in plain)


def test_ids_and_repeat_mask_are_those_of_the_fasta(store, contigs):
    assert store.contigs == {name: len(sequence) for name, sequence in contigs.items()}
    for name, sequence in contigs.items():
        assert decode(store.ids(name)) == read_by_rule(sequence)
        assert store.repeat_mask(name).tolist() == [c.islower() for c in sequence]
        assert decode(store.ids(name, 11, 75)) == read_by_rule(sequence[11:75])
        assert store.repeat_mask(name, 11, 75).tolist() == [c.islower() for c in sequence[11:75]]


def test_counts_are_those_of_all_contigs(store, contigs):
    whole = "".join(contigs.values())
    assert store.counts == encode(whole).counts
    assert store.counts.n == 1000
    assert store.counts.soft_masked
    assert store.counts.uracil
    assert store.counts.ambiguous


def test_gathered_windows_are_the_slices(store):
    places = np.array([store.offset("chr2") + 5, store.offset("chr1"), store.offset("chrM") + 1])
    expected = [store.ids("chr2", 5, 85), store.ids("chr1", 0, 80), store.ids("chrM", 1, 81)]
    np.testing.assert_array_equal(store.gather(places, 80), np.stack(expected))


@pytest.mark.parametrize("scanned", [1, 2, 3, 4, 1 << 16])
def test_runs_of_n_are_found_at_both_ends_and_over_pieces(make_fasta, monkeypatch, scanned):
    monkeypatch.setattr("genolm.data.genome_store._SCANNED", scanned)
    store = open_store(make_fasta({"a": "NNACNGTTn", "b": "ACGT"}))
    starts, ends = store.n_runs("a")
    assert (starts.tolist(), ends.tolist()) == ([0, 4, 8], [2, 5, 9])
    assert store.n_runs("b")[0].size == 0


@pytest.mark.parametrize("span", [("chr1", -1, 5), ("chr1", 0, 10**6), ("chr1", 9, 3), ("chrX",)])
def test_a_span_outside_the_genome_is_refused(store, span):
    with pytest.raises(ValueError, match=r"outside the contig|no contig"):
        store.ids(*span)


def test_the_second_opening_does_not_decode(make_fasta):
    path = make_fasta({"a": "ACGTN"})
    first = open_store(path)
    again = open_store(path)
    assert first.built
    assert not again.built
    assert first.path == again.path == path.with_name("genome.fa.gstore")
    assert first.digest == again.digest


def test_the_digest_is_the_content_and_not_the_place(make_fasta):
    one = open_store(make_fasta({"a": "ACGT", "b": "TT"}, "one.fa"))
    same = open_store(make_fasta({"a": "ACGT", "b": "TT"}, "two.fa"))
    other_cut = open_store(make_fasta({"a": "ACG", "b": "TTT"}, "three.fa"))
    assert one.digest == same.digest != other_cut.digest


def test_a_changed_fasta_is_decoded_again(make_fasta):
    path = make_fasta({"a": "ACGT"})
    open_store(path)
    make_fasta({"a": "TTTT"})
    os.utime(path, ns=(1, 1))
    (path.parent / "genome.fa.fai").unlink()
    assert decode(open_store(path).ids("a")) == "TTTT"


def damage(data, how):
    if how == "cut":
        return data[: len(data) // 2]
    if how == "cut by one":
        return data[:-1]
    if how == "zeros":
        return bytes(len(data))
    if how == "one base":
        return data[:100] + b"\x07\x08" + data[102:]
    if how == "footer":
        return data.replace(b'"contigs": {"a"', b'"contigs": {"b"')
    return b""


@pytest.mark.parametrize("how", ["cut", "cut by one", "zeros", "one base", "footer", "empty"])
def test_a_damaged_store_is_made_again(make_fasta, how):
    path = make_fasta({"a": "ACGTTGCA" * 1000})
    store = open_store(path)
    whole = store.path.read_bytes()
    store.close()
    broken = damage(whole, how)
    assert broken != whole
    store.path.write_bytes(broken)
    again = open_store(path)
    assert again.built
    assert again.path.read_bytes() == whole


def test_a_read_only_folder_sends_the_store_to_the_cache(make_fasta, tmp_path, monkeypatch):
    monkeypatch.setenv("GENOLM_CACHE", str(tmp_path / "cache"))
    path = make_fasta({"a": "ACGT"})
    Fasta(path).close()
    folder = path.parent
    folder.chmod(0o555)
    try:
        store = open_store(path)
        assert not open_store(path).built
    finally:
        folder.chmod(0o755)
    assert store.path.parent == tmp_path / "cache"
    assert decode(store.ids("a")) == "ACGT"
    assert not path.with_name("genome.fa.gstore").exists()


def test_two_genomes_of_one_name_do_not_share_a_place_elsewhere(tmp_path):
    stores = []
    for folder, base in (("one", "A"), ("two", "C")):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "g.fa"
        path.write_text(f">a\n{base * 9}\n", encoding="ascii")
        stores.append(open_store(path, folder=tmp_path / "stores"))
    assert [decode(store.ids("a")) for store in stores] == ["A" * 9, "C" * 9]


def test_a_missing_file_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        open_store(tmp_path / "none.fa")


def test_a_byte_that_is_no_base_names_contig_and_position_and_leaves_nothing(make_fasta):
    path = make_fasta({"good": "ACGT", "bad": "ACGTAC*T"})
    with pytest.raises(InputError, match=r"contig bad: byte 0x2A '\*' at position 7 "):
        open_store(path)
    assert not list(path.parent.glob("*gstore*"))


def test_the_position_counts_over_pieces(make_fasta, monkeypatch):
    monkeypatch.setattr("genolm.data.genome_store._PIECE", 10)
    with pytest.raises(InputError, match="at position 25 "):
        open_store(make_fasta({"a": "A" * 24 + "!"}))
    assert decode(open_store(make_fasta({"a": "ACGT" * 9})).ids("a")) == "ACGT" * 9


def test_a_full_disk_leaves_no_half_store(make_fasta, monkeypatch):
    path = make_fasta({"a": "ACGT"})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("genolm.data.store_file.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        open_store(path)
    assert not list(path.parent.glob("*gstore*"))


def test_a_pickled_store_reads_the_same(store):
    again = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(again.ids("chr2"), store.ids("chr2"))


def test_a_pickled_store_notices_that_the_genome_changed(make_fasta):
    path = make_fasta({"a": "ACGT"})
    sent = pickle.dumps(open_store(path))
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputError, match="changed while it was in use"):
        pickle.loads(sent)


def test_a_closed_store_says_so(make_fasta):
    with open_store(make_fasta({"a": "ACGT"})) as store:
        ids = store.ids("a")
    assert decode(ids) == "ACGT"
    with pytest.raises(ValueError, match="closed"):
        store.ids("a")


def open_and_hash(path):
    store = open_store(path)
    return store.digest, decode(store.ids("a", 0, 8)), store.path.name


def test_concurrent_builders_all_get_a_whole_store(make_fasta):
    path = make_fasta({"a": "ACGTTGCA" * 50_000, "b": "GG"})
    fork = multiprocessing.get_context("fork")  # a test module cannot be imported by name
    with ProcessPoolExecutor(4, mp_context=fork) as pool:
        results = set(pool.map(open_and_hash, [path] * 8))
    assert len(results) == 1
    assert results.pop()[1:] == ("ACGTTGCA", "genome.fa.gstore")
    assert [p.name for p in path.parent.glob("*gstore*")] == ["genome.fa.gstore"]


def test_a_human_chromosome_takes_seconds(shared_data, tmp_path):
    path = shared_data / "genomes" / "human_hs37d5_chr20.fa.gz"
    start = time.perf_counter()
    store = open_store(path, folder=tmp_path)
    assert time.perf_counter() - start < 10
    assert store.contigs == {"20": 63_025_520}
    assert store.counts.n == 3_520_000
