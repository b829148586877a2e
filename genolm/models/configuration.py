"""The base of every family's config: strict about names and types, tolerant of old hub files."""

from functools import cache
from typing import Any, ClassVar, Literal, get_origin

from transformers import GenerationConfig, PreTrainedConfig

from genolm.mixers import MixerConfig
from genolm.modules.options import check_type, reject_unknown
from genolm.objectives import Objective

PAD_TOKEN_ID = 4
PoolingStrategy = Literal["mean", "sum", "max", "first", "last"]

# Keys that Hugging Face wrote into config files over the years, or writes at run time.
HUB_KEYS = frozenset(
    {
        "add_cross_attention",
        "architectures",
        "attn_implementation",
        "auto_map",
        "bos_token_id",
        "chunk_size_feed_forward",
        "cls_token_id",
        "cross_attention_hidden_size",
        "custom_pipelines",
        "decoder_start_token_id",
        "dtype",
        "eos_token_id",
        "experts_implementation",
        "finetuning_task",
        "gradient_checkpointing",
        "id2label",
        "is_decoder",
        "is_encoder_decoder",
        "label2id",
        "mask_token_id",
        "model_type",
        "name_or_path",
        "num_labels",
        "output_attentions",
        "output_hidden_states",
        "per_layer_config",
        "prefix",
        "problem_type",
        "pruned_heads",
        "quantization_config",
        "return_dict",
        "sep_token_id",
        "task_specific_params",
        "tf_legacy_loss",
        "tie_encoder_decoder",
        "tie_last_hidden_states",
        "tokenizer_class",
        "torch_dtype",
        "torchscript",
        "transformers_version",
        "unk_token_id",
        "use_bfloat16",
        "use_cache",
    }
)

MOST_KMERS = 8
"""Longest words of a k-mer term: 65,536 weights of them for each output."""


class GenolmConfig(PreTrainedConfig):
    """What all families share.

    Attributes:
        d_model: Number of channels.
        n_layer: Number of blocks.
        vocab_size: Number of tokens.
        pad_vocab_size_multiple: The embedding's rows are a multiple of this.
        pad_token_id: Id of the padding token.
        tie_word_embeddings: Whether the language head shares the embedding's weight.
        mixer: The mixer, as {"name": ..., options}; None for the family's own.
        objective: What the model was pretrained for.
        training_length: Length of the sequences it was trained on, in bases.
        conjoin_train: Whether a classifier reads both strands, in training too.
        conjoin_eval: Whether a classifier reads both strands in evaluation only.
        mask_padding: Whether padding at the ends of a sequence is left out, so that a sequence
            gives the same whatever it is padded to; false is what published results were obtained
            with, where padding is a token like any other.
        pool_segments: Equal parts of the sequence that a classifier pools one by one; the head
            scores them side by side, so that it matters where along the sequence something is.
            More than 1 needs the pooling strategy "mean".
        kmers: Bases of the longest words of a classifier's k-mer term, a linear model of
            composition that is added to its logits; 0 for none.
        kmer_strands: Strands whose words count: 2 where both say the same.
        effect_antisymmetric: Whether exchanging REF and ALT only changes the sign of what a
            variant-effect model says, as of a log fold change.
        effect_hidden: Width of the hidden layer of its head; None for a linear head.
    """

    d_model: int = 256
    n_layer: int = 4
    vocab_size: int = 12
    pad_vocab_size_multiple: int = 8
    pad_token_id: int | None = PAD_TOKEN_ID
    tie_word_embeddings: bool = True
    mixer: dict[str, Any] | None = None
    objective: Objective | None = None
    training_length: int | None = None
    conjoin_train: bool = False
    conjoin_eval: bool = False
    mask_padding: bool = False
    pool_segments: int = 1
    kmers: int = 0
    kmer_strands: int = 1
    effect_antisymmetric: bool = False
    effect_hidden: int | None = None

    attribute_map: ClassVar[dict[str, str]] = {
        "hidden_size": "d_model",
        "num_hidden_layers": "n_layer",
    }

    def __init__(self, **options: Any) -> None:
        kinds = self.kinds()
        hub = {key: value for key, value in options.items() if key not in kinds}
        strangers = (key for key in hub if key not in _hub_keys() and not key.startswith("_"))
        reject_unknown(f"a {self.model_type} model", strangers, kinds)
        for name in kinds:
            setattr(self, name, options.get(name, getattr(type(self), name)))
        for key in ("auto_map", "model_type"):
            hub.pop(key, None)
        super().__init__(**hub)
        self.resolve()
        self.check()

    def __setattr__(self, key: str, value: Any) -> None:
        name = self.attribute_map.get(key, key)
        if (kind := self.kinds().get(name)) is not None:
            check_type(f"a {self.model_type} model", name, value, kind)
        super().__setattr__(key, value)  # type: ignore[no-untyped-call]  # transformers' own

    @classmethod
    @cache
    def kinds(cls) -> dict[str, Any]:
        """Name of every option of this family to its type."""
        family = [base for base in reversed(cls.__mro__) if issubclass(base, GenolmConfig)]
        kinds: dict[str, Any] = {}
        for base in family:
            kinds |= vars(base).get("__annotations__", {})
        return {name: kind for name, kind in kinds.items() if get_origin(kind) is not ClassVar}

    def resolve(self) -> None:
        """Fill in what follows from other options."""
        if self.pad_token_id is None:
            self.pad_token_id = PAD_TOKEN_ID

    def check(self) -> None:
        """Refuse options that cannot stand together.

        Raises:
            ValueError: Naming the options and the fix.
        """
        positive = ("d_model", "n_layer", "vocab_size", "pad_vocab_size_multiple", "pool_segments")
        for name in positive:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.effect_hidden is not None and self.effect_hidden < 1:
            raise ValueError(f"effect_hidden must be 1 or more, or null, got {self.effect_hidden}")
        if self.conjoin_train and self.conjoin_eval:
            raise ValueError("conjoin_train and conjoin_eval exclude each other: set one of them")
        if self.pool_segments > 1 and getattr(self, "pooling_strategy", "mean") != "mean":
            raise ValueError(f"pool_segments {self.pool_segments} needs pooling_strategy: mean")
        if not 0 <= self.kmers <= MOST_KMERS:
            raise ValueError(f"kmers must be 0 (none) to {MOST_KMERS}, got {self.kmers}")
        if self.kmer_strands not in (1, 2):
            raise ValueError(f"kmer_strands must be 1 or 2, got {self.kmer_strands}")
        self.mixer_config()

    def mixer_config(self) -> MixerConfig:
        """The mixer of every block."""
        raise NotImplementedError

    @property
    def causal(self) -> bool:
        """Whether no position sees a later one."""
        raise NotImplementedError

    @property
    def padded_vocab_size(self) -> int:
        """Rows of the embedding: vocab_size, rounded up."""
        multiple = self.pad_vocab_size_multiple
        return -(-self.vocab_size // multiple) * multiple


@cache
def _hub_keys() -> frozenset[str]:
    return HUB_KEYS | set(GenerationConfig().to_dict())


def maximum_length(config: GenolmConfig) -> int | None:
    """The longest sequence, in tokens, that a model of this config takes; None for no limit."""
    return config.mixer_config().max_length
