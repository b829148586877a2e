"""One scoring by several processes, as torchrun starts them: each computes a share of the alleles.

All of them read the input and come to the same slices of alleles, and each computes every n-th
slice into its own journal. The first then writes the output from all the journals. It is the one
that a single process writes, to the byte, in any format, and what was computed before an
interruption is known in each process. They speak through torch's key-value store.
"""

import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final, Protocol, TypeVar

import numpy as np

from genolm.console import be_silent, set_verbosity
from genolm.errors import InputError, UsageError
from genolm.genome.edits import Edit
from genolm.scoring.journal import Journal
from genolm.scoring.scorer import Columns, Compute, VariantScorer

T = TypeVar("T")

POLL_SECONDS: Final = 0.2
LAST_WORDS_SECONDS: Final = (
    60.0  # for which a process that failed waits until the first has said so
)
_NAMES: Final = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Store(Protocol):
    """The part of ``torch.distributed.Store`` that is used."""

    def set(self, key: str, value: str) -> None:
        """Set a key."""

    def get(self, key: str) -> bytes:
        """Return the value of a key that is set."""

    def check(self, keys: list[str]) -> bool:
        """Say whether all keys are set."""

    def compare_set(self, key: str, expected: str, value: str) -> bytes:
        """Set a key that is not set (an empty ``expected``), and return its value."""


class Team:
    """The processes of one scoring, as one of them sees them.

    Args:
        rank: Its number, from 0; the first leads: it writes the output and speaks for all.
        size: How many there are.
        store: What they speak through.

    Attributes:
        leads: Whether it is the first.
        part: What tells its journal from the others'.
    """

    def __init__(self, rank: int, size: int, store: Store) -> None:
        self.rank = rank
        self.size = size
        self.leads = rank == 0
        self.part = self._part_of(rank)
        self._store = store
        self._slice = 0
        self._asked = 0.0

    def _part_of(self, rank: int) -> str:
        return f"-{rank}-of-{self.size}"

    def score(
        self,
        engine: VariantScorer,
        journal: Journal,
        compute: Callable[[], None],
        write: Callable[[], T],
    ) -> T | None:
        """Compute the share of this process; in the first, write what all have computed.

        Args:
            engine: It is made to compute only what is this process's, into the journal.
            journal: This process's own.
            compute: Goes through the whole input with the engine.
            write: Goes through it again and writes the output.

        Returns:
            What ``write`` returns, None where this is not the first process.

        Raises:
            InputError: Another process failed; the message says which and why.
        """
        if self.leads:
            self._store.set("at once", str(engine.at_once))
        engine.at_once = journal.at_once = int(self._await("at once"))
        engine.recall = self._share(engine, journal)
        compute()
        journal.save()
        self._store.set(f"done {self.rank}", str(journal.recalled))
        if not self.leads:
            self._await("published")
            self._store.set(f"left {self.rank}", "")
            return None
        for rank in range(self.size):
            self._await(f"done {rank}")
            journal.learn(self._part_of(rank))
        engine.recall = journal.recall
        written = write()
        self._store.set("published", "")
        for other in range(1, self.size):  # the store may be this process's
            self._wait(f"left {other}", LAST_WORDS_SECONDS)
        return written

    def known(self) -> int:
        """Return how many alleles all processes together knew from before."""
        return sum(int(self._await(f"done {rank}")) for rank in range(self.size))

    def _share(
        self, engine: VariantScorer, journal: Journal
    ) -> Callable[[Sequence[Edit], Compute], Columns]:
        keys = [field.key for field in engine.fields]

        def recall(edits: Sequence[Edit], compute: Compute) -> Columns:
            self._hear()
            own = self._slice % self.size == self.rank
            self._slice += bool(edits)
            if own:
                return journal.recall(edits, compute)
            return {key: np.full(len(edits), np.nan) for key in keys}

        return recall

    def _hear(self) -> None:
        """Stop when another process has failed."""
        if time.monotonic() - self._asked < POLL_SECONDS:
            return
        self._asked = time.monotonic()
        if self._store.check(["failed"]):
            kind, _, text = self._store.get("failed").decode().partition(" ")
            raise (UsageError if kind == "usage" else InputError)(text)

    def _await(self, key: str) -> str:
        while not self._store.check([key]):
            self._hear()
            time.sleep(POLL_SECONDS / 4)
        return self._store.get(key).decode()

    @contextmanager
    def failing_together(self) -> Iterator[None]:
        """Let the first process say what ends any of them, and none end before it has."""
        try:
            yield
        except Exception as error:
            kind = "usage" if isinstance(error, UsageError) else "other"
            text = f"process {self.rank} of {self.size}: {error or type(error).__name__}"
            if not self._tell_failure(f"{kind} {text}") and not self.leads:
                set_verbosity(quiet=False, verbose=False)  # the first is gone: it speaks itself
            raise
        finally:
            if self.leads:
                with suppress(RuntimeError):  # of a store that is gone
                    self._store.set("ended", "")

    def _tell_failure(self, text: str) -> bool:
        """Return whether the first process has ended after it could know."""
        try:
            self._store.compare_set("failed", "", text)
            return self.leads or self._wait("ended", LAST_WORDS_SECONDS)
        except RuntimeError:  # of a store that is gone
            return False

    def _wait(self, key: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self._store.check([key]):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS / 4)
        return True


def is_one_of_several(environment: Mapping[str, str]) -> bool:
    """Say whether this process was started as one of several, by torchrun or in its manner."""
    return all(name in environment for name in _NAMES) and environment["WORLD_SIZE"] != "1"


@contextmanager
def joined_team(
    environment: MutableMapping[str, str],
    device: str,
    *,
    source: str,
    output: str,
    divided: bool = False,
) -> Iterator[Team | None]:
    """Meet the processes that torchrun started with this one; None where it is alone.

    Each takes a GPU for itself where there are several, and all but the first are silent.

    Args:
        environment: What torchrun has set; CUDA_VISIBLE_DEVICES is changed.
        device: What ``--device`` says.
        source: What they read, each by itself.
        output: What they make together.
        divided: Whether the work is a shard already.

    Raises:
        UsageError: The work cannot be divided.
    """
    if not is_one_of_several(environment):
        yield None
        return
    import torch.distributed as distributed

    forever = timedelta(days=365)
    meeting = distributed.rendezvous("env://", timeout=forever)  # type: ignore[attr-defined]  # it is
    store, rank, size = next(meeting)
    team = Team(rank, size, store)
    if not team.leads:
        be_silent()
    with team.failing_together():
        _check(source, output, divided=divided)
        if device != "cpu":
            take_gpu(environment, int(environment.get("LOCAL_RANK", rank)))
        yield team


def _check(source: str, output: str, *, divided: bool) -> None:
    if divided:
        raise UsageError("--shard: the processes that torchrun starts divide the work themselves")
    if source == "-":
        raise UsageError("standard input cannot be read by several processes: name a file")
    if output == "-":
        raise UsageError("several processes need an output file: name it with --output (-o)")


def take_gpu(environment: MutableMapping[str, str], local_rank: int) -> None:
    """Let this process see only its own GPU; before CUDA is begun.

    Args:
        environment: CUDA_VISIBLE_DEVICES is read and set.
        local_rank: Its number among the processes of this machine.
    """
    import torch

    count = torch.cuda.device_count()
    if count < 2:
        return
    visible = environment.get("CUDA_VISIBLE_DEVICES", "")
    names = visible.split(",") if visible else [str(i) for i in range(count)]
    environment["CUDA_VISIBLE_DEVICES"] = names[local_rank % count]
    if torch.cuda.device_count() > 1:  # it was begun already
        torch.cuda.set_device(local_rank % count)
