"""The Triton kernels of the selective scan, one way along a sequence or both ways.

One program owns a block of channels of one sequence over one chunk of positions, with the state
(d_state, channels) in registers, and walks along the chunk step by step. Where there are enough
sequences and channels to fill the device a chunk is the whole sequence; else

    chunk_ends        the state that each chunk reaches from zero, and its sum of step sizes
    carry             the true entry states: h' = ends + exp(A sum dt) h, chunk after chunk
    forward           each chunk from its entry state: y

and the adjoints of the states go the other way in the same manner (chunk_adjoints, carry,
backward). Decays are multiplied and never divided by, so nothing overflows that the recurrence
would not. `forward` keeps the state at the start of every span of SPAN steps; `backward` computes
the states of a span again from it, keeping every T-th in scratch memory and T in registers.
Partial sums of different programs have places of their own and are added up afterwards, in fixed
order, so that equal inputs give equal bits.

Pointers without a digit belong to the first direction, those with a 2 to the second, which goes
from the last position to the first. States in memory are (d_state, channels), channels innermost.
Letters: N states, NP the power of two that holds them, BD channels of a program.
"""

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
# A count of one would be taken for a constant, and kernels compiled for it anew.
COUNTS = ["batch", "length", "chunks", "reverse", "B_repeats", "C_repeats"]


@triton.jit
def _softplus(raw):
    """max(x, 0) + log(1 + exp(-|x|)), to a few units in the last place everywhere."""
    e = tl.exp2(-tl.abs(raw) * LOG2_E)
    # log(1 + e) / e on [0, 1] by its minimax polynomial, within 3e-8 of it: a logarithm of 1 + e
    # would lose the digits of small step sizes. From 20 on, where torch's is the identity, so is
    # this one in float32.
    ratio = 0.005232693701207463 * e - 0.029505240109537298
    ratio = ratio * e + 0.07822596092522541
    ratio = ratio * e - 0.13663247281082871
    ratio = ratio * e + 0.1910600790350348
    ratio = ratio * e - 0.2484298266931241
    ratio = ratio * e + 0.3331909689918972
    ratio = ratio * e - 0.49999493148511087
    return tl.maximum(raw, 0.0) + e * (ratio * e + 0.9999999698815817)


@triton.jit
def _sigmoid(x):
    return 1.0 / (1.0 + tl.exp2(-x * LOG2_E))


@triton.jit
def _step_size(raw, inside, SOFTPLUS: tl.constexpr):
    # A step of size zero leaves states as they are: that is what steps past the end do.
    if SOFTPLUS:
        return tl.where(inside, _softplus(raw), 0.0)
    else:
        return tl.where(inside, raw, 0.0)


@triton.jit
def _below(mask, count, limit):
    """The mask where count < limit, else nothing; both are single numbers."""
    # The interpreter forgets that masks are booleans where it spreads a single one.
    return mask & (tl.zeros(mask.shape, tl.int32) + count < limit)


@triton.jit
def _read(pointer, mask):
    return tl.load(pointer, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _pick(first, second, direction, DIRECTIONS: tl.constexpr):
    if DIRECTIONS == 1:
        return first
    else:
        if direction == 0:
            picked = first
        else:
            picked = second
        return picked


@triton.jit
def _vector(first, second, direction, columns, present, DIRECTIONS: tl.constexpr):
    """One number for each channel (BD,), zeros where there is no vector."""
    if first is None:
        return tl.zeros(columns.shape, tl.float32)
    else:
        return _read(_pick(first, second, direction, DIRECTIONS) + columns, present)


@triton.jit
def _place(DIRECTIONS: tl.constexpr):
    """Which block of channels, chunk, sequence and direction this program has."""
    sequence = tl.program_id(2).to(tl.int64)
    return tl.program_id(0), tl.program_id(1) // DIRECTIONS, sequence, tl.program_id(1) % DIRECTIONS


@triton.jit
def _columns(block, width, BD: tl.constexpr, GROUPED: tl.constexpr):
    """The group of a block, its channels (BD,), and which of these belong to the group."""
    if GROUPED:
        of_group = tl.cdiv(width, BD)
        group = block // of_group
        inside = (block % of_group) * BD + tl.arange(0, BD)
        return group, group * width + inside, inside < width
    else:
        columns = block * BD + tl.arange(0, BD)
        return 0, columns, columns < width


@triton.jit
def _stretch(chunk, size, length, backwards):
    """Where a chunk's first step is, which way it goes, and how many steps it has.

    What is within a chunk is addressed from its first step, in 32 bits.
    """
    start = chunk * size
    count = tl.minimum(size, length - start)
    if backwards:
        first = start + count - 1
        sign = -1
    else:
        first = start
        sign = 1
    return first.to(tl.int64), sign, count


@triton.jit
def _tile_offsets(columns, present, channels, N: tl.constexpr, NP: tl.constexpr):
    """Where the states of a block lie within (N, channels), and which of them exist."""
    n = tl.arange(0, NP)
    return n[:, None] * channels + columns[None, :], (n < N)[:, None] & present[None, :]


@triton.jit
def _fixed(matrix, direction, channels, offsets, mask, N: tl.constexpr, FIXED: tl.constexpr):
    """A constant B or C (NP, BD); zero where it varies along the sequence."""
    if FIXED:
        return tl.load(matrix + direction * N * channels + offsets, mask=mask, other=0.0)
    else:
        return 0.0


@triton.jit
def _row(matrix, offset, fixed, i, count, N: tl.constexpr, NP: tl.constexpr, FIXED: tl.constexpr):
    """B or C at step i of count, (NP, 1) or (NP, BD)."""
    if FIXED:
        return fixed
    else:
        n = tl.arange(0, NP)
        return _read(matrix + (offset + n), _below(n < N, i, count))[:, None]


@triton.jit
def _base(matrix, matrix2, direction, offset, DIRECTIONS: tl.constexpr, FIXED: tl.constexpr):
    """Where B or C of this program's sequence and group begin."""
    if FIXED:
        return matrix
    else:
        return _pick(matrix, matrix2, direction, DIRECTIONS) + offset


@triton.jit(do_not_specialize=COUNTS)
def chunk_ends(
    u,
    delta,
    B,
    bias,
    u2,
    delta2,
    B2,
    bias2,
    A,
    ends,
    sums,
    u_batch,
    u_step,
    delta_batch,
    delta_step,
    B_batch,
    B_step,
    B_group,
    B_repeats,
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
    B_FIXED: tl.constexpr,
    SOFTPLUS: tl.constexpr,
):
    """State that every chunk reaches from zero, and its sum of step sizes."""
    block, chunk, sequence, direction = _place(DIRECTIONS)
    group, columns, present = _columns(block, width, BD, GROUPED)
    first, sign, count = _stretch(chunk, size, length, reverse + direction == 1)
    offsets, mask = _tile_offsets(columns, present, channels, N, NP)
    rates = tl.load(A + direction * N * channels + offsets, mask=mask, other=0.0) * LOG2_E
    shift = _vector(bias, bias2, direction, columns, present, DIRECTIONS)
    inputs = _pick(u, u2, direction, DIRECTIONS) + sequence * u_batch + first * u_step
    sizes = _pick(delta, delta2, direction, DIRECTIONS)
    sizes += sequence * delta_batch + first * delta_step
    offset = sequence * B_batch + (group // B_repeats) * B_group + first * B_step
    matrix = _base(B, B2, direction, offset, DIRECTIONS, B_FIXED)
    fixed = _fixed(B, direction, channels, offsets, mask, N, B_FIXED)
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
            x = dt * _read(inputs + (at * u_step + columns), inside)
            row = _row(matrix, at * B_step, fixed, i, count, N, NP, B_FIXED)
            state = tl.exp2(rates * dt[None, :]) * state + x[None, :] * row
            total += dt
    place = (direction * batch + sequence) * chunks + chunk
    tl.store(ends + place * N * channels + offsets, state, mask=mask)
    tl.store(sums + place * channels + columns, total, mask=present)


@triton.jit(do_not_specialize=["batch", "chunks", "reverse"])
def carry(
    ends,
    sums,
    A,
    initial,
    batch,
    channels,
    chunks,
    reverse,
    N: tl.constexpr,
    BLOCK: tl.constexpr,
    AHEAD: tl.constexpr,
):
    """Turn what chunks reach from zero into what they start from, chunk after chunk, in place.

    `reverse` says whether the first direction goes from the last chunk to the first; a second
    direction goes the other way.
    """
    elements = N * channels
    of_state = tl.cdiv(elements, BLOCK)
    element = (tl.program_id(0) % of_state) * BLOCK + tl.arange(0, BLOCK)
    sequence = (tl.program_id(0) // of_state).to(tl.int64)
    direction = sequence // batch
    mask = element < elements
    rates = tl.load(A + direction * elements + element, mask=mask, other=0.0) * LOG2_E
    if reverse + direction == 1:
        chunk = chunks - 1 + 0 * sequence
        sign = -1
    else:
        chunk = 0 * sequence
        sign = 1
    if initial is None:
        state = tl.zeros([BLOCK], tl.float32)
    else:
        state = tl.load(initial + sequence * elements + element, mask=mask, other=0.0)
    ends += sequence * chunks * elements + element
    sums += sequence * chunks * channels + element % channels
    for i in range(0, tl.cdiv(chunks, AHEAD)):
        reached = ()
        decays = ()
        for k in tl.static_range(AHEAD):
            inside = _below(mask, i * AHEAD + k, chunks)
            at = chunk + sign * (i * AHEAD + k)
            reached = reached + (_read(ends + at * elements, inside),)
            decays = decays + (tl.exp2(rates * _read(sums + at * channels, inside)),)
        for k in tl.static_range(AHEAD):
            inside = _below(mask, i * AHEAD + k, chunks)
            at = chunk + sign * (i * AHEAD + k)
            tl.store(ends + at * elements, state, mask=inside)
            state = reached[k] + decays[k] * state


@triton.jit
def _entry(entries, place, channels, offsets, mask, N: tl.constexpr, NP: tl.constexpr):
    """The state or adjoint that a chunk starts from; zeros where there are no entries."""
    if entries is None:
        return tl.zeros(offsets.shape, tl.float32)
    else:
        return tl.load(entries + place * N * channels + offsets, mask=mask, other=0.0)


@triton.jit
def _finish(y, at, sums, gates, outputs, inside, ADD: tl.constexpr, PARTIAL: tl.constexpr):
    """Write y at one step: add the other direction's, keep the sum, gate it."""
    if ADD:
        y += tl.load(sums + at, mask=inside, other=0.0)
    if sums is not None:
        tl.store(sums + at, y, mask=inside)
    if not PARTIAL:
        if gates is not None:
            gate = _read(gates, inside)
            y *= gate * _sigmoid(gate)
        tl.store(outputs + at, y, mask=inside)


@triton.jit
def _walk(
    pointers,
    steps,
    state,
    rates,
    vectors,
    fixed,
    columns,
    present,
    stretch,
    kept,
    tile,
    channels,
    N: tl.constexpr,
    NP: tl.constexpr,
    T: tl.constexpr,
    SPAN: tl.constexpr,
    B_FIXED: tl.constexpr,
    C_FIXED: tl.constexpr,
    SOFTPLUS: tl.constexpr,
    ADD: tl.constexpr,
    PARTIAL: tl.constexpr,
):
    """Walk along one chunk from its entry state, writing y; returns the state after it.

    pointers: of u, delta, B, C, z, the sums of directions, and y, at this program's channels.
    steps: distances between positions, of u, delta, B, C, z.
    """
    u, delta, B, C, z, sums, y = pointers
    u_step, delta_step, B_step, C_step, z_step = steps
    skip, shift = vectors
    _, sign, count = stretch
    offsets, mask = tile
    for span in range(0, tl.cdiv(count, SPAN)):
        if kept is not None:
            tl.store(kept + span * N * channels + offsets, state, mask=mask)
        for t in range(0, tl.cdiv(tl.minimum(SPAN, count - span * SPAN), T)):
            start = span * SPAN + t * T
            values = ()
            sizes = ()
            inputs = ()
            readers = ()
            # Loads come before stores, which the compiler would not move them across.
            for k in tl.static_range(T):
                at = sign * (start + k)
                inside = _below(present, start + k, count)
                values = values + (_read(u + (at * u_step + columns), inside),)
                sizes = sizes + (_read(delta + (at * delta_step + columns), inside),)
                row = _row(B, at * B_step, fixed[0], start + k, count, N, NP, B_FIXED)
                inputs = inputs + (row,)
                row = _row(C, at * C_step, fixed[1], start + k, count, N, NP, C_FIXED)
                readers = readers + (row,)
            for k in tl.static_range(T):
                at = sign * (start + k)
                inside = _below(present, start + k, count)
                dt = _step_size(sizes[k] + shift, inside, SOFTPLUS)
                x = dt * values[k]
                state = tl.exp2(rates * dt[None, :]) * state + x[None, :] * inputs[k]
                read_out = tl.sum(state * readers[k], 0) + skip * values[k]
                gates = z if z is None else z + (at * z_step + columns)
                _finish(read_out, at * channels + columns, sums, gates, y, inside, ADD, PARTIAL)
    return state


@triton.jit
def _one_way(
    pointers,
    vectors,
    A,
    shared,
    steps,
    starts,
    place,
    sizes,
    direction: tl.constexpr,
    backwards,
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
    """What `forward` does in one direction."""
    u, delta, B, C = pointers
    z, sums, y, entries, kept, last = shared
    block, chunk, sequence = place
    batch, length, channels, width, chunks, size = sizes
    group, columns, present = _columns(block, width, BD, GROUPED)
    offsets, mask = _tile_offsets(columns, present, channels, N, NP)
    stretch = _stretch(chunk, size, length, backwards)
    first = stretch[0]
    whole = (sequence * length + first) * channels
    row = sequence + direction * batch
    rates = tl.load(A + direction * N * channels + offsets, mask=mask, other=0.0) * LOG2_E
    fixed = (
        _fixed(B, direction, channels, offsets, mask, N, B_FIXED),
        _fixed(C, direction, channels, offsets, mask, N, C_FIXED),
    )
    if z is not None:
        z += sequence * starts[4] + first * steps[4]
    if sums is not None:
        sums += whole
    if kept is not None:
        kept += (row * tl.cdiv(length, SPAN) + chunk * (size // SPAN)) * N * channels
    offset_B = sequence * starts[2] + (group // starts[6]) * starts[5] + first * steps[2]
    offset_C = sequence * starts[3] + (group // starts[8]) * starts[7] + first * steps[3]
    state = _walk(
        (
            u + sequence * starts[0] + first * steps[0],
            delta + sequence * starts[1] + first * steps[1],
            B if B_FIXED else B + offset_B,
            C if C_FIXED else C + offset_C,
            z,
            sums,
            y + whole,
        ),
        steps,
        _entry(entries, row * chunks + chunk, channels, offsets, mask, N, NP),
        rates,
        (
            _vector(vectors[0], vectors[0], 0, columns, present, 1),
            _vector(vectors[1], vectors[1], 0, columns, present, 1),
        ),
        fixed,
        columns,
        present,
        stretch,
        kept,
        (offsets, mask),
        channels,
        N,
        NP,
        T,
        SPAN,
        B_FIXED,
        C_FIXED,
        SOFTPLUS,
        direction == 1,
        DIRECTIONS == 2 and direction == 0,
    )
    final = chunks - 1
    if backwards:
        final = chunks * 0
    if chunk == final:
        tl.store(last + row * N * channels + offsets, state, mask=mask)


@triton.jit(do_not_specialize=COUNTS)
def forward(
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
    y,
    sums,
    entries,
    kept,
    last,
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
    """Outputs of every chunk from its entry state, of both directions one after the other.

    The program that owns a chunk walks along it in either direction; the first direction's
    outputs wait in `sums`, still in the cache, for the second's.
    """
    block, chunk, sequence, _ = _place(1)  # which takes both directions
    shared = (z, sums, y, entries, kept, last)
    steps = (u_step, delta_step, B_step, C_step, z_step)
    starts = (
        u_batch,
        delta_batch,
        B_batch,
        C_batch,
        z_batch,
        B_group,
        B_repeats,
        C_group,
        C_repeats,
    )
    place = (block, chunk, sequence)
    sizes = (batch, length, channels, width, chunks, size)
    _one_way(
        (u, delta, B, C),
        (D, bias),
        A,
        shared,
        steps,
        starts,
        place,
        sizes,
        0,
        reverse == 1,
        N,
        NP,
        BD,
        T,
        SPAN,
        DIRECTIONS,
        GROUPED,
        B_FIXED,
        C_FIXED,
        SOFTPLUS,
    )
    if DIRECTIONS == 2:
        tl.debug_barrier()
        _one_way(
            (u2, delta2, B2, C2),
            (D2, bias2),
            A,
            shared,
            steps,
            starts,
            place,
            sizes,
            1,
            reverse == 0,
            N,
            NP,
            BD,
            T,
            SPAN,
            DIRECTIONS,
            GROUPED,
            B_FIXED,
            C_FIXED,
            SOFTPLUS,
        )
