/* The first and the last pass of a tile: between channels-last memory and rows; see fft_conv.h. */
#include "fft_conv_stages.h"

typedef struct {
    int64_t first, count; /* columns */
} Block;

static Block block_of(const Plan *plan, int64_t item) {
    int64_t first = item * plan->width, left = plan->rows.size - first;
    return (Block){first, left < plan->width ? left : plan->width};
}

static int64_t blocks(const Plan *plan) {
    return (plan->rows.size + plan->width - 1) / plan->width;
}

int64_t genolm_fft_rows_together(const Plan *plan) {
    int64_t rows = (1 << 14) / plan->pitch;
    return rows < 1 ? 1 : rows;
}

void genolm_fft_pool(Pool *pool, int slots, int64_t floats, float *memory) {
    pool->slots = slots < MOST_SLOTS ? slots : MOST_SLOTS;
    pool->floats = floats;
    pool->memory = memory;
    for (int s = 0; s < pool->slots; s++) atomic_flag_clear(&pool->busy[s]);
}

float *genolm_fft_take(Pool *pool, int *slot) {
    for (int s = 0;; s = (s + 1) % pool->slots)
        if (!atomic_flag_test_and_set(&pool->busy[s])) {
            *slot = s;
            return pool->memory + s * pool->floats;
        }
}

void genolm_fft_give(Pool *pool, int slot) { atomic_flag_clear(&pool->busy[slot]); }

/* Start to fetch a line; compilers want the kind as a constant. */
INLINE void ask_for(const float *line, int to_write) {
    if (to_write) __builtin_prefetch(line, 1, 2);
    else __builtin_prefetch(line, 0, 2);
}

/* Inputs times weights, one column after another; zeros beyond the sequence. */
INLINE void gather(const Reading *r, Block block, float *local, int lanes) {
    const Plan *plan = r->plan;
    int64_t n1 = plan->columns.size, n2 = plan->rows.size;
    for (int64_t t1 = 0; t1 < n1; t1++) {
        vf re = splat(plan->weights[2 * t1]), im = splat(plan->weights[2 * t1 + 1]);
        for (int64_t c = 0; c < block.count; c++) {
            int64_t t = t1 * n2 + block.first + c;
            vf x = splat(0);
            if (t < r->length) {
                /* The next block's step, whose line no hardware would guess. */
                ask_for(r->first.at + (t + block.count) * r->first.step, 0);
                x = load_some(r->first.at + t * r->first.step, lanes);
                if (r->second.at) x *= load_some(r->second.at + t * r->second.step, lanes);
            }
            put(local + (c * n1 + t1) * POINT, (vc){x * re, x * im});
        }
    }
}

/* The last stage of the columns, and the factors, into the rows of the tile; or that undone. */
INLINE void cross(const Plan *plan, Block block, float *local, float *tile, int radix, int back) {
    int64_t n1 = plan->columns.size;
    for (int64_t place = 0; place < n1; place += radix)
        for (int64_t c = 0; c < block.count; c++) {
            const float *factor = plan->factors + ((block.first + c) * n1 + place) * 2;
            float *here = local + (c * n1 + place) * POINT;
            float *there = tile + place * plan->pitch + (block.first + c) * POINT;
            vc v[MOST_RADIX];
            for (int q = 0; q < radix; q++) {
                const float *next = there + q * plan->pitch + block.count * POINT;
                ask_for(next, !back);
                if (LANES == 16) ask_for(next + LANES, !back);
            }
            for (int q = 0; q < radix; q++)
                v[q] = back ? turned(get(there + q * plan->pitch), factor + 2 * q, 1)
                            : get(here + q * POINT);
            dft(v, radix, back);
            for (int q = 0; q < radix; q++) {
                if (back) put(here + q * POINT, v[q]);
                else put(there + q * plan->pitch, turned(v[q], factor + 2 * q, 0));
            }
        }
}

static void to_rows(const Plan *plan, Block block, float *local, float *tile) {
#define WORK(r) cross(plan, block, local, tile, r, 0)
    WITH_RADIX(plan->columns.radix[plan->columns.stages - 1], WORK)
#undef WORK
}

static void from_rows(const Plan *plan, Block block, float *local, const float *tile) {
#define WORK(r) cross(plan, block, local, (float *)tile, r, 1)
    WITH_RADIX(plan->columns.radix[plan->columns.stages - 1], WORK)
#undef WORK
}

static void read_block(void *context, int64_t item) {
    const Reading *r = context;
    const Axis *axis = &r->plan->columns;
    Block block = block_of(r->plan, item);
    int slot;
    float *local = genolm_fft_take(r->pool, &slot);
    if (r->lanes == LANES) gather(r, block, local, LANES);
    else gather(r, block, local, r->lanes);
    forth(axis, 0, local, block.count, axis->size);
    to_rows(r->plan, block, local, r->tile);
    genolm_fft_give(r->pool, slot);
}

/* Whether a vector is a whole line of the cache, and the targets too large to stay there: lines are
 * then written without being read first. */
static int may_stream(const Writing *w) {
#if defined(__AVX512F__)
    if (!w->plan->shared || w->lanes != LANES) return 0;
    for (int i = 0; i < 2; i++) {
        const Target *target = &w->targets[i];
        if (target->at && ((uintptr_t)target->at % 64 || target->step % LANES)) return 0;
    }
    return 1;
#else
    (void)w;
    return 0;
#endif
}

INLINE void emit(float *to, vf x, int lanes, int streams) {
#if defined(__AVX512F__)
    if (streams) {
        _mm512_stream_ps(to, (__m512)x);
        return;
    }
#endif
    (void)streams;
    store_some(to, x, lanes);
}

/* Real parts times the weights undone, and times what the targets ask for. */
INLINE void scatter(const Writing *w, Block block, const float *local, int lanes, int streams) {
    const Plan *plan = w->plan;
    int64_t n1 = plan->columns.size, n2 = plan->rows.size;
    for (int64_t t1 = 0; t1 < n1; t1++) {
        vf re = splat(plan->unweights[2 * t1]), im = splat(plan->unweights[2 * t1 + 1]);
        for (int64_t c = 0; c < block.count; c++) {
            int64_t t = t1 * n2 + block.first + c;
            if (t >= w->length) break;
            vc z = get(local + (c * n1 + t1) * POINT);
            vf y = z.re * re + z.im * im;
            for (int i = 0; i < 2; i++) {
                const Target *target = &w->targets[i];
                if (!target->at) continue;
                vf out = y;
                if (target->times.at)
                    out *= load_some(target->times.at + t * target->times.step, lanes);
                emit(target->at + t * target->step, out, lanes, streams);
            }
        }
    }
#if defined(__AVX512F__)
    if (streams) _mm_sfence();
#endif
}

static void write_block(void *context, int64_t item) {
    const Writing *w = context;
    const Axis *axis = &w->plan->columns;
    Block block = block_of(w->plan, item);
    int slot;
    float *local = genolm_fft_take(w->pool, &slot);
    from_rows(w->plan, block, local, w->tile);
    back(axis, 0, local, block.count, axis->size);
    if (may_stream(w)) scatter(w, block, local, LANES, 1);
    else if (w->lanes == LANES) scatter(w, block, local, LANES, 0);
    else scatter(w, block, local, w->lanes, 0);
    genolm_fft_give(w->pool, slot);
}

void genolm_fft_read(Reading *reading, int threads) {
    genolm_parallel(threads, blocks(reading->plan), read_block, reading);
}

void genolm_fft_write(Writing *writing, int threads) {
    genolm_parallel(threads, blocks(writing->plan), write_block, writing);
}
