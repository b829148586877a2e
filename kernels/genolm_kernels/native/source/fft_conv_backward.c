/* Gradients of long convolutions; see fft_conv.h for the method.
 *
 * With v = u gate_in, c = conv(v, k) + d v, y = c gate_out, and V, K, G the spectra of v, k and
 * g = dy gate_out:
 *
 *     dv ~ G conj(K) + d G,    c ~ V K + d V,    dk ~ sum over sequences of G conj(V),
 *
 * where a reversed convolution has conj(K) for K and its dk has conj(G) V. The gradient of d is that
 * of the first tap. Each LANES channels are one piece of work, over all sequences in order.
 */
#include "fft_conv_stages.h"

enum { FILTER, INPUT, OUTER, CROSSED, TILES };

typedef struct {
    const Plan *plan;
    float *tiles[TILES];
    vf skip;
    int conjugate, again, filter_only; /* again: beyond the first sequence */
    int64_t together;
} Rows;

INLINE vc product(vc x, vc y, int conjugate) {
    if (conjugate) y.im = -y.im;
    return (vc){x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re};
}

/* The last stage over the rows of input and outer gradient, the three products, and back. */
INLINE void multiply(const Rows *rows, float *const *at, int radix) {
    int reversed = rows->conjugate;
    for (int64_t place = 0; place < rows->plan->rows.size; place += radix) {
        int64_t here = place * POINT;
        vc v[MOST_RADIX], g[MOST_RADIX];
        for (int q = 0; q < radix; q++) {
            v[q] = get(at[INPUT] + here + q * POINT);
            g[q] = get(at[OUTER] + here + q * POINT);
        }
        dft(v, radix, 0);
        dft(g, radix, 0);
        for (int q = 0; q < radix; q++) {
            vc k = get(at[FILTER] + here + q * POINT);
            float *crossed = at[CROSSED] + here + q * POINT;
            vc cross = reversed ? product(v[q], g[q], 1) : product(g[q], v[q], 1);
            put(crossed, rows->again ? plus(get(crossed), cross) : cross);
            k.re += rows->skip;
            v[q] = product(v[q], k, reversed);
            g[q] = product(g[q], k, !reversed);
        }
        dft(v, radix, 1);
        dft(g, radix, 1);
        for (int q = 0; q < radix; q++) {
            put(at[INPUT] + here + q * POINT, v[q]);
            put(at[OUTER] + here + q * POINT, g[q]);
        }
    }
}

INLINE void last_stage(float *row, int64_t size, int radix, int back) {
    for (int64_t place = 0; place < size; place += radix) {
        vc v[MOST_RADIX];
        for (int q = 0; q < radix; q++) v[q] = get(row + (place + q) * POINT);
        dft(v, radix, back);
        for (int q = 0; q < radix; q++) put(row + (place + q) * POINT, v[q]);
    }
}

static int64_t rows_end(const Rows *rows, int64_t item) {
    int64_t end = (item + 1) * rows->together;
    return end < rows->plan->columns.size ? end : rows->plan->columns.size;
}

static void multiply_rows(void *context, int64_t item) {
    const Rows *rows = context;
    const Axis *axis = &rows->plan->rows;
    for (int64_t r = item * rows->together; r < rows_end(rows, item); r++) {
        float *at[TILES];
        for (int i = 0; i < TILES; i++) at[i] = rows->tiles[i] + r * rows->plan->pitch;
        forth(axis, 0, at[INPUT], 1, axis->size);
        forth(axis, 0, at[OUTER], 1, axis->size);
#define WORK(radix) multiply(rows, at, radix)
        WITH_RADIX(axis->radix[axis->stages - 1], WORK)
#undef WORK
        back(axis, 0, at[INPUT], 1, axis->size);
        back(axis, 0, at[OUTER], 1, axis->size);
    }
}

/* Rows of one tile alone: of the filter forth, or of the gradient of the filter back. */
static void turn_rows(void *context, int64_t item) {
    const Rows *rows = context;
    const Axis *axis = &rows->plan->rows;
    float *tile = rows->tiles[rows->filter_only ? FILTER : CROSSED];
    for (int64_t r = item * rows->together; r < rows_end(rows, item); r++) {
        float *row = tile + r * rows->plan->pitch;
        if (rows->filter_only) forth(axis, 0, row, 1, axis->size);
#define WORK(radix) last_stage(row, axis->size, radix, !rows->filter_only)
        WITH_RADIX(axis->radix[axis->stages - 1], WORK)
#undef WORK
        if (!rows->filter_only) back(axis, 0, row, 1, axis->size);
    }
}

static void over_rows(Rows *rows, genolm_work work, int threads) {
    int64_t count = rows->plan->columns.size;
    rows->together = genolm_fft_rows_together(rows->plan);
    genolm_parallel(threads, (count + rows->together - 1) / rows->together, work, rows);
}

/* Arguments of the backward pass, each eight bytes, in the order in which Python lists them. The
 * steps of the inputs are those from sequence to sequence and from position to position; the
 * gradients are contiguous. */
typedef struct {
    const float *u, *k, *skip, *gate_in, *gate_out, *dy;
    int64_t u_steps[2], k_step, in_steps[2], out_steps[2], dy_steps[2];
    float *du, *dk, *d_in, *d_out; /* the last two NULL where there is no gate */
    int64_t batch, length, taps, channels, conjugate;
} Gradients;

typedef struct {
    const Plan *plan;
    const Gradients *g;
    Pool *pool;
} Job;

static Signal sequence(const float *at, const int64_t *steps, int64_t b, int64_t channel) {
    if (!at) return (Signal){NULL, 0};
    return (Signal){at + b * steps[0] + channel, steps[1]};
}

static Target gradient(float *at, const Gradients *g, int64_t b, int64_t channel, Signal times) {
    if (!at) return (Target){NULL, 0, times};
    return (Target){at + b * g->length * g->channels + channel, g->channels, times};
}

static void one_sequence(const Job *job, Rows *rows, int64_t b, int64_t channel, int lanes,
                         Pool *pool, int threads) {
    const Gradients *g = job->g;
    const Plan *plan = job->plan;
    Signal u = sequence(g->u, g->u_steps, b, channel), dy = sequence(g->dy, g->dy_steps, b, channel);
    Signal in = sequence(g->gate_in, g->in_steps, b, channel);
    Signal out = sequence(g->gate_out, g->out_steps, b, channel);
    Reading input = {plan, rows->tiles[INPUT], u, in, g->length, lanes, pool};
    Reading outer = {plan, rows->tiles[OUTER], dy, out, g->length, lanes, pool};
    genolm_fft_read(&input, threads);
    genolm_fft_read(&outer, threads);
    rows->again = b > 0;
    over_rows(rows, multiply_rows, threads);
    Writing inner = {plan,
                     rows->tiles[OUTER],
                     {gradient(g->du, g, b, channel, in), gradient(g->d_in, g, b, channel, u)},
                     g->length, lanes, pool};
    genolm_fft_write(&inner, threads);
    if (!g->d_out) return;
    Writing gate = {plan,
                    rows->tiles[INPUT],
                    {gradient(g->d_out, g, b, channel, dy), {NULL, 0, {NULL, 0}}},
                    g->length, lanes, pool};
    genolm_fft_write(&gate, threads);
}

static void some_channels(const Job *job, int64_t group, float *memory, Pool *pool, int threads) {
    const Gradients *g = job->g;
    int64_t channel = group * LANES, left = g->channels - channel;
    int lanes = left < LANES ? (int)left : LANES;
    Rows rows = {.plan = job->plan, .conjugate = g->conjugate != 0};
    for (int i = 0; i < TILES; i++) rows.tiles[i] = memory + i * job->plan->tile;
    rows.skip = g->skip ? load_some(g->skip + channel, lanes) : splat(0);
    Reading filter = {job->plan, rows.tiles[FILTER], {g->k + channel, g->k_step},
                      {NULL, 0}, g->taps, lanes, pool};
    genolm_fft_read(&filter, threads);
    rows.filter_only = 1;
    over_rows(&rows, turn_rows, threads);
    for (int64_t b = 0; b < g->batch; b++) one_sequence(job, &rows, b, channel, lanes, pool, threads);
    rows.filter_only = 0;
    over_rows(&rows, turn_rows, threads);
    Writing taps = {job->plan, rows.tiles[CROSSED],
                    {{g->dk + channel, g->channels, {NULL, 0}}, {NULL, 0, {NULL, 0}}},
                    g->taps, lanes, pool};
    genolm_fft_write(&taps, threads);
}

static void some_channels_alone(void *context, int64_t group) {
    const Job *job = context;
    int slot;
    float *memory = genolm_fft_take(job->pool, &slot);
    Pool own;
    genolm_fft_pool(&own, 1, 0, memory + TILES * job->plan->tile);
    some_channels(job, group, memory, &own, 1);
    genolm_fft_give(job->pool, slot);
}

/* All gradients, of a batch of at least 1. `memory` has room for four tiles and a block of columns
 * for each thread, or, where tiles are not shared, for both for each thread. */
void genolm_fft_conv_backward(const Plan *plan, const void *gradients, float *memory,
                              int64_t threads) {
    const Gradients *g = gradients;
    if (threads > MOST_SLOTS) threads = MOST_SLOTS;
    int64_t groups = (g->channels + LANES - 1) / LANES, tiles = TILES * plan->tile;
    Pool pool;
    Job job = {plan, g, &pool};
    if (!plan->shared) {
        genolm_fft_pool(&pool, (int)threads, tiles + plan->local, memory);
        genolm_parallel((int)threads, groups, some_channels_alone, &job);
        return;
    }
    genolm_fft_advise(memory, tiles);
    genolm_fft_advise(g->du, g->batch * g->length * g->channels);
    genolm_fft_pool(&pool, (int)threads, plan->local, memory + tiles);
    for (int64_t group = 0; group < groups; group++)
        some_channels(&job, group, memory, &pool, (int)threads);
}
