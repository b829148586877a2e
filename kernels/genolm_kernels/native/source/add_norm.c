/* Residual sum and norm over channels; genolm_kernels/add_norm has the equations.
 *
 * Each row is read from memory once, and gone over again in the first cache. Rows go to items in
 * runs, since each item adds up its share of the weight's and bias' gradients. */
#include <math.h>

#include "parallel.h"
#include "stream.h"

#define AHEAD 4 /* rows that are asked for before they are needed */
#define MOST_STREAMED_CHANNELS 2048

typedef struct {
    int64_t rows, channels, items, rms;
    float eps;
    const float *hidden, *residual, *weight, *bias; /* residual and bias may be NULL */
    int64_t hidden_row, residual_row;
    float *total, *normed; /* dense; total is NULL where there is no residual */
    int64_t stream_total, stream_normed;
    const float *dnormed, *dtotal; /* dtotal may be NULL */
    int64_t dnormed_row, dtotal_row;
    float *dhidden, *sums; /* dense; sums (items, 2, channels) */
} Call;

/* Vectors of a row start at 0, LANES, ...; the last one is moved back to end with the row, and
 * `fresh` then takes out the lanes that the one before it had. */
INLINE int64_t place(int64_t c, int64_t channels) {
    return c + LANES > channels ? channels - LANES : c;
}

INLINE vi fresh_lanes(int64_t channels) {
    vi index;
    for (int i = 0; i < LANES; i++) index[i] = i;
    int32_t seen = (int32_t)(-channels & (LANES - 1));
    return index >= seen - (vi){0};
}

INLINE vf fresh(vf x, int64_t c, int64_t channels, vi mask) {
    return c + LANES > channels ? choose(mask, x, splat(0.0f)) : x;
}

typedef struct {
    float mean, scale;
} Statistics;

/* Mean (0 for RMSNorm) and 1 / sqrt(mean((x - mean)²) + eps). */
INLINE Statistics describe(const Call *call, const float *x, vi mask) {
    int64_t channels = call->channels;
    float mean = 0;
    if (!call->rms) {
        vf total = {0};
        for (int64_t c = 0; c < channels; c += LANES)
            total += fresh(load(x + place(c, channels)), c, channels, mask);
        mean = sum(total) / (float)channels;
    }
    vf squares = {0};
    for (int64_t c = 0; c < channels; c += LANES) {
        vf centred = fresh(load(x + place(c, channels)) - splat(mean), c, channels, mask);
        squares += centred * centred;
    }
    return (Statistics){mean, 1 / sqrtf(sum(squares) / (float)channels + call->eps)};
}

/* The sum's row: where it belongs, or in `room` if it will be streamed there later. */
INLINE const float *add_row(const Call *call, int64_t row, float *room) {
    int64_t channels = call->channels;
    const float *hidden = call->hidden + row * call->hidden_row;
    if (!call->residual) return hidden;
    const float *residual = call->residual + row * call->residual_row;
    float *total = call->stream_total ? room : call->total + row * channels;
    for (int64_t c = 0; c < channels; c += LANES) {
        int64_t at = place(c, channels);
        __builtin_prefetch(hidden + AHEAD * call->hidden_row + at);
        __builtin_prefetch(residual + AHEAD * call->residual_row + at);
        store(total + at, load(hidden + at) + load(residual + at));
    }
    return total;
}

INLINE void put(float *p, vf x, int64_t streamed) {
    if (streamed) stream(p, x);
    else store(p, x);
}

static void forward(void *context, int64_t item) {
    const Call *call = context;
    int64_t channels = call->channels, stop = call->rows * (item + 1) / call->items;
    vi mask = fresh_lanes(channels);
    float room[MOST_STREAMED_CHANNELS];
    for (int64_t row = call->rows * item / call->items; row < stop; row++) {
        const float *x = add_row(call, row, room);
        Statistics of = describe(call, x, mask);
        float *normed = call->normed + row * channels;
        for (int64_t c = 0; c < channels; c += LANES) {
            int64_t at = place(c, channels);
            vf sum = load(x + at);
            vf y = (sum - splat(of.mean)) * splat(of.scale) * load(call->weight + at);
            if (call->bias) y += load(call->bias + at);
            put(normed + at, y, call->stream_normed);
            if (call->stream_total) stream(call->total + row * channels + at, sum);
        }
    }
    finish_streams();
}

/* With n = (x - mean) scale and g = dnormed weight:
 *     dx = scale (g - mean(g) - n mean(g n)) + dtotal,  without the mean(g) for RMSNorm. */
INLINE void backward_row(const Call *call, int64_t row, float *sums, vi mask) {
    int64_t channels = call->channels;
    const float *x = call->hidden + row * call->hidden_row;
    const float *dnormed = call->dnormed + row * call->dnormed_row;
    const float *dtotal = call->dtotal ? call->dtotal + row * call->dtotal_row : NULL;
    float *dx = call->dhidden + row * channels;
    Statistics of = describe(call, x, mask);
    vf along = {0}, across = {0};
    for (int64_t c = 0; c < channels; c += LANES) {
        int64_t at = place(c, channels);
        vf n = (load(x + at) - splat(of.mean)) * splat(of.scale);
        vf g = fresh(load(dnormed + at) * load(call->weight + at), c, channels, mask);
        across += g;
        along += fresh(g * n, c, channels, mask);
        __builtin_prefetch(x + AHEAD * call->hidden_row + at);
        __builtin_prefetch(dnormed + AHEAD * call->dnormed_row + at);
        if (dtotal) __builtin_prefetch(dtotal + AHEAD * call->dtotal_row + at);
    }
    float mean = call->rms ? 0 : sum(across) / (float)channels;
    float slope = sum(along) / (float)channels;
    for (int64_t c = 0; c < channels; c += LANES) {
        int64_t at = place(c, channels);
        vf n = (load(x + at) - splat(of.mean)) * splat(of.scale), d = load(dnormed + at);
        vf dsum = splat(of.scale) * (d * load(call->weight + at) - splat(mean) - n * splat(slope));
        put(dx + at, dtotal ? dsum + load(dtotal + at) : dsum, call->stream_total);
        store(sums + at, load(sums + at) + fresh(d * n, c, channels, mask));
        if (call->bias)
            store(sums + channels + at, load(sums + channels + at) + fresh(d, c, channels, mask));
    }
}

static void backward(void *context, int64_t item) {
    const Call *call = context;
    int64_t stop = call->rows * (item + 1) / call->items;
    float *sums = call->sums + item * 2 * call->channels;
    vi mask = fresh_lanes(call->channels);
    for (int64_t i = 0; i < 2 * call->channels; i++) sums[i] = 0;
    for (int64_t row = call->rows * item / call->items; row < stop; row++)
        backward_row(call, row, sums, mask);
    finish_streams();
}

/* hidden and residual (rows, channels) with their last axis dense; residual, total and bias may be
 * NULL, without a residual hidden is the sum; normed and total dense; 16 channels or more. */
void genolm_add_norm(const float *hidden, int64_t hidden_row, const float *residual,
                     int64_t residual_row, const float *weight, const float *bias, float *normed,
                     float *total, float eps, int64_t rms, int64_t rows, int64_t channels,
                     int64_t items, int64_t threads) {
    Call call = {
        .rows = rows,
        .channels = channels,
        .items = items,
        .rms = rms,
        .eps = eps,
        .hidden = hidden,
        .hidden_row = hidden_row,
        .residual = residual,
        .residual_row = residual_row,
        .weight = weight,
        .bias = bias,
        .normed = normed,
        .total = total,
        .stream_normed = streams(normed, rows, channels, channels),
    };
    call.stream_total = residual && channels <= MOST_STREAMED_CHANNELS &&
                        streams(total, rows, channels, channels);
    genolm_parallel((int)threads, items, forward, &call);
}

/* The sum is given again; each item's share of the gradients of the weight, and after it the
 * bias, goes to sums (items, 2, channels). dtotal may be NULL. */
void genolm_add_norm_backward(const float *total, int64_t total_row, const float *weight,
                              const float *bias, const float *dnormed, int64_t dnormed_row,
                              const float *dtotal, int64_t dtotal_row, float *dhidden, float *sums,
                              float eps, int64_t rms, int64_t rows, int64_t channels,
                              int64_t items, int64_t threads) {
    Call call = {
        .rows = rows,
        .channels = channels,
        .items = items,
        .rms = rms,
        .eps = eps,
        .hidden = total,
        .hidden_row = total_row,
        .weight = weight,
        .bias = bias,
        .dnormed = dnormed,
        .dnormed_row = dnormed_row,
        .dtotal = dtotal,
        .dtotal_row = dtotal_row,
        .dhidden = dhidden,
        .stream_total = streams(dhidden, rows, channels, channels),
        .sums = sums,
    };
    genolm_parallel((int)threads, items, backward, &call);
}
