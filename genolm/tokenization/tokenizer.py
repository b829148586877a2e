"""The character tokenizer of HyenaDNA and Caduceus for Hugging Face's interfaces.

Data goes through ``genolm.tokenization.encode`` instead, which is some hundred times faster.
"""

from typing import Any

from transformers import PreTrainedTokenizer

from genolm.tokenization.vocabulary import CHARACTERS, UNK, VOCABULARY

_TOKENS = {number: token for token, number in VOCABULARY.items()}
# What official folders carry beside our own arguments: fixed here, so checked or dropped.
_FOREIGN = ("add_special_tokens", "auto_map", "complement_map", "special_tokens_pattern")


class DNATokenizer(PreTrainedTokenizer):
    """One base is one token; everything outside the table is ``[UNK]``.

    Args:
        uppercase: Fold case first, as Caduceus does; HyenaDNA reads lower case as unknown.
        add_cls: Begin with ``[CLS]``, as HyenaDNA's standalone script does. ``[SEP]`` always ends
            a sequence when special tokens are asked for.
        model_max_length: Longest input in tokens, special ones included; None is no limit.
        padding_side: Both models were trained with padding on the left.
        kwargs: What Hugging Face stores in ``tokenizer_config.json``.
    """

    vocab_files_names: dict[str, str] = {}  # noqa: RUF012  the base class's own declaration
    model_input_names = ["input_ids"]  # noqa: RUF012  neither model reads an attention mask

    def __init__(
        self,
        uppercase: bool = True,
        add_cls: bool = False,
        model_max_length: int | None = None,
        padding_side: str = "left",
        **kwargs: Any,
    ) -> None:
        characters = kwargs.pop("characters", CHARACTERS)
        if tuple(characters) != CHARACTERS:
            raise ValueError(f"characters must be {list(CHARACTERS)}, got {list(characters)}")
        for name in _FOREIGN:
            kwargs.pop(name, None)
        self.uppercase = uppercase
        self.add_cls = add_cls
        special = {
            "bos_token": "[BOS]",
            "eos_token": "[SEP]",
            "sep_token": "[SEP]",
            "cls_token": "[CLS]",
            "pad_token": "[PAD]",
            "mask_token": "[MASK]",
            "unk_token": "[UNK]",
        }
        super().__init__(  # type: ignore[no-untyped-call]  # Hugging Face's is untyped
            uppercase=uppercase,
            add_cls=add_cls,
            model_max_length=model_max_length,
            padding_side=padding_side,
            **{**special, **kwargs},
        )
        self.special_tokens_pattern = "cls_sep" if add_cls else "eos"

    @classmethod
    def caduceus(cls, model_max_length: int | None = None) -> "CaduceusTokenizer":
        """Return Caduceus's tokenizer: case is folded, ``[SEP]`` ends."""
        return CaduceusTokenizer(model_max_length=model_max_length)

    @classmethod
    def hyenadna(
        cls, model_max_length: int | None = None, *, add_cls: bool = False
    ) -> "HyenaDNATokenizer":
        """Return HyenaDNA's tokenizer: lower case is unknown, ``[SEP]`` ends."""
        return HyenaDNATokenizer(model_max_length=model_max_length, add_cls=add_cls)

    @property
    def vocab_size(self) -> int:
        """Number of tokens, 12."""
        return len(VOCABULARY)

    def get_vocab(self) -> dict[str, int]:
        """Return the table of tokens and their numbers."""
        return dict(VOCABULARY)

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        return list(text.upper() if self.uppercase else text)

    def _convert_token_to_id(self, token: str) -> int:
        return VOCABULARY.get(token, UNK)

    def _convert_id_to_token(self, index: int) -> str:
        return _TOKENS.get(index, "[UNK]")

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Join tokens without anything between them."""
        return "".join(tokens)

    def save_vocabulary(
        self, save_directory: str, filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Write nothing: the table is fixed."""
        return ()


class CaduceusTokenizer(DNATokenizer):
    """``DNATokenizer`` under the class name that Caduceus's hub folders ask for."""

    def __init__(self, uppercase: bool = True, **kwargs: Any) -> None:
        super().__init__(uppercase=uppercase, **kwargs)


class HyenaDNATokenizer(DNATokenizer):
    """``DNATokenizer`` under the class name that HyenaDNA's hub folders ask for."""

    def __init__(self, uppercase: bool = False, **kwargs: Any) -> None:
        super().__init__(uppercase=uppercase, **kwargs)
