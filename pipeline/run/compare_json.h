/* pipeline/run/compare_json.h
 * A row of `quantize --compare` as a JSON object: the variant, its bits, KL(full || variant)
 * in nats per token with a 95 % interval and quantiles, its worst tokens, and, if this program
 * made it, what that took. Numbers that are not known are null. */
#ifndef PIPELINE_RUN_COMPARE_JSON_H
#define PIPELINE_RUN_COMPARE_JSON_H

#include "pipeline/run/compare_models.h"

#include <stdio.h>

/* Onto `out`, without a line end. The session's tokenizer and store give texts of tokens and
 * errors of layers. Errors of `out` are the caller's to look for. */
RT_CHECKED rt_status pipe_compared_json(struct pipe_session *session,
                                        const struct pipe_compared *row, FILE *out);

#endif
