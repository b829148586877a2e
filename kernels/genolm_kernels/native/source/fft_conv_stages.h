/* Butterflies and stages of transforms over vectors of channels; see fft_conv.h. */
#ifndef GENOLM_FFT_CONV_STAGES_H
#define GENOLM_FFT_CONV_STAGES_H

#include "fft_conv.h"

#define MOST_RADIX 8

typedef struct {
    vf re, im;
} vc;

INLINE vc get(const float *p) { return (vc){load(p), load(p + LANES)}; }
INLINE void put(float *p, vc x) {
    store(p, x.re);
    store(p + LANES, x.im);
}
INLINE vc plus(vc x, vc y) { return (vc){x.re + y.re, x.im + y.im}; }
INLINE vc minus(vc x, vc y) { return (vc){x.re - y.re, x.im - y.im}; }
INLINE vc scaled(vc x, float by) { return (vc){x.re * splat(by), x.im * splat(by)}; }

/* x w, or x conj(w) on the way back; w is one number for all channels. */
INLINE vc turned(vc x, const float *w, int back) {
    vf re = splat(w[0]), im = splat(w[1]);
    if (back) return (vc){x.re * re + x.im * im, x.im * re - x.re * im};
    return (vc){x.re * re - x.im * im, x.im * re + x.re * im};
}

/* -i x, or i x on the way back. */
INLINE vc quarter(vc x, int back) {
    return back ? (vc){-x.im, x.re} : (vc){x.im, -x.re};
}

INLINE void dft3(vc *x, int back) {
    vc both = plus(x[1], x[2]), apart = quarter(scaled(minus(x[1], x[2]), 0.86602540378f), back);
    vc middle = minus(x[0], scaled(both, 0.5f));
    x[0] = plus(x[0], both);
    x[1] = plus(middle, apart);
    x[2] = minus(middle, apart);
}

INLINE void dft4(vc *x, int back) {
    vc even = plus(x[0], x[2]), odd = plus(x[1], x[3]);
    vc apart = minus(x[0], x[2]), side = quarter(minus(x[1], x[3]), back);
    x[0] = plus(even, odd);
    x[1] = plus(apart, side);
    x[2] = minus(even, odd);
    x[3] = minus(apart, side);
}

INLINE void dft5(vc *x, int back) {
    const float c1 = 0.30901699437f, c2 = -0.80901699437f;
    const float s1 = 0.95105651629f, s2 = 0.58778525229f;
    vc outer = plus(x[1], x[4]), inner = plus(x[2], x[3]);
    vc outside = minus(x[1], x[4]), inside = minus(x[2], x[3]);
    vc first = plus(x[0], plus(scaled(outer, c1), scaled(inner, c2)));
    vc second = plus(x[0], plus(scaled(outer, c2), scaled(inner, c1)));
    vc left = quarter(plus(scaled(outside, s1), scaled(inside, s2)), back);
    vc right = quarter(minus(scaled(outside, s2), scaled(inside, s1)), back);
    x[0] = plus(x[0], plus(outer, inner));
    x[1] = plus(first, left);
    x[2] = plus(second, right);
    x[3] = minus(second, right);
    x[4] = minus(first, left);
}

INLINE void dft8(vc *x, int back) {
    const float half = 0.70710678119f; /* its square */
    vc even[4] = {x[0], x[2], x[4], x[6]}, odd[4] = {x[1], x[3], x[5], x[7]};
    dft4(even, back);
    dft4(odd, back);
    vc side = quarter(odd[1], back), last = quarter(odd[3], back);
    odd[1] = scaled(plus(odd[1], side), half);
    odd[2] = quarter(odd[2], back);
    odd[3] = scaled(minus(last, odd[3]), half);
    for (int q = 0; q < 4; q++) {
        x[q] = plus(even[q], odd[q]);
        x[q + 4] = minus(even[q], odd[q]);
    }
}

INLINE void dft(vc *x, int radix, int back) {
    if (radix == 2) {
        vc sum = plus(x[0], x[1]);
        x[1] = minus(x[0], x[1]);
        x[0] = sum;
    } else if (radix == 3) dft3(x, back);
    else if (radix == 4) dft4(x, back);
    else if (radix == 5) dft5(x, back);
    else if (radix == 8) dft8(x, back);
}

/* One stage in place over `blocks` blocks of radix * sub points. */
INLINE void stage(float *x, int64_t blocks, int64_t sub, const float *twiddles, int radix,
                  int back) {
    for (int64_t b = 0; b < blocks; b++)
        for (int64_t j = 0; j < sub; j++) {
            float *at = x + (b * radix * sub + j) * POINT;
            const float *w = twiddles + j * (radix - 1) * 2 - 2;
            vc v[MOST_RADIX];
            for (int q = 0; q < radix; q++) {
                v[q] = get(at + q * sub * POINT);
                if (back && q) v[q] = turned(v[q], w + 2 * q, 1);
            }
            dft(v, radix, back);
            for (int q = 0; q < radix; q++) {
                if (!back && q) v[q] = turned(v[q], w + 2 * q, 0);
                put(at + q * sub * POINT, v[q]);
            }
        }
}

/* Call `work` with the radix as a constant. */
#define WITH_RADIX(radix, work)  \
    switch (radix) {             \
    case 1: work(1); break;      \
    case 2: work(2); break;      \
    case 3: work(3); break;      \
    case 4: work(4); break;      \
    case 5: work(5); break;      \
    default: work(8); break;     \
    }

static inline void any_stage(float *x, int64_t blocks, int64_t sub, const float *twiddles,
                             int radix, int back) {
#define WORK(r)                                     \
    if (back) stage(x, blocks, sub, twiddles, r, 1); \
    else stage(x, blocks, sub, twiddles, r, 0)
    WITH_RADIX(radix, WORK)
#undef WORK
}

#define CACHED_POINTS (24576 / (4 * POINT)) /* of a block that stays in the first-level cache */

/* All stages of an axis but the last, on `blocks` blocks of `size` points from stage `from` on;
 * blocks too large for the cache one after another. */
static void forth(const Axis *axis, int from, float *x, int64_t blocks, int64_t size) {
    for (int s = from; s < axis->stages - 1; s++) {
        int64_t sub = size / axis->radix[s];
        if (blocks > 1 && size > CACHED_POINTS) {
            for (int64_t b = 0; b < blocks; b++) forth(axis, s, x + b * size * POINT, 1, size);
            return;
        }
        any_stage(x, blocks, sub, axis->twiddles[s], axis->radix[s], 0);
        blocks *= axis->radix[s];
        size = sub;
    }
}

/* The same stages back, in the opposite order. */
static void back(const Axis *axis, int from, float *x, int64_t blocks, int64_t size) {
    if (from >= axis->stages - 1) return;
    int radix = axis->radix[from];
    int64_t sub = size / radix;
    if (blocks > 1 && size > CACHED_POINTS) {
        for (int64_t b = 0; b < blocks; b++) back(axis, from, x + b * size * POINT, 1, size);
        return;
    }
    back(axis, from + 1, x, blocks * radix, sub);
    any_stage(x, blocks, sub, axis->twiddles[from], radix, 1);
}

#endif
