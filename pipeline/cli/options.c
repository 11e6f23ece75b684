/* pipeline/cli/options.c
 * --name value, --name=value, flags, -q -v -h, -o and what has no dash. */
#include "pipeline/cli/cli.h"

#include "pipeline/run/rescue.h"

#include "runtime/base/similar.h"

#include <stdlib.h>
#include <string.h>

static const struct cli_option *find_in(const struct cli_option *list, const char *name,
                                        size_t length)
{
    for (; list && list->name; list++)
        if (strlen(list->name) == length && strncmp(list->name, name, length) == 0)
            return list;
    return NULL;
}

static const char *similar(const struct cli_option *list, const char *name)
{
    for (; list && list->name; list++)
        if (rt_similar(name, list->name))
            return list->name;
    return NULL;
}

static rt_status unknown(struct cli *cli, const char *name)
{
    const char *near = similar(cli->command->options, name);
    if (!near)
        near = similar(cli_global_options, name);
    return rt_fail(&cli->ctx, RT_ERR_USAGE,
                   "'%s' has no option --%.40s%s%s; see: faultline "
                   "help %s",
                   cli->command->name, name, near ? ", did you mean --" : "",
                   near ? near : "", cli->command->name);
}

static rt_status unknown_short(struct cli *cli, const char *text)
{
    return rt_fail(&cli->ctx, RT_ERR_USAGE,
                   "'%s' has no option %.40s; one dash begins -h, -q, -v and -o only",
                   cli->command->name, text);
}

static rt_status take_option(struct cli *cli, char **argv, int argc, int *i)
{
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    const size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const struct cli_option *option = find_in(cli->command->options, name, length);
    if (!option)
        option = find_in(cli_global_options, name, length);
    if (!option)
        return unknown(cli, name);
    const char *value = equals ? equals + 1 : NULL;
    if (option->value && !value) {
        if (*i + 1 >= argc)
            return rt_fail(&cli->ctx, RT_ERR_USAGE, "--%s needs a value (%s)",
                           option->name, option->value);
        value = argv[++*i];
    }
    if (!option->value && value)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--%s takes no value", option->name);
    if (cli->given_count == CLI_OPTIONS_MAX)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "too many options");
    cli->given[cli->given_count].name = option->name;
    cli->given[cli->given_count++].value = value ? value : "";
    return RT_OK;
}

static rt_status take_positional(struct cli *cli, const char *text)
{
    const char *usage = cli->command->usage;
    if (text[0] == '-' && text[1])
        return unknown_short(cli, text);
    if (!usage[0] || usage[0] == '-')
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "'%s' takes no argument '%.60s'",
                       cli->command->name, text);
    if (cli->positional_count == CLI_POSITIONALS_MAX)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "too many arguments");
    cli->positional[cli->positional_count++] = text;
    return RT_OK;
}

rt_status cli_parse(struct cli *cli, int argc, char **argv)
{
    static char help[] = "--help", out[] = "--out";
    for (int i = 0; i < argc; i++) {
        rt_status st = RT_OK;
        if (strcmp(argv[i], "-h") == 0)
            argv[i] = help;
        if (strcmp(argv[i], "-o") == 0)
            argv[i] = out;
        if (strcmp(argv[i], "-q") == 0 || strcmp(argv[i], "-v") == 0)
            cli->verbosity += argv[i][1] == 'v' ? 1 : -1;
        else if (strncmp(argv[i], "--", 2) == 0 && argv[i][2])
            st = take_option(cli, argv, argc, &i);
        else
            st = take_positional(cli, argv[i]);
        if (st != RT_OK)
            return st;
    }
    cli->verbosity += cli_flag(cli, "verbose") ? 1 : 0;
    cli->verbosity = cli_flag(cli, "quiet") ? -1 : cli->verbosity;
    return RT_OK;
}

const char *cli_value(const struct cli *cli, const char *name, const char *otherwise)
{
    for (int i = cli->given_count; i-- > 0;)
        if (strcmp(cli->given[i].name, name) == 0)
            return cli->given[i].value;
    return otherwise;
}

bool cli_flag(const struct cli *cli, const char *name)
{
    return cli_value(cli, name, NULL) != NULL;
}

rt_status cli_number(struct cli *cli, const char *name, int64_t otherwise, int64_t low,
                     int64_t high, int64_t *out)
{
    const char *text = cli_value(cli, name, NULL);
    char *end = NULL;
    *out = otherwise;
    if (!text)
        return RT_OK;
    *out = strtoll(text, &end, 10);
    if (end == text || *end || *out < low || *out > high)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--%s %s: a whole number from %lld to %lld is "
                       "needed",
                       name, text, (long long)low, (long long)high);
    return RT_OK;
}

rt_status cli_real(struct cli *cli, const char *name, double low, double high, float *out)
{
    const char *text = cli_value(cli, name, NULL);
    char *end;
    if (!text)
        return RT_OK;
    const double value = strtod(text, &end);
    if (end == text || *end || !(value >= low) || !(value <= high))
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--%s %.20s: a number from %g to %g",
                       name, text, low, high);
    *out = (float)value;
    return RT_OK;
}

rt_status cli_rescues(struct cli *cli, float temperature, uint32_t *out)
{
    int64_t count;
    const rt_status st = cli_number(cli, "rescue", 0, 0, PIPE_RESCUES_MAX, &count);
    *out = (uint32_t)count;
    if (st == RT_OK && count && temperature > 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--rescue %lld is for greedy answers: a drawn one that repeats "
                       "itself is drawn again with another --seed; leave out --temp",
                       (long long)count);
    return st;
}
