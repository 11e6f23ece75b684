/* pipeline/restore/curate.h
 * The Silver Bullet set: which located faults become training items.
 *
 * The prompt of an item is the text that a model is asked, with worked examples and chat
 * turns, and the wrong answer's own text before the faulty step, unchanged. A chosen or
 * rejected step that is the last of its answer is followed by the token that ends answers.
 *
 * Selection is a function of the candidates, the options and the seed: candidates that
 * cannot be used are dropped with a reason, the rest is taken in turns from the cells
 * (category x step position), a random one of each, so that rare kinds are not drowned.
 */
#ifndef PIPELINE_RESTORE_CURATE_H
#define PIPELINE_RESTORE_CURATE_H

#include "pipeline/data/problems.h"
#include "pipeline/prompt/prompt_format.h"

enum pipe_item_kind { PIPE_ITEMS_SFT, PIPE_ITEMS_DPO, PIPE_ITEMS_KL };

enum { PIPE_ITEMS_DEFAULT = 332, PIPE_ITEM_BYTES_MAX = 1 << 16 };

enum pipe_drop {
    PIPE_DROP_NONE,       /* chosen */
    PIPE_DROP_NO_FAULT,   /* no locator named a step */
    PIPE_DROP_NO_REPAIR,  /* no text to choose instead */
    PIPE_DROP_UNVERIFIED, /* the continuation after the repair is not right */
    PIPE_DROP_SAME,       /* differs from the rejected step by spacing at most */
    PIPE_DROP_TRUNCATED,  /* the rejected step was cut by the token cap */
    PIPE_DROP_LONG,       /* over the length limit */
    PIPE_DROP_MEASURED,   /* its question is in a measured split */
    PIPE_DROP_NEAR,       /* a near copy of one there (near_copy.h) */
    PIPE_DROP_DUPLICATE,  /* same question, or same prefix and rejected step */
    PIPE_DROP_SURPLUS,    /* usable, but max_items was reached */
    PIPE_DROP_COUNT
};

const char *pipe_drop_reason(enum pipe_drop drop);

/* A fault and what could be learnt from it. */
struct pipe_candidate {
    struct pipe_item item; /* rejected null for whole solutions; step -1: no fault */
    const char *question;
    const char *answer; /* the right one; null: near copies are not looked for */
    const char *given; /* the prefix in item.prompt: text of the answer before the step */
    bool chosen_ends, rejected_ends; /* the step is the last one of its answer */
    bool verified;                   /* after `chosen`, the right answer is reached */
    bool truncated; /* the wrong answer hit the token cap within the rejected step */
};

struct pipe_curate_options {
    enum pipe_item_kind kind;
    uint32_t max_items; /* 0: PIPE_ITEMS_DEFAULT */
    uint32_t bytes_max; /* of prompt + chosen or rejected; 0: PIPE_ITEM_BYTES_MAX */
    uint64_t seed;
    const struct pipe_problem_set *const *measured; /* no item may be of these */
    uint32_t measured_count;
    bool allow_measured; /* the explicit override: the result is in-sample */
};

struct pipe_curated {
    uint32_t *picked; /* indices of candidates, ascending */
    uint32_t count;
    enum pipe_drop *drops;             /* one per candidate */
    uint32_t dropped[PIPE_DROP_COUNT]; /* by reason; [PIPE_DROP_NONE] is `count` */
};

RT_CHECKED rt_status pipe_curate(struct rt_ctx *ctx, const struct pipe_candidate *all,
                                 uint32_t count,
                                 const struct pipe_curate_options *options,
                                 struct pipe_curated *out);
void pipe_curated_deinit(struct pipe_curated *curated);

/* Makes a pair: the prefix of `output` before step `step`, that step as rejected, the
 * first step of `continuation` (which continues the prefix) as chosen. Null
 * continuation or no such step: chosen or rejected stay null and pipe_curate drops it.
 * Strings go into `pool`. `category`, `source` and `verified` are the caller's to set. */
RT_CHECKED rt_status pipe_candidate_pair(struct rt_ctx *ctx, struct pipe_pool *pool,
                                         const struct pipe_prompt *prompt,
                                         const struct pipe_problem *problem,
                                         const char *output, int32_t step,
                                         const char *continuation,
                                         struct pipe_candidate *out);
/* Makes a whole-solution item (sft, kl): `solution` as chosen, nothing rejected. Null
 * solution: pipe_curate drops it. */
RT_CHECKED rt_status pipe_candidate_whole(struct rt_ctx *ctx, struct pipe_pool *pool,
                                          const struct pipe_prompt *prompt,
                                          const struct pipe_problem *problem,
                                          int32_t step, const char *solution,
                                          struct pipe_candidate *out);

bool pipe_same_but_spacing(const char *a, const char *b);

/* ---- controls ---- */

/* Random items: `want` different problems among those with eligible[i], in random
 * order; returns how many there were. */
RT_CHECKED rt_status pipe_control_problems(struct rt_ctx *ctx, const bool *eligible,
                                           uint32_t count, uint32_t want, uint64_t seed,
                                           uint32_t *picked, uint32_t *picked_count);
/* random-step: another step than the fault at which the answer also differs from what the
 * full model says there (`differs`, one per step); -1 if there is none. */
int32_t pipe_control_step(const bool *differs, uint32_t count, int32_t fault,
                          uint64_t seed, uint32_t item);
/* shuffled: whether chosen and rejected of this item change places. */
bool pipe_control_swaps(uint64_t seed, uint32_t item);

/* ---- export ---- */

/* JSON Lines in TRL's field names: prompt, chosen, rejected for pairs, prompt, completion
 * for whole solutions; beside them problem_id, category, step, source. */
RT_CHECKED rt_status pipe_items_write(struct rt_ctx *ctx, const struct pipe_item *items,
                                      uint32_t count, enum pipe_item_kind kind,
                                      FILE *file);

#endif
