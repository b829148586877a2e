"""Whether a tokenizer is one that the models were trained with."""

from transformers import PreTrainedTokenizerBase

from genolm.tokenization.vocabulary import MASK, VOCABULARY


def check_vocabulary(tokenizer: PreTrainedTokenizerBase) -> None:
    """Make sure that a tokenizer's base and mask ids are the official ones.

    Raises:
        ValueError: They are not.
    """
    for letter in "ACGTN":
        found = tokenizer.convert_tokens_to_ids(letter)
        if found != VOCABULARY[letter]:
            raise ValueError(
                f"the tokenizer gives {letter} the id {found}, but genolm's models use"
                f" {VOCABULARY[letter]}; load model and tokenizer with genolm.load"
            )
    if tokenizer.mask_token_id not in (None, MASK):
        raise ValueError(f"the tokenizer's mask id is {tokenizer.mask_token_id}, not {MASK}")
