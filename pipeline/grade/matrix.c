/* pipeline/grade/matrix.c
 * Products, powers, transposes and determinants of small matrices of rational numbers. */
#include "pipeline/grade/parse_impl.h"

#include <assert.h>
#include <flint/fmpq_mat.h>

enum { SIDE_MAX = 8, BITS_EACH_MAX = 2000 };

/* The numbers of a matrix; out is initialised if true. False: other things, or too many. */
static bool numbers_of(const struct tree *t, uint32_t matrix, fmpq_mat_t out)
{
    const struct node *nodes = t->nodes, *m = &nodes[matrix];
    if (m->kind != N_MATRIX || m->op == 3 || m->count == 0 || m->count > SIDE_MAX)
        return false;
    const uint32_t columns = nodes[m->first].count;
    for (uint32_t r = m->first; r != TREE_NONE; r = nodes[r].next) {
        if (nodes[r].count != columns || columns == 0 || columns > SIDE_MAX)
            return false;
        for (uint32_t c = nodes[r].first; c != TREE_NONE; c = nodes[c].next)
            if (!(nodes[c].flags & IS_EXACT) ||
                fmpq_height_bits(&nodes[c].value) > BITS_EACH_MAX)
                return false;
    }
    fmpq_mat_init(out, (slong)m->count, (slong)columns);
    slong row = 0;
    for (uint32_t r = m->first; r != TREE_NONE; r = nodes[r].next, row++) {
        slong column = 0;
        for (uint32_t c = nodes[r].first; c != TREE_NONE; c = nodes[c].next)
            fmpq_set(fmpq_mat_entry(out, row, column++), &nodes[c].value);
        assert(column == (slong)columns);
    }
    assert(row == (slong)m->count);
    return true;
}

static uint32_t rational(struct parser *p, const fmpq_t value, const struct node *where)
{
    const uint32_t at = grade_small_number(p, 0, where->from, where->to);
    fmpq_set(&p->t->nodes[at].value, value);
    return at;
}

static uint32_t matrix_node(struct parser *p, const fmpq_mat_t m, uint32_t like)
{
    uint32_t rows[SIDE_MAX], cells[SIDE_MAX];
    assert(fmpq_mat_nrows(m) <= SIDE_MAX && fmpq_mat_ncols(m) <= SIDE_MAX);
    for (slong r = 0; r < fmpq_mat_nrows(m); r++) {
        for (slong c = 0; c < fmpq_mat_ncols(m); c++)
            cells[c] = rational(p, fmpq_mat_entry(m, r, c), &p->t->nodes[like]);
        rows[r] = grade_tree_node(p->t, N_LIST, SEP_COMMA, 0, cells,
                                  (uint32_t)fmpq_mat_ncols(m));
    }
    return grade_tree_node(p->t, N_MATRIX, 0, 0, rows, (uint32_t)fmpq_mat_nrows(m));
}

uint32_t grade_matrix_product(struct parser *p, uint32_t a, uint32_t b)
{
    fmpq_mat_t x = { { 0 } }, y = { { 0 } }, product;
    uint32_t out = TREE_NONE;
    if (!numbers_of(p->t, a, x))
        return TREE_NONE;
    if (numbers_of(p->t, b, y)) {
        if (fmpq_mat_ncols(x) == fmpq_mat_nrows(y)) {
            fmpq_mat_init(product, fmpq_mat_nrows(x), fmpq_mat_ncols(y));
            fmpq_mat_mul(product, x, y);
            out = matrix_node(p, product, a);
            fmpq_mat_clear(product);
        }
        fmpq_mat_clear(y);
    }
    fmpq_mat_clear(x);
    return out;
}

/* Repeated squaring is not worth it for exponents up to 16. */
static bool whole_power(fmpq_mat_t x, slong exponent)
{
    if (fmpq_mat_nrows(x) != fmpq_mat_ncols(x) || exponent < -16 || exponent > 16 ||
        (exponent < 0 && !fmpq_mat_inv(x, x)))
        return false;
    fmpq_mat_t power;
    fmpq_mat_init(power, fmpq_mat_nrows(x), fmpq_mat_ncols(x));
    fmpq_mat_one(power);
    for (slong i = 0; i < (exponent < 0 ? -exponent : exponent); i++)
        fmpq_mat_mul(power, power, x);
    fmpq_mat_swap(power, x);
    fmpq_mat_clear(power);
    return true;
}

/* A letter T in a raised place. */
bool grade_is_transpose(const struct parser *p, uint32_t exponent)
{
    const struct node *n = &p->t->nodes[exponent];
    return n->kind == N_SYMBOL && n->to == n->from + 1 && p->lex.text[n->from] == 'T';
}

uint32_t grade_matrix_power(struct parser *p, uint32_t a, uint32_t exponent)
{
    const struct node *e = &p->t->nodes[exponent];
    fmpq_mat_t x = { { 0 } }, turned;
    uint32_t out = TREE_NONE;
    if (!numbers_of(p->t, a, x))
        return TREE_NONE;
    if (grade_is_transpose(p, exponent)) {
        fmpq_mat_init(turned, fmpq_mat_ncols(x), fmpq_mat_nrows(x));
        fmpq_mat_transpose(turned, x);
        out = matrix_node(p, turned, a);
        fmpq_mat_clear(turned);
    } else if ((e->flags & IS_EXACT) && fmpz_is_one(fmpq_denref(&e->value)) &&
               fmpz_bits(fmpq_numref(&e->value)) < 8 &&
               whole_power(x, fmpz_get_si(fmpq_numref(&e->value)))) {
        out = matrix_node(p, x, a);
    }
    fmpq_mat_clear(x);
    return out;
}

uint32_t grade_matrix_determinant(struct parser *p, uint32_t a)
{
    fmpq_mat_t x = { { 0 } };
    fmpq_t value;
    uint32_t out = TREE_NONE;
    if (!numbers_of(p->t, a, x))
        return TREE_NONE;
    if (fmpq_mat_nrows(x) == fmpq_mat_ncols(x)) {
        fmpq_init(value);
        fmpq_mat_det(value, x);
        out = rational(p, value, &p->t->nodes[a]);
        fmpq_clear(value);
    }
    fmpq_mat_clear(x);
    return out;
}
