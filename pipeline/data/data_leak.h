/* pipeline/data/data_leak.h
 * Problems that stand in a training and in a measuring set. Stricter than
 * pipe_problems_leak: two questions are the same if their letters and digits are, in lower
 * case, whatever stands between them (bytes of other scripts count as letters). */
#ifndef PIPELINE_DATA_DATA_LEAK_H
#define PIPELINE_DATA_DATA_LEAK_H

#include "pipeline/data/problems.h"

/* Removes from `train` what also stands in `measured`; the rest keeps its order. *dropped
 * is how many went. With train == measured nothing would be left: do not. */
RT_CHECKED rt_status pipe_data_drop_leaks(struct rt_ctx *ctx,
                                          struct pipe_problem_set *train,
                                          const struct pipe_problem_set *measured,
                                          uint32_t *dropped);

#endif
