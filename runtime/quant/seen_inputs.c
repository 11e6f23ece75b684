/* runtime/quant/seen_inputs.c
 * Keeps what observe_layers hands over as files, and hands it over again. */
#include "runtime/quant/seen_inputs.h"

#include "runtime/base/file.h"
#include "runtime/base/os.h"
#include "runtime/base/version.h"
#include "runtime/format/safetensors.h"
#include "runtime/model/model_layout.h"
#include "runtime/observe/panels.h"
#include "runtime/quant/job.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { OTHERS = 5 /* tensors of a group beside its panels */ };

struct quant_seen {
    struct quant_seen_source source;
    struct rt_ctx *ctx;
    struct model_group_shape shape[MODEL_GROUP_COUNT];
    char folder[4200];
    bool is_kept;
    uint32_t layers, all;       /* seen and kept; of the model */
    struct observe_times times; /* of passes since it was opened */
};

/* Of a group, as the file has it: whole numbers, and the sum of weights. */
struct about {
    double rows, weight, height, panels, sampled;
};

static void group_path(const struct quant_seen *s, uint32_t layer, enum model_group g,
                       char path[4300])
{
    quant_job_path(s->folder, "group", layer * MODEL_GROUP_COUNT + (uint32_t)g, path);
}

/* ---- opening ---- */

#define KEY_KIND "seen-" /* how keys of such folders begin, and of no other job */
enum { KEY_SIZE = 65 + sizeof KEY_KIND };

/* A folder may stay for long, so the driver counts too. */
static void make_key(const struct quant_seen_source *of, char key[KEY_SIZE])
{
    char text[240], hex[65];
    struct sha256 hash;
    const struct rt_facts *facts = &rt_device_info_of(rt_model_device(of->model))->facts;
    snprintf(text, sizeof text, "seen 2 %s %s what %u driver %u %08x", rt_version,
             rt_model_hash(of->model), of->what, facts->driver_id, facts->driver_version);
    sha256_init(&hash);
    sha256_add_text(&hash, text);
    quant_job_hash_text(&hash, of->model, of->sequences, of->count);
    sha256_end_hex(&hash, hex);
    snprintf(key, KEY_SIZE, KEY_KIND "%s", hex);
}

/* Layers of which all groups are there, up to one whose inputs are: those of the next layer
 * are written after all groups of one. */
static uint32_t count_layers(const struct quant_seen *s)
{
    char path[4300];
    uint32_t n = 0;
    for (bool whole = true; whole && n < s->all; n += whole)
        for (int g = 0; g < MODEL_GROUP_COUNT && whole; g++) {
            group_path(s, n, (enum model_group)g, path);
            whole = fmt_exists(path);
        }
    for (; n > 0 && n < s->all; n--) {
        quant_job_path(s->folder, "hidden", n, path);
        if (fmt_exists(path))
            break;
    }
    return n;
}

uint64_t quant_seen_bytes(const struct fmt_config *config, uint64_t rows, uint32_t what)
{
    uint64_t bytes = 0;
    struct model_group_shape shape[MODEL_GROUP_COUNT];
    model_group_shapes(config, shape);
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        const uint32_t in = shape[g].in;
        if (what & OBSERVE_MOMENTS)
            bytes += 4 * observe_moment_floats(in, observe_panel_height(in, UINT64_MAX));
        bytes += (what & OBSERVE_MAXIMA ? 4ull * in : 0) +
                 (what & OBSERVE_MEANS ? 8ull * in : 0) +
                 (what & OBSERVE_SQUARES ? 8ull * in : 0) +
                 (what & OBSERVE_SAMPLE ? 4ull * OBSERVE_SAMPLED * in : 0);
    }
    return bytes * config->layers + 2 * 4 * rows * config->hidden;
}

/* Whether the disk has room for it and for what is made of it. */
static bool has_room(const struct quant_seen *s)
{
    uint64_t rows = 0, bytes;
    for (uint32_t i = 0; i < s->source.count; i++)
        rows += s->source.sequences[i].n;
    const uint64_t needed =
        2 * quant_seen_bytes(rt_model_config(s->source.model), rows, s->source.what);
    if (!os_disk_available(s->folder, &bytes) || bytes >= needed)
        return true;
    rt_log(s->ctx, RT_LOG_WARNING,
           "'%s': the disk has %.1f GB free, not %.1f: what is seen on the calibration "
           "text is not kept, and each folder or file has a pass of its own",
           s->folder, (double)bytes / 1e9, (double)needed / 1e9);
    return false;
}

/* A folder that somebody names must not lose what is not of this kind: it has no other files,
 * and a job of this kind. That is written first and removed last, so an empty one lacks it. */
static rt_status check_folder(const struct quant_seen *s)
{
    bool ours = true, is_empty = true;
    const char *name;
    struct os_folder *folder = os_folder_open(s->folder);
    const bool is_folder = folder != NULL;
    while (folder && (name = os_folder_next(folder))) {
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
            os_pattern_fits("job.json.*", name)) /* that a kill cut short */
            continue;
        is_empty = false;
        ours = ours && (strcmp(name, "job.json") == 0 ||
                        os_pattern_fits("group-*.safetensors*", name) ||
                        os_pattern_fits("hidden-*.safetensors*", name));
    }
    os_folder_close(folder);
    ours = ours && (is_empty || quant_job_is_of(s->ctx, s->folder, KEY_KIND));
    if (is_folder ? !ours : fmt_exists(s->folder))
        return rt_fail(s->ctx, RT_ERR_USAGE,
                       "'%s' is there and is no folder of what a calibration pass saw; "
                       "name another folder, or remove this one",
                       s->folder);
    return RT_OK;
}

static rt_status begin(struct quant_seen *s)
{
    rt_status st;
    bool same;
    char key[KEY_SIZE];
    make_key(&s->source, key);
    TRY(check_folder(s));
    const bool made = !fmt_exists(s->folder);
    TRY(fmt_make_folder(s->ctx, s->folder));
    st = quant_job_read(s->ctx, s->folder, key, &same);
    if (st == RT_OK && !same) {
        if (count_layers(s) > 0)
            rt_log(s->ctx, RT_LOG_WARNING,
                   "'%s' holds what was seen of another text, model, device or "
                   "version: it is made anew",
                   s->folder);
        quant_job_clear(s->folder);
    }
    if (st == RT_OK)
        st = quant_job_write(s->ctx, s->folder, key);
    if (st != RT_OK && made)
        quant_job_remove(s->folder);
    TRY(st);
    s->layers = count_layers(s);
    s->is_kept = s->layers > 0 || has_room(s);

fail:
    return st;
}

rt_status quant_seen_open(const struct quant_seen_source *source, const char *folder,
                          struct quant_seen **out)
{
    struct rt_ctx *ctx = rt_device_ctx(rt_model_device(source->model));
    struct quant_seen *s = rt_alloc(ctx, 1, sizeof *s);
    *out = NULL;
    if (!s)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
    s->source = *source;
    s->ctx = ctx;
    s->all = rt_model_config(source->model)->layers;
    model_group_shapes(rt_model_config(source->model), s->shape);
    snprintf(s->folder, sizeof s->folder, "%.4190s", folder);
    const rt_status st = begin(s);
    if (st == RT_OK)
        *out = s;
    else
        rt_free(s);
    return st;
}

void quant_seen_close(struct quant_seen **shared)
{
    rt_free(*shared);
    *shared = NULL;
}

void quant_seen_remove(const char *folder)
{
    if (fmt_exists(folder))
        quant_job_remove(folder);
}

void quant_seen_clear(struct quant_seen *s)
{
    quant_job_clear(s->folder);
    s->is_kept = false;
    s->layers = 0;
}

bool quant_seen_is_kept(const struct quant_seen *s)
{
    return s && s->is_kept;
}

/* ---- a group to its file ---- */

static struct fmt_tensor_out floats_of(const char *name, const float *data,
                                       uint64_t count)
{
    return (struct fmt_tensor_out){ name, FMT_F32, 1, { count }, data };
}

static struct fmt_tensor_out doubles_of(const char *name, const double *data,
                                        uint64_t count)
{
    return (struct fmt_tensor_out){ name, FMT_F64, 1, { count }, data };
}

static rt_status put_group(struct quant_seen *s, const struct observe_group *seen)
{
    uint32_t n = 0;
    char path[4300], names[OBSERVE_PANELS_MAX][16];
    struct fmt_tensor_out tensors[OBSERVE_PANELS_MAX + OTHERS];
    const struct observe_moment *m = seen->moment;
    const struct about about = { .rows = (double)seen->rows,
                                 .weight = seen->weight,
                                 .height = m ? m->height : 0,
                                 .panels = m ? m->panels : 0,
                                 .sampled = seen->sampled };
    tensors[n++] = doubles_of("about", &about.rows, sizeof about / sizeof(double));
    for (uint32_t p = 0; m && p < m->panels; p++) {
        snprintf(names[p], sizeof *names, "panel-%u", p);
        tensors[n++] = floats_of(names[p], m->panel[p],
                                 observe_panel_floats(seen->in, m->height, p));
    }
    if (seen->maxima)
        tensors[n++] = floats_of("maxima", seen->maxima, seen->in);
    if (seen->means)
        tensors[n++] = doubles_of("means", seen->means, seen->in);
    if (seen->squares)
        tensors[n++] = doubles_of("squares", seen->squares, seen->in);
    if (seen->sample)
        tensors[n++] =
            floats_of("sample", seen->sample, (uint64_t)seen->sampled * seen->in);
    group_path(s, seen->layer, seen->group, path);
    return fmt_safetensors_write(s->ctx, path, tensors, n, NULL);
}

/* A disk that is full ends the keeping, not the work. */
static rt_status check_kept(struct quant_seen *s, rt_status st)
{
    if (st != RT_ERR_IO)
        return st;
    rt_log(s->ctx, RT_LOG_WARNING,
           "%s; what is seen on the calibration text is kept no more, and each "
           "folder or file has a pass of its own",
           s->ctx->message);
    quant_seen_clear(s);
    return RT_OK;
}

/* ---- and back ---- */

struct opened {
    const struct quant_seen *s;
    struct fmt_safetensors file;
    char path[4300];
};

static rt_status damaged(const struct opened *o)
{
    return rt_fail(o->s->ctx, RT_ERR_INPUT,
                   "'%s' does not hold what was seen of a group; delete '%s' and start "
                   "again",
                   o->path, o->s->folder);
}

/* The data of a tensor of so many elements; NULL in *data if it is not asked for. */
static rt_status find(const struct opened *o, const char *name, enum fmt_dtype dtype,
                      uint64_t count, bool asked, const void **data)
{
    *data = NULL;
    if (!asked)
        return RT_OK;
    const struct fmt_tensor *t = fmt_safetensors_find(&o->file, name);
    if (!t || t->dtype != dtype || t->count != count ||
        (uintptr_t)t->data % fmt_dtype_bytes(dtype) != 0)
        return damaged(o);
    *data = t->data;
    return RT_OK;
}

static rt_status read_moment(const struct opened *o, const struct about *about,
                             struct observe_moment *m)
{
    rt_status st = RT_OK;
    m->rows = (uint64_t)about->rows;
    m->weight = about->weight;
    m->height = (uint32_t)about->height;
    m->panels = (uint32_t)about->panels;
    if (m->height == 0 || m->panels != (m->in + m->height - 1) / m->height)
        return damaged(o);
    for (uint32_t p = 0; p < m->panels; p++) {
        char name[16];
        const void *data;
        snprintf(name, sizeof name, "panel-%u", p);
        TRY(find(o, name, FMT_F32, observe_panel_floats(m->in, m->height, p), true,
                 &data));
        m->panel[p] = data;
    }

fail:
    return st;
}

/* Numbers of the file that are no counts. */
static bool is_good(const struct about *a)
{
    return a->rows >= 1 && a->rows < 1e15 && a->weight > 0 && a->height >= 0 &&
           a->height <= UINT32_MAX && a->panels >= 0 && a->panels <= OBSERVE_PANELS_MAX &&
           a->sampled >= 0 && a->sampled <= OBSERVE_SAMPLED;
}

static rt_status read_group(const struct opened *o, struct observe_group *seen,
                            struct observe_moment *moment)
{
    rt_status st;
    const void *data;
    struct about about;
    const uint32_t what = o->s->source.what, in = seen->in;
    TRY(find(o, "about", FMT_F64, sizeof about / sizeof(double), true, &data));
    memcpy(&about, data, sizeof about);
    if (!is_good(&about))
        return damaged(o);
    seen->rows = (uint64_t)about.rows;
    seen->weight = about.weight;
    seen->sampled = (uint32_t)about.sampled;
    moment->in = in;
    if (what & OBSERVE_MOMENTS)
        TRY(read_moment(o, &about, moment));
    seen->moment = what & OBSERVE_MOMENTS ? moment : NULL;
    TRY(find(o, "maxima", FMT_F32, in, what & OBSERVE_MAXIMA, &data));
    seen->maxima = data;
    TRY(find(o, "means", FMT_F64, in, what & OBSERVE_MEANS, &data));
    seen->means = data;
    TRY(find(o, "squares", FMT_F64, in, what & OBSERVE_SQUARES, &data));
    seen->squares = data;
    TRY(find(o, "sample", FMT_F32, (uint64_t)seen->sampled * in, what & OBSERVE_SAMPLE,
             &data));
    seen->sample = data;

fail:
    return st;
}

static rt_status hand_over(struct quant_seen *s, const struct observe_task *task,
                           uint32_t layer, enum model_group g, uint64_t *group_ns)
{
    rt_status st;
    struct opened o = { .s = s };
    struct observe_moment moment = { 0 };
    struct observe_group seen = { .layer = layer, .group = g, .in = s->shape[g].in };
    group_path(s, layer, g, o.path);
    TRY(fmt_safetensors_open(s->ctx, o.path, &o.file));
    TRY(read_group(&o, &seen, &moment));
    const uint64_t started = rt_time_ns();
    TRY(task->group(task->user, &seen));
    *group_ns += rt_time_ns() - started;

fail:
    fmt_safetensors_close(&o.file);
    return st;
}

/* Layers that were seen. */
static rt_status hand_over_layers(struct quant_seen *s, const struct observe_task *task,
                                  uint64_t *group_ns)
{
    rt_status st = RT_OK;
    for (uint32_t l = task->first_layer; l < s->layers; l++) {
        if (task->pass && s->layers == s->all)
            TRY(task->pass(task->user, l + 1, s->all));
        for (int g = 0; g < MODEL_GROUP_COUNT; g++)
            TRY(hand_over(s, task, l, (enum model_group)g, group_ns));
        if (task->layer)
            TRY(task->layer(task->user, l, NULL, 0));
    }

fail:
    return st;
}

/* ---- the rest of the pass ---- */

struct passing {
    struct quant_seen *s;
    const struct observe_task *task;
    uint64_t kept_ns; /* spent on files */
};

static rt_status after_group(void *user, const struct observe_group *seen)
{
    rt_status st;
    struct passing *p = user;
    const uint64_t started = rt_time_ns();
    if (p->s->is_kept)
        TRY(check_kept(p->s, put_group(p->s, seen)));
    p->kept_ns += rt_time_ns() - started;
    return seen->layer >= p->task->first_layer ? p->task->group(p->task->user, seen)
                                               : RT_OK;

fail:
    return st;
}

static rt_status put_layer(struct quant_seen *s, uint32_t layer, const float *hidden,
                           uint64_t floats)
{
    rt_status st = RT_OK;
    char path[4300];
    if (hidden)
        TRY(quant_job_put_hidden(s->ctx, s->folder, layer + 1, hidden, floats));
    s->layers = layer + 1;
    quant_job_path(s->folder, "hidden", layer, path);
    remove(path);

fail:
    return st;
}

static rt_status after_layer(void *user, uint32_t layer, const float *hidden,
                             uint64_t floats)
{
    rt_status st;
    struct passing *p = user;
    const struct observe_task *task = p->task;
    if (p->s->is_kept)
        TRY(check_kept(p->s, put_layer(p->s, layer, hidden, floats)));
    if (task->layer && layer >= task->first_layer)
        return task->layer(task->user, layer, p->s->is_kept ? NULL : hidden, floats);
    return RT_OK;

fail:
    return st;
}

static rt_status after_pass(void *user, uint64_t done, uint64_t total)
{
    const struct passing *p = user;
    return p->task->pass(p->task->user, done, total);
}

static rt_status get_hidden(void *user, uint32_t layer, float *hidden, uint64_t floats)
{
    const struct passing *p = user;
    return quant_job_get_hidden(p->s->ctx, p->s->folder, layer, hidden, floats);
}

static rt_status pass_on(struct quant_seen *s, const struct observe_task *task,
                         uint64_t *group_ns)
{
    struct passing p = { .s = s, .task = task };
    struct observe_times times = { 0 };
    struct observe_task own = *task;
    own.what = s->source.what;
    own.first_layer = s->layers;
    own.group = after_group;
    own.layer = after_layer;
    own.pass = task->pass ? after_pass : NULL;
    own.hidden = get_hidden;
    own.user = &p;
    own.times = &times;
    const rt_status st = observe_layers(&own);
    s->times.forward_ns += times.forward_ns;
    s->times.sums_ns += times.sums_ns + p.kept_ns;
    *group_ns += times.group_ns > p.kept_ns ? times.group_ns - p.kept_ns : 0;
    return st;
}

rt_status quant_seen_observe(struct quant_seen *s, const struct observe_task *task)
{
    rt_status st;
    uint64_t group_ns = 0;
    if (!quant_seen_is_kept(s))
        return observe_layers(task);
    assert(task->model == s->source.model && task->count == s->source.count);
    assert(!task->replace && !task->adapter && !(task->what & ~s->source.what));
    TRY(hand_over_layers(s, task, &group_ns));
    if (s->layers < s->all)
        TRY(pass_on(s, task, &group_ns));

fail:
    if (task->times)
        *task->times = (struct observe_times){ .forward_ns = s->times.forward_ns,
                                               .sums_ns = s->times.sums_ns,
                                               .group_ns = group_ns };
    return st;
}
