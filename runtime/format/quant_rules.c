/* runtime/format/quant_rules.c
 * Finds the settings of single modules. A rule becomes a config of its own, without rules,
 * that fmt_quantization_read reads. */
#include "runtime/format/quant_rules.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { RULES_MAX = 4096, MATCH_STEPS_MAX = 100000 };

struct fmt_quant_rule {
    char *target;     /* owned: as the file has it */
    pcre2_code *code; /* owned; null: a name or a class */
    bool skip;        /* such a module is not packed */
    struct fmt_quantization use;
    char *message; /* owned: why `use` cannot be read; null: it can */
};

static rt_status no_memory(struct rt_ctx *ctx, const char *path)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
}

static void rule_free(struct fmt_quant_rule *rule)
{
    rt_free(rule->target);
    rt_free(rule->message);
    pcre2_code_free(rule->code);
    *rule = (struct fmt_quant_rule){ 0 };
}

void fmt_quant_rules_free(struct fmt_quant_rules *rules)
{
    for (uint32_t i = 0; i < rules->count; i++)
        rule_free(&rules->items[i]);
    rt_free(rules->items);
    *rules = (struct fmt_quant_rules){ 0 };
}

/* ---- reading ---- */

struct reader {
    struct rt_ctx *ctx;
    const char *path;
    struct fmt_quant_rules *rules;
};

static rt_status compile(const struct reader *r, struct fmt_quant_rule *rule,
                         const char *pattern)
{
    int error;
    PCRE2_SIZE at;
    rule->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                               PCRE2_ANCHORED | PCRE2_UTF, &error, &at, NULL);
    if (!rule->code)
        return rt_fail(r->ctx, RT_ERR_INPUT,
                       "'%s': quantization_config: '%.80s' is not a regular expression",
                       r->path, rule->target);
    return RT_OK;
}

/* A new rule, or the one with this target: the last of equal ones counts. */
static rt_status add_rule(const struct reader *r, const char *target,
                          struct fmt_quant_rule **out)
{
    struct fmt_quant_rules *rules = r->rules;
    for (uint32_t i = 0; i < rules->count; i++)
        if (strcmp(rules->items[i].target, target) == 0) {
            rule_free(&rules->items[i]);
            *out = &rules->items[i];
            (*out)->target = rt_strdup(r->ctx, target);
            return (*out)->target ? RT_OK : no_memory(r->ctx, r->path);
        }
    if (rules->count == RULES_MAX)
        return rt_fail(r->ctx, RT_ERR_INPUT,
                       "'%s': quantization_config has more than %d rules", r->path,
                       (int)RULES_MAX);
    struct fmt_quant_rule *items =
        rt_resize(r->ctx, rules->items, rules->count, rules->count + 1u, sizeof *items);
    if (!items)
        return no_memory(r->ctx, r->path);
    rules->items = items;
    *out = &items[rules->count];
    (*out)->target = rt_strdup(r->ctx, target);
    if (!(*out)->target)
        return no_memory(r->ctx, r->path);
    rules->count++;
    return RT_OK;
}

/* Reads the settings of a rule; what is wrong with them is kept for who needs them. */
static rt_status read_use(const struct reader *r, const json_t *config,
                          struct fmt_quant_rule *rule)
{
    const rt_status st = fmt_quantization_read(r->ctx, r->path, config, &rule->use);
    if (st != RT_ERR_INPUT)
        return st;
    rule->message = rt_strdup(r->ctx, r->ctx->message);
    return rule->message ? RT_OK : no_memory(r->ctx, r->path);
}

/* ---- compressed-tensors ---- */

static bool is_empty_transform(const json_t *transform)
{
    return json_object_size(transform) == 0 ||
           (json_object_size(transform) == 1 &&
            json_object_get(transform, "config_groups") &&
            json_object_size(json_object_get(transform, "config_groups")) == 0);
}

/* The config with one group only, in the group's format if it has one. */
static rt_status one_group(const struct reader *r, const json_t *config, const char *name,
                           json_t *group, json_t **out)
{
    json_t *groups = json_pack("{s:O}", name, group);
    json_t *format = json_object_get(group, "format");
    *out = json_copy((json_t *)(uintptr_t)config);
    if (!groups || !*out || json_object_set_new(*out, "config_groups", groups) != 0 ||
        (format && !json_is_null(format) && json_object_set(*out, "format", format) != 0))
        return no_memory(r->ctx, r->path);
    if (is_empty_transform(json_object_get(config, "transform_config")))
        json_object_del(*out, "transform_config");
    return RT_OK;
}

static rt_status add_targets(const struct reader *r, const char *name,
                             const json_t *group, const json_t *config)
{
    rt_status st = RT_OK;
    const json_t *targets = json_object_get(group, "targets");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        struct fmt_quant_rule *rule;
        const char *target = json_string_value(json_array_get(targets, i));
        if (!target)
            break;
        TRY(add_rule(r, target, &rule));
        if (strncmp(target, "re:", 3) == 0)
            TRY(compile(r, rule, target + 3));
        TRY(read_use(r, config, rule));
        if (i + 1 == json_array_size(targets))
            return RT_OK;
    }
    st = rt_fail(r->ctx, RT_ERR_INPUT,
                 "'%s': quantization_config: config group '%.60s' has no list of targets",
                 r->path, name);

fail:
    return st;
}

static int by_target(const void *a, const void *b)
{
    const struct fmt_quant_rule *x = a, *y = b;
    return strcmp(x->target, y->target);
}

/* The base is the first group that can be read. */
static rt_status take_base(const struct reader *r, struct fmt_quantization *q)
{
    const struct fmt_quant_rules *rules = r->rules;
    for (uint32_t i = 0; i < rules->count; i++)
        if (!rules->items[i].message) {
            *q = rules->items[i].use;
            return RT_OK;
        }
    return rt_fail(r->ctx, RT_ERR_INPUT, "%s", rules->items[0].message);
}

/* Whether two groups say the same under a key; null is as good as nothing. */
static bool agree(const json_t *a, const json_t *b, const char *key)
{
    const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
    return json_is_null(x) || !x ? json_is_null(y) || !y : json_equal(x, y);
}

/* Whether all groups have weights of the same kind in the same format, and take inputs
 * alike. */
static bool are_equal(const json_t *groups)
{
    const char *name;
    json_t *group;
    const json_t *first = NULL;
    json_object_foreach((json_t *)(uintptr_t)groups, name, group)
    {
        if (!first)
            first = group;
        if (!json_equal(json_object_get(group, "weights"),
                        json_object_get(first, "weights")) ||
            !agree(group, first, "format") || !agree(group, first, "input_activations"))
            return false;
    }
    return true;
}

/* One group, or several that say the same: what it says holds for all modules, and the
 * targets say which of them may be packed. A group without the key takes any. */
static rt_status add_equal(const struct reader *r, const char *name, const json_t *group,
                           const json_t *config, struct fmt_quantization *q)
{
    const json_t *targets = json_object_get(group, "targets");
    if (!q->present) {
        const rt_status st = fmt_quantization_read(r->ctx, r->path, config, q);
        if (st != RT_OK)
            return st;
        r->rules->closed = true;
    }
    if (targets && !json_is_null(targets))
        return add_targets(r, name, group, config);
    r->rules->closed = false;
    return RT_OK;
}

static rt_status read_groups(const struct reader *r, const json_t *config,
                             struct fmt_quantization *q)
{
    rt_status st = RT_OK;
    const json_t *groups = json_object_get(config, "config_groups");
    const bool alone = json_object_size(groups) == 1 || are_equal(groups);
    const char *name;
    json_t *group, *single = NULL;
    json_object_foreach((json_t *)(uintptr_t)groups, name, group)
    {
        if (!alone && !json_is_object(json_object_get(group, "weights")))
            continue; /* of activations or the cache only */
        TRY(one_group(r, config, name, group, &single));
        st = alone ? add_equal(r, name, group, single, q)
                   : add_targets(r, name, group, single);
        json_decref(single);
        single = NULL;
        TRY(st);
    }
    if (alone)
        goto fail;
    if (r->rules->count == 0)
        return rt_fail(r->ctx, RT_ERR_INPUT,
                       "'%s': quantization_config: no config group has weights", r->path);
    TRY(take_base(r, q));
    q->mixed = true;
    r->rules->closed = true;
    qsort(r->rules->items, r->rules->count, sizeof *r->rules->items, by_target);

fail:
    json_decref(single);
    return st;
}

/* ---- gptq ---- */

static rt_status add_dynamic(const struct reader *r, const char *key, const json_t *own,
                             json_t *base, bool *differs)
{
    rt_status st;
    struct fmt_quant_rule *rule;
    json_t *config = json_copy(base);
    const char *pattern = key[0] && strncmp(key + 1, ":", 1) == 0 ? key + 2 : key;
    if (!config || (json_is_object(own) && /* "-:" needs no settings */
                    json_object_update(config, (json_t *)(uintptr_t)own) != 0)) {
        st = no_memory(r->ctx, r->path);
        goto fail;
    }
    TRY(add_rule(r, key, &rule));
    TRY(compile(r, rule, pattern));
    rule->skip = key[0] == '-' && pattern != key;
    if (!rule->skip)
        TRY(read_use(r, config, rule));
    *differs = *differs || (!rule->skip && !json_equal(config, base));

fail:
    json_decref(config);
    return st;
}

static rt_status read_dynamic(const struct reader *r, const json_t *config,
                              struct fmt_quantization *q)
{
    rt_status st;
    const char *key;
    json_t *own, *base = json_copy((json_t *)(uintptr_t)config);
    bool differs = false;
    if (!base)
        return no_memory(r->ctx, r->path);
    json_object_del(base, "dynamic");
    TRY(fmt_quantization_read(r->ctx, r->path, base, q));
    json_object_foreach(json_object_get(config, "dynamic"), key, own)
    {
        if (json_is_object(own) || strncmp(key, "-:", 2) == 0)
            st = add_dynamic(r, key, own, base, &differs);
        else
            st = rt_fail(r->ctx, RT_ERR_INPUT,
                         "'%s': quantization_config: dynamic rule '%.80s' must be an "
                         "object",
                         r->path, key);
        TRY(st);
    }
    q->mixed = differs;

fail:
    json_decref(base);
    return st;
}

static void warn_of_activations(struct rt_ctx *ctx, const char *path,
                                const struct fmt_quantization *q,
                                const struct fmt_quant_rules *rules)
{
    bool any = q->activations;
    for (uint32_t i = 0; i < rules->count; i++)
        any = any || rules->items[i].use.activations;
    if (any)
        rt_log(ctx, RT_LOG_WARNING,
               "'%s' was made for activations of few bits; they stay floats here", path);
}

rt_status fmt_quant_rules_read(struct rt_ctx *ctx, const char *path, const json_t *config,
                               struct fmt_quantization *q, struct fmt_quant_rules *rules)
{
    const struct reader r = { ctx, path, rules };
    const char *method = json_string_value(json_object_get(config, "quant_method"));
    const bool groups = json_object_size(json_object_get(config, "config_groups")) > 0;
    const bool dynamic = json_object_size(json_object_get(config, "dynamic")) > 0;
    *q = (struct fmt_quantization){ 0 };
    *rules = (struct fmt_quant_rules){ 0 };
    rt_status st;
    if (method && strcmp(method, "compressed-tensors") == 0 && groups)
        st = read_groups(&r, config, q);
    else if (method && dynamic &&
             (strcmp(method, "gptq") == 0 || strcmp(method, "awq") == 0))
        st = read_dynamic(&r, config, q);
    else
        st = fmt_quantization_read(ctx, path, config, q);
    if (st == RT_OK)
        warn_of_activations(ctx, path, q, rules);
    else
        fmt_quant_rules_free(rules);
    return st;
}

/* ---- finding ---- */

/* Of the modules of a decoder the embedding is one, all others that are packed are linear. */
static bool is_class_of(const char *class, const char *module)
{
    const bool embedding = strcmp(module, "model.embed_tokens") == 0;
    return strcmp(class, embedding ? "Embedding" : "Linear") == 0;
}

/* Whether the expression fits; *st: it takes too long. */
static bool fits(struct rt_ctx *ctx, const struct fmt_quant_rule *rule,
                 const char *module, rt_status *st)
{
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(rule->code, NULL);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    int found = PCRE2_ERROR_NOMEMORY;
    if (match && limits) {
        pcre2_set_match_limit(limits, MATCH_STEPS_MAX);
        found = pcre2_match(rule->code, (PCRE2_SPTR)module, strlen(module), 0, 0, match,
                            limits);
    }
    pcre2_match_context_free(limits);
    pcre2_match_data_free(match);
    if (found < 0 && found != PCRE2_ERROR_NOMATCH)
        *st = rt_fail(ctx, RT_ERR_INPUT,
                      "quantization_config: whether '%.80s' fits '%.80s' cannot be told",
                      rule->target, module);
    return found >= 0;
}

static rt_status find_rule(struct rt_ctx *ctx, const struct fmt_quant_rules *rules,
                           const char *module, const struct fmt_quant_rule **out)
{
    rt_status st = RT_OK;
    *out = NULL;
    for (uint32_t i = 0; i < rules->count && !*out; i++)
        if (!rules->items[i].code && strcmp(rules->items[i].target, module) == 0)
            *out = &rules->items[i];
    for (uint32_t i = 0; i < rules->count && !*out && st == RT_OK; i++)
        if (rules->items[i].code && fits(ctx, &rules->items[i], module, &st))
            *out = &rules->items[i];
    for (uint32_t i = 0; i < rules->count && !*out; i++)
        if (!rules->items[i].code && is_class_of(rules->items[i].target, module))
            *out = &rules->items[i];
    return st;
}

rt_status fmt_quant_rules_find(struct rt_ctx *ctx, const char *where,
                               const struct fmt_quant_rules *rules,
                               const struct fmt_quantization *base, const char *module,
                               struct fmt_quantization *out)
{
    const struct fmt_quant_rule *rule;
    *out = *base;
    const rt_status st = find_rule(ctx, rules, module, &rule);
    if (st != RT_OK || (!rule && !rules->closed))
        return st;
    if (!rule)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': '%s' is packed, and no config group has it as a target",
                       where, module);
    if (rule->skip)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': '%s' is packed, and the dynamic rule '%.80s' says that it "
                       "is not",
                       where, module, rule->target);
    if (rule->message)
        return rt_fail(ctx, RT_ERR_INPUT, "%s (rule '%.80s', for '%s')", rule->message,
                       rule->target, module);
    *out = rule->use;
    return RT_OK;
}
