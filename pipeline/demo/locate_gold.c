/* pipeline/demo/locate_gold.c
 * Replays an answer against a gold program to find the first line that is no legal
 * step. */
#include "pipeline/demo/locate_gold.h"

#include "pipeline/demo/format_demo.h"
#include "pipeline/prompt/prompt_format.h"

#include <stdlib.h>
#include <string.h>

enum { PROGRAM_MAX = 64 };

struct gold_step {
    int64_t a, b, value;
    char op;
    uint64_t needs; /* bit j: step j must be done before */
};

struct gold_program {
    struct gold_step step[PROGRAM_MAX];
    uint32_t count;
    uint64_t done;
};

const char *pipe_gold_kind_name(enum pipe_gold_kind kind)
{
    static const char *const names[PIPE_GOLD_KIND_COUNT] = { "none", "arithmetic",
                                                             "operand", "format",
                                                             "other" };
    return names[kind];
}

static bool states(const char *question, int64_t number)
{
    for (const char *at = question; *at;) {
        if (*at < '0' || *at > '9') {
            at++;
            continue;
        }
        char *end;
        if (strtoll(at, &end, 10) == number)
            return true;
        at = end;
    }
    return false;
}

/* The latest earlier step that gives `operand`, as a bit; 0 if the question states it. */
static uint64_t source_of(const struct gold_program *g, uint32_t before, int64_t operand,
                          const char *question)
{
    if (states(question, operand))
        return 0;
    for (uint32_t j = before; j-- > 0;)
        if (g->step[j].value == operand)
            return (uint64_t)1 << j;
    return 0;
}

static rt_status read_program(struct rt_ctx *ctx, const struct pipe_problem *p,
                              struct gold_program *g)
{
    *g = (struct gold_program){ .count = p->program_count };
    if (p->program_count == 0 || p->program_count > PROGRAM_MAX)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "problem '%s' has %u gold steps; the judge needs 1 to %d", p->id,
                       p->program_count, PROGRAM_MAX);
    for (uint32_t i = 0; i < g->count; i++) {
        struct gold_step *s = &g->step[i];
        if (!pipe_demo_expr_parse(p->program[i].expr, &s->a, &s->op, &s->b))
            return rt_fail(ctx, RT_ERR_USAGE,
                           "problem '%s': gold step '%s' is not a<op>b in whole numbers",
                           p->id, p->program[i].expr);
        s->value = p->program[i].value;
        s->needs =
            source_of(g, i, s->a, p->question) | source_of(g, i, s->b, p->question);
    }
    return RT_OK;
}

static bool same_expression(const struct gold_step *s, const struct pipe_demo_line *line)
{
    if (s->op != line->op)
        return false;
    if (s->a == line->a && s->b == line->b)
        return true;
    return (s->op == '+' || s->op == '*') && s->a == line->b && s->b == line->a;
}

/* Does one line; PIPE_GOLD_NONE if it is legal. */
static enum pipe_gold_kind do_line(struct gold_program *g,
                                   const struct pipe_demo_line *line)
{
    for (uint32_t i = 0; i < g->count; i++) {
        const struct gold_step *s = &g->step[i];
        const uint64_t bit = (uint64_t)1 << i;
        if ((g->done & bit) || (s->needs & ~g->done) || !same_expression(s, line))
            continue;
        if (s->value != line->c)
            return PIPE_GOLD_ARITHMETIC;
        g->done |= bit;
        return PIPE_GOLD_NONE;
    }
    return PIPE_GOLD_OPERAND;
}

rt_status pipe_locate_gold(struct rt_ctx *ctx, const struct pipe_problem *problem,
                           const char *output, struct pipe_gold_fault *out)
{
    *out = (struct pipe_gold_fault){ .step = -1 };
    struct gold_program g;
    const rt_status st = read_program(ctx, problem, &g);
    if (st != RT_OK)
        return st;
    struct pipe_step steps[PIPE_STEPS_MAX];
    const uint32_t count = pipe_demo_split(output, steps, PIPE_STEPS_MAX);
    bool answered = false;
    for (uint32_t k = 0; k < count; k++) {
        struct pipe_demo_line line;
        pipe_demo_step_parse(output, &steps[k], &line);
        enum pipe_gold_kind kind = PIPE_GOLD_FORMAT;
        if (line.kind == PIPE_LINE_EQUATION)
            kind = do_line(&g, &line);
        if (line.kind == PIPE_LINE_ANSWER) {
            answered = true;
            kind = line.c == strtoll(problem->answer, NULL, 10) ? PIPE_GOLD_NONE
                                                                : PIPE_GOLD_OTHER;
        }
        if (kind != PIPE_GOLD_NONE) {
            *out = (struct pipe_gold_fault){ .step = (int32_t)k, .kind = kind };
            return RT_OK;
        }
    }
    if (!answered)
        *out = (struct pipe_gold_fault){ .step = count ? (int32_t)count - 1 : 0,
                                         .kind = PIPE_GOLD_OTHER };
    return RT_OK;
}
