/* runtime/observe/moments.c
 * All tokens through one layer after the other. A tap on the layer's recording adds the
 * ops that sum its inputs, between the op that makes an input and the one that reuses its
 * memory. */
#include "runtime/observe/moments.h"

#include "runtime/base/blas.h"
#include "runtime/model/model_impl.h"
#include "runtime/observe/batch.h"
#include "runtime/observe/panels.h"
#include "runtime/observe/row_weights.h"

#include <assert.h>
#include <cblas.h>
#include <math.h>
#include <string.h>

/* Some sequences that go through a layer together. */
struct part {
    uint32_t first, count; /* sequences */
    uint64_t row0;         /* of their rows among all rows */
    uint32_t rows;
    double before; /* weights of all rows before row0 */
};

/* What is summed of one group, on the device. */
struct sums {
    uint32_t height, panels;
    struct rt_buffer *panel[OBSERVE_PANELS_MAX]; /* DEVICE, as struct observe_moment */
    float *on_host;           /* the panels where the host sums; NULL: the device does */
    struct rt_buffer *inputs; /* READBACK copy of the group's inputs, for the host */
    uint32_t ld;              /* of that copy */
    float *maxima;            /* [in], NULL: not asked for */
    double *means;            /* [in], sums until they are handed over; the same */
    double *squares;          /* [in], likewise */
    float *sample;            /* [OBSERVE_SAMPLED][in]; the same */
};

struct observer {
    const struct observe_task *task;
    struct rt_ctx *ctx;
    struct rt_device *dev;
    struct part *parts;
    uint32_t part_count, pass_rows;
    uint64_t rows; /* of all parts */
    struct batch batch;
    struct observe_weights weights;
    struct model_pass pass;
    struct rt_buffer *x; /* hidden states of the part under way */
    float *hidden;       /* [rows][ld_hidden]: inputs of the next layer */
    float *host;         /* panels of the group that is handed over, of the device's */
    bool host_sums;      /* the device is the host's processor: BLAS is faster there */
    struct sums sums[MODEL_GROUP_COUNT];
    bool begun; /* the layer's sums hold an earlier part */
    bool again; /* the layer runs once more, as it was replaced: nothing is summed */
    struct observe_times times;
};

static rt_status no_memory(struct rt_ctx *ctx, const char *what, double bytes)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY,
                   "observing layers: no host memory for %.1f MiB of %s; use fewer or "
                   "shorter sequences",
                   bytes / 1048576, what);
}

/* ---- preparing ---- */

/* Tokens of a pass: what was asked for, or less where a binding does not hold so many
 * rows; never less than the longest sequence, whose buffers say what does not fit. */
static uint32_t pass_rows_of(const struct observer *o)
{
    const struct observe_task *t = o->task;
    uint64_t widest = t->model->ld_hidden, longest = 1;
    for (int g = 0; g < MODEL_GROUP_COUNT; g++)
        if (t->model->shape[g].ld_out > widest)
            widest = t->model->shape[g].ld_out;
    const uint64_t fit = rt_device_plan(o->dev)->binding_bytes_max / (4 * widest) /
                         RT_ROW_PAD * RT_ROW_PAD;
    uint64_t rows = t->pass_rows ? t->pass_rows : OBSERVE_ROWS_DEFAULT;
    rows = rows < fit ? rows : fit;
    for (uint32_t s = 0; s < t->count; s++)
        longest = t->sequences[s].n > longest ? t->sequences[s].n : longest;
    return (uint32_t)(rows < longest ? longest : rows);
}

/* Sequences in order, as many in a part as a pass holds. */
static rt_status make_parts(struct observer *o)
{
    const struct observe_task *t = o->task;
    struct part *part = NULL;
    double before = 0;
    o->parts = rt_alloc(o->ctx, t->count, sizeof *o->parts);
    if (!o->parts)
        return no_memory(o->ctx, "bookkeeping", t->count * (double)sizeof *o->parts);
    for (uint32_t s = 0; s < t->count; s++) {
        const uint32_t n = t->sequences[s].n;
        if (n < 2)
            return rt_fail(o->ctx, RT_ERR_USAGE,
                           "observing layers: sequence %u has %u tokens, at least 2 are "
                           "needed",
                           s, n);
        if (!part || part->rows + n - 1 > o->pass_rows) {
            part = &o->parts[o->part_count++];
            *part = (struct part){ .first = s, .row0 = o->rows, .before = before };
        }
        observe_weights_fill(&o->weights, &t->sequences[s], 1, &before);
        part->count++;
        part->rows += n - 1;
        o->rows += n - 1;
    }
    return RT_OK;
}

static rt_status make_panels(struct observer *o, struct sums *sums, uint32_t in)
{
    rt_status st;
    const uint64_t binding =
        o->host_sums ? UINT64_MAX : rt_device_plan(o->dev)->binding_bytes_max;
    sums->height = observe_panel_height(in, binding);
    if (sums->height == 0 || (in + sums->height - 1) / sums->height > OBSERVE_PANELS_MAX)
        return rt_fail(o->ctx, RT_ERR_DEVICE_MEMORY,
                       "second moments of %u inputs need more than %d bindings of device "
                       "'%s'; use another device",
                       in, OBSERVE_PANELS_MAX, rt_device_info_of(o->dev)->name);
    sums->panels = (in + sums->height - 1) / sums->height;
    if (o->host_sums) {
        const uint64_t floats = observe_moment_floats(in, sums->height);
        sums->on_host = rt_alloc(o->ctx, floats, sizeof *sums->on_host);
        return sums->on_host ? RT_OK
                             : no_memory(o->ctx, "second moments", 4.0 * (double)floats);
    }
    for (uint32_t p = 0; p < sums->panels; p++)
        TRY(model_buffer(o->dev, "second moments",
                         4 * observe_panel_floats(in, sums->height, p), RT_MEMORY_DEVICE,
                         &sums->panel[p]));
    return RT_OK;

fail:
    return st;
}

/* What sums on the host need of a group, where they are asked for. */
static rt_status make_magnitudes(struct observer *o, enum model_group g)
{
    rt_status st;
    struct sums *sums = &o->sums[g];
    const uint32_t what = o->task->what, in = o->task->model->shape[g].in;
    if (!(what & (OBSERVE_MAXIMA | OBSERVE_MEANS | OBSERVE_SQUARES | OBSERVE_SAMPLE)) &&
        !sums->on_host)
        return RT_OK;
    sums->ld = g == MODEL_O ? o->pass.ld_att : o->task->model->shape[g].ld_in;
    TRY(model_buffer(o->dev, "inputs", 4ull * o->pass.rows * sums->ld, RT_MEMORY_READBACK,
                     &sums->inputs));
    if (what & OBSERVE_MAXIMA)
        sums->maxima = rt_alloc(o->ctx, in, sizeof *sums->maxima);
    if (what & OBSERVE_MEANS)
        sums->means = rt_alloc(o->ctx, in, sizeof *sums->means);
    if (what & OBSERVE_SQUARES)
        sums->squares = rt_alloc(o->ctx, in, sizeof *sums->squares);
    if (what & OBSERVE_SAMPLE)
        sums->sample = rt_alloc(o->ctx, OBSERVE_SAMPLED, in * sizeof *sums->sample);
    if ((what & OBSERVE_MAXIMA && !sums->maxima) ||
        (what & OBSERVE_MEANS && !sums->means) ||
        (what & OBSERVE_SQUARES && !sums->squares) ||
        (what & OBSERVE_SAMPLE && !sums->sample))
        return no_memory(o->ctx, "magnitudes", 20.0 * in);
    return RT_OK;

fail:
    return st;
}

static rt_status make_weights(struct observer *o)
{
    const struct observe_task *t = o->task;
    uint32_t columns = o->pass.ld_att;
    for (int g = 0; g < MODEL_GROUP_COUNT; g++)
        if (t->model->shape[g].ld_in > columns)
            columns = t->model->shape[g].ld_in;
    const bool device = t->what & OBSERVE_MOMENTS && !o->host_sums;
    return observe_weights_init(&o->weights, o->dev, t->sequences, t->count, o->pass.rows,
                                device ? columns : 0);
}

static rt_status make_sums(struct observer *o)
{
    rt_status st;
    const struct observe_task *t = o->task;
    uint64_t floats = 0;
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        struct sums *sums = &o->sums[g];
        const uint32_t in = t->model->shape[g].in;
        if (t->what & OBSERVE_MOMENTS) {
            TRY(make_panels(o, sums, in));
            const uint64_t own = observe_moment_floats(in, sums->height);
            floats = own > floats && !o->host_sums ? own : floats;
        }
        TRY(make_magnitudes(o, (enum model_group)g));
    }
    if (floats > 0)
        o->host = rt_alloc(o->ctx, floats, sizeof *o->host);
    return o->host || floats == 0
               ? RT_OK
               : no_memory(o->ctx, "second moments", 4.0 * (double)floats);

fail:
    return st;
}

static void tap_input(void *user, struct rt_list *list, enum model_group g, uint32_t rows,
                      struct rt_slice x, uint32_t ldx);

static rt_status prepare(struct observer *o)
{
    rt_status st;
    struct rt_model *model = o->task->model;
    TRY(make_parts(o));
    TRY(batch_init(&o->batch, o->dev, o->pass_rows, o->pass_rows));
    if (o->task->replace) /* by layers that may want it */
        model_expect_int8(o->task->model);
    TRY(model_pass_init(&o->pass, model, o->task->adapter, o->pass_rows, false));
    o->pass.tap = (struct model_tap){ .input = tap_input, .user = o };
    TRY(model_buffer(o->dev, "hidden states", 4ull * o->pass.rows * model->ld_hidden,
                     RT_MEMORY_DEVICE, &o->x));
    TRY(make_weights(o));
    TRY(make_sums(o));
    o->hidden = rt_alloc(o->ctx, o->rows, model->ld_hidden * sizeof *o->hidden);
    if (!o->hidden)
        return no_memory(o->ctx, "hidden states",
                         4.0 * (double)o->rows * model->ld_hidden);
    return RT_OK;

fail:
    return st;
}

static void deinit(struct observer *o)
{
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        for (uint32_t p = 0; p < o->sums[g].panels; p++)
            rt_buffer_destroy(&o->sums[g].panel[p]);
        rt_buffer_destroy(&o->sums[g].inputs);
        rt_free(o->sums[g].on_host);
        rt_free(o->sums[g].maxima);
        rt_free(o->sums[g].means);
        rt_free(o->sums[g].squares);
        rt_free(o->sums[g].sample);
    }
    observe_weights_deinit(&o->weights);
    rt_buffer_destroy(&o->x);
    model_pass_deinit(&o->pass);
    batch_deinit(&o->batch);
    rt_free(o->hidden);
    rt_free(o->host);
    rt_free(o->parts);
}

/* ---- running ---- */

/* One tile of a panel (+)= rows [row, row + rows) of x, by themselves. A tile is as wide as
 * a panel is high, so that what it reads of x stays in a cache. */
static void record_tile(struct observer *o, struct rt_list *list, enum model_group g,
                        uint32_t p, uint32_t column, uint32_t row, uint32_t rows,
                        struct rt_slice x, uint32_t ldx)
{
    const struct sums *sums = &o->sums[g];
    const uint32_t in = o->task->model->shape[g].in, at = p * sums->height;
    const uint32_t left = observe_padded(in) - column;
    const struct outer_push push = {
        .rows = rows,
        .na = observe_panel_rows(in, sums->height, p),
        .nb = left < sums->height ? left : sums->height,
        .ldp = ldx,
        .offp = row * ldx + at,
        .ldq = ldx,
        .offq = row * ldx + column,
        .ldd = observe_padded(in) - at,
        .scale = 1.0f,
        .accumulate = o->begun || row > 0,
    };
    const struct rt_slice slices[] = {
        x, x, model_slice_at(sums->panel[p], (column - at) * sizeof(float))
    };
    rt_list_op(list, RT_OP_outer, &push, slices);
}

/* `rows` counts padding rows too, which hold nothing of the sequences. */
static void tap_input(void *user, struct rt_list *list, enum model_group g, uint32_t rows,
                      struct rt_slice x, uint32_t ldx)
{
    struct observer *o = user;
    struct sums *sums = &o->sums[g];
    (void)rows;
    if (o->again)
        return;
    const struct rt_slice scaled = observe_weights_record(
        &o->weights, list, o->batch.rows, o->task->model->shape[g].in, x, ldx);
    for (uint32_t row = 0; !sums->on_host && row < o->batch.rows; row += OBSERVE_BLOCK) {
        const uint32_t left = o->batch.rows - row;
        const uint32_t n = left < OBSERVE_BLOCK ? left : OBSERVE_BLOCK;
        for (uint32_t p = 0; p < sums->panels; p++)
            for (uint32_t c = p * sums->height; c < o->task->model->shape[g].in;
                 c += sums->height)
                record_tile(o, list, g, p, c, row, n, scaled, ldx);
    }
    if (sums->inputs) {
        assert(ldx == sums->ld);
        x.size = 4ull * o->batch.rows_padded * ldx;
        rt_list_copy(list, x,
                     (struct rt_slice){ .buffer = sums->inputs, .size = x.size });
    }
}

/* The panels of a group += the inputs of a part, in blocks of rows as on the device. */
static void add_moments(struct observer *o, enum model_group g)
{
    const struct sums *sums = &o->sums[g];
    const uint32_t in = o->task->model->shape[g].in;
    float *x = rt_buffer_map(sums->inputs);
    observe_weights_scale(&o->weights, o->batch.rows, in, x, sums->ld);
    for (uint32_t row = 0; row < o->batch.rows; row += OBSERVE_BLOCK) {
        const uint32_t left = o->batch.rows - row;
        const uint32_t n = left < OBSERVE_BLOCK ? left : OBSERVE_BLOCK;
        float *to = sums->on_host;
        for (uint32_t at = 0; at < in; at += sums->height) {
            const uint32_t rows = in - at < sums->height ? in - at : sums->height;
            const float *from = x + (size_t)row * sums->ld + at;
            rt_blas_threads(2.0 * rows * (in - at) * n);
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)rows,
                        (int)(in - at), (int)n, 1, from, (int)sums->ld, from,
                        (int)sums->ld, o->begun || row > 0, to,
                        (int)(observe_padded(in) - at));
            to += observe_panel_floats(in, sums->height, at / sums->height);
        }
    }
}

static uint32_t sampled_of(const struct observer *o)
{
    return o->rows < OBSERVE_SAMPLED ? (uint32_t)o->rows : OBSERVE_SAMPLED;
}

/* Keeps the rows of a part that belong to the sample; `x` is the first. Of `count` equal
 * shares of the weight of all rows, row i is the one in which share i begins. */
static void add_sample(const struct observer *o, const struct part *part,
                       const struct sums *sums, const float *x, uint32_t in)
{
    uint32_t i = 0;
    double sum = part->before;
    const double count = sampled_of(o), total = o->weights.total;
    while (i < count && i * total / count < sum)
        i++;
    for (uint32_t r = 0; r < part->rows; r++) {
        sum += (double)observe_weight_of(&o->weights, r);
        for (; i < count && i * total / count < sum; i++)
            memcpy(sums->sample + (size_t)i * in, x + (size_t)r * sums->ld,
                   in * sizeof *x);
    }
}

static void add_magnitudes(struct observer *o, const struct part *part,
                           enum model_group g)
{
    const struct sums *sums = &o->sums[g];
    const uint32_t in = o->task->model->shape[g].in;
    const float *x = rt_buffer_map(sums->inputs);
    if (sums->sample)
        add_sample(o, part, sums, x, in);
    for (uint32_t r = 0; r < o->batch.rows; r++, x += sums->ld) {
        const double weight = (double)observe_weight_of(&o->weights, r);
        for (uint32_t i = 0; i < in && weight > 0; i++) {
            if (sums->maxima)
                sums->maxima[i] = fmaxf(sums->maxima[i], fabsf(x[i]));
            if (sums->means)
                sums->means[i] += weight * (double)fabsf(x[i]);
            if (sums->squares)
                sums->squares[i] += weight * ((double)x[i] * (double)x[i]);
        }
    }
}

/* Adds what passed since *from, which becomes now. */
static void count_time(uint64_t *sum, uint64_t *from)
{
    const uint64_t now = rt_time_ns();
    *sum += now - *from;
    *from = now;
}

static rt_status run_part(struct observer *o, uint32_t layer, const struct part *part)
{
    rt_status st;
    struct rt_list *list = NULL;
    const struct observe_task *t = o->task;
    const struct model_cache contiguous = { 0 };
    const uint64_t ld = t->model->ld_hidden;
    float *hidden = o->hidden + part->row0 * ld;
    uint64_t now = rt_time_ns();
    double weight = 0;
    TRY(batch_fill(&o->batch, o->ctx, t->sequences + part->first, part->count, &o->pass,
                   NULL));
    observe_weights_fill(&o->weights, t->sequences + part->first, part->count, &weight);
    TRY(rt_list_create(o->dev, "observe", &list));
    if (layer == 0)
        model_record_embed(&o->pass, list, o->batch.rows_padded, o->x);
    else
        TRY(rt_buffer_write(o->x, 0, hidden, 4 * ld * part->rows));
    model_record_layer(&o->pass, list, layer, o->batch.rows_padded, &contiguous, o->x,
                       o->x);
    TRY(rt_list_end(list));
    TRY(rt_submit(o->dev, list));
    TRY(rt_wait(o->dev));
    count_time(&o->times.forward_ns, &now);
    for (int g = 0; g < MODEL_GROUP_COUNT && !o->again; g++) {
        if (t->what & ~(uint32_t)OBSERVE_MOMENTS)
            add_magnitudes(o, part, (enum model_group)g);
        if (o->sums[g].on_host) /* last: it scales its copy of the inputs */
            add_moments(o, (enum model_group)g);
    }
    count_time(&o->times.sums_ns, &now);
    if (layer + 1 < t->model->config.layers && (o->again || !t->replace))
        TRY(rt_buffer_read(o->x, 0, hidden, 4 * ld * part->rows));
    o->begun = true;

fail:
    rt_list_destroy(&list);
    return st;
}

static rt_status hand_over(struct observer *o, uint32_t layer, enum model_group g)
{
    rt_status st;
    const struct observe_task *t = o->task;
    const struct sums *sums = &o->sums[g];
    struct observe_moment moment = { .in = t->model->shape[g].in,
                                     .rows = o->rows,
                                     .weight = o->weights.total,
                                     .height = sums->height,
                                     .panels = sums->panels };
    float *to = sums->on_host ? sums->on_host : o->host;
    for (uint32_t p = 0; p < sums->panels; p++) {
        const uint64_t floats = observe_panel_floats(moment.in, sums->height, p);
        if (!sums->on_host)
            TRY(rt_buffer_read(sums->panel[p], 0, to, 4 * floats));
        moment.panel[p] = to;
        to += floats;
    }
    const struct observe_group seen = {
        .layer = layer,
        .group = g,
        .in = moment.in,
        .rows = o->rows,
        .weight = o->weights.total,
        .moment = sums->panels ? &moment : NULL,
        .maxima = sums->maxima,
        .means = sums->means,
        .squares = sums->squares,
        .sample = sums->sample,
        .sampled = sums->sample ? sampled_of(o) : 0,
    };
    for (uint32_t i = 0; sums->means && i < moment.in; i++)
        sums->means[i] /= o->weights.total;
    for (uint32_t i = 0; sums->squares && i < moment.in; i++)
        sums->squares[i] /= o->weights.total;
    uint64_t now = rt_time_ns();
    TRY(t->group(t->user, &seen));
    count_time(&o->times.group_ns, &now);

fail:
    return st;
}

static void clear_sums(struct observer *o)
{
    o->begun = false;
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        const uint32_t in = o->task->model->shape[g].in;
        if (o->sums[g].maxima)
            memset(o->sums[g].maxima, 0, in * sizeof *o->sums[g].maxima);
        if (o->sums[g].means)
            memset(o->sums[g].means, 0, in * sizeof *o->sums[g].means);
        if (o->sums[g].squares)
            memset(o->sums[g].squares, 0, in * sizeof *o->sums[g].squares);
    }
}

/* All parts through a layer; `before` passes of the whole task came before. */
static rt_status run_parts(struct observer *o, uint32_t layer, uint64_t before)
{
    rt_status st;
    const struct observe_task *t = o->task;
    const uint64_t total =
        (uint64_t)o->part_count * t->model->config.layers * (t->replace ? 2 : 1);
    if (layer == 0)
        TRY(rt_model_embedding_load(t->model));
    for (uint32_t p = 0; p < o->part_count; p++) {
        TRY(run_part(o, layer, &o->parts[p]));
        if (t->pass)
            TRY(t->pass(t->user, before + p + 1, total));
    }
    if (layer == 0) /* before anything is made of the sums */
        rt_model_embedding_drop(t->model);
    return RT_OK;

fail:
    return st;
}

/* The layer once more, from what it was replaced by. */
static rt_status run_replaced(struct observer *o, uint32_t layer, uint64_t before)
{
    rt_status st;
    const struct observe_task *t = o->task;
    struct fmt_model *from;
    TRY(t->replace(t->user, layer, &from));
    if (layer + 1 == t->model->config.layers)
        return RT_OK;
    rt_model_layer_drop(t->model, layer);
    TRY(rt_model_layer_load(t->model, layer, from));
    o->again = true;
    st = run_parts(o, layer, before);
    o->again = false;

fail:
    return st;
}

static rt_status run_layer(struct observer *o, uint32_t layer)
{
    rt_status st;
    const struct observe_task *t = o->task;
    const uint64_t before = (uint64_t)layer * o->part_count * (t->replace ? 2 : 1);
    clear_sums(o);
    TRY(run_parts(o, layer, before));
    for (int g = 0; g < MODEL_GROUP_COUNT; g++)
        TRY(hand_over(o, layer, (enum model_group)g));
    if (t->replace)
        TRY(run_replaced(o, layer, before + o->part_count));
    if (t->layer)
        TRY(t->layer(t->user, layer,
                     layer + 1 < t->model->config.layers ? o->hidden : NULL,
                     o->rows * t->model->ld_hidden));
    return RT_OK;

fail:
    return st;
}

/* With its weights on the device for as long as it runs, if the model is streamed. */
static rt_status stream_layer(struct observer *o, uint32_t layer)
{
    struct rt_model *m = o->task->model;
    if (!m->stream)
        return run_layer(o, layer);
    rt_status st = rt_model_layer_load(m, layer, NULL);
    if (st == RT_OK)
        st = run_layer(o, layer);
    rt_model_layer_drop(m, layer);
    return st;
}

rt_status observe_layers(const struct observe_task *task)
{
    rt_status st = RT_OK;
    struct observer o = { .task = task, .dev = task->model->dev };
    assert(!task->replace || task->model->stream);
    assert(task->what &
           (OBSERVE_MOMENTS | OBSERVE_MAXIMA | OBSERVE_MEANS | OBSERVE_SQUARES));
    o.ctx = rt_device_ctx(o.dev);
    o.host_sums = rt_device_info_of(o.dev)->software && !task->device_sums;
    if (task->count == 0)
        return rt_fail(o.ctx, RT_ERR_USAGE, "observing layers: there is no sequence");
    o.pass_rows = pass_rows_of(&o);
    TRY(prepare(&o));
    if (task->first_layer > 0 && task->first_layer < task->model->config.layers)
        TRY(task->hidden(task->user, task->first_layer, o.hidden,
                         o.rows * task->model->ld_hidden));
    for (uint32_t l = task->first_layer; l < task->model->config.layers; l++)
        TRY(stream_layer(&o, l));

fail:
    if (task->times)
        *task->times = o.times;
    deinit(&o);
    return st;
}
