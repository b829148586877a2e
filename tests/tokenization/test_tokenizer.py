"""Both official behaviours, as recorded from the original tokenizers."""

import json
from pathlib import Path

import pytest

from genolm.tokenization import CaduceusTokenizer, DNATokenizer, HyenaDNATokenizer, complement_map

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "golden" / "tokenizers.json").read_text("utf-8")
)


@pytest.mark.parametrize("text", GOLDEN["caduceus"])
def test_caduceus_ids_equal_the_original(text):
    tok = DNATokenizer.caduceus()
    to_twelve = {"padding": "max_length", "max_length": 12, "truncation": True}
    padded = tok(text, **to_twelve)
    assert {
        "plain": tok(text, add_special_tokens=False)["input_ids"],
        "special": tok(text)["input_ids"],
        "pad12": tok(text, add_special_tokens=False, **to_twelve)["input_ids"],
        "pad12_special": padded["input_ids"],
        "pad12_mask": padded.get("attention_mask"),
    } == GOLDEN["caduceus"][text]


@pytest.mark.parametrize("text", GOLDEN["hyena"])
def test_hyenadna_ids_equal_the_original(text):
    tok = DNATokenizer.hyenadna()
    assert {
        "plain": tok(text, add_special_tokens=False)["input_ids"],
        "special_train_repo": tok(text)["input_ids"],
        "special_standalone": DNATokenizer.hyenadna(add_cls=True)(text)["input_ids"],
    } == GOLDEN["hyena"][text]


def test_table_padding_side_and_complement_equal_the_original():
    tok = DNATokenizer.caduceus()
    assert tok.get_vocab() == GOLDEN["vocab"]
    assert tok.vocab_size == len(tok) == GOLDEN["vocab_size"]
    assert tok.padding_side == GOLDEN["padding_side"]
    assert dict(enumerate(complement_map(12))) == {
        int(k): v for k, v in GOLDEN["complement_map"].items()
    }
    for ids, text in GOLDEN["decode"].items():
        assert tok.decode([int(i) for i in ids.split()]) == text


@pytest.mark.parametrize(
    "tok",
    [
        DNATokenizer.caduceus(model_max_length=1026),
        DNATokenizer.hyenadna(model_max_length=34),
        DNATokenizer.hyenadna(add_cls=True),
        DNATokenizer(uppercase=False, padding_side="right"),
    ],
)
def test_saved_and_loaded_tokenizers_agree(tok, tmp_path):
    tok.save_pretrained(tmp_path)
    back = type(tok).from_pretrained(tmp_path)
    assert back.model_max_length == tok.model_max_length
    for text in ("ACGTN", "acgtn", "AC[MASK]gX", ""):
        assert back(text)["input_ids"] == tok(text)["input_ids"]
    batch = ["A", "acgTT"]
    assert back(batch, padding=True)["input_ids"] == tok(batch, padding=True)["input_ids"]


@pytest.mark.parametrize(
    ("cls", "lower_case"), [(CaduceusTokenizer, [7, 8, 1]), (HyenaDNATokenizer, [6, 6, 1])]
)
def test_an_official_tokenizer_folder_loads_by_its_class_name(cls, lower_case, tmp_path):
    official = {
        "added_tokens_decoder": {"3": {"content": "[MASK]", "special": True}},
        "auto_map": {"AutoTokenizer": ["somewhere.Else", None]},
        "add_special_tokens": False,
        "characters": ["A", "C", "G", "T", "N"],
        "complement_map": {"7": 10, "8": 9, "9": 8, "10": 7},
        "model_max_length": 131072,
        "tokenizer_class": cls.__name__,
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(official), encoding="utf-8")
    tok = cls.from_pretrained(tmp_path)
    assert tok("ac")["input_ids"] == lower_case
    assert tok.model_max_length == 131072
    assert tok.padding_side == "left"


def test_special_tokens_in_text_keep_their_meaning():
    assert DNATokenizer.caduceus()("a[MASK]c[PAD]")["input_ids"] == [7, 3, 8, 4, 1]


def test_pairs_end_with_a_separator_each():
    assert DNATokenizer.hyenadna()("AC", "GT")["input_ids"] == [7, 8, 1, 9, 10, 1]


def test_truncation_cuts_the_right_end_and_keeps_the_separator():
    tok = DNATokenizer.caduceus(model_max_length=4)
    assert tok("ACGTACGT", truncation=True)["input_ids"] == [7, 8, 9, 1]


def test_another_alphabet_is_refused():
    with pytest.raises(ValueError, match="characters must be"):
        DNATokenizer(characters=["A", "C", "G", "U"])
