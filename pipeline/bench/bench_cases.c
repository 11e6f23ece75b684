/* pipeline/bench/bench_cases.c
 * Which cases there are, and which of them are wanted. */
#include "pipeline/bench/bench_impl.h"

#include "runtime/base/os.h"

#include <string.h>

rt_status bench_cases_add(struct rt_ctx *ctx, struct bench_cases *cases,
                          const struct bench_case *c)
{
    if (cases->count == cases->capacity) {
        const uint32_t capacity = cases->capacity ? 2 * cases->capacity : 64;
        struct bench_case *items =
            rt_resize(ctx, cases->items, cases->capacity, capacity, sizeof *items);
        if (!items)
            return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for the bench cases");
        cases->items = items;
        cases->capacity = capacity;
    }
    cases->items[cases->count++] = *c;
    return RT_OK;
}

void bench_cases_deinit(struct bench_cases *cases)
{
    rt_free(cases->items);
    *cases = (struct bench_cases){ 0 };
}

rt_status bench_cases_all(struct rt_ctx *ctx, struct bench_cases *out)
{
    rt_status st;
    *out = (struct bench_cases){ 0 };
    TRY(bench_ops_list(ctx, out));
    TRY(bench_decode_list(ctx, out));
    TRY(bench_context_list(ctx, out));
    TRY(bench_prefill_list(ctx, out));
    TRY(bench_train_list(ctx, out));
    return RT_OK;

fail:
    bench_cases_deinit(out);
    return st;
}

/* Whether the first name of a comma list, `length` long, is this one. */
static bool is_name(const char *list, size_t length, const char *name)
{
    return strlen(name) == length && strncmp(list, name, length) == 0;
}

/* Whether the comma list names the case's suite. The limits of the device belong to the
 * ops that are held against them: the same run measures both. */
static bool is_wanted(const struct bench_case *c, const char *suites)
{
    while (*suites) {
        const size_t length = strcspn(suites, ",");
        if (is_name(suites, length, c->suite) || is_name(suites, length, "full") ||
            (is_name(suites, length, "quick") && c->quick) ||
            (is_name(suites, length, "ops") && strcmp(c->suite, "peak") == 0))
            return true;
        suites += length + (suites[length] == ',');
    }
    return false;
}

static rt_status check_suites(struct rt_ctx *ctx, const char *suites)
{
    static const char *const names[] = { "peak",    "ops",   "cases", "decode", "context",
                                         "prefill", "train", "quick", "full" };
    for (const char *at = suites; *at;) {
        const size_t length = strcspn(at, ",");
        bool known = false;
        for (size_t i = 0; i < RT_COUNT(names); i++)
            known = known || is_name(at, length, names[i]);
        if (!known)
            return rt_fail(
                ctx, RT_ERR_USAGE,
                "--suite %.60s: a comma list of peak, ops, cases, decode, context, "
                "prefill, train, quick or full is needed",
                suites);
        at += length + (at[length] == ',');
    }
    return RT_OK;
}

rt_status bench_cases_select(struct rt_ctx *ctx, struct bench_cases *cases,
                             const char *suites, const char *pattern)
{
    const rt_status st = check_suites(ctx, suites);
    if (st != RT_OK)
        return st;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < cases->count; i++) {
        const struct bench_case *c = &cases->items[i];
        if (is_wanted(c, suites) && (!pattern || os_pattern_fits(pattern, c->name)))
            cases->items[kept++] = *c;
    }
    cases->count = kept;
    if (kept == 0)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "no case of '%.60s' fits '%.60s'; see: faultline bench --suite "
                       "full --list",
                       suites, pattern ? pattern : "*");
    return RT_OK;
}

bool bench_cases_need_model(const struct bench_cases *cases)
{
    for (uint32_t i = 0; i < cases->count; i++)
        if (cases->items[i].kind->needs_model)
            return true;
    return false;
}
