/* pipeline/cli/quantize_used.c
 * Options that change nothing are a mistake. */
#include "pipeline/cli/quantize_parts.h"

#include <string.h>

/* All options of the command but these are of folders alone. */
static const char *const of_gguf[] = { "type", "write-plan", "imatrix", "imatrix-out",
                                       "plain" };
static const char *const of_gguf_too[] = {
    "model", "out",     "method",   "plan",   "force",       "dry-run",
    "order", "damping", "rounding", "select", "select-text", "seen",
};
static const char *const of_compare[] = { "compare", "text", "context", "stride" };
static const char *const of_compared_plan[] = { "bits", "group", "asym", "search",
                                                "keep" };
static const char *const of_calib[] = { "calib-items", "calib-length", "format",
                                        "chat-format", "chat-date",    "examples" };
enum { OF_CALIB_ALONE = 2 /* the first of these; the rest are of any problems */ };

#define HAS(list, name) has(list, RT_COUNT(list), name)

static bool has(const char *const *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

static rt_status check_compare(struct cli *cli, const char *name)
{
    if (strcmp(name, "model") == 0 || HAS(of_compare, name) ||
        has(of_calib + OF_CALIB_ALONE, RT_COUNT(of_calib) - OF_CALIB_ALONE, name))
        return RT_OK;
    if (HAS(of_compared_plan, name) && cli_quantize_compares_plans(cli))
        return RT_OK;
    return rt_fail(&cli->ctx, RT_ERR_USAGE,
                   HAS(of_compared_plan, name)
                       ? "--%s is of plan:FILE in --compare, and there is none"
                       : "--compare keeps nothing, so --%s has no place beside it",
                   name);
}

static rt_status check_gguf(struct cli *cli, const char *name)
{
    if (HAS(of_gguf, name) || HAS(of_gguf_too, name) || HAS(of_calib, name) ||
        strcmp(name, "calib") == 0)
        return RT_OK;
    return rt_fail(&cli->ctx, RT_ERR_USAGE,
                   "--%s is not of --method gguf; --type NAME says what is written, "
                   "--plan FILE the types of single matrices",
                   name);
}

static rt_status check_folder(struct cli *cli, const char *name)
{
    return HAS(of_gguf, name)
               ? rt_fail(&cli->ctx, RT_ERR_USAGE, "--%s is of --method gguf", name)
               : RT_OK;
}

static rt_status check_calib(struct cli *cli)
{
    const char *from = cli_value(cli, "calib", NULL);
    for (size_t i = 0; i < RT_COUNT(of_calib); i++) {
        if (!cli_value(cli, of_calib[i], NULL))
            continue;
        if (!from)
            return rt_fail(&cli->ctx, RT_ERR_USAGE, "--%s needs --calib P", of_calib[i]);
        if (pipe_calibration_is_text(from) ? i >= OF_CALIB_ALONE : i == 1)
            return rt_fail(&cli->ctx, RT_ERR_USAGE, "--%s is of %s, '%s' is %s",
                           of_calib[i], i == 1 ? "texts" : "problems", from,
                           i == 1 ? "a list of problems" : "a text");
    }
    return RT_OK;
}

/* It is of a pass over text that makes a model. */
static rt_status check_seen(struct cli *cli)
{
    const char *without = cli_flag(cli, "dry-run") ? "dry-run" : "write-plan";
    if (!cli_flag(cli, "seen"))
        return RT_OK;
    if (!cli_value(cli, "calib", NULL))
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--seen needs --calib P");
    return cli_flag(cli, without)
               ? rt_fail(&cli->ctx, RT_ERR_USAGE,
                         "--%s makes no model: leave --seen away", without)
               : RT_OK;
}

static rt_status check_one(struct cli *cli, const char *name)
{
    if (cli_value(cli, "compare", NULL))
        return check_compare(cli, name);
    if (HAS(of_compare, name))
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--%s is of --compare A,B,...", name);
    return cli_quantize_is_gguf(cli) ? check_gguf(cli, name) : check_folder(cli, name);
}

rt_status cli_quantize_used(struct cli *cli)
{
    for (const struct cli_option *o = cli->command->options; o->name; o++) {
        const rt_status st = cli_flag(cli, o->name) ? check_one(cli, o->name) : RT_OK;
        if (st != RT_OK)
            return st;
    }
    if (cli_value(cli, "compare", NULL))
        return RT_OK;
    const rt_status st = check_calib(cli);
    return st == RT_OK ? check_seen(cli) : st;
}
