/* pipeline/run/compare_runs.h
 * The measured answers of full, quantized and restored on the same problems, paired by
 * problem and sample: which runs these are, the comparison frozen as rows, its statistics,
 * and conditions on them for a gate. No model is asked; everything comes from the store.
 *
 * Difference, interval and p-value of two sides are those of pipe_paired_compare. A problem
 * with several answers is one unit: the difference and its interval are a bootstrap over
 * problems then, and there is no p-value. */
#ifndef PIPELINE_RUN_COMPARE_RUNS_H
#define PIPELINE_RUN_COMPARE_RUNS_H

#include "pipeline/stats/parts.h"
#include "pipeline/stats/statistics.h"
#include "store/store.h"

enum {
    PIPE_SIDES = 3, /* full, quant, restored, in this order */
    PIPE_COMPARISONS_MAX = 32,
    PIPE_NUMBERS_MAX = 40
};
extern const char *const pipe_side_names[PIPE_SIDES]; /* "full", "quant", "restored" */

struct pipe_compare_ask {
    const char *campaign;           /* id; null: the newest */
    const char *split;              /* "measure" */
    const char *bench;              /* name of a list; "": all that two variants answered,
                             PIPE_COMPARISONS_MAX of them at most */
    const char *wanted[PIPE_SIDES]; /* label, arm or id; "": the first of that role */
};

struct pipe_side {
    char run[STORE_ID], label[64];
    double bits; /* per weight; 0: not known */
};

/* Right answers that restored has more than quant, and how many of them where both answers
 * end by themselves, with an answer that can be read and without a loop. Marked: at least
 * half of the gain comes from answers that end otherwise (pipe_gain_by_ending). */
struct pipe_endings {
    bool known; /* false: no restored side, or answers without tokens */
    int32_t gain, gain_ended;
    bool marked;
};

/* One benchmark: what is compared and what came out. */
struct pipe_comparison {
    char campaign[STORE_ID], benchmark[STORE_ID], name[64], grader[64];
    char id[STORE_ID]; /* of the frozen comparison */
    struct pipe_side sides[PIPE_SIDES];
    int found;                   /* sides that have a run: 2 or 3 */
    bool *right[PIPE_SIDES];     /* [n], owned */
    double *share[PIPE_SIDES];   /* [problems], owned: right answers of a problem / all */
    uint32_t n, problems;        /* pairs of answers; problems that they are to */
    uint32_t recovered_problems; /* pairs that quant lost and restored has right */
    struct pipe_paired loss, gain; /* full to quant, quant to restored */
    double loss_holm, gain_holm;   /* p-values adjusted over all benchmarks; NaN: none */
    struct pipe_parts parts; /* data sets of the list; not where problems have several
                                      answers */
    struct pipe_pooled loss_mean, gain_mean; /* over data sets, if parts.count > 1 */
    struct pipe_recovery recovery;
    struct pipe_endings endings;
};

struct pipe_comparisons {
    struct pipe_comparison *items; /* PIPE_COMPARISONS_MAX, owned */
    uint32_t count;
};

/* The finished runs of each benchmark. A benchmark that lacks full or quant is left out if
 * there is another. RT_ERR_USAGE: no campaign, no such list, no run of a side; the message
 * says which. pipe_comparisons_deinit in any case. */
RT_CHECKED rt_status pipe_compare_find(struct rt_ctx *ctx, struct store *store,
                                       const struct pipe_compare_ask *ask,
                                       struct pipe_comparisons *out);
/* Freezes each as rows (store_put_comparison), reads its pairs, computes its numbers, and
 * adjusts p-values by Holm's method if two or more benchmarks have them. RT_ERR_USAGE: the
 * runs of one have no graded problem in common. The store is open for writing. */
RT_CHECKED rt_status pipe_compare_compute(struct rt_ctx *ctx, struct store *store,
                                          struct pipe_comparisons *list);
void pipe_comparisons_deinit(
    struct pipe_comparisons *list); /* accepts one that is zero */

/* Some problem has several answers: errors are over problems, and McNemar does not apply. */
bool pipe_comparison_several(const struct pipe_comparison *c);

struct pipe_number {
    const char *name; /* "recovered" */
    double value;     /* shares of 1; NaN or infinite: undefined */
};
/* All numbers by name, in a fixed order; returns how many. Those of the restored side only
 * if there is one. */
uint32_t pipe_comparison_numbers(const struct pipe_comparison *c,
                                 struct pipe_number out[PIPE_NUMBERS_MAX]);
/* A condition under which a gate fails: a name, one of < <= > >= and a number, as in
 * "recovered<0.5". RT_ERR_GATE: it holds, or its number is undefined. RT_ERR_USAGE: it
 * cannot be read, or there is no such number. */
RT_CHECKED rt_status pipe_comparison_gate(struct rt_ctx *ctx,
                                          const struct pipe_comparison *c,
                                          const char *condition);

#endif
