import time

import pytest

from genolm import console


@pytest.fixture(autouse=True)
def _default_verbosity():
    yield
    console.set_verbosity(quiet=False, verbose=False)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")]
)
def test_durations_read_like_speech(seconds, text):
    assert console.format_seconds(seconds) == text


def test_messages_go_to_stderr_and_quiet_silences_all_but_warnings(capsys):
    console.say("hello")
    console.say_more("detail")
    console.set_verbosity(quiet=True, verbose=False)
    console.say("not said")
    console.warn("careful")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "hello\ngenolm: warning: careful\n"


def test_off_a_terminal_progress_is_lines_with_rate_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr(console, "LOG_EVERY_SECONDS", 0.0)
    with console.meter("scoring", "variants", total=100) as meter:
        meter.advance(25)
    line = capsys.readouterr().err.strip()
    assert line.startswith("scoring: 25/100 variants, ")
    assert "variants/s" in line
    assert line.endswith("left")


@pytest.mark.parametrize(("count", "text"), [(3 << 20, "3 MiB"), (5 << 28, "1.2 GiB")])
def test_bytes_read_like_speech(count, text):
    assert console.format_bytes(count) == text


def test_work_done_earlier_is_no_speed_of_the_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    meter = console.Meter("training", "steps", total=1000, done=900)
    with meter:
        time.sleep(0.02)
        meter.advance(1)
        time.sleep(0.02)
        meter.advance(1)
        task = meter._bar.tasks[0]
        assert task.completed == 902
        # A step took 20 ms or more: the 98 that are left cannot be over in a second.
        assert task.time_remaining is not None
        assert task.time_remaining >= 1
