"""Run a function on batches, on a GPU one after another, on a CPU several at a time.

On a CPU every batch is computed by one thread, and as many batches as there are threads at once:
the operations of a small model are too short to be worth dividing, and a thread that waits for
another one at the end of each costs more than it helps, most of all on a busy machine. It also
makes the numbers the same for any number of threads.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal, TypeVar

import torch

BatchSize = int | Literal["auto"]
Item = TypeVar("Item")
Result = TypeVar("Result")

CPU_TOKENS: Final = 1 << 13  # a batch; more only outgrows the processor's cache
CUDA_TOKENS: Final = 1 << 16
BATCHES_A_THREAD: Final = 8


class Batches:
    """How many sequences are run together.

    Args:
        device: Where the model is.
        batch_size: Sequences a batch, or "auto" for a fixed number of tokens.
    """

    def __init__(self, device: torch.device, batch_size: BatchSize = "auto") -> None:
        self.device = device
        self._batch_size = batch_size

    def size(self, length: int) -> int:
        """Return how many sequences of ``length`` tokens are a batch."""
        if self._batch_size != "auto":
            return self._batch_size
        tokens = CUDA_TOKENS if self.device.type == "cuda" else CPU_TOKENS
        return max(1, tokens // length)

    def at_once(self, length: int) -> int:
        """Return how many sequences keep every thread busy for a while."""
        return self.size(length) * BATCHES_A_THREAD * self._threads()

    def run(
        self, function: Callable[[Sequence[Item]], Result], items: Sequence[Item], length: int
    ) -> list[Result]:
        """Return what ``function`` makes of every batch, in order; gradients are off.

        Args:
            function: Takes a batch of items.
            items: Sequences of one length, or what stands for them.
            length: Their tokens.
        """
        size = self.size(length)
        batches = [items[start : start + size] for start in range(0, len(items), size)]

        def inference(batch: Sequence[Item]) -> Result:
            with torch.inference_mode():
                return function(batch)

        threads = min(self._threads(), len(batches))
        if threads < 2:
            return [inference(batch) for batch in batches]
        before = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(threads, "batch", torch.set_num_threads, (1,)) as pool:
                return list(pool.map(inference, batches))
        finally:
            torch.set_num_threads(before)  # a thread's own number becomes that of later threads

    def _threads(self) -> int:
        return torch.get_num_threads() if self.device.type == "cpu" else 1
