/* pipeline/cli/cmd_restore.c
 * restore, and the commands that end the same chain early: locate, curate, train. */
#include "pipeline/cli/locate_stored.h"
#include "pipeline/cli/restore.h"

#include <stdio.h>
#include <string.h>

static struct restoring *begin(struct cli *cli)
{
    struct restoring *r = rt_alloc(&cli->ctx, 1, sizeof *r);
    if (!r && rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory") == RT_OK)
        return NULL;
    return r;
}

static rt_status end(struct restoring *r, rt_status st)
{
    if (st == RT_OK)
        cli_print_profile(r->cli, r->loop.dev);
    restore_close(r);
    rt_free(r);
    return st;
}

/* ---- restore ---- */

static const struct cli_option restore_options[] = {
    RESTORE_OPTIONS,
    { "recipes", "LIST",
      "default,lowrank,sft,kl,dpo,dpo+sft,random-problem,random-step,"
      "shuffled,on-full,more-bits,smaller-groups" },
    { "controls", NULL, "all recipes and controls" },
    { "out", "FILE", "the report (default report.html)" },
    { NULL, NULL, NULL },
};

rt_status restore_run(struct cli *cli)
{
    rt_status st;
    const uint64_t start = rt_time_ns();
    struct restoring *r = begin(cli);
    if (!r)
        return RT_ERR_HOST_MEMORY;
    TRY(restore_open(r, cli));
    TRY(restore_plan(r));
    TRY(restore_mine(r));
    TRY(restore_arms(r));
    TRY(restore_results(r));
    TRY(restore_costs(r));
    struct rt_device_stats stats;
    rt_device_stats_get(r->loop.dev, &stats);
    cli_say(cli, "%.1f s, %.1f s of it on the device",
            (double)(rt_time_ns() - start) * 1e-9, stats.busy_seconds);

fail:
    return end(r, st);
}

const struct cli_command cli_restore = { "restore",
                                         "measure, locate, repair and measure again",
                                         "--full DIR --mine P --validate P --measure P",
                                         restore_options, restore_run };

/* ---- locate ---- */

static const struct cli_option locate_options[] = {
    RESTORE_OPTIONS,
    { "run", "ID",
      "only the wrong answers of this run (or of this variant's label), told from their "
      "text, without models" },
    { "injected", "N",
      "also alter N right answers at a known step and see whether it is named" },
    { NULL, NULL, NULL },
};

/* What each locator says, for programs; steps count from 0 as in the results file. */
static rt_status print_faults(struct restoring *r)
{
    const char *const args[] = { r->mine_q.run_id, r->loop.campaign_id, NULL };
    return cli_print_query(
        r->cli, r->loop.store,
        "SELECT g.problem_id, f.locator, f.step_idx AS step, f.category, f.confidence "
        "FROM fault f JOIN generation g USING(gen_id) WHERE g.run_id=?1 AND f.run_id="
        "(SELECT run_id FROM v_locate_run WHERE answers_run=?1 AND campaign_id=?2) AND "
        "f.locator<>'gold' ORDER BY g.problem_id, f.locator",
        args);
}

static rt_status locate(struct cli *cli)
{
    rt_status st;
    int64_t injected;
    if (cli_flag(cli, "run"))
        return locate_stored(cli, cli_value(cli, "run", ""));
    struct restoring *r = begin(cli);
    if (!r)
        return RT_ERR_HOST_MEMORY;
    TRY(cli_number(cli, "injected", 0, 0, 100000, &injected));
    TRY(restore_open(r, cli));
    TRY(restore_mine(r));
    if (injected)
        TRY(loop_locate_injected(&r->loop, &r->full_row, &r->mine, &r->mine_f,
                                 (uint32_t)injected, (uint32_t)r->samples));
    if (cli_flag(cli, "json"))
        TRY(print_faults(r));

fail:
    return end(r, st);
}

const struct cli_command cli_locate = { "locate",
                                        "first faulty step of every lost problem",
                                        "--full DIR --mine P --validate P --measure P",
                                        locate_options, locate };

/* ---- curate ---- */

static const struct cli_option curate_options[] = {
    RESTORE_OPTIONS,
    { "kind", "KIND", "kl, sft or dpo (default dpo)" },
    { "out", "FILE", "JSON Lines in TRL's field names (default items.jsonl)" },
    { NULL, NULL, NULL },
};

static rt_status curate(struct cli *cli)
{
    rt_status st;
    const char *kind = cli_value(cli, "kind", "dpo");
    const bool known =
        strcmp(kind, "kl") == 0 || strcmp(kind, "sft") == 0 || strcmp(kind, "dpo") == 0;
    if (!known)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--kind %.20s: kl, sft or dpo is needed",
                       kind);
    struct restoring *r = begin(cli);
    if (!r)
        return RT_ERR_HOST_MEMORY;
    TRY(restore_open(r, cli));
    TRY(restore_mine(r));
    const struct loop_material material = restore_material(r);
    TRY(loop_curate(&r->loop, &material, loop_recipe_find(kind),
                    cli_value(cli, "out", "items.jsonl")));

fail:
    return end(r, st);
}

const struct cli_command cli_curate = { "curate",
                                        "write Silver Bullet items as JSON Lines",
                                        "--full DIR --mine P --validate P --measure P",
                                        curate_options, curate };

/* ---- train ---- */

static const struct cli_option train_options[] = {
    RESTORE_OPTIONS,
    { "recipe", "NAME", "default, lowrank, sft, kl, dpo, dpo+sft or a control" },
    { NULL, NULL, NULL },
};

static rt_status train(struct cli *cli)
{
    rt_status st;
    char folder[600];
    const char *name = cli_value(cli, "recipe", "default");
    const struct loop_recipe *recipe = loop_recipe_find(name);
    if (!recipe)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "there is no recipe '%.40s' to train; see: faultline help train",
                       name);
    struct restoring *r = begin(cli);
    if (!r)
        return RT_ERR_HOST_MEMORY;
    TRY(restore_open(r, cli));
    TRY(restore_mine(r));
    const struct loop_material material = restore_material(r);
    TRY(loop_train(&r->loop, &material, recipe, folder, sizeof folder));
    printf("%s\n", folder);

fail:
    return end(r, st);
}

const struct cli_command cli_train = { "train", "train the adapter of one recipe",
                                       "--full DIR --mine P --validate P --measure P",
                                       train_options, train };
