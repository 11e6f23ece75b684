/* pipeline/prompt/mend.c
 * Tries every operator of every equation, and looks at the end. */
#include "pipeline/prompt/mend.h"

#include "pipeline/prompt/carry.h"
#include "pipeline/prompt/given.h"

#include <assert.h>
#include <string.h>

enum {
    EVALUATIONS_MAX = 50000
}; /* of equations; a solution of people takes some thousands */

struct mending {
    struct pipe_carry c;
    uint32_t final; /* token of the final answer: the last number */
    struct pipe_exact right;
    const struct pipe_step *steps;
    uint32_t count;
    struct pipe_given asked; /* numbers of the question */
    bool whole;              /* all results of the text are */
    uint32_t evaluations;    /* so far: a text that takes more than the most is left */
};

/* The one number of a text; unknown: there is none, or more stands there. */
static struct pipe_exact number_of(const char *text)
{
    struct pipe_math_token t[3];
    const uint32_t n = pipe_math_tokens(text, 0, (uint32_t)strlen(text), t, 3);
    const bool negative = n == 2 && t[0].kind == PIPE_MATH_SIGN && t[0].sign == '-';
    if (n == 0 || n > 2 || (n == 2 && !negative) || t[n - 1].kind != PIPE_MATH_NUMBER ||
        t[n - 1].percent)
        return (struct pipe_exact){ 0, 0 };
    struct pipe_exact value = t[n - 1].value;
    value.num = negative ? -value.num : value.num;
    return value;
}

static bool read_text(struct mending *m, const char *output, const char *answer)
{
    struct pipe_sides sides;
    pipe_carry_read(&m->c, output);
    m->right = number_of(answer);
    m->final = m->c.count;
    while (m->final > 0 && m->c.tokens[m->final - 1].kind != PIPE_MATH_NUMBER)
        m->final--;
    if (m->final-- == 0 || m->c.count == PIPE_CARRY_TOKENS ||
        m->c.equation_count == PIPE_CARRY_EQUATIONS || !pipe_exact_known(m->right) ||
        pipe_exact_same(m->c.tokens[m->final].value, m->right))
        return false;
    for (uint32_t i = 0; i < m->c.count; i++)
        if (m->c.tokens[i].kind == PIPE_MATH_EQUALS &&
            pipe_sides_read(m->c.tokens, m->c.count, i, &sides) &&
            pipe_sides_false(m->c.tokens, &sides))
            return false;
    m->whole = true;
    for (uint32_t i = 0; i < m->c.equation_count; i++)
        m->whole &= pipe_exact_whole(m->c.equations[i].sides.stated);
    return true;
}

/* ---- one alteration ---- */

static bool is_plausible(const struct mending *m, struct pipe_exact value)
{
    return pipe_exact_known(value) && value.num > 0 &&
           (!m->whole || pipe_exact_whole(value));
}

static bool add_change(struct mending *m, struct pipe_exact before,
                       struct pipe_exact after)
{
    if (!is_plausible(m, after))
        return false;
    assert(m->c.change_count < PIPE_CARRY_EQUATIONS);
    m->c.changes[m->c.change_count++] = (struct pipe_carry_change){ before, after };
    return true;
}

/* Whether the end is the right answer if this is altered. */
static bool ends_right(struct mending *m, const struct pipe_alteration *a)
{
    const struct pipe_carry_equation *e = &m->c.equations[a->at];
    m->c.change_count = 0;
    m->evaluations += m->c.equation_count - a->at;
    if (m->evaluations > EVALUATIONS_MAX)
        return false;
    if (!add_change(m, e->sides.stated, pipe_carry_value(&m->c, e, a)))
        return false;
    for (uint32_t i = a->at + 1; i < m->c.equation_count; i++) {
        const struct pipe_carry_equation *next = &m->c.equations[i];
        const struct pipe_exact value = pipe_carry_value(&m->c, next, NULL);
        if (!pipe_exact_same(value, next->sides.stated) &&
            !add_change(m, next->sides.stated, value))
            return false;
    }
    for (uint32_t k = 0; k < m->c.change_count; k++)
        if (pipe_exact_same(m->c.tokens[m->final].value, m->c.changes[k].before))
            return pipe_exact_same(m->c.changes[k].after, m->right);
    return false;
}

static int32_t step_at(const struct mending *m, uint32_t byte)
{
    for (uint32_t k = 0; k < m->count; k++)
        if (byte >= m->steps[k].char_start && byte < m->steps[k].char_end)
            return (int32_t)k;
    return -1;
}

static struct pipe_mended found_at(const struct mending *m, uint32_t token, char sign)
{
    const struct pipe_math_token *t = &m->c.tokens[token];
    return (struct pipe_mended){
        .step = step_at(m, t->at), .at = t->at, .end = t->end, .sign = sign
    };
}

/* Every other operator at every sign of an equation. */
static bool try_signs(struct mending *m, uint32_t at, struct pipe_mended *found)
{
    static const char signs[] = "+-*/";
    const struct pipe_carry_equation *e = &m->c.equations[at];
    for (uint32_t i = e->sides.left; i < e->sides.equals; i++)
        for (const char *sign = signs; *sign; sign++) {
            const struct pipe_alteration a = { .at = at, .token = i, .sign = *sign };
            if (m->c.tokens[i].kind != PIPE_MATH_SIGN || m->c.tokens[i].sign == *sign ||
                !ends_right(m, &a))
                continue;
            *found = found_at(m, i, *sign);
            return true;
        }
    return false;
}

/* Every number of the question, and every earlier result, in the place of an operand. */
static bool try_operands(struct mending *m, uint32_t at, struct pipe_mended *found)
{
    const struct pipe_carry_equation *e = &m->c.equations[at];
    for (uint32_t i = e->sides.left; i < e->sides.equals; i++)
        for (uint32_t v = 0; v < m->asked.count + at; v++) {
            const struct pipe_exact other =
                v < m->asked.count ? m->asked.values[v]
                                   : m->c.equations[v - m->asked.count].sides.stated;
            const struct pipe_alteration a = { .at = at, .token = i, .number = other };
            if (m->c.tokens[i].kind != PIPE_MATH_NUMBER ||
                pipe_exact_same(m->c.tokens[i].value, other) || !ends_right(m, &a))
                continue;
            *found = found_at(m, i, 0);
            return true;
        }
    return false;
}

typedef bool try_fn(struct mending *m, uint32_t at, struct pipe_mended *found);

/* The steps that this mends. */
static void try_all(struct mending *m, try_fn *fn, struct pipe_mended *out)
{
    struct pipe_mended found;
    int32_t last = -1;
    for (uint32_t i = 0; i < m->c.equation_count; i++) {
        if (!pipe_carry_understood(&m->c, m->c.equations[i].sides.left) ||
            !fn(m, i, &found) || found.step == last)
            continue;
        last = found.step;
        found.steps = out->steps + 1;
        *out = found;
    }
    if (out->steps != 1)
        out->step = -1;
}

void pipe_mend(struct rt_ctx *ctx, const char *question, const char *output,
               const struct pipe_step *steps, uint32_t count, const char *answer,
               struct pipe_mended *out)
{
    *out = (struct pipe_mended){ .step = -1 };
    struct mending *m = rt_alloc(ctx, 1, sizeof *m);
    if (!m)
        return; /* abstains */
    m->steps = steps;
    m->count = count;
    pipe_given_add_text(&m->asked, question);
    if (read_text(m, output, answer)) {
        try_all(m, try_signs, out);
        if (out->steps == 0)
            try_all(m, try_operands, out);
        if (m->evaluations > EVALUATIONS_MAX)
            *out = (struct pipe_mended){ .step = -1 };
    }
    rt_free(m);
}
