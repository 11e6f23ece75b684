/* pipeline/grade/collection.c
 * Equality of tuples, lists and sets, with or without order, and of values behind
 * names. */
#include "pipeline/grade/tree_compare.h"

#include <assert.h>
/* ---- names ---- */

/* A product or quotient of letters, a function of them, a size in bars: what can stand for a
 * thing. */
bool grade_is_name(struct item a)
{
    const struct node *nodes = a.t->nodes, *n = item_node(a);
    bool letters = false;
    if (n->kind == N_TEXT || n->kind == N_SYMBOL || n->kind == N_OPAQUE)
        return true;
    if (n->kind == N_TUPLE) {
        for (uint32_t k = n->first; k != TREE_NONE; k = nodes[k].next)
            if (nodes[k].kind != N_SYMBOL && nodes[k].kind != N_CONST)
                return false;
        return true;
    }
    for (uint32_t i = n->start; i <= a.node; i++) {
        const struct node *m = &nodes[i];
        const bool call = m->kind == N_CALL; /* |AB|, \cos A */
        if (m->kind == N_SYMBOL || m->kind == N_OPAQUE)
            letters = true;
        else if (m->kind != N_MUL && m->kind != N_DIV && m->kind != N_CONST && !call)
            return false;
    }
    return letters || n->kind == N_CONST;
}

/* ---- items ---- */

struct items {
    struct item at[ITEMS_MAX];
    uint32_t count;
    bool overflow, set;
    bool named; /* every stated left side is `name` */
    struct item name;
};

static void add_item(struct items *s, struct item a)
{
    const int signs = item_node(a)->flags & HAS_PM && a.sign == 0 ? 2 : 1;
    for (int i = 0; i < signs; i++) {
        if (s->count == ITEMS_MAX) {
            s->overflow = true;
            return;
        }
        s->at[s->count] = a;
        if (signs == 2)
            s->at[s->count].sign = i == 0 ? 1 : -1;
        s->count++;
    }
}

static bool is_collection(struct item a)
{
    const struct node *n = item_node(a);
    return n->kind == N_LIST || n->kind == N_SET || (n->flags & HAS_PM && a.sign == 0);
}

/* A left side that all items share, or that only the first states, names the values. */
static void strip_names(struct items *s)
{
    struct item name, value;
    for (uint32_t i = 0; i < s->count; i++) {
        if (!grade_relation_value(s->at[i], &name, &value) || !grade_is_name(name))
            continue;
        const struct node *a = item_node(name), *b = item_node(s->name);
        if (!s->named)
            s->name = name;
        else if (a->kind != b->kind || a->name != b->name || a->kind == N_OPAQUE)
            return;
        s->named = true;
    }
    for (uint32_t i = 0; s->named && i < s->count; i++)
        if (grade_relation_value(s->at[i], &name, &value))
            s->at[i] = value;
}

static void collect(struct item a, struct items *s)
{
    const struct node *n = item_node(a);
    s->count = 0;
    s->overflow = s->named = false;
    s->set = n->kind == N_SET;
    s->name = a;
    if (n->kind == N_LIST || n->kind == N_SET)
        for (uint32_t k = n->first; k != TREE_NONE; k = a.t->nodes[k].next)
            add_item(s, (struct item){ a.t, k, a.sign });
    else
        add_item(s, a);
    strip_names(s);
    struct items flat = { .count = 0 }; /* x = 1 +- 2, x = {1, 2} */
    for (uint32_t i = 0; s->named && i < s->count; i++)
        add_item(&flat, s->at[i]);
    for (uint32_t i = 0; s->named && i < flat.count; i++)
        s->at[i] = flat.at[i];
    s->count = s->named ? flat.count : s->count;
}

/* Each of a has an equal in b. */
static int within(struct comparer *c, const struct items *a, const struct items *b,
                  bool swapped)
{
    int verdict = PIPE_VERDICT_EQUAL;
    for (uint32_t i = 0; i < a->count; i++) {
        int best = PIPE_VERDICT_DIFFERENT;
        for (uint32_t k = 0; k < b->count && best != PIPE_VERDICT_EQUAL; k++) {
            const int v = swapped ? grade_compare(c, b->at[k], a->at[i])
                                  : grade_compare(c, a->at[i], b->at[k]);
            best = v == PIPE_VERDICT_DIFFERENT ? best : v;
        }
        if (best == PIPE_VERDICT_DIFFERENT)
            return best;
        verdict = best == PIPE_VERDICT_UNDECIDED ? best : verdict;
    }
    return verdict;
}

/* Repeated elements count once, but two of one value are no single value. */
static int unordered(struct comparer *c, const struct items *gold,
                     const struct items *pred)
{
    const bool one = gold->count == 1 || pred->count == 1;
    c->rule = gold->set || pred->set ? "set" : "list";
    if (one && gold->count != pred->count && !gold->set && !pred->set)
        return PIPE_VERDICT_DIFFERENT;
    const char *rule = c->rule;
    int verdict = within(c, gold, pred, false);
    if (verdict == PIPE_VERDICT_EQUAL)
        verdict = within(c, pred, gold, true);
    c->rule = rule;
    return verdict;
}

static int ordered(struct comparer *c, const struct items *gold, const struct items *pred)
{
    int verdict = PIPE_VERDICT_EQUAL;
    if (gold->count != pred->count)
        return PIPE_VERDICT_DIFFERENT;
    for (uint32_t i = 0; i < gold->count; i++) {
        const int v = grade_compare(c, gold->at[i], pred->at[i]);
        if (v == PIPE_VERDICT_DIFFERENT)
            return v;
        verdict = v == PIPE_VERDICT_UNDECIDED ? v : verdict;
    }
    return verdict;
}

/* ---- assignments ---- */

struct assignment {
    struct items names, values;
};

static void children_of(struct item a, struct items *out)
{
    out->count = 0;
    out->overflow = out->set = out->named = false;
    for (uint32_t k = item_node(a)->first; k != TREE_NONE; k = a.t->nodes[k].next) {
        assert(k < a.t->count && out->count <= ITEMS_MAX);
        if (out->count == ITEMS_MAX) {
            out->overflow = true;
            return;
        }
        out->at[out->count++] = (struct item){ a.t, k, a.sign };
    }
}

/* x=2, y=-3 or (x,y)=(2,-3): different names, a value each. */
static bool assigned(struct item a, struct assignment *out)
{
    struct item name, value;
    if (grade_relation_value(a, &name, &value)) {
        if (item_node(name)->kind != N_TUPLE || item_node(value)->kind != N_TUPLE ||
            item_node(name)->count != item_node(value)->count || !grade_is_name(name))
            return false;
        children_of(name, &out->names);
        children_of(value, &out->values);
        return !out->names.overflow;
    }
    const struct node *n = item_node(a);
    if ((n->kind != N_LIST && n->kind != N_TUPLE) || n->count < 2)
        return false;
    children_of(a, &out->names);
    if (out->names.overflow)
        return false;
    out->values.count = out->names.count;
    out->values.set = false;
    for (uint32_t i = 0; i < out->names.count; i++) {
        if (!grade_relation_value(out->names.at[i], &name, &value) ||
            !grade_is_name(name))
            return false;
        out->names.at[i] = name;
        out->values.at[i] = value;
    }
    return item_node(out->names.at[0])->name != item_node(out->names.at[1])->name;
}

static int assignments(struct comparer *c, struct assignment *gold,
                       struct assignment *pred)
{
    int verdict = PIPE_VERDICT_EQUAL;
    if (gold->names.count != pred->names.count)
        return PIPE_VERDICT_DIFFERENT;
    for (uint32_t i = 0; i < gold->names.count; i++) {
        uint32_t k = 0;
        const char *rule;
        while (k < pred->names.count &&
               grade_identity(c->e, gold->names.at[i], pred->names.at[k], &rule) !=
                   PIPE_VERDICT_EQUAL)
            k++;
        if (k == pred->names.count)
            return PIPE_VERDICT_DIFFERENT;
        const int v = grade_compare(c, gold->values.at[i], pred->values.at[k]);
        if (v == PIPE_VERDICT_DIFFERENT)
            return v;
        verdict = v == PIPE_VERDICT_UNDECIDED ? v : verdict;
    }
    c->rule = "assignments";
    return verdict;
}

/* One or both sides assign values to names. -1: none does. */
static int compare_assignments(struct comparer *c, struct item gold, struct item pred)
{
    struct assignment a, b;
    const bool x = assigned(gold, &a), y = assigned(pred, &b);
    if (!x && !y)
        return -1;
    if (x && y)
        return assignments(c, &a, &b);
    const struct item other = x ? pred : gold;
    const uint8_t kind = item_node(other)->kind;
    if (kind != N_LIST && kind != N_TUPLE && kind != N_MATRIX)
        return -1;
    c->rule = "assignments";
    if (!policy(c, PIPE_POLICY_ASSIGNMENT_LIST))
        return PIPE_VERDICT_DIFFERENT;
    struct items values;
    children_of(other, &values);
    c->rule = "assignments";
    return x ? ordered(c, &a.values, &values) : ordered(c, &values, &b.values);
}

/* ---- tuples and matrices ---- */

/* Rows of a matrix, or the elements of one with a single row or column. */
static bool as_vector(struct item a, struct items *out)
{
    const struct node *n = item_node(a);
    if (n->kind != N_MATRIX || n->op)
        return false;
    if (n->count == 1) {
        children_of(item_child(a, 0), out);
        return !out->overflow;
    }
    children_of(a, out);
    for (uint32_t i = 0; i < out->count; i++) {
        if (item_node(out->at[i])->count != 1)
            return false;
        out->at[i] = item_child(out->at[i], 0);
    }
    return !out->overflow;
}

static int matrices(struct comparer *c, struct item gold, struct item pred)
{
    const struct node *x = item_node(gold), *y = item_node(pred);
    struct items a, b;
    int verdict = PIPE_VERDICT_EQUAL;
    c->rule = "matrix";
    if (x->op != y->op)
        return PIPE_VERDICT_DIFFERENT;
    if (x->count != y->count || (x->count && item_child(gold, 0).t &&
                                 item_node(item_child(gold, 0))->count !=
                                     item_node(item_child(pred, 0))->count)) {
        if (policy(c, PIPE_POLICY_VECTOR_TUPLE) && as_vector(gold, &a) &&
            as_vector(pred, &b))
            return ordered(c, &a, &b);
        return PIPE_VERDICT_DIFFERENT;
    }
    struct item row_a = item_child(gold, 0), row_b = item_child(pred, 0);
    while (row_a.node != TREE_NONE && row_b.node != TREE_NONE) {
        children_of(row_a, &a);
        children_of(row_b, &b);
        const int v = ordered(c, &a, &b);
        if (v == PIPE_VERDICT_DIFFERENT)
            return v;
        verdict = v == PIPE_VERDICT_UNDECIDED ? v : verdict;
        row_a.node = item_node(row_a)->next;
        row_b.node = item_node(row_b)->next;
    }
    c->rule = "matrix";
    return verdict;
}

/* Brackets tell intervals apart; three or more elements are no interval. */
static int tuples(struct comparer *c, struct item gold, struct item pred)
{
    const struct node *x = item_node(gold), *y = item_node(pred);
    struct items a, b;
    c->rule =
        x->op == B_SQUARE || x->op == (B_OPEN_LEFT | B_OPEN_RIGHT) ? "tuple" : "interval";
    if (x->count != y->count || (x->count == 2 && x->op != y->op))
        return PIPE_VERDICT_DIFFERENT;
    children_of(gold, &a);
    children_of(pred, &b);
    if (a.overflow || b.overflow)
        return PIPE_VERDICT_UNDECIDED;
    const char *rule = c->rule;
    const int verdict = ordered(c, &a, &b);
    c->rule = rule;
    return verdict;
}

static int vector_and_tuple(struct comparer *c, struct item gold, struct item pred)
{
    const bool first = item_node(gold)->kind == N_MATRIX;
    struct items vector, tuple;
    c->rule = "vector";
    if (!policy(c, PIPE_POLICY_VECTOR_TUPLE) || !as_vector(first ? gold : pred, &vector))
        return PIPE_VERDICT_DIFFERENT;
    children_of(first ? pred : gold, &tuple);
    return first ? ordered(c, &vector, &tuple) : ordered(c, &tuple, &vector);
}

/* ---- all ---- */

static int collections(struct comparer *c, struct item gold, struct item pred)
{
    struct items a, b;
    const uint8_t x = item_node(gold)->kind, y = item_node(pred)->kind;
    c->rule = "list";
    if ((x == N_SET && (y == N_NAMED || y == N_SETOP)) ||
        (y == N_SET && (x == N_NAMED || x == N_SETOP)))
        return PIPE_VERDICT_DIFFERENT;
    if ((x == N_SET && y == N_TUPLE) || (x == N_TUPLE && y == N_SET)) {
        if (policy(c, PIPE_POLICY_SET_TUPLE))
            return PIPE_VERDICT_DIFFERENT;
        children_of(gold, &a);
        children_of(pred, &b);
        return unordered(c, &a, &b);
    } else if ((x == N_TUPLE && y == N_LIST) || (x == N_LIST && y == N_TUPLE)) {
        children_of(gold, &a);
        children_of(pred, &b);
        const int v = a.count == b.count ? ordered(c, &a, &b) : PIPE_VERDICT_DIFFERENT;
        if (v == PIPE_VERDICT_EQUAL)
            return v;
    }
    collect(gold, &a);
    collect(pred, &b);
    if (a.overflow || b.overflow)
        return PIPE_VERDICT_UNDECIDED;
    if (a.named && b.named && policy(c, PIPE_POLICY_VARIABLE_NAME)) {
        const char *rule;
        if (grade_identity(c->e, a.name, b.name, &rule) == PIPE_VERDICT_DIFFERENT)
            return PIPE_VERDICT_DIFFERENT;
    }
    if (!policy(c, PIPE_POLICY_LIST_ORDER) && x == N_LIST && y == N_LIST)
        return ordered(c, &a, &b);
    if (a.count == 1 && b.count == 1 && a.at[0].node == gold.node &&
        b.at[0].node == pred.node)
        return -1;
    return unordered(c, &a, &b);
}

int grade_compare_collections(struct comparer *c, struct item gold, struct item pred)
{
    const uint8_t x = item_node(gold)->kind, y = item_node(pred)->kind;
    const int assignment = compare_assignments(c, gold, pred);
    if (assignment >= 0)
        return assignment;
    if (x == N_TUPLE && y == N_TUPLE && !is_collection(gold) && !is_collection(pred))
        return tuples(c, gold, pred);
    const bool sets = !(x == N_TUPLE && y == N_TUPLE);
    const int as_sets = sets ? grade_compare_sets(c, gold, pred) : -1;
    if (as_sets >= 0)
        return as_sets;
    if (x == N_MATRIX && y == N_MATRIX)
        return matrices(c, gold, pred);
    if ((x == N_MATRIX && y == N_TUPLE) || (x == N_TUPLE && y == N_MATRIX))
        return vector_and_tuple(c, gold, pred);
    if (is_collection(gold) || is_collection(pred))
        return collections(c, gold, pred);
    return -1;
}
