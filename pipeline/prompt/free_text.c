/* pipeline/prompt/free_text.c
 * The dialects of text that people and models write freely. Only what is certain in any
 * text is checked. */
#include "pipeline/prompt/locate_check.h"
#include "pipeline/prompt/step_split.h"

typedef uint32_t split_fn(const char *output, struct pipe_step *steps, uint32_t max);

static void check(split_fn *split, const char *question, const char *output,
                  struct pipe_checked *out)
{
    struct pipe_step steps[PIPE_STEPS_MAX];
    pipe_locate_check(question, output, steps, split(output, steps, PIPE_STEPS_MAX), out);
}

static void check_sentences(const char *question, const char *output,
                            struct pipe_checked *out)
{
    check(pipe_split_sentences, question, output, out);
}

static void check_paragraphs(const char *question, const char *output,
                             struct pipe_checked *out)
{
    check(pipe_split_paragraphs, question, output, out);
}

static void check_marks(const char *question, const char *output,
                        struct pipe_checked *out)
{
    check(pipe_split_marks, question, output, out);
}

const struct pipe_dialect pipe_dialect_sentences = {
    .name = "sentences",
    .segmenter = "sentence",
    .split = pipe_split_sentences,
    .check = check_sentences,
};

const struct pipe_dialect pipe_dialect_paragraphs = {
    .name = "paragraphs",
    .segmenter = "paragraph",
    .split = pipe_split_paragraphs,
    .check = check_paragraphs,
};

const struct pipe_dialect pipe_dialect_marks = {
    .name = "marks",
    .segmenter = "step",
    .split = pipe_split_marks,
    .check = check_marks,
};
