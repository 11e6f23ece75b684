/* runtime/quant/gguf_state.c
 * What a GGUF file that was begun has of calibrated layers, in FILE.state beside FILE.part:
 *
 *     job.json                what is made (a hash), and the process that does so
 *     layer-N.safetensors     of each matrix of a finished layer: NAME.squares, its
 *                             importance; NAME.fared, doubles as I64: tokens that were
 *                             seen, then struct quant_gguf_outcome
 *     hidden-N.safetensors    the inputs of layer N, the next one, if they are not among what
 *                             is shared (seen_inputs.h)
 * A layer's file is written after its data in FILE.part and the inputs of the next layer, so
 * that it stands for all three. */
#include "runtime/quant/gguf_making.h"

#include "runtime/base/version.h"
#include "runtime/format/safetensors.h"
#include "runtime/quant/job.h"
#include "runtime/quant/seen_inputs.h"

#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct quant_gguf_outcome) == 4 * sizeof(double),
               "NAME.fared holds the count and this");
enum { FARED = 5, TENSORS = 2 * QUANT_GROUP_MATRICES * MODEL_GROUP_COUNT };

/* ---- what is made ---- */

/* What bytes depend on, but for the keys, which are compared. */
static void make_key(const struct quant_gguf_making *m, char key[65])
{
    struct sha256 hash;
    char text[256];
    const struct quant_gguf_options *o = m->options;
    const struct quant_gguf_calibration *c = o->calibration;
    const int n = snprintf(
        text, sizeof text, "gguf 1 %s %s plain %d natural %d damping %a", rt_version,
        rt_model_hash(c->model), o->plain, c->natural_order, c->damping);
    sha256_init(&hash);
    sha256_add(&hash, text, (size_t)n);
    for (uint32_t i = 0; i < m->source.count; i++)
        sha256_add(&hash, &m->source.rows[i].type->id, sizeof(uint32_t));
    quant_job_hash_text(&hash, c->model, c->sequences, c->count);
    sha256_end_hex(&hash, key);
}

/* ---- layers that are there ---- */

static rt_status damaged(const struct quant_gguf_making *m, const char *path)
{
    return rt_fail(
        m->ctx, RT_ERR_INPUT,
        "'%s' or '%s' does not hold what it should of a finished layer; delete "
        "'%s' and start again",
        path, m->out.part, m->state);
}

/* Takes over a matrix of a layer. */
static rt_status take_matrix(struct quant_gguf_making *m,
                             const struct fmt_safetensors *file, const char *path,
                             const char *name)
{
    char of[QUANT_GGUF_NAME_MAX + 16];
    double fared[FARED];
    struct quant_gguf_outcome o;
    const uint32_t i = quant_source_find(&m->source, name);
    const struct quant_gguf_row *r = i < m->source.count ? &m->source.rows[i] : NULL;
    snprintf(of, sizeof of, "%s.squares", name);
    const struct fmt_tensor *squares = fmt_safetensors_find(file, of);
    snprintf(of, sizeof of, "%s.fared", name);
    const struct fmt_tensor *t = fmt_safetensors_find(file, of);
    if (!squares || squares->dtype != FMT_F32 || squares->count > UINT32_MAX ||
        (r && squares->count != r->columns) || !t || t->size != sizeof fared)
        return damaged(m, path);
    memcpy(fared, t->data, sizeof fared);
    memcpy(&o, fared + 1, sizeof o);
    struct quant_importance_row *row = quant_importance_row(
        m->ctx, m->options->calibration->seen, name, (uint32_t)squares->count);
    if (!row)
        return rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
    memcpy(row->values, squares->data, squares->size);
    row->count = fared[0];
    if (o.made == QUANT_GGUF_LEFT)
        return RT_OK;
    if (!r || !fmt_gguf_out_present(&m->out, i))
        return damaged(m, path);
    m->made[i] = true;
    m->done += r->rows * r->columns;
    return quant_gguf_tell(m, r, true, o.made == QUANT_GGUF_ROUNDED, &o.squares);
}

static rt_status take_layer(struct quant_gguf_making *m, uint32_t layer)
{
    rt_status st;
    char path[4300], name[QUANT_GGUF_NAME_MAX];
    struct fmt_safetensors file = { 0 };
    quant_job_path(m->state, "layer", layer, path);
    TRY(fmt_safetensors_open(m->ctx, path, &file));
    for (int g = 0; g < MODEL_GROUP_COUNT; g++)
        for (uint32_t i = 0; quant_importance_name(layer, (enum model_group)g, i, name);
             i++)
            TRY(take_matrix(m, &file, path, name));

fail:
    fmt_safetensors_close(&file);
    return st;
}

rt_status quant_gguf_state_drop(struct quant_gguf_making *m, const char *to)
{
    bool same;
    snprintf(m->state, sizeof m->state, "%.4100s.state", to);
    if (!fmt_exists(m->state))
        return RT_OK;
    const rt_status st = quant_job_read(m->ctx, m->state, "", &same);
    if (st == RT_OK)
        quant_job_remove(m->state);
    return st;
}

rt_status quant_gguf_state_open(struct quant_gguf_making *m, const char *to)
{
    rt_status st;
    char key[65];
    bool same;
    snprintf(m->state, sizeof m->state, "%.4100s.state", to);
    make_key(m, key);
    TRY(fmt_make_folder(m->ctx, m->state));
    TRY(quant_job_read(m->ctx, m->state, key, &same));
    m->is_ours = true;
    const uint32_t all = rt_model_config(m->options->calibration->model)->layers;
    const bool needs_hidden = !quant_seen_is_kept(m->options->calibration->shared);
    const uint32_t layers = same ? quant_job_layers(m->state, all, needs_hidden) : 0;
    m->out.is_kept = layers > 0;
    same = false;
    if (layers > 0)
        TRY(fmt_gguf_out_reopen(&m->out, to, &same));
    if (!same)
        quant_job_clear(m->state);
    m->out.is_kept = same;
    TRY(quant_job_write(m->ctx, m->state, key));
    if (!same) {
        TRY(fmt_gguf_out_begin(&m->out, to));
        return RT_OK;
    }
    for (uint32_t l = 0; l < layers; l++)
        TRY(take_layer(m, l));
    m->layers = layers;
    rt_log(m->ctx, RT_LOG_WARNING, "'%s': %u of %u layers are there and are kept",
           m->out.part, layers, all);

fail:
    return st;
}

/* ---- a finished layer ---- */

/* Importance and outcome of the matrices of the layer: the last ones that were seen. */
static rt_status write_layer(struct quant_gguf_making *m)
{
    char path[4300], names[TENSORS][QUANT_GGUF_NAME_MAX + 16];
    double fared[TENSORS / 2][FARED];
    struct fmt_tensor_out tensors[TENSORS];
    const struct quant_importance *seen = m->options->calibration->seen;
    for (uint32_t i = 0; i < m->outcomes; i++) {
        const struct quant_importance_row *row =
            &seen->rows[seen->count - m->outcomes + i];
        snprintf(names[2 * i], sizeof *names, "%s.squares", row->name);
        snprintf(names[2 * i + 1], sizeof *names, "%s.fared", row->name);
        fared[i][0] = row->count;
        memcpy(fared[i] + 1, &m->outcome[i], sizeof m->outcome[i]);
        tensors[2 * i] = (struct fmt_tensor_out){
            names[2 * i], FMT_F32, 1, { row->columns }, row->values
        };
        tensors[2 * i + 1] =
            (struct fmt_tensor_out){ names[2 * i + 1], FMT_I64, 1, { FARED }, fared[i] };
    }
    quant_job_path(m->state, "layer", m->layers, path);
    return fmt_safetensors_write(m->ctx, path, tensors, 2 * m->outcomes, NULL);
}

rt_status quant_gguf_state_layer(struct quant_gguf_making *m, const float *hidden,
                                 uint64_t floats)
{
    rt_status st;
    char path[4300];
    TRY(fmt_gguf_out_sync(&m->out));
    if (hidden)
        TRY(quant_job_put_hidden(m->ctx, m->state, m->layers + 1, hidden, floats));
    TRY(write_layer(m));
    quant_job_path(m->state, "hidden", m->layers, path);
    remove(path);
    m->layers++;
    m->outcomes = 0;
    m->out.is_kept = true;

fail:
    return st;
}
