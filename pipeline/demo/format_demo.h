/* pipeline/demo/format_demo.h
 * The answer format of the demo model. One step per line, `label: a<op>b=c` with whole
 * numbers of at most 9 digits and one of + - * /, the last line `#### answer`:
 *
 *     Hugo: 11+40=51
 *     Total: 7+51=58
 *     #### 58
 *
 * A line that is neither is kept as a step and called unreadable. */
#ifndef PIPELINE_DEMO_FORMAT_DEMO_H
#define PIPELINE_DEMO_FORMAT_DEMO_H

#include "pipeline/record.h"

enum pipe_line_kind {
    PIPE_LINE_UNREADABLE,
    PIPE_LINE_EQUATION, /* label: a<op>b=c */
    PIPE_LINE_ANSWER,   /* #### c */
};

struct pipe_demo_line {
    enum pipe_line_kind kind;
    const char *label; /* borrowed from the text, not terminated */
    uint32_t label_length;
    char op;
    int64_t a, b, c; /* of an answer only c */
};

/* Reads one line, without its line end. */
void pipe_demo_line_parse(const char *text, size_t length, struct pipe_demo_line *out);
/* Reads the text of step `step` of `output`. */
void pipe_demo_step_parse(const char *output, const struct pipe_step *step,
                          struct pipe_demo_line *out);
/* Reads "a<op>b", as gold programs write it; false if it is not that. */
bool pipe_demo_expr_parse(const char *text, int64_t *a, char *op, int64_t *b);
/* a <op> b in whole numbers; false if it is not one (division by 0 or with a rest). */
bool pipe_demo_evaluate(int64_t a, char op, int64_t b, int64_t *value);
bool pipe_demo_same_label(const struct pipe_demo_line *x, const struct pipe_demo_line *y);

/* The functions of the format's row, see prompt_format.h. The answer is the last line
 * that begins with "#### "; it is compared as a whole number where both are, else as
 * text. */
uint32_t pipe_demo_split(const char *output, struct pipe_step *steps, uint32_t max);
bool pipe_demo_extract(const char *output, char *extracted, size_t size,
                       const char **rule);
bool pipe_demo_equal(const char *extracted, const char *answer);

#endif
