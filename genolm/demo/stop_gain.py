"""How well scores tell stop-gain variants from synonymous ones, and how well counting does."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from genolm.data.genome_store import open_store
from genolm.genome.bed import read_split_bed
from genolm.genome.vcf import VcfRecord, open_vcf
from genolm.metrics.counts import learn_markov
from genolm.metrics.markov_variants import markov_log_ratios
from genolm.tokenization.encode import encode

ORDERS = (3, 5, 7)
CLASSES = {"stop_gain": 1, "synonymous": 0}


def read_info(record: VcfRecord) -> dict[str, str]:
    """Return the INFO column as a mapping; a flag maps to an empty text."""
    pairs = (field.partition("=") for field in record.info.split(";"))
    return {key: value for key, _, value in pairs}


def stop_gain_auroc(scored: Mapping[str, Path], genome: Path, splits: Path) -> dict[str, float]:
    """Compare models with Markov models on the labelled variants of a scored VCF.

    The AUROC is of minus the log-likelihood ratio: 1 when every stop-gain variant is found less
    likely than every synonymous one, 0.5 for a coin.

    Args:
        scored: For each model the demo's VCF with its ``GENOLM_LLR``.
        genome: The FASTA.
        splits: BED with the train part, from which the Markov models learn.

    Returns:
        AUROC of each model by its name, of each Markov order as "order_3" and so on, and the
        number of variants as "n".
    """
    result: dict[str, float] = {}
    records: list[VcfRecord] = []
    labels = np.empty(0, dtype=np.int64)
    for name, path in scored.items():
        records = [record for record in open_vcf(path) if _label(record) is not None]
        labels = np.array([_label(record) for record in records])
        llr = np.array([float(read_info(record)["GENOLM_LLR"]) for record in records])
        result[name] = _auroc(labels, llr)
    with open_store(genome) as store:
        train = [
            store.ids(part.chrom, part.start, part.end) for part in read_split_bed(splits)["train"]
        ]
        for order in ORDERS:
            windows = np.stack(
                [store.ids(r.chrom, r.start - order, r.start + order + 1) for r in records]
            )
            alts = np.concatenate([encode(record.alts[0]).ids for record in records])
            table = learn_markov(train, order)
            result[f"order_{order}"] = _auroc(labels, markov_log_ratios(table, windows, alts))
    return {**result, "n": float(len(records))}


def _label(record: VcfRecord) -> int | None:
    info = read_info(record)
    return CLASSES.get(info.get("CLASS", "")) if info.get("GENOLM_SKIP") == "." else None


def _auroc(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    return float(roc_auc_score(labels, -scores))
