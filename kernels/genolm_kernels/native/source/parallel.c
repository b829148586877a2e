#include "parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define MOST_THREADS 256

typedef struct {
    genolm_work work;
    void *context;
    int64_t items;
    atomic_llong next;
} Share;

static void take_items(void *argument) {
    Share *share = argument;
    for (;;) {
        int64_t item = atomic_fetch_add_explicit(&share->next, 1, memory_order_relaxed);
        if (item >= share->items) return;
        share->work(share->context, item);
    }
}

static void *take_items_in_thread(void *argument) {
    take_items(argument);
    return NULL;
}

typedef void (*Team)(void (*)(void *), void *, unsigned, unsigned);
static Team team;
static pid_t team_owner;

/* The function GOMP_parallel of the OpenMP runtime that torch already runs its own threads with:
 * sharing them spares a start of threads for each call, and never has both teams on one core. */
void genolm_set_team(void *gomp_parallel) {
    team = (Team)gomp_parallel;
    team_owner = getpid();
}

void genolm_parallel(int threads, int64_t items, genolm_work work, void *context) {
    Share share = {work, context, items, 0};
    if (threads > items) threads = (int)items;
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    if (threads <= 1) {
        take_items(&share);
        return;
    }
    /* A forked child has none of its parent's threads, and OpenMP would wait for them for ever. */
    if (team && getpid() == team_owner) {
        team(take_items, &share, (unsigned)threads, 0);
        return;
    }
    pthread_t started[MOST_THREADS];
    int count = 0;
    while (count < threads - 1 &&
           pthread_create(&started[count], NULL, take_items_in_thread, &share) == 0)
        count++;
    take_items(&share);
    while (count > 0) pthread_join(started[--count], NULL);
}
