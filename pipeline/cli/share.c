/* pipeline/cli/share.c
 * What commands share: opening a device and the results file, the profile table. */
#include "pipeline/cli/cli.h"

#include "runtime/base/file.h"
#include "runtime/base/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The place of an option's value among `names`, of which the first is the default. */
static rt_status name_of(struct cli *cli, const char *option, const char *const *names,
                         int count, const char *choices, int *out)
{
    const char *given = cli_value(cli, option, names[0]);
    for (*out = 0; *out < count; ++*out)
        if (strcmp(given, names[*out]) == 0)
            return RT_OK;
    return rt_fail(&cli->ctx, RT_ERR_USAGE, "--%s is %s, not '%.40s'", option, choices,
                   given);
}

rt_status cli_plan(struct cli *cli, struct rt_plan_options *out)
{
    static const char *const int8[] = { "on", "off" };
    static const char *const kinds[] = { "auto", "f32", "f16", "int8" };
    static const enum rt_products products_of[] = { RT_PRODUCTS_AUTO, RT_PRODUCTS_F32,
                                                    RT_PRODUCTS_F16, RT_PRODUCTS_INT8 };
    int family, products, kv, floats;
    if (name_of(cli, "family", rt_family_names, RT_FAMILY_COUNT, "auto, lanes or tiled",
                &family) != RT_OK ||
        name_of(cli, "products", kinds, RT_COUNT(kinds), "auto, f32, f16 or int8",
                &products) != RT_OK ||
        name_of(cli, "kv", rt_kv_names, RT_KV_COUNT, "auto, f32 or f16", &kv) != RT_OK ||
        name_of(cli, "int8", int8, 2, "on or off", &floats) != RT_OK)
        return RT_ERR_USAGE;
    *out = (struct rt_plan_options){ .family = (enum rt_family)family,
                                     .products = products_of[products],
                                     .kv = (enum rt_kv)kv,
                                     .float_inputs = floats == 1 };
    return RT_OK;
}

rt_status cli_tune(struct cli *cli, bool *out)
{
    static const char *const names[] = { "on", "off" };
    int off;
    const rt_status st = name_of(cli, "tune", names, 2, "on or off", &off);
    *out = off == 0;
    return st;
}

/* What is kept between runs goes there from now on. */
static void use_cache_folder(struct cli *cli)
{
    if (cli->cache_dir)
        return;
    const char *given = cli_value(cli, "cache-dir", getenv("FAULTLINE_CACHE"));
    cli->cache_dir =
        given ? rt_strdup(&cli->ctx, given) : fmt_cache_folder(&cli->ctx, "faultline");
    if (cli->cache_dir && fmt_make_folder(&cli->ctx, cli->cache_dir) == RT_OK)
        cli->ctx.cache_dir = cli->cache_dir;
    else if (cli->cache_dir)
        rt_log(&cli->ctx, RT_LOG_WARNING, "no cache is kept: %s", cli->ctx.message);
}

rt_status cli_device_open(struct cli *cli, struct rt_device **out)
{
    return cli_device_open_named(
        cli, cli_value(cli, "device", getenv("FAULTLINE_DEVICE")), out);
}

rt_status cli_device_open_named(struct cli *cli, const char *name, struct rt_device **out)
{
    bool tune;
    struct rt_plan_options plan;
    if (cli_tune(cli, &tune) != RT_OK || cli_plan(cli, &plan) != RT_OK)
        return RT_ERR_USAGE;
    use_cache_folder(cli);
    const struct rt_device_options options = {
        .name = name,
        .family = plan.family,
        .profile = cli_flag(cli, "profile"),
        .validation = cli_flag(cli, "validation"),
        .products = plan.products,
        .kv = plan.kv,
        .float_inputs = plan.float_inputs,
        .tune = tune,
    };
    const rt_status st = rt_device_create(&cli->ctx, &options, out);
    if (st == RT_OK)
        rt_log(&cli->ctx, RT_LOG_INFO, "device %s: %s, %s", rt_device_info_of(*out)->name,
               rt_device_info_of(*out)->description, rt_device_info_of(*out)->driver);
    return st;
}

rt_status cli_demo_folder(struct cli *cli, const char **out)
{
    const struct pipe_demo_places places = { getenv("FAULTLINE_DEMO"),
                                             FAULTLINE_DEMO_SOURCE,
                                             FAULTLINE_DEMO_INSTALLED };
    return pipe_demo_folder(&cli->ctx, &places, cli->demo_beside, out);
}

const char *cli_store_path(const struct cli *cli)
{
    const char *env = getenv("FAULTLINE_STORE");
    return cli_value(cli, "store", env && env[0] ? env : "faultline.db");
}

/* The command line as a JSON array; "?" for what is not UTF-8. */
static char *argv_json(const struct cli *cli)
{
    json_t *all = json_array();
    for (int i = 0; i < cli->argc; i++) {
        json_t *text = json_string(cli->argv[i]);
        json_array_append_new(all, text ? text : json_string("?"));
    }
    char *out = json_dumps(all, JSON_COMPACT);
    json_decref(all);
    return out;
}

rt_status cli_store_open(struct cli *cli, enum store_mode mode, struct store **out)
{
    const rt_status st = store_open(&cli->ctx, cli_store_path(cli), mode, out);
    if (st == RT_OK && !cli->argv_json)
        cli->argv_json = argv_json(cli);
    if (st == RT_OK && cli->argv_json)
        store_set_argv(*out, cli->argv_json);
    return st;
}

rt_status cli_store_open_named(struct cli *cli, struct store **out)
{
    const char *env = getenv("FAULTLINE_STORE");
    const bool named = cli_value(cli, "store", NULL) || (env && env[0]);
    *out = NULL;
    return named ? cli_store_open(cli, STORE_WRITE, out) : RT_OK;
}

void cli_print_profile(struct cli *cli, const struct rt_device *dev)
{
    struct rt_device_stats s;
    if (!cli_flag(cli, "profile"))
        return;
    rt_device_stats_get(dev, &s);
    if (s.submissions == 0) /* nothing ran: an error comes next */
        return;
    fprintf(stderr, "%-20s %10s %10s %10s %9s\n", "op", "calls", "seconds", "GFLOP/s",
            "GB/s");
    for (int i = 0; i < RT_OP_COUNT; i++) {
        const struct rt_op_profile *p = &s.op[i];
        if (p->calls)
            fprintf(stderr, "%-20s %10llu %10.3f %10.2f %9.2f\n", rt_op_table[i].name,
                    (unsigned long long)p->calls, p->seconds,
                    p->flops / p->seconds * 1e-9, p->bytes / p->seconds * 1e-9);
    }
    fprintf(stderr, "device busy %.3f s, %llu submissions, %.1f MiB at most\n",
            s.busy_seconds, (unsigned long long)s.submissions,
            (double)s.buffer_bytes_max / 1048576);
}

void cli_print_record(const json_t *record, int digits)
{
    char *text =
        fmt_json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION((size_t)digits));
    puts(text ? text : "");
    rt_free(text);
}

void cli_print_json(json_t *value, size_t flags)
{
    if (value)
        json_dumpf(value, stdout, flags);
    else
        fputs("{}", stdout);
    putchar('\n');
    json_decref(value);
}

void cli_print_safe(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        putchar((unsigned char)text[i] < 32 || text[i] == 127 ? '?' : text[i]);
}
