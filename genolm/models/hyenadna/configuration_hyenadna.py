"""Config of HyenaDNA, named as in the published Hugging Face folders."""

from typing import Any, ClassVar, Literal

from genolm.mixers import MixerConfig, parse_mixer
from genolm.models.configuration import GenolmConfig, PoolingStrategy


class HyenaDNAConfig(GenolmConfig):
    """Options of a HyenaDNA model.

    Attributes:
        d_inner: Width of the MLP; None is 4 d_model.
        max_seq_len: Longest sequence, in tokens; the filters' positions are measured in it.
        emb_dim: Position features of the filters.
        hyena_order: Number of gates.
        short_filter_order: Taps of the short convolution.
        filter_order: Width of the network that computes the filters.
        num_inner_mlps: Its hidden layers.
        activation_freq: Frequency of its sines at the start.
        train_freq: Whether the frequencies are trained.
        modulation_shift: Floor of the filters' window: 0.05 for the published weights.
        layer_norm_epsilon: Of the final norm; blocks always use 1e-5, as the published port does.
        initializer_range: Standard deviation of fresh weights.
        use_bias: Kept for old files, without effect, as in the original.
        embed_dropout: Kept for old files, without effect, as in the published port.
        hyena_dropout: The same.
        hyena_filter_dropout: The same.
        pooling_strategy: How a classifier pools the sequence; "before_pad" reads the position
            before the first padding token, or the last one, as the published port does.
    """

    model_type = "hyenadna"

    d_inner: int | None = None
    max_seq_len: int = 1026
    emb_dim: int = 5
    hyena_order: int = 2
    short_filter_order: int = 3
    filter_order: int = 64
    num_inner_mlps: int = 2
    activation_freq: float = 10
    train_freq: bool = True
    modulation_shift: float = 0.05
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    use_bias: bool = True
    embed_dropout: float = 0.1
    hyena_dropout: float = 0.0
    hyena_filter_dropout: float = 0.0
    tie_word_embeddings: bool = False
    pooling_strategy: PoolingStrategy | Literal["before_pad"] = "before_pad"

    # Read by whoever treats all families alike.
    rcps: ClassVar[bool] = False
    oriented_head: ClassVar[bool] = False
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["hidden_states"]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def resolve(self) -> None:
        """Derive the MLP's width."""
        super().resolve()
        if self.d_inner is None:
            self.d_inner = 4 * self.d_model

    @property
    def causal(self) -> bool:
        """Whether no position sees a later one."""
        return self.mixer_config().causal

    def mixer_config(self) -> MixerConfig:
        """The mixer of every block; Hyena with this config's options unless one is named."""
        if self.mixer is not None:
            return parse_mixer(self.mixer)
        return parse_mixer(
            {
                "name": "hyena",
                "l_max": self.max_seq_len,
                "order": self.hyena_order,
                "filter_order": self.filter_order,
                "emb_dim": self.emb_dim,
                "w": self.activation_freq,
                "num_inner_mlps": self.num_inner_mlps,
                "short_filter_order": self.short_filter_order,
                "shift": self.modulation_shift,
                "train_freq": self.train_freq,
            }
        )
