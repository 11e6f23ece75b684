/* pipeline/grade/tree.c
 * Nodes of an answer's tree: made, linked, folded where they are rational numbers. */
#include "pipeline/grade/tree.h"

#include <assert.h>
#include <string.h>

uint64_t grade_hash_bytes(const char *text, uint32_t size)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < size; i++)
        h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
    return hash_mix(h, size);
}

uint64_t grade_digits_hash(const char *text, uint32_t size)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < size; i++)
        if ((text[i] >= '0' && text[i] <= '9') || text[i] == '.')
            hash = hash_mix(hash, (uint64_t)text[i]);
    return hash;
}

void grade_tree_reset(struct tree *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        fmpq_clear(&t->nodes[i].value);
        fmpq_init(&t->nodes[i].value);
    }
    t->count = 0;
    t->root = TREE_NONE;
    t->full = t->grouped = t->comma = t->spaced = false;
    t->size = 0;
}

/* Which flags a node adds to those of its children. */
static uint16_t own_flags(const struct node *n)
{
    switch (n->kind) {
    case N_SYMBOL:
        return HAS_SYMBOL;
    case N_CONST:
        return n->op == C_INFINITY ? HAS_INFINITY : 0;
    case N_PM:
        return HAS_PM;
    case N_CALL:
        return (uint16_t)(HAS_FUNCTION |
                          (n->op == F_ABS || n->op == F_FLOOR || n->op == F_CEIL ? HAS_ABS
                                                                                 : 0));
    case N_OPAQUE:
        return HAS_FUNCTION | HAS_OPAQUE;
    case N_PERCENT:
    case N_DEGREE:
    case N_UNIT:
        return HAS_FUNCTION;
    case N_TEXT:
    case N_BAD:
        return HAS_TEXT | HAS_FUNCTION | HAS_OPAQUE;
    case N_BASED:
    case N_RATIO:
    case N_LIST:
    case N_TUPLE:
    case N_SET:
    case N_MATRIX:
    case N_RELATION:
    case N_SETOP:
    case N_NAMED:
        return HAS_STRUCTURE | HAS_FUNCTION;
    default:
        return 0;
    }
}

/* A power of variables with an even whole exponent, or a product with such a factor. */
static bool is_even_power(const struct tree *t, const struct node *n)
{
    const struct node *a = n->kind == N_MUL ? &t->nodes[n->first] : n;
    for (uint32_t i = 0; i < (n->kind == N_MUL ? 2u : 1u); i++) {
        if (a->kind == N_POW && (a->flags & HAS_SYMBOL)) {
            const struct node *e = &t->nodes[t->nodes[a->first].next];
            if ((e->flags & IS_EXACT) && fmpz_is_one(fmpq_denref(&e->value)) &&
                fmpz_is_even(fmpq_numref(&e->value)))
                return true;
        }
        a = a->next == TREE_NONE ? a : &t->nodes[a->next];
    }
    return false;
}

/* A whole-number exponent keeps a power rational. The square root of x^2 is |x|. */
static void flag_power(const struct tree *t, struct node *n)
{
    assert(n->count == 2);
    const struct node *exponent = &t->nodes[t->nodes[n->first].next];
    if (!(exponent->flags & IS_EXACT) || !fmpz_is_one(fmpq_denref(&exponent->value)))
        n->flags |= HAS_FUNCTION;
    if ((exponent->flags & IS_EXACT) && fmpz_is_even(fmpq_denref(&exponent->value)) &&
        is_even_power(t, &t->nodes[n->first]))
        n->flags |= HAS_ABS;
}

/* A decimal stays one under a sign, and times a power of ten. */
static void flag_decimal(const struct tree *t, struct node *n)
{
    assert(n->count > 0);
    const struct node *a = &t->nodes[n->first];
    if (!(n->flags & IS_EXACT))
        return;
    if (n->kind == N_NEG || n->kind == N_PERCENT) {
        n->flags |= a->flags & (IS_DECIMAL | IS_UNREDUCED);
        n->places = a->places;
        return;
    }
    if (n->kind == N_DIV && n->count == 2) {
        const struct node *b = &t->nodes[a->next];
        if (a->kind == N_NUMBER && b->kind == N_NUMBER &&
            fmpz_cmp(fmpq_numref(&n->value), fmpq_numref(&a->value)) == 0 &&
            fmpz_cmp(fmpq_denref(&n->value), fmpq_numref(&b->value)) == 0 &&
            !fmpz_is_one(fmpq_denref(&n->value)))
            return;
    }
    if (n->kind != N_NUMBER)
        n->flags |= IS_UNREDUCED;
}

static void link_children(struct tree *t, struct node *n, const uint32_t *children,
                          uint32_t count)
{
    uint32_t last = TREE_NONE;
    for (uint32_t i = 0; i < count; i++) {
        if (children[i] == TREE_NONE)
            continue;
        assert(children[i] < t->count);
        struct node *c = &t->nodes[children[i]];
        if (last == TREE_NONE)
            n->first = children[i];
        else
            t->nodes[last].next = children[i];
        last = children[i];
        c->next = TREE_NONE;
        n->count++;
        n->flags |= c->flags & FLAGS_UP;
        n->start = c->start < n->start ? c->start : n->start;
        n->from = c->from < n->from ? c->from : n->from;
        n->to = c->to > n->to ? c->to : n->to;
    }
}

uint32_t grade_tree_node(struct tree *t, uint8_t kind, uint8_t op, uint64_t name,
                         const uint32_t *children, uint32_t count)
{
    if (t->count == TREE_NODES_MAX) {
        t->full = true;
        return t->count - 1;
    }
    const uint32_t at = t->count++;
    struct node *n = &t->nodes[at];
    const fmpq old = n->value; /* zero, of grade_tree_reset */
    *n = (struct node){ .kind = kind, .op = op, .name = name, .start = at };
    n->value = old;
    n->first = n->next = TREE_NONE;
    n->from = UINT32_MAX;
    link_children(t, n, children, count);
    n->flags |= own_flags(n);
    if (kind == N_POW && n->count == 2)
        flag_power(t, n);
    if (n->count && !(n->flags & (HAS_SYMBOL | HAS_PM | HAS_STRUCTURE | HAS_TEXT)) &&
        grade_tree_fold(t, n, &n->value)) {
        n->flags |= IS_EXACT;
        n->flags &= (uint16_t) ~(HAS_FUNCTION | HAS_ABS);
        flag_decimal(t, n);
    } else if (n->kind == N_DIV && n->count == 2) {
        const struct node *d = &t->nodes[t->nodes[n->first].next];
        if ((d->flags & IS_EXACT) && fmpq_is_zero(&d->value))
            n->flags |= HAS_DIVISION_BY_ZERO;
    }
    return at;
}
