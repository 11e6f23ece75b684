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

/* fmt_json_parse (runtime/base/json.h: odd numbers are kept), but for what valid JSON can
 * say and no text here can hold: a zero character or half of a surrogate pair (\u0000,
 * \ud800) is read as U+FFFD. The caller owns it. */
json_t *pipe_json_parse(struct rt_ctx *ctx, const char *text, size_t size, size_t flags,
                        json_error_t *error);
/* json_string_value, but NULL for an odd number. */
const char *pipe_json_text(const json_t *value);
/* The digits of a number beyond 64 bits or beyond a double, as written; NULL: another
 * value, NaN and infinities too. Borrowed. */
const char *pipe_json_digits(const json_t *value);

/* JSON Lines; or one array of objects, on one line or many, where the text starts with '['.
 * Lines end with LF, CR LF or CR; blank ones are skipped. Odd
 * numbers are kept. Broken JSON: RT_ERR_INPUT with file, line and column. */
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
