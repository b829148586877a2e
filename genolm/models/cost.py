"""What a model costs, counted from its config: floating-point operations and bytes for one token.

Counted are matrix products of linear layers, short convolutions, scans and Fourier transforms, a
multiplication and an addition as two operations, an exponential as one. What is done once at each
channel around them (norms, activations, gates, the residual's addition) is a thousandth of it and
left out, and so is anything that is computed twice to save memory: these are the operations of the
model, not of an implementation, as the utilisation of Chowdhery et al. 2022 (PaLM, appendix B)
wants them. A backward pass does twice the work of the forward one where it gives the gradients of
inputs and of weights; exceptions say so.

Bytes are those that cross the memory if every operator reads its inputs and writes its outputs
once, in float32; the backward pass reads inputs and the outputs' gradients and writes the inputs'.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from genolm.mixers import MixerConfig
from genolm.mixers.duality import DualityConfig
from genolm.mixers.hyena import HyenaConfig
from genolm.mixers.mamba import MambaConfig
from genolm.models.caduceus.configuration_caduceus import CaduceusConfig
from genolm.models.configuration import GenolmConfig

Kind = Literal["linear", "convolution", "scan", "fourier", "none"]

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Operator:
    """One operator of a model, for one token.

    Attributes:
        kind: What it is.
        forward: Floating-point operations of the forward pass.
        backward: Those of the backward pass.
        inputs: Numbers it reads.
        outputs: Numbers it writes.
    """

    kind: Kind
    forward: float
    backward: float
    inputs: float
    outputs: float

    def times(self, count: float) -> "Operator":
        """Return as many of it."""
        scaled = (self.forward, self.backward, self.inputs, self.outputs)
        return Operator(self.kind, *(count * value for value in scaled))


@dataclass(frozen=True)
class Cost:
    """What one token costs.

    Attributes:
        operators: Of the whole model.
    """

    operators: tuple[Operator, ...]

    @property
    def forward_flops(self) -> float:
        """Floating-point operations of the forward pass."""
        return sum(operator.forward for operator in self.operators)

    @property
    def training_flops(self) -> float:
        """Floating-point operations of the forward and the backward pass."""
        return self.forward_flops + sum(operator.backward for operator in self.operators)

    @property
    def forward_bytes(self) -> float:
        """Bytes that the forward pass reads and writes."""
        return FLOAT_BYTES * sum(one.inputs + one.outputs for one in self.operators)

    @property
    def training_bytes(self) -> float:
        """Bytes that the forward and the backward pass read and write."""
        backward = sum(2 * one.inputs + one.outputs for one in self.operators)
        return self.forward_bytes + FLOAT_BYTES * backward

    def of_kind(self, kind: Kind) -> "Cost":
        """Return the part of one kind of operator."""
        return Cost(tuple(one for one in self.operators if one.kind == kind))


def count_cost(
    config: GenolmConfig, length: int, *, batch_size: int = 1, head: bool = True
) -> Cost:
    """Count what one token costs.

    Args:
        config: Of the model.
        length: Tokens of a sequence.
        batch_size: Sequences of a batch; they share what depends on no sequence (Hyena's filters).
        head: Whether a language head reads every position.

    Returns:
        The cost of one token of such a batch.
    """
    strands = 2 if getattr(config, "rcps", False) else 1
    block = _block(config, length, strands * batch_size)
    operators = [operator.times(strands * config.n_layer) for operator in block]
    operators.append(_norm(config.d_model).times(strands))
    if head:
        operators.append(_linear(strands * config.d_model, config.padded_vocab_size))
    return Cost(tuple(operators))


def _block(config: GenolmConfig, length: int, rows: int) -> Iterator[Operator]:
    d_model, mixer = config.d_model, config.mixer_config()
    count, parts = MIXER_COSTS[mixer.name], _Parts(mixer, d_model, length, rows)
    yield _norm(d_model)
    if isinstance(config, CaduceusConfig):
        yield from _directions(config, list(count(parts)))
        return
    yield from count(parts)
    inner = getattr(config, "d_inner", None) or 4 * d_model
    yield from (_norm(d_model), _linear(d_model, inner), _linear(inner, d_model))


def _directions(config: CaduceusConfig, operators: list[Operator]) -> Iterator[Operator]:
    """Yield a mixer's operators (the first projects in, the last out) as often as they run."""
    if not config.bidirectional:
        yield from operators
        return
    tied = config.bidirectional_weight_tie
    # A sum is projected once where both directions share the projection.
    outs = 1 if tied and config.bidirectional_strategy != "ew_multiply" else 2
    yield operators[0].times(1 if tied else 2)
    yield from (operator.times(2) for operator in operators[1:-1])
    yield operators[-1].times(outs)


@dataclass(frozen=True)
class _Parts:
    """What the operators of one mixer follow from."""

    mixer: MixerConfig
    d_model: int
    length: int
    rows: int  # of the batch, each strand by itself


def _mamba(parts: _Parts) -> Iterator[Operator]:
    mixer, d_model = parts.mixer, parts.d_model
    assert isinstance(mixer, MambaConfig)
    inner, rank, state = mixer.expand * d_model, mixer.rank(d_model), mixer.d_state
    yield _linear(d_model, 2 * inner)
    yield _convolution(inner, mixer.d_conv)
    yield _linear(inner, rank + 2 * state)
    yield _linear(rank, inner)
    # For each number of the state: its decay (a product, an exponential), what comes in (a
    # product), the recurrence and the reading (two each).
    yield _scan(7 * inner * state, 3 * inner + 2 * state, inner)
    yield _linear(inner, d_model)


def _duality(parts: _Parts) -> Iterator[Operator]:
    mixer, d_model = parts.mixer, parts.d_model
    assert isinstance(mixer, DualityConfig)
    inner, state = mixer.expand * d_model, mixer.d_state
    heads, matrix = mixer.heads(d_model), mixer.ngroups * mixer.d_state
    ways = 1 if mixer.causal else 2
    convolved = inner + 2 * ways * matrix
    yield _linear(d_model, inner + convolved + ways * heads)
    yield _convolution(convolved, mixer.d_conv)
    if not mixer.causal:  # Hydra's skip
        yield _linear(inner, heads)
    # The decay is one number for a head: the state costs a product less and no exponential.
    yield _scan(5 * inner * state, inner + 2 * matrix + heads, inner).times(ways)
    yield _linear(inner, d_model)


def _hyena(parts: _Parts) -> Iterator[Operator]:
    mixer, d_model = parts.mixer, parts.d_model
    assert isinstance(mixer, HyenaConfig)
    filters, width = (mixer.order - 1) * d_model, mixer.filter_order
    yield _linear(d_model, (mixer.order + 1) * d_model)
    yield _convolution((mixer.order + 1) * d_model, mixer.short_filter_order)
    shared = 1 / parts.rows
    first = _linear(mixer.emb_dim, width)
    # Nobody asks for the gradient of the positions.
    yield replace(first, backward=first.forward).times(shared)
    yield _linear(width, width).times(mixer.num_inner_mlps * shared)
    yield _linear(width, filters).times(shared)
    yield _fourier(filters, parts.length, shared)
    yield _linear(d_model, d_model)


MIXER_COSTS: dict[str, Callable[[_Parts], Iterator[Operator]]] = {
    "hydra": _duality,
    "hyena": _hyena,
    "mamba": _mamba,
    "mamba2": _duality,
}


def _linear(inputs: int, outputs: int) -> Operator:
    return Operator("linear", 2 * inputs * outputs, 4 * inputs * outputs, inputs, outputs)


def _convolution(channels: int, taps: int) -> Operator:
    return Operator("convolution", 2 * channels * taps, 4 * channels * taps, channels, channels)


def _scan(operations: float, inputs: int, outputs: int) -> Operator:
    return Operator("scan", operations, 2 * operations, inputs, outputs)


def _fourier(channels: int, length: int, shared: float) -> Operator:
    """Count long convolutions by real transforms of twice the length: 2.5 n log2 n each.

    Forward: input, filter (shared by the batch) and output are transformed, one complex product
    (six operations) for every position. Backward: the gradients of output, input and (summed over
    the batch) filter, and two products of which one is summed.
    """
    transform = 5 * math.log2(2 * length)
    forward = (2 + shared) * transform + 6
    backward = (2 + shared) * transform + 14
    inputs = (2 + shared) * channels
    return Operator("fourier", channels * forward, channels * backward, inputs, channels)


def _norm(channels: int) -> Operator:
    """Adding to the residual and normalising: bytes alone are counted."""
    return Operator("none", 0, 0, 2 * channels, 2 * channels)
