/* runtime/format/gguf_rope.c
 * Scaling of the rotary embedding: keys for linear and yarn, a tensor for llama3. */
#include "runtime/format/gguf_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PAIRS_MAX = 512 };

static const double TURN = 6.283185307179586;
/* The divisors are floats; a parameter set that is right gives them to rounding. */
static const double AGREEMENT = 1e-5;

struct llama3 {
    double factor, low, high, original;
};

/* The share of the unscaled frequency that llama3 keeps. */
static double share_of(const struct llama3 *p, double frequency)
{
    const double share = (p->original * frequency / TURN - p->low) / (p->high - p->low);
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

static bool agrees(const struct llama3 *p, const double *frequency, const float *divisor,
                   uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const double share = share_of(p, frequency[i]);
        const double expected = 1 / (share + (1 - share) / p->factor);
        if (!(fabs(expected - (double)divisor[i]) <= AGREEMENT * expected))
            return false;
    }
    return true;
}

/* The blend is linear in the frequency, so two blended divisors give its slope and
 * offset; low is set to 1, which leaves high and original. */
static bool fit(const double *frequency, const float *divisor, uint32_t n, double factor,
                struct llama3 *out)
{
    uint32_t first = n, last = n;
    for (uint32_t i = 0; i < n; i++)
        if ((double)divisor[i] > 1 + AGREEMENT &&
            (double)divisor[i] < factor * (1 - AGREEMENT)) {
            first = first == n ? i : first;
            last = i;
        }
    if (first == last)
        return false;
    const double share0 = (1 / (double)divisor[first] - 1 / factor) / (1 - 1 / factor);
    const double share1 = (1 / (double)divisor[last] - 1 / factor) / (1 - 1 / factor);
    const double slope = (share0 - share1) / (frequency[first] - frequency[last]);
    const double offset = slope * frequency[first] - share0; /* low / (high - low) */
    *out = (struct llama3){ factor, 1, 1 + 1 / offset, slope * TURN / offset };
    return offset > 0 && slope > 0;
}

/* The parameters that every llama 3 has; the factor such that the lowest frequency is
 * scaled as it is. */
static struct llama3 usual(double frequency, float divisor)
{
    struct llama3 p = { 1, 1, 4, 8192 };
    const double share = share_of(&p, frequency), kept = 1 / (double)divisor - share;
    p.factor = kept > 0 ? (1 - share) / kept : 1;
    return p;
}

static rt_status from_divisors(const struct fmt_gguf *f, const struct fmt_gguf_tensor *t,
                               double theta, uint32_t head_dim, json_t **out)
{
    double frequency[PAIRS_MAX] = { 0 }, factor = 1;
    float divisor[PAIRS_MAX] = { 0 };
    const uint32_t n = head_dim / 2;
    if (n == 0 || t->count != n || n > PAIRS_MAX)
        return rt_fail(f->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' has %llu elements, %u are expected", f->path,
                       t->name, (unsigned long long)t->count, n);
    fmt_gguf_floats(t, 0, n, divisor);
    for (uint32_t i = 0; i < n; i++) {
        frequency[i] = pow(theta, -2.0 * i / head_dim);
        if ((double)divisor[i] > factor)
            factor = (double)divisor[i];
    }
    struct llama3 p = usual(frequency[n - 1], divisor[n - 1]);
    if (factor <= 1 + AGREEMENT && agrees(&p, frequency, divisor, n))
        return RT_OK;
    if (!agrees(&p, frequency, divisor, n) &&
        !(fit(frequency, divisor, n, factor, &p) && agrees(&p, frequency, divisor, n)))
        return rt_fail(f->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' scales the rotary frequencies in a way that is "
                       "not llama3's; only that is supported",
                       f->path, t->name);
    *out = json_pack("{s:s, s:f, s:f, s:f, s:f}", "rope_type", "llama3", "factor",
                     p.factor, "low_freq_factor", p.low, "high_freq_factor", p.high,
                     "original_max_position_embeddings", p.original);
    return *out ? RT_OK : rt_fail(f->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", f->path);
}

static rt_status number(const struct fmt_gguf *f, const char *arch, const char *key,
                        double otherwise, double *out)
{
    char name[128];
    snprintf(name, sizeof name, "%s.rope.%s", arch, key);
    return fmt_gguf_number(f, name, otherwise, out);
}

/* Keys of yarn that the format has and llama.cpp reads for other architectures only:
 * other values than those it takes here would be read past. -1 leaves it to the program. */
static rt_status check_yarn(const struct fmt_gguf *f, const char *arch)
{
    static const struct {
        const char *key;
        double usual, or_else;
    } keys[] = {
        { "scaling.yarn_ext_factor", 1, -1 },    { "scaling.yarn_attn_factor", 1, -1 },
        { "scaling.yarn_beta_fast", 32, -1 },    { "scaling.yarn_beta_slow", 1, -1 },
        { "scaling.yarn_log_multiplier", 0, 0 },
    };
    for (size_t i = 0; i < RT_COUNT(keys); i++) {
        double value;
        const rt_status st = number(f, arch, keys[i].key, keys[i].usual, &value);
        if (st != RT_OK)
            return st;
        if (value != keys[i].usual && value != keys[i].or_else)
            return rt_fail(f->ctx, RT_ERR_INPUT,
                           "'%s': key '%s.rope.%s' is %g; llama.cpp does not read it for "
                           "this architecture, and %g is supported",
                           f->path, arch, keys[i].key, value, keys[i].usual);
    }
    return RT_OK;
}

static rt_status from_keys(const struct fmt_gguf *f, const char *arch, const char *kind,
                           json_t **out)
{
    rt_status st;
    double factor, original, gain;
    TRY(number(f, arch, "scale_linear", 1, &factor)); /* the key of older files */
    TRY(number(f, arch, "scaling.factor", factor, &factor));
    TRY(number(f, arch, "scaling.original_context_length", 0, &original));
    TRY(number(f, arch, "scaling.attn_factor", 1, &gain));
    if (gain != 1)
        return rt_fail(f->ctx, RT_ERR_INPUT,
                       "'%s': key '%s.rope.scaling.attn_factor' is %g; 1 is supported",
                       f->path, arch, gain);
    if (*kind && strcmp(kind, "none") != 0 && strcmp(kind, "linear") != 0 &&
        strcmp(kind, "yarn") != 0)
        return rt_fail(f->ctx, RT_ERR_INPUT,
                       "'%s': key '%s.rope.scaling.type' is '%.60s'; none, linear and "
                       "yarn are supported",
                       f->path, arch, kind);
    if (strcmp(kind, "yarn") == 0)
        TRY(check_yarn(f, arch));
    if (strcmp(kind, "none") == 0 || (!*kind && factor == 1))
        return RT_OK;
    *out =
        json_pack("{s:s, s:f}", "rope_type", *kind ? kind : "linear", "factor", factor);
    if (!*out ||
        (original > 0 && json_object_set_new(*out, "original_max_position_embeddings",
                                             json_real(original)) != 0))
        return rt_fail(f->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", f->path);

fail:
    return st;
}

rt_status fmt_gguf_rope(const struct fmt_gguf *f, const char *arch, uint32_t head_dim,
                        json_t **out)
{
    rt_status st;
    double theta;
    char name[128], *kind = NULL;
    const struct fmt_gguf_tensor *divisors = fmt_gguf_find(f, "rope_freqs.weight");
    *out = NULL;
    TRY(number(f, arch, "freq_base", 10000, &theta));
    snprintf(name, sizeof name, "%s.rope.scaling.type", arch);
    TRY(fmt_gguf_text(f, name, &kind));
    st = divisors ? from_divisors(f, divisors, theta, head_dim, out)
                  : from_keys(f, arch, kind ? kind : "", out);

fail:
    rt_free(kind);
    return st;
}
