/* pipeline/data/data_rows.h
 * The containers that data sets come in, each read into the same rows: a JSON object of
 * named fields and where it stood. JSON Lines, a JSON array of objects, CSV (RFC 4180,
 * first record the names), XML (each element of a given name: its attributes, and its
 * children's text under their names). Order is kept. Text must have been checked to be
 * UTF-8 and hold no zero byte (data_file.h). */
#ifndef PIPELINE_DATA_DATA_ROWS_H
#define PIPELINE_DATA_DATA_ROWS_H

#include "runtime/base/rt.h"

#include <jansson.h>

struct pipe_row {
    json_t *fields;   /* borrowed during the call; a JSON object */
    const char *file; /* as named to the reader */
    const char *unit; /* "line" or "item" */
    uint32_t at;      /* which, from 1 */
};

/* Returns a failure to stop the reader with it. */
typedef rt_status pipe_row_fn(void *user, const struct pipe_row *row);

struct pipe_rows_text {
    const char *name; /* for messages */
    const char *text; /* zero-terminated */
    size_t size;
};

/* json_loadb, but for what valid JSON can say and no text here can hold: a zero character
 * or half of a surrogate pair (\u0000, \ud800) is read as U+FFFD. The caller owns it. */
json_t *pipe_json_parse(const char *text, size_t size, size_t flags, json_error_t *error);

/* Blank lines are skipped. Broken JSON: RT_ERR_INPUT with file, line and column. */
RT_CHECKED rt_status pipe_rows_jsonl(struct rt_ctx *ctx, const struct pipe_rows_text *in,
                                     pipe_row_fn *fn, void *user);
/* JSON Lines, or one array of objects where the text starts with '['. */
RT_CHECKED rt_status pipe_rows_json(struct rt_ctx *ctx, const struct pipe_rows_text *in,
                                    pipe_row_fn *fn, void *user);
/* Every record must have as many fields as there are names, and names must differ. Fields
 * are texts. A row's line is where it begins; quoted fields may hold line ends. */
RT_CHECKED rt_status pipe_rows_csv(struct rt_ctx *ctx, const struct pipe_rows_text *in,
                                   pipe_row_fn *fn, void *user);
/* The same without a line of names: fields are an array of texts; every record must have as
 * many as the first. */
RT_CHECKED rt_status pipe_rows_csv_plain(struct rt_ctx *ctx,
                                         const struct pipe_rows_text *in, pipe_row_fn *fn,
                                         void *user);
/* A document type declaration is refused: entities could make the file grow without end. */
RT_CHECKED rt_status pipe_rows_xml(struct rt_ctx *ctx, const struct pipe_rows_text *in,
                                   const char *element, pipe_row_fn *fn, void *user);

#endif
