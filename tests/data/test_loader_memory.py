"""A loader takes as much memory for a large genome as for a small one."""

import subprocess
import sys

import numpy as np
import pytest

from genolm.data.store_file import SourceKey, write_store
from genolm.tokenization.encode import encode

READ = """
import sys
from pathlib import Path
from genolm.data.genome_store import open_store
from genolm.data.language import LanguageDataset
from genolm.data.masking import Masking
from genolm.data.windows import make_windows

def own():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

def read(samples, numbers):
    for number in numbers:
        samples.collate(samples.__getitems__(list(range(4 * number, 4 * number + 4))))

store = open_store(sys.argv[1])
samples = LanguageDataset(store, make_windows(store.contigs, 8192), "masked_lm", seed=1,
                          masking=Masking(), rc_augment=True, jitter=4096, samples=10**9)
read(samples, range(50))
before = own()
read(samples, range(50, 1000))
print(before, own() - before)
"""


def read_all_over(folder, megabases):
    """Kilobytes of its own that a process has after a few batches, and what many more add."""
    piece = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, 10**6)]
    coded = encode(piece.tobytes(), repeat_mask=True)
    fasta = folder / f"{megabases}.fa"
    fasta.write_text(">chr1\nA\n")
    store = folder / f"{megabases}.fa.gstore"
    write_store(store, SourceKey.of(fasta), [("chr1", coded)] * megabases)
    command = [sys.executable, "-c", READ, str(fasta)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    store.unlink()
    return map(int, done.stdout.split())


@pytest.mark.slow  # writes 400 Mb and starts torch twice
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_genome(tmp_path):
    small, more_of_small = read_all_over(tmp_path, 10)
    large, more_of_large = read_all_over(tmp_path, 400)
    # 390 MB more of genome; 48 bytes a window are its place and its turn.
    assert large - small < 20_000
    assert max(more_of_small, more_of_large) < 10_000
