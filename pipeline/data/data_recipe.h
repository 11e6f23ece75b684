/* pipeline/data/data_recipe.h
 * Formats of data sets and the published benchmarks, as tables (benchmarks.def), and how
 * a row of a format becomes a problem. */
#ifndef PIPELINE_DATA_DATA_RECIPE_H
#define PIPELINE_DATA_DATA_RECIPE_H

#include "pipeline/data/data_gold.h"
#include "pipeline/data/data_rows.h"
#include "pipeline/record.h"
#include "runtime/base/text_pool.h"

enum pipe_container { PIPE_CONTAINER_JSON, PIPE_CONTAINER_CSV, PIPE_CONTAINER_XML };

/* Names of fields, "" for none. */
struct pipe_recipe {
    const char *name;
    enum pipe_container container;
    const char *question, *more; /* joined by a space */
    const char *answer;
    enum pipe_gold_rule rule;
    const char *solution, *id, *subject, *level; /* each may be missing in a row */
};

/* Measuring sets must never be trained on. */
enum pipe_data_use { PIPE_DATA_TRAIN, PIPE_DATA_MEASURE };

struct pipe_benchmark {
    const char *name, *split;
    enum pipe_data_use use;
    const char *recipe;
    uint32_t count;
    const char *content; /* SHA-256 in hexadecimal, see data_set.h */
    const char *licence, *origin;
};
struct pipe_benchmark_file {
    const char *name, *split;
    const char *file; /* as in a folder of the publisher; ".gz" may follow */
    const char *hash; /* SHA-256 of the unpacked bytes */
};

extern const struct pipe_recipe pipe_recipes[];
extern const struct pipe_benchmark pipe_benchmarks[];
extern const struct pipe_benchmark_file pipe_benchmark_files[]; /* end: a null name */

/* Null if there is none. */
const struct pipe_recipe *pipe_recipe_find(const char *name);
/* split null: the first of that name. */
const struct pipe_benchmark *pipe_benchmark_find(const char *name, const char *split);

/* The id that a record has in the store: "NAME/SPLIT/..." with the record's own id, or its
 * place (from 0) where `own` is null. A leading "SPLIT/" and a final ".json" of the value
 * are not repeated. Null without memory. */
const char *pipe_data_id(struct rt_ctx *ctx, struct pipe_pool *pool, const char *name,
                         const char *split, const char *own, uint32_t place);

/* Makes a problem of a row; its strings lie in `pool`. RT_ERR_INPUT names file, line and
 * field. The id is not set: *own_id is the row's own, or null. */
RT_CHECKED rt_status pipe_recipe_apply(struct rt_ctx *ctx, struct pipe_pool *pool,
                                       const struct pipe_recipe *recipe,
                                       const struct pipe_row *row,
                                       struct pipe_problem *out, const char **own_id);

#endif
