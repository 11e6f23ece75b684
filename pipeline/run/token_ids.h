/* pipeline/run/token_ids.h
 * Token ids as people and programs write them. Both functions take fresh memory (*out, for
 * rt_free, also after a failure). */
#ifndef PIPELINE_RUN_TOKEN_IDS_H
#define PIPELINE_RUN_TOKEN_IDS_H

#include "runtime/base/rt.h"

/* "1,2,3". RT_ERR_USAGE, with the name of the option: something else, or nothing. */
RT_CHECKED rt_status pipe_ids_parse(struct rt_ctx *ctx, const char *option,
                                    const char *text, uint32_t **out, uint32_t *count);
/* A line of standard input (`number`, from 1): a JSON array of ids below `vocab`, which may
 * be empty. RT_ERR_INPUT names the line and what is wrong. */
RT_CHECKED rt_status pipe_ids_read(struct rt_ctx *ctx, const char *line, unsigned number,
                                   uint32_t vocab, uint32_t **out, uint32_t *count);

#endif
