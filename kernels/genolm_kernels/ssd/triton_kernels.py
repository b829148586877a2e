"""Triton kernels of state-space duality: matrix products within chunks and between them.

    steps       step sizes, and the sums of their log2 decays within each chunk
    pairs       S = C Bᵀ of each chunk and group
    collect     what each chunk adds to the state; backwards, to the state's gradient
    carry       the states before the chunks, one after the other; backwards, against the scan
    outputs     y = (S ∘ decay) x̃ + (decay) C h, with x̃ = dt x; backwards, gradients of the gate
                and of what it was applied to

Sums of log decays are pairs of float32, high and low: their difference is what is exponentiated,
and one float32 would lose what a large step leaves of the small ones after it. Every program writes
places of its own, so that equal inputs give equal bits.

Places are counted in the order of the scan: place t is position `last + sign * t` in memory.
Letters: Q places of a chunk, P block of headdim, N block of d_state.
"""

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def softplus(x):
    """log(1 + exp(x)), to the last bits where it is small too."""
    small = tl.exp2(-tl.abs(x) * LOG2_E)
    lost = (1.0 + small) - 1.0
    # The rounding of 1 + small is divided out of its logarithm (Kahan).
    safe = tl.where(lost == 0.0, 1.0, lost)
    tail = tl.where(lost == 0.0, small, tl.log(1.0 + small) * (small / safe))
    return tl.maximum(x, 0.0) + tail


@triton.jit
def multiply(left, right, KIND: tl.constexpr):
    """Matrix product in float32, of factors rounded as KIND says."""
    if KIND == "bf16":
        return tl.dot(left.to(tl.bfloat16), right.to(tl.bfloat16))
    else:
        return tl.dot(left, right, input_precision=KIND)


@triton.jit
def find_places(chunk, length, last, sign, Q: tl.constexpr):
    """A chunk's first position in memory, its places from there, and which of them there are.

    Tiles are addressed from a wide scalar by narrow offsets, which saves registers.
    """
    q = tl.arange(0, Q)
    return (last + sign * (chunk * Q)).to(tl.int64), sign * q, chunk * Q + q < length


@triton.jit
def read(pointer, rows, row, columns, inside, present):
    """(rows, columns) in float32, zero where there is nothing."""
    place = rows[:, None] * row + columns[None, :]
    return tl.load(pointer + place, inside[:, None] & present[None, :], other=0.0).to(tl.float32)


@triton.jit
def write(pointer, rows, row, columns, inside, present, values):
    """Store (rows, columns) in the type of the memory, where there are any."""
    place = rows[:, None] * row + columns[None, :]
    mask = inside[:, None] & present[None, :]
    tl.store(pointer + place, values.to(pointer.dtype.element_ty), mask)


@triton.jit
def until_end(high_ptr, low_ptr, high, low, Q: tl.constexpr):
    """Decay from each place to the chunk's end."""
    return tl.exp2((tl.load(high_ptr + Q - 1) - high) + (tl.load(low_ptr + Q - 1) - low))


@triton.jit
def find_decays(high, low, Q: tl.constexpr):
    """Decay from place j to place i (Q, Q), zero where j is later."""
    between = (high[:, None] - high[None, :]) + (low[:, None] - low[None, :])
    q = tl.arange(0, Q)
    # Masked before exp2, so that nothing overflows.
    return tl.exp2(tl.where(q[:, None] >= q[None, :], between, float("-inf")))


@triton.jit
def steps(
    dt_ptr,
    bias_ptr,
    A_ptr,
    sizes_ptr,
    high_ptr,
    low_ptr,
    length,
    dt_batch,
    dt_row,
    bias_heads,
    last,
    sign,
    SOFTPLUS: tl.constexpr,
    Q: tl.constexpr,
):
    """Step sizes and sums of log2 decays of one chunk of one head."""
    chunk, head, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    first, places, inside = find_places(chunk, length, last, sign, Q)
    dt_ptr += sequence * dt_batch + first * dt_row + head
    dt = tl.load(dt_ptr + places * dt_row, inside, other=0.0)
    dt = dt.to(tl.float32)
    dt += tl.load(bias_ptr + head, head < bias_heads, other=0.0).to(tl.float32)
    if SOFTPLUS:
        dt = softplus(dt)
    # Steps of size zero leave states as they are: that is what places past the end do.
    dt = tl.where(inside, dt, 0.0)
    rate = tl.load(A_ptr + head).to(tl.float32) * LOG2_E
    sums = tl.cumsum(dt.to(tl.float64) * rate.to(tl.float64), 0)
    high = sums.to(tl.float32)
    row = (sequence * tl.num_programs(1) + head) * tl.num_programs(0) + chunk
    into = row * Q + tl.arange(0, Q)
    tl.store(sizes_ptr + into, dt)
    tl.store(high_ptr + into, high)
    tl.store(low_ptr + into, (sums - high.to(tl.float64)).to(tl.float32))


@triton.jit
def pairs(
    B_ptr,
    C_ptr,
    S_ptr,
    length,
    d_state,
    B_batch,
    B_row,
    B_group,
    C_batch,
    C_row,
    C_group,
    last,
    sign,
    KIND: tl.constexpr,
    Q: tl.constexpr,
    N: tl.constexpr,
    N_BLOCKS: tl.constexpr,
):
    """S = C Bᵀ of one chunk of one group."""
    chunk, group, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    first, places, inside = find_places(chunk, length, last, sign, Q)
    B_ptr += sequence * B_batch + first * B_row + group * B_group
    C_ptr += sequence * C_batch + first * C_row + group * C_group
    total = tl.zeros((Q, Q), tl.float32)
    for block in range(N_BLOCKS):
        n = block * N + tl.arange(0, N)
        B = read(B_ptr, places, B_row, n, inside, n < d_state)
        C = read(C_ptr, places, C_row, n, inside, n < d_state)
        total += multiply(C, tl.trans(B), KIND)
    q = tl.arange(0, Q)
    S_ptr += ((sequence * tl.num_programs(1) + group) * tl.num_programs(0) + chunk) * Q * Q
    tl.store(S_ptr + q[:, None] * Q + q[None, :], total)


@triton.jit
def collect(
    x_ptr,
    matrix_ptr,
    sizes_ptr,
    high_ptr,
    low_ptr,
    states_ptr,
    length,
    heads_of_group,
    headdim,
    d_state,
    x_batch,
    x_row,
    x_head,
    matrix_batch,
    matrix_row,
    matrix_group,
    last,
    sign,
    BACKWARD: tl.constexpr,
    KIND: tl.constexpr,
    Q: tl.constexpr,
    P: tl.constexpr,
    N: tl.constexpr,
    P_BLOCKS: tl.constexpr,
    N_BLOCKS: tl.constexpr,
):
    """Σ x̃ Bᵀ, decayed to the chunk's end; backwards Σ dy Cᵀ, decayed from its start."""
    chunk, program, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    head = program // (P_BLOCKS * N_BLOCKS)
    p = program // N_BLOCKS % P_BLOCKS * P + tl.arange(0, P)
    n = program % N_BLOCKS * N + tl.arange(0, N)
    heads = tl.num_programs(1) // (P_BLOCKS * N_BLOCKS)
    row = (sequence * heads + head) * tl.num_programs(0) + chunk
    first, places, inside = find_places(chunk, length, last, sign, Q)
    q = tl.arange(0, Q)
    high_ptr += row * Q
    low_ptr += row * Q
    high = tl.load(high_ptr + q)

    x_ptr += sequence * x_batch + first * x_row + head * x_head
    x = read(x_ptr, places, x_row, p, inside, p < headdim)
    if BACKWARD:
        weight = tl.exp2(high)
    else:
        weight = until_end(high_ptr, low_ptr, high, tl.load(low_ptr + q), Q)
        weight *= tl.load(sizes_ptr + row * Q + q)
    matrix_ptr += sequence * matrix_batch + first * matrix_row
    matrix_ptr += head // heads_of_group * matrix_group
    matrix = read(matrix_ptr, places, matrix_row, n, inside, n < d_state)
    state = multiply(tl.trans(x * weight[:, None]), matrix, KIND)
    states_ptr += row * headdim * d_state
    write(states_ptr, p, d_state, n, p < headdim, n < d_state, state)


@triton.jit
def carry(
    states_ptr,
    entries_ptr,
    high_ptr,
    start_ptr,
    end_ptr,
    across_ptr,
    chunks,
    size,
    start_size,
    BACKWARD: tl.constexpr,
    Q: tl.constexpr,
    BLOCK: tl.constexpr,
    GROUP: tl.constexpr,
):
    """Replace what each chunk adds to the state by the state before it.

    Backwards, in the other order: by the gradient of the state after it; and sum up what passes
    the whole chunk.
    """
    block, head, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    e = block * BLOCK + tl.arange(0, BLOCK)
    row = sequence * tl.num_programs(1) + head
    states_ptr += row * chunks * size
    entries_ptr += row * chunks * size
    high_ptr += row * chunks * Q + Q - 1
    across_ptr += row * chunks * tl.num_programs(0) + block
    state = tl.load(start_ptr + row * size + e, e < start_size, other=0.0).to(tl.float32)
    for group in range(tl.cdiv(chunks, GROUP)):
        # All loads of a group before its first store, so that they wait for memory together.
        found = ()
        for i in tl.static_range(GROUP):
            order = group * GROUP + i
            chunk = (chunks - 1 - order if BACKWARD else order).to(tl.int64)
            mask = e < tl.where(order < chunks, size, 0)
            added = tl.load(states_ptr + chunk * size + e, mask, other=0.0)
            decay = tl.exp2(tl.load(high_ptr + chunk * Q, order < chunks, other=0.0))
            entry = decay
            if BACKWARD:
                entry = tl.load(entries_ptr + chunk * size + e, mask, other=0.0)
            found = found + (added, decay, entry)
        for i in tl.static_range(GROUP):
            order = group * GROUP + i
            chunk = (chunks - 1 - order if BACKWARD else order).to(tl.int64)
            mask = e < tl.where(order < chunks, size, 0)
            added, decay, entry = found[3 * i], found[3 * i + 1], found[3 * i + 2]
            tl.store(states_ptr + chunk * size + e, state, mask)
            if BACKWARD:
                passing = tl.sum(entry * state, 0) * decay
                tl.store(across_ptr + chunk * tl.num_programs(0), passing, order < chunks)
            state = decay * state + added
    tl.store(end_ptr + row * size + e, state, e < size)


@triton.jit
def from_states(
    matrix_ptr,
    states_ptr,
    places,
    inside,
    p,
    headdim,
    d_state,
    matrix_row,
    KIND: tl.constexpr,
    Q: tl.constexpr,
    P: tl.constexpr,
    N: tl.constexpr,
    N_BLOCKS: tl.constexpr,
):
    """Product of C, or B, with states (headdim, d_state): (Q, P)."""
    total = tl.zeros((Q, P), tl.float32)
    for block in range(N_BLOCKS):
        n = block * N + tl.arange(0, N)
        matrix = read(matrix_ptr, places, matrix_row, n, inside, n < d_state)
        states = read(states_ptr, p, d_state, n, p < headdim, n < d_state)
        total += multiply(matrix, tl.trans(states), KIND)
    return total


@triton.jit
def outputs(
    x_ptr,
    z_ptr,
    C_ptr,
    D_ptr,
    S_ptr,
    sizes_ptr,
    high_ptr,
    low_ptr,
    entries_ptr,
    dy_ptr,
    y_ptr,
    dz_ptr,
    length,
    heads_of_group,
    headdim,
    d_state,
    x_batch,
    x_row,
    x_head,
    z_batch,
    z_row,
    z_head,
    C_batch,
    C_row,
    C_group,
    D_heads,
    last,
    sign,
    GATED: tl.constexpr,
    BACKWARD: tl.constexpr,
    KIND: tl.constexpr,
    Q: tl.constexpr,
    P: tl.constexpr,
    N: tl.constexpr,
    P_BLOCKS: tl.constexpr,
    N_BLOCKS: tl.constexpr,
):
    """Outputs of one chunk of one block of one head.

    Backwards, y_ptr gets the gradient of the outputs before the gate, and dz_ptr that of the gate.
    """
    chunk, program, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    chunks = tl.num_programs(0)
    head, heads = program // P_BLOCKS, tl.num_programs(1) // P_BLOCKS
    group, groups = head // heads_of_group, heads // heads_of_group
    p = program % P_BLOCKS * P + tl.arange(0, P)
    row = (sequence * heads + head) * chunks + chunk
    first, places, inside = find_places(chunk, length, last, sign, Q)
    q = tl.arange(0, Q)
    high = tl.load(high_ptr + row * Q + q)
    low = tl.load(low_ptr + row * Q + q)

    C_ptr += sequence * C_batch + first * C_row + group * C_group
    entries_ptr += row * headdim * d_state
    y = from_states(
        C_ptr, entries_ptr, places, inside, p, headdim, d_state, C_row, KIND, Q, P, N, N_BLOCKS
    )
    y *= tl.exp2(high)[:, None]
    S_ptr += ((sequence * groups + group) * chunks + chunk) * Q * Q
    within = tl.load(S_ptr + q[:, None] * Q + q[None, :]) * find_decays(high, low, Q)
    x_ptr += sequence * x_batch + first * x_row + head * x_head
    x = read(x_ptr, places, x_row, p, inside, p < headdim)
    y += multiply(within, x * tl.load(sizes_ptr + row * Q + q)[:, None], KIND)
    y += tl.load(D_ptr + head, head < D_heads, other=0.0).to(tl.float32) * x
    width = heads * headdim
    own = ((sequence * length + first) * heads + head) * headdim
    if GATED:
        z_ptr += sequence * z_batch + first * z_row + head * z_head
        z = read(z_ptr, places, z_row, p, inside, p < headdim)
        sigmoid = tl.sigmoid(z)
        if BACKWARD:
            dy = read(dy_ptr + own, places, width, p, inside, p < headdim)
            dz = dy * y * (sigmoid + z * sigmoid * (1.0 - sigmoid))
            write(dz_ptr + own, places, width, p, inside, p < headdim, dz)
            y = dy
        y *= z * sigmoid
    write(y_ptr + own, places, width, p, inside, p < headdim, y)
