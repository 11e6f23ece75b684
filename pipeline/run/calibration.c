/* pipeline/run/calibration.c
 * Reads calibration text into token sequences, and keeps what was used as an artifact. */
#include "pipeline/run/calibration.h"

#include "pipeline/data/data_file.h"
#include "pipeline/data/texts.h"
#include "pipeline/run/calibration_answers.h"
#include "pipeline/run/token_weights.h"
#include "pipeline/run/problem_source.h"
#include "runtime/base/sha256.h"
#include "store/store.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static bool is_text(const char *from)
{
    static const char *const endings[] = { ".txt", ".txt.gz", ".md" };
    const size_t length = strlen(from);
    for (size_t i = 0; i < RT_COUNT(endings); i++) {
        const size_t n = strlen(endings[i]);
        if (length > n && strcmp(from + length - n, endings[i]) == 0)
            return true;
    }
    return false;
}

static const char self[] = "self:";

enum pipe_calibration_kind pipe_calibration_kind_of(const char *from)
{
    if (pipe_calibration_self(from))
        return PIPE_CALIBRATION_SELF;
    if (strncmp(from, "run:", 4) == 0)
        return PIPE_CALIBRATION_RUN;
    if (is_text(from))
        return PIPE_CALIBRATION_TEXT;
    return pipe_texts_named(from) ? PIPE_CALIBRATION_TEXTS : PIPE_CALIBRATION_PROBLEMS;
}

bool pipe_calibration_is_text(const char *from)
{
    const enum pipe_calibration_kind kind = pipe_calibration_kind_of(from);
    return kind == PIPE_CALIBRATION_TEXT || kind == PIPE_CALIBRATION_TEXTS;
}

const char *pipe_calibration_self(const char *from)
{
    return strncmp(from, self, strlen(self)) == 0 ? from + strlen(self) : NULL;
}

/* Windows of `length` tokens, the last one shorter if it has at least two; `weights` of all
 * tokens, NULL: 1. */
static rt_status add_windows(struct pipe_session *session,
                             const struct pipe_calibration_options *o,
                             const uint32_t *ids, const float *weights, uint32_t count,
                             struct pipe_calibration *c)
{
    rt_status st = RT_OK;
    for (uint32_t at = 0; at < count && c->sequences.count < o->items; at += o->length) {
        const uint32_t n = count - at < o->length ? count - at : o->length;
        if (n < 2) {
            c->alone += n;
            break;
        }
        TRY(pipe_sequences_add_ids(session, &c->sequences, ids + at, n));
        if (weights)
            TRY(pipe_weights_put(session, weights + at, n, &c->sequences));
    }

fail:
    return st;
}

/* Room for the windows of so many tokens. */
static rt_status init_windows(struct pipe_session *session,
                              const struct pipe_calibration_options *o, uint64_t windows,
                              struct pipe_calibration *c)
{
    return pipe_sequences_init(session, windows < o->items ? (uint32_t)windows : o->items,
                               &c->sequences);
}

/* Windows that begin `stride` tokens apart, so that every token but the first of the text
 * is a target once. */
static rt_status add_measured(struct pipe_session *session,
                              const struct pipe_calibration_options *o,
                              const uint32_t *ids, uint32_t count,
                              struct pipe_calibration *c)
{
    rt_status st = RT_OK;
    const uint32_t bos = text_bos_id(session->tok), lead = bos != UINT32_MAX;
    const uint32_t room = o->length - lead;
    uint32_t from = 0, at = 0;
    assert(o->stride >= 1 && o->stride <= room);
    uint32_t *given = rt_alloc(session->ctx, o->length, sizeof *given);
    if (!given)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "text: no memory");
    given[0] = bos;
    TRY(pipe_sequences_init(session, count / o->stride + 1, &c->sequences));
    for (; from < count && c->sequences.count < o->items; at += o->stride) {
        const uint32_t end = count - at < room ? count : at + room, old = from - at;
        memcpy(given + lead, ids + at, old * sizeof *given);
        if (end - at + lead >= 2)
            TRY(pipe_sequences_add_after(session, &c->sequences, given, old + lead,
                                         ids + from, end - from));
        else
            c->alone += end - from;
        from = end;
    }

fail:
    rt_free(given);
    return st;
}

static rt_status cut_text(struct pipe_session *session,
                          const struct pipe_calibration_options *o, const char *text,
                          size_t size, struct pipe_calibration *c)
{
    rt_status st;
    uint32_t *ids = NULL, count = 0;
    TRY(text_encode(session->tok, text, size, false, &ids, &count));
    if (o->measuring) {
        TRY(add_measured(session, o, ids, count, c));
    } else {
        TRY(init_windows(session, o, count / o->length + 1ull, c));
        TRY(add_windows(session, o, ids, NULL, count, c));
    }

fail:
    rt_free(ids);
    return st;
}

static rt_status read_text(struct pipe_session *session,
                           const struct pipe_calibration_options *o,
                           struct pipe_calibration *c)
{
    struct pipe_data_file file = { 0 };
    if (o->text)
        return cut_text(session, o, o->text, strlen(o->text), c);
    rt_status st = pipe_data_file_read(session->ctx, o->from, &file);
    if (st == RT_OK)
        st = cut_text(session, o, file.text, file.size, c);
    pipe_data_file_deinit(&file);
    return st;
}

/* A text that is one item: its windows, each with its tokens' weights. */
static rt_status add_text(struct pipe_session *session,
                          const struct pipe_calibration_options *o,
                          const struct pipe_text *text, struct pipe_calibration *c)
{
    rt_status st;
    uint32_t *ids = NULL, count = 0;
    float *weights = NULL;
    TRY(text_encode(session->tok, text->text, strlen(text->text), false, &ids, &count));
    if (text->weights)
        TRY(pipe_weights_of(session, text->weights, text->text, ids, count, &weights));
    /* Room is made by bytes; no tokenizer is known that makes more tokens. */
    if (c->sequences.count + count / o->length >= c->sequences.capacity &&
        c->sequences.capacity < o->items)
        st = rt_fail(session->ctx, RT_ERR_INPUT,
                     "'%s': a text of %zu bytes gives %u tokens", o->from,
                     strlen(text->text), count);
    else
        st = add_windows(session, o, ids, weights, count, c);

fail:
    rt_free(ids);
    rt_free(weights);
    return st;
}

static rt_status read_texts(struct pipe_session *session,
                            const struct pipe_calibration_options *o,
                            struct pipe_calibration *c)
{
    rt_status st;
    uint64_t windows = 0;
    struct pipe_texts texts = { 0 };
    if (o->measuring)
        return rt_fail(session->ctx, RT_ERR_INPUT,
                       "'%s' holds texts to calibrate on; measure on a plain text (.txt) "
                       "or on problems",
                       o->from);
    TRY(pipe_texts_read(session->ctx, o->from, &texts));
    for (uint32_t i = 0; i < texts.count; i++)
        windows += 2 * strlen(texts.items[i].text) / o->length + 2;
    TRY(init_windows(session, o, windows, c));
    for (uint32_t i = 0; i < texts.count && c->sequences.count < o->items; i++)
        TRY(add_text(session, o, &texts.items[i], c));

fail:
    pipe_texts_deinit(&texts);
    return st;
}

static rt_status read_problems(struct pipe_session *session,
                               const struct pipe_calibration_options *o, uint32_t end_id,
                               struct pipe_calibration *c)
{
    rt_status st;
    struct pipe_problem_set set = { 0 };
    TRY(pipe_problems_open(session->ctx, session->host, session->store, o->from,
                           o->measuring ? PIPE_FOR_MEASURING : PIPE_FOR_TRAINING, &set));
    const uint32_t count = set.count < o->items ? set.count : o->items;
    TRY(pipe_sequences_init(session, count, &c->sequences));
    for (uint32_t i = 0; i < count; i++) {
        const struct pipe_problem *p = &set.items[i];
        if (!p->reference) {
            c->without++;
            continue;
        }
        TRY(pipe_sequences_add_text(session, &c->sequences, p->question, NULL,
                                    p->reference, end_id));
        if (!o->measuring && p->weights)
            TRY(pipe_weights_put_answer(session, p->weights, p->reference,
                                        end_id != UINT32_MAX, &c->sequences));
    }
fail:
    pipe_problems_deinit(&set);
    return st;
}

/* Drops sequences that the model has no positions for, and those that count nothing. */
static void drop_useless(struct pipe_calibration *c, uint32_t positions)
{
    struct pipe_sequences *s = &c->sequences;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct train_sequence one = s->list[i];
        if (one.n > positions) {
            c->longer++;
        } else if (!pipe_weights_count(&one)) {
            c->nothing++;
        } else {
            s->list[i] = s->list[kept];
            s->list[kept++] = one;
        }
    }
    pipe_sequences_cut(s, kept);
}

static void say_left_out(struct pipe_session *session, const char *from,
                         const struct pipe_calibration *c, uint32_t positions)
{
    if (c->sequences.count == 0)
        return; /* the refusal says it */
    if (c->without)
        rt_log(session->ctx, RT_LOG_WARNING,
               "'%s': %u problems have no %s and are left out", from, c->without,
               pipe_calibration_kind_of(from) >= PIPE_CALIBRATION_SELF ? "finished answer"
                                                                       : "solution");
    if (c->longer)
        rt_log(session->ctx, RT_LOG_WARNING,
               "'%s': %u problems are longer than the model's context of %u tokens and "
               "are left out",
               from, c->longer, positions);
    if (c->nothing)
        rt_log(session->ctx, RT_LOG_WARNING,
               "'%s': %u sequences count nothing (weight 0) and are left out", from,
               c->nothing);
    if (c->weighted)
        rt_log(session->ctx, RT_LOG_INFO,
               "'%s': %u of %u sequences have weights; %llu tokens count %.6g", from,
               c->weighted, c->sequences.count, (unsigned long long)c->tokens, c->weight);
}

static rt_status too_little(struct pipe_session *session,
                            const struct pipe_calibration_options *o,
                            const struct pipe_calibration *c)
{
    const uint64_t tokens = c->tokens + c->alone;
    const uint32_t sequences = c->sequences.count + c->alone;
    if (c->without && !c->sequences.count && !c->longer)
        return rt_fail(session->ctx, RT_ERR_INPUT,
                       "'%s': none of its %u problems has a solution to see inputs on; "
                       "give problems with solutions, or a text (.txt)",
                       o->from, c->without);
    return rt_fail(session->ctx, RT_ERR_INPUT,
                   "'%s' gives %llu token%s of %s in %u sequence%s, at least %d are "
                   "needed; give more text, or problems with solutions",
                   o->from, (unsigned long long)tokens, tokens == 1 ? "" : "s",
                   o->measuring ? "text" : "calibration text", sequences,
                   sequences == 1 ? "" : "s",
                   o->measuring ? 2 : PIPE_CALIBRATION_TOKENS_MIN);
}

static void hash_tokens(struct pipe_calibration *c)
{
    struct sha256 hash;
    char hex[65];
    sha256_init(&hash);
    c->tokens = c->targets = 0;
    c->weight = 0;
    for (uint32_t i = 0; i < c->sequences.count; i++) {
        const struct train_sequence *s = &c->sequences.list[i];
        sha256_add(&hash, &s->n, sizeof s->n);
        sha256_add(&hash, s->ids, s->n * sizeof *s->ids);
        if (s->weight) {
            sha256_add(&hash, s->weight, s->n * sizeof *s->weight);
            c->weighted++;
        }
        for (uint32_t t = 0; t < s->n; t++)
            c->weight += s->weight ? (double)s->weight[t] : 1;
        c->tokens += s->n;
        c->targets += train_sequence_targets(s);
    }
    sha256_end_hex(&hash, hex);
    snprintf(c->id, sizeof c->id, "sha256:%s", hex);
}

/* Once by hash: a second source of the same tokens keeps the first one's name. */
static rt_status store(struct pipe_session *session,
                       const struct pipe_calibration_options *o,
                       const struct pipe_calibration *c)
{
    rt_status st;
    char meta[240], weights[80] = "";
    const struct store_artifact artifact = { c->id, "dataset", (int64_t)c->tokens * 4,
                                             o->from };
    if (c->weighted)
        snprintf(weights, sizeof weights, ",\"weighted\":%u,\"weight\":%.9g", c->weighted,
                 c->weight);
    snprintf(meta, sizeof meta, "{\"sequences\":%u,\"tokens\":%llu,\"targets\":%llu%s}",
             c->sequences.count, (unsigned long long)c->tokens,
             (unsigned long long)c->targets, weights);
    TRY(store_begin(session->store));
    TRY(store_put_artifact(session->store, &artifact));
    TRY(store_describe_artifact(session->store, c->id, meta));
    TRY(store_commit(session->store));
    return RT_OK;

fail:
    store_rollback(session->store);
    return st;
}

/* A text in memory has a name that says nothing of its kind. */
static enum pipe_calibration_kind kind_of(const struct pipe_calibration_options *o)
{
    return o->text ? PIPE_CALIBRATION_TEXT : pipe_calibration_kind_of(o->from);
}

static rt_status read_kind(struct pipe_session *session,
                           const struct pipe_calibration_options *o,
                           struct rt_model *full, struct pipe_calibration *c)
{
    switch (kind_of(o)) {
    case PIPE_CALIBRATION_TEXT:
        return read_text(session, o, c);
    case PIPE_CALIBRATION_TEXTS:
        return read_texts(session, o, c);
    case PIPE_CALIBRATION_SELF:
        return pipe_calibration_of_self(session, o, full, c);
    case PIPE_CALIBRATION_RUN:
        return pipe_calibration_of_run(session, o, full, c);
    case PIPE_CALIBRATION_PROBLEMS:
        break;
    }
    return read_problems(session, o, pipe_end_id(session, full), c);
}

rt_status pipe_calibration_read(struct pipe_session *session,
                                const struct pipe_calibration_options *o,
                                struct rt_model *full, struct pipe_calibration *c)
{
    rt_status st;
    const uint32_t positions = rt_model_positions(full);
    *c = (struct pipe_calibration){ .problems =
                                        !o->text && !pipe_calibration_is_text(o->from) };
    if (!c->problems && o->length > positions)
        return rt_fail(
            session->ctx, RT_ERR_USAGE, "%s %u: the model has a context of %u tokens",
            o->measuring ? "--context" : "--calib-length", o->length, positions);
    TRY(read_kind(session, o, full, c));
    drop_useless(c, positions);
    hash_tokens(c);
    if (o->measuring ? c->targets == 0 : c->tokens < PIPE_CALIBRATION_TOKENS_MIN)
        return too_little(session, o, c);
    say_left_out(session, o->from, c, positions);
    TRY(store(session, o, c));
    return RT_OK;

fail:
    return st;
}

void pipe_calibration_deinit(struct pipe_calibration *c)
{
    pipe_sequences_free(&c->sequences);
}
