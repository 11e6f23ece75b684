/* runtime/op/op_compare.c
 * What a device computed against what the twin computed, by the tolerance of the op's row. */
#include "runtime/op/op_compare.h"

#include "runtime/op/op_row.h"
#include "runtime/op/weight.h"

#include <math.h>
#include <string.h>

/* Of a case, where magnitudes may decide. */
static struct rt_op_tolerance tolerance_of(const struct rt_op_case *c)
{
    const struct rt_op_row *row = rt_op_rows[c->op];
    struct rt_op_tolerance t = row->tolerance;
    if (row->widen)
        row->widen(c, &t);
    return t;
}

static bool is_exact(enum rt_content content, uint64_t index)
{
    switch (content) {
    case RT_CONTENT_WORDS:
        return true;
    case RT_CONTENT_STAT:
        return index % 8 <= 1 || index % 8 == 5 || index % 8 == 7;
    case RT_CONTENT_KLSTAT:
        return index % 4 != 0;
    case RT_CONTENT_FLOATS:
    case RT_CONTENT_HALVES:
        break;
    }
    return false;
}

/* Element `index` of what an operand holds. */
static float element(const struct rt_op_operand *o, const void *data, uint64_t index)
{
    return o->content == RT_CONTENT_HALVES
               ? rt_half_to_float(((const uint16_t *)data)[index])
               : ((const float *)data)[index];
}

static double row_magnitude(const struct rt_op_operand *o, const void *wanted,
                            uint64_t row, uint64_t n, uint64_t ld)
{
    double most = 0;
    for (uint64_t i = row; i < row + ld && i < n; i++) {
        const double value = element(o, wanted, i);
        if (!is_exact(o->content, i) && isfinite(value))
            most = fmax(most, fabs(value));
    }
    return most;
}

/* Differences below this mean nothing: subnormals may be flushed to zero, and the exp of
 * some devices ends some powers of e before the smallest normal number. */
static const double FLOOR = 1e-30;

/* Two floats that agree may be rounded to halves on either side of a boundary. */
static const double HALF_STEP = 1.0 / 1024;

/* Share of the tolerance that one float uses; infinite where NaN or an infinity of one
 * side meets anything else. */
static double share(struct rt_op_tolerance t, double got, double wanted, double magnitude)
{
    if (isnan(got) || isnan(wanted))
        return isnan(got) && isnan(wanted) ? 0 : INFINITY;
    if (isinf(got) || isinf(wanted))
        return got == wanted ? 0 : INFINITY;
    const double difference = fabs(got - wanted);
    const double allowed = t.relative * fabs(wanted) + t.of_row * magnitude;
    return difference <= FLOOR ? 0 : allowed > 0 ? difference / allowed : INFINITY;
}

struct rt_op_distance rt_op_compare(const struct rt_op_case *c, uint32_t binding,
                                    const void *got, const void *wanted)
{
    const struct rt_op_operand *o = &c->operand[binding];
    const bool halves = o->content == RT_CONTENT_HALVES;
    const uint64_t n = o->checked / (halves ? 2 : 4), ld = o->ld ? o->ld : n;
    struct rt_op_tolerance tolerance = tolerance_of(c);
    if (halves)
        tolerance.relative += HALF_STEP;
    struct rt_op_distance worst = { 0 };
    double magnitude = 0, relative = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (i % ld == 0)
            magnitude = row_magnitude(o, wanted, i, n, ld);
        const float g = element(o, got, i), w = element(o, wanted, i);
        if (memcmp(&g, &w, sizeof g) == 0)
            continue;
        const double scale = fmax(magnitude, fabs((double)w));
        if (!is_exact(o->content, i) && scale > FLOOR)
            relative = fmax(relative, fabs((double)g - w) / scale);
        const double used =
            is_exact(o->content, i) ? INFINITY : share(tolerance, g, w, magnitude);
        if (used > worst.used)
            worst = (struct rt_op_distance){ used, i, g, w, 0 };
    }
    worst.relative = relative;
    return worst;
}
