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

static void list_parts(struct pipe_train_cost *c)
{
    const struct train_size *s = &c->size;
    const struct pipe_train_part parts[PIPE_TRAIN_PARTS] = {
        { "weights", "the frozen model", s->weights },
        { "teacher", "the full model, and its activations", s->teacher },
        { "adapter", "parameters, and copies that kernels read", s->adapter },
        { "optimizer", "gradient and two moments", s->optimizer },
        { "kept", "the input of every layer", s->kept },
        { "activations", "of one layer and the loss, both ways", s->activations },
        { "decoded", "one weight and the head, as floats", s->decoded },
        { "logits", "of one chunk of target tokens", s->logits },
    };
    memcpy(c->parts, parts, sizeof parts);
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
    list_parts(out);
    out->sum = train_size_sum(&out->size);
    out->device = rt_device_memory_left(dev);

fail:
    return st;
}

void pipe_train_cost_json(FILE *out, const struct pipe_train_cost *c)
{
    fputs("{\"bytes\":{", out);
    for (int i = 0; i < PIPE_TRAIN_PARTS; i++)
        fprintf(out, "%s\"%s\":%llu", i ? "," : "", c->parts[i].name,
                (unsigned long long)c->parts[i].bytes);
    fprintf(out, "},\"sum\":%llu,\"device_free\":%llu,\"chunk\":%u,\"fits\":%s}\n",
            (unsigned long long)c->sum, (unsigned long long)c->device, c->size.chunk,
            c->sum <= c->device ? "true" : "false");
}
