/* pipeline/data/text_weights.h
 * What a text counts as calibration text, by two optional fields of its JSON object:
 *
 *   weight  how often the whole text counts, 0 to PIPE_WEIGHT_MAX; 1 if it is missing
 *   spans   [[begin, end, weight], ...]: characters (code points) begin to end - 1 of the
 *           text, from 0; what they count, times the weight of the whole. In order, without
 *           overlap. Outside of spans: 1 */
#ifndef PIPELINE_DATA_TEXT_WEIGHTS_H
#define PIPELINE_DATA_TEXT_WEIGHTS_H

#include "pipeline/data/data_rows.h"
#include "runtime/base/text_pool.h"

#define PIPE_WEIGHT_MAX 1e6

/* Bytes [begin, end) of a text. */
struct pipe_span {
    uint32_t begin, end;
    double weight;
};

/* Owned by a pool, with all that it points to. */
struct pipe_text_weights {
    double weight;
    const struct pipe_span *spans; /* within the text, in order; NULL: none */
    uint32_t count;
    const char *where; /* "'mine.jsonl' line 3", for messages */
    /* Why the fields are no weights, as a message; NULL: they are. A file may have fields
     * of these names that mean something else, so only who weighs a text fails. */
    const char *refused;
};

/* *out NULL: the row has neither field. `text` NULL: the row has none that spans could be
 * of. RT_ERR_HOST_MEMORY only. */
RT_CHECKED rt_status pipe_text_weights_read(struct rt_ctx *ctx, struct pipe_pool *pool,
                                            const struct pipe_row *row, const char *text,
                                            const struct pipe_text_weights **out);

#endif
