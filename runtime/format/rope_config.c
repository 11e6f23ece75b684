/* runtime/format/rope_config.c
 * Reads the rotary embedding of a config.json and computes its frequencies. */
#include "runtime/format/rope_config.h"

#include "runtime/base/file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double TURN = 6.283185307179586;
static const double THETA = 10000; /* where the file gives none */

static const char *const kinds[FMT_ROPE_KIND_COUNT] = {
    [FMT_ROPE_DEFAULT] = "default",
    [FMT_ROPE_LINEAR] = "linear",
    [FMT_ROPE_LLAMA3] = "llama3",
    [FMT_ROPE_YARN] = "yarn",
};

const char *fmt_rope_name(enum fmt_rope_kind kind)
{
    return kinds[kind];
}

struct reader {
    struct rt_ctx *ctx;
    const char *path;
    const json_t *root, *scaling;
};

/* A number of the scaling within [low, high]; `otherwise` where the key is missing or
 * null, NAN: it must be there. */
static rt_status number(const struct reader *r, const char *key, double otherwise,
                        double low, double high, double *out)
{
    const json_t *value = json_object_get(r->scaling, key);
    *out = otherwise;
    if ((!value || json_is_null(value)) && !isnan(otherwise))
        return RT_OK;
    *out = json_number_value(value);
    if (!json_is_number(value) || !(*out >= low && *out <= high))
        return rt_fail(r->ctx, RT_ERR_INPUT,
                       "'%s': rope scaling: '%s' must be a number from %g to %g", r->path,
                       key, low, high);
    return RT_OK;
}

/* How much yarn lengthens q and k: the paper's rule, or the ratio of two of its kind. */
static double yarn_gain(double factor, double weight)
{
    return factor > 1 ? 0.1 * weight * log(factor) + 1 : 1;
}

static rt_status read_yarn(const struct reader *r, struct fmt_rope *rope)
{
    rt_status st;
    double weight, weight_all;
    TRY(number(r, "beta_fast", 32, 1e-3, 1e6, &rope->beta_fast));
    TRY(number(r, "beta_slow", 1, 1e-3, 1e6, &rope->beta_slow));
    TRY(number(r, "mscale", 0, 0, 1e3, &weight));
    TRY(number(r, "mscale_all_dim", 0, 0, 1e3, &weight_all));
    const double gain =
        weight > 0 && weight_all > 0
            ? yarn_gain(rope->factor, weight) / yarn_gain(rope->factor, weight_all)
            : yarn_gain(rope->factor, 1);
    TRY(number(r, "attention_factor", gain, 1e-3, 1e3, &rope->gain));
    rope->whole = !json_is_false(json_object_get(r->scaling, "truncate"));
    return RT_OK;

fail:
    return st;
}

static const char *kind_of(const json_t *parameters)
{
    const char *name = json_string_value(json_object_get(parameters, "rope_type"));
    if (!name)
        name = json_string_value(json_object_get(parameters, "type"));
    return name ? name : "default";
}

static rt_status find_kind(const struct reader *r, enum fmt_rope_kind *out)
{
    const char *name = kind_of(r->scaling);
    char known[128] = "";
    for (int i = 0; i < FMT_ROPE_KIND_COUNT; i++) {
        *out = (enum fmt_rope_kind)i;
        if (strcmp(name, kinds[i]) == 0)
            return RT_OK;
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s",
                 i ? ", " : "", kinds[i]);
    }
    return rt_fail(r->ctx, RT_ERR_INPUT,
                   "'%s': rope scaling '%.60s' is not supported; %s are", r->path, name,
                   known);
}

/* The context before it was stretched. As in transformers 5, the key beside the scaling
 * goes before the one in it; kinds without a use for it take the one in it. */
static rt_status read_original(const struct reader *r, uint32_t max_positions,
                               struct fmt_rope *rope)
{
    static const char key[] = "original_max_position_embeddings";
    const json_t *outer = json_object_get(r->root, key);
    struct reader from = *r;
    if (outer && !json_is_null(outer) && rope->kind != FMT_ROPE_LINEAR)
        from.scaling = r->root;
    return number(&from, key, max_positions, 1, 1u << 24, &rope->original);
}

static rt_status read_scaling(const struct reader *r, uint32_t max_positions,
                              struct fmt_rope *rope)
{
    rt_status st;
    TRY(find_kind(r, &rope->kind));
    if (rope->kind == FMT_ROPE_DEFAULT)
        return RT_OK;
    TRY(read_original(r, max_positions, rope));
    const double ratio = max_positions / rope->original;
    TRY(number(r, "factor",
               rope->kind == FMT_ROPE_YARN && ratio > 1 ? ratio : (double)NAN, 1, 1e6,
               &rope->factor));
    if (rope->kind == FMT_ROPE_LLAMA3) {
        TRY(number(r, "low_freq_factor", (double)NAN, 1e-3, 1e6, &rope->low));
        TRY(number(r, "high_freq_factor", (double)NAN, 1e-3, 1e6, &rope->high));
        if (!(rope->low < rope->high))
            return rt_fail(r->ctx, RT_ERR_INPUT,
                           "'%s': rope scaling: low_freq_factor must be below "
                           "high_freq_factor",
                           r->path);
    }
    if (rope->kind == FMT_ROPE_YARN)
        TRY(read_yarn(r, rope));
    return RT_OK;

fail:
    return st;
}

/* ---- where the keys are ---- */

/* Of transformers 5, one object per kind of layer. All layers here attend fully, so that
 * `full_attention` counts; another one that layer_types names must say the same. */
static rt_status take_full(const struct reader *r, const json_t *root, const json_t **out)
{
    const char *kind;
    json_t *other;
    const json_t *full = json_object_get(*out, "full_attention");
    const json_t *types = json_object_get(root, "layer_types");
    bool nested = false;
    json_object_foreach((json_t *)(uintptr_t)*out, kind, other)
    {
        nested = nested || json_is_object(other);
        bool named = false;
        for (size_t i = 0; i < json_array_size(types) && !named; i++) {
            const char *type = json_string_value(json_array_get(types, i));
            named = type && strcmp(type, kind) == 0;
        }
        if (json_is_object(full) && named && !json_equal(other, full))
            return rt_fail(r->ctx, RT_ERR_INPUT,
                           "'%s': rope parameters of '%.60s' differ from those of "
                           "'full_attention'; one set for all layers is supported",
                           r->path, kind);
    }
    if (nested && !json_is_object(full))
        return rt_fail(r->ctx, RT_ERR_INPUT,
                       "'%s': rope parameters per kind of layer have none of "
                       "'full_attention', the only kind that is supported",
                       r->path);
    *out = nested ? full : *out;
    return RT_OK;
}

/* rope_scaling counts, as in transformers 5. The base it does not give would be 10000
 * there, whatever rope_parameters say, which nobody can mean. */
static rt_status check_both(const struct reader *r, const json_t *parameters,
                            const json_t *theta)
{
    const json_t *other = json_object_get(parameters, "rope_theta");
    if (!theta && json_is_number(other) && json_number_value(other) != THETA)
        return rt_fail(r->ctx, RT_ERR_INPUT,
                       "'%s': rope_scaling stands beside rope_parameters and has no "
                       "rope_theta, they have %g; put it into rope_scaling or the "
                       "scaling into rope_parameters",
                       r->path, json_number_value(other));
    if (strcmp(kind_of(parameters), "default") != 0 &&
        !json_equal(parameters, r->scaling))
        rt_log(r->ctx, RT_LOG_WARNING,
               "'%s' has rope_scaling and rope_parameters; rope_scaling counts", r->path);
    return RT_OK;
}

/* Finds the object with the parameters, null where none is needed, and rope_theta. */
static rt_status find_parameters(struct reader *r, const json_t *root,
                                 const json_t **theta)
{
    rt_status st;
    const json_t *scaling = json_object_get(root, "rope_scaling");
    const json_t *parameters = json_object_get(root, "rope_parameters");
    const bool has_scaling = json_object_size(scaling) > 0;
    r->scaling = has_scaling ? scaling : parameters;
    TRY(take_full(r, root, &r->scaling));
    *theta = json_object_get(r->scaling, "rope_theta");
    if (!*theta)
        *theta = json_object_get(root, "rope_theta");
    if (has_scaling && json_object_size(parameters) > 0) {
        TRY(take_full(r, root, &parameters));
        TRY(check_both(r, parameters, *theta));
    }
    return RT_OK;

fail:
    return st;
}

rt_status fmt_rope_read(struct rt_ctx *ctx, const char *path, const json_t *root,
                        uint32_t max_positions, struct fmt_rope *out)
{
    static const struct fmt_json_key optional[] = {
        { "rope_type", FMT_JSON_TEXT },
        { "type", FMT_JSON_TEXT },
        { "truncate", FMT_JSON_BOOL },
    };
    rt_status st;
    struct reader r = { .ctx = ctx, .path = path, .root = root };
    const json_t *theta, *part;
    TRY(find_parameters(&r, root, &theta));
    TRY(fmt_json_check(ctx, path, "rope scaling", r.scaling, optional,
                       RT_COUNT(optional)));
    *out = (struct fmt_rope){ .theta = theta ? json_number_value(theta) : THETA,
                              .factor = 1,
                              .original = max_positions,
                              .gain = 1 };
    if (!(out->theta > 1 && out->theta < 1e15))
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': rope_theta must be a number above 1",
                       path);
    part = json_object_get(r.scaling, "partial_rotary_factor");
    if (!part)
        part = json_object_get(root, "partial_rotary_factor");
    if (part && !json_is_null(part) && json_number_value(part) != 1)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': heads that are rotated in part (partial_rotary_factor) are "
                       "not supported",
                       path);
    TRY(read_scaling(&r, max_positions, out));

fail:
    return st;
}

/* ---- frequencies ---- */

static double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

/* Share of the unscaled frequency in pair i of llama3. */
static double llama3_share(const struct fmt_rope *r, double frequency)
{
    return clamp((r->original * frequency / TURN - r->low) / (r->high - r->low), 0, 1);
}

/* The dimension pair, as a fraction, that turns `turns` times within `original`. */
static double pair_of(const struct fmt_rope *r, uint32_t head_dim, double turns)
{
    return head_dim * log(r->original / (turns * TURN)) / (2 * log(r->theta));
}

static double yarn_share(const struct fmt_rope *r, uint32_t head_dim, uint32_t i)
{
    double first = pair_of(r, head_dim, r->beta_fast);
    double last = pair_of(r, head_dim, r->beta_slow);
    if (r->whole) {
        first = floor(first);
        last = ceil(last);
    }
    first = first > 0 ? first : 0;
    last = last < head_dim - 1 ? last : head_dim - 1;
    if (last == first)
        last += 0.001; /* a step where there is no room for a ramp */
    return 1 - clamp((i - first) / (last - first), 0, 1);
}

void fmt_rope_frequencies(const struct fmt_rope *r, uint32_t head_dim, double *frequency)
{
    for (uint32_t i = 0; i < head_dim / 2; i++) {
        const double f = pow(r->theta, -2.0 * i / head_dim);
        double share = 0; /* of f; the rest is f / factor */
        if (r->kind == FMT_ROPE_LLAMA3)
            share = llama3_share(r, f);
        else if (r->kind == FMT_ROPE_YARN)
            share = yarn_share(r, head_dim, i);
        frequency[i] = share * f + (1 - share) * f / r->factor;
    }
}
