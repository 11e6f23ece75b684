/* pipeline/prompt/examples.h
 * Worked examples that stand before a question. They are texts of others and not part of
 * this program: read once from JSON Lines whose records have `set`, `template` and the
 * fields that the template names in braces; records of one set in the order of the file,
 * each followed by a blank line. A format knows the hash of the text that it means. */
#ifndef PIPELINE_PROMPT_EXAMPLES_H
#define PIPELINE_PROMPT_EXAMPLES_H

#include "pipeline/prompt/prompt_format.h"

/* The text of a set in fresh memory (rt_free). RT_ERR_INPUT: a broken file (line, column),
 * a missing or wrong field, no record of that set. */
RT_CHECKED rt_status pipe_examples_parse(struct rt_ctx *ctx, const char *name,
                                         const char *text, size_t size, const char *set,
                                         char **out);
/* The examples of a format from a file, checked against its hash. */
RT_CHECKED rt_status pipe_examples_read(struct rt_ctx *ctx, const char *path,
                                        const struct pipe_prompt_format *format,
                                        char **out);

#endif
