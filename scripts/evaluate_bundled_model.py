r"""Measure a model that comes with genolm on held-out genes, and write its model card.

    python scripts/evaluate_bundled_model.py ecoli-mamba-d128 --annotated K12.fa.gz K12.gff.gz

Beside the model stand Markov models that learned from the same bases. Everything is written to
`evaluation.json` in the model's folder, and from there into its `README.md`; with `--card` only
the second is done. K-12 MG1655 (NC_000913.3) with its annotation is not bundled.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from Bio.Seq import reverse_complement
from bundled_auroc import CONTRASTS, aurocs
from bundled_card import card_text
from bundled_variants import (
    LEAST,
    Tested,
    choose_variants,
    genes_without_words,
    is_gene,
    seen_once,
)
from demo_orfs import (
    LONG_ORF,
    Orf,
    as_numbers,
    canonical_words,
    drop_shadows,
    find_orfs,
    unique_words,
)
from numpy.typing import NDArray

from genolm import load
from genolm.bundled import bundled_models
from genolm.data.genome_store import open_store
from genolm.data.splits import make_splits
from genolm.demo.bundle import DATA, GENOME
from genolm.genome.annotated import read_annotated
from genolm.genome.bed import read_split_bed
from genolm.genome.fasta import Fasta
from genolm.metrics.counts import learn_markov, markov_bits
from genolm.metrics.markov_variants import markov_log_ratios
from genolm.scoring import score_variants
from genolm.tokenization.encode import encode
from genolm.training.held_out import language_figures, read_part

ORDERS = (3, 5, 7, 11)
WINDOWS = (512, 2048)
SPLITS = DATA / "splits.bed"
Stretches = list[NDArray[np.uint8]]


def train_stretches() -> Stretches:
    """Token ids of the bases that the model was trained on."""
    with open_store(DATA / GENOME) as store:
        parts = read_split_bed(SPLITS)["train"]
        return [np.array(store.ids(part.chrom, part.start, part.end)) for part in parts]


def bits(model: torch.nn.Module, train: Stretches, length: int) -> dict[str, float]:
    """Bits per base on the whole test part in windows of ``length``, and what counting reaches."""
    with open_store(DATA / GENOME) as store:
        part = read_part(store, make_splits(store, length, bed=SPLITS)["test"], "causal_lm")
    figures = language_figures(model, part, batch_size=8192 // length, device=torch.device("cpu"))
    counted = markov_bits(train, list(part.ids), ORDERS, targets=list(part.targets))
    return {"model": float(figures["bits_per_base"] or 0), **counted}


def held_out_variants() -> tuple[Path, list[Tested]]:
    """Variants of long open frames of the last fifth of E. coli 536."""
    [test] = read_split_bed(SPLITS)["test"]
    with Fasta(DATA / GENOME) as fasta:
        sequence = fasta.fetch(test.chrom, 0, test.end)
    bases = as_numbers(sequence)
    frames = drop_shadows(find_orfs(bases, {"ATG": LONG_ORF}))
    genes = [orf for orf in frames if orf.start >= test.start and orf.length >= LEAST]
    usable = seen_once(unique_words(bases), len(bases))
    return DATA / GENOME, choose_variants(test.chrom, sequence, genes, usable)


def annotated_variants(fasta: Path, gff: Path) -> tuple[Path, list[Tested]]:
    """Variants of annotated genes of another genome that share no 32 bases with the training."""
    sequences, features = read_annotated(fasta, gff, types={"CDS"})
    [(chrom, sequence)] = sequences.items()
    sequence = sequence.upper()
    genes = []
    for one in features:
        frame = sequence[one.start : one.end]
        if is_gene(frame if one.strand == "+" else reverse_complement(frame)):
            genes.append(Orf(one.start, one.end, one.strand))
    [test] = read_split_bed(SPLITS)["test"]
    with Fasta(DATA / GENOME) as own:
        known = canonical_words(as_numbers(own.fetch(test.chrom, 0, test.start)))
    fresh = genes_without_words(sequence, sorted(set(genes)), known)
    usable = seen_once(unique_words(as_numbers(sequence)), len(sequence))
    return fasta, choose_variants(chrom, sequence, fresh, usable)


def judge(name: str, train: Stretches, genome: Path, tested: list[Tested]) -> dict[str, object]:
    """AUROC of every contrast, of the model and of the Markov models, with their intervals."""
    model, tokenizer = load(name)
    variants = [one.variant for one in tested]
    with Fasta(genome) as fasta:
        llrs = [one.llr for one in score_variants(model, tokenizer, variants, fasta)]
        assert all(llr is not None for llr in llrs)
        scores = {"model": np.array(llrs, dtype=np.float64)}
        alts = np.concatenate([encode(one.alt).ids for one in variants])
        for order in ORDERS:
            cuts = (
                encode(fasta.fetch(v.chrom, v.start - order, v.start + order + 1)).ids
                for v in variants
            )
            scores[f"order_{order}"] = markov_log_ratios(
                learn_markov(train, order), np.stack(list(cuts)), alts
            )
    kinds = np.array([one.kind for one in tested])
    genes = np.unique([one.gene.start for one in tested], return_inverse=True)[1]
    return {
        "genes": int(genes.max()) + 1,
        "variants_of_each_kind": int((kinds == CONTRASTS[0][0]).sum()),
        "auroc": aurocs(kinds, genes, scores),
    }


def evaluate(
    name: str, annotated: list[Path] | None, before: dict[str, object]
) -> dict[str, object]:
    """Everything that is measured; what needs a file that was not given is kept from before."""
    train = train_stretches()
    model, _ = load(name)
    result = {
        "bits_per_base": {str(length): bits(model, train, length) for length in WINDOWS},
        "held_out": judge(name, train, *held_out_variants()),
    }
    if annotated is not None:
        result["annotated"] = judge(name, train, *annotated_variants(*annotated))
    elif "annotated" in before:
        result["annotated"] = before["annotated"]
    return result


def main() -> None:
    """Measure, and write the card."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name", choices=list(bundled_models()))
    parser.add_argument("--annotated", nargs=2, type=Path, metavar=("FASTA", "GFF"))
    parser.add_argument("--card", action="store_true", help="only write README.md anew")
    options = parser.parse_args()
    folder = bundled_models()[options.name]
    file = folder / "evaluation.json"
    result = json.loads(file.read_text()) if file.exists() else {}
    if not options.card:
        result = evaluate(options.name, options.annotated, result)
        file.write_text(json.dumps(result, indent=2) + "\n")
    training = json.loads((folder / "training.json").read_text())
    card = card_text(options.name, training, result)
    (folder / "README.md").write_text(card, encoding="utf-8")
    print(card)


if __name__ == "__main__":
    main()
