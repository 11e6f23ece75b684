/* pipeline/grade/evaluator.c
 * Creates the workspace in which trees are evaluated, and keeps its budget of work. */
#include "pipeline/grade/evaluator.h"

#include <string.h>

/* A prime of 61 bits that is 1 modulo 4, and a square root of -1 in its field. */
static struct field field_of(uint64_t from, uint64_t seed)
{
    struct field f = { .seed = seed };
    uint64_t p = n_nextprime(from, 1);
    while (p % 4 != 1)
        p = n_nextprime(p, 1);
    nmod_init(&f.mod, p);
    for (uint64_t g = 2; f.i == 0; g++)
        if (n_powmod2_preinv(g, (slong)((p - 1) / 2), p, f.mod.ninv) == p - 1)
            f.i = n_powmod2_preinv(g, (slong)((p - 1) / 4), p, f.mod.ninv);
    return f;
}

struct evaluator *grade_evaluator_create(struct rt_ctx *ctx)
{
    struct evaluator *e = rt_alloc(ctx, 1, sizeof *e);
    acb_ptr balls = rt_alloc(ctx, TREE_NODES_MAX, sizeof *balls);
    if (!e || !balls) {
        rt_free(e);
        rt_free(balls);
        return NULL;
    }
    e->balls = balls; /* zero bytes are zero balls */
    e->fields[0] = field_of(UINT64_C(1234567890123456789), 0x243f6a8885a308d3u);
    e->fields[1] = field_of(UINT64_C(2135792468013579135), 0x13198a2e03707344u);
    return e;
}

void grade_evaluator_destroy(struct evaluator **evaluator)
{
    struct evaluator *e = *evaluator;
    if (!e)
        return;
    for (uint32_t i = 0; i < e->balls_used; i++)
        acb_clear(e->balls + i);
    rt_free(e->balls);
    rt_free(e);
    *evaluator = NULL;
}

void grade_evaluator_primes(const struct evaluator *e, uint64_t primes[2])
{
    primes[0] = e->fields[0].mod.n;
    primes[1] = e->fields[1].mod.n;
}

void grade_evaluator_allow(struct evaluator *e, int64_t units)
{
    e->units = units;
}

void grade_evaluator_spend(struct evaluator *e, int64_t units)
{
    e->units -= units;
}

bool grade_evaluator_spent(const struct evaluator *e)
{
    return e->units <= 0;
}

void grade_mark_needed(struct evaluator *e, struct item a)
{
    const struct node *nodes = a.t->nodes;
    const uint32_t start = nodes[a.node].start;
    memset(e->needed + start, 0, a.node - start + 1);
    e->needed[a.node] = true;
    for (uint32_t i = a.node + 1; i-- > start;)
        for (uint32_t c = e->needed[i] && !(nodes[i].flags & IS_EXACT) ? nodes[i].first
                                                                       : TREE_NONE;
             c != TREE_NONE; c = nodes[c].next)
            e->needed[c] = true;
}
