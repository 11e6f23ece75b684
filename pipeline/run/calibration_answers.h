/* pipeline/run/calibration_answers.h
 * Private to pipeline/run: answers of models as calibration text, and what was answered. */
#ifndef PIPELINE_RUN_CALIBRATION_ANSWERS_H
#define PIPELINE_RUN_CALIBRATION_ANSWERS_H

#include "pipeline/run/calibration.h"

/* "self:...": answers that the results file lacks are made first. */
RT_CHECKED rt_status pipe_calibration_of_self(struct pipe_session *session,
                                              const struct pipe_calibration_options *o,
                                              struct rt_model *full,
                                              struct pipe_calibration *c);
/* "run:...". */
RT_CHECKED rt_status pipe_calibration_of_run(struct pipe_session *session,
                                             const struct pipe_calibration_options *o,
                                             struct rt_model *full,
                                             struct pipe_calibration *c);
/* The problems of "run:..." whose first answer is wanted and finished, at most `limit`; with
 * ids of the results file, and what was answered as reference. Free in any case. */
RT_CHECKED rt_status pipe_calibration_run_problems(struct pipe_session *session,
                                                   const char *from, uint32_t limit,
                                                   struct pipe_problem_set *out);

#endif
