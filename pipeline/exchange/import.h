/* pipeline/exchange/import.h
 * Answers that another program produced, as records. What is read:
 *
 *   lm-eval   samples_*.jsonl of lm-evaluation-harness: a line for each document and
 *             filter, all answers of a document in `resps`. The first filter of the file
 *             is taken, or one by name; its extraction and score are not used. Documents
 *             that it lacks stop the import unless it was named; answers that are
 *             others under another filter always do. Versions before 0.4.3 write the same lines without the filter's name: what repeats
 *             the answers of a document is left out.
 *   inspect   logs of Inspect: .json, or .eval (a zip archive, stored, deflate or zstd),
 *             an answer for each sample and epoch; attachments are put back, the text
 *             parts of a message are joined with line ends, reasoning is no text.
 *   jsonl     one's own lines: `output` (or `text`, `response`), with `id` or `question`,
 *             and optional `sample` (from 0), `finish` (stop, length), `model`.
 *
 * Lines may be one JSON list. Numbers that JSON or 64 bits cannot hold stop nothing where
 * nobody needs them. Told by the content unless said. Anything else is RT_ERR_INPUT with file and line, entry
 * or sample; of a damaged file nothing is kept. */
#ifndef PIPELINE_EXCHANGE_IMPORT_H
#define PIPELINE_EXCHANGE_IMPORT_H

#include "pipeline/record.h"
#include "runtime/base/text_pool.h"

enum { PIPE_IMPORT_FILTERS_MAX = 16 }; /* that are named to the user */

enum pipe_import_kind {
    PIPE_IMPORT_AUTO,
    PIPE_IMPORT_LM_EVAL,
    PIPE_IMPORT_INSPECT,
    PIPE_IMPORT_JSONL,
    PIPE_IMPORT_KIND_COUNT
};
const char *pipe_import_kind_name(enum pipe_import_kind kind);
/* PIPE_IMPORT_KIND_COUNT: there is no such name. */
enum pipe_import_kind pipe_import_kind_of(const char *name);

/* One answer. Strings lie in the pool of the whole; id or question may be null, not both. */
struct pipe_import_answer {
    const char *id, *question, *output;
    const char *prompt_hash; /* as the other program says it, may be null */
    const char *error;       /* of PIPE_FINISH_ERROR */
    enum pipe_finish finish;
    uint32_t sample, n_prompt, n_gen; /* tokens: 0 where not said */
    uint32_t at;                      /* line or sample, from 1: for messages */
};

struct pipe_import {
    enum pipe_import_kind kind;
    char hash[65];               /* SHA-256 of the file */
    int64_t bytes;               /* of the file */
    const char *tool, *model;    /* "inspect_ai 0.3.285", "openai/gpt": null: not said */
    const char *task, *produced; /* what it was run on and when; may be null */
    const char *filter;          /* of lm-eval, that was taken; null: none is named */
    const char *filters[PIPE_IMPORT_FILTERS_MAX]; /* that the file names, in its order */
    uint32_t filter_count;
    uint32_t left_out; /* documents that only other filters have */
    struct pipe_import_answer *answers;
    uint32_t count, capacity;
    struct pipe_pool pool;
};

/* filter: of lm-eval, null: the first. Two answers of one id and sample: RT_ERR_INPUT. */
RT_CHECKED rt_status pipe_import_read(struct rt_ctx *ctx, const char *path,
                                      enum pipe_import_kind kind, const char *filter,
                                      struct pipe_import *out);
/* The same from bytes in memory; `name` is for messages. */
RT_CHECKED rt_status pipe_import_parse(struct rt_ctx *ctx, const char *name,
                                       const void *data, size_t size,
                                       enum pipe_import_kind kind, const char *filter,
                                       struct pipe_import *out);
void pipe_import_deinit(struct pipe_import *import);

#endif
