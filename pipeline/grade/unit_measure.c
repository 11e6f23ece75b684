/* pipeline/grade/unit_measure.c
 * Quantities of several units in a row, and money in its smaller unit: 3 h 30 min is 3.5
 * hours and 210 min, 350 cents is $3.50. Exact values only. */
#include "pipeline/grade/tree_compare.h"

#include <string.h>

/* Units within a dimension are exact multiples of its smallest. */
enum dimension {
    TIME,
    CALENDAR,
    METRIC_LENGTH,
    IMPERIAL_LENGTH,
    METRIC_MASS,
    IMPERIAL_MASS,
    VOLUME,
    DOLLARS,
    EUROS,
    POUNDS,
    DIMENSION_COUNT
};

static const struct scale {
    const char *unit; /* unit_row.same */
    enum dimension dimension;
    ulong factor;
} scales[] = {
    { "second", TIME, 1 },
    { "minute", TIME, 60 },
    { "hour", TIME, 3600 },
    { "day", TIME, 86400 },
    { "week", TIME, 604800 },
    { "month", CALENDAR, 1 },
    { "year", CALENDAR, 12 },
    { "millimeter", METRIC_LENGTH, 1 },
    { "centimeter", METRIC_LENGTH, 10 },
    { "decimeter", METRIC_LENGTH, 100 },
    { "meter", METRIC_LENGTH, 1000 },
    { "kilometer", METRIC_LENGTH, 1000000 },
    { "inch", IMPERIAL_LENGTH, 1 },
    { "foot", IMPERIAL_LENGTH, 12 },
    { "yard", IMPERIAL_LENGTH, 36 },
    { "mile", IMPERIAL_LENGTH, 63360 },
    { "milligram", METRIC_MASS, 1 },
    { "gram", METRIC_MASS, 1000 },
    { "kilogram", METRIC_MASS, 1000000 },
    { "ounce", IMPERIAL_MASS, 1 },
    { "pound", IMPERIAL_MASS, 16 },
    { "milliliter", VOLUME, 1 },
    { "liter", VOLUME, 1000 },
    { "cent", DOLLARS, 1 },
    { "dollar", DOLLARS, 100 },
    { "cent", EUROS, 1 },
    { "euro", EUROS, 100 },
    { "pence", POUNDS, 1 },
    { "gbp", POUNDS, 100 },
};

enum { PARTS_MAX = 4 };

struct part {
    uint64_t unit;     /* hash */
    const fmpq *value; /* borrowed */
};

struct measure {
    struct part parts[PARTS_MAX];
    uint32_t count;
    bool listed; /* with commas between */
};

static bool add_part(struct measure *m, struct item a)
{
    const struct node *n = item_node(a);
    if (n->kind != N_UNIT || m->count == PARTS_MAX)
        return false;
    const struct node *value = item_node(item_child(a, 0));
    if (!(value->flags & IS_EXACT) || value->kind == N_UNIT)
        return false;
    m->parts[m->count++] = (struct part){ n->name, &value->value };
    return true;
}

/* A number with a unit, or several of them in a row. */
static bool read_measure(struct item a, struct measure *m)
{
    const struct node *n = item_node(a);
    *m = (struct measure){ .listed = n->kind == N_LIST && n->op == SEP_COMMA };
    if (n->kind != N_LIST)
        return add_part(m, a);
    if (n->op != SEP_COMMA && n->op != SEP_AND)
        return false;
    for (uint32_t k = n->first; k != TREE_NONE; k = a.t->nodes[k].next)
        if (!add_part(m, (struct item){ a.t, k, a.sign }))
            return false;
    return m->count > 1;
}

/* 0: no unit of that dimension. The m of "3 h 30 m" is a minute. */
static ulong factor_of(enum dimension d, uint64_t unit, bool after_hours)
{
    for (size_t i = 0; i < RT_COUNT(scales); i++) {
        const char *name = scales[i].unit;
        if (scales[i].dimension == d &&
            grade_hash_bytes(name, (uint32_t)strlen(name)) == unit)
            return scales[i].factor;
    }
    return d == TIME && after_hours && unit == grade_hash_bytes("meter", 5) ? 60 : 0;
}

/* The sum in the smallest unit. Units get smaller from part to part; in a list with commas
 * each part is less than one of the unit before, else they are several answers. */
static bool total(const struct measure *m, enum dimension d, fmpq_t out)
{
    ulong before = 0;
    bool good = true;
    fmpq_t part;
    fmpq_init(part);
    fmpq_zero(out);
    for (uint32_t i = 0; i < m->count && good; i++) {
        const ulong factor = factor_of(d, m->parts[i].unit, before == 3600);
        good = factor && (i == 0 || factor < before) &&
               (m->count == 1 || fmpq_sgn(m->parts[i].value) >= 0);
        fmpq_mul_ui(part, m->parts[i].value, factor);
        if (good && m->listed && i > 0)
            good = fmpq_cmp_ui(part, before) < 0;
        fmpq_add(out, out, part);
        before = factor;
    }
    fmpq_clear(part);
    return good;
}

/* Two single units of money. Of other single units the rule unit-mismatch says that they
 * differ: an answer in millimeters is none in centimeters. */
static bool is_money(const struct measure *a, const struct measure *b)
{
    for (int d = DOLLARS; d <= POUNDS; d++)
        if (factor_of((enum dimension)d, a->parts[0].unit, false) &&
            factor_of((enum dimension)d, b->parts[0].unit, false))
            return a->parts[0].unit != b->parts[0].unit;
    return false;
}

int grade_compare_measures(struct comparer *c, struct item gold, struct item pred)
{
    struct measure a, b;
    int verdict = -1;
    fmpq_t x, y;
    if (c->places >= 0 || !policy(c, PIPE_POLICY_UNIT_CONVERSION) ||
        !policy(c, PIPE_POLICY_UNIT_MISMATCH) || !read_measure(gold, &a) ||
        !read_measure(pred, &b) || (a.count == 1 && b.count == 1 && !is_money(&a, &b)))
        return -1;
    fmpq_init(x);
    fmpq_init(y);
    for (int d = 0; d < DIMENSION_COUNT && verdict < 0; d++)
        if (total(&a, (enum dimension)d, x) && total(&b, (enum dimension)d, y)) {
            c->rule = "unit conversion";
            verdict = fmpq_equal(x, y) ? PIPE_VERDICT_EQUAL : PIPE_VERDICT_DIFFERENT;
        }
    fmpq_clear(x);
    fmpq_clear(y);
    return verdict;
}
