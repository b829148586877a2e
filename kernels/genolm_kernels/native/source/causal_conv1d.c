/* Short causal convolution with bias and SiLU; genolm_kernels/causal_conv1d has the equations.
 *
 * Forward and backward each go through memory once. The backward pass computes pre-activations
 * again, block by block, for as many rows more as the filter reaches beyond the block.
 */
#include "short_conv.h"

typedef struct {
    Extent extent;
    int64_t channels, width, activate;
    Sequences x, dy;
    Filter filter;
    Target y, dx;
    float *sums; /* (items, width + 1, channels) */
} Call;

static void forward(void *context, int64_t item) {
    const Call *call = context;
    int64_t all = call->channels, length = call->extent.length;
    int64_t stop = first_block(&call->extent, item + 1);
    for (int64_t number = first_block(&call->extent, item); number < stop; number++) {
        Block block = block_at(&call->extent, number);
        for (int64_t channel = 0; channel < all;) {
            int64_t channels = chunk_at(channel, all);
            Rows in = rows_of(&call->x, block.batch, channel, length);
            Filter filter = at_channel(call->filter, channel);
            Target y = target_of(&call->y, block.batch * length + block.from, channel);
            genolm_convolve_rows(&in, &filter, block.from, block.to, channels, y, call->activate,
                                 call->width);
            channel += channels;
        }
    }
    finish_streams();
}

typedef struct {
    Rows x, dy;
    Filter filter;
    int64_t channels;
    float *sums; /* (width + 1, CHUNK) */
} Part;

/* Gradients of T rows' pre-activations from row t on, into dp if there is an activation; rows
 * that are the block's own count for the filter's gradient. */
INLINE void differentiate_tile(const Part *part, int64_t t, float *dp, int own, const int W,
                               const int T) {
    const float *from[TILE + HALO], *cotangents[TILE];
    find_rows(from, &part->x, t - part->filter.lead, T + W - 1);
    find_rows(cotangents, &part->dy, t, T);
    for (int64_t c = 0; c < part->channels; c += LANES) {
        int64_t at = place(c, part->channels);
        vf x[TILE + HALO], p[TILE], s[TILE], d[TILE];
        prefetch_rows(&part->x, t, at, T);
        prefetch_rows(&part->dy, t, at, T);
        load_rows(x, from, at, T + W - 1);
        load_rows(d, cotangents, at, T);
        if (dp) {
            convolve(p, x, &part->filter, at, W, T);
            sigmoids(s, p, T);
            for (int i = 0; i < T; i++) {
                d[i] *= s[i] + p[i] * s[i] * (splat(1.0f) - s[i]);
                store(dp + i * CHUNK + at, d[i]);
            }
        }
        if (own) add_products(part->sums + c, d, x, W, T);
    }
}

INLINE void differentiate_rows(const Part *part, int64_t from, int64_t to, float *dp, int own,
                               const int W) {
    int64_t t = from;
    for (; t + TILE <= to; t += TILE)
        differentiate_tile(part, t, dp ? dp + (t - from) * CHUNK : NULL, own, W, TILE);
    for (; t < to; t++)
        differentiate_tile(part, t, dp ? dp + (t - from) * CHUNK : NULL, own, W, 1);
}

#define DEFINE(W)                                                                                \
    static void differentiate_rows_##W(const Part *part, int64_t from, int64_t to, float *dp,    \
                                       int own) {                                                \
        differentiate_rows(part, from, to, dp, own, W);                                          \
    }
FOR_EACH_WIDTH(DEFINE)
static void (*const differentiate[])(const Part *, int64_t, int64_t, float *, int) =
    TABLE(differentiate_rows);

static void backward_block(const Call *call, Block block, int64_t channel, int64_t channels,
                           float *sums) {
    int64_t length = call->extent.length;
    Part part = {rows_of(&call->x, block.batch, channel, length),
                 rows_of(&call->dy, block.batch, channel, length),
                 at_channel(call->filter, channel), channels, sums};
    Filter back = transposed(part.filter, call->width);
    Rows dp = part.dy;
    float room[(BLOCK + HALO) * CHUNK];
    if (call->activate) {
        int64_t from = most(block.from - back.lead, 0);
        int64_t to = least(block.to + call->width - 1 - back.lead, length);
        float *own = room + (block.from - from) * CHUNK, *after = room + (block.to - from) * CHUNK;
        differentiate[call->width](&part, from, block.from, room, 0);
        differentiate[call->width](&part, block.from, block.to, own, 1);
        differentiate[call->width](&part, block.to, to, after, 0);
        dp = (Rows){room, CHUNK, from, to};
    } else {
        differentiate[call->width](&part, block.from, block.to, NULL, 1);
    }
    Target dx = target_of(&call->dx, block.batch * length + block.from, channel);
    genolm_convolve_rows(&dp, &back, block.from, block.to, channels, dx, 0, call->width);
}

static void backward(void *context, int64_t item) {
    const Call *call = context;
    int64_t all = call->channels, stop = first_block(&call->extent, item + 1);
    for (int64_t channel = 0; channel < all;) {
        int64_t channels = chunk_at(channel, all);
        float sums[(MOST_WIDTH + 1) * CHUNK] = {0};
        for (int64_t number = first_block(&call->extent, item); number < stop; number++)
            backward_block(call, block_at(&call->extent, number), channel, channels, sums);
        write_sums(call->sums + item * (call->width + 1) * all + channel, all, sums, channels,
                   call->width);
        channel += channels;
    }
    finish_streams();
}

/* x (batch, length, channels), its last axis dense; taps (width, channels) in rows that are
 * taps_row apart; bias (channels,) or NULL; y dense; 16 channels or more. */
void genolm_causal_conv1d(const float *x, int64_t x_batch, int64_t x_row, const float *taps,
                          int64_t taps_row, const float *bias, float *y, int64_t batch,
                          int64_t length, int64_t channels, int64_t width, int64_t silu,
                          int64_t reverse, int64_t items, int64_t threads) {
    Call call = {
        .extent = {batch, length, items},
        .channels = channels,
        .x = {x, x_batch, x_row},
        .filter = filter_of(taps, taps_row, bias, width, reverse),
        .width = width,
        .activate = silu,
        .y = target_in(y, batch * length, channels, channels),
    };
    genolm_parallel((int)threads, items, forward, &call);
}

/* Rows of dx are dx_row apart; each item's share of the gradients of the taps, and after them of
 * the bias, goes to sums (items, width + 1, channels). */
void genolm_causal_conv1d_backward(const float *x, int64_t x_batch, int64_t x_row,
                                   const float *taps, int64_t taps_row, const float *bias,
                                   const float *dy, int64_t dy_batch, int64_t dy_row, float *dx,
                                   int64_t dx_row, float *sums, int64_t batch, int64_t length,
                                   int64_t channels, int64_t width, int64_t silu, int64_t reverse,
                                   int64_t items, int64_t threads) {
    Call call = {
        .extent = {batch, length, items},
        .channels = channels,
        .x = {x, x_batch, x_row},
        .dy = {dy, dy_batch, dy_row},
        .filter = filter_of(taps, taps_row, bias, width, reverse),
        .width = width,
        .activate = silu,
        .dx = target_in(dx, batch * length, channels, dx_row),
        .sums = sums,
    };
    genolm_parallel((int)threads, items, backward, &call);
}
