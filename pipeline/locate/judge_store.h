/* pipeline/locate/judge_store.h
 * What a model said of solutions, as a judge or by roll-outs, kept in the results file as soon
 * as it is there, so that a command that was stopped asks only what lacks. Raw numbers are
 * kept, as many rows of them per solution as the locator has, one number per step: what is
 * made of all solutions together is calculated anew each time.
 *
 * A reading belongs to a run of kind `locate`, whose id is a hash of the weights, the numerics
 * of the device, the prompt format with the chat, the locator and the question (a version of
 * it, in words). It is a note (store_note.h) about the hash of the problem and the steps. So
 * another file, or a part of it, that holds the same solution has it too. The label is no part
 * of the hash, because no locator sees it. */
#ifndef PIPELINE_LOCATE_JUDGE_STORE_H
#define PIPELINE_LOCATE_JUDGE_STORE_H

#include "pipeline/locate/labelled.h"
#include "pipeline/run/session.h"

/* One number per step of a solution. */
struct pipe_judge_series {
    const char *name; /* borrowed; what the number is, "doubt" */
    double *values;
};

/* Whose readings they are; texts are borrowed. */
struct pipe_judge_use {
    const char *locator;  /* "judge", "rollout" */
    const char *question; /* which is asked in which words; another one, other readings */
    uint64_t seed;        /* of what is drawn; 0: nothing is */
    bool
        graded; /* with the right final answer, so this is a part of the solution's hash */
};

struct pipe_judge_store {
    struct pipe_session *session; /* borrowed */
    struct pipe_judge_use use;
    char run_id[STORE_ID];
    uint64_t since_ns; /* time up to which the run's seconds are written */
};

/* Joins the run, or begins it, for this process. model: folder or GGUF file; nothing of it is
 * loaded. A run that was begun ends with pipe_judge_store_done, or pipe_work_stopped. */
RT_CHECKED rt_status pipe_judge_store_open(struct pipe_session *session,
                                           const char *model,
                                           const struct pipe_judge_use *use,
                                           struct pipe_judge_store *out);
/* The hash under which a solution is known: "sha256:...". */
void pipe_judge_store_id(const struct pipe_judge_store *s,
                         const struct pipe_labelled *item, char id[STORE_ID]);
/* A reading that is kept: *found, *tokens that it took, and values in fresh memory (rt_free).
 * Not found: all values are null. One that lacks a series of these names, or has another
 * number of steps, counts as none. */
RT_CHECKED rt_status pipe_judge_store_get(struct pipe_judge_store *s,
                                          const struct pipe_labelled *item,
                                          struct pipe_judge_series *series,
                                          uint32_t count, uint64_t *tokens, bool *found);
/* Keeps a reading, in the place of an earlier one: durable when it returns. One with a value
 * that is not finite is not kept. tokens: that it took in all; `more` of them since it was kept
 * last, which the run's costs grow by. */
RT_CHECKED rt_status pipe_judge_store_put(struct pipe_judge_store *s,
                                          const struct pipe_labelled *item,
                                          const struct pipe_judge_series *series,
                                          uint32_t count, uint64_t tokens, uint64_t more);
/* All solutions are read. */
RT_CHECKED rt_status pipe_judge_store_done(struct pipe_judge_store *s);

#endif
