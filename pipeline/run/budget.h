/* pipeline/run/budget.h
 * Widths of single matrices within a budget of bits: how much the model's distribution
 * suffers when one group of matrices is quantized alone, at every width, and the choice of
 * widths with the least sum of that within the budget.
 *
 * A group is what reads one input (q, k, v; o; gate, up; down): programs fuse these, and
 * need equal widths in them. */
#ifndef PIPELINE_RUN_BUDGET_H
#define PIPELINE_RUN_BUDGET_H

#include "pipeline/run/select.h"

struct quant_seen;

enum { PIPE_BUDGET_TOKENS = 4096 };

/* One group at one width. */
struct pipe_budget_cell {
    double bits;   /* of all its matrices, scales and zeros included */
    double error;  /* output error of its layers on the calibration text, their sum */
    double kl;     /* KL(full || full with this group quantized), nats per token */
    bool measured; /* else estimated from the measured width by the errors */
};

struct pipe_budget_group {
    uint32_t layer;
    enum model_group group;
    struct pipe_budget_cell cell[QUANT_PLAN_WIDTHS];
    uint32_t chosen; /* index of the width */
};

struct pipe_budget {
    struct pipe_budget_group *groups; /* owned; by layer and group */
    uint32_t count;
    double weights;  /* elements of all matrices */
    double bits, kl; /* of the choice: per weight; sum of the groups' KL */
    uint64_t tokens; /* that KL was measured on: the first of the calibration text */
    struct quant_plan plan; /* a line per matrix; owned */
    /* One pass over the text serves all widths; its folder keeps other commands away until
     * pipe_budget_end. Owned. */
    struct quant_seen *shared;
};

/* `bits` per weight at most, scales and zeros included. Quantizes the model at each width
 * into folders beside `out`. What a command that was stopped found out is taken over, for any
 * budget, if model, text, options and device are the same (budget_state.h). `all`: KL is
 * measured at every width, not at the least one alone. RT_ERR_USAGE: the budget is below the
 * least width, or another process works beside `out`. pipe_budget_end and
 * pipe_budget_deinit in any case. */
RT_CHECKED rt_status pipe_budget_make(struct pipe_session *session,
                                      const struct pipe_select_from *from,
                                      const char *out,
                                      const struct pipe_quantize_options *options,
                                      double bits, bool all, struct pipe_budget *budget);
/* The command ends with this status: what lies beside `out` is kept, which is said, if the same
 * command can continue there, else removed. The budget's numbers and plan stay. */
void pipe_budget_end(struct rt_ctx *ctx, const char *out, rt_status status,
                     struct pipe_budget *budget);
void pipe_budget_deinit(struct pipe_budget *budget);

/* Bits per weight of a model with all matrices at one width, scales and zeros included. */
double pipe_budget_bits(const struct fmt_config *config,
                        const struct pipe_quantize_options *options, uint32_t width);
/* RT_ERR_USAGE: the budget is below that of the least width. */
RT_CHECKED rt_status pipe_budget_check(struct rt_ctx *ctx,
                                       const struct fmt_config *config,
                                       const struct pipe_quantize_options *options,
                                       double bits);

/* The least sum of losses within a budget: for each of `items` one of `choices`, loss and
 * cost [items][choices]. Costs are rounded up to 1 / 32768 of the budget. *fits false:
 * even the least costs exceed it. */
RT_CHECKED rt_status pipe_budget_choose(struct rt_ctx *ctx, const double *loss,
                                        const double *cost, uint32_t items,
                                        uint32_t choices, double budget, uint32_t *chosen,
                                        bool *fits);

#endif
