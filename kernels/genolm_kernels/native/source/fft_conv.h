/* Fourier transforms of LANES channels at once, and the tiles that long convolutions make of them.
 *
 * The inputs lie channels-last, so one vector holds one time step of LANES channels and a
 * transform never shuffles lanes. A linear convolution of real sequences needs no padding to twice
 * their length: with a = exp(i pi / 2N), a^N = i, the cyclic convolution of u_t a^t and k_t a^t of
 * size N, times a^-t, has y_t as its real part and y_{t+N} as its imaginary part (the
 * right-angle convolution; Crandall and Fagin 1994 call it a weighted transform).
 *
 * N = n1 n2, t = t1 n2 + t2, frequency f = f1 + n1 f2: transforms over t1 on a few columns at a
 * time, factors exp(-2 pi i t2 (f1 - 1/4) / N), transforms over t2 on rows. Frequencies stay in the
 * order in which decimation in frequency leaves them; the way back starts from that order. A tile
 * is the array (n1, n2, 2, LANES) in between, so that each of its three passes works in the cache.
 */
#ifndef GENOLM_FFT_CONV_H
#define GENOLM_FFT_CONV_H

#include <stdatomic.h>

#include "parallel.h"
#include "vector.h"

#define POINT (2 * LANES) /* floats of one complex vector */
#define MOST_STAGES 40
#define MOST_SLOTS 256

/* One of the two directions of a tile: its size as a product of small radices. */
typedef struct {
    int64_t size;
    int stages;
    int radix[MOST_STAGES];
    const float *twiddles[MOST_STAGES]; /* of a stage over blocks of m: w_m^(jq), j < m/r, 0<q<r */
} Axis;

typedef struct {
    int64_t tile;              /* floats of a tile */
    int64_t local;             /* floats of a block of columns */
    int64_t shared;            /* whether all threads work on one tile; else each has its own */
    int64_t lanes;             /* channels of a tile */
    int64_t size;
    int64_t width;             /* columns taken together */
    int64_t pitch;             /* floats from row to row of a tile */
    Axis columns, rows;        /* over t1 and over t2 */
    const float *weights;      /* (n1, 2): a^(t1 n2) */
    const float *unweights;    /* (n1, 2): conjugate, over N */
    const float *factors;      /* (n2, n1, 2): between the two directions */
} Plan;

/* One sequence of up to LANES channels, at a distance of `step` floats; none if `at` is NULL. */
typedef struct {
    const float *at;
    int64_t step;
} Signal;

/* Where a result goes, and what it is multiplied with on the way; nowhere if `at` is NULL. */
typedef struct {
    float *at;
    int64_t step;
    Signal times;
} Target;

/* Memory for each of the threads that work at the same time. */
typedef struct {
    atomic_flag busy[MOST_SLOTS];
    int slots;
    int64_t floats; /* of one slot */
    float *memory;
} Pool;

/* The product of two sequences, or one sequence, turned into a tile. */
typedef struct {
    const Plan *plan;
    float *tile;
    Signal first, second;
    int64_t length;
    int lanes;
    Pool *pool;
} Reading;

/* A tile turned into one or two products of the sequence that it holds. */
typedef struct {
    const Plan *plan;
    const float *tile;
    Target targets[2];
    int64_t length;
    int lanes;
    Pool *pool;
} Writing;

void genolm_fft_advise(void *memory, int64_t floats);

void genolm_fft_pool(Pool *pool, int slots, int64_t floats, float *memory);
float *genolm_fft_take(Pool *pool, int *slot);
void genolm_fft_give(Pool *pool, int slot);

/* Transform over the columns, after reading or before writing, on at most `threads` threads. */
void genolm_fft_read(Reading *reading, int threads);
void genolm_fft_write(Writing *writing, int threads);

/* Rows that one item of work takes, so that items are neither tiny nor few. */
int64_t genolm_fft_rows_together(const Plan *plan);

#endif
