/* pipeline/stats/stats_record.c
 * Reads a JSON record of `faultline stats`, computes what its kind asks for, and
 * compares given results. */
#include "pipeline/stats/stats_record.h"

#include "pipeline/stats/distance.h"
#include "pipeline/stats/power.h"
#include "pipeline/stats/statistics.h"

#include <math.h>
#include <string.h>

enum { DRAWS = 10000, DRAWS_MAX = 1000000 };

struct record {
    struct rt_ctx *ctx;
    const char *where;
    json_t *fields;
};

static rt_status bad(const struct record *r, const char *key, const char *why)
{
    return rt_fail(r->ctx, RT_ERR_INPUT, "%s: field '%s' %s", r->where, key, why);
}

static rt_status no_memory(const struct record *r)
{
    return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "%s: no memory", r->where);
}

/* ---- inputs ---- */

static rt_status read_whole(const struct record *r, const char *key, uint32_t high,
                            uint32_t *out)
{
    const json_t *value = json_object_get(r->fields, key);
    if (!json_is_integer(value))
        return bad(r, key, "must be a whole number");
    if (json_integer_value(value) < 0 || json_integer_value(value) > high)
        return rt_fail(r->ctx, RT_ERR_INPUT, "%s: field '%s' must be from 0 to %u",
                       r->where, key, high);
    *out = (uint32_t)json_integer_value(value);
    return RT_OK;
}

static rt_status read_number(const struct record *r, const char *key, double *out)
{
    const json_t *value = json_object_get(r->fields, key);
    *out = json_number_value(value);
    return json_is_number(value) ? RT_OK : bad(r, key, "must be a number");
}

/* A list of at least `least` numbers in fresh memory. */
static rt_status read_list(const struct record *r, const char *key, size_t least,
                           double **out, uint32_t *count)
{
    const json_t *list = json_object_get(r->fields, key);
    const size_t n = json_array_size(list);
    if (!json_is_array(list) || n < least || n > UINT32_MAX)
        return rt_fail(r->ctx, RT_ERR_INPUT,
                       "%s: field '%s' must be a list of at least %zu numbers", r->where,
                       key, least);
    *out = rt_alloc(r->ctx, n, sizeof **out);
    if (!*out)
        return no_memory(r);
    for (size_t i = 0; i < n; i++) {
        if (!json_is_number(json_array_get(list, i)))
            return bad(r, key, "must hold numbers only");
        (*out)[i] = json_number_value(json_array_get(list, i));
    }
    *count = (uint32_t)n;
    return RT_OK;
}

static rt_status read_pair(const struct record *r, const char *base, const char *other,
                           size_t least, double *lists[2], uint32_t *n)
{
    uint32_t m = 0;
    rt_status st = read_list(r, base, least, &lists[0], n);
    if (st == RT_OK)
        st = read_list(r, other, least, &lists[1], &m);
    if (st == RT_OK && m != *n)
        st = bad(r, other, "has another length than the list of base");
    return st;
}

/* A text of 0 and 1, not empty. */
static rt_status read_bits(const struct record *r, const char *key, const json_t *value,
                           const char **out, uint32_t *count)
{
    *out = json_string_value(value);
    *count = (uint32_t)json_string_length(value);
    if (!*out || *count == 0 || strspn(*out, "01") != *count)
        return bad(r, key, "must be a text of 0 and 1, at least one");
    return RT_OK;
}

/* ---- results ---- */

static rt_status set(const struct record *r, const char *key, json_t *value)
{
    return json_object_set_new(r->fields, key, value) == 0 ? RT_OK : no_memory(r);
}

/* JSON has no infinity: null. */
static rt_status set_number(const struct record *r, const char *key, double value)
{
    return set(r, key, isfinite(value) ? json_real(value) : json_null());
}

static rt_status set_interval(const struct record *r, const char *key,
                              struct pipe_interval i)
{
    return set(r, key, json_pack("[f, f]", i.low, i.high));
}

/* ---- kinds ---- */

static rt_status interval95(const struct record *r)
{
    rt_status st;
    uint32_t k, n;
    TRY(read_whole(r, "n", UINT32_MAX, &n));
    TRY(read_whole(r, "k", n, &k));
    TRY(set_interval(r, "wilson", pipe_wilson(k, n)));
    TRY(set_interval(r, "clopper_pearson", pipe_clopper_pearson(k, n)));

fail:
    return st;
}

static rt_status mcnemar(const struct record *r)
{
    rt_status st;
    uint32_t lost, gained;
    TRY(read_whole(r, "base_right_quant_wrong", UINT32_MAX, &lost));
    TRY(read_whole(r, "base_wrong_quant_right", UINT32_MAX, &gained));
    TRY(set_number(r, "exact_two_sided", pipe_mcnemar_exact(lost, gained)));
    TRY(set_number(r, "mid_p", pipe_mcnemar_mid(lost, gained)));

fail:
    return st;
}

static rt_status tango(const struct record *r)
{
    rt_status st;
    uint32_t n, lost, gained;
    TRY(read_whole(r, "n", UINT32_MAX, &n));
    TRY(read_whole(r, "lost", n, &lost));
    TRY(read_whole(r, "gained", n - lost, &gained));
    TRY(set_number(r, "difference", n ? ((double)gained - lost) / n : 0.0));
    TRY(set_interval(r, "tango", pipe_tango(gained, lost, n)));

fail:
    return st;
}

static rt_status paired(const struct record *r)
{
    rt_status st;
    const char *base, *quant;
    uint32_t n, m;
    bool *right = NULL;
    struct pipe_paired p;
    TRY(read_bits(r, "base", json_object_get(r->fields, "base"), &base, &n));
    TRY(read_bits(r, "quant", json_object_get(r->fields, "quant"), &quant, &m));
    if (n != m)
        return bad(r, "quant", "has another length than 'base'");
    right = rt_alloc(r->ctx, (size_t)n * 2, sizeof *right);
    if (!right)
        return no_memory(r);
    for (uint32_t i = 0; i < n; i++) {
        right[i] = base[i] == '1';
        right[n + i] = quant[i] == '1';
    }
    pipe_paired_compare(right, right + n, n, &p);
    const uint32_t flips = p.lost + p.gained;
    TRY(set_number(r, "acc_base", (double)p.right_base / n));
    TRY(set_number(r, "acc_quant", (double)p.right_other / n));
    TRY(set_number(r, "diff", p.difference));
    TRY(set_number(r, "se_paired_diff", p.error));
    TRY(set(r, "flips", json_integer(flips)));
    TRY(set_number(r, "flip_rate", (double)flips / n));
    TRY(set(r, "right_to_wrong", json_integer(p.lost)));
    TRY(set(r, "wrong_to_right", json_integer(p.gained)));
    TRY(set_number(r, "mcnemar_exact", p.p_exact));

fail:
    rt_free(right);
    return st;
}

static rt_status bootstrap(const struct record *r)
{
    rt_status st;
    uint32_t n = 0, draws = DRAWS, seed = 1;
    double *lists[2] = { 0 }, difference;
    struct pipe_interval interval;
    TRY(read_pair(r, "base", "quant", 1, lists, &n));
    if (json_object_get(r->fields, "draws"))
        TRY(read_whole(r, "draws", DRAWS_MAX, &draws));
    if (json_object_get(r->fields, "seed"))
        TRY(read_whole(r, "seed", UINT32_MAX, &seed));
    if (draws == 0) {
        st = bad(r, "draws", "must be at least 1");
        goto fail;
    }
    TRY(pipe_bootstrap_difference(r->ctx, lists[0], lists[1], n, draws, seed, &difference,
                                  &interval));
    TRY(set_number(r, "diff", difference));
    TRY(set_interval(r, "interval", interval));

fail:
    rt_free(lists[0]);
    rt_free(lists[1]);
    return st;
}

static rt_status pass_at_k(const struct record *r)
{
    rt_status st;
    uint32_t n, c, k;
    TRY(read_whole(r, "n", UINT32_MAX, &n));
    TRY(read_whole(r, "c", n, &c));
    TRY(read_whole(r, "k", n, &k));
    TRY(set_number(r, "value", pipe_pass_at_k(n, c, k)));

fail:
    return st;
}

static rt_status pass_over_problems(const struct record *r)
{
    rt_status st;
    uint32_t n, k, count = 0;
    double *values = NULL, mean, error;
    TRY(read_whole(r, "n", UINT32_MAX, &n));
    TRY(read_whole(r, "k", n, &k));
    TRY(read_list(r, "c", 1, &values, &count));
    for (uint32_t i = 0; i < count; i++) {
        if (!(values[i] >= 0.0 && values[i] <= n && values[i] == floor(values[i]))) {
            st = bad(r, "c", "must hold whole numbers from 0 to n");
            goto fail;
        }
        values[i] = pipe_pass_at_k(n, (uint32_t)values[i], k);
    }
    pipe_mean_error(values, count, &mean, &error);
    TRY(set_number(r, "value", mean));
    TRY(set_number(r, "se", error));

fail:
    rt_free(values);
    return st;
}

static rt_status avg_at_k(const struct record *r)
{
    static const char *const wrong = "se_if_all_samples_were_independent";
    rt_status st;
    const json_t *samples = json_object_get(r->fields, "samples");
    const size_t count = json_array_size(samples);
    double *means = NULL, mean, error, right = 0.0, all = 0.0;
    if (count == 0)
        return bad(r, "samples", "must be a list with a text of 0 and 1 a question");
    means = rt_alloc(r->ctx, count, sizeof *means);
    if (!means)
        return no_memory(r);
    for (size_t i = 0; i < count; i++) {
        const char *text;
        uint32_t n, ones = 0;
        TRY(read_bits(r, "samples", json_array_get(samples, i), &text, &n));
        for (uint32_t k = 0; k < n; k++)
            ones += text[k] == '1';
        means[i] = (double)ones / n;
        right += ones;
        all += n;
    }
    pipe_mean_error(means, (uint32_t)count, &mean, &error);
    TRY(set_number(r, "avg", mean));
    TRY(set_number(r, "se_over_question_means", error));
    if (json_object_get(r->fields, wrong)) /* asked for by the record, see the header */
        TRY(set_number(r, wrong, sqrt(right * (all - right) / all) / all));

fail:
    rt_free(means);
    return st;
}

static rt_status holm(const struct record *r)
{
    rt_status st;
    uint32_t count = 0;
    double *p = NULL;
    json_t *adjusted = json_array();
    TRY(read_list(r, "p", 1, &p, &count));
    for (uint32_t i = 0; i < count; i++)
        if (!(p[i] >= 0.0 && p[i] <= 1.0)) {
            st = bad(r, "p", "must hold numbers from 0 to 1");
            goto fail;
        }
    TRY(pipe_holm(r->ctx, p, count, p));
    for (uint32_t i = 0; i < count; i++)
        if (json_array_append_new(adjusted, json_real(p[i])) != 0) {
            st = no_memory(r);
            goto fail;
        }
    TRY(set(r, "adjusted", json_incref(adjusted)));

fail:
    json_decref(adjusted);
    rt_free(p);
    return st;
}

static rt_status kl(const struct record *r)
{
    rt_status st;
    uint32_t n = 0, token;
    double *lists[2] = { 0 };
    struct pipe_distance d;
    TRY(read_pair(r, "base_logits", "quant_logits", 2, lists, &n));
    TRY(read_whole(r, "token", n - 1, &token));
    pipe_distance_of(lists[0], lists[1], n, token, &d);
    TRY(set_number(r, "kl_base_to_quant", d.kl));
    TRY(set_number(r, "delta_p_token", d.delta_p));
    TRY(set_number(r, "nll_base", d.nll_base));
    TRY(set_number(r, "nll_quant", d.nll_other));
    TRY(set(r, "same_top", json_boolean(d.same_top)));
    TRY(set_number(r, "top1_margin_base", d.margin_base));
    TRY(set_number(r, "top1_margin_quant", d.margin_other));

fail:
    rt_free(lists[0]);
    rt_free(lists[1]);
    return st;
}

static rt_status power(const struct record *r)
{
    rt_status st;
    uint32_t n;
    struct pipe_power p = { .mid = json_is_true(json_object_get(r->fields, "mid_p")) };
    TRY(read_whole(r, "n", PIPE_POWER_PROBLEMS_MAX, &n));
    TRY(read_number(r, "flips", &p.flips));
    TRY(read_number(r, "difference", &p.difference));
    if (!(p.flips > 0.0 && p.flips <= 1.0))
        return bad(r, "flips", "must be above 0 and at most 1");
    if (!(fabs(p.difference) <= p.flips))
        return bad(r, "difference", "cannot be larger than 'flips'");
    TRY(set_number(r, "power", pipe_power_of(&p, n)));

fail:
    return st;
}

static const struct {
    const char *name;
    rt_status (*compute)(const struct record *r);
} kinds[] = {
    { "interval95", interval95 },
    { "mcnemar", mcnemar },
    { "tango", tango },
    { "paired", paired },
    { "bootstrap", bootstrap },
    { "pass_at_k", pass_at_k },
    { "pass_at_k_over_problems", pass_over_problems },
    { "avg_at_k", avg_at_k },
    { "holm", holm },
    { "kl", kl },
    { "power", power },
};

rt_status pipe_stats_record(struct rt_ctx *ctx, const char *where, json_t *record)
{
    const struct record r = { ctx, where, record };
    const char *kind = json_string_value(json_object_get(record, "kind"));
    if (!kind)
        return bad(&r, "kind", "must say which statistic is wanted");
    for (size_t i = 0; i < RT_COUNT(kinds); i++)
        if (strcmp(kinds[i].name, kind) == 0)
            return kinds[i].compute(&r);
    return rt_fail(ctx, RT_ERR_INPUT,
                   "%s: there is no kind '%.40s'; see: faultline help "
                   "stats",
                   where, kind);
}
