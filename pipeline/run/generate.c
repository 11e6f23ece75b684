/* pipeline/run/generate.c
 * A prompt is made ready without a device, so that a mistake in it costs no loading. The
 * engine then answers one request; text is given out as soon as its characters are whole. */
#include "pipeline/run/generate.h"

#include "pipeline/run/rescue.h"
#include "runtime/engine/engine.h"
#include "runtime/format/checkpoint.h"
#include "runtime/text/chat.h"
#include "runtime/text/tokenizer.h"

#include <string.h>

struct pipe_generator {
    struct rt_ctx *ctx;
    const char *path; /* of the model, borrowed */
    struct text_tokenizer *tok;
    char *text;           /* of the prompt, owned */
    size_t text_size;     /* bytes */
    uint32_t *ids, n_ids; /* of the prompt; owned */
    uint32_t max_new, rescues;
    struct rt_engine_options engine; /* context, sampling, stop ids */
    struct text_chat_end end;        /* of an answer; zero for a prompt that is no chat */
};

/* ---- the prompt ---- */

/* The prompt as a turn of a chat. */
static rt_status render_chat(struct pipe_generator *g,
                             const struct pipe_generate_options *o)
{
    rt_status st;
    struct text_chat *chat = NULL;
    const struct text_chat_options how = { .model = g->path,
                                           .format = o->chat_format,
                                           .date = o->chat_date,
                                           .thinking = o->thinking ? CHAT_THINKING_ON
                                                       : o->no_thinking
                                                           ? CHAT_THINKING_OFF
                                                           : CHAT_THINKING_USUAL };
    const struct chat_message messages[] = { { CHAT_SYSTEM, o->system },
                                             { CHAT_USER, o->prompt } };
    if (strlen(o->prompt) != o->prompt_size)
        return rt_fail(g->ctx, RT_ERR_INPUT,
                       "the prompt has a zero byte, which no chat has");
    TRY(text_chat_create(g->ctx, &how, &chat));
    TRY(text_chat_check(chat, g->tok));
    TRY(text_chat_render(chat, messages + !o->system, 1 + !!o->system, &g->text));
    g->text_size = strlen(g->text);
    text_chat_end(chat, g->tok, &g->end);

fail:
    text_chat_destroy(&chat);
    return st;
}

static rt_status encode(struct pipe_generator *g, const struct pipe_generate_options *o)
{
    rt_status st;
    TRY(text_tokenizer_load(g->ctx, g->path, &g->tok));
    if (o->chat) {
        TRY(render_chat(g, o));
        TRY(text_encode(g->tok, g->text, g->text_size, true, &g->ids, &g->n_ids));
    } else {
        g->text_size = o->prompt_size;
        g->text = rt_alloc(g->ctx, o->prompt_size + 1, 1);
        if (!g->text)
            return rt_fail(g->ctx, RT_ERR_HOST_MEMORY, "no memory for the prompt");
        memcpy(g->text, o->prompt, o->prompt_size);
        TRY(text_encode_prompt(g->tok, g->text, g->text_size, false, &g->ids, &g->n_ids));
    }
    if (g->n_ids == 0)
        st = rt_fail(g->ctx, RT_ERR_USAGE, "the prompt is empty");

fail:
    return st;
}

/* The prompt must leave room for one token; an answer is cut to the room there is. */
static rt_status check_room(struct pipe_generator *g)
{
    struct fmt_model *file = NULL;
    const rt_status st = fmt_model_open(g->ctx, g->path, &file);
    if (st != RT_OK)
        return st;
    const struct fmt_config *c = fmt_model_config(file);
    const uint32_t most = c->max_positions, rows = c->vocab;
    rt_engine_stop_at(&g->engine, g->end.ids, g->end.count);
    rt_engine_stop_at(&g->engine, c->eos, c->eos_count);
    fmt_model_close(&file);
    if (text_vocab_size(g->tok) > rows)
        return rt_fail(g->ctx, RT_ERR_INPUT,
                       "'%s': its tokenizer has %u ids, its embedding %u rows; they do "
                       "not belong together",
                       g->path, text_vocab_size(g->tok), rows);
    if (g->n_ids >= most)
        return rt_fail(g->ctx, RT_ERR_USAGE,
                       "the prompt has %u tokens, the context of '%s' %u", g->n_ids,
                       g->path, most);
    g->engine.context = most - g->n_ids < g->max_new ? most : g->n_ids + g->max_new;
    return RT_OK;
}

rt_status pipe_generator_create(struct rt_ctx *ctx, const struct pipe_generate_options *o,
                                struct pipe_generator **out)
{
    rt_status st;
    struct pipe_generator *g = rt_alloc(ctx, 1, sizeof *g);
    *out = g;
    if (!g)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for the prompt");
    *g = (struct pipe_generator){
        .ctx = ctx,
        .path = o->model,
        .max_new = o->new_tokens_max,
        .rescues = o->rescues,
        .engine = { .slots = 1,
                    .sampling = { .temperature = o->temperature,
                                  .top_p = o->top_p,
                                  .seed = o->seed } },
    };
    TRY(encode(g, o));
    TRY(check_room(g));
    return RT_OK;

fail:
    pipe_generator_destroy(out);
    return st;
}

void pipe_generator_destroy(struct pipe_generator **generator)
{
    struct pipe_generator *g = *generator;
    if (!g)
        return;
    text_tokenizer_destroy(&g->tok);
    rt_free(g->text);
    rt_free(g->ids);
    rt_free(g);
    *generator = NULL;
}

void pipe_generator_prompt(const struct pipe_generator *g,
                           struct pipe_generate_prompt *out)
{
    *out = (struct pipe_generate_prompt){ .text = g->text,
                                          .size = g->text_size,
                                          .ids = g->ids,
                                          .count = g->n_ids,
                                          .stop_ids = g->engine.stop_ids,
                                          .stop_count = g->engine.stop_count,
                                          .stop_text = g->end.text };
}

/* ---- the answer ---- */

struct answering {
    struct pipe_generator *g;
    const struct pipe_generate_run *run;
    struct pipe_generated *out;
    struct text_stream stream;
    struct pipe_rescue rescue;
    bool asked;
    uint32_t shown;    /* tokens whose text is known */
    size_t given;      /* bytes of out->text that were given out */
    bool ended;        /* the text that ends an answer has come */
    bool unread;       /* nobody reads on */
    rt_status trouble; /* of giving out text */
};

static bool next(void *user, struct rt_request *request)
{
    struct answering *a = user;
    *request = (struct rt_request){ .prompt = a->g->ids,
                                    .n_prompt = a->g->n_ids,
                                    .max_new = a->g->max_new };
    const bool first = !a->asked;
    a->asked = true;
    return first;
}

/* Bytes at the end of a text that may be the start of `stop`. */
static size_t started(const char *text, size_t size, const char *stop)
{
    const size_t length = strlen(stop);
    size_t n = size < length ? size : length;
    while (n && memcmp(text + size - n, stop, n) != 0)
        n--;
    return n;
}

/* Gives out what is known to belong to the answer. */
static void give_out(struct answering *a, bool last)
{
    struct pipe_generated *o = a->out;
    const char *stop = a->g->end.text;
    char *found = *stop ? strstr(o->text + a->given, stop) : NULL;
    if (found) {
        a->ended = true;
        *found = '\0';
        o->text_size = (size_t)(found - o->text);
    }
    const char *rest = o->text + a->given;
    const size_t left = o->text_size - a->given;
    const size_t held = last || a->ended ? 0 : started(rest, left, stop);
    a->given += left - held;
    if (a->run->text && !a->g->rescues && !a->run->text(a->run->user, rest, left - held))
        a->unread = true;
}

/* Adds to the text of the answer. */
static rt_status give(struct answering *a, const char *text, size_t size, bool last)
{
    struct pipe_generated *o = a->out;
    if (a->ended)
        return RT_OK;
    char *longer = rt_resize(a->g->ctx, o->text, o->text_size + (o->text != NULL),
                             o->text_size + size + 1, 1);
    if (!longer)
        return rt_fail(a->g->ctx, RT_ERR_HOST_MEMORY, "no memory for the answer");
    memcpy(longer + o->text_size, text, size);
    o->text = longer;
    o->text_size += size;
    give_out(a, last);
    return RT_OK;
}

/* Text that is complete with the first n ids of the answer. */
static rt_status show(struct answering *a, const uint32_t *ids, uint32_t n)
{
    char *text = NULL;
    size_t size;
    rt_status st =
        text_stream_push(&a->stream, ids + a->shown, n - a->shown, &text, &size);
    a->shown = n;
    if (st == RT_OK)
        st = give(a, text, size, false);
    rt_free(text);
    return st;
}

/* What came after the first n ids is not part of the answer. */
static rt_status show_again(struct answering *a, const uint32_t *ids, uint32_t n)
{
    text_stream_init(&a->stream, a->g->tok, true);
    rt_free(a->out->text);
    a->out->text = NULL;
    a->shown = 0;
    a->given = a->out->text_size = 0;
    return show(a, ids, n);
}

/* With rescues text is taken back here, so all of it is given out at the end. */
static void turn(void *user, const struct rt_answer *so_far, struct rt_turn *how)
{
    struct answering *a = user;
    if (so_far->n_gen > a->shown && a->trouble == RT_OK)
        a->trouble = show(a, so_far->ids, so_far->n_gen);
    how->back =
        !a->ended && pipe_rescue_feed(&a->rescue, a->g->tok, so_far, &how->back_to);
    if (how->back && a->trouble == RT_OK)
        a->trouble = show_again(a, so_far->ids, how->back_to);
    how->end = a->trouble != RT_OK || a->unread || a->ended;
}

static bool go_on(void *user)
{
    const struct answering *a = user;
    return !pipe_stopping(a->run->host);
}

static rt_status copy(struct answering *a, const struct rt_answer *answer)
{
    struct pipe_generated *o = a->out;
    struct rt_ctx *ctx = a->g->ctx;
    o->finish = answer->finish == RT_FINISH_STOP ? PIPE_FINISH_STOP : PIPE_FINISH_LENGTH;
    o->n_prompt = a->g->n_ids;
    o->n = answer->n_gen;
    o->prefill_us = answer->prefill_us;
    o->decode_us = answer->decode_us;
    o->thrown = a->rescue.thrown;
    o->ids = rt_alloc(ctx, o->n, sizeof *o->ids);
    o->logprob = rt_alloc(ctx, o->n, sizeof *o->logprob);
    o->margin = rt_alloc(ctx, o->n, sizeof *o->margin);
    if (!o->ids || !o->logprob || !o->margin)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for the answer");
    memcpy(o->ids, answer->ids, o->n * sizeof *o->ids);
    memcpy(o->logprob, answer->logprob, o->n * sizeof *o->logprob);
    memcpy(o->margin, answer->margin, o->n * sizeof *o->margin);
    return RT_OK;
}

static rt_status done(void *user, const struct rt_answer *answer)
{
    rt_status st;
    struct answering *a = user;
    char *tail = NULL;
    size_t size;
    TRY(a->trouble);
    TRY(show(a, answer->ids, answer->n_gen));
    TRY(text_stream_end(&a->stream, &tail, &size));
    TRY(give(a, tail, size, true));
    if (a->run->text && a->g->rescues)
        (void)a->run->text(a->run->user, a->out->text, a->out->text_size);
    TRY(copy(a, answer));

fail:
    rt_free(tail);
    return st;
}

static rt_status ask(struct answering *a, struct rt_engine *engine)
{
    const struct rt_engine_calls calls = {
        .next = next, .done = done, .go_on = go_on, .turn = turn, .user = a
    };
    struct rt_engine_stats stats;
    text_stream_init(&a->stream, a->g->tok, true);
    const rt_status st = rt_engine_run(engine, &calls);
    rt_engine_stats_get(engine, &stats);
    a->out->cache_bytes = stats.cache_bytes;
    a->out->cache_bytes_used_max = stats.cache_bytes_used_max;
    return st == RT_ERR_INTERRUPTED ? rt_fail(a->g->ctx, st, "stopped") : st;
}

rt_status pipe_generator_run(struct pipe_generator *g,
                             const struct pipe_generate_run *run,
                             struct pipe_generated *out)
{
    rt_status st;
    struct rt_model *model = NULL;
    struct rt_adapter *adapter = NULL;
    struct rt_engine *engine = NULL;
    struct answering a = {
        .g = g, .run = run, .out = out, .rescue = { .left = g->rescues }
    };
    *out = (struct pipe_generated){ 0 };
    TRY(rt_model_load(run->dev, g->path, g->engine.context, &model));
    if (run->adapter)
        TRY(rt_adapter_load(model, run->adapter, &adapter));
    g->engine.round_prompts = true; /* --products auto; what is judged is not made here */
    TRY(rt_engine_create(model, adapter, &g->engine, &engine));
    TRY(ask(&a, engine));

fail:
    rt_engine_destroy(&engine);
    rt_adapter_destroy(&adapter);
    rt_model_destroy(&model);
    return st;
}

void pipe_generated_deinit(struct pipe_generated *g)
{
    rt_free(g->ids);
    rt_free(g->logprob);
    rt_free(g->margin);
    rt_free(g->text);
    *g = (struct pipe_generated){ 0 };
}

rt_status pipe_prompt_read(struct rt_ctx *ctx, FILE *in, char **out, size_t *size)
{
    size_t capacity = 1 << 16, used = 0, n;
    char *text = rt_alloc(ctx, capacity, 1);
    *out = text;
    while (text && (n = fread(text + used, 1, capacity - used - 1, in)) > 0) {
        used += n;
        if (used + 1 < capacity)
            continue;
        text = rt_resize(ctx, text, capacity, 2 * capacity, 1);
        *out = text ? text : *out;
        capacity *= 2;
    }
    if (!text)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for the prompt");
    if (ferror(in))
        return rt_fail(ctx, RT_ERR_INPUT, "standard input cannot be read");
    if (used && text[used - 1] == '\n')
        text[--used] = '\0';
    *size = used;
    return RT_OK;
}
