/* pipeline/data/texts.h
 * Plain texts as JSON Lines, one per line, or one JSON list of them; UTF-8, gzip or not:
 * {"text": "...", "weight": 2, "spans": [[0, 12, 4]]}. Weights are optional
 * (text_weights.h), other fields are ignored. */
#ifndef PIPELINE_DATA_TEXTS_H
#define PIPELINE_DATA_TEXTS_H

#include "pipeline/data/text_weights.h"

struct pipe_text {
    const char *text;
    const struct pipe_text_weights *weights; /* NULL: counts once */
};

/* Zero is a valid, empty start. */
struct pipe_texts {
    struct pipe_text *items;
    uint32_t count, capacity;
    struct pipe_pool pool;
};

/* Whether `spec`, a path or "path[from:to]", is a file whose first record has a text and is
 * no problem (no question). */
bool pipe_texts_named(const char *spec);
/* RT_ERR_INPUT with file and line: broken JSON, a record without a text, no record.
 * RT_ERR_USAGE: a range beyond the end. On failure it is empty. */
RT_CHECKED rt_status pipe_texts_read(struct rt_ctx *ctx, const char *spec,
                                     struct pipe_texts *out);
/* The same from memory; `name` is for messages. */
RT_CHECKED rt_status pipe_texts_parse(struct rt_ctx *ctx, const char *name,
                                      const void *data, size_t size, uint32_t from,
                                      uint32_t to, struct pipe_texts *out);
void pipe_texts_deinit(struct pipe_texts *texts);

#endif
