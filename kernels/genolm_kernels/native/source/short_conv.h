/* What the short convolutions share: filters of 1 to 8 taps for each channel, channels last.
 *
 * A filter with `lead` L computes  y_t = bias + sum_j tap_j x_{t - L + j},  j = 0 .. width - 1,
 * with zeros outside the sequence: L = width - 1 looks back, L = 0 looks ahead. Its derivative by
 * x is the filter with the taps in the other order and the lead width - 1 - L.
 */
#ifndef GENOLM_SHORT_CONV_H
#define GENOLM_SHORT_CONV_H

#include "parallel.h"
#include "stream.h"
#include "vector.h"

#define MOST_WIDTH 8
#define TILE 4      /* rows computed together, so that an input is loaded once for all of them */
#define CHUNK 256   /* channels worked on at a time: their rows stay in the first cache */
#define BLOCK 64    /* rows worked on at a time */
#define HALO (MOST_WIDTH - 1)
#define AHEAD 8     /* rows that are asked for before they are needed */

typedef struct {
    const float *start; /* of row `first` */
    int64_t stride, first, stop;
} Rows;

/* Where rows go; `streamed` as in stream.h. */
typedef struct {
    float *start; /* of the first row */
    int64_t stride, streamed;
} Target;

typedef struct {
    const float *taps, *bias; /* tap j of channel c at taps[j * stride + c]; bias may be NULL */
    int64_t stride, lead;
} Filter;

/* Sequences (batch, length, channels), the last axis dense. */
typedef struct {
    const float *start;
    int64_t batch_stride, row_stride;
} Sequences;

typedef struct {
    int64_t batch, length, items;
} Extent;

typedef struct {
    int64_t batch, from, to;
} Block;

static const float zeros[CHUNK];

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

INLINE const float *row(const Rows *rows, int64_t t) {
    if (t < rows->first || t >= rows->stop) return zeros;
    return rows->start + (t - rows->first) * rows->stride;
}

INLINE Rows rows_of(const Sequences *x, int64_t batch, int64_t channel, int64_t length) {
    return (Rows){x->start + batch * x->batch_stride + channel, x->row_stride, 0, length};
}

INLINE Target target_of(const Target *all, int64_t row, int64_t channel) {
    return (Target){all->start + row * all->stride + channel, all->stride, all->streamed};
}

INLINE Target target_in(float *start, int64_t rows, int64_t channels, int64_t stride) {
    return (Target){start, stride, streams(start, rows, channels, stride)};
}

INLINE Filter filter_of(const float *taps, int64_t stride, const float *bias, int64_t width,
                        int64_t reverse) {
    return (Filter){taps, bias, stride, reverse ? 0 : width - 1};
}

INLINE Filter at_channel(Filter filter, int64_t channel) {
    filter.taps += channel;
    if (filter.bias) filter.bias += channel;
    return filter;
}

INLINE Filter transposed(Filter filter, int64_t width) {
    return (Filter){filter.taps + (width - 1) * filter.stride, NULL, -filter.stride,
                    width - 1 - filter.lead};
}

/* Blocks are numbered through all sequences; item i of n has the i-th n-th of them. */
INLINE int64_t blocks_in(const Extent *extent) {
    return extent->batch * ((extent->length + BLOCK - 1) / BLOCK);
}

INLINE int64_t first_block(const Extent *extent, int64_t item) {
    return blocks_in(extent) * item / extent->items;
}

INLINE Block block_at(const Extent *extent, int64_t number) {
    int64_t each = (extent->length + BLOCK - 1) / BLOCK;
    int64_t from = number % each * BLOCK;
    return (Block){number / each, from, least(from + BLOCK, extent->length)};
}

/* Vectors of a row start at 0, LANES, ...; the last one is moved back to end with the row. A row
 * has LANES channels or more. */
INLINE int64_t place(int64_t c, int64_t channels) {
    return c + LANES > channels ? channels - LANES : c;
}

/* Channels of the chunk from `channel` on: never fewer than LANES are left for the last one. */
INLINE int64_t chunk_at(int64_t channel, int64_t channels) {
    int64_t left = channels - channel;
    if (left <= CHUNK) return left;
    return left < CHUNK + LANES ? CHUNK - LANES : CHUNK;
}

INLINE void find_rows(const float **found, const Rows *rows, int64_t t, const int count) {
    for (int k = 0; k < count; k++) found[k] = row(rows, t + k);
}

INLINE void prefetch_rows(const Rows *rows, int64_t t, int64_t at, const int count) {
    for (int i = 0; i < count; i++)
        __builtin_prefetch(rows->start + (t + AHEAD + i - rows->first) * rows->stride + at);
}

INLINE void write_rows(const Target *y, int64_t row, int64_t at, const vf *x, const int count) {
    float *into = y->start + row * y->stride + at;
    if (y->streamed)
        for (int i = 0; i < count; i++) stream(into + i * y->stride, x[i]);
    else
        for (int i = 0; i < count; i++) store(into + i * y->stride, x[i]);
}

INLINE void load_rows(vf *x, const float *const *rows, int64_t at, const int count) {
    for (int k = 0; k < count; k++) x[k] = load(rows[k] + at);
}

/* y[i] = bias + sum_j tap_j x[i + j] for i < T. */
INLINE void convolve(vf *y, const vf *x, const Filter *filter, int64_t at, const int W,
                     const int T) {
    vf bias = filter->bias ? load(filter->bias + at) : splat(0.0f);
    for (int i = 0; i < T; i++) y[i] = bias;
    for (int j = 0; j < W; j++) {
        vf tap = load(filter->taps + j * filter->stride + at);
        for (int i = 0; i < T; i++) y[i] += tap * x[i + j];
    }
}

/* sums[j] += sum_i dp[i] x[i + j], and after the taps' sums the bias'. */
INLINE void add_products(float *sums, const vf *dp, const vf *x, const int W, const int T) {
    for (int j = 0; j < W; j++) {
        vf total = load(sums + j * CHUNK);
        for (int i = 0; i < T; i++) total += dp[i] * x[i + j];
        store(sums + j * CHUNK, total);
    }
    vf total = load(sums + W * CHUNK);
    for (int i = 0; i < T; i++) total += dp[i];
    store(sums + W * CHUNK, total);
}

/* Together, so that the processor has several exponentials under way at a time. */
INLINE void sigmoids(vf *s, const vf *p, const int count) {
    for (int i = 0; i < count; i++) s[i] = vexp(-p[i]);
    for (int i = 0; i < count; i++) s[i] = splat(1.0f) / (splat(1.0f) + s[i]);
}

/* The sums of one item for `channels` channels from `channel` on: into (width + 1, all). */
INLINE void write_sums(float *into, int64_t all, const float *sums, int64_t channels,
                      int64_t width) {
    for (int64_t j = 0; j <= width; j++)
        for (int64_t c = 0; c < channels; c += LANES)
            store(into + j * all + place(c, channels), load(sums + j * CHUNK + c));
}

/* Rows `from` to `to` of the convolution. */
void genolm_convolve_rows(const Rows *in, const Filter *filter, int64_t from, int64_t to,
                          int64_t channels, Target y, int64_t activate, int64_t width);

#define FOR_EACH_WIDTH(define) \
    define(1) define(2) define(3) define(4) define(5) define(6) define(7) define(8)
#define TABLE(name) \
    {NULL,     name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, name##_7, name##_8}

#endif
