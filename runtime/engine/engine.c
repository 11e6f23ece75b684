#include "runtime/engine/engine.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { PAGE = 16, SLOTS_MAX = 64, ROWS_MAX_DEFAULT = 256, STAT_WORDS = 8 };
#define NO_INDEX UINT32_MAX

/* Row counts a step is recorded for; a step uses the first that holds its rows. */
static const uint32_t bucket_rows[] = { 1,  2,  4,   8,   16,  32,  48,
                                        64, 96, 128, 160, 192, 224, 256 };

struct bucket {
    uint32_t rows, head_rows;
    struct rt_list *list;
};

/* One request under way. The page table row of slot i is table[i * pages_per_slot]. */
struct slot {
    bool active;
    struct rt_request request;
    uint32_t done; /* tokens whose keys are in the cache or in this step */
    uint32_t n_gen;
    uint32_t limit; /* n_gen at which it ends */
    double prefill_ns, decode_ns;
    uint32_t *ids; /* generated, [context] each, all part of one block */
    uint32_t *alt;
    float *logprob, *margin;
    uint32_t step_rows; /* rows in the step under way */
    uint32_t head_row;  /* row of the head it waits for, NO_INDEX: none */
};

struct rt_engine {
    struct rt_model *model;     /* borrowed */
    struct rt_adapter *adapter; /* borrowed, may be null */
    struct rt_engine_options options;
    struct model_pass pass;
    struct rt_buffer *x, *head_x, *head_y, *logits;
    struct rt_buffer *head_index, *target; /* UPLOAD uint [slots] */
    struct rt_buffer *sample_meta, *sampled;
    struct rt_buffer *stat;  /* READBACK [slots][8] */
    struct rt_buffer *table; /* UPLOAD uint [slots][pages_per_slot] */
    struct rt_buffer **kv;   /* a layer */
    uint32_t pages_per_slot, ld_kv;
    struct bucket buckets[RT_COUNT(bucket_rows)];
    uint32_t bucket_count;
    struct slot slots[SLOTS_MAX];
    uint32_t *words; /* backs the slots' arrays */
    struct rt_engine_stats stats;
};

static uint32_t head_rows_of(const struct rt_engine *e, uint32_t rows)
{
    return rows < e->options.slots ? rows : e->options.slots;
}

/* The whole forward pass of one step, from ids to one stat row per wanted token. */
static rt_status record_bucket(struct rt_engine *e, struct bucket *bucket)
{
    rt_status st;
    struct rt_model *m = e->model;
    TRY(rt_list_create(m->dev, "decode step", &bucket->list));
    struct rt_list *list = bucket->list;
    rt_list_context(list, e->options.context / 2.0);

    model_record_embed(&e->pass, list, bucket->rows, e->x);
    for (uint32_t l = 0; l < m->config.layers; l++) {
        const struct model_cache cache = {
            .kv = e->kv[l], .table = e->table, .page = PAGE, .ld = e->ld_kv
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
    return RT_OK;

fail:
    rt_list_destroy(&bucket->list);
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
    const uint64_t cache_rows = (uint64_t)e->options.slots * e->pages_per_slot * PAGE;
    for (uint32_t l = 0; l < m->config.layers; l++)
        TRY(model_buffer(dev, "kv cache", cache_rows * e->ld_kv * 4, RT_MEMORY_DEVICE,
                         &e->kv[l]));
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
    return o;
}

static uint32_t pages_of(uint32_t context)
{
    return (context + PAGE - 1) / PAGE;
}

static uint32_t cache_stride(const struct fmt_config *c)
{
    return rt_round_up32(2 * c->kv_heads * c->head_dim, RT_COL_PAD);
}

static uint64_t engine_bytes(const struct fmt_config *c,
                             const struct model_group_shape *shape, uint32_t ld_columns,
                             const struct rt_engine_options *o)
{
    const uint64_t slots = rt_round_up(o->slots, RT_ROW_PAD);
    const uint64_t rows = rt_round_up(o->rows_max, RT_ROW_PAD);
    const uint64_t hidden = rt_round_up(c->hidden, RT_COL_PAD);
    const uint64_t vocab = rt_round_up(c->vocab, RT_COL_PAD);
    /* index, target, sample meta, sampled, stat; then rows of floats */
    const uint64_t per_slot = 1 + 1 + 4 + 2 + STAT_WORDS + 2 * hidden + vocab;
    const uint64_t pages = pages_of(o->context);
    return model_pass_bytes(c, shape, ld_columns, o->rows_max) +
           4 * (rows * hidden + slots * per_slot + SLOTS_MAX * pages +
                c->layers * o->slots * pages * PAGE * cache_stride(c));
}

uint64_t rt_engine_bytes(const struct model_size *model,
                         const struct rt_engine_options *options)
{
    const struct rt_engine_options o = settled(options);
    return engine_bytes(&model->config, model->shape, model->ld_columns, &o);
}

/* Before anything is allocated. */
static rt_status check_fits(const struct rt_engine *e)
{
    static const double GIB = 1073741824.0;
    struct rt_device *dev = e->model->dev;
    const uint64_t need = engine_bytes(&e->model->config, e->model->shape,
                                       e->model->ld_columns, &e->options);
    const uint64_t left = rt_device_memory_left(dev);
    if (need <= left)
        return RT_OK;
    return rt_fail(
        rt_device_ctx(dev), RT_ERR_NO_DEVICE,
        "%u requests at once of %u tokens take %.2f GiB beside the model on "
        "'%s', which has %.2f GiB free; use a shorter context, fewer requests or "
        "another device (faultline devices)",
        e->options.slots, e->options.context, (double)need / GIB,
        rt_device_info_of(dev)->name, (double)left / GIB);
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
    rt_status st;
    struct rt_engine *e = rt_alloc(ctx, 1, sizeof *e);
    if (!e)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "engine: no host memory");
    e->model = model;
    e->adapter = adapter;
    e->options = settled(options);
    e->pages_per_slot = pages_of(options->context);
    e->ld_kv = cache_stride(&model->config);
    TRY(check_fits(e));
    TRY(create_host(e, ctx));
    TRY(create_buffers(e));
    /* A slot owns its pages for good: worst case reserved, so admission is slots free. */
    uint32_t *table = rt_buffer_map(e->table);
    for (uint32_t i = 0; i < e->options.slots * e->pages_per_slot; i++)
        table[i] = i;
    for (size_t i = 0; i < RT_COUNT(bucket_rows); i++) {
        if (bucket_rows[i] > e->options.rows_max)
            break;
        struct bucket *b = &e->buckets[e->bucket_count++];
        b->rows = bucket_rows[i];
        b->head_rows = head_rows_of(e, b->rows);
        TRY(record_bucket(e, b));
    }
    *out = e;
    return RT_OK;

fail:
    rt_engine_destroy(&e);
    return st;
}

void rt_engine_destroy(struct rt_engine **pe)
{
    struct rt_engine *e = *pe;
    if (!e)
        return;
    for (uint32_t i = 0; i < e->bucket_count; i++)
        rt_list_destroy(&e->buckets[i].list);
    for (uint32_t l = 0; e->kv && l < e->model->config.layers; l++)
        rt_buffer_destroy(&e->kv[l]);
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

/* ---- one step ---- */

/* Puts one token of a slot into row `row` of the step. */
static void fill_row(struct rt_engine *e, uint32_t row, uint32_t slot, uint32_t position,
                     uint32_t token)
{
    uint32_t *ids = rt_buffer_map(e->pass.ids);
    uint32_t *rope = rt_buffer_map(e->pass.rope_meta);
    uint32_t *att = rt_buffer_map(e->pass.att_meta);
    const uint32_t base = slot * e->pages_per_slot;
    ids[row] = token;
    rope[4 * row] = position;
    rope[4 * row + 1] = (base + position / PAGE) * PAGE + position % PAGE;
    att[4 * row] = position;
    att[4 * row + 1] = base;
}

static void fill_padding(struct rt_engine *e, uint32_t from, const struct bucket *bucket,
                         uint32_t heads)
{
    uint32_t *ids = rt_buffer_map(e->pass.ids);
    uint32_t *rope = rt_buffer_map(e->pass.rope_meta);
    uint32_t *att = rt_buffer_map(e->pass.att_meta);
    uint32_t *index = rt_buffer_map(e->head_index);
    for (uint32_t r = from; r < bucket->rows; r++) {
        ids[r] = 0;
        rope[4 * r] = 0;
        rope[4 * r + 1] = NO_INDEX;
        att[4 * r] = 0;
        att[4 * r + 1] = 0;
    }
    for (uint32_t h = heads; h < bucket->head_rows; h++)
        index[h] = NO_INDEX;
}

/* The slot's next row needs logits: it is the last of what is known. */
static void want_head(struct rt_engine *e, struct slot *s, uint32_t row, uint32_t *heads)
{
    uint32_t *index = rt_buffer_map(e->head_index);
    uint32_t *meta = rt_buffer_map(e->sample_meta);
    const uint32_t h = (*heads)++;
    index[h] = row;
    meta[4 * h] = (uint32_t)s->request.draw;
    meta[4 * h + 1] = (uint32_t)(s->request.draw >> 32);
    meta[4 * h + 2] = s->n_gen;
    s->head_row = h;
}

/* Tokens of a request so far: prompt, chosen and forced. */
static uint32_t known(const struct slot *s)
{
    return s->request.n_prompt + s->n_gen;
}

static uint32_t token_at(const struct slot *s, uint32_t position)
{
    return position < s->request.n_prompt ? s->request.prompt[position]
                                          : s->ids[position - s->request.n_prompt];
}

/* Decoding rows first, then as much as fits of prompts and forced tokens. Returns the rows
 * in use. */
static uint32_t fill_step(struct rt_engine *e, uint32_t *heads, double *keys)
{
    uint32_t rows = 0;
    *heads = 0;
    *keys = 0;
    for (uint32_t i = 0; i < e->options.slots; i++) {
        struct slot *s = &e->slots[i];
        s->step_rows = 0;
        s->head_row = NO_INDEX;
        if (!s->active || s->done < s->request.n_prompt || known(s) - s->done != 1)
            continue;
        fill_row(e, rows, i, s->done, token_at(s, s->done));
        s->step_rows = 1;
        *keys += ++s->done;
        want_head(e, s, rows++, heads);
    }
    for (uint32_t i = 0; i < e->options.slots && rows < e->options.rows_max; i++) {
        struct slot *s = &e->slots[i];
        if (!s->active || s->step_rows != 0)
            continue;
        while (s->done < known(s) && rows < e->options.rows_max) {
            fill_row(e, rows++, i, s->done, token_at(s, s->done));
            s->step_rows++;
            *keys += ++s->done;
        }
        if (s->step_rows && s->done == known(s))
            want_head(e, s, rows - 1, heads);
    }
    return rows;
}

/* Reads the slot's stat row; true when the request has ended. */
static bool take_token(struct rt_engine *e, struct slot *s, enum rt_finish *finish)
{
    const uint32_t *word =
        (const uint32_t *)rt_buffer_map(e->stat) + (size_t)s->head_row * STAT_WORDS;
    const float *value = (const float *)word;
    const uint32_t id = word[5];
    const bool is_best = id == word[0];
    const uint32_t n = s->n_gen++;
    s->ids[n] = id;
    s->alt[n] = is_best ? word[1] : word[0];
    s->logprob[n] = value[6] - value[4];
    s->margin[n] = value[6] - (is_best ? value[3] : value[2]);
    for (uint32_t i = 0; i < e->options.stop_count; i++)
        if (id == e->options.stop_ids[i]) {
            *finish = RT_FINISH_STOP;
            return true;
        }
    *finish = RT_FINISH_LENGTH;
    return s->n_gen == s->limit;
}

/* Asks how a request goes on and appends what is forced; true when it has ended. */
static bool take_turn(const struct rt_engine_calls *calls, struct slot *s,
                      enum rt_finish *finish)
{
    struct rt_turn turn = { 0 };
    if (!calls->turn)
        return false;
    calls->turn(calls->user, s->request.key, s->ids, s->n_gen, &turn);
    *finish = RT_FINISH_STOP;
    if (turn.end)
        return true;
    *finish = RT_FINISH_LENGTH;
    for (uint32_t i = 0; i < turn.forced_count && s->n_gen < s->limit; i++) {
        const uint32_t n = s->n_gen++;
        s->ids[n] = s->alt[n] = turn.forced[i];
        s->logprob[n] = 0; /* it could not have been another */
        s->margin[n] = INFINITY;
    }
    return s->n_gen == s->limit;
}

static rt_status report(const struct rt_engine_calls *calls, struct slot *s,
                        enum rt_finish finish)
{
    const struct rt_answer answer = {
        .key = s->request.key,
        .finish = finish,
        .n_gen = s->n_gen,
        .ids = s->ids,
        .logprob = s->logprob,
        .margin = s->margin,
        .alt = s->alt,
        .prefill_us = (int64_t)(s->prefill_ns / 1e3),
        .decode_us = (int64_t)(s->decode_ns / 1e3),
    };
    s->active = false;
    return calls->done(calls->user, &answer);
}

static rt_status run_step(struct rt_engine *e, const struct rt_engine_calls *calls)
{
    rt_status st;
    uint32_t heads;
    double keys;
    const uint64_t start = rt_time_ns();
    const uint32_t rows = fill_step(e, &heads, &keys);
    uint32_t b = 0;
    while (e->buckets[b].rows < rows || e->buckets[b].head_rows < heads)
        b++;
    assert(b < e->bucket_count);
    fill_padding(e, rows, &e->buckets[b], heads);
    TRY(rt_submit(e->model->dev, e->buckets[b].list));
    TRY(rt_wait(e->model->dev));

    const double ns_per_row = (double)(rt_time_ns() - start) / rows;
    e->stats.steps++;
    e->stats.rows += rows;
    e->stats.rows_padded += e->buckets[b].rows;
    e->stats.tokens += heads;
    e->stats.flops += model_forward_flops(e->model, e->adapter, rows, keys / rows, heads);
    for (uint32_t i = 0; i < e->options.slots; i++) {
        struct slot *s = &e->slots[i];
        if (!s->active || s->step_rows == 0)
            continue;
        *(s->done - s->step_rows < s->request.n_prompt ? &s->prefill_ns
                                                       : &s->decode_ns) +=
            ns_per_row * s->step_rows;
        enum rt_finish finish;
        if (s->head_row != NO_INDEX &&
            (take_token(e, s, &finish) || take_turn(calls, s, &finish)))
            TRY(report(calls, s, finish));
    }
    return RT_OK;

fail:
    return st;
}

/* Fills free slots from the caller. Returns the number of active slots. */
static rt_status admit(struct rt_engine *e, const struct rt_engine_calls *calls,
                       bool *drained, uint32_t *active)
{
    rt_status st = RT_OK;
    *active = 0;
    for (uint32_t i = 0; i < e->options.slots; i++) {
        struct slot *s = &e->slots[i];
        if (!s->active && !*drained) {
            struct rt_request request;
            *drained = !calls->next(calls->user, &request);
            if (*drained)
                continue;
            if (request.n_prompt == 0 || request.n_prompt >= e->options.context)
                return rt_fail(rt_device_ctx(e->model->dev), RT_ERR_USAGE,
                               "a prompt of %u tokens leaves no room in a context of %u",
                               request.n_prompt, e->options.context);
            const uint32_t room = e->options.context - request.n_prompt;
            s->active = true;
            s->request = request;
            s->done = s->n_gen = 0;
            s->limit = request.max_new < room ? request.max_new : room;
            s->prefill_ns = s->decode_ns = 0;
            enum rt_finish finish;
            if (take_turn(calls, s, &finish))
                TRY(report(calls, s, finish));
        }
        *active += s->active;
    }

fail:
    return st;
}

rt_status rt_engine_run(struct rt_engine *e, const struct rt_engine_calls *calls)
{
    rt_status st;
    bool drained = false;
    const uint64_t start = rt_time_ns();
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        e->slots[i].active = false;
    for (;;) {
        uint32_t active;
        TRY(admit(e, calls, &drained, &active));
        if (active == 0 && drained)
            break;
        if (active == 0)
            continue; /* all ended before their first step */
        if (calls->go_on && !calls->go_on(calls->user)) {
            st = rt_fail(rt_device_ctx(e->model->dev), RT_ERR_INTERRUPTED,
                         "stopped between two steps; finished answers are kept");
            goto fail;
        }
        TRY(run_step(e, calls));
    }
    e->stats.wall_seconds += (double)(rt_time_ns() - start) * 1e-9;
    return RT_OK;

fail:
    e->stats.wall_seconds += (double)(rt_time_ns() - start) * 1e-9;
    return st;
}

void rt_engine_stats_get(const struct rt_engine *e, struct rt_engine_stats *out)
{
    *out = e->stats;
}
