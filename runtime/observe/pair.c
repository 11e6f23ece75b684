/* runtime/observe/pair.c
 * Pieces of token sequences through two models, each with its own cache of keys and
 * values. Where a token lies in the cache is the same for both. */
#include "runtime/observe/pair.h"

#include "runtime/model/model_impl.h"
#include "runtime/observe/batch.h"

#include <assert.h>

enum {
    PAGE = 16,       /* tokens of the cache that lie together */
    HEAD_ROWS = 128, /* rows of logits at a time */
    STAT_WORDS = 8,
    KL_WORDS = 4
};

/* One of the models and what its pass needs. */
struct side {
    struct rt_model *model; /* borrowed */
    struct model_pass pass;
    struct rt_buffer *x, *hx, *hn, *logits;
    struct rt_buffer *stat; /* READBACK, STAT_WORDS per target */
    struct rt_buffer **kv;  /* [layers] */
    uint32_t ld_kv;
};

/* A target of a piece. */
struct place {
    uint32_t sequence, at;
};

struct pair {
    const struct observe_pair_task *task;
    struct rt_ctx *ctx;
    struct rt_device *dev;
    struct side sides[2];    /* full, other */
    struct rt_buffer *table; /* UPLOAD uint [pages]: page p lies at p */
    struct rt_buffer *index,
        *target;               /* UPLOAD uint [piece]: row of a target; its token */
    struct rt_buffer *weight;  /* UPLOAD float [piece], stays 0 */
    struct rt_buffer *kl;      /* READBACK, KL_WORDS per target */
    struct place *places;      /* [piece] */
    struct observe_kept *kept; /* null: not wanted, or too large */
    uint32_t first_side;       /* 1: the full model's rows are kept from before */
    uint64_t passed;           /* targets of the pieces before */
    uint32_t piece, pages;
    uint32_t sequence, done; /* what comes next: token `done` of that sequence */
    uint32_t rows, targets;  /* of the piece under way */
    double keys;             /* mean context of its rows */
};

/* ---- what is made once ---- */

static rt_status check(struct pair *p)
{
    const struct observe_pair_task *t = p->task;
    const uint32_t keys = rt_plan_keys_max(rt_device_plan(p->dev));
    if (t->full->dev != t->other->dev || t->full->config.vocab != t->other->config.vocab)
        return rt_fail(p->ctx, RT_ERR_USAGE,
                       "the models have vocabularies of %u and %u tokens; only models of "
                       "one vocabulary, on one device, can be compared",
                       t->full->config.vocab, t->other->config.vocab);
    const uint32_t own = rt_model_positions(t->full), its = rt_model_positions(t->other);
    const uint32_t most = own < its ? own : its;
    for (uint32_t i = 0; i < t->count; i++) {
        const uint32_t n = t->sequences[i].n;
        if (n < 2 || n > most)
            return rt_fail(p->ctx, RT_ERR_USAGE,
                           "sequence %u has %u tokens, 2 to %u are possible", i, n, most);
        if (n - 1 > keys)
            return batch_too_long(p->ctx, p->dev, "attention", i, n, keys);
    }
    return RT_OK;
}

static uint32_t pages_for(uint32_t tokens)
{
    return (tokens + PAGE - 1) / PAGE;
}

/* Pages that hold the longest sequence, and a piece. */
static uint32_t pages_of(const struct pair *p)
{
    uint32_t longest = p->piece;
    for (uint32_t i = 0; i < p->task->count; i++)
        if (p->task->sequences[i].n > longest)
            longest = p->task->sequences[i].n;
    return pages_for(longest);
}

/* What the head of a model needs. */
static rt_status init_head(struct pair *p, struct side *s, struct rt_model *m)
{
    rt_status st;
    s->model = m;
    TRY(model_buffer(p->dev, "pair hn", (uint64_t)p->piece * m->ld_hidden * 4,
                     RT_MEMORY_DEVICE, &s->hn));
    TRY(model_buffer(p->dev, "pair logits", (uint64_t)HEAD_ROWS * m->ld_vocab * 4,
                     RT_MEMORY_DEVICE, &s->logits));
    TRY(model_buffer(p->dev, "pair stat", p->piece * STAT_WORDS * 4ull,
                     RT_MEMORY_READBACK, &s->stat));

fail:
    return st;
}

/* What comes before it. */
static rt_status init_layers(struct pair *p, struct side *s, struct rt_adapter *adapter)
{
    rt_status st;
    struct rt_model *m = s->model;
    const struct fmt_config *c = &m->config;
    const uint64_t rows = (uint64_t)p->piece * m->ld_hidden * 4;
    s->ld_kv = rt_round_up32(2 * c->kv_heads * c->head_dim, RT_COL_PAD);
    s->kv = rt_alloc(p->ctx, c->layers, sizeof *s->kv);
    if (!s->kv)
        return rt_fail(p->ctx, RT_ERR_HOST_MEMORY, "comparing models: no host memory");
    TRY(model_pass_init(&s->pass, m, adapter, p->piece, false));
    TRY(model_buffer(p->dev, "pair x", rows, RT_MEMORY_DEVICE, &s->x));
    TRY(model_buffer(p->dev, "pair hx", rows, RT_MEMORY_DEVICE, &s->hx));
    for (uint32_t l = 0; l < c->layers; l++)
        TRY(model_buffer(p->dev, "pair cache", (uint64_t)p->pages * PAGE * s->ld_kv * 4,
                         RT_MEMORY_DEVICE, &s->kv[l]));
    return RT_OK;

fail:
    return st;
}

static void deinit_side(struct side *s)
{
    struct rt_buffer **owned[] = { &s->x, &s->hx, &s->hn, &s->logits, &s->stat };
    for (size_t i = 0; i < RT_COUNT(owned); i++)
        rt_buffer_destroy(owned[i]);
    for (uint32_t l = 0; s->kv && l < s->model->config.layers; l++)
        rt_buffer_destroy(&s->kv[l]);
    rt_free(s->kv);
    model_pass_deinit(&s->pass);
}

/* Room for what is kept, or reading it where it is there already. */
static void init_kept(struct pair *p)
{
    uint64_t targets = 0;
    const uint32_t ld = p->task->full->ld_hidden;
    struct observe_kept *k = p->task->kept;
    const uint64_t most = k && k->limit ? k->limit : OBSERVE_KEPT_BYTES;
    for (uint32_t i = 0; i < p->task->count; i++)
        for (uint32_t t = 1; t < p->task->sequences[i].n; t++)
            targets += p->task->sequences[i].mask[t] != 0;
    if (!k || targets * ld * 4 > most)
        return;
    assert(!k->rows || k->targets == targets);
    if (!k->rows)
        k->rows = rt_alloc(p->ctx, (size_t)targets * ld, sizeof *k->rows);
    k->targets = targets;
    p->kept = k->rows ? k : NULL;
    p->first_side = k->whole ? 1 : 0;
}

void observe_kept_deinit(struct observe_kept *kept)
{
    rt_free(kept->rows);
    *kept = (struct observe_kept){ 0 };
}

static rt_status init(struct pair *p)
{
    rt_status st;
    TRY(check(p));
    p->pages = pages_of(p);
    p->places = rt_alloc(p->ctx, p->piece, sizeof *p->places);
    if (!p->places)
        return rt_fail(p->ctx, RT_ERR_HOST_MEMORY, "comparing models: no host memory");
    init_kept(p);
    TRY(init_head(p, &p->sides[0], p->task->full));
    TRY(init_head(p, &p->sides[1], p->task->other));
    if (p->first_side == 0)
        TRY(init_layers(p, &p->sides[0], NULL));
    TRY(init_layers(p, &p->sides[1], p->task->adapter));
    TRY(model_buffer(p->dev, "pair table", p->pages * 4ull, RT_MEMORY_UPLOAD, &p->table));
    TRY(model_buffer(p->dev, "pair index", p->piece * 4ull, RT_MEMORY_UPLOAD, &p->index));
    TRY(model_buffer(p->dev, "pair target", p->piece * 4ull, RT_MEMORY_UPLOAD,
                     &p->target));
    TRY(model_buffer(p->dev, "pair weight", p->piece * 4ull, RT_MEMORY_UPLOAD,
                     &p->weight));
    TRY(model_buffer(p->dev, "pair kl", p->piece * KL_WORDS * 4ull, RT_MEMORY_READBACK,
                     &p->kl));
    uint32_t *table = rt_buffer_map(p->table);
    for (uint32_t i = 0; i < p->pages; i++)
        table[i] = i;
    return RT_OK;

fail:
    return st;
}

static void deinit(struct pair *p)
{
    struct rt_buffer **owned[] = { &p->table, &p->index, &p->target, &p->weight, &p->kl };
    for (size_t i = 0; i < RT_COUNT(owned); i++)
        rt_buffer_destroy(owned[i]);
    deinit_side(&p->sides[0]);
    deinit_side(&p->sides[1]);
    rt_free(p->places);
}

/* ---- a piece ---- */

static void fill_row(struct pair *p, uint32_t row, uint32_t id, uint32_t position,
                     uint32_t page, uint32_t at)
{
    for (uint32_t i = p->first_side; i < 2; i++) {
        struct model_pass *pass = &p->sides[i].pass;
        uint32_t *rope = (uint32_t *)rt_buffer_map(pass->rope_meta) + 4 * row;
        uint32_t *att = (uint32_t *)rt_buffer_map(pass->att_meta) + 4 * row;
        ((uint32_t *)rt_buffer_map(pass->ids))[row] = id;
        rope[0] = position;
        rope[1] = at;
        att[0] = position;
        att[1] = page;
    }
}

/* Rows of the next sequence from its token `done` on, whose cache begins at `page`. Its
 * last token is only predicted. */
static void fill_sequence(struct pair *p, uint32_t page)
{
    const struct train_sequence *s = &p->task->sequences[p->sequence];
    uint32_t *index = rt_buffer_map(p->index), *target = rt_buffer_map(p->target);
    for (; p->done + 1 < s->n && p->rows < p->piece; p->done++) {
        const uint32_t t = p->done, row = p->rows++;
        assert(page * PAGE + t < p->pages * PAGE);
        fill_row(p, row, s->ids[t], t, page, page * PAGE + t);
        p->keys += t + 1;
        if (!s->mask[t + 1])
            continue;
        index[p->targets] = row;
        target[p->targets] = s->ids[t + 1];
        p->places[p->targets++] = (struct place){ p->sequence, t + 1 };
    }
    if (p->done + 1 >= s->n) {
        p->sequence++;
        p->done = 0;
    }
}

/* The rest of a sequence that has begun, or as many new ones as fit as a whole; a longer
 * one begins a piece. */
static void fill(struct pair *p)
{
    uint32_t page = 0;
    uint32_t *index = rt_buffer_map(p->index), *target = rt_buffer_map(p->target);
    p->rows = p->targets = 0;
    p->keys = 0;
    fill_sequence(p, page);
    while (p->done == 0 && p->sequence < p->task->count) {
        const uint32_t n = p->task->sequences[p->sequence].n;
        page += pages_for(p->task->sequences[p->sequence - 1].n);
        if (n - 1 > p->piece - p->rows || page + pages_for(n) > p->pages)
            break;
        fill_sequence(p, page);
    }
    assert(p->rows > 0);
    p->keys /= p->rows;
    for (uint32_t r = p->rows; r < rt_round_up32(p->rows, RT_ROW_PAD); r++)
        fill_row(p, r, 0, 0, 0, BATCH_NONE);
    for (uint32_t t = p->targets; t < p->piece; t++)
        index[t] = target[t] = BATCH_NONE;
}

static struct rt_slice rows_at(struct rt_buffer *buffer, uint32_t row, uint32_t words)
{
    return model_slice_at(buffer, (uint64_t)row * words * 4);
}

static void record_side(struct pair *p, struct side *s, struct rt_list *list)
{
    const uint32_t rows = rt_round_up32(p->rows, RT_ROW_PAD),
                   n = rt_round_up32(p->targets, RT_ROW_PAD);
    model_record_embed(&s->pass, list, rows, s->x);
    for (uint32_t l = 0; l < s->model->config.layers; l++) {
        const struct model_cache cache = {
            .kv = s->kv[l], .table = p->table, .page = PAGE, .ld = s->ld_kv
        };
        model_record_layer(&s->pass, list, l, rows, &cache, s->x, s->x);
    }
    if (n == 0)
        return;
    model_record_gather(s->model, list, n, model_slice(p->index), model_slice(s->x),
                        model_slice(s->hx));
    model_record_final_norm(s->model, list, n, model_slice(s->hx), model_slice(s->hn));
}

/* Logits of both and what is asked of them, targets [first, first + n). */
static void record_head(struct pair *p, struct rt_list *list, uint32_t first, uint32_t n)
{
    const uint32_t vocab = p->sides[0].model->config.vocab,
                   ld = p->sides[0].model->ld_vocab;
    assert(n <= HEAD_ROWS && first + n <= p->piece);
    for (int i = 0; i < 2; i++) {
        struct side *s = &p->sides[i];
        const struct logits_stat_push stat = { .rows = n, .vocab = vocab, .ldl = ld };
        const struct rt_slice slices[] = { model_slice(s->logits),
                                           rows_at(p->target, first, 1),
                                           rows_at(s->stat, first, STAT_WORDS) };
        model_record_head(s->model, list, n, rows_at(s->hn, first, s->model->ld_hidden),
                          model_slice(s->logits));
        rt_list_op(list, RT_OP_logits_stat, &stat, slices);
    }
    const struct kl_push kl = { .rows = n, .vocab = vocab, .ldl = ld, .inv_temp = 1.0f };
    const struct rt_slice slices[] = { model_slice(p->sides[0].logits),
                                       rows_at(p->weight, first, 1),
                                       model_slice(p->sides[1].logits),
                                       rows_at(p->kl, first, KL_WORDS) };
    rt_list_op(list, RT_OP_kl, &kl, slices);
}

/* Rows of the full model, from the host or, after the piece, to it. */
static rt_status read_kept(struct pair *p)
{
    const uint32_t ld = p->task->full->ld_hidden;
    return p->first_side == 0 || p->targets == 0
               ? RT_OK
               : rt_buffer_write(p->sides[0].hn, 0, p->kept->rows + p->passed * ld,
                                 (uint64_t)p->targets * ld * 4);
}

static rt_status keep(struct pair *p)
{
    const uint32_t ld = p->task->full->ld_hidden;
    return p->first_side == 1 || p->targets == 0 || !p->kept
               ? RT_OK
               : rt_buffer_read(p->sides[0].hn, 0, p->kept->rows + p->passed * ld,
                                (uint64_t)p->targets * ld * 4);
}

static rt_status pass_piece(struct pair *p)
{
    rt_status st;
    struct rt_list *list = NULL;
    const uint32_t targets = rt_round_up32(p->targets, RT_ROW_PAD);
    TRY(read_kept(p));
    TRY(rt_list_create(p->dev, "pair", &list));
    rt_list_context(list, p->keys);
    for (uint32_t i = p->first_side; i < 2; i++)
        record_side(p, &p->sides[i], list);
    for (uint32_t first = 0; first < targets; first += HEAD_ROWS)
        record_head(p, list, first,
                    targets - first < HEAD_ROWS ? targets - first : HEAD_ROWS);
    TRY(rt_list_end(list));
    TRY(rt_submit(p->dev, list));
    TRY(rt_wait(p->dev));
    TRY(keep(p));

fail:
    rt_list_destroy(&list);
    return st;
}

static void hand_over(const struct pair *p)
{
    const uint32_t *target = rt_buffer_map(p->target), *words = rt_buffer_map(p->kl);
    const float *kl = rt_buffer_map(p->kl), *full = rt_buffer_map(p->sides[0].stat),
                *other = rt_buffer_map(p->sides[1].stat);
    for (uint32_t t = 0; t < p->targets; t++, full += STAT_WORDS, other += STAT_WORDS) {
        const struct observe_pair_token token = {
            .sequence = p->places[t].sequence,
            .at = p->places[t].at,
            .id = target[t],
            .best_full = words[KL_WORDS * t + 1],
            .best = words[KL_WORDS * t + 2],
            .kl = kl[KL_WORDS * t],
            .logprob_full = full[6] - full[4],
            .logprob = other[6] - other[4],
        };
        p->task->token(p->task->user, &token);
    }
}

rt_status observe_pair(const struct observe_pair_task *task)
{
    rt_status st;
    uint64_t done = 0, total = 0;
    struct pair p = { .task = task,
                      .dev = task->full->dev,
                      .ctx = rt_device_ctx(task->full->dev),
                      .piece = task->piece ? task->piece : OBSERVE_PIECE };
    assert(task->token && p.piece % RT_ROW_PAD == 0);
    TRY(init(&p));
    for (uint32_t i = 0; i < task->count; i++)
        total += task->sequences[i].n - 1;
    while (p.sequence < task->count) {
        fill(&p);
        TRY(pass_piece(&p));
        hand_over(&p);
        p.passed += p.targets;
        done += p.rows;
        if (task->pass)
            TRY(task->pass(task->user, done, total));
    }
    if (p.kept)
        p.kept->whole = true;
    st = RT_OK;

fail:
    deinit(&p);
    return st;
}
