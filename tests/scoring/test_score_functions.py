"""Distances, class deltas and wild-type ratios, each against its definition written out."""

import itertools

import numpy as np
import pytest
import torch

from genolm.genome.variant import Variant
from genolm.scoring import score_variants
from genolm.scoring.fields import delta_fields, fields_of
from genolm.scoring.predict import SequencePredictor
from genolm.scoring.scorer import VariantScorer
from genolm.tokenization.encode import encode

WINDOW = 32
LANGUAGE = ["ps", "ph", "mamba", "hyena"]
PAIRS = str.maketrans("ACGT", "TGCA")
DISTANCES = ["dist", "dist_cosine", "dist_site", "dist_site_cosine"]


def mirror(text: str) -> str:
    return text.translate(PAIRS)[::-1]


@pytest.fixture
def snvs(contigs):
    """One substitution, one MNV, and alleles of one site, far from the ends of the contig."""
    bases = contigs["chr1"].upper()

    def change(start, size=1, shift=1):
        ref = bases[start : start + size]
        alt = "".join("ACGT"[("ACGT".index(base) + shift) % 4] for base in ref)
        return Variant("chr1", start, ref, alt)

    return [change(90), change(133, 3), change(201), change(201, 1, 2), change(247)]


def windows(contigs, variant):
    """REF and ALT windows centred as `place` documents, and the variant's position in them."""
    bases = contigs[variant.chrom].upper()
    start = variant.start + len(variant.ref) // 2 - WINDOW // 2
    ref = bases[start : start + WINDOW]
    at = variant.start - start
    return ref, ref[:at] + variant.alt + ref[at + len(variant.ref) :], at


def states(model, text):
    ids = torch.from_numpy(encode(text).ids.astype(np.int64))[None]
    with torch.no_grad():
        found = model.base_model(ids).last_hidden_state[0].double()
    if model.config.rcps:
        one, other = found.chunk(2, dim=-1)
        return (one + other.flip(-1)) / 2
    return found


def numbers(model, tokenizer, variants, fasta, scores, **options):
    found = list(
        score_variants(model, tokenizer, variants, fasta, scores, window=WINDOW, **options)
    )
    assert all(one.skip is None for one in found)
    return [dict(one.values) for one in found]


@pytest.mark.parametrize("name", [*LANGUAGE, "classifier"])
def test_distances_are_those_of_the_states_on_both_strands(
    name, models, tokenizers, fasta, contigs, snvs
):
    model = models[name]
    found = numbers(model, tokenizers[name], snvs, fasta, DISTANCES)
    for variant, values in zip(snvs, found, strict=True):
        ref, alt, at = windows(contigs, variant)
        expected = {key: [] for key in ("", "_COSINE", "_SITE", "_SITE_COSINE")}
        last = WINDOW - at - len(variant.ref)
        for one, other, site in ((ref, alt, at), (mirror(ref), mirror(alt), last)):
            first, second = states(model, one), states(model, other)
            for what, v, w in (
                ("", first.mean(0), second.mean(0)),
                ("_SITE", first[site], second[site]),
            ):
                expected[what].append(float((v - w).norm()))
                cosine = torch.nn.functional.cosine_similarity(v, w, dim=0)
                expected[f"{what}_COSINE"].append(float(1 - cosine))
        if model.config.rcps:  # the mean of both strands' states is read once
            expected = {key: value[:1] for key, value in expected.items()}
        for key, value in expected.items():
            assert values[f"GENOLM_DIST{key}"] == pytest.approx(np.mean(value), rel=1e-5, abs=1e-9)


def test_the_layer_is_the_models_own_hidden_state(models, tokenizers, fasta, contigs, snvs):
    model = models["ph"]
    found = numbers(model, tokenizers["ph"], snvs[:1], fasta, ["dist_site"], layer=0)
    table = model.get_input_embeddings().weight.detach()
    ref, alt = (table[encode(base).ids.astype(int)] for base in (snvs[0].ref, snvs[0].alt))
    opposite = [table[encode(mirror(base)).ids.astype(int)] for base in (snvs[0].ref, snvs[0].alt)]
    expected = ((ref - alt).norm() + (opposite[0] - opposite[1]).norm()) / 2
    assert found[0]["GENOLM_DIST_SITE"] == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("name", LANGUAGE)
def test_wild_type_ratios_read_the_reference_alone(name, models, tokenizers, fasta, contigs, snvs):
    model = models[name]
    found = numbers(model, tokenizers[name], snvs, fasta, ["wild_type"])
    bases = contigs["chr1"].upper()
    causal = name in ("mamba", "hyena")

    def ratio(start, variant, reverse):
        text = bases[start : start + WINDOW]
        at = variant.start - start
        ref, alt = variant.ref, variant.alt
        if reverse:
            text, ref, alt = mirror(text), mirror(ref), mirror(alt)
            at = WINDOW - at - len(ref)
        ids = torch.from_numpy(encode(text).ids.astype(np.int64))[None]
        with torch.no_grad():
            logs = torch.log_softmax(model(ids).logits[0].double(), dim=-1)
        total = 0.0
        for offset, (one, other) in enumerate(zip(ref, alt, strict=True)):
            row = logs[at + offset - causal]
            total += float(row[int(encode(other).ids[0])] - row[int(encode(one).ids[0])])
        return total

    for variant, values in zip(snvs, found, strict=True):
        # Windows begin at multiples of half their length; the variant stands in their middle half.
        starts = [
            start
            for start in range(0, len(bases), WINDOW // 2)
            if abs(variant.start + len(variant.ref) // 2 - start - WINDOW // 2) <= WINDOW // 4
        ]
        expected = [np.mean([ratio(s, variant, r) for r in (False, True)]) for s in starts]
        assert any(values["GENOLM_WT"] == pytest.approx(one, rel=1e-6) for one in expected)


def test_an_insertion_has_no_wild_type_ratio_but_its_other_scores(models, tokenizers, fasta):
    ref = fasta.fetch("chr1", 60, 61).upper()
    found = next(
        score_variants(
            models["ps"],
            tokenizers["ps"],
            [Variant("chr1", 60, ref, ref + "AC")],
            fasta,
            ["llr", "wild_type", "dist"],
            window=WINDOW,
        )
    )
    assert found.values.keys() == {"GENOLM_LLR", "GENOLM_DIST"}
    assert found.skip is None


@pytest.mark.parametrize("batch_size", [1, 3, "auto"])
def test_several_scores_are_each_what_they_are_alone(batch_size, models, tokenizers, fasta, snvs):
    names = ["llr", "llr_strands", "wild_type", *DISTANCES]
    together = numbers(models["ph"], tokenizers["ph"], snvs, fasta, names, batch_size=batch_size)
    for name in names:
        alone = numbers(models["ph"], tokenizers["ph"], snvs[::-1], fasta, [name])[::-1]
        for one, other in zip(alone, together, strict=True):
            for key, value in one.items():
                assert other[key] == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_a_score_does_not_depend_on_its_neighbours(models, tokenizers, fasta, snvs):
    names = ["llr", "wild_type", "dist"]
    for chosen in itertools.combinations(snvs, 2):
        pair = numbers(models["mamba"], tokenizers["mamba"], chosen, fasta, names)
        for variant, values in zip(chosen, pair, strict=True):
            alone = numbers(models["mamba"], tokenizers["mamba"], [variant], fasta, names)[0]
            assert values == pytest.approx(alone, rel=1e-9, abs=1e-12)


def test_swapped_alleles_negate_what_has_a_sign_and_keep_what_has_none(
    models, tokenizers, fasta, make_genome, contigs, snvs
):
    variant = snvs[0]
    bases = contigs["chr1"].upper()
    swapped = bases[: variant.start] + variant.alt + bases[variant.start + 1 :]
    other = make_genome({"chr1": swapped})._fasta
    names = ["llr", "dist", "dist_site_cosine"]
    there = numbers(models["ph"], tokenizers["ph"], [variant], fasta, names)[0]
    back = Variant("chr1", variant.start, variant.alt, variant.ref)
    again = numbers(models["ph"], tokenizers["ph"], [back], other, names)[0]
    assert again["GENOLM_LLR"] == pytest.approx(-there["GENOLM_LLR"], rel=1e-9)
    assert again["GENOLM_DIST"] == pytest.approx(there["GENOLM_DIST"], rel=1e-9)


def test_deltas_are_differences_of_predictions(models, tokenizers, fasta, contigs, snvs):
    model = models["classifier"]
    found = numbers(model, tokenizers["classifier"], snvs, fasta, [])
    predictor = SequencePredictor(model)
    for variant, values in zip(snvs, found, strict=True):
        ref, alt, _ = windows(contigs, variant)
        logits = predictor.logits([ref, alt])
        names = [f"GENOLM_DELTA_LABEL_{i}" for i in range(3)]
        assert list(values) == names
        assert [values[name] for name in names] == pytest.approx(logits[1] - logits[0], rel=1e-9)


def test_class_names_become_names_that_info_allows():
    fields = delta_fields(["T cell", "T-cell", 'a"b', ""])
    assert [field.name for field in fields] == [
        "GENOLM_DELTA_T_cell",
        "GENOLM_DELTA_T_cell_1",
        "GENOLM_DELTA_a_b",
        "GENOLM_DELTA__",
    ]
    assert "T-cell" in fields[1].description
    assert '"' not in fields[2].description
    both = fields_of(["delta", "dist"], ["x"])
    assert [field.name for field in both] == ["GENOLM_DIST", "GENOLM_DELTA_x"]


def test_a_window_longer_than_the_classifier_reads_is_refused(models, tokenizers, fasta):
    model = models["classifier"]
    kept = model.config.training_length
    model.config.training_length = 16
    try:
        with pytest.raises(ValueError, match="the classifier reads 16"):
            VariantScorer(model, tokenizers["classifier"], fasta, window=32)
    finally:
        model.config.training_length = kept
