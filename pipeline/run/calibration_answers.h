/* pipeline/run/calibration_answers.h
 * Private to pipeline/run/calibration*.c: answers of models as calibration text. */
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

#endif
