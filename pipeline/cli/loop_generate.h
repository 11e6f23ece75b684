/* pipeline/cli/loop_generate.h
 * Private to loop_generate.c and its helpers: one process's work on a run. */
#ifndef PIPELINE_CLI_LOOP_GENERATE_H
#define PIPELINE_CLI_LOOP_GENERATE_H

#include "pipeline/answer_turn.h"
#include "pipeline/cli/loop.h"
#include "pipeline/problem_index.h"
#include "store/store_claim.h"

struct loop_task {
    uint32_t problem, sample;
};

/* A request under way. */
struct loop_flight {
    struct loop_task task;
    uint32_t *prompt, n_prompt; /* owned; null: free */
    struct pipe_turn turn;
};

struct generating {
    struct loop *loop;
    const struct loop_bench *bench;
    const struct loop_ask *ask;
    struct store_attempt attempt;
    uint32_t problems;       /* within the limit */
    size_t total;            /* answers of all shards */
    bool *done;              /* [problems][samples] */
    struct loop_task *tasks; /* of this shard that are not done, `left` of them */
    uint32_t left, next;
    uint32_t done_count, correct;   /* of all shards, as far as known */
    uint32_t mine_done, mine_total; /* of this shard */
    uint32_t made;                  /* by this process */
    struct loop_flight *flights;
    struct loop_mark {
        uint32_t *ids, count; /* of "Step k:" */
    } * marks;
    uint32_t *ends; /* scratch: bytes up to each token */
    struct rt_engine *engine;
    struct loop_costs costs;
    uint64_t started;
    bool open; /* a transaction is */
    rt_status status;
    char label[64];
};

static inline bool loop_is_mine(const struct loop_ask *ask, uint32_t problem)
{
    return problem % ask->shards == ask->shard - 1;
}

/* Random numbers of an answer depend on problem and sample only. */
uint64_t loop_draw(const char *problem_id, uint32_t sample);

#endif
