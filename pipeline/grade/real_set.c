/* pipeline/grade/real_set.c
 * Sets of real numbers made of intervals, points, inequalities in one variable, unions,
 * intersections and differences. All end points are put in order; then membership is
 * compared at each of them and in each gap between. */
#include "pipeline/grade/tree_compare.h"

#include <assert.h>
#include <string.h>

enum { ENDS_MAX = 64 };

struct end {
    struct item at;
    bool minus;    /* the negative of it */
    uint32_t rank; /* equal ends share one */
};

struct line {
    struct comparer *c;
    struct end ends[ENDS_MAX];
    uint32_t count, ranks;
    struct item variable; /* of inequalities */
    bool has_variable, other_variable, intersect_lists, undecided;
    uint8_t active[2][TREE_NODES_MAX]; /* 1: a part of the set; 2: a leaf */
    bool member[TREE_NODES_MAX];
};

static bool is_bounded(struct item a)
{
    return grade_infinity_sign(a) == 0;
}

/* ---- end points ---- */

static int order(struct line *s, const struct end *a, const struct end *b)
{
    if (a->minus == b->minus) {
        const int v = grade_constant_compare(s->c->e, a->at, b->at);
        return v == 2 ? v : a->minus ? -v : v;
    }
    const int v = grade_constant_compare_negative(s->c->e, a->minus ? b->at : a->at,
                                                  a->minus ? a->at : b->at);
    return v == 2 ? v : a->minus ? -v : v;
}

static bool add_end(struct line *s, struct item at, bool minus)
{
    if (!is_bounded(at))
        return true;
    if (item_node(at)->flags & (HAS_SYMBOL | HAS_STRUCTURE | HAS_TEXT | HAS_OPAQUE))
        return false;
    if (s->count == ENDS_MAX)
        return false;
    struct end e = { at, minus, 0 };
    uint32_t i = s->count;
    while (i > 0) {
        const int v = order(s, &e, &s->ends[i - 1]);
        if (v == 2) {
            s->undecided = true;
            return false;
        }
        if (v >= 0)
            break;
        s->ends[i] = s->ends[i - 1];
        i--;
    }
    assert(i <= s->count && s->count < ENDS_MAX);
    s->ends[i] = e;
    s->count++;
    return true;
}

static void rank_ends(struct line *s)
{
    s->ranks = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (i > 0 && order(s, &s->ends[i - 1], &s->ends[i]) != 0)
            s->ranks++;
        s->ends[i].rank = s->ranks;
    }
    s->ranks += s->count > 0;
    assert(s->ranks <= s->count && s->count <= ENDS_MAX);
}

/* Positions: 0 before the first end, 1 at it, 2 behind it, ... */
static uint32_t position_of(const struct line *s, struct item at, bool minus)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->ends[i].at.t == at.t && s->ends[i].at.node == at.node &&
            s->ends[i].at.sign == at.sign && s->ends[i].minus == minus)
            return 2 * s->ends[i].rank + 1;
    return 0;
}

/* ---- inequalities in one variable ---- */

/* The operand that is the variable or its size: which, -1: none or several. */
static int variable_at(struct line *s, struct item relation, bool *bars)
{
    const struct node *n = item_node(relation);
    int found = -1;
    for (uint32_t i = 0; i < n->count; i++) {
        struct item a = item_child(relation, i);
        *bars = item_node(a)->kind == N_CALL && item_node(a)->op == F_ABS;
        if (*bars)
            a = item_child(a, 0);
        if (item_node(a)->kind != N_SYMBOL)
            continue;
        if (found >= 0)
            return -1;
        found = (int)i;
        if (s->has_variable && item_node(s->variable)->name != item_node(a)->name)
            s->other_variable = true;
        s->variable = a;
        s->has_variable = true;
    }
    if (found >= 0)
        *bars = item_node(item_child(relation, (uint32_t)found))->kind == N_CALL;
    return found;
}

static bool add_inequality(struct line *s, struct item relation)
{
    const struct node *n = item_node(relation);
    bool bars;
    const int at = variable_at(s, relation, &bars);
    if (at < 0 || n->count > 3 || (n->count == 3 && at != 1))
        return false;
    for (uint32_t i = 0; i + 1 < n->count; i++)
        if (relation_op(n, i) == R_EQ ? n->count > 2 : relation_op(n, i) > R_GE)
            return false;
    for (uint32_t i = 0; i < n->count; i++)
        if ((int)i != at && (!add_end(s, item_child(relation, i), false) ||
                             (bars && !add_end(s, item_child(relation, i), true))))
            return false;
    return true;
}

/* Whether the position fulfils `variable op bound`. */
static bool holds(const struct line *s, uint32_t position, unsigned op, struct item bound,
                  bool minus)
{
    const int infinity = grade_infinity_sign(bound) * (minus ? -1 : 1);
    const uint32_t at = position_of(s, bound, minus);
    const bool less = infinity ? infinity > 0 : position < at;
    const bool equal = !infinity && position == at;
    switch (op) {
    case R_EQ:
        return equal;
    case R_NE:
        return !equal;
    case R_LT:
        return less;
    case R_LE:
        return less || equal;
    case R_GT:
        return !less && !equal;
    default:
        return !less;
    }
}

static unsigned mirrored(unsigned op)
{
    static const unsigned table[] = { R_EQ, R_NE, R_GT, R_GE, R_LT, R_LE };
    return table[op];
}

static bool inequality_holds(struct line *s, struct item relation, uint32_t position)
{
    const struct node *n = item_node(relation);
    bool bars, all = true;
    const int at = variable_at(s, relation, &bars);
    for (uint32_t i = 0; i < n->count; i++) {
        if ((int)i == at)
            continue;
        const unsigned sign = relation_op(n, (int)i < at ? i : i - 1);
        const unsigned op = (int)i < at ? mirrored(sign) : sign;
        const struct item bound = item_child(relation, i);
        if (!bars) {
            all = all && holds(s, position, op, bound, false);
            continue;
        }
        const bool right = holds(s, position, op, bound, false);
        const bool left = holds(s, position, mirrored(op), bound, true);
        all = all &&
              (op == R_LT || op == R_LE || op == R_NE ? right && left : right || left);
    }
    return all;
}

/* ---- parts ---- */

static bool is_membership(const struct node *n)
{
    return n->kind == N_RELATION && n->count == 2 && relation_op(n, 0) == R_IN;
}

/* Marks the parts of the set, from the top down, and gathers their ends. */
static bool gather(struct line *s, struct item a, uint8_t *active)
{
    const struct node *nodes = a.t->nodes;
    const uint32_t start = nodes[a.node].start;
    memset(active + start, 0, a.node - start + 1);
    active[a.node] = 1;
    for (uint32_t i = a.node + 1; i-- > start;) {
        const struct node *n = &nodes[i];
        const struct item item = { a.t, i, a.sign };
        if (!active[i])
            continue;
        if (is_membership(n)) {
            if (item_node(item_child(item, 0))->kind != N_SYMBOL)
                return false;
            active[tree_child(a.t, i, 1)] = 1;
        } else if (n->kind == N_SETOP || n->kind == N_LIST) {
            for (uint32_t k = n->first; k != TREE_NONE; k = nodes[k].next)
                active[k] = 1;
        } else if (n->kind == N_TUPLE && n->count == 2) {
            if (!add_end(s, item_child(item, 0), false) ||
                !add_end(s, item_child(item, 1), false))
                return false;
        } else if (n->kind == N_SET) {
            for (uint32_t k = 0; k < n->count; k++)
                if (!add_end(s, item_child(item, k), false))
                    return false;
        } else if (n->kind == N_RELATION) {
            if (!add_inequality(s, item))
                return false;
        } else if (n->kind != N_NAMED || (n->op != 'R' && n->op != 0)) {
            return false;
        }
    }
    return true;
}

static bool tuple_holds(const struct line *s, struct item a, uint32_t position)
{
    const uint8_t op = item_node(a)->op;
    return holds(s, position, op & B_OPEN_LEFT ? R_GT : R_GE, item_child(a, 0), false) &&
           holds(s, position, op & B_OPEN_RIGHT ? R_LT : R_LE, item_child(a, 1), false);
}

static bool part_holds(struct line *s, struct item a, uint32_t position)
{
    const struct node *n = item_node(a);
    bool any = false, all = true;
    switch (n->kind) {
    case N_SETOP: {
        const bool left = s->member[n->first];
        const bool right = s->member[a.t->nodes[n->first].next];
        return n->op == S_UNION          ? left || right
               : n->op == S_INTERSECTION ? left && right
                                         : left && !right;
    }
    case N_LIST:
        for (uint32_t k = n->first; k != TREE_NONE; k = a.t->nodes[k].next) {
            any = any || s->member[k];
            all = all && s->member[k];
        }
        return n->op == SEP_AND || (n->op == SEP_COMMA && s->intersect_lists) ? all : any;
    case N_TUPLE:
        return tuple_holds(s, a, position);
    case N_SET:
        for (uint32_t k = 0; k < n->count; k++)
            any = any || holds(s, position, R_EQ, item_child(a, k), false);
        return any;
    case N_RELATION:
        return is_membership(n) ? s->member[tree_child(a.t, a.node, 1)]
                                : inequality_holds(s, a, position);
    default:
        return n->op == 'R';
    }
}

static bool holds_at(struct line *s, struct item a, const uint8_t *active,
                     uint32_t position)
{
    grade_evaluator_spend(s->c->e, a.node - item_node(a)->start + ENDS_MAX);
    for (uint32_t i = item_node(a)->start; i <= a.node; i++)
        if (active[i])
            s->member[i] = part_holds(s, (struct item){ a.t, i, a.sign }, position);
    return s->member[a.node];
}

static bool equal_everywhere(struct line *s, struct item gold, struct item pred)
{
    for (uint32_t position = 0; position <= 2 * s->ranks; position++)
        if (grade_evaluator_spent(s->c->e) ||
            holds_at(s, gold, s->active[0], position) !=
                holds_at(s, pred, s->active[1], position))
            return false;
    return true;
}

/* ---- all ---- */

struct line *grade_line_create(struct rt_ctx *ctx)
{
    return rt_alloc(ctx, 1, sizeof(struct line));
}

/* An inequality or membership. */
static bool is_condition(const struct node *n)
{
    for (uint32_t i = 0; n->kind == N_RELATION && i + 1 < n->count; i++)
        if (relation_op(n, i) != R_EQ && relation_op(n, i) <= R_IN)
            return true;
    return false;
}

/* 0: no set; 1: a tuple, set or list that may be one; 2: certainly one. */
static int likeness(struct item a)
{
    const struct node *n = item_node(a);
    if ((n->flags & HAS_PM) && a.sign == 0)
        return 0;
    switch (n->kind) {
    case N_TUPLE:
        return n->count == 2 ? (n->flags & HAS_INFINITY) || n->op == B_OPEN_LEFT ||
                                       n->op == B_OPEN_RIGHT
                                   ? 2
                                   : 1
                             : 0;
    case N_SET:
        return 1;
    case N_SETOP:
    case N_NAMED:
        return 2;
    case N_RELATION:
        return is_condition(n) ? 2 : 0;
    case N_LIST:
        for (uint32_t k = n->first; k != TREE_NONE; k = a.t->nodes[k].next)
            if (!is_condition(&a.t->nodes[k]))
                return 0;
        return 2;
    default:
        return 0;
    }
}

int grade_compare_sets(struct comparer *c, struct item gold, struct item pred)
{
    const int x = likeness(gold), y = likeness(pred);
    const bool relation =
        item_node(gold)->kind != item_node(pred)->kind &&
        (item_node(gold)->kind == N_RELATION || item_node(pred)->kind == N_RELATION);
    if (x == 0 || y == 0 || x + y < 3 ||
        (relation && !policy(c, PIPE_POLICY_SET_RELATION)))
        return -1;
    struct line *s = c->line;
    s->c = c;
    s->count = 0;
    s->has_variable = s->other_variable = s->undecided = s->intersect_lists = false;
    c->rule = "set of real numbers";
    if (!gather(s, gold, s->active[0]) || !gather(s, pred, s->active[1]))
        return s->undecided ? PIPE_VERDICT_UNDECIDED : -1;
    if (s->other_variable && policy(c, PIPE_POLICY_VARIABLE_NAME))
        return PIPE_VERDICT_DIFFERENT;
    rank_ends(s);
    if (equal_everywhere(s, gold, pred))
        return PIPE_VERDICT_EQUAL;
    s->intersect_lists = true;
    if (equal_everywhere(s, gold, pred))
        return PIPE_VERDICT_EQUAL;
    return grade_evaluator_spent(c->e) ? PIPE_VERDICT_UNDECIDED : PIPE_VERDICT_DIFFERENT;
}
