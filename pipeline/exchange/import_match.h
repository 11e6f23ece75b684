/* pipeline/exchange/import_match.h
 * Which known problem each imported answer is to. */
#ifndef PIPELINE_EXCHANGE_IMPORT_MATCH_H
#define PIPELINE_EXCHANGE_IMPORT_MATCH_H

#include "pipeline/exchange/import.h"
#include "pipeline/data/problems.h"

/* places[i]: of answer i in the set. By the question as it stands, if only one problem has
 * it; else folded (import_fold.h), if only one problem is like it; else by id, whole or
 * behind the last '/', and then an answer's question must hold the problem's, as a prompt
 * does. RT_ERR_INPUT: an answer to no problem of the set, or two to the same problem and
 * sample. */
RT_CHECKED rt_status pipe_import_match(struct rt_ctx *ctx, const char *name,
                                       const struct pipe_import *import,
                                       const struct pipe_problem_set *set,
                                       uint32_t *places);

#endif
