/* pipeline/demo/inject.c
 * Alters one step of a right answer in the demo's format and carries the change
 * through to the end. */
#include "pipeline/demo/inject.h"

#include "pipeline/demo/format_demo.h"
#include "pipeline/prompt/prompt_format.h"
#include "runtime/base/philox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINES_MAX = 32,
    TRIES = 64,
    RESULT_MAX = 99999,
    TEXT_MAX = 4096,
    STATED_MAX = 64,
    DIGITS_MAX = 9
};

/* One answer, before and after. */
struct altered {
    struct pipe_demo_line before[LINES_MAX], after[LINES_MAX];
    uint32_t count;             /* equations; the answer comes after them */
    int64_t stated[STATED_MAX]; /* the numbers of the question, in its order */
    uint32_t stated_count;
};

struct draws {
    uint64_t seed;
    uint32_t index, try, drawn;
};

static uint32_t draw(struct draws *d, uint32_t below)
{
    const uint32_t word = philox_word(d->drawn++, d->index, d->try, 0x696e6a65u,
                                      (uint32_t)d->seed, (uint32_t)(d->seed >> 32));
    return (uint32_t)(((uint64_t)word * below) >> 32);
}

/* Reads equations followed by one answer that is the last result. */
static bool read_answer(const char *output, struct altered *a)
{
    struct pipe_step steps[LINES_MAX + 1];
    const uint32_t n = pipe_demo_split(output, steps, LINES_MAX + 1);
    if (n < 2 || n > LINES_MAX)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        pipe_demo_step_parse(output, &steps[i], &a->before[i]);
        const enum pipe_line_kind kind = a->before[i].kind;
        if (kind != (i + 1 < n ? PIPE_LINE_EQUATION : PIPE_LINE_ANSWER))
            return false;
    }
    a->count = n - 1;
    return a->before[n - 1].c == a->before[n - 2].c;
}

static void read_question(const char *text, struct altered *a)
{
    while (*text && a->stated_count < STATED_MAX) {
        const size_t digits = strspn(text, "0123456789");
        if (digits > 0 && digits <= DIGITS_MAX)
            a->stated[a->stated_count++] = strtoll(text, NULL, 10);
        text += digits ? digits : 1;
    }
}

static bool states(const struct altered *a, int64_t number)
{
    for (uint32_t i = 0; i < a->stated_count; i++)
        if (a->stated[i] == number)
            return true;
    return false;
}

static int64_t wrong_value(struct draws *d, int64_t value)
{
    static const int64_t offsets[4] = { 1, -1, 10, -10 };
    if (draw(d, 2))
        return value + offsets[draw(d, 4)];
    int64_t place = 1;
    uint32_t digits = 1;
    for (int64_t rest = value / 10; rest; rest /= 10)
        digits++;
    for (uint32_t i = draw(d, digits); i > 0; i--)
        place *= 10;
    const int64_t digit = value / place % 10;
    return value + ((digit + 1 + (int64_t)draw(d, 9)) % 10 - digit) * place;
}

/* Another number that is there before step k: stated, or an earlier result. */
static int64_t other_number(struct draws *d, const struct altered *a, uint32_t k)
{
    int64_t known[STATED_MAX + LINES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->stated_count; i++)
        known[count++] = a->stated[i];
    for (uint32_t i = 0; i < k; i++)
        known[count++] = a->before[i].c;
    return count ? known[draw(d, count)] : 0;
}

static void change_operands(struct draws *d, const struct altered *a, uint32_t k,
                            struct pipe_demo_line *line)
{
    static const char ops[4] = { '+', '-', '*', '/' };
    switch (draw(d, 4)) {
    case 0:
        line->op = ops[draw(d, 4)];
        break;
    case 1:
        line->b = other_number(d, a, k);
        break;
    default: /* the first operand is where models slip most */
        line->a = other_number(d, a, k);
    }
}

static bool same_expression(const struct pipe_demo_line *x,
                            const struct pipe_demo_line *y)
{
    if (x->op != y->op)
        return false;
    if (x->a == y->a && x->b == y->b)
        return true;
    return (x->op == '+' || x->op == '*') && x->a == y->b && x->b == y->a;
}

/* The new value of an operand of line j: that of the latest line before it with this
 * result. False where it cannot be told whether the result or the question is meant. */
static bool follow_operand(const struct altered *a, uint32_t j, int64_t *operand)
{
    for (uint32_t i = j; i-- > 0;) {
        if (a->before[i].c != *operand)
            continue;
        if (a->after[i].c == *operand)
            return true;
        if (states(a, *operand))
            return false;
        *operand = a->after[i].c;
        return true;
    }
    return true;
}

/* Brings the lines after k up to date. */
static bool propagate(struct altered *a, uint32_t k)
{
    for (uint32_t j = k + 1; j < a->count; j++) {
        struct pipe_demo_line *l = &a->after[j];
        if (!follow_operand(a, j, &l->a) || !follow_operand(a, j, &l->b) ||
            !pipe_demo_evaluate(l->a, l->op, l->b, &l->c) || l->c < 0 ||
            l->c > RESULT_MAX)
            return false;
    }
    a->after[a->count].c = a->after[a->count - 1].c;
    return a->after[a->count].c != a->before[a->count].c;
}

static bool alter(struct altered *a, uint32_t k, enum pipe_inject_kind kind,
                  struct draws *d)
{
    memcpy(a->after, a->before, sizeof a->after);
    struct pipe_demo_line *line = &a->after[k];
    if (kind == PIPE_INJECT_VALUE) {
        line->c = wrong_value(d, line->c);
    } else {
        change_operands(d, a, k, line);
        if (!pipe_demo_evaluate(line->a, line->op, line->b, &line->c))
            return false;
        for (uint32_t i = 0; i < a->count; i++)
            if (same_expression(line, &a->before[i]))
                return false;
    }
    if (line->c < 0 || line->c > RESULT_MAX || line->c == a->before[k].c)
        return false;
    return propagate(a, k);
}

static rt_status write_answer(struct rt_ctx *ctx, struct pipe_pool *pool,
                              const struct altered *a, const char **out)
{
    char text[TEXT_MAX];
    size_t at = 0;
    for (uint32_t i = 0; i < a->count && at < sizeof text; i++) {
        const struct pipe_demo_line *l = &a->after[i];
        at += (size_t)snprintf(text + at, sizeof text - at, "%.*s: %lld%c%lld=%lld\n",
                               (int)l->label_length, l->label, (long long)l->a, l->op,
                               (long long)l->b, (long long)l->c);
    }
    if (at >= sizeof text)
        return RT_OK; /* labels too long: none */
    *out =
        pipe_pool_format(ctx, pool, "%s#### %lld", text, (long long)a->after[a->count].c);
    return *out ? RT_OK : rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for an answer");
}

rt_status pipe_inject(struct rt_ctx *ctx, struct pipe_pool *pool,
                      const struct pipe_dialect *dialect, const char *question,
                      const char *output, enum pipe_inject_kind kind, uint64_t seed,
                      uint32_t index, struct pipe_injected *out)
{
    (void)dialect; /* it knows its own text */
    *out = (struct pipe_injected){ .step = -1, .kind = kind };
    struct altered a = { .count = 0 };
    if (kind > PIPE_INJECT_OPERAND)
        return RT_OK;
    read_question(question, &a);
    if (!read_answer(output, &a))
        return RT_OK;
    struct draws d = { .seed = seed, .index = index };
    for (d.try = 0; d.try < TRIES; d.try++) {
        d.drawn = 0;
        const uint32_t k = draw(&d, a.count);
        if (!alter(&a, k, kind, &d))
            continue;
        const rt_status st = write_answer(ctx, pool, &a, &out->output);
        if (out->output)
            out->step = (int32_t)k;
        return st;
    }
    return RT_OK;
}
