/* pipeline/run/choice.h
 * Multiple-choice questions, answered by the choice whose letter the model finds most
 * likely after "Answer:". Nothing is generated; answers are rows like any other, so that
 * compare pairs them. */
#ifndef PIPELINE_RUN_CHOICE_H
#define PIPELINE_RUN_CHOICE_H

#include "pipeline/data/problems.h"
#include "store/store.h"

struct pipe_session;
struct pipe_variant;

struct pipe_choice_options {
    const struct pipe_variant *variant; /* loaded */
    const struct pipe_problem_set *set; /* of pipe_choice_parse */
    const char *split;                  /* of the benchmark: "measure", "retain" */
    uint32_t limit;                     /* only the first `limit` questions */
};
struct pipe_choice_result {
    uint32_t n, right;
    uint32_t errors; /* questions that are longer than the context */
    uint32_t fresh;  /* answers that were not in the store yet */
    char run_id[STORE_ID];
};
/* The questions of a file, .csv or .csv.gz; pipe_problems_deinit in any case. */
RT_CHECKED rt_status pipe_choice_read(struct rt_ctx *ctx, const char *path,
                                      struct pipe_problem_set *out);
/* Answers what the store does not have yet; answers are durable in small groups. */
RT_CHECKED rt_status pipe_choice_run(struct pipe_session *session,
                                     const struct pipe_choice_options *options,
                                     struct pipe_choice_result *out);

#endif
