/* pipeline/cli/loop.h
 * The loop as the commands run it: measure, locate, train, measure again, each stage a
 * set of rows in the store that the same command finds again. */
#ifndef PIPELINE_CLI_LOOP_H
#define PIPELINE_CLI_LOOP_H

#include "pipeline/host.h"
#include "pipeline/problems.h"
#include "pipeline/prompt_format.h"
#include "runtime/engine/engine.h"
#include "runtime/text/tokenizer.h"
#include "runtime/train/score.h"
#include "store/store_claim.h"

/* One open session: device, store, and what all stages share. */
struct loop {
    struct rt_ctx *ctx;           /* borrowed */
    const struct pipe_host *host; /* borrowed, may be NULL */
    struct rt_device *dev;        /* owned, like the store */
    struct store *store;
    const char *chat_format;   /* borrowed; NULL: that of the model's template */
    const char *examples_path; /* borrowed; NULL: from the store */
    uint32_t new_tokens_given; /* 0: the format's */
    char env_id[STORE_ID], campaign_id[STORE_ID];
    struct text_tokenizer *tok;
    const struct pipe_prompt_format *format;
    struct pipe_prompt prompt; /* of the format, ready for the model */
    char *examples;            /* owned, may be null */
    char format_hash[65];      /* pipe_prompt_hash */
    uint32_t context;          /* tokens of prompt and answer that the format wants */
    uint32_t positions;        /* that models are loaded for: the largest context of all
                                  formats that will be used; 0: of this format */
    uint32_t new_tokens_max;   /* tokens of an answer at most */
    struct pipe_grader *grader;
    uint32_t stop_id;   /* UINT32_MAX: the model's own only */
    bool lists_by_file; /* a list from a file is named after it, not after the format */
    uint64_t seed;
    const char *work;             /* folder of adapters, checkpoints, quantized models */
    struct store_attempt attempt; /* at the train or locate run in work; id empty: none */
};

struct loop_options {
    const struct pipe_host *host; /* borrowed, may be NULL */
    struct rt_device *dev;        /* taken, also on failure */
    struct store *store;          /* taken, also on failure; open for writing */
    const char *model;            /* folder or GGUF file whose tokenizer is used */
    const struct pipe_prompt_format
        *format;                 /* NULL: nothing is asked, texts are scored */
    const char *campaign, *plan; /* its name, and a JSON object */
    uint64_t seed;
    const char *chat_format, *examples_path; /* borrowed, may be NULL */
    uint32_t new_tokens_max;                 /* 0: the format's */
};
RT_CHECKED rt_status loop_open(struct loop *loop, struct rt_ctx *ctx,
                               const struct loop_options *options);
/* Tokenizer and prompts of another model or format. The text of the prompt is in the
 * results file when it returns. */
RT_CHECKED rt_status loop_use(struct loop *loop, const char *model,
                              const struct pipe_prompt_format *format);
void loop_close(struct loop *loop);
/* Tokens of prompt and answer that a format wants where answers may have so many. */
uint32_t loop_format_context(const struct pipe_prompt_format *format,
                             uint32_t new_tokens_max);

/* What this attempt at a run has taken so far, and how much of it the store knows. A run
 * that was killed and goes on adds to what its earlier attempts saved. */
struct loop_costs {
    uint64_t started_ns;
    double busy_start; /* device seconds when it began */
    struct loop_cost {
        double wall, device, tflop, tokens; /* seconds, TFLOP, tokens */
    } stored;
};
void loop_costs_start(struct loop *loop, struct loop_costs *costs);
/* Adds what is new since the last call to the metrics wall_seconds, device_seconds, tflop
 * and (if not 0) tokens, in the caller's transaction. */
RT_CHECKED rt_status loop_costs_save(struct loop *loop, struct loop_costs *costs,
                                     const char *run_id, double flops, double tokens);

/* Loads a model for the context that the formats want, or the longest that it, the device
 * and its memory have, which is said. RT_ERR_INPUT also where the loop's tokenizer has ids that it has no
 * embedding for. */
RT_CHECKED rt_status loop_model_load(struct loop *loop, const char *folder,
                                     struct rt_model **out);
/* Fills in what ends an answer: the format's token, and the model's own end tokens. */
void loop_stop_ids(const struct loop *loop, const struct rt_model *model,
                   struct rt_engine_options *options);

/* The token that ends an answer: the format's, else the model's first end token;
 * UINT32_MAX: none is known. */
uint32_t loop_end_id(const struct loop *loop, const struct rt_model *model);

/* A split under measurement. */
struct loop_bench {
    struct pipe_problem_set set;
    char id[STORE_ID], name[160];
    const char *split;
};
RT_CHECKED rt_status loop_bench_open(struct loop *loop, const char *spec,
                                     const char *split, struct loop_bench *out);
void loop_bench_close(struct loop_bench *bench);

/* Work on a train or locate run, one at a time: an attempt that shows signs of life, so
 * that another process sees whether it still lives. */
RT_CHECKED rt_status loop_work_begin(struct loop *loop, const char *run_id);
/* A sign of life where it is time for one; between transactions. */
RT_CHECKED rt_status loop_work_beat(struct loop *loop);
/* The run is done; in the transaction that saves its last rows. */
RT_CHECKED rt_status loop_work_done(struct loop *loop);
/* The run ended early: "interrupted" in the store, and what was not committed is given up.
 * The message of `st` survives. Does nothing where no work was begun. */
void loop_work_stopped(struct loop *loop, rt_status st);

/* Weights with or without an adapter, as a row of the store. */
struct loop_variant {
    struct rt_model *model;     /* borrowed */
    struct rt_adapter *adapter; /* borrowed, may be null */
    struct store_variant row;
    char weights_id[STORE_ID], adapter_id[STORE_ID];
};
RT_CHECKED rt_status loop_variant_put(struct loop *loop, struct rt_model *model,
                                      struct rt_adapter *adapter, const char *folder,
                                      const char *label, const char *role,
                                      const char *arm, struct loop_variant *out);

/* Which answers of a run are wanted. Zero is not a valid start: loop_ask_all. */
struct loop_ask {
    uint32_t limit;         /* first so many problems of the list */
    uint32_t shard, shards; /* of these every shards-th, from shard - 1 */
    uint32_t samples;       /* answers a problem */
    struct rt_sampling sampling;
    uint32_t slots;       /* requests at once at most; 0: as many as fit */
    uint64_t deadline_ns; /* rt_time_ns at which nothing new is begun; 0: none */
};
static inline struct loop_ask loop_ask_all(void)
{
    return (
        struct loop_ask){ .limit = UINT32_MAX, .shard = 1, .shards = 1, .samples = 1 };
}

/* Makes and grades the answers that the results file does not have yet, together with any
 * other process that does the same; each is durable before it is counted. RT_OK: all that
 * was asked for is there. RT_ERR_INTERRUPTED, RT_ERR_TIME_LIMIT: stopped, after the
 * answers that were begun. run_id (STORE_ID bytes) is filled as soon as the run is open. */
RT_CHECKED rt_status loop_generate(struct loop *loop, const struct loop_variant *variant,
                                   const struct loop_bench *bench,
                                   const struct loop_ask *ask, char *run_id,
                                   uint32_t *made);

/* All answers of a variant to a split, in the order of its problems. */
struct loop_answer {
    char *text;
    uint32_t *ids; /* n, the stop token included */
    float *logprob, *margin;
    uint32_t n;
    bool correct, extract_ok, truncated;
};
struct loop_answers {
    char run_id[STORE_ID];
    struct loop_answer *items;
    uint32_t count, correct, truncated, unparsed, degenerate;
};
void loop_answers_deinit(struct loop_answers *answers);
/* loop_generate of everything, greedy, and all of it read back. */
RT_CHECKED rt_status loop_measure(struct loop *loop, const struct loop_variant *variant,
                                  const struct loop_bench *bench,
                                  struct loop_answers *out);

/* Prompt ids of a question followed by `more` (null: nothing); fresh memory. */
RT_CHECKED rt_status loop_prompt(struct loop *loop, const char *question,
                                 const char *more, uint32_t **ids, uint32_t *count);

/* Text of tokens without special ones, fresh memory, `size` bytes. A U+0000 that a model
 * writes becomes U+FFFD: texts of the pipeline and of the store end at a zero. */
RT_CHECKED rt_status loop_decode(struct loop *loop, const uint32_t *ids, uint32_t n,
                                 char **text, uint32_t *size);

/* Bytes of the text of n tokens up to the end of each, for mapping steps to tokens. */
void loop_token_ends(struct loop *loop, const uint32_t *ids, uint32_t n, uint32_t *ends);

/* An answer, or the rest of one, asked of a model for another purpose than measuring. */
struct loop_job {
    const struct pipe_problem *problem; /* borrowed; null: nothing is asked */
    char *given;                        /* first bytes of the answer, owned; null: none */
    uint32_t kept, sample;              /* steps in `given`, number of the drawn answer */
    char *text; /* filled, owned: what follows; null: no room to continue */
    uint32_t n_gen;
    enum pipe_finish finish;
};
struct loop_continue {
    struct rt_model *model;
    struct rt_adapter *adapter; /* may be null */
    const char *what;           /* for progress */
    struct rt_sampling sampling;
    /* Made where it is null, and left to the caller, so that another call with the same
     * model and sampling finds the beginnings of its prompts in the cache; null: none. */
    struct rt_engine **engine;
    /* Called for each finished job and between steps of the engine, to make results
     * durable; both may be null. */
    rt_status (*done)(void *user, uint32_t job);
    rt_status (*between)(void *user);
    void *user;
};
/* Jobs in their order. Stops at once where the user asks for it. */
RT_CHECKED rt_status loop_continue(struct loop *loop, const struct loop_continue *how,
                                   struct loop_job *jobs, uint32_t count);
void loop_jobs_free(struct loop_job *jobs, uint32_t count);
/* Whether the whole answer, `given` and what follows, is right; without text it is not. */
RT_CHECKED rt_status loop_job_grade(struct loop *loop, const struct loop_job *job,
                                    bool *right);

/* ---- locate ---- */
struct loop_fault {
    uint32_t problem; /* index in the split */
    int32_t step;     /* of the verdict, -1: none */
    enum pipe_category category;
    char *continuation; /* full's own text after the steps before it; null: not known */
    bool verified;      /* and that reaches the right answer */
};
struct loop_faults {
    struct loop_fault *items;
    uint32_t count;
};
/* Locates the first faulty step of every wrong answer of `quant` (any variant) that full
 * answers right. What was asked of full is durable as it comes, and found again. `samples`
 * continuations are drawn where the greedy one fails. */
RT_CHECKED rt_status loop_locate(struct loop *loop, const struct loop_variant *full,
                                 const struct loop_variant *quant,
                                 const struct loop_bench *bench,
                                 const struct loop_answers *f,
                                 const struct loop_answers *q, uint32_t samples,
                                 struct loop_faults *out);
void loop_faults_deinit(struct loop_faults *faults);
/* The same locators on right answers of full with one step altered at a known place:
 * how often they name it. Half wrong values, half wrong operands or operators. */
RT_CHECKED rt_status loop_locate_injected(struct loop *loop,
                                          const struct loop_variant *full,
                                          const struct loop_bench *bench,
                                          const struct loop_answers *f, uint32_t count,
                                          uint32_t samples);

/* KL(full || variant) and share of equal first choices, teacher-forced over full's own
 * answers to the first problems of a split; metrics of the variant's run. */
RT_CHECKED rt_status loop_divergence(struct loop *loop, const struct loop_variant *full,
                                     const struct loop_variant *variant,
                                     const struct loop_bench *bench,
                                     const struct loop_answers *f, const char *run_id);

/* ---- train ---- */
enum loop_items {
    LOOP_ITEMS_LOST,        /* full's whole traces of problems quant lost */
    LOOP_ITEMS_RANDOM,      /* as many of random problems that full solves */
    LOOP_ITEMS_PAIRS,       /* step pairs at the first fault */
    LOOP_ITEMS_PAIRS_OTHER, /* step pairs at another step where both differ */
    LOOP_ITEMS_SHUFFLED,    /* step pairs with sides swapped at random */
};

/* A row of the recipe table. */
struct loop_recipe {
    const char *name; /* arm in the store */
    const char *role; /* restored or control */
    bool lowrank;     /* start from the activation-weighted low-rank fit, else B = 0 */
    bool train;       /* false: the start is the result */
    bool on_full;     /* adapter on the full-precision model */
    enum train_loss loss;
    enum loop_items items;
    float lr, sft;
};
struct loop_material {
    const struct loop_variant *full, *quant;
    const char *full_folder, *quant_folder;
    const struct loop_bench *mine, *validate;
    const struct loop_bench *measure; /* no item may be of it; may be null */
    const struct loop_answers *f, *q; /* of mine */
    const struct loop_faults *faults;
    uint32_t samples; /* of the search for `faults` */
    uint32_t items_max, rank, epochs;
    double lr; /* 0: the recipe's */
};
const struct loop_recipe *loop_recipe_find(const char *name); /* null: none */
/* The adapter of a recipe in a folder of loop->work named after recipe and run: found
 * again, or made. */
RT_CHECKED rt_status loop_train(struct loop *loop, const struct loop_material *material,
                                const struct loop_recipe *recipe, char *folder,
                                size_t folder_size);
/* The Silver Bullet set of a recipe as JSON Lines for other trainers, with what could not
 * be used counted by reason. */
RT_CHECKED rt_status loop_curate(struct loop *loop, const struct loop_material *material,
                                 const struct loop_recipe *recipe, const char *path);

#endif
