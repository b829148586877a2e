/* Two short causal convolutions and their product; genolm_kernels/gated_short_conv has the
 * equations. The channels of x are a gate and what it multiplies, one after the other. */
#include "short_conv.h"

typedef struct {
    Extent extent;
    int64_t channels, width; /* channels of one part */
    Sequences x, dy;
    Filter filter;
    Target y, dx;
    float *sums; /* (items, width + 1, 2 channels) */
} Call;

/* The gate and what it multiplies, of some channels of one sequence. */
typedef struct {
    Rows x[2], dy;
    Filter filter[2];
    int64_t channels;
} Pair;

INLINE Pair pair_at(const Call *call, int64_t batch, int64_t channel, int64_t channels) {
    Pair pair = {.channels = channels};
    for (int k = 0; k < 2; k++) {
        int64_t at = k * call->channels + channel;
        pair.x[k] = rows_of(&call->x, batch, at, call->extent.length);
        pair.filter[k] = at_channel(call->filter, at);
    }
    return pair;
}

INLINE void find_pair(const float *from[2][TILE + HALO], const Pair *pair, int64_t t,
                      const int count) {
    for (int k = 0; k < 2; k++)
        find_rows(from[k], &pair->x[k], t - pair->filter[k].lead, count);
}

INLINE void gate_tile(const Pair *pair, int64_t t, const Target *y, int64_t into, const int W,
                      const int T) {
    const float *from[2][TILE + HALO];
    find_pair(from, pair, t, T + W - 1);
    for (int64_t c = 0; c < pair->channels; c += LANES) {
        int64_t at = place(c, pair->channels);
        vf x[TILE + HALO], p[2][TILE];
        for (int k = 0; k < 2; k++) {
            prefetch_rows(&pair->x[k], t, at, T);
            load_rows(x, from[k], at, T + W - 1);
            convolve(p[k], x, &pair->filter[k], at, W, T);
        }
        for (int i = 0; i < T; i++) p[0][i] *= p[1][i];
        write_rows(y, into, at, p[0], T);
    }
}

/* Gradients of T rows of both convolutions from row t on, into dp; rows that are the block's own
 * count for the filters' gradients. */
INLINE void differentiate_tile(const Pair *pair, int64_t t, float *const dp[2], float *const sums[2],
                               int own, const int W, const int T) {
    const float *from[2][TILE + HALO], *cotangents[TILE];
    find_pair(from, pair, t, T + W - 1);
    find_rows(cotangents, &pair->dy, t, T);
    for (int64_t c = 0; c < pair->channels; c += LANES) {
        int64_t at = place(c, pair->channels);
        vf x[2][TILE + HALO], p[2][TILE], d[TILE];
        prefetch_rows(&pair->dy, t, at, T);
        load_rows(d, cotangents, at, T);
        for (int k = 0; k < 2; k++) {
            prefetch_rows(&pair->x[k], t, at, T);
            load_rows(x[k], from[k], at, T + W - 1);
            convolve(p[1 - k], x[k], &pair->filter[k], at, W, T);
        }
        for (int k = 0; k < 2; k++) {
            for (int i = 0; i < T; i++) {
                p[k][i] *= d[i];
                store(dp[k] + i * CHUNK + at, p[k][i]);
            }
            if (own) add_products(sums[k] + c, p[k], x[k], W, T);
        }
    }
}

INLINE void gate_rows(const Pair *pair, int64_t from, int64_t to, const Target *y, const int W) {
    int64_t t = from;
    for (; t + TILE <= to; t += TILE) gate_tile(pair, t, y, t - from, W, TILE);
    for (; t < to; t++) gate_tile(pair, t, y, t - from, W, 1);
}

/* Row `from` goes to the rooms' row `into`. */
INLINE void differentiate_rows(const Pair *pair, int64_t from, int64_t to, int64_t into,
                               float *const room[2], float *const sums[2], int own, const int W) {
    int64_t t = from;
    for (; t < to;) {
        int64_t row = (into + t - from) * CHUNK;
        float *const dp[2] = {room[0] + row, room[1] + row};
        int whole = t + TILE <= to;
        if (whole) differentiate_tile(pair, t, dp, sums, own, W, TILE);
        else differentiate_tile(pair, t, dp, sums, own, W, 1);
        t += whole ? TILE : 1;
    }
}

#define DEFINE(W)                                                                                \
    static void gate_rows_##W(const Pair *pair, int64_t from, int64_t to, const Target *y) {     \
        gate_rows(pair, from, to, y, W);                                                         \
    }                                                                                            \
    static void differentiate_rows_##W(const Pair *pair, int64_t from, int64_t to, int64_t into, \
                                       float *const room[2], float *const sums[2], int own) {    \
        differentiate_rows(pair, from, to, into, room, sums, own, W);                            \
    }
FOR_EACH_WIDTH(DEFINE)

static void (*const gates[])(const Pair *, int64_t, int64_t, const Target *) = TABLE(gate_rows);
static void (*const differentiate[])(const Pair *, int64_t, int64_t, int64_t, float *const[2],
                                     float *const[2], int) = TABLE(differentiate_rows);

static void forward(void *context, int64_t item) {
    const Call *call = context;
    int64_t length = call->extent.length, stop = first_block(&call->extent, item + 1);
    for (int64_t number = first_block(&call->extent, item); number < stop; number++) {
        Block block = block_at(&call->extent, number);
        for (int64_t channel = 0; channel < call->channels;) {
            int64_t channels = chunk_at(channel, call->channels);
            Pair pair = pair_at(call, block.batch, channel, channels);
            Target y = target_of(&call->y, block.batch * length + block.from, channel);
            gates[call->width](&pair, block.from, block.to, &y);
            channel += channels;
        }
    }
    finish_streams();
}

static void backward_block(const Call *call, Block block, int64_t channel, int64_t channels,
                           float *const sums[2]) {
    int64_t length = call->extent.length, width = call->width;
    Pair pair = pair_at(call, block.batch, channel, channels);
    pair.dy = rows_of(&call->dy, block.batch, channel, length);
    float gate_room[(BLOCK + HALO) * CHUNK], room[(BLOCK + HALO) * CHUNK];
    float *const rooms[2] = {gate_room, room};
    int64_t lead = transposed(pair.filter[0], width).lead;
    int64_t from = most(block.from - lead, 0), to = least(block.to + width - 1 - lead, length);
    int64_t own = block.from - from, after = block.to - from;
    differentiate[width](&pair, from, block.from, 0, rooms, sums, 0);
    differentiate[width](&pair, block.from, block.to, own, rooms, sums, 1);
    differentiate[width](&pair, block.to, to, after, rooms, sums, 0);
    for (int k = 0; k < 2; k++) {
        Rows dp = {rooms[k], CHUNK, from, to};
        Filter back = transposed(pair.filter[k], width);
        Target dx = target_of(&call->dx, block.batch * length + block.from,
                              k * call->channels + channel);
        genolm_convolve_rows(&dp, &back, block.from, block.to, channels, dx, 0, width);
    }
}

static void backward(void *context, int64_t item) {
    const Call *call = context;
    int64_t all = call->channels, stop = first_block(&call->extent, item + 1);
    float *into = call->sums + item * (call->width + 1) * 2 * all;
    for (int64_t channel = 0; channel < all;) {
        int64_t channels = chunk_at(channel, all);
        float room[2][(MOST_WIDTH + 1) * CHUNK] = {0};
        float *const sums[2] = {room[0], room[1]};
        for (int64_t number = first_block(&call->extent, item); number < stop; number++)
            backward_block(call, block_at(&call->extent, number), channel, channels, sums);
        for (int k = 0; k < 2; k++)
            write_sums(into + k * all + channel, 2 * all, sums[k], channels, call->width);
        channel += channels;
    }
    finish_streams();
}

/* x (batch, length, 2 channels), its last axis dense: the gate, then what it multiplies; taps
 * (width, 2 channels) in rows that are taps_row apart; bias (2 channels,) or NULL; y (batch,
 * length, channels) dense; 16 channels or more. */
void genolm_gated_short_conv(const float *x, int64_t x_batch, int64_t x_row, const float *taps,
                             int64_t taps_row, const float *bias, float *y, int64_t batch,
                             int64_t length, int64_t channels, int64_t width, int64_t reverse,
                             int64_t items, int64_t threads) {
    Call call = {
        .extent = {batch, length, items},
        .channels = channels,
        .width = width,
        .x = {x, x_batch, x_row},
        .filter = filter_of(taps, taps_row, bias, width, reverse),
        .y = target_in(y, batch * length, channels, channels),
    };
    genolm_parallel((int)threads, items, forward, &call);
}

/* Rows of dx (batch, length, 2 channels) are dx_row apart; each item's share of the gradients of
 * the taps, and after them of the bias, goes to sums (items, width + 1, 2 channels). */
void genolm_gated_short_conv_backward(const float *x, int64_t x_batch, int64_t x_row,
                                      const float *taps, int64_t taps_row, const float *bias,
                                      const float *dy, int64_t dy_batch, int64_t dy_row, float *dx,
                                      int64_t dx_row, float *sums, int64_t batch, int64_t length,
                                      int64_t channels, int64_t width, int64_t reverse,
                                      int64_t items, int64_t threads) {
    Call call = {
        .extent = {batch, length, items},
        .channels = channels,
        .width = width,
        .x = {x, x_batch, x_row},
        .dy = {dy, dy_batch, dy_row},
        .filter = filter_of(taps, taps_row, bias, width, reverse),
        .dx = target_in(dx, batch * length, channels, dx_row),
        .sums = sums,
    };
    genolm_parallel((int)threads, items, backward, &call);
}
