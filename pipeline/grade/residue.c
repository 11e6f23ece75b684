/* pipeline/grade/residue.c
 * Evaluation in a prime field at random values of variables, of pi and of e. What is no
 * rational function of these is a random function of its arguments' values: two
 * expressions that agree whatever the functions are agree for the functions meant. */
#include "pipeline/grade/evaluator.h"

#include <assert.h>

enum { UNITS_NODE = 5 };

static uint64_t draw(const struct field *f, uint64_t name)
{
    return hash_mix(f->seed, name) % f->mod.n;
}

static uint64_t of_whole(const struct field *f, const fmpz_t x)
{
    return fmpz_fdiv_ui(x, f->mod.n);
}

static uint64_t divide(const struct field *f, uint64_t a, uint64_t b)
{
    return b ? nmod_mul(a, n_invmod(b, f->mod.n), f->mod) : RESIDUE_NONE;
}

static uint64_t of_rational(const struct field *f, const fmpq_t x)
{
    const uint64_t over = of_whole(f, fmpq_numref(x));
    return fmpz_is_one(fmpq_denref(x)) ? over
                                       : divide(f, over, of_whole(f, fmpq_denref(x)));
}

static uint64_t constant(const struct field *f, uint8_t op)
{
    return op == C_I ? f->i : draw(f, 0x1000u + op);
}

/* A whole exponent of any size: it counts modulo p - 1. */
static uint64_t power(const struct field *f, uint64_t base, const fmpz_t exponent)
{
    if (base == 0)
        return fmpz_sgn(exponent) > 0 ? 0 : RESIDUE_NONE;
    const uint64_t e = fmpz_fdiv_ui(exponent, f->mod.n - 1);
    return n_powmod2_ui_preinv(base, e, f->mod.n, f->mod.ninv);
}

/* A binomial coefficient with a small lower number is a polynomial. */
static bool binomial(const struct field *f, const struct node *k, uint64_t n,
                     uint64_t *out)
{
    if (!(k->flags & IS_EXACT) || !fmpz_is_one(fmpq_denref(&k->value)) ||
        fmpz_sgn(fmpq_numref(&k->value)) < 0 ||
        fmpz_cmp_ui(fmpq_numref(&k->value), 32) > 0)
        return false;
    uint64_t value = 1;
    for (uint64_t i = 0; i < fmpz_get_ui(fmpq_numref(&k->value)); i++) {
        value = nmod_mul(value, nmod_sub(n, i, f->mod), f->mod);
        value = divide(f, value, i + 1);
    }
    *out = value;
    return true;
}

/* The value of a node that is no rational function of its children. */
static uint64_t uninterpreted(const struct field *f, const struct node *nodes,
                              const struct node *n, const uint64_t *values)
{
    uint64_t h = hash_mix(hash_mix(n->kind, n->op), n->name), sum = 0;
    for (uint32_t c = n->first; c != TREE_NONE; c = nodes[c].next) {
        if (values[c] == RESIDUE_NONE)
            return RESIDUE_NONE;
        if (n->kind == N_SET)
            sum += hash_mix(h, values[c]);
        else
            h = hash_mix(h, values[c]);
    }
    return draw(f, h + sum);
}

static uint64_t interpreted(const struct field *f, const struct node *nodes,
                            const struct node *n, const uint64_t *values, int sign)
{
    const uint64_t a = n->count > 0 ? values[n->first] : 0;
    const struct node *second = n->count > 1 ? &nodes[nodes[n->first].next] : NULL;
    const uint64_t b = second ? values[nodes[n->first].next] : 0;
    uint64_t out;
    if (a == RESIDUE_NONE || b == RESIDUE_NONE)
        return RESIDUE_NONE;
    switch (n->kind) {
    case N_SYMBOL:
        return draw(f, n->name);
    case N_CONST:
        return constant(f, n->op);
    case N_ADD:
        return nmod_add(a, b, f->mod);
    case N_NEG:
        return nmod_neg(a, f->mod);
    case N_PM:
        return sign == 0                    ? RESIDUE_NONE
               : (sign > 0) == (n->op == 0) ? a
                                            : nmod_neg(a, f->mod);
    case N_MUL:
        return nmod_mul(a, b, f->mod);
    case N_DIV:
        return divide(f, a, b);
    case N_POW:
        assert(second);
        if ((second->flags & IS_EXACT) && fmpz_is_one(fmpq_denref(&second->value)))
            return power(f, a, fmpq_numref(&second->value));
        break;
    case N_CALL:
        if (n->op == F_BINOMIAL && second && binomial(f, second, a, &out))
            return out;
        break;
    case N_TEXT:
    case N_BAD:
        return RESIDUE_NONE;
    default:
        break;
    }
    return uninterpreted(f, nodes, n, values);
}

struct residue grade_residue_of(struct evaluator *e, struct item a)
{
    const struct node *nodes = a.t->nodes;
    struct residue r = { .valid = true };
    grade_evaluator_spend(e, UNITS_NODE * (int64_t)(a.node - nodes[a.node].start + 1));
    grade_mark_needed(e, a);
    for (int k = 0; k < 2; k++) {
        const struct field *f = &e->fields[k];
        uint64_t *values = e->residues[k];
        for (uint32_t i = nodes[a.node].start; i <= a.node; i++)
            if (e->needed[i])
                values[i] = nodes[i].flags & IS_EXACT
                                ? of_rational(f, &nodes[i].value)
                                : interpreted(f, nodes, &nodes[i], values, a.sign);
        r.value[k] = values[a.node];
        r.valid = r.valid && r.value[k] != RESIDUE_NONE;
    }
    return r;
}

/* ---- denominators ---- */

static uint64_t denominator(const struct field *f, const struct node *nodes,
                            const struct node *n, const uint64_t *values,
                            const uint64_t *under)
{
    const uint32_t second = n->count > 1 ? nodes[n->first].next : TREE_NONE;
    uint64_t a, b;
    if (n->flags & IS_EXACT)
        return of_whole(f, fmpq_denref(&n->value));
    switch (n->kind) {
    case N_ADD:
    case N_MUL:
        return nmod_mul(under[n->first], under[second], f->mod);
    case N_NEG:
        return under[n->first];
    case N_DIV:
        b = nmod_mul(values[second], under[second], f->mod);
        return nmod_mul(under[n->first], b, f->mod);
    case N_POW:
        if (!(nodes[second].flags & IS_EXACT) ||
            !fmpz_is_one(fmpq_denref(&nodes[second].value)))
            return 1;
        a = fmpq_sgn(&nodes[second].value) < 0
                ? nmod_inv(nmod_mul(values[n->first], under[n->first], f->mod), f->mod)
                : under[n->first];
        return power(f, a, fmpq_numref(&nodes[second].value));
    default:
        return 1;
    }
}

struct residue grade_residue_denominator(struct evaluator *e, struct item a)
{
    const struct node *nodes = a.t->nodes;
    struct residue r = grade_residue_of(e, a);
    for (int k = 0; k < 2 && r.valid; k++) {
        for (uint32_t i = nodes[a.node].start; i <= a.node; i++)
            if (e->needed[i])
                e->under[i] = denominator(&e->fields[k], nodes, &nodes[i], e->residues[k],
                                          e->under);
        r.value[k] = e->under[a.node];
        r.valid = r.value[k] != 0 && r.value[k] != RESIDUE_NONE;
    }
    return r;
}
