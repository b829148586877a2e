/* The gradients of the selective scan, tile by tile, from the last step to the first.
 *
 * With g_t the gradient of h_t and e_t that of y_t before the gate, and a_t = exp(dt_t A):
 *     g_t = C_t e_t + a_{t+1} g_{t+1}      d(dt_t A) = g_t a_t h_{t-1}
 *     dC_t = sum h_t e_t     dB_t = sum g_t x_t     dx_t = <B_t, g_t>     x_t = dt_t u_t
 * States are computed again from those saved at the tiles' starts. Sums over channels are kept as
 * vectors over the blocks of an item, and added up across the lanes once.
 */
#include <stdlib.h>

#include "parallel.h"
#include "selective_scan.h"

#define GROUP 8 /* states that go through a tile together */

typedef struct {
    const Scan *scan;
    const ScanGradients *gradients;
} Backward;

/* One tile of one block on its way back. */
typedef struct {
    Tile tile;
    vf y[LONGEST_TILE];  /* outputs before the gate */
    vf e[LONGEST_TILE];  /* their gradients */
    vf dx[LONGEST_TILE]; /* gradients of dt * u */
    vf ddt[LONGEST_TILE]; /* gradients of dt through the decays */
    vf h[LONGEST_TILE + 1][GROUP], a[LONGEST_TILE][GROUP];
} Buffers;

INLINE void recompute(int count, Buffers *at, int64_t n, const float *A, const float *start) {
    vf h[GROUP], rate[GROUP];
    UNROLLED for (int k = 0; k < count; k++) {
        h[k] = at->h[0][k] = load(start + (n + k) * LANES);
        rate[k] = load(A + (n + k) * LANES);
    }
    for (int64_t i = 0; i < at->tile.steps; i++) {
        const float *B = at->tile.B[i] + n, *C = at->tile.C[i] + n;
        vf dt = at->tile.dt[i], x = at->tile.x[i], y = at->y[i];
        UNROLLED for (int k = 0; k < count; k++) {
            vf a = decay_of(dt * rate[k], 0);
            h[k] = a * h[k] + x * splat(B[k]);
            y += h[k] * splat(C[k]);
            at->a[i][k] = a;
            at->h[i + 1][k] = h[k];
        }
        at->y[i] = y;
    }
}

INLINE void retreat(int count, Buffers *at, int64_t n, int64_t states, const float *A,
                    float *gradient, float *dA, float *dB, float *dC) {
    vf g[GROUP], rate[GROUP], drate[GROUP];
    UNROLLED for (int k = 0; k < count; k++) {
        g[k] = load(gradient + (n + k) * LANES);
        rate[k] = load(A + (n + k) * LANES);
        drate[k] = splat(0.0f);
    }
    for (int64_t i = at->tile.steps - 1; i >= 0; i--) {
        const float *B = at->tile.B[i] + n, *C = at->tile.C[i] + n;
        float *dB_t = dB + (i * states + n) * LANES, *dC_t = dC + (i * states + n) * LANES;
        vf dt = at->tile.dt[i], x = at->tile.x[i], e = at->e[i];
        vf dx = at->dx[i], ddt = at->ddt[i];
        UNROLLED for (int k = 0; k < count; k++) {
            g[k] += e * splat(C[k]);
            store(dC_t + k * LANES, load(dC_t + k * LANES) + e * at->h[i + 1][k]);
            store(dB_t + k * LANES, load(dB_t + k * LANES) + g[k] * x);
            dx += g[k] * splat(B[k]);
            g[k] *= at->a[i][k];
            vf decayed = g[k] * at->h[i][k];
            ddt += decayed * rate[k];
            drate[k] += decayed * dt;
        }
        at->dx[i] = dx;
        at->ddt[i] = ddt;
    }
    UNROLLED for (int k = 0; k < count; k++) {
        store(gradient + (n + k) * LANES, g[k]);
        store(dA + (n + k) * LANES, load(dA + (n + k) * LANES) + drate[k]);
    }
}

/* What an item keeps: rows of LANES for its blocks, and the sums of the tile at hand. */
typedef struct {
    float *A;                 /* (blocks, states, LANES) */
    float *exponents;         /* A log2(e); A itself spares ddt a rounding that adds up */
    float *gradient, *dA;     /* (blocks, states, LANES) */
    float *dD, *dbias;        /* (blocks, LANES) */
    float *dB, *dC;           /* (tile, states, LANES) */
} Kept;

/* The buffers hold the states of one group only, so each goes there and back before the next. */
INLINE void there_and_back(int count, Buffers *at, int64_t n, int64_t states, const float *start,
                           const Kept *kept, int64_t block) {
    int64_t row = block * states * LANES;
    recompute(count, at, n, kept->exponents + row, start);
    retreat(count, at, n, states, kept->A + row, kept->gradient + row, kept->dA + row, kept->dB,
            kept->dC);
}

static void backward_states(Buffers *at, int64_t states, const float *start, const Kept *kept,
                            int64_t block) {
    int64_t n = 0;
    for (; n + 8 <= states; n += 8) there_and_back(8, at, n, states, start, kept, block);
    for (; n + 4 <= states; n += 4) there_and_back(4, at, n, states, start, kept, block);
    for (; n < states; n++) there_and_back(1, at, n, states, start, kept, block);
}

/* One block, one tile. */
static void backward_tile(const Backward *run, int d, Place place, int64_t tile, int64_t block,
                          const Kept *kept, Buffers *at) {
    const Scan *scan = run->scan;
    const Direction *way = &scan->direction[d];
    const DirectionGradients *out = &run->gradients->direction[d];
    int64_t width = scan->channels / scan->groups, channel = place.first + block * LANES;
    int64_t column = place.group * width + channel;
    int lanes = width - channel < LANES ? (int)(width - channel) : LANES;
    read_tile(scan, way, place, tile, channel, lanes, &at->tile);
    vf skip = way->D ? load_some(way->D + column, lanes) : splat(0.0f);
    const float *dy = run->gradients->dy + place.sequence * run->gradients->dy_batch + column;
    const float *gate = scan->z ? scan->z + place.sequence * scan->z_batch + column : NULL;
    for (int64_t i = 0; i < at->tile.steps; i++) {
        int64_t where = position(scan, way, tile * scan->tile + i);
        vf e = load_some(dy + where * run->gradients->dy_step, lanes);
        if (gate) {
            vf z = load_some(gate + where * scan->z_step, lanes);
            e *= z * vsigmoid(z);
        }
        at->e[i] = e;
        at->y[i] = skip * at->tile.u[i];
        at->dx[i] = at->ddt[i] = splat(0.0f);
    }
    backward_states(at, scan->states, start_of_tile(scan, way, place, tile, channel), kept, block);
    /* Sums of sums: over a long sequence, one running sum would lose digits. */
    vf dD = splat(0.0f), dbias = splat(0.0f);
    for (int64_t i = 0; i < at->tile.steps; i++) {
        int64_t where = position(scan, way, tile * scan->tile + i);
        int64_t row = (place.sequence * scan->length + where) * scan->channels + column;
        vf e = at->e[i], u = at->tile.u[i];
        vf draw = at->dx[i] * u + at->ddt[i];
        if (scan->softplus) draw *= vsigmoid(at->tile.raw[i]);
        store_some(out->ddelta + row, draw, lanes);
        store_some(out->du + row, at->dx[i] * at->tile.dt[i] + e * skip, lanes);
        dbias += draw;
        dD += e * u;
        if (gate) {
            vf z = load_some(gate + where * scan->z_step, lanes), s = vsigmoid(z);
            vf g = load_some(dy + where * run->gradients->dy_step, lanes);
            vf dz = g * at->y[i] * s * (splat(1.0f) + z * (splat(1.0f) - s));
            float *to = run->gradients->dz + row;
            store_some(to, d ? dz + load_some(to, lanes) : dz, lanes);
        }
    }
    store(kept->dD + block * LANES, load(kept->dD + block * LANES) + dD);
    store(kept->dbias + block * LANES, load(kept->dbias + block * LANES) + dbias);
}

/* Add up the lanes of one tile's sums into the item's own rows of dB and dC. */
static void write_sums(const Backward *run, int d, Place place, int64_t tile, const Kept *kept) {
    const Scan *scan = run->scan;
    const Direction *way = &scan->direction[d];
    const DirectionGradients *out = &run->gradients->direction[d];
    int64_t begin = tile * scan->tile, steps = scan->length - begin;
    if (steps > scan->tile) steps = scan->tile;
    int64_t plane = place.group * scan->parts + place.part;
    for (int64_t i = 0; i < steps; i++) {
        int64_t at = position(scan, way, begin + i);
        int64_t row = ((plane * scan->batch + place.sequence) * scan->length + at) * scan->states;
        const float *dB = kept->dB + i * scan->states * LANES;
        const float *dC = kept->dC + i * scan->states * LANES;
        int64_t n = 0;
        for (; n + LANES <= scan->states; n += LANES) {
            store(out->dB + row + n, sums(dB + n * LANES));
            store(out->dC + row + n, sums(dC + n * LANES));
        }
        for (; n < scan->states; n++) {
            out->dB[row + n] = sum(load(dB + n * LANES));
            out->dC[row + n] = sum(load(dC + n * LANES));
        }
    }
}

static void begin_direction(const Backward *run, int d, Place place, const Kept *kept) {
    const Scan *scan = run->scan;
    const Direction *way = &scan->direction[d];
    const float *dlast = run->gradients->direction[d].dlast;
    int64_t width = scan->channels / scan->groups, states = scan->states;
    for (int64_t channel = place.first; channel < place.stop; channel += LANES) {
        int64_t column = place.group * width + channel, block = (channel - place.first) / LANES;
        int lanes = width - channel < LANES ? (int)(width - channel) : LANES;
        gather_states(way->A + column * states, states, lanes, 1.0f,
                      kept->A + block * states * LANES);
        gather_states(way->A + column * states, states, lanes, 1.4426950408889634f,
                      kept->exponents + block * states * LANES);
        float *gradient = kept->gradient + block * states * LANES;
        if (dlast)
            gather_states(dlast + (place.sequence * scan->channels + column) * states, states,
                          lanes, 1.0f, gradient);
        else
            memset(gradient, 0, sizeof(float) * (size_t)(states * LANES));
        memset(kept->dA + block * states * LANES, 0, sizeof(float) * (size_t)(states * LANES));
        memset(kept->dD + block * LANES, 0, sizeof(float) * LANES);
        memset(kept->dbias + block * LANES, 0, sizeof(float) * LANES);
    }
}

static void end_direction(const Backward *run, int d, Place place, const Kept *kept) {
    const Scan *scan = run->scan;
    const DirectionGradients *out = &run->gradients->direction[d];
    int64_t width = scan->channels / scan->groups, states = scan->states;
    for (int64_t channel = place.first; channel < place.stop; channel += LANES) {
        int64_t block = (channel - place.first) / LANES;
        int64_t row = place.sequence * scan->channels + place.group * width + channel;
        int lanes = width - channel < LANES ? (int)(width - channel) : LANES;
        scatter_states(kept->dA + block * states * LANES, states, lanes, 1.0f,
                       out->dA + row * states);
        if (out->dinitial)
            scatter_states(kept->gradient + block * states * LANES, states, lanes, 1.0f,
                           out->dinitial + row * states);
        store_some(out->dD + row, load(kept->dD + block * LANES), lanes);
        store_some(out->dbias + row, load(kept->dbias + block * LANES), lanes);
    }
}

static void backward_item(void *context, int64_t item) {
    const Backward *run = context;
    const Scan *scan = run->scan;
    Place place = place_of(scan, item);
    int64_t blocks = ceil_div(place.stop - place.first, LANES), row = scan->states * LANES;
    int64_t floats = 4 * blocks * row + 2 * blocks * LANES + 2 * scan->tile * row;
    float *memory = aligned_alloc(64, (sizeof(float) * (size_t)floats + 127) / 64 * 64);
    Kept kept;
    kept.A = memory;
    kept.exponents = kept.A + blocks * row;
    kept.gradient = kept.exponents + blocks * row;
    kept.dA = kept.gradient + blocks * row;
    kept.dD = kept.dA + blocks * row;
    kept.dbias = kept.dD + blocks * LANES;
    kept.dB = kept.dbias + blocks * LANES;
    kept.dC = kept.dB + scan->tile * row;
    Buffers buffers;
    for (int d = 0; d < scan->directions; d++) {
        begin_direction(run, d, place, &kept);
        for (int64_t tile = ceil_div(scan->length, scan->tile) - 1; tile >= 0; tile--) {
            memset(kept.dB, 0, sizeof(float) * (size_t)(2 * scan->tile * row));
            for (int64_t block = 0; block < blocks; block++)
                backward_tile(run, d, place, tile, block, &kept, &buffers);
            write_sums(run, d, place, tile, &kept);
        }
        end_direction(run, d, place, &kept);
    }
    free(memory);
}

/* The saved states must be those of a forward run with the same tile. */
void genolm_selective_scan_backward(const Scan *scan, const ScanGradients *gradients,
                                    int threads) {
    Backward run = {scan, gradients};
    genolm_parallel(threads, scan->batch * scan->groups * scan->parts, backward_item, &run);
}
