/* pipeline/demo/demo_category.c
 * The category of a faulty step of the demo's text, from the difference to a right answer. */
#include "pipeline/demo/demo_category.h"

#include "pipeline/demo/format_demo.h"

struct lines {
    struct pipe_demo_line line[PIPE_STEPS_MAX];
    uint32_t count;
};

static void read_lines(const char *text, struct lines *out)
{
    struct pipe_step steps[PIPE_STEPS_MAX];
    out->count = pipe_demo_split(text, steps, PIPE_STEPS_MAX);
    for (uint32_t i = 0; i < out->count; i++)
        pipe_demo_step_parse(text, &steps[i], &out->line[i]);
}

static bool same_operands(const struct pipe_demo_line *x, const struct pipe_demo_line *y)
{
    if (x->op != y->op)
        return false;
    if (x->a == y->a && x->b == y->b)
        return true;
    return (x->op == '+' || x->op == '*') && x->a == y->b && x->b == y->a;
}

/* An equation of `all` with the same expression, else with the same label and operator,
 * else with the same label; null if there is none. */
static const struct pipe_demo_line *counterpart(const struct lines *all,
                                                const struct pipe_demo_line *l)
{
    for (int strictness = 2; strictness >= 0; strictness--)
        for (uint32_t i = 0; i < all->count; i++) {
            const struct pipe_demo_line *o = &all->line[i];
            if (o->kind != PIPE_LINE_EQUATION)
                continue;
            if (strictness == 2 && same_operands(o, l))
                return o;
            if (strictness < 2 && pipe_demo_same_label(o, l) &&
                (strictness == 0 || o->op == l->op))
                return o;
        }
    return NULL;
}

/* A final answer in place of a step, or after other steps. */
static enum pipe_category of_answer(const struct lines *q, uint32_t step,
                                    const struct lines *f)
{
    uint32_t equations = 0, known = 0;
    for (uint32_t i = 0; i < f->count; i++)
        equations += f->line[i].kind == PIPE_LINE_EQUATION;
    for (uint32_t i = 0; i < step; i++)
        known += q->line[i].kind == PIPE_LINE_EQUATION;
    if (known < equations)
        return PIPE_CAT_METHOD_PROCEDURE; /* ends before the other does */
    const bool copied = step > 0 && q->line[step - 1].c == q->line[step].c;
    return copied ? PIPE_CAT_UNCLASSIFIED : PIPE_CAT_TRANSFER;
}

enum pipe_category pipe_demo_category(const char *quant, uint32_t step, const char *full)
{
    if (!full)
        return PIPE_CAT_UNCLASSIFIED;
    struct lines q, f;
    read_lines(quant, &q);
    read_lines(full, &f);
    if (step >= q.count)
        return PIPE_CAT_UNCLASSIFIED;
    const struct pipe_demo_line *l = &q.line[step];
    if (l->kind == PIPE_LINE_UNREADABLE)
        return PIPE_CAT_EXECUTION_SYMBOLIC;
    if (l->kind == PIPE_LINE_ANSWER)
        return of_answer(&q, step, &f);
    const struct pipe_demo_line *o = counterpart(&f, l);
    if (!o)
        return PIPE_CAT_METHOD_PROCEDURE; /* a step that the other has not */
    if (same_operands(o, l))
        return o->c == l->c ? PIPE_CAT_UNCLASSIFIED : PIPE_CAT_EXECUTION_COMPUTATION;
    return PIPE_CAT_METHOD_FORMULA;
}
