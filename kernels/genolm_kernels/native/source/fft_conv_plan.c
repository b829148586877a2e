/* Plans: how a size falls into two directions and these into stages, with their factors. */
#include <math.h>

#include "fft_conv.h"

#define ALIGNMENT 64
#define LARGEST_OWN_TILE (1 << 20) /* floats: 4 MiB for each thread */

static const double TURN = 6.283185307179586476925;

static int split(int64_t size, int *radix) {
    static const int order[] = {8, 5, 4, 3, 2};
    int count = 0;
    for (int i = 0; i < 5; i++)
        while (size % order[i] == 0 && !(order[i] == 8 && size == 16)) { /* 16 is 4 times 4 */
            radix[count++] = order[i];
            size /= order[i];
        }
    if (count == 0) radix[count++] = 1;
    return count;
}

static float *turn(float *to, double part) {
    to[0] = (float)cos(TURN * part);
    to[1] = (float)sin(TURN * part);
    return to + 2;
}

static float *fill_axis(Axis *axis, int64_t size, float *to) {
    axis->size = size;
    axis->stages = split(size, axis->radix);
    int64_t block = size;
    for (int s = 0; s < axis->stages - 1; s++) {
        int radix = axis->radix[s];
        int64_t sub = block / radix;
        axis->twiddles[s] = to;
        for (int64_t j = 0; j < sub; j++)
            for (int q = 1; q < radix; q++) to = turn(to, -(double)(j * q) / (double)block);
        block = sub;
    }
    return to;
}

/* The frequency that decimation leaves at a place. */
static int64_t frequency(const Axis *axis, int64_t place) {
    int64_t block = axis->size, scale = 1, found = 0;
    for (int s = 0; s < axis->stages; s++) {
        block /= axis->radix[s];
        found += scale * (place / block);
        place %= block;
        scale *= axis->radix[s];
    }
    return found;
}

/* The divisor for the columns: near the root, so that both directions fit the cache. */
static int64_t columns_of(int64_t size) {
    if (size * POINT * 4 <= 1 << 17) return 1;
    int64_t best = 1;
    for (int64_t n = 1; n * n <= size; n++)
        if (size % n == 0) best = n;
    return best;
}

/* How much memory genolm_fft_plan fills. */
void genolm_fft_plan_bytes(int64_t size, int64_t *bytes, int64_t threads) {
    (void)threads;
    int64_t columns = columns_of(size), rows = size / columns;
    int64_t floats = 2 * (size + 4 * columns + 2 * rows + 64);
    *bytes = (int64_t)sizeof(Plan) + ALIGNMENT + floats * (int64_t)sizeof(float);
}

/* The plan for a size, which is a product of 2, 3 and 5. */
void genolm_fft_plan(int64_t size, void *memory, int64_t threads) {
    (void)threads;
    Plan *plan = memory;
    int64_t columns = columns_of(size), rows = size / columns;
    plan->size = size;
    plan->width = 256 / columns < 4 ? 4 : 256 / columns;
    if (plan->width > rows) plan->width = rows;
    /* Rows a power of two apart would share few lines of the cache. */
    plan->pitch = (columns > 1 ? rows + 4 : rows) * POINT;
    plan->tile = columns * plan->pitch;
    plan->local = columns * plan->width * POINT;
    plan->shared = plan->tile > LARGEST_OWN_TILE;
    plan->lanes = LANES;
    float *to = (float *)((char *)memory + (sizeof(Plan) + ALIGNMENT) / ALIGNMENT * ALIGNMENT);
    to = fill_axis(&plan->columns, columns, to);
    to = fill_axis(&plan->rows, rows, to);
    plan->weights = to;
    for (int64_t t = 0; t < columns; t++) to = turn(to, (double)t / (double)(4 * columns));
    plan->unweights = to;
    for (int64_t t = 0; t < columns; t++) {
        turn(to, (double)t / (double)(4 * columns));
        to[0] = to[0] / (float)size;
        to[1] = to[1] / (float)size;
        to += 2;
    }
    plan->factors = to;
    for (int64_t t = 0; t < rows; t++)
        for (int64_t place = 0; place < columns; place++) {
            double shifted = (double)frequency(&plan->columns, place) - 0.25;
            to = turn(to, -(double)t * shifted / (double)size);
        }
}
