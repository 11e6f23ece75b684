/* pipeline/grade/parse_stack.c
 * The stack of the parser: operands, operators and open brackets, and what happens
 * when one closes. */
#include "pipeline/grade/parse_impl.h"

#include <assert.h>
#include <string.h>

/* ---- stacks ---- */

void grade_push_entry(struct parser *p, struct entry e)
{
    if (p->depth == STACK_MAX) {
        p->t->full = true;
        return;
    }
    e.exponent = e.exponent ? e.exponent : TREE_NONE;
    e.sub = e.sub ? e.sub : TREE_NONE;
    e.base = e.row = p->operand_count;
    p->stack[p->depth++] = e;
}

void grade_push_operand(struct parser *p, uint32_t node)
{
    if (p->operand_count == OPERANDS_MAX) {
        p->t->full = true;
        return;
    }
    p->operands[p->operand_count++] = node;
}

uint32_t grade_pop_operand(struct parser *p)
{
    if (p->operand_count == 0) { /* a bound was met on the way */
        p->bad = true;
        return grade_leaf(p, N_BAD, 0, 0, 0, 0);
    }
    return p->operands[--p->operand_count];
}

struct entry *grade_frame(struct parser *p)
{
    assert(p->depth > 0);
    uint32_t i = p->depth - 1;
    while (!is_frame(&p->stack[i])) {
        assert(i > 0); /* the lowest entry is a frame */
        i--;
    }
    return &p->stack[i];
}

/* ---- nodes ---- */

uint32_t grade_leaf(struct parser *p, uint8_t kind, uint8_t op, uint64_t name,
                    uint32_t from, uint32_t to)
{
    const uint32_t at = grade_tree_node(p->t, kind, op, name, NULL, 0);
    p->t->nodes[at].from = from;
    p->t->nodes[at].to = to;
    return at;
}

uint32_t grade_node1(struct parser *p, uint8_t kind, uint8_t op, uint32_t a)
{
    return grade_tree_node(p->t, kind, op, 0, &a, 1);
}

uint32_t grade_node2(struct parser *p, uint8_t kind, uint8_t op, uint32_t a, uint32_t b)
{
    const uint32_t both[2] = { a, b };
    return grade_tree_node(p->t, kind, op, 0, both, 2);
}

static struct node *at(struct parser *p, uint32_t node)
{
    assert(node < p->t->count);
    return &p->t->nodes[node];
}

/* Elements of matrices of one size added in turn; TREE_NONE: they are not. */
static uint32_t add_matrices(struct parser *p, uint8_t op, uint32_t a, uint32_t b)
{
    uint32_t rows[64], cells[64], count = 0;
    if (at(p, a)->kind != N_MATRIX || at(p, b)->kind != N_MATRIX || op > 1 ||
        at(p, a)->op || at(p, b)->op || at(p, a)->count != at(p, b)->count ||
        at(p, a)->count > 64)
        return TREE_NONE;
    uint32_t x = at(p, a)->first, y = at(p, b)->first;
    for (; x != TREE_NONE; x = at(p, x)->next, y = at(p, y)->next)
        if (at(p, x)->count != at(p, y)->count || at(p, x)->count > 64)
            return TREE_NONE;
    for (x = at(p, a)->first, y = at(p, b)->first; x != TREE_NONE;) {
        uint32_t n = 0, i = at(p, x)->first, k = at(p, y)->first;
        const uint32_t next_x = at(p, x)->next, next_y = at(p, y)->next;
        while (i != TREE_NONE) {
            const uint32_t next_i = at(p, i)->next, next_k = at(p, k)->next;
            cells[n++] =
                grade_node2(p, N_ADD, 0, i, op == 1 ? grade_node1(p, N_NEG, 0, k) : k);
            i = next_i;
            k = next_k;
        }
        rows[count++] = grade_tree_node(p->t, N_LIST, SEP_COMMA, 0, cells, n);
        x = next_x;
        y = next_y;
    }
    return grade_tree_node(p->t, N_MATRIX, at(p, a)->op, 0, rows, count);
}

/* A rational factor goes into each element; TREE_NONE: there is none. */
static uint32_t scale_matrix(struct parser *p, uint32_t a, uint32_t b)
{
    uint32_t rows[64], cells[64], count = 0;
    if (at(p, b)->kind != N_MATRIX || !(at(p, a)->flags & IS_EXACT) || at(p, b)->op ||
        at(p, b)->count > 64)
        return TREE_NONE;
    for (uint32_t x = at(p, b)->first; x != TREE_NONE;) {
        uint32_t n = 0;
        const uint32_t next_x = at(p, x)->next;
        for (uint32_t i = at(p, x)->first; i != TREE_NONE && n < 64;) {
            const uint32_t next_i = at(p, i)->next,
                           factor = grade_small_number(p, 0, 0, 0);
            fmpq_set(&at(p, factor)->value, &at(p, a)->value);
            at(p, factor)->from = at(p, i)->from;
            cells[n++] = grade_node2(p, N_MUL, 0, factor, i);
            i = next_i;
        }
        rows[count++] = grade_tree_node(p->t, N_LIST, SEP_COMMA, 0, cells, n);
        x = next_x;
    }
    return grade_tree_node(p->t, N_MATRIX, 0, 0, rows, count);
}

/* A sign goes under a unit, percent or degree sign: -5% is (-5)%. */
static uint32_t negate(struct parser *p, uint32_t a)
{
    const struct node *n = at(p, a);
    if (n->kind == N_PERCENT || n->kind == N_DEGREE || n->kind == N_UNIT) {
        const uint8_t kind = n->kind, op = n->op;
        const uint64_t name = n->name;
        const uint32_t inner = grade_node1(p, N_NEG, 0, n->first);
        return grade_tree_node(p->t, kind, op, name, &inner, 1);
    }
    if (n->kind == N_MATRIX && n->op == 0) {
        const uint32_t minus = grade_small_number(p, -1, n->from, n->from);
        const uint32_t matrix = scale_matrix(p, minus, a);
        if (matrix != TREE_NONE)
            return matrix;
    }
    if (n->kind == N_BASED) /* other digits, as it were */
        return grade_tree_node(p->t, N_BASED, 0, ~n->name, &p->t->nodes[a].first, 1);
    return grade_node1(p, N_NEG, 0, a);
}

static uint32_t add(struct parser *p, uint8_t op, uint32_t a, uint32_t b)
{
    const uint32_t matrix = add_matrices(p, op, a, b);
    if (matrix != TREE_NONE)
        return matrix;
    if (op == 1 && (at(p, b)->kind == N_SET || at(p, a)->kind == N_NAMED))
        return grade_node2(p, N_SETOP, S_MINUS, a, b);
    if (op == 1)
        b = grade_node1(p, N_NEG, 0, b);
    if (op >= 2)
        b = grade_node1(p, N_PM, op == 3, b);
    return grade_node2(p, N_ADD, 0, a, b);
}

static bool is_literal(const struct node *n)
{
    return n->kind == N_NUMBER && !(n->flags & IS_BRACKETED);
}

/* A fraction or mixed number as written. */
static bool is_fraction(const struct node *n)
{
    return (n->kind == N_DIV || n->kind == N_ADD) && (n->flags & IS_EXACT) &&
           !(n->flags & IS_BRACKETED);
}

/* 3\frac12 is three and a half; x\frac12, 0.3\frac12 and 3\frac52 are products. */
static uint32_t mixed(struct parser *p, uint32_t a, uint32_t b)
{
    const struct node *whole = at(p, a), *part = at(p, b);
    if (is_literal(whole) && !(whole->flags & IS_DECIMAL) && part->kind == N_DIV &&
        !(part->flags & IS_BRACKETED) && at(p, part->first)->kind == N_NUMBER &&
        at(p, at(p, part->first)->next)->kind == N_NUMBER && (part->flags & IS_EXACT) &&
        fmpz_cmpabs(fmpq_numref(&part->value), fmpq_denref(&part->value)) < 0)
        return grade_node2(p, N_ADD, 0, a, b);
    return grade_node2(p, N_MUL, 0, a, b);
}

/* Two numbers side by side are neither a number nor a product. */
static uint32_t multiply(struct parser *p, uint8_t op, uint32_t a, uint32_t b)
{
    if (op == 1 && is_literal(at(p, a)) &&
        (is_literal(at(p, b)) ||
         (is_fraction(at(p, b)) && p->lex.policies->off[PIPE_POLICY_JUXTAPOSITION])))
        return grade_node2(p, N_OPAQUE, 0, a, b);
    uint32_t matrix = scale_matrix(p, a, b);
    if (matrix == TREE_NONE && at(p, a)->kind == N_MATRIX)
        matrix = grade_matrix_product(p, a, b);
    if (matrix != TREE_NONE)
        return matrix;
    const uint32_t out = grade_node2(p, N_MUL, 0, a, b);
    struct node *n = at(p, out), *left = at(p, a), *right = at(p, b);
    if ((n->flags & IS_EXACT) && (left->flags & IS_DECIMAL) && right->kind == N_POW)
        n->flags |= IS_DECIMAL; /* 1.5 * 10^-3 */
    return out;
}

/* A further relation in a chain takes the operands of the chain so far. */
static uint32_t relate(struct parser *p, uint8_t op, uint32_t a, uint32_t b)
{
    uint32_t children[16], count = 0;
    uint64_t name = op;
    if (at(p, a)->kind == N_RELATION && !(at(p, a)->flags & IS_BRACKETED) &&
        at(p, a)->count < 15) {
        name = at(p, a)->name | (uint64_t)op << (4 * (at(p, a)->count - 1));
        for (uint32_t c = at(p, a)->first; c != TREE_NONE; c = at(p, c)->next)
            children[count++] = c;
    } else {
        children[count++] = a;
    }
    children[count++] = b;
    return grade_tree_node(p->t, N_RELATION, 0, name, children, count);
}

static bool is_trigonometric(uint8_t function)
{
    return function <= F_CSC;
}

/* The inverse of a trigonometric function, F_COUNT: none. */
static uint8_t inverse_of(uint8_t function)
{
    return function <= F_CSC ? (uint8_t)(function + F_ASIN) : F_COUNT;
}

static uint32_t raised(struct parser *p, const struct entry *e, uint32_t call)
{
    return e->exponent == TREE_NONE ? call : grade_node2(p, N_POW, 0, call, e->exponent);
}

/* A function applied; a tuple is its arguments. */
static uint32_t apply(struct parser *p, struct entry *e, uint32_t argument)
{
    uint32_t children[16], count = 0;
    struct node *n = at(p, argument);
    if (n->kind == N_TUPLE && n->count < 12)
        for (uint32_t c = n->first; c != TREE_NONE; c = at(p, c)->next)
            children[count++] = c;
    else
        children[count++] = argument;
    if (e->kind == E_BIG || e->op == F_COUNT) {
        if (e->sub != TREE_NONE)
            children[count++] = e->sub;
        if (e->exponent != TREE_NONE)
            children[count++] = e->exponent;
        return grade_tree_node(p->t, N_OPAQUE, 0, e->name, children, count);
    }
    if (is_trigonometric(e->op)) {
        for (uint32_t i = n->start; i <= argument; i++)
            if (at(p, i)->kind == N_DEGREE || at(p, i)->op == UNIT_DEGREE)
                at(p, i)->flags |= IS_DEGREES;
        const struct node *x = e->exponent == TREE_NONE ? NULL : at(p, e->exponent);
        if (x && (x->flags & IS_EXACT) && fmpq_cmp_si(&x->value, -1) == 0) {
            e->op = inverse_of(e->op);
            e->exponent = TREE_NONE;
        }
    }
    if (e->op == F_LOG && e->sub != TREE_NONE)
        children[count++] = e->sub;
    return raised(p, e, grade_tree_node(p->t, N_CALL, e->op, 0, children, count));
}

/* ---- operators ---- */

static uint32_t prefix(struct parser *p, struct entry *e, uint32_t a)
{
    uint32_t out;
    switch (e->kind) {
    case E_NEG:
        out = negate(p, a);
        break;
    case E_PM:
        out = grade_node1(p, N_PM, e->op, a);
        break;
    case E_CURRENCY:
        out = grade_tree_node(p->t, N_UNIT, e->op, e->name, &a, 1);
        break;
    default:
        out = apply(p, e, a);
    }
    at(p, out)->from = e->from < at(p, out)->from ? e->from : at(p, out)->from;
    return out;
}

static uint32_t binary(struct parser *p, const struct entry *e, uint32_t a, uint32_t b)
{
    switch (e->kind) {
    case E_ADD:
        return add(p, e->op, a, b);
    case E_MUL:
        return multiply(p, e->op, a, b);
    case E_DIV:
        return grade_node2(p, N_DIV, 0, a, b);
    case E_MIXED:
        return mixed(p, a, b);
    case E_RATIO:
        return grade_node2(p, N_RATIO, 0, a, b);
    case E_SETOP:
        return grade_node2(p, N_SETOP, e->op, a, b);
    case E_INFIX:
        return e->op ? grade_node2(p, N_CALL, F_BINOMIAL, a, b)
                     : grade_node2(p, N_DIV, 0, a, b);
    default:
        return relate(p, e->op, a, b);
    }
}

/* An operator without its operands (a sign at the end) makes the whole unreadable. */
static void apply_top(struct parser *p)
{
    struct entry e = *top(p);
    p->depth--;
    const uint32_t needs = e.kind >= E_NEG ? 1 : 2;
    if (p->operand_count < grade_frame(p)->base + needs) {
        p->bad = true;
        return;
    }
    const uint32_t b = grade_pop_operand(p);
    if (needs == 1)
        grade_push_operand(p, prefix(p, &e, b));
    else
        grade_push_operand(p, binary(p, &e, grade_pop_operand(p), b));
}

void grade_reduce(struct parser *p, uint8_t precedence)
{
    while (!is_frame(top(p)) && top(p)->precedence >= precedence)
        apply_top(p);
}

/* ---- arguments ---- */

static uint32_t root(struct parser *p, const struct entry *e, uint32_t a)
{
    const uint32_t one = grade_small_number(p, 1, e->from, e->from);
    const uint32_t index =
        e->sub == TREE_NONE ? grade_small_number(p, 2, e->from, e->from) : e->sub;
    return grade_node2(p, N_POW, 0, a, grade_node2(p, N_DIV, 0, one, index));
}

/* A lowered part: the base of a number, part of a symbol's name, else an argument. */
static uint32_t subscript(struct parser *p, uint32_t a, uint32_t sub)
{
    const struct node *base = at(p, a), *s = at(p, sub);
    if (base->kind == N_NUMBER) {
        const uint64_t name =
            grade_digits_hash(p->t->text + base->from, base->to - base->from);
        return grade_tree_node(p->t, N_BASED, 0, name, &sub, 1);
    }
    if (base->kind != N_SYMBOL && base->kind != N_CONST)
        return grade_node2(p, N_OPAQUE, 1, a, sub);
    uint64_t name = base->kind == N_CONST ? base->op : base->name;
    if ((s->flags & IS_EXACT) && s->kind == N_NUMBER && !COEFF_IS_MPZ(s->value.num))
        name = hash_mix(name, 0x5000 + (uint64_t)fmpz_get_si(fmpq_numref(&s->value)));
    else if (s->kind == N_SYMBOL)
        name = hash_mix(name, s->name);
    else if (s->kind == N_CONST)
        name = hash_mix(name, s->op);
    else
        return grade_node2(p, N_OPAQUE, 1, a, sub);
    return grade_leaf(p, N_SYMBOL, 0, name, base->from, s->to);
}

static uint32_t power(struct parser *p, uint32_t a, uint32_t b)
{
    const uint32_t matrix =
        at(p, a)->kind == N_MATRIX ? grade_matrix_power(p, a, b) : TREE_NONE;
    if (at(p, a)->kind == N_TUPLE && grade_is_transpose(p, b))
        return a;
    return matrix != TREE_NONE ? matrix : grade_node2(p, N_POW, 0, a, b);
}

/* All arguments are there: what they make. TREE_NONE: they belong to a function below. */
static uint32_t arguments(struct parser *p, struct entry *e)
{
    uint32_t a, b = grade_pop_operand(p);
    switch (e->kind) {
    case E_FRAC:
        a = grade_pop_operand(p);
        return grade_node2(p, N_DIV, 0, a, b);
    case E_BINOM:
        a = grade_pop_operand(p);
        a = grade_node2(p, N_CALL, F_BINOMIAL, a, b);
        return a;
    case E_SQRT:
        return root(p, e, b);
    case E_ACCENT:
        return grade_tree_node(p->t, N_OPAQUE, 0, e->name, &b, 1);
    case E_POW:
        a = grade_pop_operand(p);
        return power(p, a, b);
    case E_SUB:
        a = grade_pop_operand(p);
        return subscript(p, a, b);
    case E_FUNC_POW:
        top(p)->exponent = b;
        return TREE_NONE;
    default:
        top(p)->sub = b;
        return TREE_NONE;
    }
}

void grade_complete(struct parser *p, uint32_t node)
{
    for (;;) {
        struct entry *e = top(p);
        if (waits(e)) {
            grade_push_operand(p, node);
            p->have = false;
            if (++e->got < e->needed)
                return;
            struct entry done = *e;
            p->depth--;
            node = arguments(p, &done);
            if (node == TREE_NONE)
                return;
        } else if (e->tight) {
            struct entry done = *e;
            p->depth--;
            node = prefix(p, &done, node);
        } else if (e->kind == E_FUNC && (at(p, node)->flags & IS_BRACKETED)) {
            struct entry done = *e;
            p->depth--;
            node = apply(p, &done, node);
        } else {
            grade_push_operand(p, node);
            p->have = true;
            return;
        }
    }
}

/* ---- brackets and separators ---- */

void grade_end_item(struct parser *p, enum separator separator)
{
    grade_reduce(p, P_NONE);
    grade_frame(p)->separators |= (uint8_t)(1u << separator);
    p->have = false;
}

/* Gathers the items of a row. One item alone stays itself but for a matrix. */
void grade_end_row(struct parser *p)
{
    grade_reduce(p, P_NONE);
    struct entry *f = grade_frame(p);
    const uint32_t count = p->operand_count - f->row;
    if (count > 1 || (count == 1 && f->kind == E_MATRIX)) {
        const uint32_t row =
            grade_tree_node(p->t, N_LIST, SEP_COMMA, 0, p->operands + f->row, count);
        p->operand_count = f->row;
        grade_push_operand(p, row);
    }
    f->row = p->operand_count;
    f->separators |= 1u << SEP_SEMICOLON;
    p->have = false;
}

static uint8_t list_separator(const struct entry *f)
{
    return (f->separators >> SEP_OR) & 1u    ? SEP_OR
           : (f->separators >> SEP_AND) & 1u ? SEP_AND
                                             : SEP_COMMA;
}

static uint32_t bracketed(struct parser *p, const struct entry *f, bool right_open,
                          bool square, const uint32_t *items, uint32_t count)
{
    if (count == 1 && f->separators == 0) {
        at(p, items[0])->flags |= IS_BRACKETED;
        return items[0];
    }
    if (count == 0)
        return grade_leaf(p, N_BAD, 0, 0, f->from, p->lex.at);
    const uint8_t op =
        (uint8_t)((f->left_open ? B_OPEN_LEFT : 0) | (right_open ? B_OPEN_RIGHT : 0) |
                  (square ? B_SQUARE : 0));
    const uint32_t out = grade_tree_node(p->t, N_TUPLE, op, 0, items, count);
    at(p, out)->flags |= IS_BRACKETED;
    return out;
}

static uint32_t set_of(struct parser *p, const struct entry *f, const uint32_t *items,
                       uint32_t count)
{
    if (f->builder && count == 1)
        return items[0];
    if (count == 0)
        return grade_leaf(p, N_NAMED, 0, 0, f->from, p->lex.at);
    const uint32_t out = grade_tree_node(p->t, N_SET, 0, 0, items, count);
    at(p, out)->flags |= IS_BRACKETED;
    return out;
}

/* Bars make a determinant, which is a number where the elements are. */
static uint32_t matrix_of(struct parser *p, const struct entry *f, const uint32_t *items,
                          uint32_t count)
{
    const uint32_t out = grade_tree_node(p->t, N_MATRIX, f->op, 0, items, count);
    const uint32_t value = f->op == 1 ? grade_matrix_determinant(p, out) : TREE_NONE;
    return value != TREE_NONE ? value : out;
}

uint32_t grade_close_frame(struct parser *p, bool right_open)
{
    struct entry *open = grade_frame(p);
    if ((open->separators >> SEP_SEMICOLON) & 1u)
        grade_end_row(p);
    grade_reduce(p, P_NONE);
    const struct entry f = *open;
    const uint32_t count = p->operand_count - f.base, *items = p->operands + f.base;
    p->depth--;
    p->operand_count = f.base;
    switch (f.kind) {
    case E_PAREN:
        return bracketed(p, &f, right_open, !f.left_open && !right_open, items, count);
    case E_SET:
        return set_of(p, &f, items, count);
    case E_MATRIX:
        return matrix_of(p, &f, items, count);
    case E_BARS:
    case E_FLOOR:
    case E_CEIL:
        if (count != 1)
            return grade_leaf(p, N_BAD, 0, 0, f.from, p->lex.at);
        return grade_node1(p, N_CALL,
                           f.kind == E_BARS    ? F_ABS
                           : f.kind == E_FLOOR ? F_FLOOR
                                               : F_CEIL,
                           items[0]);
    default: /* root, brace, index */
        if (count > 1 && f.kind == E_BRACE)
            return set_of(p, &f, items, count);
        if (count > 1)
            return grade_tree_node(p->t, N_LIST, list_separator(&f), 0, items, count);
        return count ? items[0] : TREE_NONE;
    }
}
