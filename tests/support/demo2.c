/* tests/support/demo2.c
 * Replays free-text answers to the second demo's problems against their gold programs. */
#include "tests/support/demo2.h"

#include "pipeline/demo/locate_gold.h"
#include "pipeline/prompt/step_split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 8192 }; /* bytes of an answer of 64 steps, and of its lines */

/* A calculation in a sentence: a <sign> b = c in whole numbers. */
struct equation {
    char expr[64];
    long long value;
};

/* The sign at `at` as gold programs write it, and its bytes; 0: none. */
static char sign_at(const char *at, size_t *bytes)
{
    *bytes = 1;
    if (*at == '+' || *at == '-')
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

int32_t test_demo2_fault(const struct pipe_problem *p, const char *output)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_step steps[PIPE_STEPS_MAX];
    struct pipe_gold_fault fault;
    char line[TEXT_MAX], text[TEXT_MAX] = "";
    int32_t misnamed = -1;
    size_t used = 0;
    const uint32_t count = pipe_split_marks(output, steps, PIPE_STEPS_MAX);
    for (uint32_t k = 0; k < count; k++) {
        struct equation e;
        snprintf(line, sizeof line, "%.*s",
                 (int)(steps[k].char_end - steps[k].char_start),
                 output + steps[k].char_start);
        const char *box = strstr(line, "\\boxed{");
        assert_true(used + 128 < sizeof text);
        if (find_equation(line, &e)) {
            used += (size_t)snprintf(text + used, sizeof text - used, "x: %s=%lld\n",
                                     e.expr, e.value);
            if (misnamed < 0 && !names_quantity(p, line, &e))
                misnamed = (int32_t)k;
        } else {
            used += (size_t)snprintf(text + used, sizeof text - used,
                                     box ? "#### %lld\n" : "?\n",
                                     box ? strtoll(box + 7, NULL, 10) : 0LL);
        }
    }
    assert_int_equal(pipe_locate_gold(&ctx, p, text, &fault), RT_OK);
    return misnamed >= 0 && (fault.step < 0 || misnamed < fault.step) ? misnamed
                                                                      : fault.step;
}

void test_demo2_read(const char *name, struct pipe_problem_set *set)
{
    struct rt_ctx ctx = { 0 };
    char path[512];
    snprintf(path, sizeof path, "%s/%s", TEST_DEMO2, name);
    if (pipe_problems_read(&ctx, path, set) != RT_OK)
        fail_msg("%s", ctx.message);
}
