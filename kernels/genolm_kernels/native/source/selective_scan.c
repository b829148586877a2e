/* The selective scan, forwards: h_t = exp(dt_t A) h_{t-1} + dt_t B_t u_t, y_t = <C_t, h_t>.
 *
 * States stay in registers over a tile of steps, a few at a time; the blocks of an item take turns
 * tile by tile, so that memory is read in order.
 */
#include <stdlib.h>

#include "parallel.h"
#include "selective_scan.h"

typedef struct {
    const Scan *scan;
    float *y;
} Forward;

/* Run `count` states (a constant) through a tile, adding what they say to y. */
INLINE void advance(int count, const Tile *tile, int64_t n, const float *A, float *states, vf *y) {
    vf h[16];
    UNROLLED for (int k = 0; k < count; k++) h[k] = load(states + (n + k) * LANES);
    for (int64_t i = 0; i < tile->steps; i++) {
        const float *B = tile->B[i] + n, *C = tile->C[i] + n;
        vf dt = tile->dt[i], x = tile->x[i], even = y[i], odd = splat(0.0f);
        UNROLLED for (int k = 0; k < count; k++) {
            h[k] = decay_of(dt * load(A + (n + k) * LANES), 1) * h[k] + x * splat(B[k]);
            if (k % 2) odd += h[k] * splat(C[k]);
            else even += h[k] * splat(C[k]);
        }
        y[i] = even + odd;
    }
    UNROLLED for (int k = 0; k < count; k++) store(states + (n + k) * LANES, h[k]);
}

static void advance_all(const Tile *tile, int64_t count, const float *A, float *states, vf *y) {
    int64_t n = 0;
    if (LANES == 16)
        for (; n + 16 <= count; n += 16) advance(16, tile, n, A, states, y);
    for (; n + 8 <= count; n += 8) advance(8, tile, n, A, states, y);
    for (; n + 4 <= count; n += 4) advance(4, tile, n, A, states, y);
    for (; n < count; n++) advance(1, tile, n, A, states, y);
}

typedef struct {
    vf y[LONGEST_TILE];
    Tile tile;
} Buffers;

/* One block, one tile: read, scan, skip, add the other direction, gate, write. */
static void forward_tile(const Forward *run, int d, Place place, int64_t tile, int64_t channel,
                         const float *A, float *states, Buffers *buffers) {
    const Scan *scan = run->scan;
    const Direction *way = &scan->direction[d];
    int64_t width = scan->channels / scan->groups, column = place.group * width + channel;
    int lanes = width - channel < LANES ? (int)(width - channel) : LANES;
    if (way->starts)
        memcpy(start_of_tile(scan, way, place, tile, channel), states,
               sizeof(float) * (size_t)(scan->states * LANES));
    read_tile(scan, way, place, tile, channel, lanes, &buffers->tile);
    vf skip = way->D ? load_some(way->D + column, lanes) : splat(0.0f);
    vf *y = buffers->y;
    for (int64_t i = 0; i < buffers->tile.steps; i++) y[i] = skip * buffers->tile.u[i];
    advance_all(&buffers->tile, scan->states, A, states, y);
    int last = d + 1 == scan->directions;
    int64_t ahead = way->reverse ? -scan->tile : scan->tile;
    for (int64_t i = 0; i < buffers->tile.steps; i++) {
        int64_t at = position(scan, way, tile * scan->tile + i);
        float *out = run->y + (place.sequence * scan->length + at) * scan->channels + column;
        __builtin_prefetch(out + ahead * scan->channels, 1);
        vf value = d ? y[i] + load_some(out, lanes) : y[i];
        if (last && scan->z) {
            const float *gate = scan->z + place.sequence * scan->z_batch + at * scan->z_step + column;
            prefetch(gate + ahead * scan->z_step);
            vf z = load_some(gate, lanes);
            value = value * z * vsigmoid(z);
        }
        store_some(out, value, lanes);
    }
}

static void forward_item(void *context, int64_t item) {
    const Forward *run = context;
    const Scan *scan = run->scan;
    Place place = place_of(scan, item);
    int64_t blocks = ceil_div(place.stop - place.first, LANES), block = scan->states * LANES;
    int64_t width = scan->channels / scan->groups;
    size_t bytes = sizeof(float) * (size_t)(2 * blocks * block);
    float *A = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64), *states = A + blocks * block;
    Buffers buffers;
    for (int d = 0; d < scan->directions; d++) {
        const Direction *way = &scan->direction[d];
        int64_t column = place.group * width;
        for (int64_t b = 0; b < blocks; b++) {
            int64_t channel = place.first + b * LANES;
            int lanes = width - channel < LANES ? (int)(width - channel) : LANES;
            int64_t row = (place.sequence * scan->channels + column + channel) * scan->states;
            gather_states(way->A + (column + channel) * scan->states, scan->states, lanes,
                          1.4426950408889634f, A + b * block);
            if (way->initial)
                gather_states(way->initial + row, scan->states, lanes, 1.0f, states + b * block);
            else
                memset(states + b * block, 0, sizeof(float) * (size_t)block);
        }
        int64_t tiles = ceil_div(scan->length, scan->tile);
        for (int64_t tile = 0; tile < tiles; tile++)
            for (int64_t b = 0; b < blocks; b++)
                forward_tile(run, d, place, tile, place.first + b * LANES, A + b * block,
                             states + b * block, &buffers);
        for (int64_t b = 0; way->last && b < blocks; b++) {
            int64_t channel = place.first + b * LANES;
            int lanes = width - channel < LANES ? (int)(width - channel) : LANES;
            int64_t row = (place.sequence * scan->channels + column + channel) * scan->states;
            scatter_states(states + b * block, scan->states, lanes, 1.0f, way->last + row);
        }
    }
    free(A);
}

/* y: (batch, length, channels), contiguous. */
void genolm_selective_scan(const Scan *scan, float *y, int threads) {
    Forward run = {scan, y};
    genolm_parallel(threads, scan->batch * scan->groups * scan->parts, forward_item, &run);
}
