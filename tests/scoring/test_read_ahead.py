import threading
from contextlib import closing

import pytest

from genolm.errors import InputError
from genolm.scoring.read_ahead import read_ahead


def threads():
    return [one for one in threading.enumerate() if one.name.startswith("read-ahead")]


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_item_comes_once_and_in_order(count):
    assert list(read_ahead(iter([[i] for i in range(count)]))) == [[i] for i in range(count)]
    assert threads() == []


def test_the_next_item_is_made_while_one_is_used():
    made = threading.Event()

    def items():
        yield "first"
        made.set()
        yield "second"

    with closing(read_ahead(items())) as ahead:
        assert next(ahead) == "first"
        assert made.wait(timeout=10)


def test_an_error_comes_in_the_place_of_its_item():
    def items():
        yield "first"
        raise InputError("line 2 is broken")

    ahead = read_ahead(items())
    assert next(ahead) == "first"
    with pytest.raises(InputError, match="line 2 is broken"):
        next(ahead)
    assert threads() == []


def test_leaving_early_ends_the_thread_after_at_most_one_more_item():
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    with closing(read_ahead(items())) as ahead:
        assert next(ahead) == 0
    assert threads() == []
    assert len(taken) <= 2
