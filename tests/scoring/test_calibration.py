import hashlib
import json
from dataclasses import replace

import pytest

from genolm.errors import InputError, UsageError
from genolm.genome.edits import Edit
from genolm.scoring.calibration import Calibration, Conditions, is_calibration, read_calibration
from genolm.scoring.fields import SCORES

CONDITIONS = Conditions(
    version="0.1.0",
    model_sha256="aa",
    reference_fai_md5="bb",
    window=32,
    layer=None,
    dtype="float32",
    mode="exact",
    scores=("GENOLM_LLR",),
    background="random:1920",
    seed=1,
)


def made(change="T[C>T]A", scores=(3.0, 1.0, 2.0), conditions=CONDITIONS):
    return Calibration.of(conditions, "random:1920", {"GENOLM_LLR": {change: scores}})


def test_a_file_reads_back_as_it_was(tmp_path):
    path = tmp_path / "one.json"
    one = made(scores=(0.1234567891234, -1e-12, 5.0))
    one.save(path)
    assert is_calibration(path)
    assert read_calibration(path) == one
    assert read_calibration(path).text().encode() == path.read_bytes()
    assert one.note.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert one.scores["GENOLM_LLR"]["T[C>T]A"][1] == 0.123456789


def test_the_order_of_the_background_changes_no_byte():
    assert made(scores=(3.0, 1.0, 2.0)).text() == made(scores=(2.0, 3.0, 1.0)).text()


def test_every_condition_has_a_part_in_the_name():
    others = {
        "version": "0.2",
        "model_sha256": "cc",
        "reference_fai_md5": "dd",
        "window": 33,
        "layer": 1,
        "dtype": "bfloat16",
        "mode": "seeded_window",
        "scores": ("GENOLM_WT",),
        "background": "random:9600",
        "seed": 2,
    }
    names = {replace(CONDITIONS, **{key: value}).name for key, value in others.items()}
    assert len(names | {CONDITIONS.name}) == len(others) + 1
    assert replace(CONDITIONS).name == CONDITIONS.name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_sha256", "cc"),
        ("reference_fai_md5", "dd"),
        ("window", 33),
        ("layer", 2),
        ("dtype", "bfloat16"),
        ("mode", "seeded_window"),
    ],
)
def test_a_calibration_for_something_else_is_refused_by_name(key, value):
    ours = getattr(CONDITIONS, key)
    expected = rf"f\.json: .*its {key} is {ours!r}, expected {value!r}"
    with pytest.raises(InputError, match=expected):
        made().check(replace(CONDITIONS, **{key: value}), "f.json")


def test_a_calibration_of_other_scores_is_refused():
    wanted = replace(CONDITIONS, scores=("GENOLM_LLR", "GENOLM_WT"))
    with pytest.raises(InputError, match="it has GENOLM_LLR, expected GENOLM_WT"):
        made().check(wanted, "f.json")


def test_another_background_or_version_is_not_refused(capsys):
    made().check(replace(CONDITIONS, background="", seed=None), "f.json")
    assert capsys.readouterr().err == ""
    made().check(replace(CONDITIONS, version="9.9"), "f.json")
    assert "f.json was made by genolm 0.1.0" in capsys.readouterr().err


def test_what_an_output_says_is_one_structured_line():
    note = made().note
    line = note.line()
    assert line.startswith(
        f'##genolmCalibration=<ID={CONDITIONS.name},background="random:1920",n=3,'
    )
    odd = replace(note, background='a"b,c>\n.vcf').line()
    assert 'background="a\'b,c> .vcf"' in odd


def _without(key):
    def change(stored):
        del stored[key]

    return change


def _set(value, *path):
    def change(stored):
        *outer, last = path
        for key in outer:
            stored = stored[key]
        stored[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _without("scores"),
        _without("conditions"),
        _set(2, "genolm_calibration"),
        _set("much", "conditions", "window"),
        _set([], "conditions", "scores"),
        _set({"T[C>T]A": 4}, "counts"),
        _set({"T[C>T]A": 0}, "counts"),
        _set({}, "scores"),
        _set([1.0, "x", 2.0], "scores", "GENOLM_LLR", "T[C>T]A"),
        _set([1.0, float("nan"), 2.0], "scores", "GENOLM_LLR", "T[C>T]A"),
        _set(1, "something"),
    ],
)
def test_a_damaged_file_is_named_with_the_fix(tmp_path, change):
    stored = json.loads(made().text())
    change(stored)
    path = tmp_path / "one.json"
    path.write_text(json.dumps(stored))
    with pytest.raises(InputError, match=r"one\.json: a damaged calibration .*delete it"):
        read_calibration(path)


@pytest.mark.parametrize("kept", [0, 1, 100, -3])
def test_a_file_that_was_cut_short_is_damaged(tmp_path, kept):
    path = tmp_path / "one.json"
    path.write_text(made().text()[:kept])
    with pytest.raises(InputError, match="a damaged calibration"):
        read_calibration(path)


def test_a_class_that_nobody_knows_is_damage(tmp_path):
    path = tmp_path / "one.json"
    path.write_text(made().text().replace("T[C>T]A", "T[C>C]A"))
    with pytest.raises(InputError, match="unknown trinucleotide changes"):
        read_calibration(path)


def test_a_missing_file_is_named():
    with pytest.raises(UsageError, match=r"no such file: none\.json"):
        read_calibration("none.json")


def test_percentiles_by_hand(make_genome):
    """20 background SNVs with the scores 1 to 20; the third lowest is lower than 17 of them."""
    found = made(scores=range(20, 0, -1)).percentiles(SCORES["llr"])
    place = make_genome({"a": "TCA"}), Edit("a", 1, "C", "T")
    shares = {x: found.of(*place, {"llr": x})["llr_pct"] for x in (0.0, 3.0, 3.5, 20.0, 21.0)}
    assert shares == {0.0: 0, 3.0: 12.5, 3.5: 15, 20.0: 97.5, 21.0: 100}
