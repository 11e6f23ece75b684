/* runtime/engine/engine.h
 * Continuous batching over a paged KV cache. Requests are pulled when a slot is free
 * and handed back when they end; prompts are prefilled in chunks beside the decoding
 * of others. Requests that begin with the same tokens share the pages of these (pages.h);
 * what was computed stays until its memory is needed, also between runs. Pages are taken
 * as a request grows, and the cache grows when they run out; where it cannot, the youngest
 * waits and is computed again.
 * What a request answers does not depend on any of this, nor on what runs beside it: every
 * kernel sums in an order fixed by the plan, so tokens and log-probabilities are the
 * same bits at any batch size, in any order, after any interruption. */
#ifndef RUNTIME_ENGINE_ENGINE_H
#define RUNTIME_ENGINE_ENGINE_H

#include "runtime/model/model_layout.h"

struct rt_engine;

struct rt_sampling {
    float temperature; /* 0: greedy */
    float top_p;       /* 1: everything */
    uint64_t seed;     /* random numbers are keyed by (seed, draw, position) */
};

struct rt_engine_options {
    uint32_t slots;     /* requests at once, 1 .. 64; 0: 64 */
    uint32_t rows_max;  /* token rows per step, a multiple of 64; 0: 256 */
    uint32_t context;   /* longest prompt + answer, tokens */
    uint32_t pages;     /* of 16 tokens in the cache; 0: what all slots can use. Less than
                             that where memory is less; requests then wait for pages. The
                             cache begins with those of one request and grows up to them. */
    bool pages_at_once; /* all of them from the beginning (tests, timing) */
    bool no_sharing;    /* every request computes all of its tokens (tests, timing) */
    bool round_prompts; /* products of prompts as struct rt_plan.rounded says; generated
                              tokens never. A step then computes either. */
    uint32_t stop_ids[12]; /* generation ends after one of these: the 8 of a config and
                              others (rt_engine_stop_at) */
    uint32_t stop_count;
    struct rt_sampling sampling;
};

/* Adds stop ids that are not there yet; those beyond the room are left out. */
static inline void rt_engine_stop_at(struct rt_engine_options *o, const uint32_t *ids,
                                     uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = 0;
        while (k < o->stop_count && o->stop_ids[k] != ids[i])
            k++;
        if (k == o->stop_count && k < RT_COUNT(o->stop_ids))
            o->stop_ids[o->stop_count++] = ids[i];
    }
}

struct rt_request {
    uint64_t key;           /* the caller's */
    const uint32_t *prompt; /* borrowed until the request is done */
    uint32_t n_prompt;      /* > 0 */
    uint32_t max_new;       /* > 0; cut to what the context holds */
    uint64_t draw;          /* the sampling key */
    uint32_t assumed; /* < n_prompt: this many first tokens are taken to be in the cache,
                               whatever lies there. For timing only. */
};

enum rt_finish { RT_FINISH_STOP, RT_FINISH_LENGTH };

/* Arrays of n_gen, valid during the callback. The stop token is the last. */
struct rt_answer {
    uint64_t key;
    enum rt_finish finish;
    uint32_t n_gen;
    const uint32_t *ids;
    const float *logprob;          /* of each token, nats */
    const float *margin;           /* log p(token) - max log p(other) */
    const uint32_t *alt;           /* the best other token */
    int64_t prefill_us, decode_us; /* its share (by rows) of the steps it was in */
};

/* Fills the next request and returns true, or false when there is none now. */
typedef bool rt_next_fn(void *user, struct rt_request *out);
/* Takes a finished request; anything but RT_OK ends the run with that status. */
typedef rt_status rt_done_fn(void *user, const struct rt_answer *answer);
/* Asked between steps: false ends the run with RT_ERR_INTERRUPTED, work in flight is
 * dropped (it was not reported, so it will be done again). May be null. */
typedef bool rt_go_on_fn(void *user);

/* How a request continues after its tokens so far; zero: as the model chooses. */
struct rt_turn {
    bool end; /* here, as if a stop token had come */
    /* First of all: tokens from `back_to` on are taken back, and the runner-up of the first
     * of them stands in its place, with its own log-probability and a margin of the other
     * sign. A token that was chosen, not forced. Those taken back count towards the
     * request's limit. */
    bool back;
    uint32_t back_to;
    /* Tokens that come next whatever the model would choose (constrained decoding), copied
     * at once, cut at the request's limit. Their log-probability is 0, their margin
     * infinite. */
    const uint32_t *forced;
    uint32_t forced_count;
};
/* Asked when a request begins (n_gen 0) and after each token that was chosen and did not
 * end it. so_far: valid during the call, forced tokens included; `finish` and times are not
 * set. */
typedef void rt_turn_fn(void *user, const struct rt_answer *so_far, struct rt_turn *turn);

struct rt_engine_calls {
    rt_next_fn *next;
    rt_done_fn *done;
    rt_go_on_fn *go_on; /* may be null */
    rt_turn_fn *turn;   /* may be null */
    void *user;
};

struct rt_engine_stats {
    uint32_t pages;          /* of the cache, at most: rt_engine_pages */
    uint32_t pages_held;     /* of these, with memory now; never fewer than before */
    uint32_t pages_used_max; /* the most that the requests of one step had */
    uint64_t cache_bytes;    /* of the buffers of the cache now, */
    uint64_t cache_bytes_used_max; /* and of pages_used_max pages */
    uint32_t grown;                /* times that the cache grew, */
    uint32_t not_grown;            /* that there was no memory for it, */
    uint32_t recorded;             /* and that a step was recorded again after it grew */
    uint64_t steps;                /* submissions of the forward pass */
    uint64_t rows;                 /* token rows computed, padding apart */
    uint64_t rows_shared;          /* not computed, as another request had */
    uint64_t put_back;    /* times that a request lost its pages to an older one */
    uint64_t rows_padded; /* with padding */
    uint64_t tokens;      /* tokens generated */
    double wall_seconds;  /* inside rt_engine_run */
    double flops;         /* counted, padding apart */
};

/* Pages that the cache can grow to: all that the slots can ever use (options.pages), or
 * fewer if the free memory, or what one binding holds of a layer, is less. Where host and
 * device share memory, half of it is left to the host; on a discrete GPU a tenth stays
 * free. */
struct rt_engine_pages {
    uint32_t requests; /* of that context that they hold at once, at most the slots */
    uint32_t pages;    /* 0: not even one request of that context fits: */
    uint64_t need;     /* bytes with one request, */
    uint64_t room;     /* bytes that there are */
    uint64_t bytes;    /* of the engine's buffers with these pages: what it takes at most;
                          while the cache grows, up to a layer of it more */
};
/* Of an engine without adapter for a model of this shape on a device of this plan, beside
 * the model, with `left` bytes on the device. */
struct rt_engine_pages rt_engine_pages(const struct model_size *model,
                                       const struct rt_plan *plan,
                                       const struct rt_engine_options *options,
                                       uint64_t left);
/* Allocates what a run needs: activations, the cache of one request of the longest kind,
 * one recording per row bucket. Only the cache grows, while requests need more pages; if
 * there is no memory for that, they wait for pages. The model, and the adapter (null: none),
 * outlive the engine.
 * RT_ERR_USAGE if the context exceeds the model's, RT_ERR_NO_DEVICE if it exceeds
 * rt_plan_keys_max or memory. */
RT_CHECKED rt_status rt_engine_create(struct rt_model *model, struct rt_adapter *adapter,
                                      const struct rt_engine_options *options,
                                      struct rt_engine **out);
void rt_engine_destroy(struct rt_engine **engine);
/* Runs until `next` has nothing more and all requests are done. Can be called again.
 * A prompt that leaves no room in the context is RT_ERR_USAGE: check before. */
RT_CHECKED rt_status rt_engine_run(struct rt_engine *engine,
                                   const struct rt_engine_calls *calls);
void rt_engine_stats_get(const struct rt_engine *engine, struct rt_engine_stats *out);

#endif
