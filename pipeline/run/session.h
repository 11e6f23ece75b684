/* pipeline/run/session.h
 * A session: device, store, tokenizer and prompt format that all stages share, and the
 * models, variants and lists of problems that they work on. */
#ifndef PIPELINE_RUN_SESSION_H
#define PIPELINE_RUN_SESSION_H

#include "pipeline/host.h"
#include "pipeline/data/problems.h"
#include "pipeline/prompt/prompt_format.h"
#include "runtime/text/tokenizer.h"
#include "store/store_claim.h"

struct rt_adapter;
struct rt_engine;
struct rt_engine_options;
struct rt_model;

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
        *format;                 /* NULL: no question is asked, texts are scored */
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
/* Tokens of prompt and answer that a format needs for answers of new_tokens_max. */
uint32_t loop_format_context(const struct pipe_prompt_format *format,
                             uint32_t new_tokens_max);

/* Loads a model for the context that the formats want, or the longest that it, the device
 * and its memory have, which is said. RT_ERR_INPUT also where the tokenizer has ids that the
 * model has no embedding for. */
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

/* Weights with or without an adapter, as a row of the store. */
struct loop_variant {
    struct rt_model *model;     /* borrowed, or owned by loop_variant_load */
    struct rt_adapter *adapter; /* the same; may be null */
    struct store_variant row;
    char weights_id[STORE_ID], adapter_id[STORE_ID];
};
RT_CHECKED rt_status loop_variant_put(struct loop *loop, struct rt_model *model,
                                      struct rt_adapter *adapter, const char *folder,
                                      const char *label, const char *role,
                                      const char *arm, struct loop_variant *out);
/* The same of a folder or GGUF file and an adapter folder (null: none), which are loaded and
 * are the variant's until loop_variant_close. */
RT_CHECKED rt_status loop_variant_load(struct loop *loop, const char *folder,
                                       const char *adapter, const char *label,
                                       const char *role, struct loop_variant *out);
void loop_variant_close(struct loop_variant *variant);

/* Prompt ids of a question followed by `more` (null: nothing); fresh memory. */
RT_CHECKED rt_status loop_prompt(struct loop *loop, const char *question,
                                 const char *more, uint32_t **ids, uint32_t *count);

/* Text of tokens without special ones, fresh memory, `size` bytes. A U+0000 that a model
 * writes becomes U+FFFD: texts of the pipeline and of the store end at a zero. */
RT_CHECKED rt_status loop_decode(struct loop *loop, const uint32_t *ids, uint32_t n,
                                 char **text, uint32_t *size);

/* Bytes of the text of n tokens up to the end of each, for mapping steps to tokens. */
void loop_token_ends(struct loop *loop, const uint32_t *ids, uint32_t n, uint32_t *ends);

#endif
