"""Long convolution on the GPU: transforms as products of small matrices (`monarch.py`).

Sequences lie channels-last, so that of a matrix (n1, n2) of positions every row is (n2, channels)
numbers in a row: F1 meets all columns of all channels in one product (`enter`), and F2 the channels
of one row (`along`), without turning anything. Gates multiply on the way in and out, spectra and
factors on the way through; back, `along` and then `leave`. float32 is multiplied as three products
of TF32, half precision as one; what lies between the launches is float32.

Longer sequences go through cuFFT, tile by tile (`tiles.py`). Backwards, with V, K and G the spectra
of v = u gate_in, k and g = dy gate_out,

    dv ~ G conj(K) + d G,    dgate_out = dy c,    dk ~ sum over sequences of G conj(V),

by the same kernels; dd is the gradient of the first tap. Nothing here was timed on a GPU yet.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from genolm_kernels._triton import Compilation
from genolm_kernels.fft_conv import tiles
from genolm_kernels.fft_conv.monarch import SIDES, Plan, crossed, plan_for
from genolm_kernels.fft_conv.prepared import register_prepared_gradients
from genolm_kernels.fft_conv.spectrum import RFFT, FilterSpectrum, compute_dtype, rfft_spectrum
from genolm_kernels.fft_conv.tiles import Gradients, Sequences

EXACT, FAST = "tf32x3", "tf32"  # for float32, and for half precision
MOST_ROWS = 64  # of a product that one program makes
COLUMNS = 64  # of it: positions and channels
FEWER_COLUMNS = 32  # where a program keeps two parts of two factors: channels
TERMS = {EXACT: 16, FAST: 32}  # of its sums, that are read at a time
LAUNCH = {"num_warps": 4, "num_stages": 2}


def triton_fft_conv(
    u: Tensor,
    k: Tensor | FilterSpectrum,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
) -> Tensor:
    """Convolve; arguments as in `genolm_kernels.fft_conv`.

    Returns:
        y (batch, length, channels) in u's type, computed in float32.
    """
    y: Tensor
    if isinstance(k, FilterSpectrum):
        y = _prepared(u, k.values, d, gate_in, gate_out, reverse, k.size, k.layout)
    else:
        y = _conv(u, k, d, gate_in, gate_out, reverse)
    return y


def prepare(k: Tensor, length: int) -> FilterSpectrum:
    """Transform filters (length_k, channels) for inputs of up to `length` steps."""
    plan = plan_for(length, k.device)
    if plan is None:
        return rfft_spectrum(k, length)
    values = _spectrum(plan, k[None, :length], None, EXACT).squeeze(0)
    return FilterSpectrum(values, k.shape[1], length, plan.n1 * plan.n2, plan.layout)


@torch.library.custom_op("genolm::fft_conv_triton", mutates_args=())
def _conv(
    u: Tensor,
    k: Tensor,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
) -> Tensor:
    x = Sequences(u, d, gate_in, gate_out, reverse)
    plan = plan_for(u.shape[1], u.device)
    if plan is None:
        return tiles.convolve(x, k)
    return _convolve(plan, x, _spectrum(plan, k[None, : u.shape[1]], None, EXACT))


@_conv.register_fake
def _conv_fake(
    u: Tensor,
    k: Tensor,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
) -> Tensor:
    return u.new_empty(u.shape)


@torch.library.custom_op("genolm::fft_conv_triton_backward", mutates_args=())
def _conv_backward(
    u: Tensor,
    k: Tensor,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
    dy: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    x = Sequences(u, d, gate_in, gate_out, reverse)
    plan = plan_for(u.shape[1], u.device)
    return tiles.backward(x, k, dy) if plan is None else _backward(plan, x, k, dy)


@_conv_backward.register_fake
def _conv_backward_fake(
    u: Tensor,
    k: Tensor,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
    dy: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    dd = u.new_empty(u.shape[2], dtype=compute_dtype(u, k) if d is None else d.dtype)
    gates = (gate_in, gate_out)
    d_in, d_out = (u.new_empty(0) if g is None else g.new_empty(g.shape) for g in gates)
    return u.new_empty(u.shape), k.new_empty(k.shape), dd, d_in, d_out


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.reverse = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    tensors = ctx.saved_tensors
    found = _conv_backward(*tensors, ctx.reverse, dy)
    pairs = zip(found, tensors, strict=True)
    return *(None if tensor is None else gradient for gradient, tensor in pairs), None


_conv.register_autograd(_differentiate, setup_context=_keep_inputs)


@torch.library.custom_op("genolm::fft_conv_prepared_triton", mutates_args=())
def _prepared(
    u: Tensor,
    spectrum: Tensor,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
    size: int,
    layout: str,
) -> Tensor:
    x = Sequences(u, d, gate_in, gate_out, reverse)
    if layout == RFFT:
        return tiles.convolve_prepared(x, spectrum, size)
    plan = plan_for(size, u.device)
    assert plan is not None
    return _convolve(plan, x, spectrum)


@_prepared.register_fake
def _prepared_fake(
    u: Tensor,
    spectrum: Tensor,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
    size: int,
    layout: str,
) -> Tensor:
    return u.new_empty(u.shape)


register_prepared_gradients(_prepared)


class Side(NamedTuple):
    """A sequence as kernels see it: channels side by side, and its steps in numbers."""

    tensor: Tensor
    batch: int
    step: int


def _side(x: Tensor) -> Side:
    x = x if x.stride(2) == 1 else x.contiguous()
    return Side(x, x.stride(0), x.stride(1))


def _terms(side: int, precision: str) -> int:
    return min(side, TERMS[precision])


def _precision(*tensors: Tensor | None) -> str:
    exact = any(t is not None and t.dtype == torch.float32 for t in tensors)
    return EXACT if exact else FAST


def _spectrum(plan: Plan, x: Tensor, gate: Tensor | None, precision: str) -> Tensor:
    """Spectra (batch, 2, n1, n2, channels) of x (batch, length, channels) times its gate."""
    batch, length, channels = x.shape
    middle = torch.empty(batch, 2, plan.n1, plan.n2, channels, device=x.device)
    if not middle.numel():
        return middle
    sides = [_side(t) for t in (x, x if gate is None else gate)]
    rows = min(plan.n1, MOST_ROWS)
    grid = (plan.n1 // rows, triton.cdiv(plan.n2 * channels, COLUMNS), batch)
    with torch.cuda.device_of(x):
        enter[grid](
            *(side.tensor for side in sides),
            middle,
            plan.first,
            length,
            channels,
            *(step for side in sides for step in side[1:]),
            N1=plan.n1,
            N2=plan.n2,
            GATE=gate is not None,
            PRECISION=precision,
            ROWS=rows,
            COLUMNS=COLUMNS,
            TERMS=_terms(plan.n1, precision),
            **LAUNCH,
        )
    return _along(plan, middle, None, None, conjugate=False, precision=precision)


def _along(
    plan: Plan,
    x: Tensor,
    spectrum: Tensor | None,
    d: Tensor | None,
    *,
    conjugate: bool,
    precision: str,
    back: bool = False,
) -> Tensor:
    """Transform the rows of x (batch, 2, n1, n2, channels), or back of x times a spectrum."""
    out = torch.empty_like(x)
    batch, _, n1, n2, channels = x.shape
    if not x.numel():
        return out
    rows = min(n2, MOST_ROWS)
    columns = FEWER_COLUMNS if channels > 16 else 16
    with torch.cuda.device_of(x):
        along[(n1 * (n2 // rows), triton.cdiv(channels, columns), batch)](
            x,
            x if spectrum is None else spectrum,
            x if d is None else d.contiguous(),
            out,
            plan.second,
            plan.factors,
            channels,
            N1=n1,
            N2=n2,
            BACK=back,
            SPECTRUM=spectrum is not None,
            SKIP=d is not None,
            CONJUGATE=conjugate,
            PRECISION=precision,
            ROWS=rows,
            COLUMNS=columns,
            TERMS=_terms(n2, precision),
            **LAUNCH,
        )
    return out


def _leave(
    plan: Plan,
    x: Tensor,
    gates: tuple[Tensor | None, Tensor | None],
    outputs: tuple[Tensor, Tensor | None],
    precision: str,
) -> None:
    """Write the sequences of x (batch, 2, n1, n2, channels), each times its gate."""
    y, other = outputs
    batch, length, channels = y.shape
    if not y.numel():
        return
    sides = [_side(y if gate is None else gate) for gate in gates]
    rows = min(plan.n1, MOST_ROWS)
    grid = (plan.n1 // rows, triton.cdiv(plan.n2 * channels, COLUMNS), batch)
    with torch.cuda.device_of(x):
        leave[grid](
            x,
            *(side.tensor for side in sides),
            y,
            y if other is None else other,
            plan.first,
            length,
            channels,
            *(step for side in sides for step in side[1:]),
            N1=plan.n1,
            N2=plan.n2,
            GATE=gates[0] is not None,
            OTHER=other is not None,
            PRECISION=precision,
            ROWS=rows,
            COLUMNS=COLUMNS,
            TERMS=_terms(plan.n1, precision),
            **LAUNCH,
        )


def _convolve(plan: Plan, x: Sequences, spectrum: Tensor) -> Tensor:
    y = torch.empty(x.u.shape, dtype=x.u.dtype, device=x.u.device)
    precision = _precision(x.u, x.gate_in, x.gate_out)
    inputs = _spectrum(plan, x.u, x.gate_in, precision)
    inner = _along(plan, inputs, spectrum, x.d, conjugate=x.reverse, precision=precision, back=True)
    _leave(plan, inner, (x.gate_out, None), (y, None), precision)
    return y


def _backward(plan: Plan, x: Sequences, k: Tensor, dy: Tensor) -> Gradients:
    length = x.u.shape[1]
    filters = _spectrum(plan, k[None, :length], None, EXACT)
    precision = _precision(x.u, x.gate_in, x.gate_out, dy)
    inputs = _spectrum(plan, x.u, x.gate_in, precision)
    outer = _spectrum(plan, dy, x.gate_out, precision)

    def back(spectrum: Tensor, *, conjugate: bool) -> Tensor:
        return _along(
            plan, spectrum, filters, x.d, conjugate=conjugate, precision=precision, back=True
        )

    du = torch.empty(x.u.shape, dtype=x.u.dtype, device=x.u.device)
    d_in, d_out = (
        x.u.new_empty(0) if gate is None else gate.new_empty(gate.shape)
        for gate in (x.gate_in, x.gate_out)
    )
    gated = x.gate_in is not None
    dv = back(outer, conjugate=not x.reverse)
    _leave(plan, dv, (x.gate_in, x.u if gated else None), (du, d_in if gated else None), precision)
    if x.gate_out is not None:
        inner = back(inputs, conjugate=x.reverse)
        _leave(plan, inner, (dy, None), (d_out, None), precision)
    one, other = (inputs, outer) if x.reverse else (outer, inputs)
    taps = _taps(plan, crossed(one, other), min(length, len(k)), precision)
    dk = torch.zeros_like(k)
    dk[:length] = taps
    dd = taps[0].to(torch.float32 if x.d is None else x.d.dtype, copy=True)
    return Gradients(du, dk, dd, d_in, d_out)


def _taps(plan: Plan, spectrum: Tensor, count: int, precision: str) -> Tensor:
    """The first taps (count, channels) of a spectrum (1, 2, n1, n2, channels)."""
    taps = torch.empty(1, count, spectrum.shape[-1], device=spectrum.device)
    inner = _along(plan, spectrum, None, None, conjugate=False, precision=precision, back=True)
    _leave(plan, inner, (None, None), (taps, None), precision)
    return taps.squeeze(0)


@triton.jit
def at_positions(pointer, step, t1, columns, channels, N2: tl.constexpr):
    """Addresses of positions t1 n2 + t2 for columns (t2, channel)."""
    t = t1 * N2 + columns // channels
    return pointer + t.to(tl.int64) * step + columns % channels


@triton.jit
def enter(
    x_ptr,
    gate_ptr,
    out_ptr,
    first,
    length,
    channels,
    x_batch,
    x_step,
    gate_batch,
    gate_step,
    N1: tl.constexpr,
    N2: tl.constexpr,
    GATE: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    TERMS: tl.constexpr,
):
    """F1 P X for some columns of all channels."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    b = tl.program_id(2).to(tl.int64)
    x_ptr += b * x_batch
    gate_ptr += b * gate_batch
    re = tl.zeros((ROWS, COLUMNS), tl.float32)
    im = tl.zeros((ROWS, COLUMNS), tl.float32)
    for begin in range(0, N1, TERMS):
        t1 = begin + tl.arange(0, TERMS)[:, None]
        # Columns beyond the last one stand for positions beyond the end.
        inside = (t1 * N2 + column // channels < length) & (column < N2 * channels)
        at = at_positions(x_ptr, x_step, t1, column, channels, N2)
        x = tl.load(at, inside, other=0.0).to(tl.float32)
        if GATE:
            at = at_positions(gate_ptr, gate_step, t1, column, channels, N2)
            x *= tl.load(at, inside, other=0.0).to(tl.float32)
        f = first + row * N1 + begin + tl.arange(0, TERMS)[None, :]
        re = tl.dot(tl.load(f), x, re, input_precision=PRECISION)
        im = tl.dot(tl.load(f + N1 * N1), x, im, input_precision=PRECISION)
    part = channels.to(tl.int64) * (N1 * N2)
    out = out_ptr + b * 2 * part + row.to(tl.int64) * (N2 * channels) + column
    tl.store(out, re, column < N2 * channels)
    tl.store(out + part, im, column < N2 * channels)


@triton.jit
def factor(pointer, f1, t2, N1: tl.constexpr, N2: tl.constexpr):
    """Real and imaginary factors of places t2 in row f1."""
    at = pointer + f1 * N2 + t2
    return tl.load(at), tl.load(at + N1 * N2)


@triton.jit
def along(
    x_ptr,
    spectrum_ptr,
    d_ptr,
    out_ptr,
    second,
    factors,
    channels,
    N1: tl.constexpr,
    N2: tl.constexpr,
    BACK: tl.constexpr,
    SPECTRUM: tl.constexpr,
    SKIP: tl.constexpr,
    CONJUGATE: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    TERMS: tl.constexpr,
):
    """One row times F2, for some channels; or, times a spectrum, times F2's conjugate."""
    f1 = tl.program_id(0) // (N2 // ROWS)
    row = (tl.program_id(0) % (N2 // ROWS)) * ROWS + tl.arange(0, ROWS)[:, None]
    c = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    part = channels.to(tl.int64) * (N1 * N2)
    here = f1.to(tl.int64) * N2 * channels
    x_ptr += tl.program_id(2) * 2 * part + here
    out_ptr += tl.program_id(2) * 2 * part + here
    spectrum_ptr += here
    re = tl.zeros((ROWS, COLUMNS), tl.float32)
    im = tl.zeros((ROWS, COLUMNS), tl.float32)
    for begin in range(0, N2, TERMS):
        term = begin + tl.arange(0, TERMS)[:, None]
        at = term * channels + c
        x_re = tl.load(x_ptr + at, c < channels, other=0.0)
        x_im = tl.load(x_ptr + part + at, c < channels, other=0.0)
        if BACK:
            if SPECTRUM:
                w_re = tl.load(spectrum_ptr + at, c < channels, other=0.0)
                w_im = tl.load(spectrum_ptr + part + at, c < channels, other=0.0)
                if CONJUGATE:
                    w_im = -w_im
                if SKIP:
                    w_re += tl.load(d_ptr + c, c < channels, other=0.0).to(tl.float32)
                old = x_re
                x_re = old * w_re - x_im * w_im
                x_im = old * w_im + x_im * w_re
        else:
            w_re, w_im = factor(factors, f1, term, N1, N2)
            old = x_re
            x_re = old * w_re - x_im * w_im
            x_im = old * w_im + x_im * w_re
        f = second + row * N2 + begin + tl.arange(0, TERMS)[None, :]
        f_re = tl.load(f)
        f_im = tl.load(f + N2 * N2)
        if BACK:
            f_im = -f_im
        re = tl.dot(f_re, x_re, re, input_precision=PRECISION)
        re = tl.dot(-f_im, x_im, re, input_precision=PRECISION)
        im = tl.dot(f_re, x_im, im, input_precision=PRECISION)
        im = tl.dot(f_im, x_re, im, input_precision=PRECISION)
    if BACK:
        w_re, w_im = factor(factors, f1, row, N1, N2)
        old = re
        re = old * w_re + im * w_im
        im = im * w_re - old * w_im
    out = out_ptr + row * channels + c
    tl.store(out, re, c < channels)
    tl.store(out + part, im, c < channels)


@triton.jit
def leave(
    x_ptr,
    gate_ptr,
    other_gate_ptr,
    y_ptr,
    other_ptr,
    first,
    length,
    channels,
    gate_batch,
    gate_step,
    other_batch,
    other_step,
    N1: tl.constexpr,
    N2: tl.constexpr,
    GATE: tl.constexpr,
    OTHER: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    TERMS: tl.constexpr,
):
    """The real part of (F1 P)^H W / N for some columns, times a gate; and times another gate."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    b = tl.program_id(2).to(tl.int64)
    part = channels.to(tl.int64) * (N1 * N2)
    x_ptr += b * 2 * part
    y = tl.zeros((ROWS, COLUMNS), tl.float32)
    for begin in range(0, N1, TERMS):
        term = begin + tl.arange(0, TERMS)
        at = term[:, None].to(tl.int64) * (N2 * channels) + column
        x_re = tl.load(x_ptr + at, column < N2 * channels, other=0.0)
        x_im = tl.load(x_ptr + part + at, column < N2 * channels, other=0.0)
        f = first + term[None, :] * N1 + row
        y = tl.dot(tl.load(f), x_re, y, input_precision=PRECISION)
        y = tl.dot(tl.load(f + N1 * N1), x_im, y, input_precision=PRECISION)
    y *= 1.0 / (N1 * N2)
    inside = (row * N2 + column // channels < length) & (column < N2 * channels)
    place = b * length * channels
    if OTHER:
        at = at_positions(other_gate_ptr + b * other_batch, other_step, row, column, channels, N2)
        gated = y * tl.load(at, inside, other=0.0).to(tl.float32)
        at = at_positions(other_ptr + place, channels, row, column, channels, N2)
        tl.store(at, gated.to(other_ptr.dtype.element_ty), inside)
    if GATE:
        at = at_positions(gate_ptr + b * gate_batch, gate_step, row, column, channels, N2)
        y *= tl.load(at, inside, other=0.0).to(tl.float32)
    at = at_positions(y_ptr + place, channels, row, column, channels, N2)
    tl.store(at, y.to(y_ptr.dtype.element_ty), inside)


STEPS = ("x_batch", "x_step", "gate_batch", "gate_step", "other_batch", "other_step")
TABLES = ("first", "second", "factors", "spectrum_ptr", "d_ptr")
TYPES = dict.fromkeys((*STEPS, "length", "channels"), "i32") | dict.fromkeys(TABLES, "*fp32")
IO = ("x_ptr", "gate_ptr", "other_gate_ptr", "y_ptr", "other_ptr")


def compilations() -> list[Compilation]:
    """Every size of a product in float32, the largest in half precision, and without gates.

    Sides beyond MOST_ROWS change no instruction but a loop's bound.
    """
    listed: list[Compilation] = []
    for side in SIDES[:-1]:
        listed += _listed(side, "fp32", gates=True)
    for dtype in ("bf16", "fp16"):
        listed += _listed(SIDES[-1], dtype, gates=True)
    return listed + _listed(SIDES[-1], "fp32", gates=False)


def _listed(side: int, dtype: str, *, gates: bool) -> list[Compilation]:
    precision = EXACT if dtype == "fp32" else FAST
    common = {
        "N1": side,
        "N2": side,
        "PRECISION": precision,
        "ROWS": min(side, MOST_ROWS),
        "COLUMNS": COLUMNS,
        "TERMS": _terms(side, precision),
    }
    row = common | {
        "COLUMNS": FEWER_COLUMNS,
        "BACK": True,
        "SPECTRUM": True,
        "SKIP": gates,
        "CONJUGATE": True,
    }
    found = [
        _compilation(enter, common | {"GATE": gates}, {"x_ptr": f"*{dtype}"}, dtype),
        _compilation(along, row, {"x_ptr": "*fp32"}, dtype),
        _compilation(leave, common | {"GATE": gates, "OTHER": gates}, {"x_ptr": "*fp32"}, dtype),
    ]
    if dtype == "fp32" and gates:
        flags = dict.fromkeys(("BACK", "SPECTRUM", "SKIP", "CONJUGATE"), False)
        found.append(_compilation(along, row | flags, {"x_ptr": "*fp32"}, dtype))
    return found


def _compilation(
    kernel: Any, constants: dict[str, Any], inputs: dict[str, str], dtype: str
) -> Compilation:
    known = TYPES | dict.fromkeys(IO, f"*{dtype}") | {"out_ptr": "*fp32"} | inputs
    signature = {name: known[name] for name in kernel.arg_names if name in known}
    flags = [name.lower() for name, value in constants.items() if value is True]
    return Compilation(
        name=f"{kernel.__name__} side={constants['N1']} {dtype} {' '.join(flags)}".rstrip(),
        kernel=kernel,
        signature=signature,
        constants=constants,
        **LAUNCH,
        aligned=tuple(name for name in signature if name != "length"),
    )
