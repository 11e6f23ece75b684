/* pipeline/demo/locate_check.c
 * The rules of the locator `check` for the demo's format, tried step by step against
 * what the question states and what was derived so far. */
#include "pipeline/demo/locate_check.h"

#include "pipeline/demo/format_demo.h"
#include "pipeline/prompt/prompt_format.h"
#include "pipeline/demo/question_facts.h"

#include <stdio.h>
#include <string.h>

enum { RESULTS_MAX = PIPE_STEPS_MAX, LOOP_LINES_MAX = 8, LOOP_TIMES = 4 };

/* What is known of one name's running quantity. */
struct quantity {
    bool seen, main_known, pending_known;
    bool pending_leaves; /* a share: it is taken away from main */
    int64_t main, pending;
};

/* Everything derived so far. */
struct state {
    const struct pipe_question *q;
    struct quantity of[PIPE_NAMES_MAX];
    struct pipe_demo_line lines[RESULTS_MAX];
    int32_t owner[RESULTS_MAX]; /* name of the label, -1: another kind of label */
    uint32_t count;
};

static const struct {
    const char *name;
    enum pipe_category category;
    double confidence; /* see the header */
} rules[PIPE_CHECK_RULE_COUNT] = {
    [PIPE_CHECK_NONE] = { "none", PIPE_CAT_NONE, 0.0 },
    [PIPE_CHECK_REPETITION] = { "repetition", PIPE_CAT_DEGENERATE, 0.8 },
    [PIPE_CHECK_UNREADABLE] = { "unreadable", PIPE_CAT_EXECUTION_SYMBOLIC, 0.95 },
    [PIPE_CHECK_UNKNOWN] = { "unknown", PIPE_CAT_EXECUTION_SYMBOLIC, 0.95 },
    [PIPE_CHECK_FOREIGN] = { "foreign", PIPE_CAT_METHOD_FORMULA, 0.95 },
    [PIPE_CHECK_STALE] = { "stale", PIPE_CAT_METHOD_FORMULA, 0.95 },
    [PIPE_CHECK_OPERATOR] = { "operator", PIPE_CAT_METHOD_FORMULA, 0.8 },
    [PIPE_CHECK_ARITHMETIC] = { "arithmetic", PIPE_CAT_EXECUTION_COMPUTATION, 0.95 },
    [PIPE_CHECK_ANSWER] = { "answer", PIPE_CAT_TRANSFER, 0.8 },
    [PIPE_CHECK_MISSING] = { "missing", PIPE_CAT_METHOD_PROCEDURE, 0.8 },
};

const char *pipe_check_rule_name(enum pipe_check_rule rule)
{
    return rules[rule].name;
}

/* ---- what was derived ---- */

static bool derived(const struct state *st, int32_t owner, int64_t value)
{
    for (uint32_t i = 0; i < st->count; i++)
        if (st->owner[i] == owner && st->lines[i].c == value)
            return true;
    return false;
}

static bool derived_by_any(const struct state *st, int64_t value)
{
    for (uint32_t i = 0; i < st->count; i++)
        if (st->lines[i].c == value)
            return true;
    return false;
}

/* x is a value of some name that `name` is compared with, and y stands in that sentence.
 */
static bool compared(const struct state *st, uint32_t name, int64_t x, int64_t y, char op)
{
    for (uint32_t i = 0; i < pipe_fact_count(st->q); i++) {
        const struct pipe_sentence *s = &st->q->sentences[i];
        if (!pipe_fact_compares(s, name) ||
            !(op == '/' ? pipe_sentence_implies(s, y) : pipe_sentence_states(s, y)))
            continue;
        if (pipe_fact_starts_with(st->q, s->names[1], x) ||
            derived(st, (int32_t)s->names[1], x))
            return true;
    }
    return false;
}

/* An operand that was not expected: an old value of the same owner, or somebody else's.
 */
static enum pipe_check_rule blame(const struct state *st, uint32_t name, int64_t operand)
{
    const bool own =
        derived(st, (int32_t)name, operand) || pipe_fact_gives(st->q, name, operand);
    return own ? PIPE_CHECK_STALE : PIPE_CHECK_FOREIGN;
}

/* a +- b of a name that has something pending: it is to be put to use now. */
static enum pipe_check_rule check_pending(const struct state *st, uint32_t name, char op,
                                          int64_t from, int64_t by)
{
    const struct quantity *k = &st->of[name];
    if (by != k->pending)
        return blame(st, name, by);
    if (k->main_known ? from != k->main : !pipe_fact_starts_with(st->q, name, from))
        return blame(st, name, from);
    return (op == '-') == k->pending_leaves ? PIPE_CHECK_NONE : PIPE_CHECK_OPERATOR;
}

/* a +- b of a name, with the operands in this order. */
static enum pipe_check_rule check_change(const struct state *st, uint32_t name, char op,
                                         int64_t from, int64_t by)
{
    const struct quantity *k = &st->of[name];
    if (k->pending_known)
        return check_pending(st, name, op, from, by);
    const bool starts =
        k->main_known ? from == k->main : pipe_fact_starts_with(st->q, name, from);
    if (!starts && (k->main_known || !compared(st, name, from, by, op)))
        return blame(st, name, from);
    if (!pipe_fact_states(st->q, name, by))
        return PIPE_CHECK_FOREIGN;
    return pipe_fact_against(st->q, name, by, op) ? PIPE_CHECK_OPERATOR : PIPE_CHECK_NONE;
}

/* a +- b of a name. */
static enum pipe_check_rule check_sum(const struct state *st, uint32_t name,
                                      const struct pipe_demo_line *l)
{
    const enum pipe_check_rule straight = check_change(st, name, l->op, l->a, l->b);
    if (straight == PIPE_CHECK_NONE || l->op == '-')
        return straight;
    const enum pipe_check_rule turned = check_change(st, name, l->op, l->b, l->a);
    return turned == PIPE_CHECK_NONE ? turned : straight;
}

/* a * b of a name. */
static enum pipe_check_rule check_product(const struct state *st, uint32_t name,
                                          const struct pipe_demo_line *l)
{
    const struct quantity *k = &st->of[name];
    if (pipe_fact_pair(st->q, name, l->a, l->b, true) ||
        pipe_fact_pair(st->q, name, l->a, l->b, false))
        return PIPE_CHECK_NONE;
    if (k->pending_known && (l->a == k->pending || l->b == k->pending)) {
        const bool part = k->pending_leaves &&
                          pipe_fact_shares(st->q, name, l->a == k->pending ? l->b : l->a);
        return part ? PIPE_CHECK_NONE : PIPE_CHECK_OPERATOR;
    }
    if (!k->main_known &&
        (compared(st, name, l->a, l->b, '*') || compared(st, name, l->b, l->a, '*')))
        return PIPE_CHECK_NONE;
    return k->main_known && l->a == k->main ? PIPE_CHECK_OPERATOR : blame(st, name, l->a);
}

/* a / b of a name. */
static enum pipe_check_rule check_quotient(const struct state *st, uint32_t name,
                                           const struct pipe_demo_line *l)
{
    const struct quantity *k = &st->of[name];
    if (!pipe_fact_shares(st->q, name, l->b))
        return pipe_fact_gives(st->q, name, l->b) ? PIPE_CHECK_OPERATOR
                                                  : PIPE_CHECK_FOREIGN;
    if (k->main_known)
        return l->a == k->main ? PIPE_CHECK_NONE : blame(st, name, l->a);
    if (pipe_fact_starts_with(st->q, name, l->a) || compared(st, name, l->a, l->b, '/'))
        return PIPE_CHECK_NONE;
    return blame(st, name, l->a);
}

/* Brings a name's quantity up to date with a line that passed. */
static void follow(struct state *st, uint32_t name, const struct pipe_demo_line *l)
{
    struct quantity *k = &st->of[name];
    const bool first = !k->seen;
    k->seen = true;
    if (l->op == '+' || l->op == '-') {
        *k = (struct quantity){ .seen = true, .main_known = true, .main = l->c };
        return;
    }
    const bool related =
        !k->main_known && (compared(st, name, l->a, l->b, l->op) ||
                           (l->op == '*' && compared(st, name, l->b, l->a, l->op)));
    const bool start =
        first && l->op == '*' && pipe_fact_pair(st->q, name, l->a, l->b, true);
    if (start || (related && !pipe_fact_starts_with(st->q, name, l->a))) {
        k->main_known = true;
        k->main = l->c;
        return;
    }
    if (l->op == '/' && !k->main_known) {
        k->main_known = true; /* the share is taken from what there was */
        k->main = l->a;
    }
    k->pending_leaves = l->op == '/' || (k->pending_known && k->pending_leaves);
    k->pending_known = true;
    k->pending = l->c;
}

/* What a name has now: known, or possibly `value`. */
static bool may_have(const struct state *st, uint32_t name, int64_t value)
{
    const struct quantity *k = &st->of[name];
    if (k->main_known)
        return k->main == value;
    return k->seen || pipe_fact_starts_with(st->q, name, value);
}

/* The last line of a question about two names: their total or their difference. */
static enum pipe_check_rule check_pair(const struct state *st,
                                       const struct pipe_sentence *ask,
                                       const struct pipe_demo_line *l)
{
    const uint32_t x = ask->names[0], y = ask->names[1];
    const bool straight = may_have(st, x, l->a) && may_have(st, y, l->b);
    const bool crossed = may_have(st, x, l->b) && may_have(st, y, l->a);
    const char op = pipe_sentence_has_word(ask, "total")  ? '+'
                    : pipe_sentence_has_word(ask, "more") ? '-'
                                                          : l->op;
    if (straight || (op == '+' && crossed))
        return op == l->op ? PIPE_CHECK_NONE : PIPE_CHECK_OPERATOR;
    const bool stale = derived_by_any(st, l->a) || derived_by_any(st, l->b);
    return stale ? PIPE_CHECK_STALE : PIPE_CHECK_FOREIGN;
}

/* The latest line with this label, or null. */
static const struct pipe_demo_line *latest(const struct state *st,
                                           const struct pipe_demo_line *l)
{
    for (uint32_t i = st->count; i-- > 0;)
        if (pipe_demo_same_label(&st->lines[i], l))
            return &st->lines[i];
    return NULL;
}

/* A result that its label has since left behind, and that the question does not give. */
static bool left_behind(const struct state *st, int64_t operand)
{
    if (pipe_question_gives(st->q, operand))
        return false;
    bool found = false;
    for (uint32_t i = 0; i < st->count; i++) {
        if (st->lines[i].c != operand)
            continue;
        if (latest(st, &st->lines[i])->c == operand)
            return false;
        found = true;
    }
    return found;
}

static bool label_in(const struct pipe_sentence *s, const struct pipe_demo_line *l)
{
    char word[32];
    if (l->label_length >= sizeof word)
        return false;
    memcpy(word, l->label, l->label_length);
    word[l->label_length] = '\0';
    return pipe_sentence_has_word(s, word);
}

/* cups: 3*12; none where the label is nothing that was bought. */
static enum pipe_check_rule check_price(const struct pipe_question *q,
                                        const struct pipe_demo_line *l)
{
    bool priced = false;
    for (uint32_t i = 0; i < pipe_fact_count(q); i++) {
        const struct pipe_sentence *s = &q->sentences[i];
        if (!pipe_fact_price(s) || !label_in(s, l))
            continue;
        priced = true;
        if (pipe_sentence_states_both(s, l->a, l->b))
            return l->op == '*' ? PIPE_CHECK_NONE : PIPE_CHECK_OPERATOR;
    }
    return priced ? PIPE_CHECK_FOREIGN : PIPE_CHECK_NONE;
}

/* A stated number that belongs to a price or an age, outside the product of the price. */
static bool misused(const struct state *st, int64_t operand)
{
    bool found = false;
    if (derived_by_any(st, operand))
        return false;
    for (uint32_t i = 0; i < pipe_fact_count(st->q); i++) {
        const struct pipe_sentence *s = &st->q->sentences[i];
        if (!pipe_sentence_gives(s, operand))
            continue;
        if (!pipe_fact_price(s) && !pipe_sentence_has_word(s, "years"))
            return false;
        found = true;
    }
    return found;
}

/* One result used twice in a line. */
static bool doubled(const struct state *st, const struct pipe_demo_line *l)
{
    uint32_t times = 0;
    for (uint32_t i = 0; i < st->count; i++)
        times += st->lines[i].c == l->a;
    return l->a == l->b && times == 1 && !pipe_question_gives(st->q, l->a);
}

/* Converts: "inches: 4*12", where a sentence says 4 and implies 12. */
static enum pipe_check_rule check_unit(const struct state *st,
                                       const struct pipe_demo_line *l)
{
    enum pipe_check_rule rule = PIPE_CHECK_FOREIGN;
    for (uint32_t i = 0; i < pipe_fact_count(st->q); i++) {
        const struct pipe_sentence *s = &st->q->sentences[i];
        if (latest(st, l)) { /* the rest that stands beside the bigger unit */
            const int64_t by = l->a == latest(st, l)->c ? l->b : l->a;
            if (s->implied_count && s->stated_count > 1 && pipe_sentence_states(s, by))
                return l->op == '+' ? PIPE_CHECK_NONE : PIPE_CHECK_OPERATOR;
        } else if ((pipe_sentence_states(s, l->a) && pipe_sentence_implies(s, l->b)) ||
                   (pipe_sentence_states(s, l->b) && pipe_sentence_implies(s, l->a))) {
            rule = l->op == '*' ? PIPE_CHECK_NONE : PIPE_CHECK_OPERATOR;
            break;
        }
    }
    return rule;
}

/* The operator that a sentence wants for its number, 0 if it does not say. */
static char wanted_operator(const struct pipe_sentence *s)
{
    static const struct {
        const char *word;
        char op;
    } wants[] = { { "less", '-' }, { "more", '+' }, { "split", '/' }, { "times", '*' } };
    for (size_t i = 0; i < RT_COUNT(wants); i++)
        if (pipe_sentence_has_word(s, wants[i].word))
            return wants[i].op;
    return 0;
}

/* The last step of a conversion: what the last result undergoes. */
static enum pipe_check_rule check_conversion(const struct state *st,
                                             const struct pipe_demo_line *l)
{
    const int64_t last = st->lines[st->count - 1].c;
    if (l->a != last && l->b != last)
        return PIPE_CHECK_STALE;
    const int64_t by = l->a == last ? l->b : l->a;
    bool wanted = false;
    for (uint32_t i = 0; i < st->q->count; i++) {
        const char op = wanted_operator(&st->q->sentences[i]);
        if (!op)
            continue;
        wanted = true;
        if (pipe_sentence_states(&st->q->sentences[i], by))
            return op == l->op ? PIPE_CHECK_NONE : PIPE_CHECK_OPERATOR;
    }
    return wanted ? PIPE_CHECK_FOREIGN : PIPE_CHECK_NONE;
}

/* Change: what was paid with, less the last result. */
static enum pipe_check_rule check_change_money(const struct state *st,
                                               const struct pipe_demo_line *l)
{
    for (uint32_t i = 0; i < pipe_fact_count(st->q); i++) {
        const struct pipe_sentence *s = &st->q->sentences[i];
        if (!pipe_sentence_has_word(s, "pays") || s->stated_count != 1 ||
            !(pipe_sentence_states(s, l->a) || pipe_sentence_states(s, l->b)))
            continue;
        const int64_t other = pipe_sentence_states(s, l->a) ? l->b : l->a;
        if (other != st->lines[st->count - 1].c)
            return PIPE_CHECK_STALE;
        return l->op == '-' ? PIPE_CHECK_NONE : PIPE_CHECK_OPERATOR;
    }
    return PIPE_CHECK_NONE;
}

/* A line of a question without owners: things bought, units, totals. */
static enum pipe_check_rule check_impersonal(const struct state *st,
                                             const struct pipe_demo_line *l)
{
    const struct pipe_question *q = st->q;
    bool money = false, bought = false;
    for (uint32_t i = 0; i < pipe_fact_count(q); i++) {
        const struct pipe_sentence *s = &q->sentences[i];
        money = money || pipe_sentence_has_word(s, "dollars");
        bought = bought || (pipe_fact_price(s) && label_in(s, l));
    }
    if (bought)
        return check_price(q, l);
    if (misused(st, l->a) || misused(st, l->b) || doubled(st, l))
        return PIPE_CHECK_FOREIGN;
    if (money)
        return st->count ? check_change_money(st, l) : PIPE_CHECK_NONE;
    if (label_in(&q->sentences[q->count - 1], l))
        return check_unit(st, l);
    return st->count ? check_conversion(st, l) : PIPE_CHECK_NONE;
}

/* A line whose label is no name. */
static enum pipe_check_rule check_other(const struct state *st,
                                        const struct pipe_demo_line *l)
{
    const struct pipe_question *q = st->q;
    const struct pipe_sentence *ask = &q->sentences[q->count - 1],
                               *share = pipe_fact_sharing(q);
    if (ask->name_count == 2)
        return check_pair(st, ask, l);
    if (share) {
        if (!may_have(st, share->names[0], l->a))
            return blame(st, share->names[0], l->a);
        if (!pipe_sentence_states(share, l->b))
            return PIPE_CHECK_FOREIGN;
        return l->op == '/' ? PIPE_CHECK_NONE : PIPE_CHECK_OPERATOR;
    }
    const struct pipe_demo_line *before = latest(st, l);
    if (before && l->a != before->c && l->b != before->c)
        return PIPE_CHECK_STALE;
    if (left_behind(st, l->a) || left_behind(st, l->b))
        return PIPE_CHECK_STALE;
    return check_impersonal(st, l);
}

static bool has_letter(const struct pipe_demo_line *l)
{
    for (uint32_t i = 0; i < l->label_length; i++)
        if ((l->label[i] | 32) >= 'a' && (l->label[i] | 32) <= 'z')
            return true;
    return false;
}

static enum pipe_check_rule check_line(struct state *st, const struct pipe_demo_line *l)
{
    if (l->kind != PIPE_LINE_EQUATION || !has_letter(l))
        return PIPE_CHECK_UNREADABLE;
    const int64_t operands[2] = { l->a, l->b };
    for (int i = 0; i < 2; i++)
        if (!pipe_question_gives(st->q, operands[i]) && !derived_by_any(st, operands[i]))
            return PIPE_CHECK_UNKNOWN;
    const int32_t name = pipe_question_name(st->q, l->label, l->label_length);
    enum pipe_check_rule rule = PIPE_CHECK_NONE;
    if (!st->q->complete || st->q->count < 2)
        rule = PIPE_CHECK_NONE;
    else if (name < 0)
        rule = check_other(st, l);
    else if (l->op == '*')
        rule = check_product(st, (uint32_t)name, l);
    else if (l->op == '/')
        rule = check_quotient(st, (uint32_t)name, l);
    else
        rule = check_sum(st, (uint32_t)name, l);
    int64_t value;
    if (rule == PIPE_CHECK_NONE &&
        (!pipe_demo_evaluate(l->a, l->op, l->b, &value) || value != l->c))
        rule = PIPE_CHECK_ARITHMETIC;
    if (rule == PIPE_CHECK_NONE && name >= 0)
        follow(st, (uint32_t)name, l);
    if (rule == PIPE_CHECK_NONE && st->count < RESULTS_MAX) {
        st->owner[st->count] = name;
        st->lines[st->count++] = *l;
    }
    return rule;
}

/* A price that was never multiplied: "Ana buys 3 cups at 5 dollars each." */
static bool price_unused(const struct state *st)
{
    for (uint32_t i = 0; i < pipe_fact_count(st->q); i++) {
        const struct pipe_sentence *s = &st->q->sentences[i];
        if (!pipe_fact_price(s))
            continue;
        bool used = false;
        for (uint32_t k = 0; k < st->count; k++)
            used = used || pipe_sentence_states_both(s, st->lines[k].a, st->lines[k].b);
        if (!used)
            return true;
    }
    return false;
}

static enum pipe_check_rule check_answer(const struct state *st,
                                         const struct pipe_demo_line *l)
{
    const struct pipe_question *q = st->q;
    if (st->count && l->c != st->lines[st->count - 1].c)
        return PIPE_CHECK_ANSWER;
    if (!st->count || !q->complete || q->count < 2)
        return PIPE_CHECK_NONE;
    const struct pipe_sentence *ask = &q->sentences[q->count - 1];
    const int32_t last = st->owner[st->count - 1];
    if (last >= 0 && (ask->name_count == 2 || pipe_fact_sharing(q)))
        return PIPE_CHECK_MISSING;
    if (ask->name_count == 1 && pipe_sentence_has_word(ask, "have")) {
        const struct quantity *k = &st->of[ask->names[0]];
        if ((k->seen && k->pending_known) || (k->main_known && k->main != l->c))
            return PIPE_CHECK_MISSING;
    }
    return price_unused(st) ? PIPE_CHECK_MISSING : PIPE_CHECK_NONE;
}

/* ---- the whole answer ---- */

static bool same_step(const char *text, const struct pipe_step *a,
                      const struct pipe_step *b)
{
    const uint32_t length = a->char_end - a->char_start;
    return length == b->char_end - b->char_start &&
           memcmp(text + a->char_start, text + b->char_start, length) == 0;
}

/* First step of a loop at the end of the answer that repeats the one before, or -1. A cut
 * last line is not compared. */
static int32_t pipe_start(const char *text, const struct pipe_step *steps, uint32_t count)
{
    for (uint32_t cut = 0; cut < 2 && cut < count; cut++)
        for (uint32_t period = 1; period <= LOOP_LINES_MAX; period++) {
            uint32_t same = 0;
            const uint32_t n = count - cut;
            while (same + period < n &&
                   same_step(text, &steps[n - 1 - same], &steps[n - 1 - same - period]))
                same++;
            if (same >= (LOOP_TIMES - 1) * period)
                return (int32_t)(n - same);
        }
    return -1;
}

static void report(const struct pipe_demo_line *l, int32_t step,
                   enum pipe_check_rule rule, struct pipe_check *out)
{
    out->rule = rule;
    out->step = step;
    out->category = rules[rule].category;
    out->confidence = rules[rule].confidence;
    if (l && l->kind == PIPE_LINE_EQUATION)
        snprintf(
            out->evidence, sizeof out->evidence,
            "{\"rule\": \"%s\", \"a\": %lld, \"op\": \"%c\", \"b\": %lld, \"c\": %lld}",
            rules[rule].name, (long long)l->a, l->op, (long long)l->b, (long long)l->c);
    else
        snprintf(out->evidence, sizeof out->evidence, "{\"rule\": \"%s\"}",
                 rules[rule].name);
}

void pipe_locate_check(const char *question, const char *output, struct pipe_check *out)
{
    *out = (struct pipe_check){ .step = -1, .evidence = "{}" };
    struct pipe_question q;
    pipe_question_read(question, &q);
    struct state st = { .q = &q };
    struct pipe_step steps[PIPE_STEPS_MAX];
    const uint32_t count = pipe_demo_split(output, steps, PIPE_STEPS_MAX);
    const int32_t session = pipe_start(output, steps, count);
    for (uint32_t k = 0; k < count; k++) {
        struct pipe_demo_line line;
        pipe_demo_step_parse(output, &steps[k], &line);
        enum pipe_check_rule rule;
        if ((int32_t)k == session)
            rule = PIPE_CHECK_REPETITION;
        else if (line.kind == PIPE_LINE_ANSWER)
            rule = check_answer(&st, &line);
        else
            rule = check_line(&st, &line);
        if (rule != PIPE_CHECK_NONE) {
            report(&line, (int32_t)k, rule, out);
            return;
        }
        if (line.kind == PIPE_LINE_ANSWER)
            return; /* what follows the answer is not read */
    }
    report(NULL, count ? (int32_t)count - 1 : 0, PIPE_CHECK_MISSING, out);
    out->category = PIPE_CAT_DEGENERATE; /* ran out without an answer */
}
