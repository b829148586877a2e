import os
import signal
import threading
import time

import pytest

from genolm.errors import Terminated
from genolm.training.callbacks import Clock, StopRequest, tell


def test_the_clock_goes_on_where_an_earlier_process_stopped():
    clock = Clock(earlier=100.0)
    assert 100.0 <= clock.seconds < 101.0


def test_pauses_count_as_seconds_but_not_as_training():
    clock = Clock()
    with clock.pause():
        time.sleep(0.05)
    assert clock.seconds - clock.training_seconds == pytest.approx(clock.paused, abs=0.01)
    assert clock.paused >= 0.05


def test_the_first_ctrl_c_asks_and_the_second_stops(capsys):
    stop = StopRequest()
    with stop.listen():
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert "Ctrl-C again stops at once" in capsys.readouterr().err


def test_sigterm_asks_like_ctrl_c_and_ends_as_itself(capsys):
    stop = StopRequest()
    with stop.listen():
        signal.raise_signal(signal.SIGTERM)
        assert stop.asked
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Terminated):
        stop.end()
    assert "SIGTERM again stops at once" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_handler_before_is_put_back(number):
    before = signal.getsignal(number)
    with StopRequest().listen():
        assert signal.getsignal(number) is not before
    assert signal.getsignal(number) is before


def test_outside_the_main_thread_ctrl_c_is_left_alone():
    failures = []

    def listen():
        try:
            with StopRequest().listen():
                pass
        except ValueError as error:
            failures.append(error)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert failures == []


def test_figures_are_told_in_words_without_the_counts():
    assert tell({"loss": 1.0, "bits_per_base": 2.0, "n": 3, "mcc": None}) == (
        "loss 1.0000, bits per base 2.0000, mcc undefined"
    )
