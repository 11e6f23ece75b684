/* pipeline/run/session.h
 * A session: device, store, tokenizer and prompt format that all stages share, and the
 * models, variants and lists of problems that they work on. */
#ifndef PIPELINE_RUN_SESSION_H
#define PIPELINE_RUN_SESSION_H

#include "pipeline/host.h"
#include "pipeline/data/problems.h"
#include "pipeline/prompt/prompt_format.h"
#include "runtime/text/chat.h"
#include "store/store_claim.h"

struct rt_adapter;
struct rt_engine;
struct rt_engine_options;
struct rt_model;

/* One open session: device, store, and what all stages share. */
struct pipe_session {
    struct rt_ctx *ctx;           /* borrowed */
    const struct pipe_host *host; /* borrowed, may be NULL */
    struct rt_device *dev;        /* owned, like the store */
    struct store *store;
    const char *chat_format;   /* borrowed; NULL: the model's own template */
    const char *chat_date;     /* borrowed; NULL: none (text_chat_options) */
    const char *examples_path; /* borrowed; NULL: from the store */
    uint32_t new_tokens_given; /* 0: the format's */
    char env_id[STORE_ID], campaign_id[STORE_ID];
    struct text_tokenizer *tok;
    char *model;                   /* whose tokenizer it is, owned */
    struct text_chat *chat;        /* of that model, owned; NULL: not asked for yet */
    struct text_chat_end chat_end; /* of it; zero for a format that is no chat */
    const struct pipe_prompt_format *format;
    struct pipe_prompt prompt; /* of the format, ready for the model */
    char *examples;            /* owned, may be null */
    char format_hash[65];      /* pipe_prompt_hash */
    uint32_t context;          /* tokens of prompt and answer that the format wants */
    uint32_t positions;        /* that models are loaded for: the largest context of all
                                  formats that will be used; 0: of this format */
    uint32_t new_tokens_max;   /* tokens of an answer at most */
    struct pipe_grader *grader;
    uint32_t stop_id; /* UINT32_MAX: the model's own only */
    uint64_t seed;
    const char *evidence; /* file that located answers whose first fault is known are
                                     added to; borrowed, NULL: none */
    const char *work;     /* folder of adapters, checkpoints, quantized models */
    struct store_attempt attempt; /* at the train or locate run in work; id empty: none */
};

struct pipe_session_options {
    const struct pipe_host *host; /* borrowed, may be NULL */
    struct rt_device *dev;        /* taken, also on failure */
    struct store *store;          /* taken, also on failure; open for writing */
    const char *model;            /* folder or GGUF file whose tokenizer is used */
    const struct pipe_prompt_format
        *format;                 /* NULL: no question is asked, texts are scored */
    const char *campaign, *plan; /* its name, and a JSON object */
    uint64_t seed;
    const char *chat_format, *chat_date; /* borrowed, may be NULL */
    const char *examples_path;           /* the same */
    uint32_t new_tokens_max;             /* 0: the format's */
};
RT_CHECKED rt_status pipe_session_open(struct pipe_session *session, struct rt_ctx *ctx,
                                       const struct pipe_session_options *options);
/* Tokenizer and prompts of another model or format. The text of the prompt is in the
 * results file when it returns. */
RT_CHECKED rt_status pipe_session_use(struct pipe_session *session, const char *model,
                                      const struct pipe_prompt_format *format);
void pipe_session_close(struct pipe_session *session);
/* Tokens of prompt and answer that a format wants where answers may have so many. */
uint32_t pipe_format_context(const struct pipe_prompt_format *format,
                             uint32_t new_tokens_max);

/* Loads a model for the context that the formats want, or the longest that it, the device
 * and its memory have, which is said. RT_ERR_INPUT also where the tokenizer has ids that the
 * model has no embedding for. */
RT_CHECKED rt_status pipe_model_load(struct pipe_session *session, const char *folder,
                                     struct rt_model **out);
/* rt_model_load_streamed, for the context that the model has; the same check. */
RT_CHECKED rt_status pipe_model_load_streamed(struct pipe_session *session,
                                              const char *folder, struct rt_model **out);
/* Fills in what ends an answer: the format's token, what the chat writes after an answer,
 * and the model's own end tokens. */
void pipe_stop_ids(const struct pipe_session *session, const struct rt_model *model,
                   struct rt_engine_options *options);

/* The token that ends an answer: the format's, else the chat's, else the model's first end
 * token; UINT32_MAX: none is known. */
uint32_t pipe_end_id(const struct pipe_session *session, const struct rt_model *model);

/* A split under measurement. */
struct pipe_bench {
    struct pipe_problem_set set;
    char id[STORE_ID], name[160];
    const char *split;
};
RT_CHECKED rt_status pipe_bench_open(struct pipe_session *session, const char *spec,
                                     const char *split, struct pipe_bench *out);
void pipe_bench_close(struct pipe_bench *bench);

/* Weights with or without an adapter, as a row of the store, and how they are decoded. */
struct pipe_variant {
    struct rt_model *model;     /* borrowed, or owned by pipe_variant_load */
    struct rt_adapter *adapter; /* the same; may be null */
    struct store_variant row;
    char weights_id[STORE_ID], adapter_id[STORE_ID];
    char stored[128]; /* row.quant of pipe_variant_note */
    uint32_t rescues; /* of its greedy answers: times that one is taken out of a loop at
                         most (rescue.h); 0: none */
};
RT_CHECKED rt_status pipe_variant_put(struct pipe_session *session,
                                      struct rt_model *model, struct rt_adapter *adapter,
                                      const char *folder, const char *label,
                                      const char *role, const char *arm,
                                      struct pipe_variant *out);
/* The same of a folder or GGUF file and an adapter folder (null: none), which are loaded and
 * are the variant's until pipe_variant_close. */
RT_CHECKED rt_status pipe_variant_load(struct pipe_session *session, const char *folder,
                                       const char *adapter, const char *label,
                                       const char *role, struct pipe_variant *out);
/* The row of a folder or GGUF file of which nothing is loaded: `model` is null. */
RT_CHECKED rt_status pipe_variant_note(struct pipe_session *session, const char *folder,
                                       const char *label, const char *role,
                                       struct pipe_variant *out);
/* The row of a hybrid: of the weights of `base` with a part of the model whose hash is `from`;
 * their hash is one of both and of the part's name, which is the label and arm too. `hybrid`
 * is borrowed. */
RT_CHECKED rt_status pipe_variant_put_hybrid(struct pipe_session *session,
                                             struct rt_model *hybrid,
                                             const struct pipe_variant *base,
                                             const char *from, const char *part,
                                             struct pipe_variant *out);
void pipe_variant_close(struct pipe_variant *variant);

/* Prompt ids of a question followed by `more` (null: nothing); fresh memory. */
RT_CHECKED rt_status pipe_prompt_ids(struct pipe_session *session, const char *question,
                                     const char *more, uint32_t **ids, uint32_t *count);

/* Text of tokens without special ones, fresh memory, `size` bytes. A U+0000 that a model
 * writes becomes U+FFFD: texts of the pipeline and of the store end at a zero. */
RT_CHECKED rt_status pipe_decode(struct pipe_session *session, const uint32_t *ids,
                                 uint32_t n, char **text, uint32_t *size);

/* Bytes of the text of n tokens up to the end of each, for mapping steps to tokens. */
RT_CHECKED rt_status pipe_token_ends(struct pipe_session *session, const uint32_t *ids,
                                     uint32_t n, uint32_t *ends);

#endif
