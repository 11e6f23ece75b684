/* runtime/engine/engine.c
 * An engine's memory and recordings. */
#include "runtime/engine/engine_impl.h"

#include <assert.h>
#include <string.h>

enum { ROWS_MAX_DEFAULT = 256 };

/* Row counts a step is recorded for; a step uses the first that holds its rows. */
static const uint32_t bucket_rows[] = { 1,  2,  4,   8,   16,  32,  48,
                                        64, 96, 128, 160, 192, 224, 256 };
static_assert(2 * RT_COUNT(bucket_rows) <= BUCKETS_MAX, "buckets");

static uint32_t head_rows_of(const struct rt_engine *e, uint32_t rows)
{
    return rows < e->options.slots ? rows : e->options.slots;
}

static uint32_t pages_of(uint32_t context)
{
    return (context + PAGE - 1) / PAGE;
}

static uint32_t cache_stride(const struct fmt_config *c)
{
    return rt_round_up32(2 * c->kv_heads * c->head_dim, RT_COL_PAD);
}

/* Bytes of a page in the cache of one layer. */
static uint64_t page_layer_bytes(const struct fmt_config *c, enum rt_kv kv)
{
    return (uint64_t)PAGE * cache_stride(c) * (kv == RT_KV_F16 ? 2 : 4);
}

static enum rt_kv kv_of(const struct rt_engine *e)
{
    return rt_device_plan(e->model->dev)->kv;
}

/* The whole forward pass of one step, from ids to one stat row per wanted token. */
rt_status engine_record(struct rt_engine *e, struct bucket *bucket)
{
    rt_status st;
    struct rt_model *m = e->model;
    struct rt_list *list = NULL;
    TRY(rt_list_create(m->dev, "decode step", &list));
    rt_list_context(list, e->options.context / 2.0);
    e->pass.may_round = bucket->may_round;

    model_record_embed(&e->pass, list, bucket->rows, e->x);
    for (uint32_t l = 0; l < m->config.layers; l++) {
        const struct model_cache cache = {
            .kv = e->kv[l],
            .table = e->table,
            .page = PAGE,
            .ld = e->ld_kv,
            .halves = kv_of(e) == RT_KV_F16,
        };
        model_record_layer(&e->pass, list, l, bucket->rows, &cache, e->x, e->x);
    }
    const uint32_t n = bucket->head_rows;
    model_record_gather(m, list, n, model_slice(e->head_index), model_slice(e->x),
                        model_slice(e->head_x));
    model_record_final_norm(m, list, n, model_slice(e->head_x), model_slice(e->head_y));
    model_record_head(m, list, n, model_slice(e->head_y), model_slice(e->logits));

    const bool sampled = e->options.sampling.temperature > 0;
    if (sampled) {
        const struct sample_push push = {
            .rows = n,
            .vocab = m->config.vocab,
            .ldl = m->ld_vocab,
            .inv_temp = 1.0f / e->options.sampling.temperature,
            .top_p = e->options.sampling.top_p,
            .seed_low = (uint32_t)e->options.sampling.seed,
            .seed_high = (uint32_t)(e->options.sampling.seed >> 32),
        };
        const struct rt_slice slices[] = { model_slice(e->logits),
                                           model_slice(e->sample_meta),
                                           model_slice(e->sampled) };
        rt_list_op(list, RT_OP_sample, &push, slices);
    }
    const struct logits_stat_push stat = { .rows = n,
                                           .vocab = m->config.vocab,
                                           .ldl = m->ld_vocab };
    const struct rt_slice slices[] = { model_slice(e->logits),
                                       model_slice(sampled ? e->sampled : e->target),
                                       model_slice(e->stat) };
    rt_list_op(list, RT_OP_logits_stat, &stat, slices);
    TRY(rt_list_end(list));
    rt_list_destroy(&bucket->list); /* now: what it held of kernels, the new one holds */
    bucket->list = list;
    bucket->stale = false;
    return RT_OK;

fail:
    rt_list_destroy(&list);
    return st;
}

static rt_status record_buckets(struct rt_engine *e, bool may_round)
{
    rt_status st;
    for (size_t i = 0; i < RT_COUNT(bucket_rows); i++) {
        if (bucket_rows[i] > e->options.rows_max)
            break;
        struct bucket *b = &e->buckets[e->bucket_count++];
        b->rows = bucket_rows[i];
        b->head_rows = head_rows_of(e, b->rows);
        b->may_round = may_round;
        TRY(engine_record(e, b));
    }
    return RT_OK;

fail:
    return st;
}

static rt_status create_buffers(struct rt_engine *e)
{
    rt_status st;
    struct rt_model *m = e->model;
    struct rt_device *dev = m->dev;
    const uint64_t slots = rt_round_up(e->options.slots, RT_ROW_PAD);
    const uint64_t hidden_row = (uint64_t)m->ld_hidden * 4;
    TRY(model_pass_init(&e->pass, m, e->adapter, e->options.rows_max, false));
    TRY(model_buffer(dev, "engine x", e->pass.rows * hidden_row, RT_MEMORY_DEVICE,
                     &e->x));
    TRY(model_buffer(dev, "engine head x", slots * hidden_row, RT_MEMORY_DEVICE,
                     &e->head_x));
    TRY(model_buffer(dev, "engine head y", slots * hidden_row, RT_MEMORY_DEVICE,
                     &e->head_y));
    TRY(model_buffer(dev, "engine logits", slots * m->ld_vocab * 4, RT_MEMORY_DEVICE,
                     &e->logits));
    TRY(model_buffer(dev, "engine head index", slots * 4, RT_MEMORY_UPLOAD,
                     &e->head_index));
    TRY(model_buffer(dev, "engine target", slots * 4, RT_MEMORY_UPLOAD, &e->target));
    TRY(model_buffer(dev, "engine sample meta", slots * 16, RT_MEMORY_UPLOAD,
                     &e->sample_meta));
    TRY(model_buffer(dev, "engine sampled", slots * 8, RT_MEMORY_READBACK, &e->sampled));
    TRY(model_buffer(dev, "engine stat", slots * STAT_WORDS * 4, RT_MEMORY_READBACK,
                     &e->stat));
    TRY(model_buffer(dev, "page table", (uint64_t)SLOTS_MAX * e->pages_per_slot * 4,
                     RT_MEMORY_UPLOAD, &e->table));
    TRY(engine_cache_create(e));
    memset(rt_buffer_map(e->target), 0xff, slots * 4);
    return RT_OK;

fail:
    return st;
}

static rt_status create_host(struct rt_engine *e, struct rt_ctx *ctx)
{
    const size_t context = e->options.context;
    e->kv = rt_alloc(ctx, e->model->config.layers, sizeof *e->kv);
    e->words = rt_alloc(ctx, SLOTS_MAX * context, 4 * sizeof(uint32_t));
    if (!e->kv || !e->words)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "engine: no host memory for %u slots",
                       e->options.slots);
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        uint32_t *base = e->words + i * context * 4;
        e->slots[i].ids = base;
        e->slots[i].alt = base + context;
        e->slots[i].logprob = (float *)(base + 2 * context);
        e->slots[i].margin = (float *)(base + 3 * context);
    }
    return RT_OK;
}

/* What the defaults stand for. */
static struct rt_engine_options settled(const struct rt_engine_options *options)
{
    struct rt_engine_options o = *options;
    if (o.slots == 0 || o.slots > SLOTS_MAX)
        o.slots = SLOTS_MAX;
    if (o.rows_max == 0 || o.rows_max > ROWS_MAX_DEFAULT)
        o.rows_max = ROWS_MAX_DEFAULT;
    if (o.pages == 0)
        o.pages = o.slots * pages_of(o.context);
    return o;
}

/* Without the cache's pages. `decoded` is what a plan that decodes weights takes for it. */
static uint64_t fixed_bytes(const struct fmt_config *c,
                            const struct model_group_shape *shape, uint32_t ld_columns,
                            const struct rt_plan *plan, uint64_t decoded,
                            const struct rt_engine_options *o)
{
    const uint64_t slots = rt_round_up(o->slots, RT_ROW_PAD);
    const uint64_t rows = rt_round_up(o->rows_max, RT_ROW_PAD);
    const uint64_t hidden = rt_round_up(c->hidden, RT_COL_PAD);
    const uint64_t vocab = rt_round_up(c->vocab, RT_COL_PAD);
    /* index, target, sample meta, sampled, stat; then rows of floats */
    const uint64_t per_slot = 1 + 1 + 4 + 2 + STAT_WORDS + 2 * hidden + vocab;
    return model_pass_bytes(c, shape, ld_columns, o->rows_max) +
           (plan->decode_rows ? decoded : 0) +
           4 * (rows * hidden + slots * per_slot + SLOTS_MAX * pages_of(o->context));
}

static rt_status does_not_fit(const struct rt_engine *e, uint64_t need, uint64_t room)
{
    static const double GIB = 1073741824.0;
    struct rt_device *dev = e->model->dev;
    return rt_fail(
        rt_device_ctx(dev), RT_ERR_NO_DEVICE,
        "one request of %u tokens and room for %u at once take %.2f GiB beside "
        "the model on '%s', which has %.2f GiB for it; use a shorter context, "
        "fewer requests, --kv f16 (half the cache) or another device (faultline devices)",
        e->options.context, e->options.slots, (double)need / GIB,
        rt_device_info_of(dev)->name, (double)room / GIB);
}

/* Pages of a cache, `fixed` bytes being taken by the rest of the engine; 0: not even one
 * request fits. */
static struct rt_engine_pages pages_that_fit(const struct fmt_config *c,
                                             const struct rt_plan *plan, uint64_t fixed,
                                             const struct rt_engine_options *o,
                                             uint64_t left)
{
    const uint64_t layer = page_layer_bytes(c, plan->kv), each = layer * c->layers;
    const uint64_t least = pages_of(o->context);
    const uint64_t binding = plan->binding_bytes_max / layer;
    struct rt_engine_pages fit = { .need = fixed + least * each, .room = left };
    if (fit.need > left)
        return fit;
    if (binding < least) {
        fit.room = fixed + binding * each;
        return fit;
    }
    const uint64_t spare = (left - fixed) / each;
    uint64_t pages = plan->own_memory ? spare - spare / 10 : spare / 2;
    pages = pages < o->pages ? pages : o->pages;
    pages = pages < binding ? pages : binding;
    fit.pages = (uint32_t)(pages > least ? pages : least);
    fit.requests = fit.pages / (uint32_t)least;
    fit.requests = fit.requests < o->slots ? fit.requests : o->slots;
    fit.bytes = fixed + fit.pages * each;
    return fit;
}

struct rt_engine_pages rt_engine_pages(const struct model_size *model,
                                       const struct rt_plan *plan,
                                       const struct rt_engine_options *options,
                                       uint64_t left)
{
    const struct rt_engine_options o = settled(options);
    const uint64_t fixed =
        fixed_bytes(&model->config, model->shape, model->ld_columns + model->ld_int8,
                    plan, model->decoded, &o);
    return pages_that_fit(&model->config, plan, fixed, &o, left);
}

/* How many pages the cache gets, before anything is allocated. */
static rt_status choose_pages(struct rt_engine *e)
{
    const struct rt_model *m = e->model;
    struct rt_engine_options *o = &e->options;
    const struct rt_plan *plan = rt_device_plan(m->dev);
    const uint64_t fixed = fixed_bytes(&m->config, m->shape, m->ld_columns + m->ld_int8,
                                       plan, model_decoded_bytes(m), o);
    const struct rt_engine_pages fit =
        pages_that_fit(&m->config, plan, fixed, o, rt_device_memory_left(m->dev));
    if (fit.pages == 0)
        return does_not_fit(e, fit.need, fit.room);
    if (fit.pages < o->pages)
        rt_log(rt_device_ctx(m->dev), RT_LOG_INFO,
               "engine: %u pages of %u tokens, %u would hold all requests in full; the "
               "youngest wait where they do not suffice",
               fit.pages, PAGE, o->pages);
    o->pages = fit.pages;
    return RT_OK;
}

rt_status rt_engine_create(struct rt_model *model, struct rt_adapter *adapter,
                           const struct rt_engine_options *options,
                           struct rt_engine **out)
{
    *out = NULL;
    struct rt_ctx *ctx = rt_device_ctx(model->dev);
    if (options->context == 0 || options->context > model->positions)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "a context of %u tokens: the model was loaded for 1 to %u",
                       options->context, model->positions);
    const uint32_t most = rt_plan_keys_max(rt_device_plan(model->dev));
    if (options->context > most)
        return rt_fail(
            ctx, RT_ERR_NO_DEVICE,
            "a context of %u tokens: attention on '%s' serves at most %u, its "
            "driver ends longer loops; use a shorter context or another device",
            options->context, rt_device_info_of(model->dev)->name, most);
    rt_status st;
    struct rt_engine *e = rt_alloc(ctx, 1, sizeof *e);
    if (!e)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "engine: no host memory");
    e->model = model;
    e->adapter = adapter;
    e->options = settled(options);
    const struct rt_plan *plan = rt_device_plan(model->dev);
    if (plan->rounded == plan->products) /* nothing differs by role */
        e->options.round_prompts = false;
    e->pages_per_slot = pages_of(options->context);
    e->ld_kv = cache_stride(&model->config);
    e->page_layer_bytes = page_layer_bytes(&model->config, plan->kv);
    TRY(choose_pages(e));
    TRY(create_host(e, ctx));
    TRY(create_buffers(e));
    TRY(record_buckets(e, false));
    if (e->options.round_prompts)
        TRY(record_buckets(e, true));
    *out = e;
    return RT_OK;

fail:
    rt_engine_destroy(&e);
    return st;
}

static void tell(const struct rt_engine *e)
{
    const struct rt_engine_stats *s = &e->stats;
    rt_log(
        rt_device_ctx(e->model->dev), RT_LOG_INFO,
        "engine: %llu tokens of prompts and answers computed, %llu found in the cache, "
        "%llu requests put back, %.2f s; the cache holds %.1f MiB, of which %.1f were in "
        "use at once, and has grown %u times",
        (unsigned long long)s->rows, (unsigned long long)s->rows_shared,
        (unsigned long long)s->put_back, s->wall_seconds,
        (double)s->cache_bytes / 1048576, (double)s->cache_bytes_used_max / 1048576,
        s->grown);
}

void rt_engine_destroy(struct rt_engine **pe)
{
    struct rt_engine *e = *pe;
    if (!e)
        return;
    if (e->stats.steps > 0)
        tell(e);
    for (uint32_t i = 0; i < e->bucket_count; i++)
        rt_list_destroy(&e->buckets[i].list);
    engine_cache_destroy(e);
    model_pass_deinit(&e->pass);
    rt_buffer_destroy(&e->x);
    rt_buffer_destroy(&e->head_x);
    rt_buffer_destroy(&e->head_y);
    rt_buffer_destroy(&e->logits);
    rt_buffer_destroy(&e->head_index);
    rt_buffer_destroy(&e->target);
    rt_buffer_destroy(&e->sample_meta);
    rt_buffer_destroy(&e->sampled);
    rt_buffer_destroy(&e->stat);
    rt_buffer_destroy(&e->table);
    rt_free(e->kv);
    rt_free(e->words);
    rt_free(e);
    *pe = NULL;
}
