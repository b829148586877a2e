/* Work shared out over threads, without a pool of our own.
 *
 * Items are numbered and each thread takes the next one, so that results never depend on how many
 * threads there are: whatever adds numbers up does so within one item, or afterwards in order.
 */
#ifndef GENOLM_PARALLEL_H
#define GENOLM_PARALLEL_H

#include <stdint.h>

typedef void (*genolm_work)(void *context, int64_t item);

/* Run work(context, 0 .. items - 1) on at most `threads` threads, the caller's among them. */
void genolm_parallel(int threads, int64_t items, genolm_work work, void *context);

#endif
