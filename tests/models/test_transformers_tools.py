"""Pipelines and the Trainer of transformers take our models as they take their own."""

import pytest
import torch
from transformers import Trainer, TrainingArguments, pipeline

from genolm.tokenization import CaduceusTokenizer, HyenaDNATokenizer

TOKENIZERS = {"caduceus": CaduceusTokenizer, "hyenadna": HyenaDNATokenizer}
NAMES = {0: "enhancer", 1: "promoter", 2: "neither"}


@pytest.fixture
def saved(make, tmp_path):
    """A model's folder with its tokenizer, and the model."""

    def save(kind, **changes):
        model = make(kind, **changes)
        model.save_pretrained(tmp_path / kind)
        TOKENIZERS[model.config.model_type]().save_pretrained(tmp_path / kind)
        return str(tmp_path / kind), model

    return save


@pytest.mark.parametrize("kind", ["ph", "ps", "hydra"])
def test_fill_mask_ranks_the_bases_that_are_its_targets(kind, saved):
    folder, model = saved(kind)
    found = pipeline("fill-mask", model=folder)("acg[MASK]tt", targets=["A", "C", "G", "T"])
    ids = torch.tensor([[7, 8, 9, 3, 10, 10, 1]])
    wanted = model(ids).logits[0, 3].softmax(dim=-1)
    assert [entry["token"] for entry in found] == sorted(range(7, 11), key=lambda i: -wanted[i])
    for entry in found:
        assert entry["score"] == pytest.approx(wanted[entry["token"]].item(), rel=1e-5)
        assert entry["sequence"] == f"ACG{entry['token_str']}TT"


def test_fill_mask_without_targets_ranks_special_tokens_too(saved):
    folder, model = saved("ph")
    with torch.no_grad():
        model.lm_head.weight[0] += 10 * model.lm_head.weight.abs().max()
    every = pipeline("fill-mask", model=folder)("ACG[MASK]TT", top_k=16)
    assert {entry["token"] for entry in every} == set(range(16))


@pytest.mark.parametrize("kind", ["ps", "hyenadna"])
def test_feature_extraction_gives_the_backbones_states(kind, saved):
    folder, model = saved(kind)
    found = pipeline("feature-extraction", model=folder)("ACGTN", return_tensors=True)
    wanted = model.base_model(torch.tensor([[7, 8, 9, 10, 11, 1]])).last_hidden_state
    assert torch.allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("kind", ["ps_classifier", "hyenadna_classifier"])
def test_text_classification_names_the_classes(kind, saved):
    folder, model = saved(kind, id2label=NAMES, label2id={name: i for i, name in NAMES.items()})
    classify = pipeline("text-classification", model=folder)
    scores = model(torch.tensor([[7, 8, 9, 10, 1]])).logits.softmax(dim=-1)[0]
    (found,) = classify(["ACGT"], top_k=None)
    assert {entry["label"]: pytest.approx(entry["score"], rel=1e-5) for entry in found} == {
        name: scores[index].item() for index, name in NAMES.items()
    }
    assert classify("ACGT")[0]["label"] == NAMES[int(scores.argmax())]


@pytest.mark.parametrize("kmers", [0, 3])
def test_a_classifier_of_both_strands_makes_the_other_one_itself(saved, kmers):
    options = {"conjoin_eval": True, "mask_padding": True, "kmers": kmers}
    folder, model = saved("hyenadna_classifier", **options)
    classify = pipeline("text-classification", model=folder)
    both = torch.tensor([[[7, 7], [8, 7], [10, 9], [10, 10], [1, 1]]])
    scores = model(both).logits.softmax(dim=-1)[0].sort(descending=True).values
    for sequences in (["ACTT"], ["ACTT", "ACGTTTGACCA"]):
        found = classify(sequences, batch_size=len(sequences), top_k=None)[0]
        assert [entry["score"] for entry in found] == pytest.approx(scores.tolist(), rel=1e-5)


def test_sequences_classified_together_count_as_alone_with_mask_padding(saved):
    sequences = ["ACGT", "ACGTTTGACCA", "GG"]
    folder, _ = saved("ps_classifier", mask_padding=True)
    classify = pipeline("text-classification", model=folder)
    together = classify(sequences, batch_size=3, top_k=None)
    for sequence, found in zip(sequences, together, strict=True):
        alone = {entry["label"]: entry["score"] for entry in classify([sequence], top_k=None)[0]}
        for entry in found:
            assert entry["score"] == pytest.approx(alone[entry["label"]], abs=1e-6)


@pytest.mark.parametrize("kind", ["ps_token", "hyenadna_token"])
def test_token_classification_labels_every_base(kind, saved):
    folder, model = saved(kind)
    found = pipeline("token-classification", model=folder, ignore_labels=[])("ACGT")
    wanted = model(torch.tensor([[7, 8, 9, 10, 1]])).logits[0].argmax(dim=-1)[:4].tolist()
    assert [entry["word"] for entry in found] == list("ACGT")
    assert [entry["entity"] for entry in found] == [f"LABEL_{index}" for index in wanted]


def examples(kind, bases):
    generator = torch.Generator().manual_seed(0)
    for _ in range(16):
        ids = bases[0][torch.randperm(41, generator=generator)]
        # Whether A outnumber T, or which base stands there.
        yield {"input_ids": ids, "labels": (ids == 7).sum() % 3 if "class" in kind else ids}


@pytest.mark.parametrize("mask_padding", [False, True])
@pytest.mark.parametrize(
    "kind",
    ["ps", "hydra", "mamba", "hyenadna", "ps_classifier", "hyenadna_classifier", "ps_token"],
)
def test_the_trainer_lowers_every_kind_of_loss(kind, mask_padding, make, bases, tmp_path):
    model = make(kind, mask_padding=mask_padding)
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=12,
        per_device_train_batch_size=8,
        learning_rate=1e-2,
        logging_steps=1,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
    )
    data = list(examples(kind, bases))
    trainer = Trainer(model=model, args=arguments, train_dataset=data, eval_dataset=data)
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < 0.95 * before
    assert trainer.predict(data).predictions.shape[0] == 16
