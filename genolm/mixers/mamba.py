"""Mamba-1 (Gu and Dao 2023, algorithm 2): a selective state space behind a short convolution."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from genolm.mixers.mixer import Mixer, MixerConfig
from genolm.modules.initial import set_initial_values
from genolm.modules.linear import Linear
from genolm.modules.precision import at_least_float32
from genolm.modules.short_conv import ShortConv
from genolm.parallel import bidirectional_scan, refuse_slices, selective_scan
from genolm_kernels import ScanInputs, causal_conv1d_step, selective_scan_step
from genolm_kernels import selective_scan as scan_from


@dataclass(frozen=True, kw_only=True)
class MambaConfig(MixerConfig):
    """Options of a Mamba mixer, named as in the original's `ssm_cfg`.

    Attributes:
        d_state: Size of the state of each channel.
        d_conv: Taps of the short convolution.
        expand: Inner channels per model channel.
        dt_rank: Rank of the step size's projection; "auto" is d_model / 16, rounded up.
        conv_bias: Whether the short convolution has a bias.
        bias: Whether the projections in and out have biases.
        dt_min: Smallest step size drawn at the start.
        dt_max: Largest step size drawn at the start.
        dt_init: How the weight of the step size's projection is drawn.
        dt_scale: Scale of that weight.
        dt_init_floor: Floor of the step sizes drawn at the start.
    """

    d_state: int = 16
    d_conv: int = 4
    expand: int = 2
    dt_rank: int | Literal["auto"] = "auto"
    conv_bias: bool = True
    bias: bool = False
    dt_min: float = 1e-3
    dt_max: float = 0.1
    dt_init: Literal["random", "constant"] = "random"
    dt_scale: float = 1.0
    dt_init_floor: float = 1e-4

    name: ClassVar[str] = "mamba"
    causal: ClassVar[bool] = True

    def build(self, d_model: int) -> "Mamba":
        """Make a Mamba mixer for d_model channels."""
        return Mamba(self, d_model)

    def rank(self, d_model: int) -> int:
        """Rank of the step size's projection for d_model channels."""
        return math.ceil(d_model / 16) if isinstance(self.dt_rank, str) else self.dt_rank


@dataclass(frozen=True)
class MambaState:
    """All that a Mamba mixer remembers of a sequence, whatever its length.

    Attributes:
        window: The last inputs of the short convolution (batch, d_conv - 1, d_inner).
        ssm: State of the scan (batch, d_inner, d_state), in float32 at least.
    """

    window: Tensor
    ssm: Tensor


class Mamba(Mixer):
    """The mixer; its state-dict keys are those of the original module.

    Args:
        config: Options.
        d_model: Number of channels.
    """

    def __init__(self, config: MambaConfig, d_model: int) -> None:
        super().__init__()
        inner, rank = config.expand * d_model, config.rank(d_model)
        self.sizes = (rank, config.d_state, config.d_state)
        self.in_proj = Linear(d_model, 2 * inner, bias=config.bias)
        self.conv1d = ShortConv(inner, config.d_conv, bias=config.conv_bias, activation="silu")
        self.x_proj = Linear(inner, sum(self.sizes), bias=False)
        self.dt_proj = StepProjection(rank, inner, config)
        self.A_log = nn.Parameter(torch.empty(inner, config.d_state))
        self.D = nn.Parameter(torch.empty(inner))
        self.out_proj = Linear(inner, d_model, bias=config.bias, writes_residual=True)
        set_initial_values(self)

    def core(self, projected: Tensor, *, reverse: bool = False) -> Tensor:
        """Convolve, scan and gate: (batch, length, 2 d_inner) to (batch, length, d_inner)."""
        x, z = projected.chunk(2, dim=-1)
        u, delta, A, B, C, D, bias = self._scan_inputs(x, reverse)
        return selective_scan(u, delta, A, B, C, D, z, bias, delta_softplus=True, reverse=reverse)

    def core_from(
        self, projected: Tensor, state: MambaState | None = None, *, reverse: bool = False
    ) -> tuple[Tensor, MambaState]:
        """Do what `core` does for the rest of sequences whose beginning was read before.

        Args:
            projected: Output of in_proj (batch, length, 2 d_inner); length may be 0.
            state: What is remembered of the positions read before; None for nothing.
            reverse: Whether to read from the last position to the first; the state is then of
                the positions to the right.

        Returns:
            Input of out_proj (batch, length, d_inner), and the state after the last position read.
        """
        refuse_slices("reading on where a sequence was left")
        state = self.initial_state(len(projected)) if state is None else state
        x, z = projected.chunk(2, dim=-1)
        if not x.shape[1]:
            return x, state
        u, window = self._convolve_from(x, state.window, reverse)
        u, delta, A, B, C, D, bias = self._scan_convolved(u)
        y, ssm = scan_from(
            *(u, delta, A, B, C, D, z, bias),
            delta_softplus=True,
            reverse=reverse,
            initial_state=state.ssm,
            return_last_state=True,
        )
        return y, MambaState(window, ssm)

    def resume(
        self,
        x: Tensor,
        state: MambaState | None = None,
        *,
        reverse: bool = False,
        mirrored: bool = False,
    ) -> tuple[Tensor, MambaState]:
        """Do what `forward` does for the rest of sequences whose beginning was read before.

        Args:
            x: The positions that follow (batch, length, d_model); with `reverse`, those on the
                left of the ones read before.
            state: What is remembered of the positions read before; None for nothing.
            reverse: Whether to read from the last position to the first.
            mirrored: Whether the channels of x and of the result are in the opposite order.

        Returns:
            (batch, length, d_model), and the state after the last position read.
        """
        mixed, state = self.core_from(self.project_in(x, mirrored=mirrored), state, reverse=reverse)
        return self.project_out(mixed, mirrored=mirrored), state

    def core_both_ways(self, other: Self, projected: Tensor, *, reverse: bool = False) -> Tensor:
        """Both scans at once; they share the gate, whose product with their sum is one."""
        x, z = projected.chunk(2, dim=-1)
        ways = (self._scan_inputs(x, reverse), other._scan_inputs(x, not reverse))
        first, second = reversed(ways) if reverse else ways
        both: Tensor = bidirectional_scan(first, second, z, delta_softplus=True)
        return both

    def _scan_inputs(self, x: Tensor, reverse: bool) -> ScanInputs:
        return self._scan_convolved(self.conv1d(x, reverse=reverse))

    def _convolve_from(self, x: Tensor, window: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
        """Convolve x, some positions of which see the inputs before it; and the inputs last read.

        Only as many positions as the filter looks back are convolved a second time.
        """
        seen, length = window.shape[1], x.shape[1]
        u: Tensor = self.conv1d(x, reverse=reverse)
        if not seen:
            return u, window
        near = x[:, max(0, length - seen) :] if reverse else x[:, :seen]
        joined = torch.cat((near, window.flip(1)) if reverse else (window, near), dim=1)
        again = self.conv1d(joined, reverse=reverse)
        if reverse:
            u[:, -near.shape[1] :] = again[:, : near.shape[1]]
            last = x[:, :seen].flip(1)
        else:
            u[:, : near.shape[1]] = again[:, seen:]
            last = x[:, max(0, length - seen) :]
        return u, torch.cat((window[:, last.shape[1] :], last), dim=1)

    def _scan_convolved(self, u: Tensor) -> ScanInputs:
        dt, B, C = self.x_proj(u).split(self.sizes, dim=-1)
        return ScanInputs(
            u,
            self.dt_proj(dt),
            -torch.exp(at_least_float32(self.A_log)),
            B,
            C,
            at_least_float32(self.D),
            at_least_float32(self.dt_proj.bias),
        )

    def initial_values(self) -> dict[str, Tensor]:
        """A = -1, -2, ..., -d_state in every channel (S4D-Real), D = 1."""
        inner, d_state = self.A_log.shape
        steps = torch.arange(1, d_state + 1, dtype=torch.float64)
        return {"A_log": steps.log().expand(inner, d_state), "D": torch.ones(inner)}

    def initial_state(self, batch: int) -> MambaState:
        """What is remembered before the first position, of that many sequences: nothing."""
        inner, _, width = self.conv1d.weight.shape
        return MambaState(
            window=self.conv1d.weight.new_zeros(batch, width - 1, inner),
            ssm=at_least_float32(self.A_log.new_zeros(batch, *self.A_log.shape)),
        )

    def step(self, x: Tensor, state: MambaState) -> tuple[Tensor, MambaState]:
        """Take one position of sequences that `forward` would take whole, in constant memory.

        Args:
            x: The next position (batch, d_model).
            state: What is remembered of those before it.

        Returns:
            The output at this position (batch, d_model), and the state with it included.
        """
        u, z = self.in_proj(x).chunk(2, dim=-1)
        taps = self.conv1d.weight.squeeze(1)
        u, window = causal_conv1d_step(
            state.window, u, taps, self.conv1d.bias, activation=self.conv1d.activation
        )
        dt, B, C = self.x_proj(u).split(self.sizes, dim=-1)
        y, ssm = selective_scan_step(
            state.ssm,
            u,
            self.dt_proj(dt),
            -torch.exp(at_least_float32(self.A_log)),
            B,
            C,
            at_least_float32(self.D),
            z,
            at_least_float32(self.dt_proj.bias),
            delta_softplus=True,
        )
        return self.out_proj(y), MambaState(window, ssm)


class StepProjection(Linear):
    """The step size's low-rank projection; the scan adds the bias, in float32.

    Args:
        rank: Size of the input.
        inner: Number of inner channels.
        config: Options that say how weight and bias are drawn.
    """

    def __init__(self, rank: int, inner: int, config: MambaConfig) -> None:
        super().__init__(rank, inner)
        self.config = config
        set_initial_values(self)

    def forward(self, input: Tensor) -> Tensor:
        """Project (batch, length, rank) to (batch, length, d_inner), without the bias."""
        return self.multiply(input)

    def initial_values(self) -> dict[str, Tensor]:
        """Weights of scale 1/sqrt(rank); biases whose softplus is log-uniform over step sizes."""
        config, (inner, rank) = self.config, self.weight.shape
        scale = config.dt_scale / math.sqrt(rank)
        weight = torch.full((inner, rank), scale)
        if config.dt_init == "random":
            weight = weight.uniform_(-scale, scale)
        low, high = math.log(config.dt_min), math.log(config.dt_max)
        step = torch.exp(torch.rand(inner) * (high - low) + low).clamp(min=config.dt_init_floor)
        # The inverse of softplus, in the form that keeps small steps exact.
        return {"weight": weight, "bias": step + torch.log(-torch.expm1(-step))}
