#include "short_conv.h"

INLINE void convolve_tile(const Rows *in, const Filter *filter, int64_t t, int64_t channels,
                          const Target *y, int64_t into, int64_t activate, const int W, const int T) {
    const float *from[TILE + HALO];
    find_rows(from, in, t - filter->lead, T + W - 1);
    for (int64_t c = 0; c < channels; c += LANES) {
        int64_t at = place(c, channels);
        vf x[TILE + HALO], p[TILE], s[TILE];
        prefetch_rows(in, t, at, T);
        load_rows(x, from, at, T + W - 1);
        convolve(p, x, filter, at, W, T);
        if (activate) {
            sigmoids(s, p, T);
            for (int i = 0; i < T; i++) p[i] *= s[i];
        }
        write_rows(y, into, at, p, T);
    }
}

INLINE void convolve_rows(const Rows *in, const Filter *filter, int64_t from, int64_t to,
                          int64_t channels, const Target *y, int64_t activate, const int W) {
    int64_t t = from;
    for (; t + TILE <= to; t += TILE)
        convolve_tile(in, filter, t, channels, y, t - from, activate, W, TILE);
    for (; t < to; t++) convolve_tile(in, filter, t, channels, y, t - from, activate, W, 1);
}

#define DEFINE(W)                                                                                \
    static void convolve_rows_##W(const Rows *in, const Filter *filter, int64_t from, int64_t to, \
                                  int64_t channels, const Target *y, int64_t activate) {             \
        convolve_rows(in, filter, from, to, channels, y, activate, W);                           \
    }
FOR_EACH_WIDTH(DEFINE)

static void (*const convolvers[])(const Rows *, const Filter *, int64_t, int64_t, int64_t,
                                  const Target *, int64_t) = TABLE(convolve_rows);

void genolm_convolve_rows(const Rows *in, const Filter *filter, int64_t from, int64_t to,
                          int64_t channels, Target y, int64_t activate, int64_t width) {
    convolvers[width](in, filter, from, to, channels, &y, activate);
}
