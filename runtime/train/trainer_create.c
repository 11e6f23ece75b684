/* runtime/train/trainer_create.c
 * Everything a trainer allocates, once. */
#include "runtime/train/train_size.h"
#include "runtime/train/trainer.h"

#include <assert.h>
#include <string.h>

/* Floats that a binding of partial sums begins at. */
enum { PARTIAL_ALIGN = 64 };

static rt_status create_teacher(struct rt_trainer *t)
{
    rt_status st;
    struct rt_device *dev = t->model->dev;
    const uint64_t row = (uint64_t)t->model->ld_hidden * 4;
    TRY(model_pass_init(&t->teacher_pass, t->teacher, NULL, t->batch.rows_max, false));
    t->teacher_pass.may_round = true;
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
    if (head->bits != 32 && rt_plan_decodes_back(rt_device_plan(dev)))
        TRY(model_buffer(dev, "train head", 4ull * head->out_pad * head->in_pad,
                         RT_MEMORY_DEVICE, &t->head_scratch));
    TRY(model_buffer(dev, "train stat", targets * 32ull, RT_MEMORY_READBACK, &t->stat));
    TRY(model_buffer(dev, "train seed", targets * 4ull,
                     pairs ? RT_MEMORY_DEVICE : RT_MEMORY_UPLOAD, &t->seed));
    TRY(model_buffer(dev, "train ref", targets * 4ull, RT_MEMORY_UPLOAD, &t->ref));
    TRY(model_buffer(dev, "train pairs", TRAIN_PAIRS_MAX * 16ull, RT_MEMORY_UPLOAD,
                     &t->pair));
    TRY(model_buffer(dev, "train pair out", TRAIN_PAIRS_MAX * 32ull, RT_MEMORY_READBACK,
                     &t->pair_out));
    return RT_OK;

fail:
    return st;
}

/* ---- parameters ---- */

static void add_part(struct rt_trainer *t, const char *prefix, struct rt_buffer *params,
                     struct rt_buffer *grads, uint64_t floats)
{
    assert(t->part_count < TRAINER_PARTS_MAX);
    const uint32_t partial = (uint32_t)rt_round_up(t->partials, PARTIAL_ALIGN);
    t->parts[t->part_count++] = (struct trainer_part){ .prefix = prefix,
                                                       .params = params,
                                                       .grads = grads,
                                                       .floats = floats,
                                                       .partial = partial };
    t->partials =
        partial + (uint32_t)((floats + TRAIN_SUMSQ_BLOCK - 1) / TRAIN_SUMSQ_BLOCK);
}

void trainer_record_pack(const struct rt_trainer *t, struct rt_list *list)
{
    if (t->adapter)
        model_record_pack(t->adapter, list);
    if (t->scales)
        train_scales_record_pack(t->scales, list);
}

static rt_status create_optimizer(struct rt_trainer *t)
{
    rt_status st;
    struct rt_device *dev = t->model->dev;
    if (t->adapter)
        add_part(t, "", t->adapter->params, t->backward.grads, t->adapter->param_floats);
    if (t->scales)
        add_part(t, "scales.", t->scales->params, t->backward.scale_grads,
                 t->scales->floats);
    TRY(model_buffer(dev, "train partial", t->partials * 4ull + 256, RT_MEMORY_DEVICE,
                     &t->partial));
    TRY(model_buffer(dev, "train clip", 256, RT_MEMORY_READBACK, &t->clip_state));
    TRY(model_buffer(dev, "train hyper", 256, RT_MEMORY_UPLOAD, &t->hyper));
    TRY(rt_list_create(dev, "optimizer", &t->update));
    for (uint32_t i = 0; i < t->part_count; i++) {
        struct trainer_part *part = &t->parts[i];
        TRY(model_buffer(dev, "train m", part->floats * 4, RT_MEMORY_DEVICE, &part->m));
        TRY(model_buffer(dev, "train v", part->floats * 4, RT_MEMORY_DEVICE, &part->v));
        const struct adamw_push push = { .count = (uint32_t)part->floats };
        const struct rt_slice slices[] = {
            model_slice(t->hyper),    model_slice(t->clip_state),
            model_slice(part->grads), model_slice(part->params),
            model_slice(part->m),     model_slice(part->v),
        };
        rt_list_op(t->update, RT_OP_adamw, &push, slices);
    }
    trainer_record_pack(t, t->update);
    TRY(rt_list_end(t->update));
    return RT_OK;

fail:
    return st;
}

rt_status rt_trainer_create_for(struct rt_model *model,
                                const struct train_parameters *parameters,
                                struct rt_model *teacher,
                                const struct train_options *options, uint32_t rows,
                                uint32_t targets, struct rt_trainer **out)
{
    *out = NULL;
    struct rt_ctx *ctx = rt_device_ctx(model->dev);
    struct rt_adapter *adapter = parameters->adapter;
    struct rt_scales *scales = parameters->scales;
    assert(adapter || scales);
    if ((adapter && !adapter->trainable) || rows == 0)
        return rt_fail(ctx, RT_ERR_USAGE, "training needs a trainable adapter and rows");
    if (options->loss == TRAIN_KL &&
        (!teacher || teacher->dev != model->dev || (scales && teacher == model) ||
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
    t->scales = scales;
    t->teacher = options->loss == TRAIN_KL ? teacher : NULL;
    t->options = *options;
    t->pairs_max = TRAIN_PAIRS_MAX;
    TRY(batch_init(&t->batch, model->dev, rows, targets ? targets : rows));
    t->chunk = train_chunk_rows(model->ld_vocab, t->batch.targets_max);
    TRY(model_pass_init(&t->pass, model, adapter, t->batch.rows_max, true));
    if (scales && !t->pass.decoded) /* their gradient multiplies with decoded weights */
        TRY(model_buffer(model->dev, "pass decoded", model_decoded_bytes(model),
                         RT_MEMORY_DEVICE, &t->pass.decoded));
    t->pass.may_round = true;
    TRY(backward_init(&t->backward, &t->pass, scales));
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

rt_status rt_trainer_create(struct rt_model *model, struct rt_adapter *adapter,
                            struct rt_model *teacher, const struct train_options *options,
                            uint32_t rows, uint32_t targets, struct rt_trainer **out)
{
    const struct train_parameters parameters = { .adapter = adapter };
    return rt_trainer_create_for(model, &parameters, teacher, options, rows, targets,
                                 out);
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
        &t->teacher_x,  &t->teacher_hn, &t->teacher_logits, &t->hx,           &t->hn,
        &t->dhn,        &t->dhx,        &t->logits,         &t->head_scratch, &t->stat,
        &t->seed,       &t->ref,        &t->pair,           &t->pair_out,     &t->partial,
        &t->clip_state, &t->hyper,
    };
    for (size_t i = 0; i < RT_COUNT(owned); i++)
        rt_buffer_destroy(owned[i]);
    for (uint32_t i = 0; i < t->part_count; i++) {
        rt_buffer_destroy(&t->parts[i].m);
        rt_buffer_destroy(&t->parts[i].v);
    }
    backward_deinit(&t->backward);
    model_pass_deinit(&t->pass);
    model_pass_deinit(&t->teacher_pass);
    batch_deinit(&t->batch);
    rt_free(t);
    *pt = NULL;
}
