import math

import pytest
import torch

import genolm.scoring
from genolm.errors import UsageError
from genolm.genome.edits import Edit
from genolm.genome.variant import Variant
from genolm.models.build import build_model
from genolm.scoring.variants import VariantScorer, choose_window, score_variants
from genolm.tokenization import CaduceusTokenizer


def snvs(contigs, name="chr1", step=7):
    bases = contigs[name].upper()
    return [
        Variant(name, start, ref, alt)
        for start, ref in list(enumerate(bases))[::step]
        for alt in "ACGT"
        if ref in "ACGT" and alt != ref
    ]


def test_the_package_offers_the_engine():
    assert genolm.scoring.score_variants is score_variants
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        genolm.scoring.nothing_of_the_kind  # noqa: B018


@pytest.mark.parametrize("name", ["ps", "ph", "mamba", "hyena"])
def test_scores_come_in_order_one_per_variant(models, tokenizers, fasta, contigs, name):
    variants = [*snvs(contigs), Variant("chr1", 3, "N", "A"), Variant("chrX", 3, "A", "C")]
    found = list(score_variants(models[name], tokenizers[name], variants, fasta))
    assert [score.variant for score in found] == variants
    assert [score.skip for score in found[-2:]] == ["non_acgt_ref", "contig_missing"]
    assert found[-1].llr is None
    assert all(math.isfinite(score.llr) and score.skip is None for score in found[:-2])
    assert len({round(score.llr, 6) for score in found[:-2]}) > len(found) // 2


@pytest.mark.parametrize("name", ["ps", "mamba"])
def test_neither_batch_nor_order_nor_neighbours_change_a_score(
    models, tokenizers, fasta, contigs, name
):
    model, tokenizer, variants = models[name], tokenizers[name], snvs(contigs, step=23)
    whole = [s.llr for s in score_variants(model, tokenizer, variants, fasta)]
    ones = [s.llr for s in score_variants(model, tokenizer, variants, fasta, batch_size=1)]
    back = [s.llr for s in score_variants(model, tokenizer, variants[::-1], fasta)][::-1]
    alone = [
        next(score_variants(model, tokenizer, [variant], fasta)).llr for variant in variants[:5]
    ]
    assert ones == pytest.approx(whole, abs=1e-9)
    assert back == pytest.approx(whole, abs=1e-9)
    assert alone == pytest.approx(whole[:5], abs=1e-9)


def test_only_what_was_asked_for_is_filled_in(models, tokenizers, fasta, contigs):
    variants = snvs(contigs)[:2]
    model, tokenizer = models["mamba"], tokenizers["mamba"]
    plain = next(score_variants(model, tokenizer, variants, fasta))
    assert (plain.llr_fwd, plain.llr_rev) == (None, None)
    both = next(score_variants(model, tokenizer, variants, fasta, ("llr", "llr_strands")))
    assert both.llr == plain.llr == pytest.approx((both.llr_fwd + both.llr_rev) / 2)
    strands = next(score_variants(model, tokenizer, variants, fasta, ("llr_strands",)))
    assert strands.llr is None


def test_a_vcf_can_be_given_by_its_path(models, tokenizers, fasta_path, contigs, tmp_path):
    vcf = tmp_path / "in.vcf"
    ref = contigs["chr1"][10]
    vcf.write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"1\t11\t.\t{ref}\t*,{ref}TT,.\t.\t.\t.\n"
    )
    for path in (vcf, str(vcf)):
        found = list(score_variants(models["ps"], tokenizers["ps"], path, str(fasta_path)))
        assert [score.skip for score in found] == ["star", None, "no_alt"]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (("distance",), "unknown score 'distance'; available are llr, llr_strands"),
        (("llr", "GENOLM_DIST"), "unknown score 'GENOLM_DIST'"),
        (("delta",), "needs a fine-tuned classifier"),
    ],
)
def test_an_unknown_score_is_refused_at_once(models, tokenizers, fasta, scores, message):
    with pytest.raises(UsageError, match=message):
        score_variants(models["ps"], tokenizers["ps"], [], fasta, scores)


@pytest.mark.parametrize("score", ["llr", "llr_strands", "wild_type"])
def test_a_classifier_has_no_likelihoods(models, tokenizers, fasta, score):
    with pytest.raises(UsageError, match="need a language model"):
        score_variants(models["classifier"], tokenizers["classifier"], [], fasta, (score,))


def test_a_tokenizer_with_other_ids_is_refused(models, fasta):
    class Other(CaduceusTokenizer):
        def convert_tokens_to_ids(self, tokens):
            return 5

    with pytest.raises(ValueError, match=r"gives A the id 5, but genolm's models use 7"):
        score_variants(models["ps"], Other(), [], fasta)


def test_numbers_that_are_not_finite_are_an_error(tokenizers, fasta, contigs):
    model = build_model("caduceus", "masked_lm", {"d_model": 8, "n_layer": 1}, seed=1)
    with torch.no_grad():
        next(model.parameters()).fill_(math.nan)
    scorer = VariantScorer(model, tokenizers["ps"], fasta, window=16)
    ref = contigs["chr1"][50].upper()
    with pytest.raises(ValueError, match="not finite"):
        scorer.score([Edit("chr1", 50, ref, "ACGT"[("ACGT".index(ref) + 1) % 4])])


@pytest.mark.parametrize(
    ("family", "options", "window", "chosen"),
    [
        ("caduceus", {}, None, 1024),
        ("caduceus", {"training_length": 256}, None, 256),
        ("caduceus", {"training_length": 256}, 64, 64),
        ("hyenadna", {"max_seq_len": 98}, None, 96),
        ("hyenadna", {"max_seq_len": 4098}, None, 1024),
        ("hyenadna", {"max_seq_len": 98}, 98, 98),
    ],
)
def test_the_window_is_what_was_asked_for_or_trained_on(family, options, window, chosen):
    task = "masked_lm" if family == "caduceus" else "causal_lm"
    model = build_model(family, task, {"d_model": 8, "n_layer": 1, **options}, seed=1)
    assert choose_window(model, window) == chosen


@pytest.mark.parametrize(("window", "message"), [(7, "too short"), (67, "too long.*reads 66")])
def test_a_window_that_does_not_fit_is_refused(models, window, message):
    with pytest.raises(UsageError, match=message):
        choose_window(models["hyena"], window)


def test_progress_counts_every_allele(models, tokenizers, fasta, contigs):
    scorer = VariantScorer(models["ps"], tokenizers["ps"], fasta, batch_size=2)
    edits = [Edit(v.chrom, v.start, v.ref, v.alt) for v in snvs(contigs)[:40]]
    done = []
    found = scorer.score([*edits, "star"], done.append)
    assert sum(done) == len(found) == 41
    assert len(done) > 1
    assert found[-1] == "star"
