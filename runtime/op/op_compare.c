/* runtime/op/op_compare.c
 * The tolerance of every op, once; the reasons are in docs/numerics.md. */
#include "runtime/op/op_compare.h"

#include "runtime/weight.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* |got - wanted| <= relative |wanted| + of_row (greatest finite |wanted| of the row). The
 * first covers rounding of the result and the device's exp and log, the second sums,
 * whose terms may cancel. */
struct tolerance {
    double relative, of_row;
};

static const struct tolerance tolerances[RT_OP_COUNT] = {
    [RT_OP_embed] = { 0, 0 },
    [RT_OP_rmsnorm] = { 2e-6, 0 },
    [RT_OP_rmsnorm_back] = { 2e-6, 2e-6 },
    [RT_OP_rope] = { 1e-6, 2e-7 },
    [RT_OP_attention] = { 5e-6, 5e-6 },
    [RT_OP_attention_back_q] = { 1e-5, 1e-5 },
    [RT_OP_attention_back_kv] = { 1e-5, 1e-5 },
    [RT_OP_swiglu] = { 5e-6, 0 },
    [RT_OP_swiglu_back] = { 5e-6, 1e-6 },
    [RT_OP_add] = { 2e-7, 2e-7 },
    [RT_OP_gather] = { 0, 0 },
    [RT_OP_matmul] = { 2e-6, 2e-6 },
    [RT_OP_matmul_back] = { 2e-6, 2e-6 },
    [RT_OP_unpack] = { 0, 0 },
    [RT_OP_outer] = { 2e-6, 2e-6 },
    [RT_OP_pack] = { 0, 0 },
    [RT_OP_logits_stat] = { 2e-6, 0 },
    [RT_OP_ce_back] = { 5e-6, 1e-6 },
    /* p - q of two softmaxes: each has the error of a sum of thousands of terms. */
    [RT_OP_kl] = { 1e-5, 5e-6 },
    [RT_OP_dpo] = { 5e-6, 5e-6 },
    [RT_OP_sumsq] = { 1e-5, 0 },
    [RT_OP_clip] = { 2e-6, 0 },
    [RT_OP_adamw] = { 2e-6, 2e-7 },
    [RT_OP_sample] = { 0, 0 },
    [RT_OP_columns] = { 0, 0 },
    /* Each of some hundred steps rounds, and keeps nearly all of the errors before. */
    [RT_OP_peak_fma] = { 0, 4e-5 },
    [RT_OP_peak_copy] = { 0, 0 },
    [RT_OP_peak_read] = { 0, 1e-5 },
};

/* Greatest magnitude of what a fill draws. */
static double fill_magnitude(enum rt_fill fill)
{
    return fill == RT_FILL_LARGE    ? 1e4
           : fill == RT_FILL_LOGITS ? 8
           : fill == RT_FILL_TIES   ? 4
                                    : 1;
}

/* Of a case, where magnitudes decide. The weights of attention are known as well as the
 * differences of scores, and these are float sums of head-size products of what q holds,
 * with keys up to 1. The sigmoid of dpo is known as well as beta times a float sum over the
 * tokens of a pair, of log-probabilities down to -20. */
static struct tolerance tolerance_of(const struct rt_op_case *c)
{
    struct tolerance t = tolerances[c->op];
    if (c->op == RT_OP_attention) {
        const struct attention_push *p = &c->push.attention;
        const double score =
            (double)p->scale * p->hd * fill_magnitude(c->operand[0].fill);
        t.of_row = fmax(t.of_row, 2 * sqrt(p->hd) * (FLT_EPSILON / 2) * score);
    }
    if (c->op == RT_OP_dpo && c->push.dpo.pairs) {
        const double tokens = (double)c->operand[1].checked / 4 / c->push.dpo.pairs;
        t.relative =
            fmax(t.relative, (double)c->push.dpo.beta * 20 * tokens * (FLT_EPSILON / 2));
    }
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
static double share(struct tolerance t, double got, double wanted, double magnitude)
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
    struct tolerance tolerance = tolerance_of(c);
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
