/* pipeline/run/answers_impl.h
 * Private to answers.c and its helpers: one process's work on a run. */
#ifndef PIPELINE_RUN_ANSWERS_IMPL_H
#define PIPELINE_RUN_ANSWERS_IMPL_H

#include "pipeline/run/answers.h"
#include "pipeline/run/ask.h"
#include "pipeline/run/work.h"
#include "pipeline/data/problem_index.h"
#include "store/store_claim.h"

struct pipe_task {
    uint32_t problem, sample;
};

struct generating {
    struct pipe_session *session;
    const struct pipe_bench *bench;
    const struct pipe_wanted *ask;
    uint32_t context; /* tokens of prompt and answer that the model has for it */
    uint32_t rescues; /* of the variant */
    struct store_attempt attempt;
    uint32_t problems;       /* within the limit */
    size_t total;            /* answers of all shards */
    bool *done;              /* [problems][samples] */
    struct pipe_task *tasks; /* of this shard that are not done, `left` of them */
    uint32_t left, next;
    uint32_t done_count, correct;   /* of all shards, as far as known */
    uint32_t mine_done, mine_total; /* of this shard */
    uint32_t made;                  /* by this process */
    uint32_t *ends;                 /* scratch: bytes up to each token */
    struct rt_engine *engine;
    struct pipe_costs costs;
    uint64_t started;
    bool open; /* a transaction is */
    char label[64];
};

static inline bool pipe_is_mine(const struct pipe_wanted *ask, uint32_t problem)
{
    return problem % ask->shards == ask->shard - 1;
}

#endif
