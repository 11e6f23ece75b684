/* pipeline/restore/restore_grid.c
 * The neighbours of a grid, and what models on it weigh. */
#include "pipeline/restore/restore_grid.h"

#include "runtime/format/peft.h"
#include "runtime/quant/method.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t possible_bits[] = { 2, 3, 4, 8 };
static const uint32_t possible_groups[] = { 0, 128, 64, 32 };
enum { LEAST_GROUP = 16 };

static bool is_group(uint64_t group)
{
    return group == LEAST_GROUP || group % 32 == 0;
}

bool restore_grid_same(const struct restore_grid *a, const struct restore_grid *b)
{
    return strcmp(a->method, b->method) == 0 && a->bits == b->bits &&
           a->group == b->group && a->asymmetric == b->asymmetric;
}

void restore_grid_text(const struct restore_grid *g, char *out, size_t size)
{
    char groups[32] = "a scale per row";
    if (g->group)
        snprintf(groups, sizeof groups, "groups of %u", g->group);
    snprintf(out, size, "%s, %u bits, %s, %s", g->method, g->bits, groups,
             g->asymmetric ? "asymmetric" : "symmetric");
}

/* What made the codes: said by the file, or by what the format is for. */
static const char *method_of(const struct fmt_quantization *q, const char *otherwise)
{
    static const char *const known[] = { "rtn", "gptq", "awq" };
    for (size_t i = 0; i < RT_COUNT(known); i++)
        if (strcmp(q->algorithm, known[i]) == 0)
            return known[i];
    if (q->present && q->method == FMT_AWQ)
        return "awq";
    if (q->present && (q->method == FMT_GPTQ || q->method == FMT_GPTQ_V2))
        return "gptq";
    return otherwise;
}

struct restore_grid restore_grid_of(const struct fmt_quantization *q,
                                    double bits_per_weight, const char *method)
{
    struct restore_grid g = { .bits = possible_bits[0] };
    const double bits = q->present && q->bits && !q->mixed ? q->bits : bits_per_weight;
    for (size_t i = 0; i < RT_COUNT(possible_bits); i++)
        if (possible_bits[i] <= bits)
            g.bits = possible_bits[i];
    if (q->present && is_group(q->group))
        g.group = q->group;
    g.asymmetric = q->present && !q->symmetric;
    snprintf(g.method, sizeof g.method, "%s", method_of(q, method));
    return g;
}

struct restore_grid restore_grid_more_bits(const struct restore_grid *of)
{
    struct restore_grid g = *of;
    g.bits = 0;
    for (size_t i = 0; i < RT_COUNT(possible_bits) && !g.bits; i++)
        if (possible_bits[i] > of->bits)
            g.bits = possible_bits[i];
    return g;
}

struct restore_grid restore_grid_smaller_groups(const struct restore_grid *of)
{
    struct restore_grid g = *of;
    const uint32_t half = of->group / 64 * 32; /* a multiple of 32 */
    g.group = half ? half : of->group ? LEAST_GROUP : 32;
    if (of->group == LEAST_GROUP)
        g.bits = 0;
    return g;
}

double restore_grid_bits(const struct restore_grid *g, const struct fmt_config *c)
{
    double bits = 0, weights = 0;
    for (int m = 0; m < FMT_MODULE_COUNT; m++) {
        uint32_t out, in;
        fmt_module_size(c, (enum fmt_module)m, &out, &in);
        weights += (double)out * in;
        bits += quant_packed_bits(out, in, g->bits, g->group, g->asymmetric);
    }
    return bits / weights;
}

/* Whether every row is cut into whole groups, more than one of them somewhere. */
static bool group_fits(const struct fmt_config *c, uint32_t group)
{
    bool cut = group == 0;
    for (int m = 0; m < FMT_MODULE_COUNT && group; m++) {
        uint32_t out, in;
        fmt_module_size(c, (enum fmt_module)m, &out, &in);
        if (in % group)
            return false;
        cut = cut || in > group;
    }
    return cut;
}

/* A search for the grid nearest to a number of bits. */
struct nearing {
    const struct restore_grid *of;
    const struct fmt_config *config;
    double bits, gap;
    struct restore_grid best;
};

static void near(struct nearing *n, uint32_t bits, uint32_t group)
{
    struct restore_grid g = *n->of;
    g.bits = bits;
    g.group = group;
    const double d = fabs(restore_grid_bits(&g, n->config) - n->bits);
    if (restore_grid_same(&g, n->of) || !group_fits(n->config, group) || !(d < n->gap))
        return;
    n->best = g;
    n->gap = d;
}

struct restore_grid restore_grid_nearest(const struct restore_grid *of,
                                         const struct fmt_config *c, double bits)
{
    struct nearing n = { .of = of, .config = c, .bits = bits, .gap = INFINITY };
    for (size_t b = 0; b < RT_COUNT(possible_bits); b++)
        for (size_t i = 0; i < RT_COUNT(possible_groups); i++)
            near(&n, possible_bits[b], possible_groups[i]);
    /* Last: at equal bits, more of them and larger groups lose less. */
    for (size_t b = 0; b < RT_COUNT(possible_bits); b++)
        near(&n, possible_bits[b], LEAST_GROUP);
    return n.best;
}

struct restore_grid restore_grid_named(const char *name, const struct restore_grid *of)
{
    char *end = NULL;
    struct restore_grid g = *of;
    g.bits = 0;
    if (strncmp(name, "plain-", 6) != 0 || name[6] < '1' || name[6] > '9')
        return g;
    const unsigned long bits = strtoul(name + 6, &end, 10);
    if (*end != '-')
        return g;
    g.group = 0;
    if (strcmp(end, "-row") != 0) {
        char *rest = NULL;
        const unsigned long group = end[1] == 'g' && end[2] >= '1' && end[2] <= '9'
                                        ? strtoul(end + 2, &rest, 10)
                                        : 0;
        if (group == 0 || *rest || !is_group(group) || group > 1 << 20)
            return g;
        g.group = (uint32_t)group;
    }
    for (size_t i = 0; i < RT_COUNT(possible_bits); i++)
        if (possible_bits[i] == bits)
            g.bits = possible_bits[i];
    return g;
}
