/* runtime/model/model_hybrid.c
 * A model that is a list of pointers into two others. */
#include "runtime/model/model_impl.h"

#include <assert.h>
#include <string.h>

rt_status rt_model_hybrid_create(struct rt_model *base, struct rt_model **out)
{
    struct rt_ctx *ctx = rt_device_ctx(base->dev);
    const uint32_t layers = base->config.layers;
    struct rt_model *m = rt_alloc(ctx, 1, sizeof *m);
    struct model_layer *list = rt_alloc(ctx, layers, sizeof *list);
    *out = NULL;
    if (!m || !list) {
        rt_free(m);
        rt_free(list);
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no host memory for a model");
    }
    *m = *base;
    m->loaded = NULL;
    m->layers = list;
    memcpy(list, base->layers, layers * sizeof *list);
    *out = m;
    return RT_OK;
}

void rt_model_hybrid_take(struct rt_model *m, const struct rt_model *from, uint32_t layer,
                          enum model_group g)
{
    assert(layer < m->config.layers && m->dev == from->dev);
    assert(m->shape[g].in == from->shape[g].in &&
           m->shape[g].out_pad == from->shape[g].out_pad);
    m->layers[layer].group[g] = from->layers[layer].group[g];
    if (from->ld_columns > m->ld_columns)
        m->ld_columns = from->ld_columns;
}

void rt_model_hybrid_destroy(struct rt_model **model)
{
    if (!*model)
        return;
    if ((*model)->loaded)
        model_runs_destroy((*model)->loaded);
    rt_free((*model)->loaded);
    rt_free((*model)->layers);
    rt_free(*model);
    *model = NULL;
}
