/* pipeline/exchange/import_run.h
 * Answers of another program become a run of the results file: graded here, with the file
 * that they came from as their origin. */
#ifndef PIPELINE_EXCHANGE_IMPORT_RUN_H
#define PIPELINE_EXCHANGE_IMPORT_RUN_H

#include "pipeline/data/problems.h"
#include "pipeline/exchange/import.h"
#include "pipeline/host.h"
#include "pipeline/prompt/prompt_format.h"
#include "store/store.h"

struct pipe_import_options {
    const char *path;           /* of the file of answers */
    enum pipe_import_kind kind; /* PIPE_IMPORT_AUTO: told by the content */
    const char *filter;         /* of lm-eval; null: the first */
    const char *bench;          /* the problems, as pipe_problems_open takes them */
    const struct pipe_prompt_format *format; /* cuts answers into steps and grades them */
    const char *role;                        /* full, quant, restored or control */
    /* Of the variant; null: the model that the file names, or the role. */
    const char *label;
};

struct pipe_import_result {
    struct pipe_import import; /* what was read */
    char bench[160];           /* label of the list */
    char label[64];            /* of the variant, as stored: 63 bytes at most */
    char run[STORE_ID];
    uint32_t right, unparsed; /* of import.count */
    int64_t added;            /* answers that were not in the store */
};

/* Reads the file, finds the problem of each answer and writes benchmark, variant, origin,
 * run and graded answers: all in one transaction. A file that is imported again adds
 * nothing. RT_ERR_USAGE: no such role. RT_ERR_INPUT: what pipe_import_read, pipe_problems_open
 * and pipe_import_match refuse. pipe_import_result_deinit in any case. */
RT_CHECKED rt_status pipe_import_run(struct rt_ctx *ctx, const struct pipe_host *host,
                                     struct store *store,
                                     const struct pipe_import_options *options,
                                     struct pipe_import_result *out);
void pipe_import_result_deinit(struct pipe_import_result *result);

#endif
