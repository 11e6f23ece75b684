/* runtime/train/trainer_create.c
 * Everything a trainer allocates, once. */
#include "runtime/train/trainer.h"

#include <string.h>

enum { LOGITS_BYTES_MAX = 64 << 20, PAIRS_MAX = 64 };

/* Target rows a chunk of logits holds: at most 512, at most 64 MiB. */
static uint32_t chunk_rows(const struct rt_model *m, uint32_t targets)
{
    uint32_t chunk = 512;
    while (chunk > RT_ROW_PAD && (uint64_t)chunk * m->ld_vocab * 4 > LOGITS_BYTES_MAX)
        chunk /= 2;
    return chunk < targets ? chunk : rt_round_up32(targets, RT_ROW_PAD);
}

static rt_status create_teacher(struct rt_trainer *t)
{
    rt_status st;
    struct rt_device *dev = t->model->dev;
    const uint64_t row = (uint64_t)t->model->ld_hidden * 4;
    TRY(model_pass_init(&t->teacher_pass, t->teacher, NULL, t->batch.rows_max, false));
    TRY(model_buffer(dev, "teacher x", t->batch.rows_max * row, RT_MEMORY_DEVICE,
                     &t->teacher_x));
    TRY(model_buffer(dev, "teacher norm", t->batch.targets_max * row, RT_MEMORY_DEVICE,
                     &t->teacher_hn));
    TRY(model_buffer(dev, "teacher logits", (uint64_t)t->chunk * t->model->ld_vocab * 4,
                     RT_MEMORY_DEVICE, &t->teacher_logits));
    return RT_OK;

fail:
    return st;
}

static rt_status create_head(struct rt_trainer *t)
{
    rt_status st;
    struct rt_device *dev = t->model->dev;
    const uint32_t targets = t->batch.targets_max;
    const uint64_t rows = (uint64_t)targets * t->model->ld_hidden * 4;
    const struct rt_weight_shape *head = &t->model->head.part[0].shape;
    const bool pairs = t->options.loss == TRAIN_DPO;
    TRY(model_buffer(dev, "train hx", rows, RT_MEMORY_DEVICE, &t->hx));
    TRY(model_buffer(dev, "train hn", rows, RT_MEMORY_DEVICE, &t->hn));
    TRY(model_buffer(dev, "train dhn", rows, RT_MEMORY_DEVICE, &t->dhn));
    TRY(model_buffer(dev, "train dhx", rows, RT_MEMORY_DEVICE, &t->dhx));
    TRY(model_buffer(dev, "train logits", (uint64_t)t->chunk * t->model->ld_vocab * 4,
                     RT_MEMORY_DEVICE, &t->logits));
    const uint64_t decoded =
        head->bits == 32 ? 256 : (uint64_t)head->out_pad * head->in_pad * 4;
    TRY(model_buffer(dev, "train head", decoded, RT_MEMORY_DEVICE, &t->head_scratch));
    TRY(model_buffer(dev, "train stat", targets * 32ull, RT_MEMORY_READBACK, &t->stat));
    TRY(model_buffer(dev, "train seed", targets * 4ull,
                     pairs ? RT_MEMORY_DEVICE : RT_MEMORY_UPLOAD, &t->seed));
    TRY(model_buffer(dev, "train ref", targets * 4ull, RT_MEMORY_UPLOAD, &t->ref));
    TRY(model_buffer(dev, "train pairs", PAIRS_MAX * 16ull, RT_MEMORY_UPLOAD, &t->pair));
    TRY(model_buffer(dev, "train pair out", PAIRS_MAX * 32ull, RT_MEMORY_READBACK,
                     &t->pair_out));
    return RT_OK;

fail:
    return st;
}

static rt_status create_optimizer(struct rt_trainer *t)
{
    rt_status st;
    struct rt_device *dev = t->model->dev;
    const uint64_t bytes = t->adapter->param_floats * 4;
    TRY(model_buffer(dev, "train partial", bytes / 1024 + 256, RT_MEMORY_DEVICE,
                     &t->partial));
    TRY(model_buffer(dev, "train clip", 256, RT_MEMORY_READBACK, &t->clip_state));
    TRY(model_buffer(dev, "train hyper", 256, RT_MEMORY_UPLOAD, &t->hyper));
    TRY(model_buffer(dev, "train m", bytes, RT_MEMORY_DEVICE, &t->m));
    TRY(model_buffer(dev, "train v", bytes, RT_MEMORY_DEVICE, &t->v));

    TRY(rt_list_create(dev, "optimizer", &t->update));
    const struct adamw_push push = { .count = (uint32_t)t->adapter->param_floats };
    const struct rt_slice slices[] = {
        model_slice(t->hyper),
        model_slice(t->clip_state),
        model_slice(t->backward.grads),
        model_slice(t->adapter->params),
        model_slice(t->m),
        model_slice(t->v),
    };
    rt_list_op(t->update, RT_OP_adamw, &push, slices);
    model_record_pack(t->adapter, t->update);
    TRY(rt_list_end(t->update));
    return RT_OK;

fail:
    return st;
}

rt_status rt_trainer_create(struct rt_model *model, struct rt_adapter *adapter,
                            struct rt_model *teacher, const struct train_options *options,
                            uint32_t rows, uint32_t targets, struct rt_trainer **out)
{
    *out = NULL;
    struct rt_ctx *ctx = rt_device_ctx(model->dev);
    if (!adapter->trainable || rows == 0)
        return rt_fail(ctx, RT_ERR_USAGE, "training needs a trainable adapter and rows");
    if (options->loss == TRAIN_KL && (!teacher || teacher->dev != model->dev ||
                                      teacher->config.vocab != model->config.vocab ||
                                      teacher->ld_hidden != model->ld_hidden))
        return rt_fail(ctx, RT_ERR_USAGE,
                       "distillation needs a teacher of the same "
                       "shape on the same device");
    rt_status st;
    struct rt_trainer *t = rt_alloc(ctx, 1, sizeof *t);
    if (!t)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "trainer: no host memory");
    t->model = model;
    t->adapter = adapter;
    t->teacher = options->loss == TRAIN_KL ? teacher : NULL;
    t->options = *options;
    t->pairs_max = PAIRS_MAX;
    TRY(batch_init(&t->batch, model->dev, rows, targets ? targets : rows));
    t->chunk = chunk_rows(model, t->batch.targets_max);
    TRY(model_pass_init(&t->pass, model, adapter, t->batch.rows_max, true));
    TRY(backward_init(&t->backward, &t->pass));
    TRY(create_head(t));
    if (t->teacher)
        TRY(create_teacher(t));
    TRY(create_optimizer(t));
    *out = t;
    return RT_OK;

fail:
    rt_trainer_destroy(&t);
    return st;
}

void rt_trainer_destroy(struct rt_trainer **pt)
{
    struct rt_trainer *t = *pt;
    if (!t)
        return;
    for (uint32_t i = 0; i < TRAINER_RECORDINGS; i++)
        rt_list_destroy(&t->recordings[i].list);
    rt_list_destroy(&t->update);
    struct rt_buffer **owned[] = {
        &t->teacher_x,  &t->teacher_hn, &t->teacher_logits,
        &t->hx,         &t->hn,         &t->dhn,
        &t->dhx,        &t->logits,     &t->head_scratch,
        &t->stat,       &t->seed,       &t->ref,
        &t->pair,       &t->pair_out,   &t->partial,
        &t->clip_state, &t->hyper,      &t->m,
        &t->v,
    };
    for (size_t i = 0; i < RT_COUNT(owned); i++)
        rt_buffer_destroy(owned[i]);
    backward_deinit(&t->backward);
    model_pass_deinit(&t->pass);
    model_pass_deinit(&t->teacher_pass);
    batch_deinit(&t->batch);
    rt_free(t);
    *pt = NULL;
}
