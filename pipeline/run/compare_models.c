/* pipeline/run/compare_models.c
 * Loads variants one after the other beside the full model and measures each. */
#include "pipeline/run/compare_models.h"

#include "pipeline/run/made.h"
#include "pipeline/run/problem_source.h"
#include "runtime/format/checkpoint.h"
#include "runtime/quant/quant_files.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct comparing {
    struct pipe_session *session; /* borrowed */
    const struct pipe_compare_options *o;
    const struct pipe_compare_calls *calls;
    struct rt_model *full;
    struct pipe_calibration text;
    struct pipe_kl_base base;
    double parameters; /* of the full model's files */
};

rt_status pipe_compare_context(struct rt_ctx *ctx, const char *model, uint32_t *out)
{
    struct fmt_model *file = NULL;
    const rt_status st = fmt_model_open(ctx, model, &file);
    *out = st == RT_OK ? fmt_model_config(file)->max_positions : 0;
    fmt_model_close(&file);
    return st;
}

/* Bytes of all tensors of a file, and how many elements they stand for where none is
 * packed. */
static rt_status sum_file(struct pipe_session *session, const char *path, double *bytes,
                          double *elements)
{
    struct fmt_model *file = NULL;
    struct fmt_tensor_info t;
    *bytes = *elements = 0;
    const rt_status st = fmt_model_open(session->ctx, path, &file);
    for (uint32_t i = 0; st == RT_OK && fmt_tensor_at(file, i, &t); i++) {
        double size = 1;
        for (uint32_t d = 0; d < t.dims; d++)
            size *= (double)t.shape[d];
        *bytes += (double)t.stored_size;
        *elements += size;
    }
    fmt_model_close(&file);
    return st;
}

const char *pipe_compare_plan(const char *variant)
{
    static const char prefix[] = "plan:";
    const size_t length = sizeof prefix - 1;
    return strncmp(variant, prefix, length) == 0 ? variant + length : NULL;
}

static rt_status check_plan(const struct comparing *c, const char *path)
{
    rt_status st;
    struct quant_plan plan;
    TRY(quant_plan_read(c->session->ctx, path, &plan));
    TRY(quant_plan_check(c->session->ctx, &plan, rt_model_config(c->full)->layers));
    TRY(pipe_quantize_check(c->session->ctx, c->o->full, c->o->scratch, &c->o->make));

fail:
    quant_plan_deinit(&plan);
    return st;
}

static rt_status check_folder(const struct comparing *c, const char *path)
{
    struct fmt_model *file = NULL;
    const rt_status st = fmt_model_open(c->session->ctx, path, &file);
    const uint32_t vocab = st == RT_OK ? fmt_model_config(file)->vocab : 0,
                   expected = rt_model_config(c->full)->vocab;
    fmt_model_close(&file);
    if (st == RT_OK && vocab != expected)
        return rt_fail(c->session->ctx, RT_ERR_INPUT,
                       "'%s' has a vocabulary of %u tokens, '%s' of %u; only variants "
                       "of one model can be compared",
                       path, vocab, c->o->full, expected);
    return st;
}

/* Before the first hour of work: each can be read, and has the full model's tokens. */
static rt_status check_variants(const struct comparing *c)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < c->o->count && st == RT_OK; i++) {
        const char *plan = pipe_compare_plan(c->o->variants[i]);
        st = plan ? check_plan(c, plan) : check_folder(c, c->o->variants[i]);
    }
    return st;
}

static rt_status describe(struct comparing *c, const char *path,
                          const struct rt_model *model, struct pipe_compared *out)
{
    double bytes, elements;
    const rt_status st = sum_file(c->session, path, &bytes, &elements);
    if (st != RT_OK)
        return st;
    if (c->parameters <= 0)
        c->parameters = elements;
    *out = (struct pipe_compared){ .path = path,
                                   .bits = rt_model_bits_per_weight(model),
                                   .bits_all = 8 * bytes / c->parameters,
                                   .text = &c->text };
    snprintf(out->stored, sizeof out->stored, "%.63s", rt_model_stored(model));
    return RT_OK;
}

static rt_status save(struct comparing *c, const struct pipe_variant *v,
                      const struct pipe_kl *kl)
{
    const bool cut = !c->text.problems;
    const struct pipe_kl_text text = { .name = pipe_list_name(c->o->text.from),
                                       .id = c->text.id,
                                       .context = cut ? c->o->text.length : 0,
                                       .stride = cut ? c->o->text.stride : 0,
                                       .base = rt_model_hash(c->full) };
    return pipe_kl_save(c->session, v, &text, kl);
}

/* `name`: what the variant is called. */
static rt_status compare_one(struct comparing *c, const char *path, const char *name)
{
    rt_status st;
    char what[80];
    const char *last = strrchr(name, '/');
    struct pipe_variant v = { 0 };
    struct pipe_compared row;
    struct pipe_kl *kl = rt_alloc(c->session->ctx, 1, sizeof *kl);
    if (!kl)
        return rt_fail(c->session->ctx, RT_ERR_HOST_MEMORY,
                       "comparing models: no memory");
    snprintf(what, sizeof what, "compare %.60s", last && last[1] ? last + 1 : name);
    TRY(pipe_variant_load(c->session, path, NULL, "quant", "quant", &v));
    TRY(describe(c, path, v.model, &row));
    row.path = name;
    TRY(store_find_made(c->session->store, v.weights_id, &row.made));
    TRY(pipe_kl_measure(&c->base, v.model, NULL, what, NULL, kl));
    TRY(save(c, &v, kl));
    row.kl = kl;
    TRY(c->calls->row(c->calls->user, &row));

fail:
    pipe_variant_close(&v);
    rt_free(kl);
    return st;
}

/* Makes the folder of a plan, measures it, and removes it. */
static rt_status compare_plan(struct comparing *c, const char *name)
{
    rt_status st;
    struct quant_plan plan;
    struct pipe_quantize_options o = c->o->make;
    struct pipe_quantized result = { 0 };
    const uint64_t started = rt_time_ns();
    TRY(quant_plan_read(c->session->ctx, pipe_compare_plan(name), &plan));
    o.plan = &plan;
    o.once = true; /* the folder has the name of this process */
    TRY(pipe_quantize(c->session->ctx, c->o->full, c->o->scratch, &o, &result));
    const struct pipe_made made = { .full_hash = rt_model_hash(c->full),
                                    .out = c->o->scratch,
                                    .seconds = (double)(rt_time_ns() - started) / 1e9,
                                    .options = &o,
                                    .quantized = &result };
    st = pipe_made_save(c->session, &made);
    if (st == RT_OK)
        st = compare_one(c, c->o->scratch, name);
    quant_files_remove(c->o->scratch);
    const rt_status forgotten = store_forget_path(c->session->store, c->o->scratch);
    st = st == RT_OK ? forgotten : st;

fail:
    pipe_quantized_deinit(&result);
    quant_plan_deinit(&plan);
    return st;
}

rt_status pipe_compare_models(struct pipe_session *session,
                              const struct pipe_compare_options *o,
                              const struct pipe_compare_calls *calls)
{
    rt_status st;
    const struct pipe_kl none = { 0 };
    struct comparing c = { .session = session, .o = o, .calls = calls };
    struct pipe_compared row;
    TRY(pipe_model_load(session, o->full, &c.full));
    TRY(pipe_calibration_read(session, &o->text, c.full, &c.text));
    TRY(check_variants(&c));
    c.base = (struct pipe_kl_base){ session, c.full, &c.text.sequences, { 0 } };
    TRY(describe(&c, o->full, c.full, &row));
    row.kl = &none;
    TRY(calls->row(calls->user, &row));
    for (uint32_t i = 0; i < o->count; i++)
        TRY(pipe_compare_plan(o->variants[i])
                ? compare_plan(&c, o->variants[i])
                : compare_one(&c, o->variants[i], o->variants[i]));

fail:
    pipe_kl_base_deinit(&c.base);
    pipe_calibration_deinit(&c.text);
    rt_model_destroy(&c.full);
    return st;
}
