/* pipeline/restore/train_cost.c
 * Sizes of the model and its teacher from their headers, and what training adds. */
#include "pipeline/restore/train_cost.h"

#include <string.h>

static rt_status size_of(struct rt_device *dev, const char *folder,
                         struct model_size *out)
{
    rt_status st;
    struct fmt_model *file = NULL;
    TRY(rt_model_file_open(dev, folder, &file));
    TRY(rt_model_size(rt_device_ctx(dev), file, out));

fail:
    fmt_model_close(&file);
    return st;
}

static rt_status check_options(struct rt_ctx *ctx,
                               const struct pipe_train_cost_options *o)
{
    if (!o->quant)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "train --dry-run needs --quant DIR, the model that is trained");
    if (!o->recipe->train || o->recipe->on_full)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "train --dry-run: the recipe '%s' does not train the quantized "
                       "model; name another with --recipe",
                       o->recipe->name);
    if (o->recipe->scales)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "train --dry-run: the recipe '%s' trains scales, and only what "
                       "adapters take is counted; name one with --recipe (adapter, dpo)",
                       o->recipe->name);
    if (o->recipe->loss == TRAIN_KL && !o->full)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "train --dry-run: the recipe '%s' has a teacher, and needs --full "
                       "DIR",
                       o->recipe->name);
    return RT_OK;
}

rt_status pipe_train_cost(struct rt_device *dev, const struct pipe_train_cost_options *o,
                          struct pipe_train_cost *out)
{
    rt_status st;
    struct model_size model, teacher;
    struct rt_ctx *ctx = rt_device_ctx(dev);
    const bool kl = o->recipe->loss == TRAIN_KL;
    *out = (struct pipe_train_cost){ 0 };
    TRY(check_options(ctx, o));
    TRY(size_of(dev, o->quant, &model));
    if (kl)
        TRY(size_of(dev, o->full, &teacher));
    const struct train_shape shape = {
        .loss = o->recipe->loss,
        .rank = o->rank,
        .rows = o->tokens,
        .positions = o->tokens < model.config.max_positions ? o->tokens
                                                            : model.config.max_positions,
        .teacher = kl ? &teacher : NULL,
    };
    train_size_of(&model, rt_device_plan(dev), &shape, &out->size);
    out->sum = train_size_sum(&out->size);
    out->device = rt_device_memory_left(dev);

fail:
    return st;
}
