/* pipeline/run/regrade.h
 * Stored answers graded again by the format of their run, without a model. */
#ifndef PIPELINE_RUN_REGRADE_H
#define PIPELINE_RUN_REGRADE_H

#include "pipeline/grade/grade.h"
#include "store/store.h"

/* An answer that was right and is wrong now, or the other way round. Strings are valid during
 * the call. */
struct pipe_regraded {
    const char *problem_id, *label; /* label: of the variant */
    int64_t sample;
    bool was_correct;             /* false also if it was not graded */
    const char *was_extracted;    /* null: nothing was */
    const struct pipe_score *now; /* extracted and reason may be null */
};
typedef void pipe_regraded_fn(void *user, const struct pipe_regraded *change);

struct pipe_regrade_options {
    const char *run; /* id, or label of the variant; "": all eval runs */
    const struct pipe_policies *policies; /* null: the defaults */
    bool dry;                             /* nothing is written */
    pipe_regraded_fn *fn;                 /* may be null */
    void *user;
};

struct pipe_regrade_result {
    uint32_t answers;            /* that were graded */
    uint32_t unknown;            /* left alone: of a format or grader not known here */
    uint32_t to_right, to_wrong; /* verdicts that change */
    uint32_t other;              /* only what was extracted changes, or how */
    uint32_t undecided;          /* of all answers */
};

/* Grades every answer of these runs. What differs from the stored score replaces it, all in
 * one transaction; the old one goes to score_history. Not with `dry`: then the store may be
 * open for reading only. RT_ERR_USAGE: no eval run of that name, or none at all. */
RT_CHECKED rt_status pipe_regrade(struct rt_ctx *ctx, struct store *store,
                                  const struct pipe_regrade_options *options,
                                  struct pipe_regrade_result *out);

#endif
