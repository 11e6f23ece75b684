/* pipeline/exchange/export.h
 * Answers in the formats of other programs:
 *
 *   jsonl         one line per answer; what import reads as jsonl, and the verdict
 *   csv           the same columns, RFC 4180
 *   lm-eval       samples of lm-evaluation-harness: one per problem, answers in `resps`
 *   inspect       a log of Inspect as JSON
 *   inspect-eval  the same as a zip archive
 *
 * Each but csv is read back by import as the same answers. */
#ifndef PIPELINE_EXCHANGE_EXPORT_H
#define PIPELINE_EXCHANGE_EXPORT_H

#include "pipeline/record.h"

enum pipe_export_kind {
    PIPE_EXPORT_JSONL,
    PIPE_EXPORT_CSV,
    PIPE_EXPORT_LM_EVAL,
    PIPE_EXPORT_INSPECT,
    PIPE_EXPORT_INSPECT_EVAL,
    PIPE_EXPORT_KIND_COUNT
};
const char *pipe_export_kind_name(enum pipe_export_kind kind);
/* PIPE_EXPORT_KIND_COUNT: there is no such name. */
enum pipe_export_kind pipe_export_kind_of(const char *name);

struct pipe_export_head {
    const char *model, *task, *run_id;
    int64_t started_ms, ended_ms; /* Unix time of the run */
    const char *version;          /* of this program */
};

/* One answer; strings are valid during the call, NULL if there is none. */
struct pipe_export_answer {
    const char *problem_id, *question, *gold, *output, *extracted, *rule, *error;
    const char *finish; /* stop, length, error */
    uint32_t sample, n_prompt, n_gen;
    bool correct;
};

struct pipe_export;

/* The file is made anew. Of `head` the strings are borrowed. RT_ERR_IO. */
RT_CHECKED rt_status pipe_export_open(struct rt_ctx *ctx, const char *path,
                                      enum pipe_export_kind kind,
                                      const struct pipe_export_head *head,
                                      struct pipe_export **out);
/* Answers of one problem must follow each other. */
RT_CHECKED rt_status pipe_export_put(struct pipe_export *e,
                                     const struct pipe_export_answer *answer);
/* Finishes the file. Without it, pipe_export_destroy removes what was written. */
RT_CHECKED rt_status pipe_export_end(struct pipe_export *e);
void pipe_export_destroy(struct pipe_export **e);

#endif
