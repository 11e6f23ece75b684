/* pipeline/locate/damage_table.h
 * Evaluated variants held against full, list by list: accuracy, a paired test, and what they
 * lost beside accuracy. The answers are there already; what is counted becomes metrics of
 * the variants' runs, where the report finds it. */
#ifndef PIPELINE_LOCATE_DAMAGE_TABLE_H
#define PIPELINE_LOCATE_DAMAGE_TABLE_H

#include "pipeline/locate/damage.h"
#include "pipeline/locate/locate.h"
#include "pipeline/run/eval_spec.h"
#include "pipeline/stats/statistics.h"

enum { PIPE_DAMAGE_VARIANTS_MAX = 16, PIPE_DAMAGE_LISTS_MAX = 16 };

/* A variant on a list. */
struct pipe_damage_row {
    char label[64], run[STORE_ID];
    double bits; /* per weight */
    uint32_t problems, right;
    struct pipe_interval interval; /* of the accuracy, Wilson at 95 % */
    struct pipe_paired paired;     /* `other` is the variant, base full; zero of full */
    double p_holm; /* of paired.p_exact, over the variants of the list; NaN of full */
    struct pipe_damage damage;
    struct pipe_diverged diverged; /* of full: no tokens */
};
/* What is compared. All is borrowed. */
struct pipe_damage_plan {
    const struct pipe_variant_spec *variants; /* the first of role full is the base */
    uint32_t variant_count;
    const struct pipe_bench *benches;
    const struct pipe_prompt_format *const *formats; /* of each list */
    uint32_t bench_count;
    uint32_t rescues; /* of every variant's greedy answers (pipe_variant) */
};
/* RT_ERR_USAGE: no variant of role full, or no other. */
RT_CHECKED rt_status pipe_damage_check(struct rt_ctx *ctx,
                                       const struct pipe_damage_plan *plan);
/* Row of variant v on list b at b * variant_count + v; the greedy answers that a list lacks
 * are made. Full and one other model are loaded at a time; KL that the results file has is
 * not measured again. RT_ERR_USAGE as pipe_damage_check. */
RT_CHECKED rt_status pipe_damage_table(struct pipe_session *session,
                                       const struct pipe_damage_plan *plan,
                                       struct pipe_damage_row *rows);

#endif
