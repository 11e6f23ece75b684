/* pipeline/exchange/import_impl.h
 * Private to pipeline/exchange: what the readers share. */
#ifndef PIPELINE_EXCHANGE_IMPORT_IMPL_H
#define PIPELINE_EXCHANGE_IMPORT_IMPL_H

#include <jansson.h>

#include "pipeline/data/data_rows.h"
#include "pipeline/exchange/import.h"

enum { IMPORT_TEXT = 32 }; /* bytes of a whole number as text */

struct import_line; /* import_filters.c */

struct importing {
    struct rt_ctx *ctx;
    const char *name;          /* of the file, for messages */
    const char *filter;        /* of lm-eval; null until the first line has named one */
    bool filter_chosen;        /* by the caller, not by the file */
    struct import_line *lines; /* those of lm-eval that name a filter */
    uint32_t line_count, line_capacity;
    struct pipe_pool texts; /* theirs */
    struct pipe_import *out;
    struct pipe_pool scratch; /* texts that are needed until the answer is added */
};

/* A place in the file for messages: unit is "line", "item" or "sample". */
RT_CHECKED rt_status import_fail(const struct importing *in, const char *unit,
                                 uint32_t at, const char *why);
/* Appends; strings are copied. */
RT_CHECKED rt_status import_add(struct importing *in,
                                const struct pipe_import_answer *answer);
/* Keeps a copy in the pool where the text is one: *to null otherwise. */
RT_CHECKED rt_status import_keep(struct importing *in, const char *text, const char **to);
/* Fails because none of these fields holds what is needed: names the one that is NaN, an
 * infinity or another number, else says `why`. */
RT_CHECKED rt_status import_missing(const struct importing *in, const char *unit,
                                    uint32_t at, const json_t *object,
                                    const char *const *names, const char *why);
/* A text, or a whole number as text, in `buffer` or borrowed: one beyond 64 bits keeps its
 * digits. NULL if it is neither. */
const char *import_text(const json_t *value, char buffer[IMPORT_TEXT]);

/* One record of the two kinds that are JSON Lines or a JSON list. */
RT_CHECKED rt_status import_lm_eval(struct importing *in, const struct pipe_row *row);
RT_CHECKED rt_status import_own(struct importing *in, const struct pipe_row *row);
/* import_filters.c. The filters of the file as one text, for messages. */
void import_filters(const struct importing *in, char *out, size_t size);
/* Keeps what a line of lm-eval says, taken or not: copies of its document and filter, the
 * hash of its answers. */
RT_CHECKED rt_status import_note_line(struct importing *in, const char *filter,
                                      bool taken, const char *document,
                                      const json_t *answers, uint32_t at);
/* Fails if a document's answers are others under another filter, or if the taken filter
 * lacks documents and the caller has not chosen it; else counts these in left_out. */
RT_CHECKED rt_status import_compare_filters(struct importing *in);
/* A whole log, and the entries of a zip archive. */
RT_CHECKED rt_status import_inspect(struct importing *in, const json_t *log);
RT_CHECKED rt_status import_archive(struct importing *in, const void *data, size_t size);
/* What a log says of itself (`eval`), and one of its samples. */
RT_CHECKED rt_status import_inspect_head(struct importing *in, const json_t *log);
RT_CHECKED rt_status import_inspect_sample(struct importing *in, const json_t *sample,
                                           uint32_t at);

#endif
