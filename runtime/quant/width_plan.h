/* runtime/quant/width_plan.h
 * A plan: the width of each projection, as a file that one can read and edit. Text, a line
 * "TENSOR TYPE" or "TENSOR = TYPE" each; '#' begins a comment. TENSOR is the name of a
 * matrix ("model.layers.3.mlp.down_proj", with or without ".weight") or a pattern of the
 * shell with * ? [a-z]; TYPE is int2, int3, int4 or int8. Of lines that fit the last counts;
 * what no line fits gets the width of the options. */
#ifndef RUNTIME_QUANT_WIDTH_PLAN_H
#define RUNTIME_QUANT_WIDTH_PLAN_H

#include "runtime/base/rt.h"

enum { QUANT_PLAN_WIDTHS = 4 };
extern const uint32_t quant_plan_widths[QUANT_PLAN_WIDTHS]; /* 2, 3, 4, 8 */

struct quant_plan_row {
    char pattern[160];
    uint32_t bits;
    uint32_t line; /* in the file, from 1 on */
};

struct quant_plan {
    char path[512];              /* for messages */
    struct quant_plan_row *rows; /* owned */
    uint32_t count, capacity;
};

/* RT_ERR_INPUT names line and reason. On failure the plan is empty. */
RT_CHECKED rt_status quant_plan_read(struct rt_ctx *ctx, const char *path,
                                     struct quant_plan *out);
RT_CHECKED rt_status quant_plan_add(struct rt_ctx *ctx, struct quant_plan *plan,
                                    const char *pattern, uint32_t bits);
/* `comment` may have several lines; each becomes one that begins with '#'. */
RT_CHECKED rt_status quant_plan_write(struct rt_ctx *ctx, const char *path,
                                      const struct quant_plan *plan, const char *comment);
void quant_plan_deinit(struct quant_plan *plan);

/* The width of a matrix; `otherwise`: no line fits. */
uint32_t quant_plan_bits(const struct quant_plan *plan, const char *name,
                         uint32_t otherwise);
/* RT_ERR_INPUT where a line fits no projection of a model of so many layers. */
RT_CHECKED rt_status quant_plan_check(struct rt_ctx *ctx, const struct quant_plan *plan,
                                      uint32_t layers);

#endif
