"""A scoring that was stopped goes on from what it had computed, and ends as if it never was."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from genolm.errors import InputError
from genolm.genome.edits import Edit
from genolm.scoring import journal as journal_module
from genolm.scoring.journal_file import journal_path
from genolm.scoring.runtime import Runtime
from genolm.scoring.score_file import score_file

RECORDS = 60
SLICE = 8  # alleles that one thread and windows one by one are computed in
SLICES = 9  # of 60 records in chunks of 20: 8 + 8 + 4, three times
ONE_BY_ONE = Runtime("cpu", threads=1, batch_size=1)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def bytes_of(job):
    return Path(job.output).read_bytes()


def original_lines(job):
    return Path(job.vcf).read_text().splitlines(keepends=True)[2:]


@pytest.mark.parametrize("name", ["o.vcf", "o.vcf.gz", "o.bcf", "o.csv.gz", "o.parquet", "o.jsonl"])
def test_a_stopped_run_goes_on_and_gives_the_same_bytes(
    resumable, whole, calls, name, tmp_path, capsys
):
    one = resumable(name, scores=("llr", "llr_strands", "dist"))
    expected = whole(one)
    calls.stop_at(4)
    with pytest.raises(calls.error) as caught:
        score_file(one)
    assert names_in(tmp_path) == [f".{name}.genolm-journal", "in.vcf"]
    assert caught.value.__notes__ == [
        f"run the same command again to go on from the 28 alleles in .{name}.genolm-journal"
    ]
    calls.stop_at(None)
    capsys.readouterr()
    summary = score_file(one)
    assert calls.count() == SLICES - 4
    assert capsys.readouterr().err.splitlines()[:1] == [
        f"resuming: 28 alleles are known from .{name}.genolm-journal"
    ]
    assert bytes_of(one) == expected
    assert (summary.scored, summary.known) == (RECORDS, 28)
    assert "60 scored (28 of them before)" in summary.line()
    assert ".genolm-journal" not in " ".join(names_in(tmp_path))


@pytest.mark.parametrize("model", ["ph", "classifier"])
def test_a_run_may_be_stopped_again_and_again(
    resumable, whole, calls, model, model_folders, tmp_path
):
    one = resumable(model=str(model_folders / model))
    expected = whole(one)
    for _ in range(SLICES - 1):
        calls.stop_at(1)
        with pytest.raises(calls.error):
            score_file(one)
        assert calls.count() == 1
    calls.stop_at(None)
    score_file(one)
    assert calls.count() == 1
    assert bytes_of(one) == expected
    assert names_in(tmp_path) == ["in.vcf", "out.vcf"]


def test_nothing_is_left_where_nothing_was_computed_or_all_was_written(resumable, calls, tmp_path):
    calls.stop_at(0)
    with pytest.raises(calls.error) as caught:
        score_file(resumable())
    assert not hasattr(caught.value, "__notes__")
    assert names_in(tmp_path) == ["in.vcf"]
    calls.stop_at(None)
    score_file(resumable())
    assert names_in(tmp_path) == ["in.vcf", "out.vcf"]


def test_seconds_of_computing_are_not_worth_a_file(resumable, calls, tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "WORTHWHILE_SECONDS", 1e9)
    calls.stop_at(5)
    with pytest.raises(calls.error):
        score_file(resumable())
    assert names_in(tmp_path) == ["in.vcf"]
    monkeypatch.setattr(journal_module, "WORTHWHILE_BYTES", 3 * (SLICE * 8 + 16))
    calls.stop_at(5)
    with pytest.raises(calls.error):
        score_file(resumable())
    assert names_in(tmp_path) == [".out.vcf.genolm-journal", "in.vcf"]


def stopped(job, calls, at=5):
    calls.stop_at(at)
    with pytest.raises(calls.error):
        score_file(job)
    calls.stop_at(None)
    return journal_path(job.output)


@pytest.mark.parametrize("lost", [1, 88, 89, 1000])
def test_a_torn_end_is_computed_again(resumable, whole, calls, lost):
    expected = whole(resumable())
    path = stopped(resumable(), calls)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(max(0, size - lost))
    score_file(resumable())
    frame = 8 + 16 + SLICE * 8
    gone = min(5, -(-lost // frame)) if lost < 1000 else 5
    assert calls.count() == SLICES - 5 + gone
    assert bytes_of(resumable()) == expected


@pytest.mark.parametrize("place", [3, 25, -1, -200])
def test_a_damaged_byte_is_noticed(resumable, whole, calls, place):
    expected = whole(resumable())
    path = stopped(resumable(), calls)
    data = bytearray(path.read_bytes())
    data[place] ^= 0x40
    path.write_bytes(data)
    score_file(resumable())
    assert calls.count() > SLICES - 5
    assert bytes_of(resumable()) == expected


def test_other_alleles_are_computed_and_no_others(resumable, whole, calls, contigs):
    stopped(resumable(), calls, at=7)
    lines = original_lines(resumable())
    bases = contigs["chr2"].upper()
    other = next(b for b in "ACGT" if b not in lines[10].split("\t")[3:5])
    lines[10] = f"chr2\t11\tv10\t{bases[10]}\t{other}\t.\t.\tX=10\n"
    lines[30] = lines[30].replace("X=30", "Y=1;Z=2")  # not what a score depends on
    changed = resumable(lines=lines)
    score_file(changed)
    assert calls.count() == 1 + SLICES - 7
    assert Edit("chr2", 10, bases[10], other) in calls.edits[0]
    resumed = bytes_of(changed)
    assert resumed == whole(changed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 16}, "window was 32 and is 16"),
        ({"scores": ("llr", "llr_strands")}, "scores was  and is llr,llr_strands"),
        ({"runtime": replace(ONE_BY_ONE, dtype="bfloat16")}, "dtype was float32 and is bfloat16"),
        ({"layer": 1}, "layer was None and is 1"),
        ({"regions": "chr2"}, "regions was None and is chr2"),
        ({"shard": (0, 2)}, "shard was None and is ##genolmShard=<ID=0,Count=2,Block=64>"),
    ],
)
def test_other_options_start_anew_and_are_named(resumable, calls, change, message, capsys):
    stopped(resumable(), calls, at=1)
    capsys.readouterr()
    score_file(resumable(**change))
    assert calls.count() >= SLICES - 1
    said = capsys.readouterr().err
    assert f"starting anew: {message}" in said
    assert "resuming" not in said


def test_another_model_or_genome_starts_anew(resumable, calls, model_folders, fasta_path, capsys):
    stopped(resumable(), calls)
    score_file(resumable(model=str(model_folders / "ph")))
    assert "starting anew: model was " in capsys.readouterr().err
    stopped(resumable(), calls)
    state = fasta_path.stat()
    os.utime(fasta_path, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
    score_file(resumable())
    assert calls.count() == SLICES
    assert "starting anew: reference file was " in capsys.readouterr().err


def test_an_option_that_was_wrong_for_a_moment_loses_nothing(resumable, calls):
    stopped(resumable(), calls)
    calls.stop_at(0)
    with pytest.raises(calls.error):
        score_file(resumable(window=16))
    calls.stop_at(None)
    score_file(resumable())
    assert calls.count() == SLICES - 5


def test_other_threads_and_batches_go_on_too(resumable, calls):
    stopped(resumable(), calls)
    score_file(resumable(runtime=Runtime("cpu", threads=2, batch_size=3)))
    assert calls.count() == SLICES - 5


def test_restart_computes_all(resumable, whole, calls, tmp_path, capsys):
    expected = whole(resumable())
    stopped(resumable(), calls)
    capsys.readouterr()
    score_file(resumable(restart=True))
    assert calls.count() == SLICES
    assert "resuming" not in capsys.readouterr().err
    assert bytes_of(resumable()) == expected
    assert names_in(tmp_path) == ["in.vcf", "out.vcf"]


def test_an_input_that_ends_in_the_middle_is_resumed_when_it_is_whole(resumable, calls):
    lines = [*original_lines(resumable())[:45], "chr2\t46\n"]
    with pytest.raises(InputError, match="nothing was published") as caught:
        score_file(resumable(lines=lines))
    assert "40 alleles" in caught.value.__notes__[0]
    calls.stop_at(None)
    score_file(resumable())
    assert calls.count() == SLICES - 6


def test_standard_output_has_no_journal(resumable, calls, tmp_path, capfdbinary, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls.stop_at(5)
    with pytest.raises(calls.error):
        score_file(replace(resumable(), output="-"))
    assert names_in(tmp_path) == ["in.vcf"]
