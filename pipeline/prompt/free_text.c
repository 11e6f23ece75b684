/* pipeline/prompt/free_text.c
 * The dialects of text that people and models write freely. Only what is certain in any
 * text is checked: equations between numbers. */
#include "pipeline/prompt/locate_arithmetic.h"
#include "pipeline/prompt/dialect.h"
#include "pipeline/prompt/step_split.h"

#include <stdio.h>

/* Share of answers in which the step that it names is the first faulty one: 5 of the 17
 * that it flags among the 1,182 of ProcessBench's dev half (14 of them are faulty). */
#define ARITHMETIC_CONFIDENCE 0.29

typedef uint32_t split_fn(const char *output, struct pipe_step *steps, uint32_t max);

static void check(split_fn *split, const char *output, struct pipe_checked *out)
{
    struct pipe_step steps[PIPE_STEPS_MAX];
    struct pipe_equation e;
    pipe_locate_arithmetic(output, steps, split(output, steps, PIPE_STEPS_MAX), &e);
    *out = (struct pipe_checked){ .step = e.step, .evidence = "{}" };
    if (e.step < 0)
        return;
    out->category = PIPE_CAT_EXECUTION_COMPUTATION;
    out->confidence = ARITHMETIC_CONFIDENCE;
    snprintf(out->evidence, sizeof out->evidence,
             "{\"rule\":\"arithmetic\",\"at\":[%u,%u],\"stated\":%.10g,\"value\":%.10g}",
             e.char_start, e.char_start + e.size, e.stated, e.value);
}

static void check_sentences(const char *question, const char *output,
                            struct pipe_checked *out)
{
    (void)question;
    check(pipe_split_sentences, output, out);
}

static void check_paragraphs(const char *question, const char *output,
                             struct pipe_checked *out)
{
    (void)question;
    check(pipe_split_paragraphs, output, out);
}

static void check_marks(const char *question, const char *output,
                        struct pipe_checked *out)
{
    (void)question;
    check(pipe_split_marks, output, out);
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
