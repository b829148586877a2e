import math

from genolm.data.genome_info import describe_contigs
from genolm.data.windows import make_windows


def test_contigs_are_described_as_the_fasta_has_them(store, contigs):
    *rows, whole = describe_contigs(store, 100, 0.1)
    for row, (name, text) in zip(rows, contigs.items(), strict=True):
        known = sum(text.upper().count(base) for base in "ACGTU")
        gc = sum(text.upper().count(base) for base in "GC")
        assert (row.name, row.bases, row.n, row.gc) == (name, len(text), len(text) - known, gc)
        assert row.lower_case == sum(letter.islower() for letter in text)
        assert row.gc_share == gc / known
    assert whole.name == "all"
    assert whole.bases == sum(map(len, contigs.values()))
    windows = make_windows(store.contigs, 100).filter_by_n(store, 0.1)
    assert whole.windows == len(windows) == sum(row.windows for row in rows)
    assert rows[-1].windows == 0  # shorter than a window


def test_a_contig_of_n_has_no_gc_share(tmp_path):
    from genolm.data.genome_store import open_store

    fasta = tmp_path / "n.fa"
    fasta.write_text(">n\nNNNN\n")
    with open_store(fasta) as store:
        (row, _) = describe_contigs(store, 2, 0.1)
    assert math.isnan(row.gc_share)
    assert row.windows == 0
