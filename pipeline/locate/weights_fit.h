/* pipeline/locate/weights_fit.h
 * Fits the weights of evidence: the maximum of the likelihood of the known first faulty steps
 * under the softmax of evidence.h. Answers are by several generators of text. What a sign is
 * worth differs by generator, so each counts as 200 answers, however many it has. A normal prior
 * on each weight (mean 0, standard deviation 3 nats) keeps a sign that no set shows at 0. The
 * judge's sign is a log probability of the step already, so the mean of its weight is 1.
 * Newton's method; two runs give the same bits. */
#ifndef PIPELINE_LOCATE_WEIGHTS_FIT_H
#define PIPELINE_LOCATE_WEIGHTS_FIT_H

#include "pipeline/locate/evidence.h"
#include "runtime/base/text_pool.h"

enum {
    PIPE_SAID_CHECK,
    PIPE_SAID_ROLLOUT,
    PIPE_SAID_TWIN,
    PIPE_SAID_JUDGE,
    PIPE_SAID_HANDOVER,
    PIPE_SAID_TWIN_BACK,
    PIPE_SAID_SUBSTITUTE,
    PIPE_SAID_MEND,
    PIPE_SAID_CONTRAST,
    PIPE_SAID
};

/* One answer whose first faulty step is known, as a line of an evidence file:
 * {"set":"demo-3bit","truth":2,"said":[2,-1,2,-1,-1,-1,-1,-1,2],"signs":[[...],...],"unsure":[...]}, one
 * list of signs per step, in the order of weights.def. "unsure", one number per step, stands in
 * lines that the confidence is fitted on: all that models and text say of an answer. */
struct pipe_case {
    const char *set;
    uint32_t step_count, truth;
    int32_t said[PIPE_SAID];
    const double *signs;  /* step_count * PIPE_SIGNS */
    const double *unsure; /* step_count; NULL: no line of the confidence */
};
struct pipe_cases {
    struct pipe_case *items;
    uint32_t count;
    struct pipe_pool pool;
};
/* Behind the name of a set: cases whose judge finds a fault in full's own right answer too.
 * What full does itself, no comparison with full can show, so they stand apart in the table of
 * the fit. */
#define PIPE_SET_SHARED "/shared"

const char *pipe_said_name(int locator);

/* The line of a testimony, without a line end; rt_free. */
RT_CHECKED rt_status pipe_case_line(struct rt_ctx *ctx, const char *set, uint32_t truth,
                                    const struct pipe_testimony *t, char **out);
/* Adds the cases of an evidence file. RT_ERR_INPUT with the line. */
RT_CHECKED rt_status pipe_cases_read(struct rt_ctx *ctx, const char *path,
                                     struct pipe_cases *cases);
void pipe_cases_deinit(struct pipe_cases *cases);

/* Whether two sets are by one generator: equal up to the first '-' or '/' of their names, behind
 * "injected_". */
bool pipe_same_generator(const char *a, const char *b);
/* The generator's name in that of a set, *size bytes. */
const char *pipe_generator_of(const char *set, size_t *size);
/* Fits on all cases but those of the generator of set `but` (null: on all). At most 15
 * generators, else RT_ERR_INPUT. */
RT_CHECKED rt_status pipe_weights_fit(struct rt_ctx *ctx, const struct pipe_cases *cases,
                                      const char *but, double weights[PIPE_SIGNS]);
/* The step of the verdict under weights, without abstaining, and its probability, or -1; how
 * many locators name it. */
int32_t pipe_case_step(const struct pipe_case *c, const double *weights,
                       double *probability, uint32_t *named_by);

#endif
