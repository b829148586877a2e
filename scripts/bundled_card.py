"""The model card of a bundled model, from what was recorded and measured."""

from collections.abc import Mapping
from typing import Any

from demo_provenance import CONTIGS

CONTRAST_NAMES = {
    "stop_gain:synonymous": "stop-gain against synonymous",
    "stop_gain:out_of_frame": "stop-gain against the same change out of frame",
    "missense:synonymous": "missense against synonymous",
}

TEMPLATE = """\
---
license: apache-2.0
library_name: genolm
tags: [genomics, dna, mamba, variant-effect]
---

# {name}

A causal Mamba (next base) of *Escherichia coli* 536, small enough to come with genolm:
{parameters:,} parameters, {d_model} channels, {n_layer} layers, states of {d_state}, \
convolutions of {d_conv} bases.
It is the unidirectional model of the Caduceus code (`bidirectional: false`).

    genolm score variants.vcf.gz -r genome.fa.gz -m {name} -o scored.vcf.gz
    genolm embed genes.fa -m {name} -o embeddings

In Python, `genolm.load("{name}")` gives the model and its tokenizer.

## What it is for, and what it is not for

It shows what {tokens_m:.0f} million bases of training on a CPU can do, and it is a starting point \
for
classifiers of enterobacterial DNA with few labels. It follows the reading frame of long *E. coli*
genes: it mostly finds premature stops less likely than other changes of the same genes.

- **Not for missense variants**: it cannot tell them from synonymous ones (below).
- **Not for eukaryotes**, nor for any genome unlike *E. coli*'s: it was trained on one genome.
- Not for decisions about anyone's health or treatment. For research only.

## Training

- Sequence: {accession}, {title}, {length:,} bp;
  {paper}. SHA-256 of the upper-case bases:
  `{sha256}`.
  It comes with genolm (`genolm/demo/data`).
- Trained on bases 1 to 3,704,190 (75 %) of either strand, watched on the next 5 %; the last 20 %
  (from base 3,951,137) were held out. No annotation was used.
- Recipe: `genolm recipes show ecoli_mamba` ({steps:,} steps, {tokens:,} bases read, that is
  {epochs:.1f} times the training part). It took {minutes:.0f} minutes on 2 CPU cores that \
other work shared;
  `recipes/README.md` has the time it takes one core. One seed, one run.
- Made {made} with {versions}.
- Weights: float16 in the file, float32 in use. Held-out bits per base: {float32:.6f} with the
  float32 weights of the run, {float16:.6f} with these. SHA-256 of the file:
  `{weights}`.

## Held-out bits per base

All windows of the last 20 %, lower is better. Markov models learned from the same bases, both
strands, with backoff, and are judged on the same positions.

{bits}

## Zero-shot AUROC of substitutions

Minus the log-likelihood ratio, windows of 512 bases, both strands averaged. 0.5 is a coin. In
brackets: 95 % intervals from drawing the genes anew 2,000 times. Two variants of each kind
from every gene, all computed, none observed. *Out of frame*: the same change of the same three
bases (such as CAA>TAA) in the same gene, but off the reading frame, so that nothing but the frame
differs.

{auroc}

The last column is the interval of the difference between the model and the best Markov model.

{genes}

Written by `scripts/evaluate_bundled_model.py` from `training.json` and `evaluation.json`; do not
edit.

## Licence

Weights and code: Apache-2.0, the genolm developers. The sequence is a public-domain RefSeq record.
"""

HELD_OUT = """\
*Held out, E. coli 536*: {genes} open reading frames of at least 900 bp in the last 20 %, whose
surroundings of 100 bases on either side hold no 32 bases that the genome has twice. Relatives of a
gene (paralogues) may be in the training part."""

ANNOTATED = """\
*Annotated, K-12*: {genes} RefSeq genes of at least 900 bp of E. coli K-12 MG1655 (NC_000913.3) that
share no 32 bases, on either strand, with the first 80 % of E. coli 536. The strains are close
relatives: this tests genes that were not seen, not another species."""

PARTS = {
    "held_out": ("held out, E. coli 536", HELD_OUT),
    "annotated": ("annotated, K-12", ANNOTATED),
}


def card_text(name: str, training: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Return README.md.

    Args:
        name: Of the model.
        training: Content of training.json.
        result: Content of evaluation.json.
    """
    contig, recipe = CONTIGS[0], training["recipe"]
    found = {key: part for key, part in PARTS.items() if key in result}
    notes = [text.format(genes=result[key]["genes"]) for key, (_, text) in found.items()]
    return TEMPLATE.format(
        name=name,
        parameters=training["parameters"],
        d_model=recipe["model"]["d_model"],
        n_layer=recipe["model"]["n_layer"],
        **recipe["model"]["ssm_cfg"],
        accession=contig.accession,
        title=contig.title,
        length=contig.length,
        paper=contig.paper,
        sha256=contig.sha256,
        steps=training["steps"],
        tokens=training["tokens"],
        tokens_m=training["tokens"] / 1e6,
        epochs=training["tokens"] / 3_704_190,
        minutes=training["seconds"] / 60,
        made=training["made"],
        versions=training["versions_of_the_run"],
        weights=training["weights_sha256"],
        float32=training["test_bits_float32"],
        float16=training["test_bits_float16"],
        bits=bits_table(result["bits_per_base"]),
        auroc=auroc_table({label: result[key]["auroc"] for key, (label, _) in found.items()}),
        genes="\n\n".join(notes),
    )


def bits_table(bits: Mapping[str, Mapping[str, float]]) -> str:
    """A row for each length of window."""
    names = list(next(iter(bits.values())))
    heads = [_heading(name) for name in names]
    rows = [
        [f"{int(length):,} bases", *(f"{row[name]:.3f}" for name in names)]
        for length, row in bits.items()
    ]
    return _table(["windows", *heads], rows)


def auroc_table(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each contrast of each set of genes."""
    names: list[str] = []
    rows = []
    for label, contrasts in parts.items():
        for contrast, scores in contrasts.items():
            names = list(scores)
            cells = [_with_interval(scores[name]) for name in names]
            low, high = scores[names[0]]["lead"]
            lead = f"{low:+.3f} to {high:+.3f}"
            rows.append([label, CONTRAST_NAMES[contrast], *cells, lead])
    return _table(["genes", "contrast", *(_heading(name) for name in names), "lead"], rows)


def _heading(name: str) -> str:
    return "this model" if name == "model" else f"Markov {name.removeprefix('order_')}"


def _with_interval(score: Mapping[str, Any]) -> str:
    low, high = score["interval"]
    return f"{score['auroc']:.3f} [{low:.3f}, {high:.3f}]"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
