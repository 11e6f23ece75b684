/* pipeline/prompt/free_text.c
 * The dialects of text that people and models write freely. Only what is certain in any
 * text is checked. */
#include "pipeline/prompt/inject_text.h"
#include "pipeline/prompt/locate_check.h"
#include "pipeline/prompt/step_split.h"

typedef uint32_t split_fn(const char *output, struct pipe_step *steps, uint32_t max);

static void check(split_fn *split, const char *question, const char *output,
                  struct pipe_checked *out)
{
    struct pipe_step steps[PIPE_STEPS_MAX];
    pipe_locate_check(question, output, steps, split(output, steps, PIPE_STEPS_MAX), out);
}

/* ---- sentences ---- */

static void check_sentences(const char *question, const char *output,
                            struct pipe_checked *out)
{
    check(pipe_split_sentences, question, output, out);
}

static rt_status inject_sentences(struct rt_ctx *ctx, struct pipe_pool *pool,
                                  const char *question, const char *output,
                                  enum pipe_inject_kind kind, uint64_t seed,
                                  uint32_t index, struct pipe_injected *out)
{
    return pipe_inject_text(ctx, pool, &pipe_dialect_sentences, question, output, kind,
                            seed, index, out);
}

const struct pipe_dialect pipe_dialect_sentences = {
    .name = "sentences",
    .segmenter = "sentence",
    .split = pipe_split_sentences,
    .check = check_sentences,
    .inject = inject_sentences,
    .inject_kinds = PIPE_INJECT_COUNT,
};

/* ---- paragraphs ---- */

static void check_paragraphs(const char *question, const char *output,
                             struct pipe_checked *out)
{
    check(pipe_split_paragraphs, question, output, out);
}

static rt_status inject_paragraphs(struct rt_ctx *ctx, struct pipe_pool *pool,
                                   const char *question, const char *output,
                                   enum pipe_inject_kind kind, uint64_t seed,
                                   uint32_t index, struct pipe_injected *out)
{
    return pipe_inject_text(ctx, pool, &pipe_dialect_paragraphs, question, output, kind,
                            seed, index, out);
}

const struct pipe_dialect pipe_dialect_paragraphs = {
    .name = "paragraphs",
    .segmenter = "paragraph",
    .split = pipe_split_paragraphs,
    .check = check_paragraphs,
    .inject = inject_paragraphs,
    .inject_kinds = PIPE_INJECT_COUNT,
};

/* ---- marks ---- */

static void check_marks(const char *question, const char *output,
                        struct pipe_checked *out)
{
    check(pipe_split_marks, question, output, out);
}

static rt_status inject_marks(struct rt_ctx *ctx, struct pipe_pool *pool,
                              const char *question, const char *output,
                              enum pipe_inject_kind kind, uint64_t seed, uint32_t index,
                              struct pipe_injected *out)
{
    return pipe_inject_text(ctx, pool, &pipe_dialect_marks, question, output, kind, seed,
                            index, out);
}

const struct pipe_dialect pipe_dialect_marks = {
    .name = "marks",
    .segmenter = "step",
    .split = pipe_split_marks,
    .check = check_marks,
    .inject = inject_marks,
    .inject_kinds = PIPE_INJECT_COUNT,
};

/* ---- lines ---- */

static void check_lines(const char *question, const char *output,
                        struct pipe_checked *out)
{
    check(pipe_split_lines, question, output, out);
}

static rt_status inject_lines(struct rt_ctx *ctx, struct pipe_pool *pool,
                              const char *question, const char *output,
                              enum pipe_inject_kind kind, uint64_t seed, uint32_t index,
                              struct pipe_injected *out)
{
    return pipe_inject_text(ctx, pool, &pipe_dialect_lines, question, output, kind, seed,
                            index, out);
}

const struct pipe_dialect pipe_dialect_lines = {
    .name = "lines",
    .segmenter = "line-of-text",
    .split = pipe_split_lines,
    .check = check_lines,
    .inject = inject_lines,
    .inject_kinds = PIPE_INJECT_COUNT,
};
