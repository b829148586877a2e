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

/* Sums of neighbours at a distance of STEP in a (even places) and in b (odd places). */
#if LANES == 16
#define FOLD1(a, b) \
    (__builtin_shufflevector(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30) + \
     __builtin_shufflevector(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
#define FOLD2(a, b) \
    (__builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) + \
     __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
#define FOLD4(a, b) \
    (__builtin_shufflevector(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27) + \
     __builtin_shufflevector(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
#define FOLD8(a, b) \
    (__builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) + \
     __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
#elif LANES == 8
#define FOLD1(a, b) \
    (__builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14) + \
     __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15))
#define FOLD2(a, b) \
    (__builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13) + \
     __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15))
#define FOLD4(a, b) \
    (__builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11) + \
     __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15))
#else
#define FOLD1(a, b) \
    (__builtin_shufflevector(a, b, 0, 4, 2, 6) + __builtin_shufflevector(a, b, 1, 5, 3, 7))
#define FOLD2(a, b) \
    (__builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7))
#endif

/* The sums of LANES rows of LANES floats, one in each lane. */
INLINE vf sums(const float *rows) {
    vf x[LANES];
    for (int i = 0; i < LANES; i++) x[i] = load(rows + i * LANES);
    for (int i = 0; i < LANES; i += 2) x[i] = FOLD1(x[i], x[i + 1]);
    for (int i = 0; i < LANES; i += 4) x[i] = FOLD2(x[i], x[i + 2]);
#if LANES >= 8
    for (int i = 0; i < LANES; i += 8) x[i] = FOLD4(x[i], x[i + 4]);
#endif
#if LANES == 16
    x[0] = FOLD8(x[0], x[8]);
#endif
    return x[0];
}

/* 2^f on [-1/2, 1/2]: minimax polynomial of degree 6 with the value and the slope of 2^f at 0,
 * relative error 3e-9 before rounding. */
INLINE vf exp2_fraction(vf f) {
    vf p = splat(0.00015321093087550253f);
    p = p * f + splat(0.0013390161329880357f);
    p = p * f + splat(0.009618526324629784f);
    p = p * f + splat(0.05550362169742584f);
    p = p * f + splat(0.24022647738456726f);
    p = p * f + splat(0.6931471824645996f);
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

/* e^x: the product with log2(e) is carried in two parts, or large x would lose digits. */
INLINE vf vexp(vf x) {
    const vf log2_e = splat(1.44269502f);
#if defined(__AVX512F__)
    const vf rest = splat(1.92596299e-8f);
    x = at_most(at_least(x, -150.0f), 150.0f); /* beyond are 0 and infinity */
    vf whole = (vf)_mm512_roundscale_ps((__m512)(x * log2_e), 8);
    vf f = x * rest + (x * log2_e - whole);
    return (vf)_mm512_scalef_ps((__m512)exp2_fraction(f), (__m512)whole);
#else
    return vexp2(x * log2_e);
#endif
}

/* 1 / x for x in [1, 2^127]: an estimate and one step of Newton's, where division is slow. */
INLINE vf reciprocal(vf x) {
#if defined(__AVX512F__)
    vf estimate = (vf)_mm512_rcp14_ps((__m512)x);
    return estimate * (splat(2.0f) - x * estimate);
#else
    return splat(1.0f) / x;
#endif
}

INLINE vf vsigmoid(vf x) {
    return reciprocal(splat(1.0f) + vexp(-at_least(x, -87.0f)));
}

/* log(1 + e) for e in [0, 1]: minimax polynomial, relative error 2.5e-8 before rounding. */
INLINE vf vlog1p_unit(vf e) {
    vf p = splat(0.005291513167321682f);
    p = p * e + splat(-0.02974747121334076f);
    p = p * e + splat(0.078630231320858f);
    p = p * e + splat(-0.13698388636112213f);
    p = p * e + splat(0.19123108685016632f);
    p = p * e + splat(-0.24847690761089325f);
    p = p * e + splat(0.33319810032844543f);
    p = p * e + splat(-0.4999954402446747f);
    p = p * e + splat(1.0f);
    return p * e;
}

/* log(1 + exp(x)), without overflow. */
INLINE vf vsoftplus(vf x) {
    vf magnitude = (vf)((vi)x & 0x7fffffff);
    return choose(x > splat(0.0f), x, splat(0.0f)) + vlog1p_unit(vexp(-magnitude));
}

#endif
