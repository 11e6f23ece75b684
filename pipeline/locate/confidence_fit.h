/* pipeline/locate/confidence_fit.h
 * Fits what the confidence of a verdict by models is made of (evidence.h): the maximum of the
 * likelihood of "this verdict is right" under a logistic function, with the prior of the weights
 * and each generator of text counting alike (weights_fit.h). Cases that hold "unsure" count. */
#ifndef PIPELINE_LOCATE_CONFIDENCE_FIT_H
#define PIPELINE_LOCATE_CONFIDENCE_FIT_H

#include "pipeline/locate/weights_fit.h"

/* The share of the answers that is named at least, whatever generator was left out. */
#define PIPE_COVERAGE_LEAST 0.9

/* Whether one of the first `end` cases that hold "unsure" is of the generator of `set`, or
 * (`same` false) of another. */
bool pipe_cases_asked(const struct pipe_cases *cases, uint32_t end, const char *set,
                      bool same);
/* Fits on all cases but those of the generator of set `but` (null: on all), whose verdicts are
 * by `weights`; the least confidence becomes PIPE_VERDICT_LEAST. Without such cases nothing is
 * known, so all is 0 and every confidence one half. */
RT_CHECKED rt_status pipe_sures_fit(struct rt_ctx *ctx, const struct pipe_cases *cases,
                                    const char *but, const double weights[PIPE_SIGNS],
                                    double sures[PIPE_SURES]);
/* The largest confidence at which PIPE_COVERAGE_LEAST of the answers of every generator are
 * named, where weights and confidence are fitted without that generator. One generator by
 * itself is held against its own fit. Unchanged without cases. */
RT_CHECKED rt_status pipe_sures_least(struct rt_ctx *ctx, const struct pipe_cases *cases,
                                      double *least);
/* The verdict in a case without abstaining, and its confidence; -1: none. */
int32_t pipe_case_verdict(const struct pipe_case *c, const double weights[PIPE_SIGNS],
                          const double sures[PIPE_SURES], double *confidence);
/* Whether such a confidence is too low for the verdict to speak. */
bool pipe_case_abstains(const struct pipe_case *c, const double sures[PIPE_SURES],
                        double confidence);

#endif
