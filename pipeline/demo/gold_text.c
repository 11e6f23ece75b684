/* pipeline/demo/gold_text.c
 * The judge of free-text answers to problems with a gold program: each step is rewritten as a
 * line of the demo's answers, whose judge (locate_gold.h) replays them. */
#include "pipeline/demo/format_demo.h"
#include "pipeline/demo/locate_gold.h"
#include "pipeline/prompt/dialect.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 128 };

/* A calculation in a sentence: a <sign> b = c in whole numbers. */
struct equation {
    char expr[64];
    long long value;
};

/* The sign at `at` as gold programs write it, and its bytes; 0: none. */
static char sign_at(const char *at, size_t *bytes)
{
    *bytes = 1;
    if (*at && strchr("+-*/", *at))
        return *at;
    *bytes = 2;
    if (strncmp(at, "\xc3\x97", 2) == 0)
        return '*';
    return strncmp(at, "\xc3\xb7", 2) == 0 ? '/' : 0;
}

/* The whole number at *at, which is moved behind it and the spaces after it. */
static bool number_at(const char **at, long long *out)
{
    char *end;
    if (!isdigit((unsigned char)**at))
        return false;
    *out = strtoll(*at, &end, 10);
    *at = end + strspn(end, " ");
    return true;
}

static bool equation_at(const char *at, struct equation *out)
{
    long long a, b;
    size_t bytes;
    if (!number_at(&at, &a))
        return false;
    const char sign = sign_at(at, &bytes);
    if (!sign)
        return false;
    at += bytes + strspn(at + bytes, " ");
    if (!number_at(&at, &b) || *at++ != '=')
        return false;
    at += strspn(at, " ");
    snprintf(out->expr, sizeof out->expr, "%lld%c%lld", a, sign, b);
    return number_at(&at, &out->value);
}

/* The first calculation of a line. */
static bool find_equation(const char *line, struct equation *out)
{
    for (const char *at = line; *at; at++)
        if ((at == line || !isdigit((unsigned char)at[-1])) && equation_at(at, out))
            return true;
    return false;
}

static bool contains(const char *line, const char *word)
{
    const size_t length = strlen(word);
    for (; *line; line++) {
        size_t i = 0;
        while (i < length &&
               tolower((unsigned char)line[i]) == tolower((unsigned char)word[i]))
            i++;
        if (i == length)
            return true;
    }
    return false;
}

/* Whether a gold step with this value is the quantity that the line speaks of. */
static bool names_quantity(const struct pipe_problem *p, const char *line,
                           const struct equation *e)
{
    for (uint32_t i = 0; i < p->program_count; i++)
        if (p->program[i].value == e->value && contains(line, p->program[i].label))
            return true;
    return false;
}

/* Whether every gold step is a<op>b in whole numbers, and there are some. */
static bool is_program(const struct pipe_problem *p)
{
    int64_t a, b;
    char op;
    for (uint32_t i = 0; i < p->program_count; i++)
        if (!pipe_demo_expr_parse(p->program[i].expr, &a, &op, &b))
            return false;
    return p->program_count > 0 && p->program_count <= 64;
}

/* The demo's line for one step. False if the sentence names another quantity. */
static bool rewrite(const struct pipe_problem *p, const char *step, char *line,
                    size_t size)
{
    struct equation e;
    const char *box = strstr(step, "\\boxed{");
    if (find_equation(step, &e)) {
        snprintf(line, size, "x: %s=%lld\n", e.expr, e.value);
        return names_quantity(p, step, &e);
    }
    snprintf(line, size, box ? "#### %lld\n" : "?\n",
             box ? strtoll(box + 7, NULL, 10) : 0LL);
    return true;
}

rt_status pipe_gold_of_text(struct rt_ctx *ctx, const struct pipe_dialect *dialect,
                            const struct pipe_problem *problem, const char *output,
                            int32_t *step)
{
    rt_status st = RT_OK;
    struct pipe_step steps[PIPE_STEPS_MAX];
    struct pipe_gold_fault fault;
    int32_t misnamed = -1;
    size_t used = 0;
    *step = -1;
    if (!is_program(problem))
        return RT_OK;
    const uint32_t count = dialect->split(output, steps, PIPE_STEPS_MAX);
    char *lines = rt_alloc(ctx, (size_t)count * LINE_MAX_BYTES + 1, 1);
    if (!lines)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "judging an answer: no memory");
    lines[0] = 0;
    for (uint32_t k = 0; k < count; k++) {
        char *one = rt_format(ctx, "%.*s", (int)(steps[k].char_end - steps[k].char_start),
                              output + steps[k].char_start);
        if (!one) {
            st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "judging an answer: no memory");
            goto fail;
        }
        if (!rewrite(problem, one, lines + used, LINE_MAX_BYTES) && misnamed < 0)
            misnamed = (int32_t)k;
        used += strlen(lines + used);
        rt_free(one);
    }
    TRY(pipe_locate_gold(ctx, problem, lines, &fault));
    *step = misnamed >= 0 && (fault.step < 0 || misnamed < fault.step) ? misnamed
                                                                       : fault.step;

fail:
    rt_free(lines);
    return st;
}
