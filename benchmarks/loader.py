"""How fast a genome becomes batches, on one core, and how much memory that takes.

    python benchmarks/loader.py [--fasta FILE] [--length N] [--batch-size N] [--megabases N ...]

Rows: windows read from the store as bytes; windows shifted and on either strand; finished batches
(shifted, either strand, labels, int64, joined) for masked and for next-base models. Each is the
median of several rounds of about a quarter of a second, in millions of bases a second of one
thread's processor time (a busy machine takes more of the clock, and somewhat more of this), with
the allocator set as `genolm` sets it. Without --fasta the genome is random DNA.

--megabases N ... instead makes a store of each size and prints what a process that reads batches
from all over it takes: its own memory, and the pages of the store that the system keeps for it,
which it may take back at any time.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from genolm.cli.allocator import keep_freed_memory
from genolm.data.genome_store import GenomeStore, open_store
from genolm.data.language import LanguageDataset
from genolm.data.masking import Masking
from genolm.data.store_file import SourceKey, write_store
from genolm.data.windows import WindowSet, make_windows
from genolm.tokenization.encode import Encoded, encode

ROUNDS = 9
SECONDS = 0.25
PIECE = 1 << 24
SAMPLES = 1 << 40


def draw_pieces(bases: int) -> Iterator[tuple[str, Encoded]]:
    """Yield random contigs of 100 Mb."""
    generator = np.random.default_rng(1)
    for start in range(0, bases, PIECE):
        letters = np.frombuffer(b"ACGT", dtype=np.uint8)
        drawn = letters[generator.integers(0, 4, min(PIECE, bases - start), dtype=np.uint8)]
        yield f"chr{start // 100_000_000 + 1}", encode(drawn.tobytes(), repeat_mask=True)


def make_store(folder: Path, bases: int) -> GenomeStore:
    """Return the store of a random genome, without writing its FASTA."""
    fasta = folder / "random.fa"
    fasta.write_text(">chr1\nACGT\n")
    write_store(folder / "random.fa.gstore", SourceKey.of(fasta), draw_pieces(bases))
    return open_store(fasta)


def make_dataset(store: GenomeStore, windows: WindowSet, masked: bool) -> LanguageDataset:
    """Return training samples as a recipe would have them."""
    return LanguageDataset(
        store,
        windows,
        "masked_lm" if masked else "causal_lm",
        seed=1,
        rc_augment=True,
        masking=Masking() if masked else None,
        samples=SAMPLES,
        jitter=windows.length // 2,
    )


def measure(read: Callable[[int], object], bases: int) -> float:
    """Return the median rate (millions of bases a second) of reading batch after batch."""
    rates = []
    batch = 0
    for _ in range(ROUNDS + 1):
        began, done = time.process_time(), 0
        while (spent := time.process_time() - began) < SECONDS:
            read(batch)
            batch, done = batch + 1, done + 1
        rates.append(done * bases / spent / 1e6)
    return statistics.median(rates[1:])


def measure_rates(store: GenomeStore, length: int, batch_size: int) -> None:
    """Print a row for each stage of a batch."""
    windows = make_windows(store.contigs, length)
    masked, causal = (make_dataset(store, windows, kind) for kind in (True, False))
    places = np.random.default_rng(1).permutation(windows.places(store))

    def numbers(batch: int) -> list[int]:
        return list(range(batch * batch_size, (batch + 1) * batch_size))

    rows: dict[str, Callable[[int], object]] = {
        "raw windows": lambda batch: store.gather(
            np.take(places, numbers(batch), mode="wrap"), length
        ),
        "masked-LM batches": lambda batch: masked.collate(masked.__getitems__(numbers(batch))),
        "next-base batches": lambda batch: causal.collate(causal.__getitems__(numbers(batch))),
    }
    print(f"{len(windows):,} windows of {length:,} bases, {batch_size} in a batch, one thread")
    for name, read in rows.items():
        print(f"{name}\t{measure(read, length * batch_size):,.0f} Mbp/s", flush=True)


def read_status() -> dict[str, float]:
    """Return this process's memory by kind, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = (line.split() for line in lines if line.startswith("Rss"))
    return {name.rstrip(":"): int(size) / 1024 for name, size, _ in found}


def measure_memory(megabases: int, length: int, batch_size: int) -> None:
    """Print what reading 2,000 batches from all over a genome of this size adds to a process."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, __file__, "--make", folder, "--megabases", str(megabases)], check=True
        )
        before = read_status()
        with open_store(Path(folder) / "random.fa") as store:
            samples = make_dataset(store, make_windows(store.contigs, length), masked=True)
            for batch in range(2000):
                first = batch * batch_size
                samples.collate(samples.__getitems__(list(range(first, first + batch_size))))
            after = read_status()
        print(
            f"{megabases:,} Mb, {len(samples.windows):,} windows: own memory "
            f"+{after['RssAnon'] - before['RssAnon']:,.0f} MB, pages of the store "
            f"{after['RssFile'] - before['RssFile']:,.0f} MB",
            flush=True,
        )


def main() -> None:
    """Parse the command line and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fasta")
    parser.add_argument("--length", type=int, default=8192)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--megabases", type=int, nargs="*")
    parser.add_argument("--make", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    if options.make:
        make_store(Path(options.make), options.megabases[0] * 1_000_000).close()
        return
    for size in options.megabases or ():
        measure_memory(size, options.length, options.batch_size)
    if not options.megabases:
        with tempfile.TemporaryDirectory() as folder:
            store = (
                open_store(options.fasta)
                if options.fasta
                else make_store(Path(folder), max(64_000_000, 64 * options.length))
            )
            with store:
                measure_rates(store, options.length, options.batch_size)


if __name__ == "__main__":
    main()
