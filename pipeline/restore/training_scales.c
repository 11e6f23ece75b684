/* pipeline/restore/training_scales.c
 * Recipes that make a model of the same format with the same bits: the scales of the
 * quantized model are trained (runtime/train/scales.h), or full is quantized again on text
 * of the items. */
#include "pipeline/restore/training_impl.h"

#include "pipeline/run/quantize.h"
#include "runtime/base/file.h"
#include "runtime/quant/quant_files.h"
#include "runtime/quant/rescale.h"

#include <assert.h>
#include <math.h>

rt_status restore_open_scales(struct training *t)
{
    rt_status st;
    TRY(pipe_model_load(t->session, t->m->quant_folder, &t->own));
    TRY(rt_scales_create(t->own, t->m->quant_folder, false, &t->scales));
    t->model = t->own;

fail:
    return st;
}

/* The rate falls to a tenth, so the last pass has the lowest loss, and a small validation
 * split says little against that: an earlier pass stays only where the newer one is worse
 * by more than the standard error of a share. */
void restore_keep_scales(struct training *t, uint32_t k, double accuracy)
{
    const double best = t->best_accuracy, n = t->m->validate->set.count;
    const double error = n > 0 ? sqrt(best * (1 - best) / n) : 0;
    assert(k > 0);
    if (t->kept && accuracy < best - error)
        return;
    t->kept = k;
    t->best_accuracy = accuracy;
}

static rt_status take_scales(void *user, uint32_t layer, enum fmt_module module,
                             uint32_t groups, float *values, float *zeros)
{
    struct training *t = user;
    return rt_scales_read(t->scales, layer, module, groups, values, zeros);
}

rt_status restore_write_scales(struct training *t)
{
    rt_status st;
    char checkpoint[560];
    assert(t->scales && t->kept);
    if (t->kept != rt_trainer_updates(t->trainer)) {
        restore_checkpoint_path(t, t->kept, checkpoint);
        TRY(rt_trainer_load(t->trainer, checkpoint));
    }
    quant_files_remove(t->folder); /* of a run that was killed after it */
    TRY(quant_rescale(t->session->ctx, t->m->quant_folder, t->folder, take_scales, t));

fail:
    return st;
}

rt_status restore_quantize_again(struct training *t)
{
    rt_status st;
    struct pipe_quantized result = { 0 };
    const struct restore_grid *g = t->m->grid;
    const struct pipe_quantize_options o = { .method = t->recipe->again,
                                             .bits = g->bits,
                                             .group = g->group,
                                             .asymmetric = g->asymmetric };
    const struct pipe_quantize_text text = { .full = t->m->full->model,
                                             .sequences = t->items.list,
                                             .count = t->items.count };
    quant_files_remove(t->folder); /* of a run that was killed after it */
    TRY(pipe_quantize_on(t->session, &text, t->m->full_folder, t->folder, &o, &result));

fail:
    pipe_quantized_deinit(&result);
    return st;
}
