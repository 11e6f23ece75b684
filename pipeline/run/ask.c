/* pipeline/run/ask.c
 * Drives the engine for everything that asks a model: measuring, roll-outs, validation. */
#include "pipeline/run/ask.h"

#include "pipeline/prompt/answer_turn.h"
#include "pipeline/run/rescue.h"
#include "runtime/engine/engine.h"
#include "runtime/base/sha256.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* A question in flight. */
struct flight {
    struct pipe_asked question;
    uint32_t *prompt, n_prompt; /* owned; null: free */
    struct pipe_turn turn;
    enum pipe_turn_act first; /* what the turn asks for before the first token */
    struct pipe_rescue rescue;
};

struct asking {
    struct pipe_session *session;
    const struct pipe_asker *how;
    uint32_t context;
    struct flight *flights; /* [PIPE_SLOTS_MAX] */
    struct mark {
        uint32_t *ids, count; /* of "Step k:" */
    } * marks;                /* [PIPE_NUMBERED_MAX] */
    rt_status
        status; /* of a call of the asker that failed, and its message: the engine */
    char
        message[sizeof((struct rt_ctx *)0)->message]; /* only knows that it was stopped */
};

/* Keeps the first failure of the asker's own calls. */
static void keep(struct asking *a, rt_status st)
{
    if (st == RT_OK || a->status != RT_OK)
        return;
    a->status = st;
    snprintf(a->message, sizeof a->message, "%s", a->session->ctx->message);
}

uint64_t pipe_draw(const struct pipe_asked *q)
{
    struct sha256 s;
    uint8_t digest[32];
    uint64_t draw = 0;
    char number[48];
    if (q->kept)
        snprintf(number, sizeof number, "%u after %u", q->sample, q->kept);
    else
        snprintf(number, sizeof number, "%u", q->sample);
    sha256_init(&s);
    sha256_add_text(&s, q->problem->id);
    sha256_add_text(&s, number);
    sha256_end(&s, digest);
    for (int i = 0; i < 8; i++)
        draw = draw << 8 | digest[i];
    return draw;
}

uint32_t pipe_session_context(const struct pipe_session *session,
                              const struct rt_model *model)
{
    const uint32_t most = rt_model_positions(model);
    return session->context < most ? session->context : most;
}

/* ---- questions ---- */

static struct flight *free_flight(struct asking *a)
{
    for (uint32_t i = 0; i < PIPE_SLOTS_MAX; i++)
        if (!a->flights[i].prompt)
            return &a->flights[i];
    return NULL;
}

/* A question that needs no model: there is no room, or the given text ends it already. */
static rt_status reply_at_once(struct asking *a, struct flight *f, bool too_long)
{
    const struct pipe_reply reply = {
        .key = f->question.key,
        .n_prompt = f->n_prompt,
        .too_long = too_long,
        .text = "",
        .finish = too_long ? PIPE_FINISH_ERROR : PIPE_FINISH_STOP,
        .prefill_us = -1,
        .decode_us = -1,
    };
    rt_free(f->prompt);
    f->prompt = NULL;
    return a->how->take(a->how->user, &reply);
}

/* The next question that the model has to answer; null: none now. */
static rt_status next_flight(struct asking *a, struct flight **out)
{
    rt_status st = RT_OK;
    bool got = true;
    *out = NULL;
    struct flight *f = free_flight(a);
    assert(f); /* the engine asks only where it has a slot */
    for (;;) {
        *f = (struct flight){ .n_prompt = 0 };
        TRY(a->how->next(a->how->user, &f->question, &got));
        if (!got)
            return RT_OK;
        TRY(pipe_prompt_ids(a->session, f->question.problem->question, f->question.given,
                            &f->prompt, &f->n_prompt));
        f->turn.stop = a->session->prompt.chat_end;
        f->rescue.left = a->how->rescues;
        f->first = pipe_turn_start(a->session->format, &f->turn, f->question.given);
        const bool too_long = f->n_prompt + a->how->room > a->context;
        if (!too_long && f->first != PIPE_TURN_END)
            break;
        TRY(reply_at_once(a, f, too_long));
    }
    *out = f;

fail:
    return st;
}

static bool next_request(void *user, struct rt_request *out)
{
    struct asking *a = user;
    struct flight *f = NULL;
    if (a->status == RT_OK)
        keep(a, next_flight(a, &f));
    if (!f)
        return false;
    *out = (struct rt_request){ .key = (uint64_t)(f - a->flights),
                                .draw = pipe_draw(&f->question),
                                .prompt = f->prompt,
                                .n_prompt = f->n_prompt,
                                .max_new = a->session->new_tokens_max };
    return true;
}

/* ---- answers ---- */

static enum pipe_turn_act feed_token(struct asking *a, struct pipe_turn *turn,
                                     uint32_t id)
{
    size_t size = 0;
    const char *bytes = text_token_bytes(a->session->tok, id, &size);
    turn->tokens++;
    return pipe_turn_feed(a->session->format, turn, bytes, size);
}

/* Tokens from `to` on are taken back, and the runner-up of the first takes its place. */
static enum pipe_turn_act turn_back(struct asking *a, struct flight *f,
                                    const struct rt_answer *so_far, uint32_t to)
{
    (void)pipe_turn_start(a->session->format, &f->turn, f->question.given);
    for (uint32_t i = 0; i < to; i++)
        (void)feed_token(a, &f->turn, so_far->ids[i]);
    return feed_token(a, &f->turn, so_far->alt[to]);
}

static void take_turn(void *user, const struct rt_answer *so_far, struct rt_turn *out)
{
    struct asking *a = user;
    struct flight *f = &a->flights[so_far->key];
    struct pipe_turn *turn = &f->turn;
    enum pipe_turn_act act = so_far->n_gen == 0 ? f->first : PIPE_TURN_ON;
    while (turn->tokens < so_far->n_gen)
        act = feed_token(a, turn, so_far->ids[turn->tokens]);
    out->back = act != PIPE_TURN_END &&
                pipe_rescue_feed(&f->rescue, a->session->tok, so_far, &out->back_to);
    if (out->back)
        act = turn_back(a, f, so_far, out->back_to);
    out->end = act == PIPE_TURN_END;
    if (act != PIPE_TURN_STEP)
        return;
    out->forced = a->marks[turn->step - 1].ids;
    out->forced_count = a->marks[turn->step - 1].count;
}

/* Cuts `text` where a stop text begins in `given` and it together. */
static rt_status cut(struct asking *a, const char *given, char *text)
{
    const size_t before = given ? strlen(given) : 0;
    char *whole = rt_format(a->session->ctx, "%s%s", given ? given : "", text);
    if (!whole)
        return rt_fail(a->session->ctx, RT_ERR_HOST_MEMORY, "answer: no memory");
    pipe_prompt_cut(&a->session->prompt, whole);
    const size_t size = strlen(whole);
    text[size > before ? size - before : 0] = '\0';
    rt_free(whole);
    return RT_OK;
}

static rt_status take_answer(void *user, const struct rt_answer *answer)
{
    rt_status st;
    struct asking *a = user;
    struct flight *f = &a->flights[answer->key];
    char *text = NULL;
    uint32_t size;
    TRY(pipe_decode(a->session, answer->ids, answer->n_gen, &text, &size));
    TRY(cut(a, f->question.given, text));
    const struct pipe_reply reply = {
        .key = f->question.key,
        .n_prompt = f->n_prompt,
        .text = text,
        .finish =
            answer->finish == RT_FINISH_STOP ? PIPE_FINISH_STOP : PIPE_FINISH_LENGTH,
        .n_gen = answer->n_gen,
        .ids = answer->ids,
        .logprob = answer->logprob,
        .margin = answer->margin,
        .alt = answer->alt,
        .prefill_us = answer->prefill_us,
        .decode_us = answer->decode_us,
        .thrown = f->rescue.thrown,
    };
    TRY(a->how->take(a->how->user, &reply));
    rt_free(f->prompt);
    f->prompt = NULL;

fail:
    rt_free(text);
    return st;
}

static bool go_on(void *user)
{
    struct asking *a = user;
    if (a->status == RT_OK && a->how->between)
        keep(a, a->how->between(a->how->user));
    return a->status == RT_OK;
}

/* ---- the whole ---- */

static rt_status encode_marks(struct asking *a)
{
    rt_status st = RT_OK;
    char text[24];
    for (uint32_t k = 0; a->session->format->numbered && k < PIPE_NUMBERED_MAX; k++) {
        snprintf(text, sizeof text, "Step %u:", k + 1);
        TRY(text_encode(a->session->tok, text, strlen(text), false, &a->marks[k].ids,
                        &a->marks[k].count));
    }

fail:
    return st;
}

/* As many questions at once as memory holds. */
static rt_status open_engine(struct asking *a)
{
    rt_status st = RT_OK;
    const struct pipe_asker *how = a->how;
    struct rt_engine_options options = {
        .context = a->context,
        .sampling = { how->temperature, how->top_p, a->session->seed },
        .slots = how->slots ? how->slots : PIPE_SLOTS_MAX,
    };
    pipe_stop_ids(a->session, how->model, &options);
    for (; !*how->engine && options.slots > 0; options.slots /= 2) {
        st = rt_engine_create(how->model, how->adapter, &options, how->engine);
        if (st != RT_ERR_NO_DEVICE && st != RT_ERR_DEVICE_MEMORY)
            break;
    }
    return st;
}

static rt_status init(struct asking *a)
{
    rt_status st;
    struct rt_ctx *ctx = a->session->ctx;
    a->flights = rt_alloc(ctx, PIPE_SLOTS_MAX, sizeof *a->flights);
    a->marks = rt_alloc(ctx, PIPE_NUMBERED_MAX, sizeof *a->marks);
    if (!a->flights || !a->marks)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to ask a model");
    TRY(encode_marks(a));
    TRY(open_engine(a));

fail:
    return st;
}

static void deinit(struct asking *a)
{
    for (uint32_t i = 0; a->flights && i < PIPE_SLOTS_MAX; i++)
        rt_free(a->flights[i].prompt);
    for (uint32_t i = 0; a->marks && i < PIPE_NUMBERED_MAX; i++)
        rt_free(a->marks[i].ids);
    rt_free(a->flights);
    rt_free(a->marks);
}

rt_status pipe_ask(struct pipe_session *session, const struct pipe_asker *asker)
{
    rt_status st;
    struct asking a = { .session = session, .how = asker };
    a.context = pipe_session_context(session, asker->model);
    const bool turns =
        pipe_turn_needed(session->format) || session->prompt.chat_end || asker->rescues;
    const struct rt_engine_calls calls = { next_request, take_answer, go_on,
                                           turns ? take_turn : NULL, &a };
    assert(asker->engine && asker->room > 0);
    assert(asker->rescues == 0 || !(asker->temperature > 0));
    TRY(init(&a));
    st = rt_engine_run(*asker->engine, &calls);
    if (a.status != RT_OK) {
        st = a.status;
        snprintf(session->ctx->message, sizeof a.message, "%s", a.message);
    }

fail:
    deinit(&a);
    return st;
}
