/* pipeline/run/generate.h
 * One prompt, one answer, as it comes. Nothing is stored. */
#ifndef PIPELINE_RUN_GENERATE_H
#define PIPELINE_RUN_GENERATE_H

#include "pipeline/host.h"
#include "pipeline/record.h"

#include <stdio.h>

struct pipe_generator; /* a prompt that is ready for a model */
struct rt_device;

struct pipe_generate_options {
    const char *model; /* folder or GGUF file; borrowed as long as the generator */
    const char *prompt;
    size_t prompt_size;      /* bytes; a prompt that is no chat may have zeros */
    bool chat;               /* the prompt is a user's turn */
    const char *chat_format; /* NULL: the model's own template */
    const char *chat_date;   /* YYYY-MM-DD, for templates that ask for it; NULL: none */
    const char *system;      /* NULL: the template's own */
    bool thinking, no_thinking; /* ask a model with a switch to think, or not to; neither:
                                   the template's own way */
    uint32_t new_tokens_max;    /* > 0; cut to what the model's context leaves */
    float temperature;          /* 0: greedy */
    uint32_t rescues; /* times that a greedy answer is taken out of a loop at most
                         (rescue.h); then its text comes at the end */
    float top_p;      /* 1: everything */
    uint64_t seed;
};

/* Renders and encodes the prompt, and checks that the model has room for it; no device is
 * needed yet. RT_ERR_USAGE: the prompt is empty or too long. */
RT_CHECKED rt_status pipe_generator_create(struct rt_ctx *ctx,
                                           const struct pipe_generate_options *options,
                                           struct pipe_generator **out);
/* What a model is given, and what ends its answer. Borrowed from the generator. */
struct pipe_generate_prompt {
    const char *text; /* the chat with all its marks, or the prompt as it is */
    size_t size;
    const uint32_t *ids;
    uint32_t count;
    const uint32_t *stop_ids;
    uint32_t stop_count;
    const char *stop_text; /* where the end of a turn is no special token; "": none */
};
void pipe_generator_prompt(const struct pipe_generator *generator,
                           struct pipe_generate_prompt *out);
void pipe_generator_destroy(struct pipe_generator **generator);

/* Text as it comes, valid UTF-8, often empty; false: nobody reads on, the answer ends. */
typedef bool pipe_generate_text_fn(void *user, const char *text, size_t size);

struct pipe_generate_run {
    struct rt_device *dev;
    const char *adapter;          /* PEFT folder, NULL: none */
    const struct pipe_host *host; /* may be NULL */
    pipe_generate_text_fn *text;  /* may be NULL */
    void *user;
};

struct pipe_generated {
    enum pipe_finish finish; /* STOP or LENGTH */
    uint32_t n_prompt, n;    /* tokens */
    /* Owned, arrays of n; the stop token is the last. */
    uint32_t *ids;
    float *logprob, *margin; /* as in struct pipe_trace */
    char *text; /* owned: all that `text` was given, without the end of a turn */
    size_t text_size;
    int64_t prefill_us, decode_us;
    uint32_t thrown; /* tokens thrown away by rescues, beside n */
    uint64_t cache_bytes, cache_bytes_used_max; /* as in struct rt_engine_stats */
};

/* Loads the model and asks it. RT_ERR_INTERRUPTED: the host wanted it to end. Call once;
 * pipe_generated_deinit in any case. */
RT_CHECKED rt_status pipe_generator_run(struct pipe_generator *generator,
                                        const struct pipe_generate_run *run,
                                        struct pipe_generated *out);
void pipe_generated_deinit(struct pipe_generated *generated);

/* A prompt from a stream, less a last newline, in fresh memory (*out, for rt_free in any
 * case); *size is its bytes, without the zero byte behind it. RT_ERR_INPUT: reading fails. */
RT_CHECKED rt_status pipe_prompt_read(struct rt_ctx *ctx, FILE *in, char **out,
                                      size_t *size);

#endif
