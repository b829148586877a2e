#include "parallel.h"

#define COLUMNS 512

typedef struct {
    const float *parts;
    int64_t count, size;
    float *total;
} Call;

static void add_columns(void *context, int64_t item) {
    const Call *call = context;
    int64_t from = item * COLUMNS, to = from + COLUMNS < call->size ? from + COLUMNS : call->size;
    for (int64_t i = from; i < to; i++) call->total[i] = 0;
    for (int64_t part = 0; part < call->count; part++)
        for (int64_t i = from; i < to; i++) call->total[i] += call->parts[part * call->size + i];
}

/* total (size,) is the sum over parts (count, size), in their order whatever the threads. */
void genolm_add_up(const float *parts, int64_t count, int64_t size, float *total,
                   int64_t threads) {
    Call call = {parts, count, size, total};
    genolm_parallel((int)threads, (size + COLUMNS - 1) / COLUMNS, add_columns, &call);
}
