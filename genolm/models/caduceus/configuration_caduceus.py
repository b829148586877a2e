"""Config of Caduceus, and of the plain Mamba that it is with `bidirectional: false`."""

from typing import Any, ClassVar

from genolm.mixers import Merge, MixerConfig, parse_mixer
from genolm.models.configuration import GenolmConfig, PoolingStrategy
from genolm.modules.options import reject_unknown

# A and T, C and G; every other token is its own complement.
DNA_COMPLEMENT = {7: 10, 8: 9, 9: 8, 10: 7}

INITIALIZER_DEFAULTS: dict[str, float] = {
    "initializer_range": 0.02,
    "rescale_prenorm_residual": True,
    "n_residuals_per_layer": 1,
}


class CaduceusConfig(GenolmConfig):
    """Options of a Caduceus model; the defaults are those of the released models.

    Attributes:
        ssm_cfg: Options of the Mamba mixers.
        rms_norm: RMSNorm, else LayerNorm.
        residual_in_fp32: Kept for old files; the residual stream is float32 at least in any case.
        fused_add_norm: In equivariant models, whether the strands change places in every block, as
            in all released ones. It makes no difference to the others.
        norm_epsilon: Added to the norm's mean square.
        initializer_cfg: initializer_range, rescale_prenorm_residual, n_residuals_per_layer.
        bidirectional: Whether a second mixer reads backwards; false gives a plain Mamba.
        bidirectional_strategy: How the two directions are merged.
        bidirectional_weight_tie: Whether they share the projections in and out.
        rcps: Whether the model is reverse-complement equivariant (Caduceus-PS).
        complement_map: Token id to the id of its complement; others are their own.
        pooling_strategy: How a classifier pools the sequence.
        oriented_head: Whether the classifier of an equivariant model scores what reads each strand
            with weights of its own, for labels that depend on the strand; else their scores are
            averaged, and the strand makes no difference.
    """

    model_type = "caduceus"

    ssm_cfg: dict[str, Any] | None = None
    rms_norm: bool = True
    residual_in_fp32: bool = False
    fused_add_norm: bool = True
    norm_epsilon: float = 1e-5
    initializer_cfg: dict[str, Any] | None = None
    bidirectional: bool = True
    bidirectional_strategy: Merge | None = "add"
    bidirectional_weight_tie: bool = True
    rcps: bool = False
    complement_map: dict[int, int] | None = None
    pooling_strategy: PoolingStrategy = "mean"
    oriented_head: bool = False

    keys_to_ignore_at_inference: ClassVar[list[str]] = ["hidden_states"]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def resolve(self) -> None:
        """Round the vocabulary up and complete the complement map."""
        super().resolve()
        self.vocab_size = self.padded_vocab_size
        # Files sort the keys of the map as text, so the order in the file means nothing.
        try:
            given = {int(key): int(value) for key, value in (self.complement_map or {}).items()}
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"complement_map must map token ids to token ids, got {self.complement_map}"
            ) from error
        known = given or DNA_COMPLEMENT
        self.complement_map = {index: known.get(index, index) for index in range(self.vocab_size)}
        self.bidirectional_strategy = self.bidirectional_strategy or "add"

    def check(self) -> None:
        """Refuse maps that are no complement, and options of parts that are not used."""
        super().check()
        complement = self.complement
        if any(not 0 <= other < self.vocab_size for other in complement):
            raise ValueError(f"complement_map leaves the vocabulary of {self.vocab_size} tokens")
        if any(complement[other] != index for index, other in enumerate(complement)):
            raise ValueError("complement_map must be its own inverse")
        if self.mixer is not None and self.ssm_cfg:
            raise ValueError("ssm_cfg belongs to the default mixer: give its options in mixer")
        if self.oriented_head and not self.rcps:
            raise ValueError(
                "oriented_head belongs to equivariant models (rcps: true): others tell the strands "
                "apart as they are"
            )
        reject_unknown("initializer_cfg", self.initializer_cfg or {}, INITIALIZER_DEFAULTS)

    @property
    def complement(self) -> tuple[int, ...]:
        """The complement of every token id, in order of the ids."""
        table = self.complement_map or {}
        return tuple(table[index] for index in range(self.vocab_size))

    @property
    def initializer(self) -> dict[str, float]:
        """initializer_cfg, completed."""
        return {**INITIALIZER_DEFAULTS, **(self.initializer_cfg or {})}

    @property
    def causal(self) -> bool:
        """Whether no position sees a later one: one direction, one strand, a causal mixer."""
        return not self.bidirectional and not self.rcps and self.mixer_config().causal

    def mixer_config(self) -> MixerConfig:
        """The mixer of every block; Mamba with the options of ssm_cfg unless one is named."""
        if self.mixer is not None:
            return parse_mixer(self.mixer)
        options = dict(self.ssm_cfg or {})
        # A switch between implementations of the original, without effect on results.
        options.pop("use_fast_path", None)
        return parse_mixer({"name": "mamba", **options})
