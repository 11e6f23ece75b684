/* pipeline/grade/progression.c
 * Lists with dots: 1,2,...,n is 1,2,3,...,n, and 1,2,...,5 is 1,2,3,4,5. What stands
 * before the dots is continued by equal steps, or by equal ratios if there are three. */
#include "pipeline/grade/tree_compare.h"

#include <flint/ulong_extras.h>
#include <string.h>

struct sequence {
    struct item at[ITEMS_MAX];
    uint32_t count; /* dots left out */
    uint32_t head;  /* how many stand before the dots; count: there are none */
    bool dots, set, tuple;
};

static bool is_dots(const struct node *n)
{
    return n->kind == N_SYMBOL && n->name == grade_hash_bytes("...", 3);
}

/* False: no list, too long, or several dots. */
static bool read_sequence(struct item a, struct sequence *s)
{
    const struct node *n = item_node(a);
    s->count = s->head = 0;
    s->dots = false;
    s->set = n->kind == N_SET;
    s->tuple = n->kind == N_TUPLE;
    if ((n->kind != N_LIST || n->op == SEP_OR) && !s->set && !s->tuple)
        return false;
    for (uint32_t k = n->first; k != TREE_NONE; k = a.t->nodes[k].next) {
        const bool dots = is_dots(&a.t->nodes[k]);
        if ((dots && s->dots) || s->count == ITEMS_MAX)
            return false;
        if (dots)
            s->head = s->count;
        else
            s->at[s->count++] = (struct item){ a.t, k, a.sign };
        s->dots |= dots;
    }
    s->head = s->dots ? s->head : s->count;
    return true;
}

/* ---- steps ---- */

enum step { STEP_SUM, STEP_RATIO };

/* Whether every item is the one before plus the same, or times the same, as certain as any
 * identity modulo two primes is. */
static bool same_steps(struct comparer *c, const struct item *at, uint32_t count,
                       enum step step)
{
    uint64_t primes[2];
    struct residue r[ITEMS_MAX];
    grade_evaluator_primes(c->e, primes);
    for (uint32_t i = 0; i < count; i++) {
        r[i] = grade_residue_of(c->e, at[i]);
        if (!r[i].valid)
            return false;
    }
    for (uint32_t i = 2; i < count; i++)
        for (int k = 0; k < 2; k++) {
            const uint64_t p = primes[k], inverse = n_preinvert_limb(p);
            const uint64_t x = r[i - 2].value[k], y = r[i - 1].value[k],
                           z = r[i].value[k];
            if (step == STEP_SUM && n_addmod(x, z, p) != n_addmod(y, y, p))
                return false;
            if (step == STEP_RATIO && (x == 0 || n_mulmod2_preinv(x, z, p, inverse) !=
                                                     n_mulmod2_preinv(y, y, p, inverse)))
                return false;
        }
    return true;
}

/* A letter with a whole number below it, x_2: where the number begins, and what it is. */
static bool subscript_of(struct item a, uint32_t *letters, int64_t *number)
{
    const struct node *n = item_node(a);
    const char *text = a.t->text;
    uint32_t i = n->from;
    if (n->kind != N_SYMBOL)
        return false;
    while (i < n->to && text[i] != '_' && !(text[i] >= '0' && text[i] <= '9'))
        i++;
    *letters = i - n->from;
    while (i < n->to && strchr("_{ ", text[i]))
        i++;
    uint32_t digits = 0;
    for (*number = 0; i < n->to && text[i] >= '0' && text[i] <= '9' && digits < 9; i++) {
        *number = *number * 10 + (text[i] - '0');
        digits++;
    }
    return digits > 0 && *letters > 0;
}

/* x_1, x_2, x_3 */
static bool same_subscript_steps(const struct item *at, uint32_t count)
{
    uint32_t letters, first_letters = 0;
    int64_t number, before = 0, step = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!subscript_of(at[i], &letters, &number))
            return false;
        if (i == 0)
            first_letters = letters;
        if (letters != first_letters ||
            memcmp(at[i].t->text + item_node(at[i])->from,
                   at[0].t->text + item_node(at[0])->from, letters) != 0)
            return false;
        if (i > 1 && number - before != step)
            return false;
        step = number - before;
        before = number;
    }
    return true;
}

/* 1, 2 or x_1, x_2: what a single item before dots is taken to mean. */
static bool is_unit_step(struct item first, struct item second)
{
    const struct node *a = item_node(first), *b = item_node(second);
    uint32_t letters[2];
    int64_t number[2];
    if (subscript_of(first, &letters[0], &number[0]) &&
        subscript_of(second, &letters[1], &number[1]))
        return number[1] - number[0] == 1 || number[0] - number[1] == 1;
    if (!(a->flags & IS_EXACT) || !(b->flags & IS_EXACT))
        return false;
    fmpq_t step;
    fmpq_init(step);
    fmpq_sub(step, &a->value, &b->value);
    fmpq_abs(step, step);
    const bool one = fmpq_is_one(step);
    fmpq_clear(step);
    return one;
}

/* Whether the longer of two beginnings continues the shorter, which has `given` items. */
static bool continues(struct comparer *c, const struct item *at, uint32_t count,
                      uint32_t given)
{
    if (given == 0 || (given == 1 && count > 1 && !is_unit_step(at[0], at[1])))
        return false;
    return same_subscript_steps(at, count) || same_steps(c, at, count, STEP_SUM) ||
           (given > 2 && same_steps(c, at, count, STEP_RATIO));
}

/* ---- pairs ---- */

static bool same_items(struct comparer *c, const struct item *gold,
                       const struct item *pred, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (grade_compare(c, gold[i], pred[i]) != PIPE_VERDICT_EQUAL)
            return false;
    return true;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static bool both_with_dots(struct comparer *c, const struct sequence *gold,
                           const struct sequence *pred)
{
    const uint32_t head = smaller(gold->head, pred->head);
    const uint32_t after_gold = gold->count - gold->head,
                   after_pred = pred->count - pred->head;
    const uint32_t tail = smaller(after_gold, after_pred);
    const struct sequence *longer = gold->head > pred->head ? gold : pred;
    const struct sequence *later = after_gold > after_pred ? gold : pred;
    if ((tail == 0) != (after_gold == 0 && after_pred == 0) ||
        !same_items(c, gold->at, pred->at, head) ||
        !same_items(c, gold->at + gold->count - tail, pred->at + pred->count - tail,
                    tail))
        return false;
    if (gold->head != pred->head && !continues(c, longer->at, longer->head, head))
        return false;
    return after_gold == after_pred ||
           continues(c, later->at + later->head, later->count - later->head, 2);
}

/* All items are written out on the other side. */
static bool written_out(struct comparer *c, const struct sequence *dotted,
                        const struct sequence *whole, bool dotted_is_gold)
{
    const uint32_t head = dotted->head, tail = dotted->count - head;
    const struct item *end = whole->at + whole->count - tail;
    if (head < 2 || tail == 0 || whole->count < dotted->count)
        return false;
    const bool same = dotted_is_gold ? same_items(c, dotted->at, whole->at, head) &&
                                           same_items(c, dotted->at + head, end, tail)
                                     : same_items(c, whole->at, dotted->at, head) &&
                                           same_items(c, end, dotted->at + head, tail);
    return same && continues(c, whole->at, whole->count, head);
}

/* n,...,2,1 for 1,2,...,n, where order does not matter. */
static void reverse(struct sequence *s)
{
    for (uint32_t i = 0; i < s->count / 2; i++) {
        const struct item swap = s->at[i];
        s->at[i] = s->at[s->count - 1 - i];
        s->at[s->count - 1 - i] = swap;
    }
    s->head = s->dots ? s->count - s->head : s->count;
}

static bool same_sequence(struct comparer *c, const struct sequence *a,
                          const struct sequence *b)
{
    return a->dots && b->dots ? both_with_dots(c, a, b)
           : a->dots          ? written_out(c, a, b, true)
                              : written_out(c, b, a, false);
}

int grade_compare_progressions(struct comparer *c, struct item gold, struct item pred)
{
    struct sequence a, b;
    if (!policy(c, PIPE_POLICY_DOTS) || !read_sequence(gold, &a) ||
        !read_sequence(pred, &b) || (!a.dots && !b.dots) || (a.set && b.tuple) ||
        (a.tuple && b.set))
        return -1;
    bool same = same_sequence(c, &a, &b);
    if (!same && !a.tuple && !b.tuple && policy(c, PIPE_POLICY_LIST_ORDER)) {
        reverse(&b);
        same = same_sequence(c, &a, &b);
    }
    c->rule = "dots";
    return same ? PIPE_VERDICT_EQUAL : PIPE_VERDICT_DIFFERENT;
}
