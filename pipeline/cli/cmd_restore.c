/* pipeline/cli/cmd_restore.c
 * restore, and the commands that end the same chain early: locate, curate, train. */
#include "pipeline/cli/cli_session.h"
#include "pipeline/cli/locate_score.h"
#include "pipeline/cli/restore_print.h"
#include "pipeline/locate/locate_stored.h"
#include "runtime/base/file.h"
#include "store/queries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Models, problems and numbers; every command of the chain has them. */
#define RESTORE_OPTIONS                                                                  \
    { "full", "DIR", "full-precision model folder or GGUF file" },                       \
        { "quant", "DIR", "quantized folder or GGUF file (default: made from --full)" }, \
        { "method", "NAME",                                                              \
          "gptq (default), awq or rtn: what makes the quantized model and its plain "    \
          "alternatives, where --quant does not say it" },                               \
        { "bits", "N", "of the quantized model that is made: 2, 3 (default), 4, 8" },    \
        { "group", "N|row",                                                              \
          "codes of it that share a scale: 16, a multiple of 32, or row (default)" },    \
        { "asym", NULL, "it has zero points" },                                          \
        { "calib", "P",                                                                  \
          "text or problems that gptq and awq see inputs on (default: those of "         \
          "--mine)" },                                                                   \
        { "calib-items", "N", "problems or windows of --calib at most (default 512)" },  \
        { "select", "kl|none",                                                           \
          "candidates of gptq and awq, the nearest to full on text held out is kept "    \
          "(kl, the default), or one" },                                                 \
        { "mine-until", "N",                                                             \
          "mine no more problems once N of them are lost (default: mine all)" },         \
        { "mine", "P",                                                                   \
          "problems to mine faults from: a JSON Lines file or NAME:SPLIT of data add; "  \
          "with [0:1500] a part of it; several behind commas" },                         \
        { "validate", "P", "problems that choose the checkpoint" },                      \
        { "measure", "P", "problems to measure on, never trained on" },                  \
        { "format", "NAME",                                                              \
          "prompt format (default: the usual one of the mined data set, else demo)" },   \
        { "chat-format", "NAME",                                                         \
          "chat format (default: the model's own chat template)" },                      \
        { "chat-date", "YYYY-MM-DD", "the date that chat templates ask for" },           \
        { "examples", "FILE", "worked examples of a format, once" },                     \
        { "max-new", "N", "tokens of an answer at most (default: the format's)" },       \
        { "items", "N", "Silver Bullet items at most (default 332)" },                   \
        { "samples", "N",                                                                \
          "drawn continuations where the greedy one fails (default 0)" },                \
        { "locators", "LIST",                                                            \
          "asked beside check, twin and rollout: handover,substitute,forced,judge" },    \
        { "forced", "N",                                                                 \
          "of so many lost answers both models continue after the wrong step (default "  \
          "64; 0: none; --locators forced: all)" },                                      \
        { "rank", "N", "of the adapter (default 16)" },                                  \
        { "adapter-bits", "N", "of its numbers: 16 (default) or 8 (half the bits)" },    \
        { "epochs", "N", "passes over the items (default 3)" },                          \
        { "lr", "X", "learning rate (default: the recipe's)" },                          \
    {                                                                                    \
        "work", "DIR",                                                                   \
            "folder of adapters and quantized models (default "                          \
            "faultline-work)"                                                            \
    }

/* ---- the chain ---- */

static rt_status read_rate(struct cli *cli, double *out)
{
    const char *text = cli_value(cli, "lr", NULL);
    char *end = NULL;
    *out = text ? strtod(text, &end) : 0;
    if (text && (end == text || *end || !(*out > 0 && *out < 1)))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--lr %.30s: a number above 0 and below 1 is needed", text);
    return RT_OK;
}

static rt_status read_number(struct cli *cli, const char *name, int64_t otherwise,
                             int64_t low, int64_t high, uint32_t *out)
{
    int64_t value;
    const rt_status st = cli_number(cli, name, otherwise, low, high, &value);
    *out = (uint32_t)value;
    return st;
}

/* What makes the quantized model. */
static rt_status read_grid(struct cli *cli, struct restore_options *o)
{
    rt_status st;
    const char *group = cli_value(cli, "group", "row");
    const char *select = cli_value(cli, "select", "kl");
    o->method = cli_value(cli, "method", "gptq");
    o->calib = cli_value(cli, "calib", NULL);
    o->asymmetric = cli_flag(cli, "asym");
    o->select = strcmp(select, "kl") == 0;
    if (!o->select && strcmp(select, "none") != 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--select %.40s: kl or none is possible",
                       select);
    TRY(read_number(cli, "bits", 3, 2, 8, &o->bits));
    TRY(read_number(cli, "calib-items", 512, 1, 1 << 20, &o->calib_items));
    if (strcmp(group, "row") != 0)
        TRY(read_number(cli, "group", 0, 16, 1 << 20, &o->group));

fail:
    return st;
}

/* Reads --forced; with --locators forced and without it: all lost answers. */
static rt_status read_forced(struct cli *cli, struct pipe_locate_options *o)
{
    const bool all = o->more & PIPE_LOCATE_FORCED && !cli_flag(cli, "forced");
    const rt_status st =
        read_number(cli, "forced", PIPE_FORCED_MOST, 0, UINT32_MAX - 1, &o->forced_most);
    if (all)
        o->forced_most = UINT32_MAX;
    if (o->forced_most)
        o->more |= PIPE_LOCATE_FORCED;
    else
        o->more &= ~(uint32_t)PIPE_LOCATE_FORCED;
    return st;
}

static rt_status read_options(struct cli *cli, struct restore_options *o)
{
    rt_status st;
    *o = (struct restore_options){
        .full = cli_value(cli, "full", NULL),
        .quant = cli_value(cli, "quant", NULL),
        .mine = cli_value(cli, "mine", NULL),
        .validate = cli_value(cli, "validate", NULL),
        .measure = cli_value(cli, "measure", NULL),
        .retain = cli_value(cli, "retain", NULL),
        .work = cli_value(cli, "work", "faultline-work"),
    };
    TRY(read_grid(cli, o));
    TRY(read_number(cli, "mine-until", 0, 0, 1 << 30, &o->mine_until));
    TRY(read_number(cli, "items", 332, 1, 100000, &o->items));
    TRY(read_number(cli, "samples", 0, 0, PIPE_SAMPLES_MAX, &o->locate.samples));
    TRY(pipe_locators_read(&cli->ctx, cli_value(cli, "locators", ""), &o->locate.more));
    TRY(read_forced(cli, &o->locate));
    TRY(read_number(cli, "rank", 16, 1, 256, &o->rank));
    TRY(read_number(cli, "adapter-bits", 16, 8, 16, &o->adapter_bits));
    if (o->adapter_bits != 8 && o->adapter_bits != 16)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--adapter-bits is 8 or 16");
    TRY(read_number(cli, "epochs", 3, 1, 100, &o->epochs));
    TRY(read_rate(cli, &o->lr));
    if (!o->full || !o->mine || !o->measure || !o->validate)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "%s needs --full DIR, --mine, --validate and --measure FILE",
                       cli->command->name);

fail:
    return st;
}

static rt_status read_nearest(struct cli *cli, bool *lone)
{
    const char *given = cli_value(cli, "nearest", "on");
    *lone = strcmp(given, "off") == 0;
    return *lone || strcmp(given, "on") == 0
               ? RT_OK
               : rt_fail(&cli->ctx, RT_ERR_USAGE, "--nearest is on or off, not '%.40s'",
                         given);
}

/* A command of the chain: it opens, mines, and then does the rest. */
struct chain {
    struct cli *cli;
    uint64_t started;
    struct pipe_session session;
    struct restoring *restoring;
};
typedef rt_status rest_fn(struct chain *chain);

/* recipes: of the arms that are measured; NULL: none. */
static rt_status open_chain(struct chain *c, const char *recipes)
{
    rt_status st;
    char *plan = NULL;
    int64_t seed;
    struct restore_options o;
    const struct pipe_prompt_format *format;
    TRY(read_options(c->cli, &o));
    o.recipes = recipes;
    o.asked = cli_flag(c->cli, "recipes") && !cli_flag(c->cli, "controls");
    TRY(read_nearest(c->cli, &o.lone));
    TRY(read_number(c->cli, "seeds", 1, 1, 8, &o.seeds));
    TRY(cli_format(c->cli, o.mine, &format));
    TRY(cli_number(c->cli, "seed", 1, 0, INT64_MAX, &seed));
    TRY(restore_campaign(&c->cli->ctx, &o, format->name, (uint64_t)seed, &plan));
    TRY(fmt_make_folder(&c->cli->ctx, o.work)); /* the store may lie in it */
    TRY(cli_session_open(c->cli, o.full, format, "restore", plan, &c->session));
    c->session.evidence = cli_value(c->cli, "evidence", NULL);
    TRY(restore_open(&c->session, &o, &c->restoring));

fail:
    rt_free(plan);
    return st;
}

/* recipes: of the arms that `rest` measures; NULL: none. */
static rt_status run_chain(struct cli *cli, const char *recipes, rest_fn *rest)
{
    rt_status st;
    struct chain c = { .cli = cli, .started = rt_time_ns() };
    TRY(open_chain(&c, recipes));
    TRY(restore_mine(c.restoring));
    TRY(rest(&c));

fail:
    restore_close(&c.restoring);
    cli_session_close(cli, &c.session);
    return st;
}

/* ---- restore ---- */

static const struct cli_option restore_options[] = {
    RESTORE_OPTIONS,
    { "recipes", "LIST",
      "of refine (the default repair), refine-random, refine-kept, refine-step, "
      "refine-1000, refine+adapter, adapter, adapter-random, lowrank, sft, kl, dpo, "
      "dpo+sft, dpo-own, sft-own, gptq-bullets, gptq-self, gptq-step, gptq-random-step, "
      "awq-self, rescue, random-step, whole, shuffled, on-full; rtn, more-bits, "
      "smaller-groups, nearest, "
      "plain-BITS-row, plain-BITS-gN; NAME@SEED" },
    { "nearest", "on|off",
      "beside a repair that --recipes names, the plain model nearest to it in bits "
      "(default on)" },
    { "controls", NULL, "all recipes and controls" },
    { "retain", "LIST",
      "what else every model is measured on: texts (.txt, .md; bundled, the default, is "
      "a short one), multiple choice (.csv as MMLU has it), lists of problems; none" },
    { "seeds", "N", "of refine and its controls, from --seed on (default 1)" },
    { "out", "FILE", "the report (default report.html)" },
    { NULL, NULL, NULL },
};

static rt_status measure_and_report(struct chain *c)
{
    rt_status st;
    struct rt_device_stats stats;
    const char *path = cli_value(c->cli, "out", "report.html");
    TRY(restore_arms(c->restoring));
    TRY(cli_print_restore(c->restoring));
    TRY(restore_report(c->restoring, path));
    cli_say(c->cli, "\nreport: %s", path);
    TRY(cli_print_restore_costs(c->restoring));
    rt_device_stats_get(c->session.dev, &stats);
    cli_say(c->cli, "%.1f s, %.1f s of it on the device",
            (double)(rt_time_ns() - c->started) * 1e-9, stats.busy_seconds);

fail:
    return st;
}

rt_status cli_restore_run(struct cli *cli, const char *usual, const char *all)
{
    const bool controls = cli_flag(cli, "controls");
    return run_chain(cli, controls ? all : cli_value(cli, "recipes", usual),
                     measure_and_report);
}

static rt_status restore(struct cli *cli)
{
    return cli_restore_run(cli, restore_usual_recipes, restore_all_recipes);
}

const struct cli_command cli_restore = { "restore",
                                         "measure, locate, repair and measure again",
                                         "--full DIR --mine P --validate P --measure P",
                                         restore_options, restore };

/* ---- locate ---- */

static const struct cli_option locate_options[] = {
    RESTORE_OPTIONS,
    { "run", "ID",
      "only the wrong answers of this run (or of this variant's label), told from their "
      "text, without models" },
    { "injected", "N",
      "also alter N right answers at a known step and see whether it is named" },
    { "score", "FORMAT",
      "only score the locators on files of labelled solutions: processbench, "
      "bigbench-mistake, mr-ben, prmbench, gsm8k" },
    { "evidence", "FILE",
      "add what the locators say about answers whose first fault is known, for --fit" },
    { "fit", NULL, "only fit the weights of the verdict on files of --evidence" },
    { "model", "DIR",
      "with --score: the judging model, which reads each solution once; with --locators "
      "rollout or judge,rollout it continues after the first steps of each solution that "
      "ends wrong, about 500 tokens per solution (default --format chat-boxed)" },
    { "answers", "P",
      "with --score: a file of problems or NAME:SPLIT of data add; it gives records with "
      "the same question its right final answer" },
    { "final-known", NULL,
      "with --score: whoever asks knows whether the final answer is right; the judging "
      "model reads no solution that ends right" },
    { "limit", "N", "with --score: so many records of each file, drawn by --seed" },
    { "kinds", NULL, "with --score: each generator or kind of fault by itself, too" },
    { "inject", "FORMAT",
      "only alter --injected right solutions of a file, such as GSM8K's, and print them "
      "as "
      "JSON Lines in processbench's fields" },
    { NULL, NULL, NULL },
};

/* What each locator says, for programs; steps count from 0 as in the results file. */
static rt_status print_faults(struct chain *c)
{
    struct cli_rows rows = cli_rows_begin(c->cli);
    rows.json_column = "rates";
    return cli_rows_end(&rows, store_located_text(c->session.store,
                                                  restore_locate_run(c->restoring),
                                                  cli_rows_add, &rows));
}

static rt_status tell_faults(struct chain *c)
{
    rt_status st;
    int64_t injected;
    TRY(cli_number(c->cli, "injected", 0, 0, 100000, &injected));
    if (injected)
        TRY(restore_injected(c->restoring, (uint32_t)injected));
    if (cli_flag(c->cli, "json"))
        TRY(print_faults(c));

fail:
    return st;
}

/* locate --run. A file that cannot be read is refused before one is made. */
static rt_status locate_stored(struct cli *cli, const char *run)
{
    rt_status st;
    struct store *store = NULL;
    struct pipe_stored_faults found;
    TRY(cli_store_open(cli, STORE_READ, &store));
    store_close(&store);
    TRY(cli_store_open(cli, STORE_WRITE, &store));
    TRY(pipe_locate_stored(&cli->ctx, store, run, &found));
    cli_say(cli, "%s: %u wrong answers, a faulty step named in %u", found.label,
            found.wrong, found.named);
    struct cli_rows rows = cli_rows_begin(cli);
    st = cli_rows_end(&rows, store_checked_text(store, found.run_id, found.segmenter,
                                                cli_rows_add, &rows));

fail:
    store_close(&store);
    return st;
}

static rt_status locate(struct cli *cli)
{
    int64_t injected;
    if (cli_flag(cli, "fit"))
        return cli_locate_fit(cli);
    if (cli_flag(cli, "inject"))
        return cli_locate_inject(cli, cli_value(cli, "inject", ""));
    if (cli_flag(cli, "score"))
        return cli_locate_score(cli, cli_value(cli, "score", ""));
    if (cli_flag(cli, "run"))
        return locate_stored(cli, cli_value(cli, "run", ""));
    const rt_status st = cli_number(cli, "injected", 0, 0, 100000, &injected);
    return st == RT_OK ? run_chain(cli, NULL, tell_faults) : st;
}

const struct cli_command cli_locate = { "locate",
                                        "first faulty step of every lost problem",
                                        "[--score FORMAT FILE... | --run ID | --full DIR "
                                        "--mine P --validate P --measure P]",
                                        locate_options, locate };

/* ---- curate ---- */

static const struct cli_option curate_options[] = {
    RESTORE_OPTIONS,
    { "kind", "KIND", "kl, sft or dpo (default dpo)" },
    { "out", "FILE", "JSON Lines in TRL's field names (default items.jsonl)" },
    { NULL, NULL, NULL },
};

static rt_status write_items(struct chain *c)
{
    return restore_curate(c->restoring, cli_value(c->cli, "kind", "dpo"),
                          cli_value(c->cli, "out", "items.jsonl"));
}

static rt_status curate(struct cli *cli)
{
    const char *kind = cli_value(cli, "kind", "dpo");
    const bool known =
        strcmp(kind, "kl") == 0 || strcmp(kind, "sft") == 0 || strcmp(kind, "dpo") == 0;
    return known ? run_chain(cli, NULL, write_items)
                 : rt_fail(&cli->ctx, RT_ERR_USAGE,
                           "--kind %.20s: kl, sft or dpo is needed", kind);
}

const struct cli_command cli_curate = { "curate",
                                        "write Silver Bullet items as JSON Lines",
                                        "--full DIR --mine P --validate P --measure P",
                                        curate_options, curate };

/* ---- train ---- */

static const struct cli_option train_options[] = {
    RESTORE_OPTIONS,
    { "recipe", "NAME", "as in restore: refine (default), adapter, dpo, a control ..." },
    { "dry-run", NULL,
      "only print what training an adapter on --quant takes on the device, by part "
      "(with --recipe, --rank, --tokens)" },
    { "tokens", "N", "with --dry-run: tokens of a batch (default 1024)" },
    { NULL, NULL, NULL },
};

static rt_status train_one(struct chain *c)
{
    char folder[600];
    const rt_status st = restore_train(
        c->restoring, cli_value(c->cli, "recipe", "refine"), folder, sizeof folder);
    if (st == RT_OK)
        printf("%s\n", folder);
    return st;
}

static rt_status train(struct cli *cli)
{
    const char *name = cli_value(cli, "recipe", "refine");
    if (restore_is_recipe(name) && cli_flag(cli, "dry-run"))
        return cli_train_dry(cli);
    return restore_is_recipe(name)
               ? run_chain(cli, NULL, train_one)
               : rt_fail(&cli->ctx, RT_ERR_USAGE,
                         "there is no recipe '%.40s' to train; see: faultline help train",
                         name);
}

const struct cli_command cli_train = {
    "train", "train one recipe: scales of a model, or an adapter",
    "--full DIR --mine P --validate P --measure P", train_options, train
};
