/* pipeline/prompt/inject_text.c
 * Alters one equation of a solution and rewrites the numbers behind it. */
#include "pipeline/prompt/inject_text.h"

#include "pipeline/prompt/carry.h"
#include "pipeline/prompt/given.h"
#include "runtime/base/philox.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 16384, TRIES = 64, NUMBER_MAX = 24 };

const char *pipe_inject_kind_name(enum pipe_inject_kind kind)
{
    static const char *const names[PIPE_INJECT_COUNT] = { "value", "operand", "operator",
                                                          "dropped", "owner" };
    return names[kind];
}

struct injecting {
    char text[TEXT_MAX]; /* the solution without marks */
    struct pipe_carry c;
    struct pipe_given asked;          /* numbers of the question */
    int32_t sentence[PIPE_GIVEN_MAX]; /* in which each stands as digits, -1: in none */
    const char *question;
    char out[TEXT_MAX]; /* the altered one */
    uint32_t size;
    uint32_t place; /* byte of `out` at which the fault stands */
    uint64_t seed;
    uint32_t index, try, drawn;
};

static uint32_t draw(struct injecting *j, uint32_t below)
{
    const uint32_t word = philox_word(j->drawn++, j->index, j->try, 0x74657874u,
                                      (uint32_t)j->seed, (uint32_t)(j->seed >> 32));
    return (uint32_t)(((uint64_t)word * below) >> 32);
}

/* ---- reading ---- */

static bool copy_without_marks(const char *from, char *to)
{
    size_t n = 0;
    while (*from) {
        const char *end = strncmp(from, "<<", 2) == 0 ? strstr(from, ">>") : NULL;
        if (end) {
            from = end + 2;
            continue;
        }
        if (n + 1 == TEXT_MAX)
            return false;
        to[n++] = *from++;
    }
    to[n] = '\0';
    return true;
}

/* ---- numbers as text ---- */

/* With at most two decimals and no sign; false: it cannot be written so. */
static bool write_number(struct pipe_exact value, char out[NUMBER_MAX])
{
    const struct pipe_exact cents = pipe_exact_multiply(value, pipe_exact_of(100, 1));
    if (!pipe_exact_known(value) || value.num <= 0 || !pipe_exact_whole(cents) ||
        value.num / value.den > 99999999)
        return false;
    const long long whole = cents.num / 100, rest = cents.num % 100;
    if (rest == 0)
        snprintf(out, NUMBER_MAX, "%lld", whole);
    else
        snprintf(out, NUMBER_MAX, rest % 10 ? "%lld.%02lld" : "%lld.%01lld", whole,
                 rest % 10 ? rest : rest / 10);
    return true;
}

static bool append(struct injecting *j, const char *text, size_t size)
{
    if (j->size + size + 1 > TEXT_MAX)
        return false;
    memcpy(j->out + j->size, text, size);
    j->size += (uint32_t)size;
    j->out[j->size] = '\0';
    return true;
}

/* ---- the altered equation ---- */

static struct pipe_exact wrong_value(struct injecting *j, struct pipe_exact value)
{
    static const int offsets[4] = { 1, -1, 10, -10 };
    int64_t place = 1;
    if (!pipe_exact_whole(value))
        return pipe_exact_add(value, pipe_exact_of(offsets[draw(j, 2)], 1));
    if (draw(j, 2))
        return pipe_exact_of(value.num + offsets[draw(j, 4)], 1);
    uint32_t digits = 1;
    for (int64_t rest = value.num / 10; rest; rest /= 10)
        digits++;
    for (uint32_t i = draw(j, digits); i > 0; i--)
        place *= 10;
    const int64_t digit = value.num / place % 10;
    return pipe_exact_of(
        value.num + ((digit + 1 + (int64_t)draw(j, 9)) % 10 - digit) * place, 1);
}

/* Some token of a kind on the left side, or UINT32_MAX. */
static uint32_t pick(struct injecting *j, const struct pipe_carry_equation *e,
                     enum pipe_math_kind kind)
{
    uint32_t found[96], n = 0;
    for (uint32_t i = e->sides.left; i < e->sides.equals && n < RT_COUNT(found); i++)
        if (j->c.tokens[i].kind == kind && !j->c.tokens[i].percent)
            found[n++] = i;
    return n ? found[draw(j, n)] : UINT32_MAX;
}

/* The number of the sentence of the question in which a value stands, -1: in none. */
static int32_t sentence_of(const char *question, struct pipe_exact value)
{
    struct pipe_step steps[64];
    struct pipe_math_token tokens[256];
    uint32_t count = 0, start = 0;
    for (uint32_t i = 0; question[i] && count < 64; i++)
        if (strchr(".?!", question[i]) && (question[i + 1] == ' ' || !question[i + 1])) {
            steps[count++] = (struct pipe_step){ .char_start = start, .char_end = i + 1 };
            start = i + 1;
        }
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t n = pipe_math_tokens(question, steps[k].char_start,
                                            steps[k].char_end, tokens, 256);
        for (uint32_t i = 0; i < n; i++)
            if (tokens[i].kind == PIPE_MATH_NUMBER &&
                pipe_exact_same(tokens[i].value, value))
                return (int32_t)k;
    }
    return -1;
}

/* Another number that is there before equation `at`: stated, or an earlier result. For an
 * owner only numbers of another sentence than the operand's. */
static struct pipe_exact other_number(struct injecting *j, uint32_t at, uint32_t token,
                                      bool owner)
{
    struct pipe_exact all[PIPE_GIVEN_MAX + PIPE_CARRY_EQUATIONS];
    uint32_t n = 0;
    const int32_t here = sentence_of(j->question, j->c.tokens[token].value);
    for (uint32_t i = 0; i < j->asked.count; i++) {
        const int32_t there = j->sentence[i];
        if (there >= 0 && (!owner || (here >= 0 && there != here)))
            all[n++] = j->asked.values[i];
    }
    for (uint32_t i = 0; !owner && i < at; i++)
        all[n++] = j->c.equations[i].sides.stated;
    return n ? all[draw(j, n)] : (struct pipe_exact){ 0, 0 };
}

static bool choose(struct injecting *j, enum pipe_inject_kind kind,
                   struct pipe_alteration *a)
{
    static const char signs[] = "+-*/";
    if (j->c.equation_count == 0)
        return false;
    *a = (struct pipe_alteration){ .at = draw(j, j->c.equation_count),
                                   .token = UINT32_MAX };
    const struct pipe_carry_equation *e = &j->c.equations[a->at];
    const struct pipe_exact stated = e->sides.stated;
    if (kind == PIPE_INJECT_VALUE) {
        a->result = wrong_value(j, stated);
    } else if (kind == PIPE_INJECT_DROPPED) {
        /* what used the result uses the first operand, which must be an earlier result */
        a->result = j->c.tokens[e->sides.left].value;
        bool earlier = false;
        for (uint32_t i = 0; i < a->at; i++)
            earlier |= pipe_exact_same(j->c.equations[i].sides.stated, a->result);
        if (j->c.tokens[e->sides.left].kind != PIPE_MATH_NUMBER || !earlier)
            return false;
    } else {
        const bool sign = kind == PIPE_INJECT_OPERATOR;
        a->token = pick(j, e, sign ? PIPE_MATH_SIGN : PIPE_MATH_NUMBER);
        if (a->token == UINT32_MAX)
            return false;
        a->sign = j->c.tokens[a->token].sign;
        a->number = j->c.tokens[a->token].value;
        if (sign)
            a->sign = signs[draw(j, 4)];
        else
            a->number = other_number(j, a->at, a->token, kind == PIPE_INJECT_OWNER);
        if (sign ? a->sign == j->c.tokens[a->token].sign
                 : pipe_exact_same(a->number, j->c.tokens[a->token].value))
            return false;
        a->result = pipe_carry_value(&j->c, e, a);
    }
    return pipe_exact_known(a->result) && !pipe_exact_same(a->result, stated);
}

/* ---- carrying it through ---- */

/* Whether an old result stands for that result alone. */
static bool is_unique(const struct injecting *j, uint32_t at)
{
    const struct pipe_exact value = j->c.equations[at].sides.stated;
    if (pipe_given_has(&j->asked, value))
        return false;
    for (uint32_t i = 0; i < j->c.equation_count; i++)
        if (i != at && pipe_exact_same(j->c.equations[i].sides.stated, value))
            return false;
    for (uint32_t i = 0; i < j->c.equations[at].sides.left; i++)
        if (j->c.tokens[i].kind == PIPE_MATH_NUMBER &&
            pipe_exact_same(j->c.tokens[i].value, value))
            return false;
    return true;
}

static bool is_plausible(struct pipe_exact before, struct pipe_exact after)
{
    char text[NUMBER_MAX];
    return write_number(after, text) &&
           !(pipe_exact_whole(before) && !pipe_exact_whole(after));
}

/* New results of the equations behind the altered one. */
static bool propagate(struct injecting *j, const struct pipe_alteration *a)
{
    j->c.change_count = 0;
    j->c.changes[j->c.change_count++] =
        (struct pipe_carry_change){ j->c.equations[a->at].sides.stated, a->result };
    if (!is_unique(j, a->at) ||
        !is_plausible(j->c.equations[a->at].sides.stated, a->result))
        return false;
    for (uint32_t i = a->at + 1; i < j->c.equation_count; i++) {
        const struct pipe_carry_equation *e = &j->c.equations[i];
        const struct pipe_exact value = pipe_carry_value(&j->c, e, NULL);
        if (pipe_exact_same(value, e->sides.stated))
            continue;
        if (!is_plausible(e->sides.stated, value) || !is_unique(j, i) ||
            j->c.change_count == PIPE_CARRY_EQUATIONS)
            return false;
        j->c.changes[j->c.change_count++] =
            (struct pipe_carry_change){ e->sides.stated, value };
    }
    return true;
}

static bool write_token(struct injecting *j, uint32_t i, const struct pipe_alteration *a)
{
    const struct pipe_math_token *t = &j->c.tokens[i];
    const uint32_t size = t->end - t->at;
    char number[NUMBER_MAX];
    if (i == a->token) {
        const bool good = t->kind == PIPE_MATH_SIGN || write_number(a->number, number);
        return good && (t->kind == PIPE_MATH_SIGN ? append(j, &a->sign, 1)
                                                  : append(j, number, strlen(number)));
    }
    const bool behind = i >= j->c.equations[a->at].result;
    for (uint32_t c = 0; behind && t->kind == PIPE_MATH_NUMBER && c < j->c.change_count;
         c++)
        if (pipe_exact_same(t->value, j->c.changes[c].before))
            return write_number(j->c.changes[c].after, number) &&
                   append(j, number, strlen(number));
    return append(j, j->text + t->at, size);
}

/* The line of the equation: it is left out whole. */
static void line_of(const struct injecting *j, uint32_t at, uint32_t *from, uint32_t *to)
{
    *from = j->c.tokens[j->c.equations[at].sides.left].at;
    *to = *from + (uint32_t)strcspn(j->text + *from, "\n");
    while (*from > 0 && j->text[*from - 1] != '\n')
        --*from;
    *to += j->text[*to] == '\n';
}

/* Copies what stands before byte `to`, from *at on. */
static bool copy_gap(struct injecting *j, uint32_t *at, uint32_t to)
{
    const bool good = to < *at || append(j, j->text + *at, to - *at);
    *at = to > *at ? to : *at;
    return good;
}

/* Whether the final answer, the last number of the text, hangs on the alteration. */
static bool changes_answer(const struct injecting *j)
{
    uint32_t last = j->c.count;
    while (last > 0 && j->c.tokens[last - 1].kind != PIPE_MATH_NUMBER)
        last--;
    for (uint32_t c = 0; last > 0 && c < j->c.change_count; c++)
        if (pipe_exact_same(j->c.tokens[last - 1].value, j->c.changes[c].before))
            return true;
    return false;
}

/* Writes token i behind what stands before it. The fault stands at the sign of equality, of a
 * step that is left out at the first number that has changed. */
static bool write_next(struct injecting *j, const struct pipe_alteration *a, bool dropped,
                       uint32_t i, uint32_t *at)
{
    const struct pipe_math_token *t = &j->c.tokens[i];
    if (!copy_gap(j, at, t->at))
        return false;
    const uint32_t before = j->size;
    if (!write_token(j, i, a))
        return false;
    *at = t->end;
    const bool changed = j->size - before != t->end - t->at ||
                         memcmp(j->out + before, j->text + t->at, j->size - before) != 0;
    if (dropped ? changed && j->place == UINT32_MAX
                : i == j->c.equations[a->at].sides.equals)
        j->place = before;
    return true;
}

/* Writes the altered text; false if it does not come out whole or the end is the same. */
static bool write_text(struct injecting *j, const struct pipe_alteration *a, bool dropped)
{
    uint32_t at = 0, from = 0, to = 0;
    j->size = 0;
    j->place = UINT32_MAX;
    if (dropped)
        line_of(j, a->at, &from, &to);
    for (uint32_t i = 0; i < j->c.count; i++) {
        const struct pipe_math_token *t = &j->c.tokens[i];
        if (t->at >= from && t->at < to) { /* the line that is left out */
            if (!copy_gap(j, &at, from))
                return false;
            at = to;
        } else if (t->at >= at && !write_next(j, a, dropped, i, &at)) {
            return false;
        }
    }
    return append(j, j->text + at, strlen(j->text + at)) && j->place != UINT32_MAX &&
           changes_answer(j);
}

static bool alter(struct injecting *j, enum pipe_inject_kind kind)
{
    struct pipe_alteration a;
    const bool dropped = kind == PIPE_INJECT_DROPPED;
    j->c.change_count = 0;
    if (!choose(j, kind, &a) || !propagate(j, &a) ||
        !pipe_carry_understood(&j->c, j->c.equations[a.at].sides.left))
        return false;
    if (a.token != UINT32_MAX && j->c.tokens[a.token].kind == PIPE_MATH_NUMBER) {
        /* the same number in the same line would contradict it */
        uint32_t from, to, same = 0;
        line_of(j, a.at, &from, &to);
        for (uint32_t i = 0; i < j->c.count; i++)
            same += j->c.tokens[i].kind == PIPE_MATH_NUMBER &&
                    j->c.tokens[i].at >= from && j->c.tokens[i].at < to &&
                    pipe_exact_same(j->c.tokens[i].value, j->c.tokens[a.token].value);
        if (same != 1)
            return false;
    }
    return write_text(j, &a, dropped);
}

rt_status pipe_inject_text(struct rt_ctx *ctx, struct pipe_pool *pool,
                           const struct pipe_dialect *dialect, const char *question,
                           const char *output, enum pipe_inject_kind kind, uint64_t seed,
                           uint32_t index, struct pipe_injected *out)
{
    struct pipe_step steps[PIPE_STEPS_MAX];
    *out = (struct pipe_injected){ .step = -1, .kind = kind };
    struct injecting *j = rt_alloc(ctx, 1, sizeof *j);
    if (!j)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for an answer");
    j->question = question;
    j->seed = seed;
    j->index = index;
    pipe_given_add_text(&j->asked, question);
    for (uint32_t i = 0; i < j->asked.count; i++)
        j->sentence[i] = sentence_of(question, j->asked.values[i]);
    if (copy_without_marks(output, j->text))
        pipe_carry_read(&j->c, j->text);
    bool found = false;
    for (; j->try < TRIES && !found; j->try++) {
        j->drawn = 0;
        found = j->c.count < PIPE_CARRY_TOKENS && alter(j, kind);
    }
    if (found) {
        const uint32_t n = dialect->split(j->out, steps, PIPE_STEPS_MAX);
        for (uint32_t k = 0; k < n; k++)
            if (j->place >= steps[k].char_start && j->place < steps[k].char_end)
                out->step = (int32_t)k;
        out->output = pipe_pool_copy(ctx, pool, j->out, j->size);
    }
    rt_free(j);
    return !found || out->output
               ? RT_OK
               : rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for an answer");
}
