"""Python's garbage collector, kept from going through all of torch for every few chunks."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def sparing_collector() -> Iterator[None]:
    """Leave what is alive now out of garbage collection until the block ends.

    Records become objects by the thousand, which makes the collector go through everything that
    is alive again and again: torch, transformers and the model took as long as the records.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
