"""The gradients of the selective scan in Triton; `triton_kernels` says how kernels fit together.

With w_t the gradient of h_{t-1}, dy_t that of y_t before the gate, a_t = exp(dt_t A) and
x_t = dt_t u_t:

    g_t = C_t dy_t + w_{t+1}        w_t = a_t g_t        d(dt_t A) = g_t a_t h_{t-1}
    dC_t = sum_D h_t dy_t        dB_t = sum_D g_t x_t        dx_t = sum_N g_t B_t

Letters are those of `triton_kernels`.
"""

import triton
import triton.language as tl

from genolm_kernels.selective_scan.triton_kernels import (
    COUNTS,
    LOG2_E,
    _base,
    _below,
    _columns,
    _entry,
    _fixed,
    _pick,
    _place,
    _read,
    _row,
    _sigmoid,
    _step_size,
    _stretch,
    _tile_offsets,
    _vector,
)

LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def _through_gate(dy, gates, inside):
    """Gradient of y before the gate, at one step (BD,)."""
    outer = _read(dy, inside)
    if gates is None:
        return outer
    else:
        gate = _read(gates, inside)
        return outer * gate * _sigmoid(gate)


@triton.jit(do_not_specialize=COUNTS)
def chunk_adjoints(
    delta,
    C,
    bias,
    delta2,
    C2,
    bias2,
    A,
    z,
    dy,
    ends,
    sums,
    delta_batch,
    delta_step,
    C_batch,
    C_step,
    C_group,
    C_repeats,
    z_batch,
    z_step,
    batch,
    length,
    channels,
    width,
    chunks,
    size,
    reverse,
    N: tl.constexpr,
    NP: tl.constexpr,
    BD: tl.constexpr,
    T: tl.constexpr,
    DIRECTIONS: tl.constexpr,
    GROUPED: tl.constexpr,
    C_FIXED: tl.constexpr,
    SOFTPLUS: tl.constexpr,
):
    """Gradient of every chunk's entry state if nothing came after it, and sum of step sizes."""
    block, chunk, sequence, direction = _place(DIRECTIONS)
    group, columns, present = _columns(block, width, BD, GROUPED)
    # Against the scan: from each chunk's last step to its first.
    first, sign, count = _stretch(chunk, size, length, reverse + direction != 1)
    offsets, mask = _tile_offsets(columns, present, channels, N, NP)
    rates = tl.load(A + direction * N * channels + offsets, mask=mask, other=0.0) * LOG2_E
    shift = _vector(bias, bias2, direction, columns, present, DIRECTIONS)
    sizes = _pick(delta, delta2, direction, DIRECTIONS)
    sizes += sequence * delta_batch + first * delta_step
    dy += (sequence * length + first) * channels
    if z is not None:
        z += sequence * z_batch + first * z_step
    offset = sequence * C_batch + (group // C_repeats) * C_group + first * C_step
    matrix = _base(C, C2, direction, offset, DIRECTIONS, C_FIXED)
    fixed = _fixed(C, direction, channels, offsets, mask, N, C_FIXED)
    state = tl.zeros([NP, BD], tl.float32)
    total = tl.zeros([BD], tl.float32)
    for t in range(0, tl.cdiv(count, T)):
        for k in tl.static_range(T):
            i = t * T + k
            at = sign * i
            inside = _below(present, i, count)
            dt = _step_size(
                _read(sizes + (at * delta_step + columns), inside) + shift, inside, SOFTPLUS
            )
            gates = z if z is None else z + (at * z_step + columns)
            inner = _through_gate(dy + (at * channels + columns), gates, inside)
            row = _row(matrix, at * C_step, fixed, i, count, N, NP, C_FIXED)
            state = tl.exp2(rates * dt[None, :]) * (state + inner[None, :] * row)
            total += dt
    place = (direction * batch + sequence) * chunks + chunk
    tl.store(ends + place * N * channels + offsets, state, mask=mask)
    tl.store(sums + place * channels + columns, total, mask=present)


@triton.jit
def _advance(
    rows,
    steps,
    start,
    state,
    rates,
    shift,
    fixed,
    columns,
    present,
    stretch,
    N: tl.constexpr,
    NP: tl.constexpr,
    T: tl.constexpr,
    B_FIXED: tl.constexpr,
    SOFTPLUS: tl.constexpr,
):
    """Take T steps; returns the state and what was left of the one before at each of them."""
    u, delta, B = rows
    u_step, delta_step, B_step = steps
    _, sign, count = stretch
    left = ()
    for k in tl.static_range(T):
        at = sign * (start + k)
        inside = _below(present, start + k, count)
        dt = _step_size(
            _read(delta + (at * delta_step + columns), inside) + shift, inside, SOFTPLUS
        )
        x = dt * _read(u + (at * u_step + columns), inside)
        row = _row(B, at * B_step, fixed, start + k, count, N, NP, B_FIXED)
        left = left + (tl.exp2(rates * dt[None, :]) * state,)
        state = left[k] + x[None, :] * row
    return state, left


@triton.jit
def _add_up(
    value,
    into,
    offset,
    total,
    i,
    count,
    N: tl.constexpr,
    NP: tl.constexpr,
    FIXED: tl.constexpr,
):
    """Gradient of B or C at one step: sum over channels and write, or add to a constant's."""
    if FIXED:
        return total + value
    else:
        n = tl.arange(0, NP)
        tl.store(into + (offset + n), tl.sum(value, 1), mask=_below(n < N, i, count))
        return total


@triton.jit
def _back_through_gate(dy, gates, sums, dz, at, inside, direction):
    """Gradient of y before the gate, at one step (BD,); that of the gate is written once."""
    outer = _read(dy + at, inside)
    if gates is None:
        return outer
    else:
        gate = _read(gates, inside)
        half_open = _sigmoid(gate)
        once = _below(inside, direction, 1)
        y = tl.load(sums + at, mask=once, other=0.0)
        slope = half_open * (1.0 + gate * (1.0 - half_open))
        tl.store(dz + at, outer * y * slope, mask=once)
        return outer * gate * half_open


@triton.jit
def _retreat(
    rows,
    steps,
    grads,
    start,
    left,
    carried,
    rates,
    vectors,
    fixed,
    columns,
    present,
    stretch,
    channels,
    direction,
    N: tl.constexpr,
    NP: tl.constexpr,
    T: tl.constexpr,
    B_FIXED: tl.constexpr,
    C_FIXED: tl.constexpr,
    SOFTPLUS: tl.constexpr,
):
    """Go back T steps, writing gradients; returns what is carried on."""
    u, delta, B, C, z, dy, sums = rows
    u_step, delta_step, B_step, C_step, z_step = steps
    du, ddelta, dB, dC, dz = grads
    skip, shift = vectors
    _, sign, count = stretch
    w, dA, dB_total, dC_total, dD, dbias = carried
    for back in tl.static_range(T):
        i = start + (T - 1 - back)
        at = sign * i
        inside = _below(present, i, count)
        value = _read(u + (at * u_step + columns), inside)
        raw = _read(delta + (at * delta_step + columns), inside) + shift
        dt = _step_size(raw, inside, SOFTPLUS)
        gates = z if z is None else z + (at * z_step + columns)
        inner = _back_through_gate(dy, gates, sums, dz, at * channels + columns, inside, direction)
        row_B = _row(B, at * B_step, fixed[0], i, count, N, NP, B_FIXED)
        row_C = _row(C, at * C_step, fixed[1], i, count, N, NP, C_FIXED)
        x = dt * value
        g = w + row_C * inner[None, :]
        h = left[T - 1 - back] + row_B * x[None, :]
        dB_total = _add_up(g * x[None, :], dB, at * N, dB_total, i, count, N, NP, B_FIXED)
        dC_total = _add_up(h * inner[None, :], dC, at * N, dC_total, i, count, N, NP, C_FIXED)
        dx = tl.sum(g * row_B, 0)
        exponents = g * left[T - 1 - back]
        dA += exponents * dt[None, :]
        w = g * tl.exp2(rates * dt[None, :])
        ddt = tl.sum(exponents * rates, 0) * LN_2 + dx * value
        if SOFTPLUS:
            ddt *= _sigmoid(raw)
        ddt = tl.where(inside, ddt, 0.0)
        dbias += ddt
        dD += inner * value
        tl.store(du + (at * channels + columns), dx * dt + skip * inner, mask=inside)
        tl.store(ddelta + (at * channels + columns), ddt, mask=inside)
    return w, dA, dB_total, dC_total, dD, dbias


@triton.jit
def _local(NP: tl.constexpr, BD: tl.constexpr):
    return tl.arange(0, NP)[:, None] * BD + tl.arange(0, BD)[None, :]


@triton.jit
def _revisit(
    rows,
    steps,
    tiles,
    start,
    state,
    rates,
    shift,
    fixed,
    columns,
    present,
    stretch,
    scratch,
    N: tl.constexpr,
    NP: tl.constexpr,
    BD: tl.constexpr,
    T: tl.constexpr,
    B_FIXED: tl.constexpr,
    SOFTPLUS: tl.constexpr,
):
    """Compute the states of a span again, and put those at the starts of its tiles into scratch."""
    for t in range(0, tiles):
        tl.store(scratch + t * NP * BD + _local(NP, BD), state)
        state, _ = _advance(
            rows,
            steps,
            start + t * T,
            state,
            rates,
            shift,
            fixed,
            columns,
            present,
            stretch,
            N,
            NP,
            T,
            B_FIXED,
            SOFTPLUS,
        )
    # The states that one thread has written are read by others.
    tl.debug_barrier()


@triton.jit
def _total(NP: tl.constexpr, BD: tl.constexpr, FIXED: tl.constexpr):
    """Where the gradient of a constant B or C is added up; one unused zero for a varying one."""
    if FIXED:
        return tl.zeros([NP, BD], tl.float32)
    else:
        return tl.zeros([1], tl.float32)


@triton.jit(do_not_specialize=COUNTS)
def backward(
    u,
    delta,
    B,
    C,
    D,
    bias,
    u2,
    delta2,
    B2,
    C2,
    D2,
    bias2,
    A,
    z,
    dy,
    sums,
    entries,
    kept,
    scratch,
    du,
    ddelta,
    du2,
    ddelta2,
    dz,
    dA,
    dB,
    dC,
    dD,
    dbias,
    dinitial,
    u_batch,
    u_step,
    delta_batch,
    delta_step,
    B_batch,
    B_step,
    B_group,
    B_repeats,
    C_batch,
    C_step,
    C_group,
    C_repeats,
    z_batch,
    z_step,
    batch,
    length,
    channels,
    width,
    chunks,
    size,
    reverse,
    N: tl.constexpr,
    NP: tl.constexpr,
    BD: tl.constexpr,
    T: tl.constexpr,
    SPAN: tl.constexpr,
    DIRECTIONS: tl.constexpr,
    GROUPED: tl.constexpr,
    B_FIXED: tl.constexpr,
    C_FIXED: tl.constexpr,
    SOFTPLUS: tl.constexpr,
):
    """Gradients of every chunk, from the adjoint that comes to its last step."""
    block, chunk, sequence, direction = _place(DIRECTIONS)
    group, columns, present = _columns(block, width, BD, GROUPED)
    backwards = reverse + direction == 1
    stretch = _stretch(chunk, size, length, backwards)
    offsets, mask = _tile_offsets(columns, present, channels, N, NP)
    row = direction * batch + sequence
    first = stretch[0]
    whole = (sequence * length + first) * channels
    rates = tl.load(A + direction * N * channels + offsets, mask=mask, other=0.0) * LOG2_E
    vectors = (
        _vector(D, D2, direction, columns, present, DIRECTIONS),
        _vector(bias, bias2, direction, columns, present, DIRECTIONS),
    )
    fixed = (
        _fixed(B, direction, channels, offsets, mask, N, B_FIXED),
        _fixed(C, direction, channels, offsets, mask, N, C_FIXED),
    )
    if z is not None:
        z += sequence * z_batch + first * z_step
        sums += whole
        dz += whole
    offset_B = sequence * B_batch + (group // B_repeats) * B_group + first * B_step
    offset_C = sequence * C_batch + (group // C_repeats) * C_group + first * C_step
    rows = (
        _pick(u, u2, direction, DIRECTIONS) + sequence * u_batch + first * u_step,
        _pick(delta, delta2, direction, DIRECTIONS) + sequence * delta_batch + first * delta_step,
        _base(B, B2, direction, offset_B, DIRECTIONS, B_FIXED),
        _base(C, C2, direction, offset_C, DIRECTIONS, C_FIXED),
        z,
        dy + whole,
        sums,
    )
    partial = ((direction * tl.num_programs(0) + block) * batch + sequence) * length + first
    grads = (
        _pick(du, du2, direction, DIRECTIONS) + whole,
        _pick(ddelta, ddelta2, direction, DIRECTIONS) + whole,
        dB if B_FIXED else dB + partial * N,
        dC if C_FIXED else dC + partial * N,
        dz,
    )
    kept += (row * tl.cdiv(length, SPAN) + chunk * (size // SPAN)) * N * channels
    program = (row * chunks + chunk) * tl.num_programs(0) + block
    scratch += program * (SPAN // T) * NP * BD
    w = _entry(entries, row * chunks + chunk, channels, offsets, mask, N, NP)
    dA_total = tl.zeros([NP, BD], tl.float32)
    dB_total = _total(NP, BD, B_FIXED)
    dC_total = _total(NP, BD, C_FIXED)
    dD_total = tl.zeros([BD], tl.float32)
    dbias_total = tl.zeros([BD], tl.float32)
    steps = (u_step, delta_step, B_step, C_step, z_step)
    spans = tl.cdiv(stretch[2], SPAN)
    for done in range(0, spans):
        start = (spans - 1 - done) * SPAN
        tiles = tl.cdiv(tl.minimum(SPAN, stretch[2] - start), T)
        state = tl.load(kept + (spans - 1 - done) * N * channels + offsets, mask=mask, other=0.0)
        _revisit(
            (rows[0], rows[1], rows[2]),
            (steps[0], steps[1], steps[2]),
            tiles,
            start,
            state,
            rates,
            vectors[1],
            fixed[0],
            columns,
            present,
            stretch,
            scratch,
            N,
            NP,
            BD,
            T,
            B_FIXED,
            SOFTPLUS,
        )
        for back in range(0, tiles):
            t = tiles - 1 - back
            _, left = _advance(
                (rows[0], rows[1], rows[2]),
                (steps[0], steps[1], steps[2]),
                start + t * T,
                tl.load(scratch + t * NP * BD + _local(NP, BD)),
                rates,
                vectors[1],
                fixed[0],
                columns,
                present,
                stretch,
                N,
                NP,
                T,
                B_FIXED,
                SOFTPLUS,
            )
            w, dA_total, dB_total, dC_total, dD_total, dbias_total = _retreat(
                rows,
                steps,
                grads,
                start + t * T,
                left,
                (w, dA_total, dB_total, dC_total, dD_total, dbias_total),
                rates,
                vectors,
                fixed,
                columns,
                present,
                stretch,
                channels,
                direction,
                N,
                NP,
                T,
                B_FIXED,
                C_FIXED,
                SOFTPLUS,
            )
        tl.debug_barrier()
    place = row * chunks + chunk
    states = place * N * channels + offsets
    tl.store(dA + states, dA_total, mask=mask)
    if B_FIXED:
        tl.store(dB + states, dB_total, mask=mask)
    if C_FIXED:
        tl.store(dC + states, dC_total, mask=mask)
    if D is not None:
        tl.store(dD + place * channels + columns, dD_total, mask=present)
    if bias is not None:
        tl.store(dbias + place * channels + columns, dbias_total, mask=present)
    if dinitial is not None:
        final = chunk * 0
        if backwards:
            final = chunk * 0 + chunks - 1
        if chunk == final:
            tl.store(dinitial + row * N * channels + offsets, w, mask=mask)
