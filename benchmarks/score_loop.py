"""Score a VCF as `genolm score` does and as the loop that people write: speed and difference.

    python benchmarks/score_loop.py VCF FASTA [--variants N] [--loop N] [--window N]

The loop takes one variant after another, hides its base, and runs the model once for the
probability of REF and once for that of ALT, with a batch of one and the scan that transformers
falls back to without CUDA. Both score the same substitutions with one model, a Caduceus-PS of 4
layers of 118 channels with fresh weights (times do not depend on them), and take turns.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "kernels" / "benchmarks"))

import peers
from model_goals import in_the_style_of

from genolm.cli.allocator import keep_freed_memory
from genolm.data.edit_windows import GenomeWindows, window_start
from genolm.genome.fasta import Fasta
from genolm.genome.variant import Variant
from genolm.genome.vcf import open_vcf
from genolm.models.auto import TOKENIZERS
from genolm.models.backbone import GenolmModel
from genolm.models.build import build_model
from genolm.scoring import score_variants
from genolm.tokenization.vocabulary import MASK, VOCABULARY

TURNS = 3


def read_snvs(vcf: str, count: int) -> list[Variant]:
    """The first single-base substitutions of a VCF."""
    found: list[Variant] = []
    with open_vcf(vcf) as reader:
        for record in reader:
            alts = [alt for alt in record.alts if alt and alt.upper() in set("ACGT")]
            if record.ref.upper() in set("ACGT"):
                found += [Variant(record.chrom, record.start, record.ref, alt) for alt in alts]
            if len(found) >= count:
                break
    return found[:count]


def loop(
    model: GenolmModel, genome: GenomeWindows, variants: list[Variant], window: int
) -> list[float]:
    """Two forward passes per variant, one after another."""
    scores = []
    with in_the_style_of(peers.slow_path_scan), torch.inference_mode():
        for one in variants:
            length = genome.contigs[one.chrom]
            start = window_start(one.start - window // 2, window, length)
            ids = torch.from_numpy(genome.ids(one.chrom, start, start + window)).long()[None]
            ids[0, one.start - start] = MASK
            logs = [
                torch.log_softmax(model(ids).logits[0, one.start - start].float(), dim=-1)[
                    VOCABULARY[base.upper()]
                ]
                for base in (one.ref, one.alt)
            ]
            scores.append(float(logs[1] - logs[0]))
    return scores


def main() -> None:
    """Print variants per second of both, their ratio, and the largest difference."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("vcf")
    parser.add_argument("fasta")
    parser.add_argument("--variants", type=int, default=192, help="that genolm scores in a turn")
    parser.add_argument("--loop", type=int, default=3, help="that the loop scores in a turn")
    parser.add_argument("--window", type=int, default=1024)
    given = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(2)
    model = build_model(
        "caduceus", "masked_lm", {"d_model": 118, "n_layer": 4, "rcps": True}, seed=1
    )
    model.eval()
    tokenizer = TOKENIZERS["caduceus"]()
    variants = read_snvs(given.vcf, given.variants)
    ours: list[float] = []
    theirs: list[float] = []
    differences: list[float] = []
    with Fasta(given.fasta) as fasta:
        genome = GenomeWindows(fasta)
        for turn in range(TURNS + 1):
            begin = time.perf_counter()
            found = list(score_variants(model, tokenizer, variants, fasta, window=given.window))
            middle = time.perf_counter()
            some = variants[turn * given.loop : (turn + 1) * given.loop]
            slow = loop(model, genome, some, given.window)
            end = time.perf_counter()
            own = [one.llr for one in found[turn * given.loop : (turn + 1) * given.loop]]
            differences.append(float(np.abs(np.array(own) - np.array(slow)).max()))
            if turn:  # the first turn warms up
                ours.append(len(found) / (middle - begin))
                theirs.append(len(some) / (end - middle))
    fast, slow_rate = statistics.median(ours), statistics.median(theirs)
    print(f"genolm    {fast:8.1f} variants/s")
    print(f"the loop  {slow_rate:8.2f} variants/s")
    print(f"ratio     {fast / slow_rate:8.1f} x, largest difference {max(differences):.1e}")


if __name__ == "__main__":
    main()
