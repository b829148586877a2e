from genolm.cli.demo import CLOSING, _print_table
from genolm.demo.run import Row


def test_the_table_shows_both_models_and_a_dash_for_what_took_no_part(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    rows = [
        Row("next base", "bits per base", 1.9125, 1.8501, {"order_7": 1.9371}),
        Row("few", "auroc", None, 0.9, {"scratch": 0.5}),
    ]
    _print_table(rows)
    lines = capsys.readouterr().out.splitlines()
    assert any("demo model" in line and "bundled model" in line for line in lines)
    [first] = [line for line in lines if "next base" in line]
    assert all(text in first for text in ("lower is better", "1.913", "1.850", "order_7 1.937"))
    [second] = [line for line in lines if "few" in line]
    assert all(text in second for text in ("higher is better", " - ", "0.900", "scratch 0.500"))


def test_the_closing_words_say_what_was_trained_on_and_what_was_held_out():
    text = " ".join(CLOSING.format(model="NAME").split())
    assert "Both read the first 75 % of this one genome" in text
    assert "its last 20 %, which neither has read" in text
    assert "missense" in text
