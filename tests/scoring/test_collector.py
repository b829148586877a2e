import gc

import pytest

from genolm.scoring.collector import sparing_collector


def test_what_is_alive_is_left_alone_until_the_block_ends():
    before = gc.get_freeze_count()
    with sparing_collector():
        assert gc.get_freeze_count() > before
        assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_a_block_that_fails_gives_everything_back():
    def fail():
        with sparing_collector():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert gc.get_freeze_count() == 0
