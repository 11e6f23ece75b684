/* pipeline/run/ask.h
 * The one way in which a model is asked: questions, and answers that begin with given text
 * (continuations). Prompt, stop texts, forced steps, limits and random numbers are the same
 * for both, so that a continuation is what the model would have written after that text. */
#ifndef PIPELINE_RUN_ASK_H
#define PIPELINE_RUN_ASK_H

#include "pipeline/run/session.h"

enum { PIPE_SLOTS_MAX = 64 };

struct pipe_asked {
    uint64_t key;                       /* the caller's */
    const struct pipe_problem *problem; /* borrowed until the reply */
    const char *given; /* first bytes of the answer, borrowed; null or "": none */
    uint32_t kept,
        sample; /* random numbers: steps in `given`, number of the drawn answer */
};

/* Valid during the call. */
struct pipe_reply {
    uint64_t key;
    uint32_t n_prompt;
    bool too_long;           /* no room in the context: nothing was asked, no text */
    const char *text;        /* what follows `given`, cut at the format's stop texts */
    enum pipe_finish finish; /* PIPE_FINISH_ERROR if it is too long */
    uint32_t n_gen;
    const uint32_t *ids; /* n_gen of each; null where n_gen is 0 */
    const float *logprob, *margin;
    const uint32_t *alt;
    int64_t prefill_us, decode_us; /* -1: not measured */
    uint32_t thrown;               /* tokens thrown away by rescues, beside n_gen */
};

struct pipe_asker {
    struct rt_model *model;
    struct rt_adapter *adapter; /* may be null */
    float temperature, top_p;   /* 0: greedy; 1: everything */
    uint32_t rescues; /* times that an answer is taken out of a loop at most (rescue.h); 0
                         unless greedy */
    uint32_t
        slots; /* questions at once at most; 0: as many as fit, PIPE_SLOTS_MAX at most */
    uint32_t room; /* tokens that a prompt must leave for the answer, at least 1 */
    /* Created if *engine is NULL; the caller owns it. Another call with the same model
     * and sampling finds the beginnings of its prompts in the cache. */
    struct rt_engine **engine;
    /* The next question; *got false: none now. */
    rt_status (*next)(void *user, struct pipe_asked *out, bool *got);
    rt_status (*take)(void *user, const struct pipe_reply *reply);
    /* Between steps of the engine; anything but RT_OK ends the call at once with it, and
     * questions in flight are dropped. May be null. */
    rt_status (*between)(void *user);
    void *user;
};

/* Tokens of prompt and answer that a model has for the loop's format. */
uint32_t pipe_session_context(const struct pipe_session *session,
                              const struct rt_model *model);
/* Asks until `next` has nothing more and all replies are taken. */
RT_CHECKED rt_status pipe_ask(struct pipe_session *session,
                              const struct pipe_asker *asker);
/* The sampling key: a function of problem, place and sample, never of an order. */
uint64_t pipe_draw(const struct pipe_asked *question);

#endif
