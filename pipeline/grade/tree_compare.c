/* pipeline/grade/tree_compare.c
 * Decides by the kind of two trees how they are compared, and calls the comparison of
 * that kind. */
#include "pipeline/grade/tree_compare.h"

#include "pipeline/grade/answer_text.h"

#include <string.h>

enum { UNITS_COMPARE = 20 };

/* Behind "a", "an" or "the" at the start of words; a capital A may be a choice. */
static uint32_t behind_article(const char *text, uint32_t from, uint32_t to)
{
    static const char *const articles[] = { "a ", "an ", "the ", "An ", "The " };
    uint32_t at = from;
    if (to - at > 6 && strncmp(text + at, "\\text{", 6) == 0)
        at += 6;
    for (size_t i = 0; i < RT_COUNT(articles); i++) {
        const uint32_t n = (uint32_t)strlen(articles[i]);
        if (to - at > n + 2 && strncmp(text + at, articles[i], n) == 0)
            return at + n;
    }
    return from;
}

static bool view_of_items_equal(struct item a, struct item b)
{
    const struct node *x = item_node(a), *y = item_node(b);
    const uint32_t x_from = behind_article(a.t->text, x->from, x->to),
                   y_from = behind_article(b.t->text, y->from, y->to);
    return grade_view_equal(a.t->text, x_from, x->to, b.t->text, y_from, y->to);
}

/* What could not be read equals the same characters only. */
static bool same_characters(struct item a, struct item b)
{
    const struct node *x = item_node(a), *y = item_node(b);
    uint32_t i = x->from, k = y->from;
    for (;;) {
        while (i < x->to && a.t->text[i] == ' ')
            i++;
        while (k < y->to && b.t->text[k] == ' ')
            k++;
        if (i >= x->to || k >= y->to)
            return i >= x->to && k >= y->to;
        if (a.t->text[i++] != b.t->text[k++])
            return false;
    }
}

/* A letter that may be a choice, in lower case; 0: none. */
static char choice_letter(struct item a)
{
    const struct node *n = item_node(a);
    if ((n->kind != N_SYMBOL && n->kind != N_CONST) || n->to < n->from + 1)
        return 0;
    const char c = a.t->text[n->from];
    const char low = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return n->to - n->from <= 3 && low >= 'a' && low <= 'j' ? low : 0;
}

/* (B), \text{B}, (b): letters in brackets or style are choices, whatever their case. */
static bool same_choice(struct item a, struct item b)
{
    const char x = choice_letter(a), y = choice_letter(b);
    const unsigned dressed = item_node(a)->flags | item_node(b)->flags;
    return x && x == y && (dressed & (IS_BRACKETED | IS_STYLED));
}

static int words(struct comparer *c, struct item gold, struct item pred)
{
    const struct node *x = item_node(gold), *y = item_node(pred);
    if (!((x->flags | y->flags) & HAS_TEXT) && policy(c, PIPE_POLICY_LETTER_CASE))
        return -1;
    c->rule = "words";
    if (x->kind == N_BAD || y->kind == N_BAD)
        return same_characters(gold, pred) ? PIPE_VERDICT_EQUAL : PIPE_VERDICT_DIFFERENT;
    if (view_of_items_equal(gold, pred))
        return PIPE_VERDICT_EQUAL;
    return x->kind == N_TEXT || y->kind == N_TEXT ? PIPE_VERDICT_DIFFERENT : -1;
}

int grade_compare(struct comparer *c, struct item gold, struct item pred)
{
    grade_evaluator_spend(c->e, UNITS_COMPARE);
    if (c->depth >= COMPARE_DEPTH_MAX || grade_evaluator_spent(c->e)) {
        c->rule = "limit";
        return PIPE_VERDICT_UNDECIDED;
    }
    c->depth++;
    int verdict = words(c, gold, pred);
    if (verdict < 0 && same_choice(gold, pred)) {
        c->rule = "choice";
        verdict = PIPE_VERDICT_EQUAL;
    }
    if (verdict < 0)
        verdict = grade_compare_measures(c, gold, pred);
    if (verdict < 0)
        verdict = grade_compare_progressions(c, gold, pred);
    if (verdict < 0)
        verdict = grade_compare_relations(c, gold, pred);
    if (verdict < 0)
        verdict = grade_compare_collections(c, gold, pred);
    if (verdict < 0)
        verdict = grade_compare_quantities(c, gold, pred);
    c->depth--;
    return verdict;
}
