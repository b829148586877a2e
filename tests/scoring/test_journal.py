"""The journal of a scoring and its file."""

import numpy as np
import pytest

from genolm.errors import UsageError
from genolm.genome.edits import Edit
from genolm.scoring.journal import Journal, digest_of
from genolm.scoring.journal_file import JournalFile


def test_two_processes_do_not_make_the_same_output(tmp_path):
    path = tmp_path / ".out.vcf.genolm-journal"
    early = Journal("out.vcf", path, {}, ["a"], 5)
    early.open()
    owner = Journal("out.vcf", path, {}, ["a"], 5)
    owner.save()
    with pytest.raises(UsageError, match=r"out\.vcf is being written by another genolm"):
        Journal("out.vcf", path, {}, ["a"], 5).open()
    with pytest.raises(UsageError, match=r"out\.vcf is being written by another genolm"):
        early.save()
    owner.close()
    early.save()
    early.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_its_owner_took_away_is_not_mistaken_for_one(tmp_path):
    path = tmp_path / "journal"
    owner = JournalFile(path, "out", create=True)
    owner.remove()
    with pytest.raises(FileNotFoundError):
        JournalFile(path, "out", create=False)
    JournalFile(path, "out", create=True).close()
    assert path.exists()


def test_numbers_come_back_to_the_bit(tmp_path):
    edits = [Edit("chr1", i, "A", "C") for i in range(5)]
    numbers = {"a": np.array([0.1, -0.0, np.nan, 5e-324, 1e308]), "b": np.arange(5.0)}
    first = Journal("out", tmp_path / "j", {}, ["a", "b"], 5)
    assert first.recall(edits, lambda _: numbers) is numbers
    first.save()
    first.close()
    second = Journal("out", tmp_path / "j", {}, ["a", "b"], 5)
    second.open()
    found = second.recall(edits, lambda _: pytest.fail("computed again"))
    for key, column in numbers.items():
        assert found[key].tobytes() == column.tobytes()


def test_a_digest_is_of_every_part_of_every_edit_and_of_their_order():
    base = [Edit("chr1", 5, "A", "C"), Edit("chr2", 7, "", "GT")]
    others = [
        base[::-1],
        base[:1],
        [base[0], Edit("chr2", 7, "GT", "")],
        [base[0], Edit("chr2", 8, "", "GT")],
        [base[0], Edit("chr", 7, "", "GT")],
        [Edit("chr1", 5, "A", ""), Edit("chr2", 7, "", "CGT")],
    ]
    digests = {digest_of(one) for one in [base, *others]}
    assert len(digests) == len(others) + 1
    assert digest_of(list(base)) == digest_of(base)
