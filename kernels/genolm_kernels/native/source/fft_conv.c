/* Long convolutions with spectra made beforehand; see fft_conv.h for the method. */
#define _DEFAULT_SOURCE /* for madvise */
#include "fft_conv_stages.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

#define HUGE_PAGE (1 << 21)

/* Fresh memory of some size comes page by page, each at the price of a microsecond or more: ask
 * for large ones where the system leaves that to programs. */
void genolm_fft_advise(void *memory, int64_t floats) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    uintptr_t first = ((uintptr_t)memory + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
    uintptr_t end = ((uintptr_t)memory + (uintptr_t)floats * 4) & ~(uintptr_t)(HUGE_PAGE - 1);
    if (first < end) madvise((void *)first, end - first, MADV_HUGEPAGE);
#else
    (void)memory, (void)floats;
#endif
}

typedef struct {
    const Plan *plan;
    float *tile;
    const float *spectrum; /* a tile of the filters, or NULL to transform only */
    vf skip;
    int conjugate;
    int64_t together;
} Rows;

/* The last stage over a row, the product with the filters, and the first stage back. */
INLINE void multiply(const Rows *rows, float *row, const float *filter, int radix) {
    for (int64_t place = 0; place < rows->plan->rows.size; place += radix) {
        vc v[MOST_RADIX];
        for (int q = 0; q < radix; q++) v[q] = get(row + (place + q) * POINT);
        dft(v, radix, 0);
        if (filter) {
            for (int q = 0; q < radix; q++) {
                vc k = get(filter + (place + q) * POINT);
                k.re += rows->skip;
                if (rows->conjugate) k.im = -k.im;
                v[q] = (vc){v[q].re * k.re - v[q].im * k.im, v[q].re * k.im + v[q].im * k.re};
            }
            dft(v, radix, 1);
        }
        for (int q = 0; q < radix; q++) put(row + (place + q) * POINT, v[q]);
    }
}

static void take_rows(void *context, int64_t item) {
    const Rows *rows = context;
    const Axis *axis = &rows->plan->rows;
    int64_t end = (item + 1) * rows->together;
    if (end > rows->plan->columns.size) end = rows->plan->columns.size;
    for (int64_t r = item * rows->together; r < end; r++) {
        float *row = rows->tile + r * rows->plan->pitch;
        const float *filter = rows->spectrum ? rows->spectrum + r * rows->plan->pitch : NULL;
        forth(axis, 0, row, 1, axis->size);
#define WORK(radix) multiply(rows, row, filter, radix)
        WITH_RADIX(axis->radix[axis->stages - 1], WORK)
#undef WORK
        if (filter) back(axis, 0, row, 1, axis->size);
    }
}

static void transform_rows(Rows *rows, int threads) {
    int64_t count = rows->plan->columns.size;
    rows->together = genolm_fft_rows_together(rows->plan);
    genolm_parallel(threads, (count + rows->together - 1) / rows->together, take_rows, rows);
}

/* Work on tiles: of each sequence and each LANES channels. */
typedef struct {
    const Plan *plan;
    Signal u, gate_in, gate_out;          /* of the first channel of the first sequence */
    int64_t u_batch, in_batch, out_batch; /* floats from sequence to sequence */
    const float *spectrum, *skip;
    float *y;
    int64_t y_batch, y_step;
    int64_t length, channels, groups;
    int conjugate, threads; /* threads within a tile */
    Pool *pool;
} Job;

static Signal moved(Signal signal, int64_t by) {
    if (signal.at) signal.at += by;
    return signal;
}

static int lanes_of(const Job *job, int64_t channel) {
    int64_t left = job->channels - channel;
    return left < LANES ? (int)left : LANES;
}

static void convolve(const Job *job, int64_t item, float *tile, Pool *pool) {
    int64_t b = item / job->groups, group = item % job->groups, channel = group * LANES;
    int lanes = lanes_of(job, channel);
    Reading reading = {job->plan,
                       tile,
                       moved(job->u, b * job->u_batch + channel),
                       moved(job->gate_in, b * job->in_batch + channel),
                       job->length,
                       lanes,
                       pool};
    genolm_fft_read(&reading, job->threads);
    Rows rows = {.plan = job->plan, .tile = tile, .conjugate = job->conjugate};
    rows.spectrum = job->spectrum + group * job->plan->tile;
    rows.skip = job->skip ? load_some(job->skip + channel, lanes) : splat(0);
    transform_rows(&rows, job->threads);
    float *y = job->y + b * job->y_batch + channel;
    Signal times = moved(job->gate_out, b * job->out_batch + channel);
    Writing writing = {job->plan,   tile,  {{y, job->y_step, times}, {NULL, 0, {NULL, 0}}},
                       job->length, lanes, pool};
    genolm_fft_write(&writing, job->threads);
}

/* A tile for this thread alone, with the memory for its columns behind it. */
static void convolve_alone(void *context, int64_t item) {
    const Job *job = context;
    int slot;
    float *tile = genolm_fft_take(job->pool, &slot);
    Pool own;
    genolm_fft_pool(&own, 1, 0, tile + job->plan->tile);
    convolve(job, item, tile, &own);
    genolm_fft_give(job->pool, slot);
}

/* y = conv(u gate_in, k) gate_out for spectra of k. `steps` are those of u, gate_in, gate_out and y,
 * each from sequence to sequence and from position to position. `memory` has room for one tile and
 * a block of columns for each thread, or, where tiles are not shared, for both for each thread. */
void genolm_fft_conv(const Plan *plan, const float *u, const float *gate_in, const float *gate_out,
                     const int64_t *steps, const float *spectrum, const float *skip, float *y,
                     int64_t batch, int64_t length, int64_t channels, int64_t conjugate,
                     float *memory, int64_t threads) {
    if (threads > MOST_SLOTS) threads = MOST_SLOTS;
    Pool pool;
    Job job = {.plan = plan, .u = {u, steps[1]}, .u_batch = steps[0], .pool = &pool};
    job.gate_in = (Signal){gate_in, steps[3]}, job.in_batch = steps[2];
    job.gate_out = (Signal){gate_out, steps[5]}, job.out_batch = steps[4];
    job.y = y, job.y_batch = steps[6], job.y_step = steps[7];
    job.spectrum = spectrum, job.skip = skip, job.conjugate = conjugate != 0;
    job.length = length, job.channels = channels, job.groups = (channels + LANES - 1) / LANES;
    int64_t items = batch * job.groups;
    if (!plan->shared) {
        job.threads = 1;
        genolm_fft_pool(&pool, (int)threads, plan->tile + plan->local, memory);
        genolm_parallel((int)threads, items, convolve_alone, &job);
        return;
    }
    job.threads = (int)threads;
    genolm_fft_advise(memory, plan->tile);
    if (steps[7] == channels) genolm_fft_advise(y, batch * length * channels);
    genolm_fft_pool(&pool, (int)threads, plan->local, memory + plan->tile);
    for (int64_t item = 0; item < items; item++) convolve(&job, item, memory, &pool);
}

typedef struct {
    const Plan *plan;
    const float *k;
    int64_t step, taps, channels;
    float *spectrum;
    int threads;
    Pool *pool;
} Filters;

static void transform_filter(const Filters *filters, int64_t group, Pool *pool) {
    int64_t left = filters->channels - group * LANES;
    float *tile = filters->spectrum + group * filters->plan->tile;
    Reading reading = {filters->plan,  tile,
                       {filters->k + group * LANES, filters->step},
                       {NULL, 0},      filters->taps,
                       left < LANES ? (int)left : LANES, pool};
    genolm_fft_read(&reading, filters->threads);
    Rows rows = {.plan = filters->plan, .tile = tile};
    transform_rows(&rows, filters->threads);
}

static void transform_filter_alone(void *context, int64_t group) {
    const Filters *filters = context;
    int slot;
    Pool own;
    genolm_fft_pool(&own, 1, 0, genolm_fft_take(filters->pool, &slot));
    transform_filter(filters, group, &own);
    genolm_fft_give(filters->pool, slot);
}

/* Spectra (groups of LANES channels, tile) of filters k (taps, channels); `memory` has room for a
 * block of columns for each thread. */
void genolm_fft_spectrum(const Plan *plan, const float *k, int64_t step, int64_t taps,
                         int64_t channels, float *spectrum, float *memory, int64_t threads) {
    if (threads > MOST_SLOTS) threads = MOST_SLOTS;
    int64_t groups = (channels + LANES - 1) / LANES;
    int inside = plan->shared ? (int)threads : 1;
    Pool pool;
    genolm_fft_pool(&pool, (int)threads, plan->local, memory);
    Filters filters = {plan, k, step, taps, channels, spectrum, inside, &pool};
    if (!plan->shared) {
        genolm_parallel((int)threads, groups, transform_filter_alone, &filters);
        return;
    }
    genolm_fft_advise(spectrum, groups * plan->tile);
    for (int64_t group = 0; group < groups; group++) transform_filter(&filters, group, &pool);
}
