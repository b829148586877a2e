/* What the forward and the backward scan share: arguments, tiles, and one step's decay.
 *
 * Channels go in blocks of LANES. For a block the states are rows of LANES floats, one row for
 * each of the d_state states, so that B_t and C_t are scalars to a vector.
 */
#ifndef GENOLM_SELECTIVE_SCAN_H
#define GENOLM_SELECTIVE_SCAN_H

#include "vector.h"

#define LONGEST_TILE 16
#define PADDED_LANES 16 /* of the saved states, whatever LANES is */

#if defined(__clang__)
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

/* One direction of a scan; mirrored by genolm_kernels/selective_scan/native.py. Strides count
 * floats; the last axis of every array is contiguous. Absent arrays are NULL. */
typedef struct {
    const float *u, *delta, *A, *B, *C, *D, *bias, *initial;
    float *last;   /* (batch, channels, states) */
    float *starts; /* state at the start of each tile: (batch, tiles, groups, width_padded * states) */
    int64_t u_batch, u_step, delta_batch, delta_step;
    int64_t B_batch, B_step, B_group, C_batch, C_step, C_group;
    int64_t reverse;
} Direction;

typedef struct {
    int64_t batch, length, channels, states, groups, tile;
    int64_t parts;      /* work items that the channels of one group are shared out over */
    int64_t directions; /* 1 or 2 */
    int64_t softplus;
    const float *z;
    int64_t z_batch, z_step;
    Direction direction[2];
} Scan;

typedef struct {
    float *du, *ddelta;        /* (batch, length, channels) */
    float *dB, *dC;            /* (groups * parts, batch, length, states) */
    float *dA, *dinitial;      /* (batch, channels, states) */
    float *dD, *dbias;         /* (batch, channels) */
    const float *dlast;        /* (batch, channels, states) */
} DirectionGradients;

typedef struct {
    const float *dy;
    int64_t dy_batch, dy_step;
    float *dz; /* (batch, length, channels) */
    DirectionGradients direction[2];
} ScanGradients;

/* Where a work item stands: one sequence, and some blocks of one group. */
typedef struct {
    int64_t sequence, group, part, first, stop; /* channels of the group, from first to stop */
} Place;

#define prefetch(p) __builtin_prefetch(p)

INLINE int64_t ceil_div(int64_t count, int64_t size) { return (count + size - 1) / size; }

INLINE Place place_of(const Scan *scan, int64_t item) {
    int64_t width = scan->channels / scan->groups, blocks = ceil_div(width, LANES);
    int64_t part = item % scan->parts, rest = item / scan->parts;
    Place place = {rest / scan->groups, rest % scan->groups, part, 0, 0};
    place.first = blocks * part / scan->parts * LANES;
    place.stop = blocks * (part + 1) / scan->parts * LANES;
    if (place.stop > width) place.stop = width;
    return place;
}

INLINE int64_t position(const Scan *scan, const Direction *way, int64_t step) {
    return way->reverse ? scan->length - 1 - step : step;
}

INLINE float *start_of_tile(const Scan *scan, const Direction *way, Place place, int64_t tile,
                            int64_t channel) {
    int64_t width = scan->channels / scan->groups;
    int64_t padded = ceil_div(width, PADDED_LANES) * PADDED_LANES * scan->states;
    int64_t tiles = ceil_div(scan->length, scan->tile);
    return way->starts + ((place.sequence * tiles + tile) * scan->groups + place.group) * padded +
           channel * scan->states;
}

/* Rows of LANES from (channels, states), times `factor`; zeros beyond the last channel. */
INLINE void gather_states(const float *from, int64_t states, int lanes, float factor, float *to) {
    for (int64_t n = 0; n < states; n++) {
        vf row = {0};
        for (int i = 0; i < lanes; i++) row[i] = from[i * states + n] * factor;
        store(to + n * LANES, row);
    }
}

INLINE void scatter_states(const float *from, int64_t states, int lanes, float factor, float *to) {
    for (int64_t n = 0; n < states; n++)
        for (int i = 0; i < lanes; i++) to[i * states + n] = from[n * LANES + i] * factor;
}

/* 2^x for the decays. The quick one is of degree 5, with the value and the slope of 2^x at 0 since
 * small x are most common: relative error 1.1e-7 before rounding, which gradients of A would add
 * up. */
INLINE vf decay_of(vf x, int quick) {
#if defined(__AVX512F__)
    vf whole = (vf)_mm512_roundscale_ps((__m512)x, 8);
    vf f = x - whole;
#else
    const vf magic = splat(12582912.0f);
    x = at_most(at_least(x, -126.0f), 128.0f);
    vf shifted = x + magic;
    vf whole = shifted - magic;
    vf f = x - whole;
#endif
    vf p;
    if (quick) {
        p = splat(0.0013300267746672034f);
        p = p * f + splat(0.009669709019362926f);
        p = p * f + splat(0.055505599826574326f);
        p = p * f + splat(0.24022281169891357f);
        p = p * f + splat(0.6931471824645996f);
        p = p * f + splat(1.0f);
    } else {
        p = exp2_fraction(f);
    }
#if defined(__AVX512F__)
    return (vf)_mm512_scalef_ps((__m512)p, (__m512)whole);
#else
    /* The exponent grows by a whole number; at 128 it becomes infinity's. */
    return (vf)((vi)p + (((vi)shifted - (vi)magic) << 23));
#endif
}

/* The inputs of one tile of a block: step sizes and dt * u, in the order of the scan. */
typedef struct {
    int64_t steps;
    vf u[LONGEST_TILE + 1], raw[LONGEST_TILE + 1], dt[LONGEST_TILE + 1], x[LONGEST_TILE + 1];
    const float *B[LONGEST_TILE], *C[LONGEST_TILE];
} Tile;

INLINE void read_tile(const Scan *scan, const Direction *way, Place place, int64_t tile,
                      int64_t channel, int lanes, Tile *into) {
    int64_t begin = tile * scan->tile, end = begin + scan->tile;
    if (end > scan->length) end = scan->length;
    into->steps = end - begin;
    int64_t column = place.group * (scan->channels / scan->groups) + channel;
    vf bias = way->bias ? load_some(way->bias + column, lanes) : splat(0.0f);
    const float *u = way->u + place.sequence * way->u_batch + column;
    const float *delta = way->delta + place.sequence * way->delta_batch + column;
    const float *B = way->B + place.sequence * way->B_batch + place.group * way->B_group;
    const float *C = way->C + place.sequence * way->C_batch + place.group * way->C_group;
    int64_t ahead = way->reverse ? -scan->tile : scan->tile;
    for (int64_t i = 0; i < into->steps; i++) {
        int64_t at = position(scan, way, begin + i);
        prefetch(u + at * way->u_step + ahead * way->u_step);
        prefetch(delta + at * way->delta_step + ahead * way->delta_step);
        vf raw = load_some(delta + at * way->delta_step, lanes) + bias;
        vf dt = scan->softplus ? vsoftplus(raw) : raw;
        into->u[i] = load_some(u + at * way->u_step, lanes);
        into->raw[i] = raw;
        into->dt[i] = dt;
        into->x[i] = dt * into->u[i];
        into->B[i] = B + at * way->B_step;
        into->C[i] = C + at * way->C_step;
    }
}

#endif
