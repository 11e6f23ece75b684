/* pipeline/prompt/contrast.c
 * Equations of a wrong answer, looked up among those of right ones. */
#include "pipeline/prompt/contrast.h"

#include "pipeline/prompt/equation.h"

#include <string.h>

enum { TOKENS_MAX = 1024, FACTS_MAX = 128, PARTS_MAX = 8 };

/* An equation without its order: numbers and signs of the left side, sorted, and the result.
 * Without parts: a number that stands alone. */
struct fact {
    struct pipe_exact numbers[PARTS_MAX], result;
    char signs[PARTS_MAX];
    uint32_t number_count, sign_count;
    bool whole;    /* all parts are here */
    bool is_false; /* under every reading (equation.h) */
};

struct facts {
    struct fact equations[FACTS_MAX];
    uint32_t equation_count;
    struct pipe_exact last; /* the last number; unknown: there is none */
};

/* A right text as facts and numbers. */
struct right {
    uint32_t kept;
    struct facts facts;
    struct pipe_exact numbers[TOKENS_MAX];
    uint32_t number_count;
};

struct reading {
    struct pipe_math_token tokens[TOKENS_MAX];
    struct facts facts; /* of the step at hand */
};

static bool is_less(struct pipe_exact a, struct pipe_exact b)
{
    return a.num != b.num ? a.num < b.num : a.den < b.den;
}

static void add_number(struct fact *f, struct pipe_exact value)
{
    uint32_t i = f->number_count;
    f->whole &= i < PARTS_MAX;
    if (i == PARTS_MAX)
        return;
    for (; i > 0 && is_less(value, f->numbers[i - 1]); i--)
        f->numbers[i] = f->numbers[i - 1];
    f->numbers[i] = value;
    f->number_count++;
}

static void add_sign(struct fact *f, char sign)
{
    uint32_t i = f->sign_count;
    f->whole &= i < PARTS_MAX;
    if (i == PARTS_MAX)
        return;
    for (; i > 0 && sign < f->signs[i - 1]; i--)
        f->signs[i] = f->signs[i - 1];
    f->signs[i] = sign;
    f->sign_count++;
}

static struct fact fact_of(const struct pipe_math_token *t, const struct pipe_sides *s)
{
    struct fact f = { .whole = true };
    for (uint32_t i = s->left; i < s->equals; i++) {
        if (t[i].kind == PIPE_MATH_NUMBER)
            add_number(&f, t[i].value);
        if (t[i].kind == PIPE_MATH_SIGN)
            add_sign(&f, t[i].sign);
    }
    for (uint32_t i = s->right; i < s->end && !pipe_exact_known(f.result); i++)
        if (t[i].kind == PIPE_MATH_NUMBER)
            f.result = t[i].value;
    return f;
}

static void read_facts(const struct pipe_math_token *t, uint32_t count, struct facts *out)
{
    struct pipe_sides sides;
    out->equation_count = 0;
    out->last = (struct pipe_exact){ 0, 0 };
    for (uint32_t i = 0; i < count; i++) {
        if (t[i].kind == PIPE_MATH_NUMBER)
            out->last = t[i].value;
        if (t[i].kind != PIPE_MATH_EQUALS || out->equation_count == FACTS_MAX ||
            !pipe_sides_read(t, count, i, &sides) || sides.signs == 0)
            continue;
        struct fact f = fact_of(t, &sides);
        f.is_false = pipe_sides_false(t, &sides);
        if (pipe_exact_known(f.result))
            out->equations[out->equation_count++] = f;
    }
}

static void read_right(struct reading *r, const struct pipe_right_text *text,
                       struct right *out)
{
    const uint32_t count = pipe_math_tokens(text->text, 0, (uint32_t)strlen(text->text),
                                            r->tokens, TOKENS_MAX);
    out->kept = text->kept;
    out->number_count = 0;
    read_facts(r->tokens, count, &out->facts);
    for (uint32_t i = 0; i < count; i++)
        if (r->tokens[i].kind == PIPE_MATH_NUMBER)
            out->numbers[out->number_count++] = r->tokens[i].value;
}

static bool is_same(const struct fact *a, const struct fact *b)
{
    if (!a->whole || !b->whole || a->number_count != b->number_count ||
        a->sign_count != b->sign_count || !pipe_exact_same(a->result, b->result) ||
        memcmp(a->signs, b->signs, a->sign_count) != 0)
        return false;
    for (uint32_t i = 0; i < a->number_count; i++)
        if (!pipe_exact_same(a->numbers[i], b->numbers[i]))
            return false;
    return true;
}

/* What the right texts that keep at most k steps say of one equation of step k. */
static enum pipe_contrast look_up(const struct right *right, uint32_t count, uint32_t k,
                                  const struct fact *f)
{
    enum pipe_contrast found = PIPE_CONTRAST_NEW;
    for (uint32_t r = 0; r < count; r++)
        for (uint32_t e = 0; right[r].kept <= k && e < right[r].facts.equation_count;
             e++) {
            const struct fact *other = &right[r].facts.equations[e];
            if (is_same(f, other))
                return PIPE_CONTRAST_SAME;
            if (!f->is_false && pipe_exact_same(f->result, other->result))
                found = PIPE_CONTRAST_VALUE;
        }
    return found;
}

static enum pipe_contrast look_up_number(const struct right *right, uint32_t count,
                                         uint32_t k, struct pipe_exact number)
{
    if (!pipe_exact_known(number))
        return PIPE_CONTRAST_NONE;
    for (uint32_t r = 0; r < count; r++)
        for (uint32_t i = 0; right[r].kept <= k && i < right[r].number_count; i++)
            if (pipe_exact_same(number, right[r].numbers[i]))
                return PIPE_CONTRAST_VALUE;
    return PIPE_CONTRAST_NEW;
}

static enum pipe_contrast step_contrast(const struct facts *step,
                                        const struct right *right, uint32_t count,
                                        uint32_t k)
{
    enum pipe_contrast worst = PIPE_CONTRAST_SAME;
    for (uint32_t e = 0; e < step->equation_count; e++) {
        const enum pipe_contrast one = look_up(right, count, k, &step->equations[e]);
        worst = one > worst ? one : worst;
    }
    return step->equation_count ? worst : look_up_number(right, count, k, step->last);
}

static void name_step(uint32_t count, struct pipe_contrasted *out)
{
    for (uint32_t k = 0; k < count && out->step < 0; k++)
        if (out->of[k] == PIPE_CONTRAST_NEW)
            out->step = (int32_t)k;
    out->end = out->step < 0;
    if (out->end)
        out->step = (int32_t)count - 1;
}

rt_status pipe_contrast(struct rt_ctx *ctx, const char *output,
                        const struct pipe_step *steps, uint32_t count,
                        const struct pipe_right_text *right, uint32_t right_count,
                        struct pipe_contrasted *out)
{
    uint32_t equations = 0;
    struct reading *r = rt_alloc(ctx, 1, sizeof *r);
    struct right *rights = rt_alloc(ctx, right_count, sizeof *rights);
    *out = (struct pipe_contrasted){ .step = -1 };
    if (!r || !rights) {
        rt_free(r);
        rt_free(rights);
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "contrast: no memory");
    }
    for (uint32_t i = 0; i < right_count; i++) {
        read_right(r, &right[i], &rights[i]);
        equations += rights[i].facts.equation_count;
    }
    for (uint32_t k = 0; equations && k < count; k++) {
        const uint32_t n = pipe_math_tokens(output, steps[k].char_start,
                                            steps[k].char_end, r->tokens, TOKENS_MAX);
        read_facts(r->tokens, n, &r->facts);
        out->of[k] = (uint8_t)step_contrast(&r->facts, rights, right_count, k);
    }
    if (equations && count)
        name_step(count, out);
    rt_free(r);
    rt_free(rights);
    return RT_OK;
}
