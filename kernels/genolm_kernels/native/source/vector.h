/* Vectors of LANES floats and the functions of them that the kernels need.
 *
 * GCC's vector types, which clang has too, become AVX-512, AVX2, SSE or NEON by the compiler's
 * target alone. Channels are the last axis of every array, so a vector holds LANES channels.
 */
#ifndef GENOLM_VECTOR_H
#define GENOLM_VECTOR_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef float vf_at __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE vf load(const float *p) { return *(const vf_at *)p; }
INLINE void store(float *p, vf x) { *(vf_at *)p = x; }
INLINE vf splat(float x) { return x - (vf){0}; }

/* The first `count` lanes from memory, zeros in the rest; nothing beyond `count` is touched. */
INLINE vf load_some(const float *p, int count) {
    if (count >= LANES) return load(p);
    vf x = {0};
    memcpy(&x, p, sizeof(float) * (size_t)count);
    return x;
}

INLINE void store_some(float *p, vf x, int count) {
    if (count >= LANES) store(p, x);
    else memcpy(p, &x, sizeof(float) * (size_t)count);
}

INLINE vf choose(vi mask, vf yes, vf no) {
    return (vf)(((vi)yes & mask) | ((vi)no & ~mask));
}

/* Comparisons with NaN are false, so that a NaN in x comes through both of these. */
INLINE vf at_least(vf x, float least) { return choose(x < splat(least), splat(least), x); }
INLINE vf at_most(vf x, float most) { return choose(x > splat(most), splat(most), x); }

INLINE float sum(vf x) {
    float total = 0;
    for (int i = 0; i < LANES; i++) total += x[i];
    return total;
}

/* 2^f on [-1/2, 1/2]: minimax polynomial of degree 6, relative error 1e-8 before rounding. */
INLINE vf exp2_fraction(vf f) {
    vf p = splat(1.5403530393381608e-4f);
    p = p * f + splat(1.3333558146428443e-3f);
    p = p * f + splat(9.6181291076284772e-3f);
    p = p * f + splat(5.5504108664821580e-2f);
    p = p * f + splat(2.4022650695910071e-1f);
    p = p * f + splat(6.9314718055994531e-1f);
    return p * f + splat(1.0f);
}

/* 2^x; 0 below 2^-126 with AVX-512's gradual end, 2^-126 without it; NaN stays NaN. */
INLINE vf vexp2(vf x) {
#if defined(__AVX512F__)
    vf whole = (vf)_mm512_roundscale_ps((__m512)x, 8);
    return (vf)_mm512_scalef_ps((__m512)exp2_fraction(x - whole), (__m512)whole);
#else
    const vf magic = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to a whole number */
    x = at_most(at_least(x, -126.0f), 128.0f);
    vf shifted = x + magic;
    vf whole = shifted - magic;
    vi exponent = (vi)shifted - (vi)magic;
    /* In two factors, since 2^128 is no float while 2^127.9 is one. */
    vi half = exponent >> 1;
    vf first = (vf)((half + 127) << 23), second = (vf)((exponent - half + 127) << 23);
    return exp2_fraction(x - whole) * first * second;
#endif
}

INLINE vf vexp(vf x) { return vexp2(x * splat(1.4426950408889634f)); }

INLINE vf vsigmoid(vf x) { return splat(1.0f) / (splat(1.0f) + vexp(-x)); }

/* log(1 + e) for e in [0, 1], by u = e / (2 + e): 2 artanh(u), |u| <= 1/3. */
INLINE vf vlog1p_unit(vf e) {
    vf u = e / (e + splat(2.0f)), s = u * u;
    vf p = splat(2.0f / 15);
    p = p * s + splat(2.0f / 13);
    p = p * s + splat(2.0f / 11);
    p = p * s + splat(2.0f / 9);
    p = p * s + splat(2.0f / 7);
    p = p * s + splat(2.0f / 5);
    p = p * s + splat(2.0f / 3);
    p = p * s + splat(2.0f);
    return u * p;
}

/* log(1 + exp(x)), without overflow. */
INLINE vf vsoftplus(vf x) {
    vf magnitude = (vf)((vi)x & 0x7fffffff);
    return choose(x > splat(0.0f), x, x - x) + vlog1p_unit(vexp(-magnitude));
}

#endif
