/* pipeline/run/answers.h
 * Answers of a variant to a list of problems: made where the results file lacks them, and
 * read back. */
#ifndef PIPELINE_RUN_ANSWERS_H
#define PIPELINE_RUN_ANSWERS_H

#include "pipeline/run/session.h"

/* Which answers of a run are wanted. Zero is not a valid start: pipe_wanted_all. */
struct pipe_wanted {
    uint32_t limit;         /* the first `limit` problems of the list */
    uint32_t shard, shards; /* of these every shards-th, from shard - 1 */
    uint32_t samples;       /* answers per problem */
    float temperature;      /* 0: greedy */
    float top_p;            /* of drawn answers; 1: everything */
    uint32_t slots;         /* requests at once at most; 0: as many as fit */
    uint64_t deadline_ns;   /* rt_time_ns at which nothing new is begun; 0: none */
};
static inline struct pipe_wanted pipe_wanted_all(void)
{
    return (struct pipe_wanted){
        .limit = UINT32_MAX, .shard = 1, .shards = 1, .samples = 1, .top_p = 1
    };
}

/* Makes and grades the answers that the results file does not have yet, together with any
 * other process that does the same; each is durable before it is counted. RT_OK: all that
 * was asked for is there. RT_ERR_INTERRUPTED, RT_ERR_TIME_LIMIT: stopped, after the
 * answers that were begun. run_id (STORE_ID bytes) is filled as soon as the run is open. */
RT_CHECKED rt_status pipe_answers_make(struct pipe_session *session,
                                       const struct pipe_variant *variant,
                                       const struct pipe_bench *bench,
                                       const struct pipe_wanted *ask, char *run_id,
                                       uint32_t *made);

/* All answers of a variant to a split, in the order of its problems. */
struct pipe_answer {
    char *text;
    uint32_t *ids; /* n, the stop token included */
    float *logprob, *margin;
    uint32_t n;
    uint32_t thrown; /* tokens that rescues threw away, beside n */
    bool correct, extract_ok, truncated;
    bool in_form; /* pipe_answer_in_form */
};
struct pipe_answers {
    char run_id[STORE_ID];
    struct pipe_answer *items;
    uint32_t count, correct, truncated, unparsed, degenerate;
};
void pipe_answers_deinit(struct pipe_answers *answers);
/* pipe_answers_make of everything, greedy, and all of it read back. */
RT_CHECKED rt_status pipe_measure(struct pipe_session *session,
                                  const struct pipe_variant *variant,
                                  const struct pipe_bench *bench,
                                  struct pipe_answers *out);

#endif
