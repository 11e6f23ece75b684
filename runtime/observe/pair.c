/* runtime/observe/pair.c
 * Pieces of token sequences through two models. The pieces of a long sequence are a chain:
 * all of them pass one layer before the next, so that one layer's cache of keys and values
 * serves all layers of both models. Where a token lies in the cache is the same for both. */
#include "runtime/observe/pair.h"

#include "runtime/model/model_impl.h"
#include "runtime/observe/batch.h"

#include <assert.h>

enum {
    PAGE = 16,       /* tokens of the cache that lie together */
    HEAD_ROWS = 128, /* rows of logits at a time */
    LIST_PIECES = 4, /* of a chain, in one list: a layer of them */
    STAT_WORDS = 8,
    KL_WORDS = 4
};

/* One of the models and what its pass needs. */
struct side {
    struct rt_model *model; /* borrowed */
    struct model_pass pass;
    struct rt_buffer *hx, *hn, *logits;
    struct rt_buffer *stat; /* READBACK, STAT_WORDS per target */
    uint32_t ld_kv;
};

/* A target of a piece. */
struct place {
    uint32_t sequence, at;
};

/* Rows that pass at once: what is said of them, and what the layers before gave. */
struct piece {
    struct rt_buffer *ids, *rope_meta, *att_meta; /* UPLOAD, as those of a pass */
    struct rt_buffer *index;  /* UPLOAD uint [piece]: row of a target */
    struct rt_buffer *target; /* UPLOAD uint [piece]: its token */
    struct rt_buffer *x[2];   /* float [piece][ld_hidden], of each side that passes */
    struct place *places;     /* [piece] */
    uint32_t rows, targets;
    double keys; /* mean context of its rows */
};

struct pair {
    const struct observe_pair_task *task;
    struct rt_ctx *ctx;
    struct rt_device *dev;
    struct side sides[2];      /* full, other */
    struct rt_buffer *kv;      /* keys and values of one layer, of the wider side */
    struct rt_buffer *table;   /* UPLOAD uint [pages]: page p lies at p */
    struct rt_buffer *weight;  /* UPLOAD float [piece], stays 0 */
    struct rt_buffer *kl;      /* READBACK, KL_WORDS per target */
    struct observe_kept *kept; /* null: not wanted, or too large */
    uint32_t first_side;       /* 1: the full model's rows are kept from before */
    uint32_t piece, pages;
    struct piece *chain; /* [chain_most], chain_count of them pass together */
    uint32_t chain_most, chain_count;
    uint64_t chain_rows;
    uint32_t sequence, token; /* what comes next: that token of that sequence */
    struct rt_list *list;     /* under way; null: none */
    uint64_t passed;          /* targets of the pieces before */
    uint64_t done, total;     /* rows of the chains before, of all */
    uint64_t steps, step;     /* lists of the chain under way, and how many have run */
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

/* Pages and pieces that hold the longest sequence; one piece at least. */
static void measure(struct pair *p)
{
    uint32_t longest = p->piece;
    p->chain_most = 1;
    for (uint32_t i = 0; i < p->task->count; i++) {
        const uint32_t n = p->task->sequences[i].n, pieces = (n - 2) / p->piece + 1;
        longest = n > longest ? n : longest;
        p->chain_most = pieces > p->chain_most ? pieces : p->chain_most;
        p->total += n - 1;
    }
    p->pages = pages_for(longest);
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

/* What comes before it, but for the rows and the cache. */
static rt_status init_layers(struct pair *p, struct side *s, struct rt_adapter *adapter)
{
    rt_status st;
    const struct fmt_config *c = &s->model->config;
    s->ld_kv = rt_round_up32(2 * c->kv_heads * c->head_dim, RT_COL_PAD);
    TRY(model_pass_init(&s->pass, s->model, adapter, p->piece, false));
    TRY(model_buffer(p->dev, "pair hx", (uint64_t)p->piece * s->model->ld_hidden * 4,
                     RT_MEMORY_DEVICE, &s->hx));
    return RT_OK;

fail:
    return st;
}

static rt_status init_piece(struct pair *p, struct piece *q)
{
    rt_status st;
    const uint64_t words = p->piece * 4ull;
    q->places = rt_alloc(p->ctx, p->piece, sizeof *q->places);
    if (!q->places)
        return rt_fail(p->ctx, RT_ERR_HOST_MEMORY, "comparing models: no host memory");
    TRY(model_buffer(p->dev, "pair ids", words, RT_MEMORY_UPLOAD, &q->ids));
    TRY(model_buffer(p->dev, "pair rope", 4 * words, RT_MEMORY_UPLOAD, &q->rope_meta));
    TRY(model_buffer(p->dev, "pair att", 4 * words, RT_MEMORY_UPLOAD, &q->att_meta));
    TRY(model_buffer(p->dev, "pair index", words, RT_MEMORY_UPLOAD, &q->index));
    TRY(model_buffer(p->dev, "pair target", words, RT_MEMORY_UPLOAD, &q->target));
    for (uint32_t i = p->first_side; i < 2; i++)
        TRY(model_buffer(p->dev, "pair x", words * p->sides[i].model->ld_hidden,
                         RT_MEMORY_DEVICE, &q->x[i]));
    return RT_OK;

fail:
    return st;
}

static void deinit_piece(struct piece *q)
{
    struct rt_buffer **owned[] = { &q->ids,    &q->rope_meta, &q->att_meta, &q->index,
                                   &q->target, &q->x[0],      &q->x[1] };
    for (size_t i = 0; i < RT_COUNT(owned); i++)
        rt_buffer_destroy(owned[i]);
    rt_free(q->places);
}

static void deinit_side(struct side *s)
{
    struct rt_buffer **owned[] = { &s->hx, &s->hn, &s->logits, &s->stat };
    for (size_t i = 0; i < RT_COUNT(owned); i++)
        rt_buffer_destroy(owned[i]);
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
    measure(p);
    p->chain = rt_alloc(p->ctx, p->chain_most, sizeof *p->chain);
    if (!p->chain)
        return rt_fail(p->ctx, RT_ERR_HOST_MEMORY, "comparing models: no host memory");
    init_kept(p);
    TRY(init_head(p, &p->sides[0], p->task->full));
    TRY(init_head(p, &p->sides[1], p->task->other));
    if (p->first_side == 0)
        TRY(init_layers(p, &p->sides[0], NULL));
    TRY(init_layers(p, &p->sides[1], p->task->adapter));
    for (uint32_t i = 0; i < p->chain_most; i++)
        TRY(init_piece(p, &p->chain[i]));
    const uint32_t ld_kv =
        p->sides[0].ld_kv > p->sides[1].ld_kv ? p->sides[0].ld_kv : p->sides[1].ld_kv;
    TRY(model_buffer(p->dev, "pair cache", (uint64_t)p->pages * PAGE * ld_kv * 4,
                     RT_MEMORY_DEVICE, &p->kv));
    TRY(model_buffer(p->dev, "pair table", p->pages * 4ull, RT_MEMORY_UPLOAD, &p->table));
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
    struct rt_buffer **owned[] = { &p->kv, &p->table, &p->weight, &p->kl };
    rt_list_destroy(&p->list);
    for (size_t i = 0; i < RT_COUNT(owned); i++)
        rt_buffer_destroy(owned[i]);
    for (uint32_t i = 0; p->chain && i < p->chain_most; i++)
        deinit_piece(&p->chain[i]);
    rt_free(p->chain);
    deinit_side(&p->sides[0]);
    deinit_side(&p->sides[1]);
}

/* ---- what passes ---- */

static void fill_row(struct piece *q, uint32_t row, uint32_t id, uint32_t position,
                     uint32_t page, uint32_t at)
{
    uint32_t *rope = (uint32_t *)rt_buffer_map(q->rope_meta) + 4 * row;
    uint32_t *att = (uint32_t *)rt_buffer_map(q->att_meta) + 4 * row;
    ((uint32_t *)rt_buffer_map(q->ids))[row] = id;
    rope[0] = position;
    rope[1] = at;
    att[0] = position;
    att[1] = page;
}

/* Rows of the next sequence from its token `token` on, whose cache begins at `page`. Its
 * last token is only predicted. */
static void fill_sequence(struct pair *p, struct piece *q, uint32_t page)
{
    const struct train_sequence *s = &p->task->sequences[p->sequence];
    uint32_t *index = rt_buffer_map(q->index), *target = rt_buffer_map(q->target);
    for (; p->token + 1 < s->n && q->rows < p->piece; p->token++) {
        const uint32_t t = p->token, row = q->rows++;
        assert(page * PAGE + t < p->pages * PAGE);
        fill_row(q, row, s->ids[t], t, page, page * PAGE + t);
        q->keys += t + 1;
        if (!s->mask[t + 1])
            continue;
        index[q->targets] = row;
        target[q->targets] = s->ids[t + 1];
        q->places[q->targets++] = (struct place){ p->sequence, t + 1 };
    }
    if (p->token + 1 >= s->n) {
        p->sequence++;
        p->token = 0;
    }
}

/* The rest of a sequence that has begun, or as many new ones as fit as a whole; a longer
 * one begins a piece. */
static void fill_piece(struct pair *p, struct piece *q)
{
    uint32_t page = 0;
    uint32_t *index = rt_buffer_map(q->index), *target = rt_buffer_map(q->target);
    q->rows = q->targets = 0;
    q->keys = 0;
    fill_sequence(p, q, page);
    while (p->token == 0 && p->sequence < p->task->count) {
        const uint32_t n = p->task->sequences[p->sequence].n;
        page += pages_for(p->task->sequences[p->sequence - 1].n);
        if (n - 1 > p->piece - q->rows || page + pages_for(n) > p->pages)
            break;
        fill_sequence(p, q, page);
    }
    assert(q->rows > 0);
    q->keys /= q->rows;
    for (uint32_t r = q->rows; r < rt_round_up32(q->rows, RT_ROW_PAD); r++)
        fill_row(q, r, 0, 0, 0, BATCH_NONE);
    for (uint32_t t = q->targets; t < p->piece; t++)
        index[t] = target[t] = BATCH_NONE;
}

/* Pieces up to one that ends with a sequence: nothing later reads their cache. */
static void fill_chain(struct pair *p)
{
    p->chain_count = 0;
    p->chain_rows = 0;
    do {
        assert(p->chain_count < p->chain_most);
        struct piece *q = &p->chain[p->chain_count++];
        fill_piece(p, q);
        p->chain_rows += q->rows;
    } while (p->token != 0);
    p->step = p->steps = 0;
    for (uint32_t i = p->first_side; i < 2 && p->chain_count > 1; i++)
        p->steps += (uint64_t)p->sides[i].model->config.layers *
                    ((p->chain_count - 1) / LIST_PIECES + 1);
    p->steps += p->chain_count; /* the heads */
}

/* The list under way, or a new one. */
static rt_status begin(struct pair *p)
{
    return p->list ? RT_OK : rt_list_create(p->dev, "pair", &p->list);
}

/* Runs what was recorded. */
static rt_status run(struct pair *p)
{
    rt_status st;
    TRY(rt_list_end(p->list));
    TRY(rt_submit(p->dev, p->list));
    TRY(rt_wait(p->dev));

fail:
    rt_list_destroy(&p->list);
    return st;
}

/* Says how far the chain is, by lists. */
static rt_status report(struct pair *p)
{
    const struct observe_pair_task *t = p->task;
    p->step++;
    assert(p->step <= p->steps);
    const uint64_t now = p->done + p->chain_rows * p->step / p->steps;
    return t->pass ? t->pass(t->user, now, p->total) : RT_OK;
}

/* ---- layers ---- */

static void record_layer(struct pair *p, uint32_t side, uint32_t l, struct piece *q)
{
    struct side *s = &p->sides[side];
    struct model_pass pass =
        s->pass; /* the same buffers; the piece says what they hold */
    const uint32_t rows = rt_round_up32(q->rows, RT_ROW_PAD);
    const struct model_cache cache = {
        .kv = p->kv, .table = p->table, .page = PAGE, .ld = s->ld_kv
    };
    pass.ids = q->ids;
    pass.rope_meta = q->rope_meta;
    pass.att_meta = q->att_meta;
    rt_list_context(p->list, q->keys);
    if (l == 0)
        model_record_embed(&pass, p->list, rows, q->x[side]);
    model_record_layer(&pass, p->list, l, rows, &cache, q->x[side], q->x[side]);
}

/* A layer of a side. Of a chain of one piece it is only recorded: the head follows in the
 * same list. */
static rt_status pass_layer(struct pair *p, uint32_t side, uint32_t l)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < p->chain_count; i++) {
        TRY(begin(p));
        record_layer(p, side, l, &p->chain[i]);
        if (p->chain_count == 1 || ((i + 1) % LIST_PIECES && i + 1 < p->chain_count))
            continue;
        TRY(run(p));
        TRY(report(p));
    }

fail:
    return st;
}

/* ---- heads ---- */

static struct rt_slice rows_at(struct rt_buffer *buffer, uint32_t row, uint32_t words)
{
    return model_slice_at(buffer, (uint64_t)row * words * 4);
}

static void record_targets(struct pair *p, uint32_t side, struct piece *q)
{
    struct side *s = &p->sides[side];
    const uint32_t n = rt_round_up32(q->targets, RT_ROW_PAD);
    if (n == 0)
        return;
    model_record_gather(s->model, p->list, n, model_slice(q->index),
                        model_slice(q->x[side]), model_slice(s->hx));
    model_record_final_norm(s->model, p->list, n, model_slice(s->hx), model_slice(s->hn));
}

/* Logits of both and what is asked of them, targets [first, first + n). */
static void record_head(struct pair *p, const struct piece *q, uint32_t first, uint32_t n)
{
    const uint32_t vocab = p->sides[0].model->config.vocab,
                   ld = p->sides[0].model->ld_vocab;
    assert(n <= HEAD_ROWS && first + n <= p->piece);
    for (int i = 0; i < 2; i++) {
        struct side *s = &p->sides[i];
        const struct logits_stat_push stat = { .rows = n, .vocab = vocab, .ldl = ld };
        const struct rt_slice slices[] = { model_slice(s->logits),
                                           rows_at(q->target, first, 1),
                                           rows_at(s->stat, first, STAT_WORDS) };
        model_record_head(s->model, p->list, n,
                          rows_at(s->hn, first, s->model->ld_hidden),
                          model_slice(s->logits));
        rt_list_op(p->list, RT_OP_logits_stat, &stat, slices);
    }
    const struct kl_push kl = { .rows = n, .vocab = vocab, .ldl = ld, .inv_temp = 1.0f };
    const struct rt_slice slices[] = { model_slice(p->sides[0].logits),
                                       rows_at(p->weight, first, 1),
                                       model_slice(p->sides[1].logits),
                                       rows_at(p->kl, first, KL_WORDS) };
    rt_list_op(p->list, RT_OP_kl, &kl, slices);
}

/* Rows of the full model, from the host or, after the piece, to it. */
static rt_status read_kept(struct pair *p, const struct piece *q)
{
    const uint32_t ld = p->task->full->ld_hidden;
    return p->first_side == 0 || q->targets == 0
               ? RT_OK
               : rt_buffer_write(p->sides[0].hn, 0, p->kept->rows + p->passed * ld,
                                 (uint64_t)q->targets * ld * 4);
}

static rt_status keep(struct pair *p, const struct piece *q)
{
    const uint32_t ld = p->task->full->ld_hidden;
    return p->first_side == 1 || q->targets == 0 || !p->kept
               ? RT_OK
               : rt_buffer_read(p->sides[0].hn, 0, p->kept->rows + p->passed * ld,
                                (uint64_t)q->targets * ld * 4);
}

static void hand_over(const struct pair *p, const struct piece *q)
{
    const uint32_t *target = rt_buffer_map(q->target), *words = rt_buffer_map(p->kl);
    const float *kl = rt_buffer_map(p->kl), *full = rt_buffer_map(p->sides[0].stat),
                *other = rt_buffer_map(p->sides[1].stat);
    for (uint32_t t = 0; t < q->targets; t++, full += STAT_WORDS, other += STAT_WORDS) {
        const struct observe_pair_token token = {
            .sequence = q->places[t].sequence,
            .at = q->places[t].at,
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

static rt_status pass_head(struct pair *p, struct piece *q)
{
    rt_status st;
    const uint32_t targets = rt_round_up32(q->targets, RT_ROW_PAD);
    TRY(read_kept(p, q));
    TRY(begin(p));
    for (uint32_t i = p->first_side; i < 2; i++)
        record_targets(p, i, q);
    for (uint32_t first = 0; first < targets; first += HEAD_ROWS)
        record_head(p, q, first,
                    targets - first < HEAD_ROWS ? targets - first : HEAD_ROWS);
    TRY(run(p));
    TRY(keep(p, q));
    hand_over(p, q);
    p->passed += q->targets;
    TRY(report(p));

fail:
    return st;
}

static rt_status pass_chain(struct pair *p)
{
    rt_status st = RT_OK;
    for (uint32_t i = p->first_side; i < 2; i++)
        for (uint32_t l = 0; l < p->sides[i].model->config.layers; l++)
            TRY(pass_layer(p, i, l));
    for (uint32_t i = 0; i < p->chain_count; i++)
        TRY(pass_head(p, &p->chain[i]));
    p->done += p->chain_rows;

fail:
    return st;
}

rt_status observe_pair(const struct observe_pair_task *task)
{
    rt_status st;
    struct pair p = { .task = task,
                      .dev = task->full->dev,
                      .ctx = rt_device_ctx(task->full->dev),
                      .piece = task->piece ? task->piece : OBSERVE_PIECE };
    assert(task->token && p.piece % RT_ROW_PAD == 0);
    TRY(init(&p));
    while (p.sequence < task->count) {
        fill_chain(&p);
        TRY(pass_chain(&p));
    }
    if (p.kept)
        p.kept->whole = true;
    st = RT_OK;

fail:
    deinit(&p);
    return st;
}
