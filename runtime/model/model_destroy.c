/* runtime/model/model_destroy.c
 * Frees a model, or one layer of a streamed one. */
#include "runtime/model/model_impl.h"

static void weight_destroy(struct model_weight *w)
{
    rt_buffer_destroy(&w->codes);
    rt_buffer_destroy(&w->scales);
    rt_buffer_destroy(&w->order);
    rt_buffer_destroy(&w->inverse);
    rt_buffer_destroy(&w->given);
}

void model_runs_destroy(struct model_runs *runs)
{
    for (uint32_t r = 0; r < runs->count; r++)
        weight_destroy(&runs->run[r].weight);
    runs->count = 0;
}

void rt_model_layer_drop(struct rt_model *m, uint32_t layer)
{
    struct model_layer *l = &m->layers[layer];
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        model_runs_destroy(&l->group[g]);
        rt_buffer_destroy(&l->bias[g]);
    }
    rt_buffer_destroy(&l->norm_attention);
    rt_buffer_destroy(&l->norm_ffn);
    rt_buffer_destroy(&l->norm_q);
    rt_buffer_destroy(&l->norm_k);
    *l = (struct model_layer){ 0 };
}

void rt_model_embedding_drop(struct rt_model *m)
{
    for (uint32_t i = 0; m->stream && i < MODEL_TABLE_PARTS_MAX; i++)
        weight_destroy(&m->embed.part[i]);
    if (m->stream)
        m->embed = (struct model_table){ 0 };
}

void rt_model_destroy(struct rt_model **pm)
{
    struct rt_model *m = *pm;
    if (!m)
        return;
    for (uint32_t l = 0; m->layers && l < m->config.layers; l++)
        rt_model_layer_drop(m, l);
    fmt_model_close(&m->stream);
    const bool is_tied = m->head.part[0].codes == m->embed.part[0].codes;
    for (uint32_t i = 0; i < MODEL_TABLE_PARTS_MAX; i++) {
        if (!is_tied)
            weight_destroy(&m->head.part[i]);
        weight_destroy(&m->embed.part[i]);
    }
    rt_buffer_destroy(&m->norm_final);
    rt_buffer_destroy(&m->rope_table);
    rt_buffer_destroy(&m->none);
    rt_free(m->layers);
    rt_free(m);
    *pm = NULL;
}
