/* pipeline/run/model_info.c
 * Headers are read once; what fits on a device then follows from sizes and plans. */
#include "pipeline/run/model_info.h"

#include "runtime/engine/engine.h"
#include "runtime/format/checkpoint.h"
#include "runtime/base/file.h"
#include "runtime/format/gguf.h"
#include "runtime/format/packed.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static_assert(PIPE_MODEL_KINDS == FMT_MODULE_COUNT + 2, "a layer, embedding, head");
static_assert((int)PIPE_MODEL_EOS_MAX == (int)FMT_EOS_MAX, "all of the config's");

struct pipe_model_sizes {
    struct model_size packed, wide;
};

struct reading {
    struct rt_ctx *ctx;
    const char *path;
    struct fmt_model *file;
    struct pipe_model_sizes *sizes; /* those of `info` */
    struct pipe_model_info *info;
};

static rt_status add_matrix(struct reading *r, struct pipe_model_kind *kind,
                            const char *name, uint32_t out, uint32_t in)
{
    rt_status st;
    struct rt_weight_shape shape;
    struct fmt_stored stored;
    TRY(fmt_weight_shape(r->file, name, out, in, &shape));
    TRY(fmt_weight_stored(r->file, name, &stored));
    kind->weights += (uint64_t)out * in;
    uint32_t i = 0;
    while (i < kind->form_count && strcmp(kind->forms[i].text, stored.text) != 0)
        i++;
    if (i == PIPE_MODEL_FORMS_MAX) {
        snprintf(kind->forms[PIPE_MODEL_FORMS_MAX - 1].text, sizeof stored.text,
                 "other forms");
        i--;
    } else if (i == kind->form_count) {
        memcpy(kind->forms[kind->form_count++].text, stored.text, sizeof stored.text);
    }
    kind->forms[i].count++;
    kind->forms[i].file += stored.bits / 8;
    kind->forms[i].packed += (double)rt_weight_bytes(&shape);
    return RT_OK;

fail:
    return st;
}

static rt_status gather_kinds(struct reading *r)
{
    rt_status st;
    const struct fmt_config *c = &r->sizes->packed.config;
    for (uint32_t i = 0; i < c->layers * FMT_MODULE_COUNT; i++) {
        const uint32_t module = i % FMT_MODULE_COUNT;
        uint32_t out, in;
        char name[128];
        snprintf(name, sizeof name, "model.layers.%u.%s", i / FMT_MODULE_COUNT,
                 fmt_module_path[module]);
        fmt_module_size(c, (enum fmt_module)module, &out, &in);
        r->info->kinds[module].name = strchr(fmt_module_path[module], '.') + 1;
        TRY(add_matrix(r, &r->info->kinds[module], name, out, in));
    }
    struct pipe_model_kind *table = &r->info->kinds[FMT_MODULE_COUNT];
    table[0].name = "embedding";
    table[1].name = "head";
    TRY(add_matrix(r, &table[0], "model.embed_tokens", c->vocab, c->hidden));
    if (fmt_has_head(r->file))
        TRY(add_matrix(r, &table[1], "lm_head", c->vocab, c->hidden));
    return RT_OK;

fail:
    return st;
}

/* general.license of a GGUF file. */
static void find_licence_key(struct reading *r)
{
    struct fmt_gguf file;
    char *text = NULL;
    if (fmt_gguf_open(r->ctx, r->path, &file) == RT_OK &&
        fmt_gguf_text(&file, "general.license", &text) == RT_OK && text)
        snprintf(r->info->licence, sizeof r->info->licence, "%.63s", text);
    rt_free(text);
    fmt_gguf_close(&file);
}

/* The line "license: NAME" between the two "---" that a model card begins with. */
static void find_licence(struct reading *r)
{
    if (fmt_gguf_is(r->path)) {
        find_licence_key(r);
        return;
    }
    char *path = fmt_path(r->ctx, r->path, "README.md");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[256];
    bool inside = false;
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (strcmp(line, "---") == 0) {
            if (inside)
                break;
            inside = true;
        } else if (!inside) {
            break;
        } else if (strncmp(line, "license:", 8) == 0) {
            snprintf(r->info->licence, sizeof r->info->licence, "%.63s",
                     line + 8 + strspn(line + 8, " \"'"));
            r->info->licence[strcspn(r->info->licence, "\"'")] = '\0';
        }
    }
    if (file)
        fclose(file);
    rt_free(path);
}

static struct pipe_model_bytes bytes_of(const struct model_size *size)
{
    return (struct pipe_model_bytes){ .projections = size->projections,
                                      .tables = size->tables,
                                      .rest = size->rest,
                                      .all =
                                          size->projections + size->tables + size->rest };
}

static void take_config(const struct fmt_config *c, struct pipe_model_info *out)
{
    out->family = c->family->model_type;
    out->layers = c->layers;
    out->hidden = c->hidden;
    out->ffn = c->ffn;
    out->heads = c->heads;
    out->kv_heads = c->kv_heads;
    out->head_dim = c->head_dim;
    out->vocab = c->vocab;
    out->max_positions = c->max_positions;
    out->rope = fmt_rope_name(c->rope.kind);
    out->rope_theta = c->rope.theta;
    out->eos_count = c->eos_count;
    memcpy(out->eos, c->eos, sizeof out->eos);
}

rt_status pipe_model_info_read(struct rt_ctx *ctx, const char *path,
                               struct pipe_model_info *out)
{
    rt_status st;
    struct reading r = { .ctx = ctx, .path = path, .info = out };
    *out = (struct pipe_model_info){ 0 };
    r.sizes = out->sizes = rt_alloc(ctx, 1, sizeof *out->sizes);
    if (!r.sizes)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to look at a model");
    TRY(fmt_model_open(ctx, path, &r.file));
    fmt_model_widen(r.file, true);
    TRY(rt_model_size(ctx, r.file, &r.sizes->wide));
    fmt_model_widen(r.file, false);
    TRY(rt_model_size(ctx, r.file, &r.sizes->packed));
    take_config(&r.sizes->packed.config, out);
    out->file_bytes = r.sizes->packed.file;
    out->packed = bytes_of(&r.sizes->packed);
    out->wide = bytes_of(&r.sizes->wide);
    TRY(gather_kinds(&r));
    find_licence(&r);

fail:
    fmt_model_close(&r.file);
    return st;
}

void pipe_model_info_deinit(struct pipe_model_info *info)
{
    rt_free(info->sizes);
    *info = (struct pipe_model_info){ 0 };
}

uint32_t pipe_model_contexts(const struct pipe_model_info *info,
                             uint32_t contexts[PIPE_MODEL_CONTEXTS_MAX])
{
    static const uint32_t usual[PIPE_MODEL_CONTEXTS_MAX] = { 256, 1024, 4096, 32768 };
    uint32_t n = 0;
    for (size_t i = 0; i < RT_COUNT(usual); i++)
        if (usual[i] <= info->max_positions)
            contexts[n++] = usual[i];
    if (n == 0)
        contexts[n++] = info->max_positions;
    return n;
}

/* ---- what fits ---- */

static struct pipe_model_fit fit_of(const struct model_size *size,
                                    const struct rt_plan *plan,
                                    const struct rt_device_info *device, uint32_t context)
{
    struct pipe_model_fit out = { .context = context };
    const uint64_t memory = rt_device_memory_bytes(device);
    const uint64_t model = model_size_bytes(size, context);
    if (context > rt_plan_keys_max(plan) || model > memory) /* the engine refuses it */
        return out;
    for (uint32_t slots = PIPE_MODEL_SLOTS_MAX; slots > 0; slots--) {
        const struct rt_engine_options o = { .slots = slots, .context = context };
        const struct rt_engine_pages fit =
            rt_engine_pages(size, plan, &o, memory - model);
        if (fit.requests == slots) {
            out.requests = fit.requests;
            out.pages = fit.pages;
            return out;
        }
    }
    return out;
}

static void fit_device(const struct pipe_model_info *info,
                       const struct pipe_model_fits_options *o,
                       const struct rt_device_info *device,
                       struct pipe_model_on_device *out)
{
    struct rt_plan plan;
    rt_device_plan_make(device, &o->plan, &plan);
    const bool wide = plan.wide_weights;
    const struct model_size *size = wide ? &info->sizes->wide : &info->sizes->packed;
    *out = (struct pipe_model_on_device){
        .kv = rt_kv_names[plan.kv],
        .serves_head = rt_device_serves_head(device, info->head_dim),
        .memory_bytes = rt_device_memory_bytes(device),
        .weight_bytes = wide ? info->wide.all : info->packed.all,
    };
    snprintf(out->name, sizeof out->name, "%s", device->name);
    for (uint32_t i = 0; out->serves_head && i < o->context_count; i++)
        out->fits[out->fit_count++] = fit_of(size, &plan, device, o->contexts[i]);
}

rt_status pipe_model_fits(struct rt_ctx *ctx, const struct pipe_model_info *info,
                          const struct pipe_model_fits_options *o,
                          struct pipe_model_on_device **out, uint32_t *count)
{
    struct rt_device_info *list = NULL;
    struct pipe_model_on_device *fits = NULL;
    uint32_t devices = 0;
    const char *note = NULL;
    *out = NULL;
    *count = 0;
    rt_status st = rt_devices_list(ctx, &list, &devices, &note);
    if (st != RT_OK)
        return st;
    fits = rt_alloc(ctx, devices, sizeof *fits);
    if (!fits)
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to look at devices");
    for (uint32_t i = 0; st == RT_OK && i < devices; i++)
        if (list[i].usable && (!o->device || strstr(list[i].name, o->device)))
            fit_device(info, o, &list[i], &fits[(*count)++]);
    rt_free(list);
    *out = fits;
    if (st == RT_OK && *count == 0)
        st = rt_fail(ctx, RT_ERR_NO_DEVICE,
                     "no usable device has '%s' in its name; see: faultline devices",
                     o->device ? o->device : "auto");
    return st;
}
