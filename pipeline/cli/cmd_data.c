/* pipeline/cli/cmd_data.c
 * Data sets of the results file: add, ls, show, formats. */
#include "pipeline/cli/cli.h"

#include "pipeline/data/data_spec.h"
#include "pipeline/run/add_data.h"
#include "pipeline/run/problem_source.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct cli_option options[] = {
    { "from", "PATH", "file (.gz too) or folder of the publisher (add)" },
    { "split", "NAME", "train, test, ...; default: told by the file (add)" },
    { "format", "NAME", "one of `data formats`; default: that of the benchmark (add)" },
    { "question-field", "NAME", "field of the question (add)" },
    { "answer-field", "NAME", "field of the answer (add)" },
    { "id-field", "NAME", "field of the id (add)" },
    { "licence", "TEXT", "licence of a data set that is not a known one (add)" },
    { "accept", NULL, "take a file that is not the published one (add)" },
    { NULL, NULL, NULL },
};

static json_t *dataset_json(const struct store_dataset *d)
{
    return json_pack("{s:s, s:s, s:I, s:s*, s:s*, s:s, s:I, s:s, s:b, s:s}", "name",
                     d->name, "split", d->split, "problems", (json_int_t)d->count,
                     "licence", d->licence, "origin", d->origin, "sha256", d->source_hash,
                     "bytes", (json_int_t)d->bytes, "use", d->use, "published",
                     (int)d->published, "id", d->id);
}

/* ---- add ---- */

static void tell_added(struct cli *cli, const struct store_dataset *d, bool added)
{
    if (cli_flag(cli, "json")) {
        json_t *object = dataset_json(d);
        json_object_set_new(object, "added", json_boolean(added));
        cli_print_json(object, JSON_COMPACT);
        return;
    }
    printf("%s:%s  %u problems %s  %s  licence %s  sha256 %.16s...\n", d->name, d->split,
           d->count, added ? "added" : "already there",
           d->published                    ? "the published data"
           : strcmp(d->origin, "own") == 0 ? "own data"
                                           : "NOT the published data",
           d->licence, d->source_hash);
}

static rt_status add(struct cli *cli)
{
    rt_status st;
    struct pipe_dataset data[PIPE_DATASET_SPLITS_MAX];
    struct store_dataset rows[PIPE_DATASET_SPLITS_MAX];
    bool added[PIPE_DATASET_SPLITS_MAX];
    uint32_t count = 0;
    struct store *store = NULL;
    const struct pipe_dataset_ask ask = {
        .name = cli->positional_count == 2 ? cli->positional[1] : "",
        .path = cli_value(cli, "from", NULL),
        .split = cli_value(cli, "split", NULL),
        .format = cli_value(cli, "format", NULL),
        .question_field = cli_value(cli, "question-field", NULL),
        .answer_field = cli_value(cli, "answer-field", NULL),
        .id_field = cli_value(cli, "id-field", NULL),
        .accept = cli_flag(cli, "accept"),
    };
    if (!pipe_data_name_good(ask.name) || !ask.path ||
        (ask.split && !pipe_data_name_good(ask.split)))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "data add needs a NAME of letters, digits, '.', '_' and '-', and "
                       "--from PATH");
    TRY(pipe_dataset_read(&cli->ctx, &ask, data, &count));
    TRY(cli_store_open(cli, STORE_WRITE, &store));
    TRY(pipe_data_add(store, data, count, cli_value(cli, "licence", NULL), rows, added));
    for (uint32_t i = 0; i < count; i++)
        tell_added(cli, &rows[i], added[i]);

fail:
    while (count > 0)
        pipe_dataset_deinit(&data[--count]);
    store_close(&store);
    return st;
}

/* ---- ls ---- */

static rt_status list_one(void *user, const struct store_dataset *d)
{
    struct cli *cli = user;
    char name[2 * PIPE_SPEC_NAME];
    snprintf(name, sizeof name, "%.60s:%.60s", d->name, d->split);
    if (cli_flag(cli, "json"))
        cli_print_json(dataset_json(d), JSON_COMPACT);
    else
        printf("%-24.40s %6u  %-8s %-28.40s %s\n", name, d->count, d->use, d->licence,
               d->published               ? "published"
               : strcmp(d->origin, "own") ? "changed"
                                          : "own");
    return RT_OK;
}

static rt_status ls(struct cli *cli)
{
    struct store *store = NULL;
    rt_status st = cli_store_open(cli, STORE_READ, &store);
    if (st == RT_OK)
        st = store_each_dataset(store, NULL, list_one, cli);
    store_close(&store);
    return st;
}

/* ---- show ---- */

struct showing {
    struct cli *cli;
    struct store *store;
    const char *name;
    uint32_t shown;
};

static void print_overlap(void *user, const struct store_dataset *measured,
                          uint32_t dropped)
{
    (void)user;
    printf("  left out  %u problems when training: they also stand in %s:%s\n", dropped,
           measured->name, measured->split);
}

static rt_status show_facts(void *user, const struct store_dataset *d)
{
    struct showing *s = user;
    s->shown++;
    if (cli_flag(s->cli, "json")) {
        cli_print_json(dataset_json(d), JSON_COMPACT);
        return RT_OK;
    }
    printf("%s:%s\n  problems  %u, for %s\n  licence   %s\n  origin    %s\n"
           "  read from %s (%lld bytes unpacked)\n  sha256    %s (%s)\n  id        %s\n",
           d->name, d->split, d->count,
           strcmp(d->use, "train") == 0 ? "training" : "measuring only", d->licence,
           d->origin, d->path, (long long)d->bytes, d->source_hash,
           d->published ? "the published data" : "not a published file", d->id);
    return pipe_data_overlaps(&s->cli->ctx, s->store, d, print_overlap, NULL);
}

static rt_status show_problems(struct cli *cli, struct store *store, const char *spec)
{
    struct pipe_problem_set set;
    rt_status st = pipe_problems_open(&cli->ctx, cli_host(cli), store, spec,
                                      PIPE_FOR_MEASURING, &set);
    if (st == RT_OK && cli_flag(cli, "json"))
        st = pipe_problems_write(&cli->ctx, &set, stdout);
    else if (st == RT_OK)
        for (uint32_t i = 0; i < set.count; i++)
            printf("%s\t%s\t%.*s\n", set.items[i].id, set.items[i].answer,
                   (int)strcspn(set.items[i].question, "\n"), set.items[i].question);
    pipe_problems_deinit(&set);
    return st;
}

static rt_status show(struct cli *cli)
{
    rt_status st;
    struct showing s = { .cli = cli };
    if (cli->positional_count != 2)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "data show needs NAME, or a part of it: NAME:SPLIT[0:10]");
    s.name = cli->positional[1];
    TRY(cli_store_open(cli, STORE_READ, &s.store));
    if (strchr(s.name, ':')) {
        TRY(show_problems(cli, s.store, s.name));
    } else {
        TRY(store_each_dataset(s.store, s.name, show_facts, &s));
        if (s.shown == 0)
            st = rt_fail(&cli->ctx, RT_ERR_INPUT,
                         "'%s' holds no data set '%.60s'; see: faultline data ls",
                         cli_store_path(cli), s.name);
    }

fail:
    store_close(&s.store);
    return st;
}

/* ---- formats ---- */

static rt_status formats(void)
{
    static const char *const containers[] = { "JSON Lines or array", "CSV", "XML" };
    puts("formats: question, answer");
    for (const struct pipe_recipe *r = pipe_recipes; r->name; r++)
        printf("  %-14s %-20s %s%s%s, %s\n", r->name, containers[r->container],
               r->question, *r->more ? " + " : "", r->more, r->answer);
    puts("known benchmarks: problems, licence, origin");
    for (const struct pipe_benchmark *b = pipe_benchmarks; b->name; b++)
        printf("  %s:%s  %u  %s  %s\n", b->name, b->split, b->count, b->licence,
               b->origin);
    return RT_OK;
}

static rt_status run(struct cli *cli)
{
    const char *what = cli->positional_count ? cli->positional[0] : "";
    if (strcmp(what, "add") == 0)
        return add(cli);
    if (strcmp(what, "ls") == 0)
        return ls(cli);
    if (strcmp(what, "show") == 0)
        return show(cli);
    if (strcmp(what, "formats") == 0)
        return formats();
    return rt_fail(&cli->ctx, RT_ERR_USAGE,
                   "data '%.40s': add, ls, show and formats are there", what);
}

const struct cli_command cli_data = {
    "data", "benchmarks: add files, list, show problems",
    "add NAME --from PATH | ls | show NAME[:SPLIT] | formats", options, run
};
