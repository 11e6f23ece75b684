/* runtime/engine/engine_impl.h
 * Private to runtime/engine: the engine's parts, made in engine.c, scheduled in
 * engine_schedule.c, run in engine_run.c; the memory of its cache in engine_cache.c. */
#ifndef RUNTIME_ENGINE_ENGINE_IMPL_H
#define RUNTIME_ENGINE_ENGINE_IMPL_H

#include "runtime/engine/engine.h"
#include "runtime/engine/pages.h"
#include "runtime/model/model_impl.h"

enum { PAGE = PAGES_TOKENS, SLOTS_MAX = 64, BUCKETS_MAX = 28, STAT_WORDS = 8 };
#define NO_INDEX UINT32_MAX

/* The forward pass of a step of up to `rows` rows. */
struct bucket {
    uint32_t rows, head_rows;
    bool may_round; /* of prompts, whose products may be rounded */
    bool stale;     /* the list names buffers that are gone: recorded again before use */
    struct rt_list *list;
};

/* One request under way. The page table row of slot i is table[i * pages_per_slot]. */
struct slot {
    bool active;
    struct rt_request request;
    uint32_t pages;   /* entries of its table row; 0: it waits for memory */
    uint32_t named;   /* of these, the first `named` are published, or shared, */
    uint64_t chain;   /* and this is the id of the last of them */
    uint32_t done;    /* tokens whose keys are in the cache or in this step, */
    uint32_t covered; /* of these, there before: the last may be computed again */
    uint32_t n_gen;
    uint32_t limit; /* n_gen at which it ends */
    double prefill_ns, decode_ns;
    uint32_t *ids; /* generated, [context] each, all part of one block */
    uint32_t *alt;
    float *logprob, *margin;
    uint32_t step_rows; /* rows in the step under way, */
    bool step_prompt;   /* the first of them of the prompt */
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
    struct rt_buffer *stat;         /* READBACK [slots][8] */
    struct rt_buffer *table;        /* UPLOAD uint [slots][pages_per_slot] */
    struct rt_buffer **kv;          /* a layer */
    uint32_t pages_per_slot, ld_kv; /* ld_kv: elements of a token's K and V */
    uint64_t page_layer_bytes;      /* of a page in the cache of one layer */
    struct pages *pages;            /* those that the buffers hold */
    uint32_t pages_most; /* there may be; options.pages, or less while memory is short */
    struct bucket buckets[BUCKETS_MAX];
    uint32_t bucket_count;
    struct slot slots[SLOTS_MAX];
    uint32_t order[SLOTS_MAX], active; /* active slots, the oldest first */
    uint32_t *words;                   /* backs the slots' arrays */
    struct rt_engine_stats stats;
};

/* What a step holds. */
struct step {
    uint32_t rows, heads;
    bool may_round; /* its rows are of prompts; set where prompts are rounded only */
    double keys;    /* summed over rows */
};

/* Tokens of a request so far: prompt, chosen and forced. */
static inline uint32_t engine_known(const struct slot *s)
{
    return s->request.n_prompt + s->n_gen;
}

/* Puts a slot that was just filled at the end of the order; takes one out of it. */
void engine_slot_begin(struct rt_engine *e, uint32_t slot);
void engine_slot_end(struct rt_engine *e, uint32_t slot);
/* Some of its tokens are others now: what it has in the cache is given up, and found again
 * or computed again. */
void engine_slot_restart(struct rt_engine *e, uint32_t slot);
/* Chooses what the next step computes, and writes it to the buffers the step reads. The
 * cache may grow; a failure is one of the device, not of memory for it. */
RT_CHECKED rt_status engine_schedule(struct rt_engine *e, struct step *out);
/* Rows of a step that are nobody's. */
void engine_fill_padding(struct rt_engine *e, const struct step *step,
                         const struct bucket *bucket);

/* Records the forward pass of a step anew: after creation, or with a cache that has grown. */
RT_CHECKED rt_status engine_record(struct rt_engine *e, struct bucket *bucket);

/* The cache with its first pages; e->kv has room for a buffer per layer. After a failure
 * engine_cache_destroy takes down what there is. */
RT_CHECKED rt_status engine_cache_create(struct rt_engine *e);
void engine_cache_destroy(struct rt_engine *e);
/* Takes a page, for which the cache may grow; PAGES_NONE: all that there can be are in use. */
RT_CHECKED rt_status engine_page_take(struct rt_engine *e, uint32_t *page);
/* Pages with a reference; pages that engine_page_take would give as things are. */
uint32_t engine_pages_used(const struct rt_engine *e);
uint32_t engine_pages_room(const struct rt_engine *e);

#endif
