"""Triton kernels of the gradients of state-space duality; letters are those of `triton_kernels`.

    inputs      gradient of x
    rates       gradient of dt, and the parts of those of A, D and dt_bias
    matrices    gradients of B and C, summed over the heads of a group

They meet the gradient of the outputs before the gate, the states before the chunks (entries), and
the gradients of the states after them (exits).
"""

import triton
import triton.language as tl

from genolm_kernels.ssd.triton_kernels import (
    find_decays,
    find_places,
    from_states,
    multiply,
    read,
    until_end,
    write,
)


@triton.jit
def inputs(
    x_ptr,
    dy_ptr,
    B_ptr,
    C_ptr,
    D_ptr,
    S_ptr,
    sizes_ptr,
    high_ptr,
    low_ptr,
    entries_ptr,
    exits_ptr,
    dx_ptr,
    parts_ptr,
    length,
    heads_of_group,
    headdim,
    d_state,
    x_batch,
    x_row,
    x_head,
    B_batch,
    B_row,
    B_group,
    C_batch,
    C_row,
    C_group,
    D_heads,
    last,
    sign,
    KIND: tl.constexpr,
    Q: tl.constexpr,
    P: tl.constexpr,
    N: tl.constexpr,
    P_BLOCKS: tl.constexpr,
    N_BLOCKS: tl.constexpr,
):
    """Gradient of x in one chunk of one block of one head, and four sums over the block.

    The sums of each place are what comes to it from before the chunk, what leaves it to after the
    chunk, the gradient of its step size as a factor, and that of its skip.
    """
    chunk, program, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    chunks = tl.num_programs(0)
    head, heads = program // P_BLOCKS, tl.num_programs(1) // P_BLOCKS
    group, groups = head // heads_of_group, heads // heads_of_group
    p = program % P_BLOCKS * P + tl.arange(0, P)
    present = p < headdim
    row = (sequence * heads + head) * chunks + chunk
    first, places, inside = find_places(chunk, length, last, sign, Q)
    q = tl.arange(0, Q)
    high = tl.load(high_ptr + row * Q + q)
    low = tl.load(low_ptr + row * Q + q)
    sizes = tl.load(sizes_ptr + row * Q + q)
    own = ((sequence * length + first) * heads + head) * headdim
    width = heads * headdim
    parts_ptr += (row * P_BLOCKS + program % P_BLOCKS) * 4 * Q

    x_ptr += sequence * x_batch + first * x_row + head * x_head
    x = read(x_ptr, places, x_row, p, inside, present)
    dy = read(dy_ptr + own, places, width, p, inside, present)
    C_ptr += sequence * C_batch + first * C_row + group * C_group
    entries_ptr += row * headdim * d_state
    arriving = from_states(
        C_ptr, entries_ptr, places, inside, p, headdim, d_state, C_row, KIND, Q, P, N, N_BLOCKS
    )
    tl.store(parts_ptr + q, tl.sum(arriving * dy, 1) * tl.exp2(high))

    B_ptr += sequence * B_batch + first * B_row + group * B_group
    exits_ptr += row * headdim * d_state
    dstepped = from_states(
        B_ptr, exits_ptr, places, inside, p, headdim, d_state, B_row, KIND, Q, P, N, N_BLOCKS
    )
    dstepped *= until_end(high_ptr + row * Q, low_ptr + row * Q, high, low, Q)[:, None]
    tl.store(parts_ptr + Q + q, tl.sum(dstepped * x, 1) * sizes)
    S_ptr += ((sequence * groups + group) * chunks + chunk) * Q * Q
    within = tl.load(S_ptr + q[:, None] * Q + q[None, :]) * find_decays(high, low, Q)
    dstepped += multiply(tl.trans(within), dy, KIND)
    tl.store(parts_ptr + 2 * Q + q, tl.sum(dstepped * x, 1))
    tl.store(parts_ptr + 3 * Q + q, tl.sum(dy * x, 1))
    D = tl.load(D_ptr + head, head < D_heads, other=0.0).to(tl.float32)
    dx = dstepped * sizes[:, None] + D * dy
    write(dx_ptr + own, places, width, p, inside, present, dx)


@triton.jit
def rates(
    x_ptr,
    dy_ptr,
    dt_ptr,
    bias_ptr,
    A_ptr,
    S_ptr,
    sizes_ptr,
    high_ptr,
    low_ptr,
    parts_ptr,
    across_ptr,
    ddt_ptr,
    sums_ptr,
    length,
    heads_of_group,
    headdim,
    across_blocks,
    x_batch,
    x_row,
    x_head,
    dt_batch,
    dt_row,
    bias_heads,
    last,
    sign,
    SOFTPLUS: tl.constexpr,
    KIND: tl.constexpr,
    Q: tl.constexpr,
    P: tl.constexpr,
    P_BLOCKS: tl.constexpr,
    ACROSS: tl.constexpr,
):
    """Gradient of dt in one chunk of one head, and its parts of those of A, D and dt_bias."""
    chunk, head, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    chunks, heads = tl.num_programs(0), tl.num_programs(1)
    group, groups = head // heads_of_group, heads // heads_of_group
    row = (sequence * heads + head) * chunks + chunk
    first, places, inside = find_places(chunk, length, last, sign, Q)
    q = tl.arange(0, Q)
    sizes = tl.load(sizes_ptr + row * Q + q)
    x_ptr += sequence * x_batch + first * x_row + head * x_head
    own = ((sequence * length + first) * heads + head) * headdim

    parts_ptr += row * P_BLOCKS * 4 * Q + q
    arriving, leaving = tl.zeros((Q,), tl.float32), tl.zeros((Q,), tl.float32)
    dsizes, dskip = tl.zeros((Q,), tl.float32), tl.zeros((Q,), tl.float32)
    dpairs = tl.zeros((Q, Q), tl.float32)
    for block in range(P_BLOCKS):
        p = block * P + tl.arange(0, P)
        x = read(x_ptr, places, x_row, p, inside, p < headdim)
        dy = read(dy_ptr + own, places, heads * headdim, p, inside, p < headdim)
        dpairs += multiply(dy, tl.trans(x * sizes[:, None]), KIND)
        arriving += tl.load(parts_ptr + block * 4 * Q)
        leaving += tl.load(parts_ptr + block * 4 * Q + Q)
        dsizes += tl.load(parts_ptr + block * 4 * Q + 2 * Q)
        dskip += tl.load(parts_ptr + block * 4 * Q + 3 * Q)

    # What passes the decay of place t: from the places before it to itself and later ones.
    S_ptr += ((sequence * groups + group) * chunks + chunk) * Q * Q
    high = tl.load(high_ptr + row * Q + q)
    low = tl.load(low_ptr + row * Q + q)
    dpairs *= tl.load(S_ptr + q[:, None] * Q + q[None, :]) * find_decays(high, low, Q)
    below = tl.cumsum(dpairs, 0, reverse=True)
    passing = tl.sum(tl.where(q[None, :] < q[:, None], below, 0.0), 1)
    passing += tl.cumsum(arriving, 0, reverse=True) + tl.cumsum(leaving, 0) - leaving
    c = tl.arange(0, ACROSS)
    across = tl.load(across_ptr + row * across_blocks + c, c < across_blocks, other=0.0)
    passing += tl.sum(across, 0)

    ddt = dsizes + passing * tl.load(A_ptr + head).to(tl.float32)
    if SOFTPLUS:
        dt_ptr += sequence * dt_batch + first * dt_row + head
        raw = tl.load(dt_ptr + places * dt_row, inside, other=0.0)
        bias = tl.load(bias_ptr + head, head < bias_heads, other=0.0).to(tl.float32)
        ddt *= tl.sigmoid(raw.to(tl.float32) + bias)
    ddt = tl.where(inside, ddt, 0.0)
    ddt_ptr += (sequence * length + first) * heads + head
    tl.store(ddt_ptr + places * heads, ddt.to(ddt_ptr.dtype.element_ty), inside)
    tl.store(sums_ptr + row * 3, tl.sum(passing * sizes, 0))
    tl.store(sums_ptr + row * 3 + 1, tl.sum(dskip, 0))
    tl.store(sums_ptr + row * 3 + 2, tl.sum(ddt, 0))


@triton.jit
def matrices(
    x_ptr,
    dy_ptr,
    B_ptr,
    C_ptr,
    sizes_ptr,
    high_ptr,
    low_ptr,
    entries_ptr,
    exits_ptr,
    dB_ptr,
    dC_ptr,
    length,
    headdim,
    d_state,
    x_batch,
    x_row,
    x_head,
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
    P: tl.constexpr,
    N: tl.constexpr,
    HEADS: tl.constexpr,
    P_BLOCKS: tl.constexpr,
    N_BLOCKS: tl.constexpr,
):
    """Gradients of B and C of one chunk of one block of one group, over its HEADS heads."""
    chunk, program, sequence = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    group, groups = program // N_BLOCKS, tl.num_programs(1) // N_BLOCKS
    chunks, heads = tl.num_programs(0), groups * HEADS
    n = program % N_BLOCKS * N + tl.arange(0, N)
    first, places, inside = find_places(chunk, length, last, sign, Q)
    q = tl.arange(0, Q)
    dB, dC = tl.zeros((Q, N), tl.float32), tl.zeros((Q, N), tl.float32)
    dpairs = tl.zeros((Q, Q), tl.float32)
    for step in range(HEADS * P_BLOCKS):
        head = group * HEADS + step // P_BLOCKS
        p = step % P_BLOCKS * P + tl.arange(0, P)
        present = p < headdim
        row = (sequence * heads + head) * chunks + chunk
        high = tl.load(high_ptr + row * Q + q)
        low = tl.load(low_ptr + row * Q + q)
        values_ptr = x_ptr + sequence * x_batch + first * x_row + head * x_head
        x = read(values_ptr, places, x_row, p, inside, present)
        x *= tl.load(sizes_ptr + row * Q + q)[:, None]
        own = ((sequence * length + first) * heads + head) * headdim
        dy = read(dy_ptr + own, places, heads * headdim, p, inside, present)
        states = row * headdim * d_state
        entries = read(entries_ptr + states, p, d_state, n, present, n < d_state)
        dC += multiply(dy * tl.exp2(high)[:, None], entries, KIND)
        exits = read(exits_ptr + states, p, d_state, n, present, n < d_state)
        until = until_end(high_ptr + row * Q, low_ptr + row * Q, high, low, Q)
        dB += multiply(x * until[:, None], exits, KIND)
        dpairs += multiply(dy, tl.trans(x), KIND) * find_decays(high, low, Q)
    B_ptr += sequence * B_batch + first * B_row + group * B_group
    C_ptr += sequence * C_batch + first * C_row + group * C_group
    dC += multiply(dpairs, read(B_ptr, places, B_row, n, inside, n < d_state), KIND)
    dB += multiply(tl.trans(dpairs), read(C_ptr, places, C_row, n, inside, n < d_state), KIND)
    own = ((sequence * length + first) * groups + group) * d_state
    write(dB_ptr + own, places, groups * d_state, n, inside, n < d_state, dB)
    write(dC_ptr + own, places, groups * d_state, n, inside, n < d_state, dC)
