/* pipeline/cli/eval_plan.c
 * Reads the options of `eval` into variants, lists of problems and samples. */
#include "pipeline/cli/eval_plan.h"

#include "runtime/base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const roles[] = { "full", "quant", "restored", "control" };
enum { FIRST_ADAPTED = 2 };

static rt_status check_role(struct cli *cli, const struct eval_variant *v)
{
    const bool adapted = v->adapter[0] != '\0';
    for (size_t i = adapted ? FIRST_ADAPTED : 0; i < RT_COUNT(roles); i++)
        if (strcmp(v->role, roles[i]) == 0)
            return RT_OK;
    return rt_fail(&cli->ctx, RT_ERR_USAGE,
                   "--role %.40s: %srestored or control is needed%s", v->role,
                   adapted ? "" : "full, quant, ", adapted ? " with --adapter" : "");
}

static rt_status add_variant(struct cli *cli, struct eval_plan *plan, const char *role,
                             const char *folder, size_t length, const char *adapter)
{
    if (plan->variant_count == EVAL_VARIANTS_MAX)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "more than %d variants",
                       EVAL_VARIANTS_MAX);
    struct eval_variant *v = &plan->variants[plan->variant_count++];
    const char *usual = adapter ? "restored" : "full";
    snprintf(v->role, sizeof v->role, "%s", role[0] ? role : usual);
    snprintf(v->folder, sizeof v->folder, "%.*s", (int)length, folder);
    snprintf(v->adapter, sizeof v->adapter, "%s", adapter ? adapter : "");
    return check_role(cli, v);
}

static rt_status parse_variant(struct cli *cli, struct eval_plan *plan, const char *text)
{
    char role[16] = "";
    const char *equals = strchr(text, '=');
    const size_t length = equals ? (size_t)(equals - text) : 0;
    /* A folder may have '=' or '+' in its name: then it is there. */
    if (equals && length < sizeof role && !fmt_exists(text)) {
        memcpy(role, text, length);
        role[length] = '\0';
        text = equals + 1;
    }
    const char *plus = fmt_exists(text) ? NULL : strrchr(text, '+');
    return add_variant(cli, plan, role, text, plus ? (size_t)(plus - text) : strlen(text),
                       plus ? plus + 1 : NULL);
}

/* Repeated options, in the order given. */
static rt_status read_lists(struct cli *cli, struct eval_plan *plan)
{
    rt_status st = RT_OK;
    const char *model = cli_value(cli, "model", NULL);
    if (model)
        TRY(add_variant(cli, plan, cli_value(cli, "role", ""), model, strlen(model),
                        cli_value(cli, "adapter", NULL)));
    for (int i = 0; i < cli->given_count; i++) {
        const char *name = cli->given[i].name, *value = cli->given[i].value;
        if (strcmp(name, "variant") == 0)
            TRY(parse_variant(cli, plan, value));
        if (strcmp(name, "bench") != 0 && strcmp(name, "problems") != 0)
            continue;
        if (plan->bench_count == EVAL_BENCHES_MAX)
            return rt_fail(&cli->ctx, RT_ERR_USAGE, "more than %d lists of problems",
                           EVAL_BENCHES_MAX);
        plan->benches[plan->bench_count++] = value;
    }
    if (plan->variant_count == 0 || plan->bench_count == 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "eval needs --model DIR (or --variant) and --problems FILE (or "
                       "--bench)");

fail:
    return st;
}

static rt_status read_shard(struct cli *cli, struct pipe_wanted *ask)
{
    const char *text = cli_value(cli, "shard", NULL);
    char *slash = NULL, *end = NULL;
    if (!text)
        return RT_OK;
    const long m = strtol(text, &slash, 10);
    const long n = *slash == '/' ? strtol(slash + 1, &end, 10) : 0;
    if (n < 1 || n > 100000 || m < 1 || m > n || *end)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--shard %.20s: m/n is needed, as in 2/4 for the second quarter",
                       text);
    ask->shard = (uint32_t)m;
    ask->shards = (uint32_t)n;
    return RT_OK;
}

bool eval_seconds(const char *text, double *out)
{
    *out = 0;
    for (bool first = true; *text || first; first = false) {
        char *end;
        const double value = strtod(text, &end);
        if (end == text || !(value >= 0) || !isfinite(value))
            return false;
        const double unit = *end == 'h' ? 3600 : *end == 'm' ? 60 : 1;
        if (*end && !strchr("hms", *end))
            return false;
        *out += value * unit;
        text = end + (*end != '\0');
    }
    return true;
}

static rt_status read_ask(struct cli *cli, struct pipe_wanted *ask)
{
    rt_status st;
    int64_t limit, samples, slots;
    double seconds;
    const char *time = cli_value(cli, "time-limit", NULL);
    *ask = pipe_wanted_all();
    ask->top_p = 0.95f;
    TRY(cli_number(cli, "limit", UINT32_MAX, 1, UINT32_MAX, &limit));
    TRY(cli_number(cli, "samples", 1, 1, 4096, &samples));
    TRY(cli_number(cli, "slots", 0, 1, 64, &slots));
    TRY(read_shard(cli, ask));
    TRY(cli_real(cli, "temp", 0, 100, &ask->temperature));
    TRY(cli_real(cli, "top-p", 1e-6, 1, &ask->top_p));
    ask->limit = (uint32_t)limit;
    ask->samples = (uint32_t)samples;
    ask->slots = (uint32_t)slots;
    if (samples > 1 && !(ask->temperature > 0))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--samples %lld of the greedy answer are all the same; give "
                       "--temp, as in --temp 0.6",
                       (long long)samples);
    if (time && !eval_seconds(time, &seconds))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--time-limit %.20s: a time is needed, as in 90s, 15m or 1h30m",
                       time);
    if (time)
        ask->deadline_ns = rt_time_ns() + (uint64_t)(seconds * 1e9);
    return RT_OK;

fail:
    return st;
}

static rt_status read_format(struct cli *cli, const struct pipe_prompt_format **out)
{
    const char *name = cli_value(cli, "format", NULL);
    char names[160] = "";
    *out = pipe_prompt_format_find(name);
    if (!name || *out)
        return RT_OK;
    for (uint32_t i = 0; pipe_prompt_format_at(i); i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s",
                 i ? ", " : "", pipe_prompt_format_at(i)->name);
    return rt_fail(&cli->ctx, RT_ERR_USAGE, "there is no format '%.40s'; there are %s",
                   name, names);
}

rt_status eval_format_named(struct cli *cli, const char *bench,
                            const struct pipe_prompt_format **out)
{
    const rt_status st = read_format(cli, out);
    if (st == RT_OK && !*out)
        *out = eval_usual_format(bench);
    return st;
}

rt_status eval_plan_read(struct cli *cli, struct eval_plan *out)
{
    rt_status st;
    *out = (struct eval_plan){ .variant_count = 0 };
    TRY(read_format(cli, &out->format));
    TRY(read_lists(cli, out));
    TRY(read_ask(cli, &out->ask));

fail:
    return st;
}

const struct pipe_prompt_format *eval_usual_format(const char *bench)
{
    const struct pipe_prompt_format *usual =
        fmt_exists(bench) ? NULL : pipe_prompt_format_for(bench, strcspn(bench, ":[@"));
    return usual ? usual : pipe_prompt_format_find("demo");
}

const struct pipe_prompt_format *eval_format(const struct eval_plan *plan,
                                             const char *bench)
{
    return plan->format ? plan->format : eval_usual_format(bench);
}
