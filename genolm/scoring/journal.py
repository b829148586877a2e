"""The journal of a scoring: what was computed is not computed again after an interruption.

It stands beside the output while that is made (``.OUT.genolm-journal``) and holds the numbers of
alleles, not the output's text, so that it serves every format: the output is always written in
full under a temporary name. Alleles are known by the digest of what the engine was asked for, a
few hundred at a time; other alleles in the input cost those few hundred and nothing else.
"""

import hashlib
import struct
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from genolm.atomic import remove_leftovers
from genolm.console import say
from genolm.genome.edits import Edit
from genolm.scoring.journal_file import JournalFile, journal_path
from genolm.scoring.scorer import Columns, Compute, VariantScorer

Identity = Mapping[str, str | int | None]

TEMPORARY_SUFFIXES: Final = (".tbi", ".csi", ".records", ".vcf")  # of an index, or on a BCF's way
WORTHWHILE_SECONDS: Final = 3.0  # of computing; to lose less than that is to lose nothing
WORTHWHILE_BYTES: Final = 1 << 23
DIGEST_BYTES: Final = 16
_AT_ONCE: Final = "alleles at once"
_KEYS: Final = "numbers"


def digest_of(edits: Sequence[Edit]) -> bytes:
    """Return a digest of edits in their order, ``DIGEST_BYTES`` long."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    digest.update("\n".join([one.contig for one in edits]).encode())
    digest.update(array("q", [one.start for one in edits]))
    digest.update("\n".join([one.ref for one in edits]).encode())
    digest.update(b"\t")
    digest.update("\n".join([one.alt for one in edits]).encode())
    return digest.digest()


class Known:
    """The numbers in a journal, found by digest; 16 bytes of memory for every entry.

    Args:
        file: Read up to its header.
        keys: The numbers of an allele, in order.

    Attributes:
        alleles: How many there are.
    """

    def __init__(self, file: JournalFile, keys: Sequence[str]) -> None:
        self._file = file
        self._keys = list(keys)
        self.alleles = 0
        digests, places = array("Q"), array("Q")
        for place, payload in file.entries():
            digests.append(_prefix(payload))
            places.append(place)
            self.alleles += (len(payload) - DIGEST_BYTES) // (8 * len(self._keys))
        order = np.argsort(np.frombuffer(digests, np.uint64), kind="stable")
        self._digests = np.frombuffer(digests, np.uint64)[order]
        self._places = np.frombuffer(places, np.uint64)[order]

    def find(self, digest: bytes, count: int) -> Columns | None:
        """Return arrays (count,) by key, None where the alleles are not known."""
        first = np.uint64(_prefix(digest))
        begin, end = (
            int(np.searchsorted(self._digests, first, side)) for side in ("left", "right")
        )
        size = DIGEST_BYTES + 8 * len(self._keys) * count
        for place in self._places[begin:end]:
            payload = self._file.read(int(place))
            if payload is not None and payload[:DIGEST_BYTES] == digest and len(payload) == size:
                table = np.frombuffer(payload, "<f8", offset=DIGEST_BYTES)
                rows = table.astype(np.float64).reshape(len(self._keys), count)
                return dict(zip(self._keys, rows, strict=True))
        return None


def _prefix(digest: bytes) -> int:
    return int(struct.unpack_from("<Q", digest)[0])


class Journal:
    """What a scoring knows from before and writes down as it goes.

    Args:
        output: The file that is made.
        path: The journal.
        identity: What the numbers depend on besides the alleles, by the name that messages use.
        keys: The numbers of an allele, in order.
        at_once: Alleles that are computed together.

    Attributes:
        at_once: The same, or what it was when the numbers that are known were computed: their
            digests are of so many.
        recalled: Alleles that did not have to be computed.
    """

    def __init__(
        self, output: str, path: Path, identity: Identity, keys: Sequence[str], at_once: int
    ) -> None:
        self.at_once = at_once
        self.recalled = 0
        self._output = output
        self._path = path
        self._identity = {**identity, _KEYS: " ".join(keys)}
        self._keys = list(keys)
        self._file: JournalFile | None = None
        self._others: list[JournalFile] = []
        self._begun = False
        self._known: list[Known] = []
        self._waiting: list[bytes] = []
        self._spent = 0.0
        self._written = 0

    def open(self, *, restart: bool = False) -> None:
        """Look for what an interrupted run left.

        Args:
            restart: Leave out of account what it says.

        Raises:
            UsageError: Another process makes the same output.
        """
        try:
            self._file = JournalFile(self._path, self._output, create=False)
        except FileNotFoundError:
            return
        remove_leftovers(Path(self._output), TEMPORARY_SUFFIXES)
        header = self._file.header()
        if restart or header is None:
            return
        differences = _differences(header, self._identity)
        if differences:
            say(f"starting anew: {'; '.join(differences)}")
            return
        self.at_once = header[_AT_ONCE]
        self._begun = True
        known = Known(self._file, self._keys)
        self._known.append(known)
        self._written = known.alleles
        say(f"resuming: {known.alleles:,} alleles are known from {self._path.name}")

    def learn(self, part: str) -> None:
        """Take over what a process of this run, or this one itself, has written by now.

        Args:
            part: What tells its journal from the others'.
        """
        path = journal_path(self._output, part)
        file = JournalFile(path, self._output, create=False, lock=False)
        file.header()
        self._others.append(file)
        self._known.append(Known(file, self._keys))

    def recall(self, edits: Sequence[Edit], compute: Compute) -> Columns:
        """Return the numbers of edits, from before or by computing them.

        Args:
            edits: Edits.
            compute: Returns arrays (edits,) by key; has the keys of the journal, and maybe others.

        Raises:
            OSError: What was computed cannot be written down.
            UsageError: Another process makes the same output.
        """
        if not edits:
            return compute(edits)
        digest = digest_of(edits)
        for known in self._known:
            if found := known.find(digest, len(edits)):
                self.recalled += len(edits)
                return found
        started = time.monotonic()
        columns = compute(edits)
        self._spent += time.monotonic() - started
        self._keep(digest, columns)
        return columns

    def _keep(self, digest: bytes, columns: Columns) -> None:
        numbers = (np.ascontiguousarray(columns[key], "<f8").tobytes() for key in self._keys)
        self._waiting.append(b"".join([digest, *numbers]))
        size = len(self._waiting) * len(self._waiting[-1])
        if self._begun or self._spent > WORTHWHILE_SECONDS or size > WORTHWHILE_BYTES:
            self.save()

    def save(self) -> None:
        """Write down all that was computed.

        Raises:
            OSError: It cannot be written.
            UsageError: Another process makes the same output.
        """
        if self._file is None:
            self._file = JournalFile(self._path, self._output, create=True)
        if not self._begun:
            self._file.begin({**self._identity, _AT_ONCE: self.at_once})
            self._begun = True
        while self._waiting:
            self._file.append(self._waiting[0])
            size = len(self._waiting.pop(0)) - DIGEST_BYTES
            self._written += size // (8 * len(self._keys))

    def close(self) -> str | None:
        """Leave the journal where it is; return what is to be said of it, if it is of use."""
        for file in self._others:
            file.close()
        if self._file is None:
            return None
        if self._begun and not self._written:
            self._file.remove()
        self._file.close()
        if not self._written:
            return None
        return (
            f"run the same command again to go on from the {self._written:,} alleles in"
            f" {self._path.name}"
        )

    def remove(self) -> None:
        """Take the journal away: the output is complete."""
        for file in self._others:
            file.close()
        if self._file is not None:
            self._file.remove()


def _differences(header: Mapping[str, Any], identity: Identity) -> list[str]:
    return [
        f"{name} was {header.get(name)} and is {value}"
        for name, value in identity.items()
        if header.get(name) != value
    ]


@contextmanager
def resumed(
    output: str, identity: Identity, engine: VariantScorer, *, restart: bool = False, part: str = ""
) -> Iterator[Journal]:
    """Let an engine go on from where an interrupted run of the same command was.

    When the block succeeds, the journal is taken away; else it stays, and the error says so.

    Args:
        output: The file that is made; "-", standard output, has no journal.
        identity: What the numbers depend on besides the alleles, by the name that messages use.
        engine: Its ``recall`` and ``at_once`` are set.
        restart: Leave out of account what is known.
        part: What tells the journals of several processes that make one output apart.

    Raises:
        UsageError: Another process makes the same output.
    """
    keys = [one.key for one in engine.fields]
    path = journal_path("stdout" if output == "-" else output, part)
    journal = Journal(output, path, identity, keys, engine.at_once)
    if output == "-":
        yield journal
        return
    try:
        journal.open(restart=restart)
        engine.at_once, engine.recall = journal.at_once, journal.recall
        yield journal
    except BaseException as error:
        if note := journal.close():
            error.add_note(note)
        raise
    journal.remove()
