"""Prepare what comes next in a thread while something slower is done with what is there."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def read_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield what an iterator yields, one item ahead of whoever takes them.

    Close it when leaving early, which waits for the item in the making. An iterator that may wait
    for ever, such as one over a pipe, must not be given: nothing could stop it.

    Args:
        items: None ends it. It is gone through in one other thread.

    Raises:
        BaseException: Whatever ``items`` raises, in the place of the item it was raised for.
    """
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
