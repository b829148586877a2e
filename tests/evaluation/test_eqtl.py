"""The eQTL protocol on features whose answer is known, and on a toy genome."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from genolm.data.edit_windows import GenomeWindows
from genolm.errors import InputError, UsageError
from genolm.evaluation.eqtl import (
    STRENGTHS,
    Eqtls,
    _machine,
    judge_eqtls,
    read_eqtls,
)
from genolm.evaluation.eqtl_table import EqtlRequest, find_variants, run_eqtl
from genolm.genome.edits import Edit
from genolm.genome.fasta import Fasta
from genolm.models import build_model


def made_up(labels, buckets, is_test, tissues=None):
    count = len(labels)
    return Eqtls(
        [Edit("9", i, "A", "C") for i in range(count)],
        np.array(labels, dtype=bool),
        list(buckets),
        np.zeros(count, dtype=np.int64) if tissues is None else np.array(tissues),
        np.array(is_test, dtype=bool),
        {},
    )


def test_every_range_has_an_svm_of_its_own_in_order_of_distance():
    rng = np.random.default_rng(0)
    labels = rng.random(240) < 0.5
    buckets = np.array([">=100000", "<30000", "30000-100000"])[np.arange(240) % 3]
    signs = np.where(buckets == "<30000", 1.0, -1.0) * np.where(labels, 1.0, -1.0)
    features = rng.standard_normal((240, 3)).astype(np.float32) * 0.3
    features[:, 0] += signs
    found = judge_eqtls(made_up(labels, buckets, np.arange(240) % 4 == 0), features, seeds=(1, 2))
    assert [one.name for one in found] == ["<30000", "30000-100000", ">=100000"]
    assert [(one.train, one.test) for one in found] == [(60, 20)] * 3
    # One sign for all distances would be at chance on one of them.
    assert min(one.auroc for one in found) > 0.95


def test_features_without_an_answer_are_at_chance_and_the_published_way_flatters():
    rng = np.random.default_rng(3)
    labels = rng.random(400) < 0.5
    features = rng.standard_normal((400, 8)).astype(np.float32)
    variants = made_up(labels, ["<30000"] * 400, np.arange(400) % 2 == 0)
    (found,) = judge_eqtls(variants, features, seeds=(1,))
    assert abs(found.auroc - 0.5) < 0.1
    assert found.strengths[0] in (1.0, 5.0, 10.0)
    part = variants.is_test
    rows = np.concatenate([features, np.zeros((400, 1))], axis=1).astype(np.float64)
    hard = [
        roc_auc_score(
            labels[part], _machine(c, 1).fit(rows[~part], labels[~part]).predict(rows[part])
        )
        for c in STRENGTHS
    ]
    assert found.auroc_as_published == pytest.approx(max(hard))


def test_the_tissue_is_a_feature():
    rng = np.random.default_rng(1)
    tissues = rng.integers(0, 2, 120)
    variants = made_up(tissues == 1, ["<30000"] * 120, np.arange(120) % 3 == 0, tissues)
    (found,) = judge_eqtls(variants, np.zeros((120, 2), dtype=np.float32), seeds=(1,))
    assert found.auroc == 1.0


def test_a_range_without_both_labels_is_left_out():
    variants = made_up([1, 1, 0, 1], ["<30000"] * 4, [0, 1, 0, 1])
    assert judge_eqtls(variants, np.zeros((4, 2), dtype=np.float32)) == []
    with pytest.raises(ValueError, match="3 features for 4 variants"):
        judge_eqtls(variants, np.zeros((3, 2), dtype=np.float32))


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(2)
    contigs = {name: "".join(rng.choice(list("ACGT"), 700)) for name in ("chr1", "chr9", "chr10")}
    fasta = tmp_path / "g.fa"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    lines = ["chrom\tpos\tref\talt\tlabel\tdistance_to_nearest_tss\ttissue"]
    for name, text in contigs.items():
        for number, pos in enumerate(range(20, 680, 20)):
            ref = text[pos - 1]
            cells = (name[3:], pos, ref, "ACGT"["CGTA".index(ref)], number % 2)
            lines.append("\t".join(map(str, (*cells, (-1) ** pos * 2000 * pos, "blood"))))
    table = tmp_path / "v.tsv"
    table.write_text("\n".join(lines) + "\n")
    return table, fasta


@pytest.fixture
def folder(tmp_path):
    model = build_model("caduceus", "masked_lm", {"d_model": 8, "n_layer": 1, "rcps": True}, seed=1)
    model.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_the_whole_protocol_from_files_to_a_table_that_is_not_made_twice(files, folder, capsys):
    table, fasta = files
    output = folder.parent / "out"
    request = EqtlRequest(
        folder.parent,
        output,
        [str(fasta)],
        [f"mine={folder}"],
        ["window=64", "site_window=17", "edges=[30000, 100000]"],
    )
    table.rename(folder.parent / "variants.tsv")
    written = run_eqtl(request)
    assert "99 variants, 66 of them to be judged on; windows of 64 bases" in capsys.readouterr().err
    with (output / "table.csv").open() as opened:
        lines = list(csv.DictReader(opened))
    names = [(line["row"], line["distance"]) for line in lines]
    assert names == [
        (row, distance)
        for row in ("mine", "tissue only", "trinucleotide")
        for distance in ("30000-100000", ">=100000")
    ]
    assert all(0 <= float(line["auroc"]) <= 1 for line in lines)
    assert sum(int(line["test"]) for line in lines[:2]) == 66
    # One tissue says nothing.
    assert {float(line["auroc"]) for line in lines if line["row"] == "tissue only"} == {0.5}
    assert "| mine | 30000-100000 |" in written.read_text()
    before = (output / "mine.json").stat().st_mtime_ns
    run_eqtl(request)
    assert (output / "mine.json").stat().st_mtime_ns == before
    # What another command judged on the same variants stays in the table, of others it does not.
    run_eqtl(replace(request, models=[f"other={folder}"]))
    with (output / "table.csv").open() as opened:
        names = dict.fromkeys(row["row"] for row in csv.DictReader(opened))
    assert list(names) == ["other", "mine", "tissue only", "trinucleotide"]
    run_eqtl(replace(request, overrides=[*request.overrides, "window=32"], models=[f"n={folder}"]))
    assert "mine" not in (output / "table.csv").read_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reference": []}, "one --reference FASTA"),
        ({"models": []}, "name a model with --model"),
        ({"overrides": ["windw=5"]}, "did you mean window"),
        ({"overrides": ["site_window=4"]}, "an odd number of positions"),
        ({"overrides": ["edges=[100000, 30000]"]}, "edges: .* do not ascend"),
        ({"overrides": ["edges=[]"]}, "edges"),
        ({"overrides": ["edges=[-5]"]}, "edges"),
        ({"models": ["a=x/model", "b/a"]}, "two rows are called 'a'"),
        ({"models": ["../a=x"]}, r"cannot be called '\.\./a'"),
        ({"models": ["trinucleotide=x"]}, "cannot be called 'trinucleotide'"),
    ],
)
def test_what_is_wrong_with_a_command_is_said(files, folder, changes, said):
    table, fasta = files
    given = {"reference": [str(fasta)], "models": [str(folder)], "overrides": ["window=64"]}
    with pytest.raises(UsageError, match=said):
        run_eqtl(EqtlRequest(table, folder.parent / "out", **{**given, **changes}))
    with pytest.raises(UsageError, match=r"no file called variants\.vcf\.gz"):
        find_variants(folder)


def read(files, **options):
    table, fasta = files
    genome = GenomeWindows(Fasta(fasta))
    return read_eqtls(table, genome, reference="g.fa", window=64, **options)


def test_contigs_of_the_test_part_have_aliases(files):
    assert read(files, test_contigs=["chr10"]).is_test.sum() == 33
    with pytest.raises(UsageError, match="no variant for the test part; contigs X are tested"):
        read(files, test_contigs=["X"])


def test_windows_with_many_n_are_left_out_and_counted(files):
    fasta = files[1]
    text = fasta.read_text().splitlines()
    text[1] = text[1][:100] + "N" + text[1][101:]  # of chr1, between two of its variants
    fasta.write_text("\n".join(text) + "\n")
    found = read(files)
    # 64 bases around 80, 100, 120: one N is more than half a per cent of them.
    near = [edit.start + 1 for edit in read(files, most_n=0.02).edits]
    assert len(near) == 99
    left = {edit.start + 1 for edit in found.edits if edit.contig == "chr1"}
    assert set(range(20, 680, 20)) - left == {80, 100, 120}
    assert found.skipped == {"many_n": 3}
    assert len(found.tissues) == len(found.labels) == 96


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("\t0\t40000\t", "\tmaybe\t40000\t", r"v\.tsv:2: label 'maybe'; an eQTL's is 0 or 1"),
        ("\t40000\t", "\tfar\t", r"v\.tsv:2: stratum 'far' is not a number"),
    ],
)
def test_bad_cells_are_named_with_their_line(files, before, after, said):
    text = files[0].read_text()
    assert before in text
    files[0].write_text(text.replace(before, after, 1))
    with pytest.raises(InputError, match=said):
        read(files)
