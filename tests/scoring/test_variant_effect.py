"""Scores of a model that was fine-tuned on variants, on random weights."""

import numpy as np
import pytest
import torch

from genolm.errors import UsageError
from genolm.genome.edits import Edit
from genolm.models.auto import TOKENIZERS
from genolm.models.build import build_model
from genolm.scoring import score_variants
from genolm.scoring.scorer import VariantScorer
from genolm.scoring.variant_effect import VariantEffects

EDITS = [
    Edit("chr1", 150, "A", "C"),
    Edit("chr1", 3, "", "GGT"),
    Edit("chr2", 100, "AC", ""),
    Edit("short", 10, "T", "G"),
]
LABELS = {"id2label": {0: "be-nign", 1: "harmful"}}


def make(**options):
    sizes = {"d_model": 16, "n_layer": 2, "training_length": 32}
    model = build_model("caduceus", "variant_effect", {**sizes, **options}, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator())
    return model.double().eval()


@pytest.fixture
def scorer(fasta):
    def open_scorer(model, **options):
        return VariantScorer(model, TOKENIZERS["caduceus"](), fasta, **options)

    return open_scorer


@pytest.mark.parametrize("options", [{"rcps": True}, {}, {"conjoin_train": True}])
def test_the_numbers_do_not_depend_on_batch_or_order(scorer, options):
    model = make(**options, **LABELS)
    whole = scorer(model).score(EDITS)
    assert [row.keys() for row in whole] == [{"effect_0", "effect_1"}] * 4
    one = [scorer(model, batch_size=1).score([edit])[0] for edit in reversed(EDITS)][::-1]
    for row, other in zip(whole, one, strict=True):
        assert row == pytest.approx(other, abs=1e-10)
    assert len({round(row["effect_0"], 9) for row in whole}) == 4


def test_an_exchange_of_the_alleles_in_an_edited_genome_negates_an_antisymmetric_score(
    make_genome, contigs
):
    model = make(rcps=True, effect_antisymmetric=True, effect_hidden=8)
    bases = contigs["chr1"].upper()
    for edit in EDITS[:2]:
        ref = bases[edit.start : edit.start + len(edit.ref)]
        edited = bases[: edit.start] + edit.alt + bases[edit.start + len(ref) :]
        values = []
        for text, one in (
            (bases, Edit("chr1", edit.start, ref, edit.alt)),
            (edited, Edit("chr1", edit.start, edit.alt, ref)),
        ):
            found = VariantEffects(model, make_genome({"chr1": text}), 32).score([one])
            values.append(found["effect_0"])
        np.testing.assert_allclose(values[0], -values[1], atol=1e-10)
        assert abs(values[0]).max() > 1e-4


def test_fields_are_named_after_the_classes(scorer):
    names = [field.name for field in scorer(make(**LABELS)).fields]
    assert names == ["GENOLM_EFFECT_be_nign", "GENOLM_EFFECT_harmful"]
    assert "be-nign" in scorer(make(**LABELS)).fields[0].description


def test_hidden_states_are_compared_too(scorer):
    found = scorer(make(), scores=["dist", "effect"]).score(EDITS[:1])[0]
    assert found.keys() == {"dist", "effect_0", "effect_1"}


@pytest.mark.parametrize(
    ("scores", "said"),
    [(["llr"], "a variant-effect model effect"), (["delta"], "delta needs a fine-tuned class")],
)
def test_other_scores_are_refused(scorer, scores, said):
    with pytest.raises(UsageError, match=said):
        scorer(make(), scores=scores)


def test_a_language_model_has_no_effect(scorer, models):
    with pytest.raises(UsageError, match="fine-tuned with task: variant_effect"):
        scorer(models["ps"], scores=["effect"])


def test_python_gives_the_numbers_by_field(fasta, contigs, tmp_path):
    ref = contigs["chr1"][150].upper()
    alt = "ACGT"["CGTA".index(ref)]
    vcf = tmp_path / "in.vcf"
    vcf.write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"chr1\t151\t.\t{ref}\t{alt},<DEL>\t.\t.\t.\n"
    )
    first, second = score_variants(make(**LABELS), TOKENIZERS["caduceus"](), vcf, fasta)
    assert first.values.keys() == {"GENOLM_EFFECT_be_nign", "GENOLM_EFFECT_harmful"}
    assert second.skip == "symbolic"
