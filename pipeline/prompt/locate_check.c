/* pipeline/prompt/locate_check.c
 * The rules of `check`, tried step by step against what the question and the steps before
 * give. */
#include "pipeline/prompt/locate_check.h"

#include "pipeline/prompt/equation.h"
#include "pipeline/prompt/given.h"

#include <stdio.h>
#include <string.h>

enum { TOKENS_MAX = 1024, LOOP_STEPS_MAX = 8, LOOP_TIMES = 4 };

static const struct {
    const char *name;
    enum pipe_category category;
} rules[PIPE_CHECK_RULE_COUNT] = {
    [PIPE_CHECK_NONE] = { "none", PIPE_CAT_NONE },
    [PIPE_CHECK_REPETITION] = { "repetition", PIPE_CAT_DEGENERATE },
    [PIPE_CHECK_ARITHMETIC] = { "arithmetic", PIPE_CAT_EXECUTION_COMPUTATION },
    [PIPE_CHECK_COPY] = { "copy", PIPE_CAT_EXECUTION_SYMBOLIC },
    [PIPE_CHECK_UNKNOWN] = { "unknown", PIPE_CAT_EXECUTION_SYMBOLIC },
    [PIPE_CHECK_ANSWER] = { "answer", PIPE_CAT_TRANSFER },
};

const char *pipe_check_rule_name(enum pipe_check_rule rule)
{
    return rules[rule].name;
}

struct checking {
    const char *output;
    const struct pipe_step *steps;
    uint32_t count;
    struct pipe_given given;
    struct pipe_math_token tokens[TOKENS_MAX];
    uint32_t n;
    bool unread; /* something was calculated before that was not understood */
    struct pipe_checked *out;
};

/* A rule fails at a step. Of each rule the first counts; the evidence is that of the first
 * step of all. */
static void name(struct checking *c, enum pipe_check_rule rule, uint32_t step,
                 uint32_t at, uint32_t end, double value)
{
    if (c->out->named[rule] && c->out->named[rule] <= step + 1)
        return;
    c->out->named[rule] = step + 1;
    if (c->out->step >= 0 && (uint32_t)c->out->step <= step)
        return;
    c->out->step = (int32_t)step;
    c->out->rule = rule;
    c->out->category = rules[rule].category;
    snprintf(c->out->evidence, sizeof c->out->evidence,
             "{\"rule\":\"%s\",\"at\":[%u,%u],\"value\":%.10g}", rules[rule].name, at,
             end, value == value ? value : 0.0);
}

/* ---- repetition ---- */

static bool same_step(const struct checking *c, uint32_t a, uint32_t b)
{
    const struct pipe_step *x = &c->steps[a], *y = &c->steps[b];
    uint32_t n = x->char_end - x->char_start, m = y->char_end - y->char_start;
    while (n && strchr(" \n\r\t", c->output[x->char_start + n - 1]))
        n--;
    while (m && strchr(" \n\r\t", c->output[y->char_start + m - 1]))
        m--;
    return n == m && memcmp(c->output + x->char_start, c->output + y->char_start, n) == 0;
}

/* The last step may be cut off: it is left out. */
static void check_repetition(struct checking *c)
{
    const uint32_t last = c->count;
    for (uint32_t cut = 0; cut < 2; cut++)
        for (uint32_t p = 1; p <= LOOP_STEPS_MAX; p++) {
            if (last < cut + LOOP_TIMES * p)
                continue;
            uint32_t first = last - cut - p;
            while (first > 0 && same_step(c, first - 1, first - 1 + p))
                first--;
            if (last - cut - first < LOOP_TIMES * p)
                continue;
            name(c, PIPE_CHECK_REPETITION, first + p, c->steps[first + p].char_start,
                 c->steps[first + p].char_end, p);
            return;
        }
}

/* ---- equations ---- */

/* The step in which a number first stands as digits: where it was made up. */
static uint32_t first_step_with(const struct checking *c, struct pipe_exact value,
                                uint32_t before)
{
    struct pipe_math_token tokens[TOKENS_MAX];
    for (uint32_t k = 0; k < before; k++) {
        const uint32_t n = pipe_math_tokens(c->output, c->steps[k].char_start,
                                            c->steps[k].char_end, tokens, TOKENS_MAX);
        for (uint32_t i = 0; i < n; i++)
            if (tokens[i].kind == PIPE_MATH_NUMBER &&
                pipe_exact_same(tokens[i].value, value))
                return k;
    }
    return before;
}

static void check_operands(struct checking *c, uint32_t k, const struct pipe_sides *s)
{
    if (!s->trusted || !s->signs || c->unread)
        return;
    for (uint32_t i = s->left; i < s->equals; i++) {
        const struct pipe_math_token *t = &c->tokens[i];
        if (t->kind != PIPE_MATH_NUMBER || pipe_given_reaches(&c->given, t->value))
            continue;
        name(c, PIPE_CHECK_UNKNOWN, first_step_with(c, t->value, k), t->at, t->end,
             pipe_exact_double(t->value));
        pipe_given_add(&c->given, t->value);
    }
}

static void give_results(struct checking *c, const struct pipe_sides *s)
{
    for (uint32_t i = s->right; i < s->end; i++)
        if (c->tokens[i].kind == PIPE_MATH_NUMBER)
            pipe_given_add(&c->given, c->tokens[i].value);
}

static void check_equation(struct checking *c, uint32_t k, uint32_t equals)
{
    struct pipe_sides s;
    if (!pipe_sides_read(c->tokens, c->n, equals, &s))
        return;
    check_operands(c, k, &s);
    if (pipe_sides_false(c->tokens, &s))
        name(c, PIPE_CHECK_ARITHMETIC, k, c->tokens[s.left].at, c->tokens[s.end - 1].end,
             pipe_exact_double(s.value));
    give_results(c, &s);
}

/* A result in a mark, <<a=b>>, and the number behind it. */
static void check_copy(struct checking *c, uint32_t k, uint32_t i)
{
    const struct pipe_math_token *before = i ? &c->tokens[i - 1] : NULL;
    const struct pipe_math_token *after = i + 1 < c->n ? &c->tokens[i + 1] : NULL;
    if (!before || !after || before->kind != PIPE_MATH_NUMBER ||
        after->kind != PIPE_MATH_NUMBER || !after->tight || before->percent ||
        after->percent || pipe_exact_same(before->value, after->value))
        return;
    name(c, PIPE_CHECK_COPY, k, after->at, after->end, pipe_exact_double(before->value));
}

/* A number in a sentence gives what it says if it can be explained. */
static void give_number(struct checking *c, uint32_t i)
{
    const struct pipe_math_token *t = &c->tokens[i];
    if (pipe_given_reaches(&c->given, t->value))
        pipe_given_add(&c->given, t->value);
}

static void check_step(struct checking *c, uint32_t k)
{
    const struct pipe_step *s = &c->steps[k];
    c->n = pipe_math_tokens(c->output, s->char_start, s->char_end, c->tokens, TOKENS_MAX);
    for (uint32_t i = 0; i < c->n; i++)
        if (c->tokens[i].kind == PIPE_MATH_NUMBER)
            give_number(c, i);
        else if (c->tokens[i].kind == PIPE_MATH_POISON)
            c->unread = true;
        else if (c->tokens[i].kind == PIPE_MATH_EQUALS)
            check_equation(c, k, i);
        else if (c->tokens[i].kind == PIPE_MATH_COPY)
            check_copy(c, k, i);
}

/* ---- the final answer ---- */

/* Behind the last mark of a final answer; NULL: there is none. */
static const char *final_answer(const char *output)
{
    static const char *const marks[] = { "####", "\\boxed{", "answer is", "\nA:" };
    const char *last = NULL;
    for (size_t i = 0; i < RT_COUNT(marks); i++)
        for (const char *at = strstr(output, marks[i]); at; at = strstr(at + 1, marks[i]))
            if (!last || at + strlen(marks[i]) > last)
                last = at + strlen(marks[i]);
    return last;
}

static bool stands_before(struct checking *c, struct pipe_exact value, uint32_t end)
{
    for (uint32_t k = 0; k < c->count && c->steps[k].char_start < end; k++) {
        const uint32_t to = c->steps[k].char_end < end ? c->steps[k].char_end : end;
        c->n = pipe_math_tokens(c->output, c->steps[k].char_start, to, c->tokens,
                                TOKENS_MAX);
        for (uint32_t i = 0; i < c->n; i++)
            if (c->tokens[i].kind == PIPE_MATH_NUMBER &&
                pipe_exact_same(c->tokens[i].value, value))
                return true;
        if (c->n == TOKENS_MAX)
            return true; /* not all of it was read */
    }
    return false;
}

/* Only where something was calculated: a bare answer is no transfer. */
static void check_answer(struct checking *c, bool calculated)
{
    struct pipe_math_token token[3];
    const char *mark = final_answer(c->output);
    if (!mark || !calculated || c->given.full)
        return;
    const uint32_t at = (uint32_t)(mark - c->output);
    const uint32_t end = at + (uint32_t)strcspn(mark, "\n");
    const uint32_t n = pipe_math_tokens(c->output, at, end, token, 3);
    const uint32_t i = n >= 2 && token[0].kind == PIPE_MATH_SIGN;
    if (n <= i || token[i].kind != PIPE_MATH_NUMBER || token[i].percent || c->unread ||
        (n > i + 1 && token[i + 1].kind != PIPE_MATH_UNIT &&
         token[i + 1].kind != PIPE_MATH_BREAK))
        return;
    const uint32_t begins = token[i].at, ends = token[i].end;
    const struct pipe_exact value = token[i].value;
    if (pipe_given_reaches(&c->given, value) || stands_before(c, value, at))
        return;
    for (uint32_t k = 0; k < c->count; k++)
        if (begins >= c->steps[k].char_start && begins < c->steps[k].char_end)
            name(c, PIPE_CHECK_ANSWER, k, begins, ends, pipe_exact_double(value));
}

void pipe_locate_check(const char *question, const char *output,
                       const struct pipe_step *steps, uint32_t count,
                       struct pipe_checked *out)
{
    struct checking c = { .output = output, .steps = steps, .count = count, .out = out };
    *out = (struct pipe_checked){ .step = -1, .evidence = "{}" };
    pipe_given_add_text(&c.given, question);
    const uint32_t asked = c.given.count;
    for (uint32_t k = 0; k < count; k++)
        check_step(&c, k);
    check_answer(&c, c.given.count > asked);
    check_repetition(&c);
}

void pipe_locate_check_cut(const struct pipe_dialect *dialect, const char *question,
                           const char *output, struct pipe_checked *out)
{
    struct pipe_step steps[PIPE_STEPS_MAX];
    pipe_locate_check(question, output, steps,
                      dialect->split(output, steps, PIPE_STEPS_MAX), out);
}
