/* pipeline/data/data_set.h
 * Reads what the publishers of a benchmark give out, or a plain file of the user, into
 * problems, and says whether it is the published data. */
#ifndef PIPELINE_DATA_DATA_SET_H
#define PIPELINE_DATA_DATA_SET_H

#include "pipeline/data/data_recipe.h"
#include "pipeline/data/problems.h"

enum { PIPE_DATASET_SPLITS_MAX = 4 };

struct pipe_dataset {
    const char *name, *split;           /* in set.pool */
    const char *path;                   /* of the file or folder, in set.pool */
    const struct pipe_recipe *recipe;   /* that was used */
    const struct pipe_benchmark *facts; /* null: nothing is known of this name */
    struct pipe_problem_set set;        /* set.hash as pipe_problems_rehash makes it */
    char source[65]; /* SHA-256 of the unpacked file; of a folder: of its files' names and
                         hashes in order */
    char content[65]; /* SHA-256 of question, answer and solution of each problem, as text
                         with its end, in order */
    int64_t bytes;    /* unpacked */
    bool published;   /* source or content is the known one */
};

struct pipe_dataset_ask {
    const char *name;   /* "gsm8k", or a name that the user gave */
    const char *path;   /* a file, or a folder of the publisher */
    const char *split;  /* null: found by the file's hash or name, or all in a folder */
    const char *format; /* a recipe's name; null: that of the benchmark, or by the file's
                           ending */
    /* names of fields instead of the recipe's, NULL: the recipe's */
    const char *question_field, *answer_field, *id_field;
    bool accept; /* take it although it is not the published one */
};

/* Reads the splits that are there, in the order of the table. RT_ERR_INPUT: unreadable,
 * broken (file, line, and column where the text is broken), an id twice, an answer
 * missing, or not the published data and not accepted. RT_ERR_USAGE: the split or format
 * cannot be told. On failure nothing is kept. */
RT_CHECKED rt_status pipe_dataset_read(struct rt_ctx *ctx,
                                       const struct pipe_dataset_ask *ask,
                                       struct pipe_dataset out[PIPE_DATASET_SPLITS_MAX],
                                       uint32_t *count);
void pipe_dataset_deinit(struct pipe_dataset *dataset);

/* Problems from a text in memory, whatever its provenance: the part of the above that
 * reads foreign bytes. `out` needs name, split and recipe. */
RT_CHECKED rt_status pipe_dataset_parse(struct rt_ctx *ctx, struct pipe_dataset *out,
                                        const struct pipe_rows_text *text);

#endif
