/* pipeline/cli/cmd_compare.c
 * compare: the measured answers of full, quantized and restored, paired by problem; frozen
 * as rows, printed, and held against conditions for a gate in CI. */
#include "pipeline/cli/cli.h"

#include "pipeline/statistics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 2000, ROLES = 3 };

struct side {
    char run[STORE_ID], label[64];
    double bits;
};

/* What is compared and what came out. */
struct comparing {
    struct cli *cli;
    struct store *store;
    char campaign[STORE_ID], benchmark[STORE_ID], name[64], grader[64], id[STORE_ID];
    struct side sides[ROLES]; /* full, quant, restored */
    int found;                /* sides that have a run: 2 or 3 */
    bool *right[ROLES];       /* [n], owned */
    uint32_t n, capacity, recovered_problems;
    struct pipe_paired loss, gain; /* full to quant, quant to restored */
    struct pipe_recovery recovery;
};

static rt_status take_text(void *user, const struct store_row *row)
{
    snprintf(user, STORE_ID, "%s", store_row_text(row, 0));
    return RT_OK;
}

static rt_status take_side(void *user, const struct store_row *row)
{
    struct comparing *c = user;
    struct side *s = &c->sides[c->found];
    snprintf(s->run, sizeof s->run, "%s", store_row_text(row, 0));
    snprintf(s->label, sizeof s->label, "%.63s", store_row_text(row, 1));
    s->bits = store_row_number(row, 2);
    snprintf(c->benchmark, sizeof c->benchmark, "%s", store_row_text(row, 3));
    snprintf(c->name, sizeof c->name, "%.63s", store_row_text(row, 4));
    snprintf(c->grader, sizeof c->grader, "%.63s", store_row_text(row, 5));
    return RT_OK;
}

/* The finished run of a variant: by label, arm or id, else the first of the role. */
static rt_status find_side(struct comparing *c, const char *role)
{
    const char *wanted = cli_value(c->cli, role, "");
    const char *split = cli_value(c->cli, "split", "measure");
    const char *const args[] = { c->campaign, split, wanted, role, c->benchmark, NULL };
    c->sides[c->found].run[0] = '\0';
    const rt_status st = store_query(
        c->store,
        "SELECT r.run_id, v.label, v.bits_per_weight, r.benchmark_id, b.name||':'||"
        "b.split, (SELECT min(grader) FROM score JOIN generation g USING(gen_id) WHERE "
        "g.run_id=r.run_id) FROM run r JOIN variant v USING(variant_id) JOIN benchmark b "
        "USING(benchmark_id) WHERE r.campaign_id=?1 AND r.kind='eval' AND "
        "r.status='done' AND b.split=?2 AND (?5='' OR r.benchmark_id=?5) AND CASE ?3 "
        "WHEN '' THEN v.role=?4 ELSE ?3 IN (v.label, v.arm, v.variant_id) END "
        "ORDER BY v.label='default', r.started_ms DESC, r.run_id",
        args, take_side, c);
    if (st != RT_OK)
        return st;
    if (c->sides[c->found].run[0]) {
        c->found++;
        return RT_OK;
    }
    if (!wanted[0] && strcmp(role, "restored") == 0)
        return RT_OK;
    return rt_fail(&c->cli->ctx, RT_ERR_USAGE,
                   "no finished run of %s '%.60s' on the split '%.40s'; see: faultline "
                   "status",
                   wanted[0] ? "variant" : "role", wanted[0] ? wanted : role, split);
}

static rt_status count_pairs(void *user, const struct store_row *row)
{
    struct comparing *c = user;
    c->capacity = (uint32_t)store_row_integer(row, 0);
    if (store_row_integer(row, 1) != store_row_integer(row, 0))
        return rt_fail(&c->cli->ctx, RT_ERR_USAGE,
                       "these runs have several answers a problem; compare pairs one "
                       "answer with one");
    return RT_OK;
}

static rt_status take_pair(void *user, const struct store_row *row)
{
    struct comparing *c = user;
    if (c->n == c->capacity)
        return RT_OK;
    for (int i = 0; i < c->found; i++)
        c->right[i][c->n] = store_row_integer(row, i) != 0;
    c->n++;
    return RT_OK;
}

/* Freezes the comparison and reads its pairs. */
static rt_status freeze(struct comparing *c)
{
    rt_status st;
    const char *const args[] = { c->id, NULL };
    const char *restored = c->found == ROLES ? c->sides[2].run : NULL;
    TRY(store_begin(c->store));
    TRY(store_put_comparison(c->store, c->campaign, c->benchmark, c->grader,
                             c->sides[0].run, c->sides[1].run, restored, c->id));
    TRY(store_commit(c->store));
    TRY(store_query(c->store,
                    "SELECT count(*), count(DISTINCT problem_id) FROM comparison_pair "
                    "WHERE comparison_id=?1 AND (f+q) IS NOT NULL",
                    args, count_pairs, c));
    if (c->capacity == 0)
        return rt_fail(&c->cli->ctx, RT_ERR_USAGE,
                       "the runs have no graded problem in common");
    for (int i = 0; i < ROLES; i++) {
        c->right[i] = rt_alloc(&c->cli->ctx, c->capacity, sizeof **c->right);
        if (!c->right[i])
            return rt_fail(&c->cli->ctx, RT_ERR_HOST_MEMORY, "no memory to compare");
    }
    TRY(store_query(c->store,
                    "SELECT f, q, coalesce(r,0) FROM comparison_pair WHERE "
                    "comparison_id=?1 AND (f+q) IS NOT NULL ORDER BY problem_id, sample",
                    args, take_pair, c));
    return RT_OK;

fail:
    store_rollback(c->store);
    return st;
}

static rt_status compute(struct comparing *c)
{
    rt_status st = RT_OK;
    pipe_paired_compare(c->right[0], c->right[1], c->n, &c->loss);
    if (c->found < ROLES)
        return RT_OK;
    pipe_paired_compare(c->right[1], c->right[2], c->n, &c->gain);
    double *share = rt_alloc(&c->cli->ctx, ROLES * (size_t)c->n, sizeof *share);
    if (!share)
        return rt_fail(&c->cli->ctx, RT_ERR_HOST_MEMORY, "no memory to compare");
    for (uint32_t i = 0; i < c->n; i++) {
        for (int k = 0; k < ROLES; k++)
            share[(size_t)k * c->n + i] = c->right[k][i];
        c->recovered_problems += c->right[0][i] && !c->right[1][i] && c->right[2][i];
    }
    st = pipe_bootstrap_recovery(&c->cli->ctx, share, share + c->n, share + 2 * c->n,
                                 c->n, DRAWS, 1, &c->recovery);
    rt_free(share);
    return st;
}

/* ---- numbers by name: for --json and for --fail-if ---- */

struct number {
    const char *name;
    double value;
};
enum { NUMBERS_MAX = 24 };

static int list_numbers(const struct comparing *c, struct number out[NUMBERS_MAX])
{
    const bool all = c->found == ROLES;
    const double n = c->n, lost = c->loss.lost;
    int k = 0;
    out[k++] = (struct number){ "n", n };
    out[k++] = (struct number){ "full", c->loss.right_base / n };
    out[k++] = (struct number){ "quant", c->loss.right_other / n };
    out[k++] = (struct number){ "lost", lost };
    out[k++] = (struct number){ "gained", c->loss.gained };
    out[k++] = (struct number){ "loss", -c->loss.difference };
    out[k++] = (struct number){ "loss_p", c->loss.p_exact };
    if (!all)
        return k;
    out[k++] = (struct number){ "restored", c->gain.right_other / n };
    out[k++] = (struct number){ "fixed", c->gain.gained };
    out[k++] = (struct number){ "broken", c->gain.lost };
    out[k++] = (struct number){ "gain", c->gain.difference };
    out[k++] = (struct number){ "gain_low", c->gain.interval.low };
    out[k++] = (struct number){ "gain_high", c->gain.interval.high };
    out[k++] = (struct number){ "gain_p", c->gain.p_exact };
    out[k++] = (struct number){ "recovered", c->recovery.share };
    out[k++] = (struct number){ "recovered_low", c->recovery.share_interval.low };
    out[k++] = (struct number){ "recovered_high", c->recovery.share_interval.high };
    out[k++] = (struct number){ "recovered_problems",
                                lost > 0 ? c->recovered_problems / lost : NAN };
    out[k++] = (struct number){ "bits", c->sides[2].bits };
    return k;
}

/* "recovered<0.5": a name, an operator, a number. An undefined value fails the gate. */
static rt_status check_gate(const struct comparing *c, const char *text)
{
    struct rt_ctx *ctx = &c->cli->ctx;
    struct number numbers[NUMBERS_MAX];
    const int count = list_numbers(c, numbers);
    const size_t length = strcspn(text, "<> =");
    const char *op = text + length + strspn(text + length, " ");
    const bool less = *op == '<', equal = (*op == '<' || *op == '>') && op[1] == '=';
    const char *from = op + 1 + equal;
    char *end = NULL;
    const double limit = *op == '<' || *op == '>' ? strtod(from, &end) : 0;
    if (!end || end == from || *end || isnan(limit))
        return rt_fail(
            ctx, RT_ERR_USAGE,
            "--fail-if \"%.60s\": write a name, one of < <= > >= and a number, "
            "as in \"recovered<0.5\"",
            text);
    for (int i = 0; i < count; i++) {
        const double v = numbers[i].value;
        if (strlen(numbers[i].name) != length ||
            strncmp(numbers[i].name, text, length) != 0)
            continue;
        const bool fires = isnan(v) || (less ? v < limit : v > limit) ||
                           (equal && !(v < limit) && !(v > limit));
        return fires ? rt_fail(ctx, RT_ERR_GATE, "gate: %s is %.6g, and %.60s fails it",
                               numbers[i].name, v, text)
                     : RT_OK;
    }
    return rt_fail(ctx, RT_ERR_USAGE,
                   "--fail-if \"%.60s\": no such number here; compare --json lists them",
                   text);
}

/* ---- printing ---- */

static void print_json(const struct comparing *c)
{
    static const char *const roles[ROLES] = { "full", "quant", "restored" };
    struct number numbers[NUMBERS_MAX];
    const int count = list_numbers(c, numbers);
    printf("{\"comparison\":\"%s\",\"benchmark\":", c->id);
    cli_print_json_text(c->name);
    for (int i = 0; i < c->found; i++) {
        printf(",\"%s_label\":", roles[i]);
        cli_print_json_text(c->sides[i].label);
    }
    for (int i = 0; i < count; i++) {
        if (isfinite(numbers[i].value))
            printf(",\"%s\":%.10g", numbers[i].name, numbers[i].value);
        else
            printf(",\"%s\":null", numbers[i].name);
    }
    puts("}");
}

static void print_side(const struct comparing *c, int i, uint32_t right, bool md)
{
    const struct pipe_interval w = pipe_wilson(right, c->n);
    printf(md ? "| %s | %u / %u | %.1f %% | %.1f to %.1f | %.2f |\n"
              : "  %-22s %6u of %u  %6.1f %%   (95 %% %.1f to %.1f)   %5.2f bits a "
                "weight\n",
           c->sides[i].label, right, c->n, 100.0 * right / c->n, 100 * w.low,
           100 * w.high, c->sides[i].bits);
}

static void print_words(const struct comparing *c, bool md)
{
    const char *lead = md ? "\n- " : "  ";
    printf(md ? "**%s**\n\n| variant | right | accuracy | 95 %% | bits a weight |\n"
                "|---|---:|---:|---:|---:|\n"
              : "%s\n",
           c->name);
    print_side(c, 0, c->loss.right_base, md);
    print_side(c, 1, c->loss.right_other, md);
    if (c->found == ROLES)
        print_side(c, 2, c->gain.right_other, md);
    printf("%slost by quantizing: %.1f points (95 %% %.1f to %.1f), %u lost, %u gained, "
           "McNemar p = %.2g\n",
           lead, -100 * c->loss.difference, -100 * c->loss.interval.high,
           -100 * c->loss.interval.low, c->loss.lost, c->loss.gained, c->loss.p_exact);
    if (c->found < ROLES)
        return;
    lead = md ? "- " : lead;
    printf(
        "%srestored - quantized: %+.1f points (95 %% %.1f to %.1f), %u fixed, %u broken, "
        "McNemar p = %.2g%s\n",
        lead, 100 * c->gain.difference, 100 * c->gain.interval.low,
        100 * c->gain.interval.high, c->gain.gained, c->gain.lost, c->gain.p_exact,
        c->gain.interval.low <= 0 && c->gain.interval.high >= 0
            ? ": no evidence of a change"
            : "");
    printf("%s%u of %u lost problems recovered", lead, c->recovered_problems,
           c->loss.lost);
    const struct pipe_interval *of_share = &c->recovery.share_interval;
    if (isfinite(c->recovery.share))
        printf("; %.0f %% of the lost points", 100 * c->recovery.share);
    if (isfinite(c->recovery.share) && isfinite(of_share->low) &&
        isfinite(of_share->high))
        printf(" (95 %% %.0f to %.0f)", 100 * of_share->low, 100 * of_share->high);
    else if (isfinite(c->recovery.share))
        printf(" (too few problems for an interval)");
    putchar('\n');
}

static rt_status find_campaign(struct comparing *c)
{
    const char *given = cli_value(c->cli, "campaign", NULL);
    if (given) {
        snprintf(c->campaign, sizeof c->campaign, "%.79s", given);
        return RT_OK;
    }
    const rt_status st = store_query(
        c->store,
        "SELECT campaign_id FROM campaign ORDER BY created_ms DESC, campaign_id LIMIT 1",
        NULL, take_text, c->campaign);
    if (st == RT_OK && !c->campaign[0])
        return rt_fail(
            &c->cli->ctx, RT_ERR_USAGE,
            "the results file holds no campaign yet; run restore or demo first");
    return st;
}

static rt_status compare(struct cli *cli)
{
    rt_status st;
    struct comparing c = { .cli = cli };
    const char *gate = cli_value(cli, "fail-if", NULL);
    TRY(store_open(&cli->ctx, cli_store_path(cli), STORE_READ, &c.store));
    TRY(find_campaign(&c));
    TRY(find_side(&c, "full"));
    TRY(find_side(&c, "quant"));
    TRY(find_side(&c, "restored"));
    store_close(&c.store);
    TRY(store_open(&cli->ctx, cli_store_path(cli), STORE_WRITE, &c.store));
    TRY(freeze(&c));
    TRY(compute(&c));
    if (cli_flag(cli, "json"))
        print_json(&c);
    else
        print_words(&c, cli_flag(cli, "md"));
    if (gate)
        TRY(check_gate(&c, gate));

fail:
    for (int i = 0; i < ROLES; i++)
        rt_free(c.right[i]);
    store_close(&c.store);
    return st;
}

static const struct cli_option options[] = {
    { "campaign", "ID", "default: the newest" },
    { "full", "LABEL", "label, arm or id of the full-precision variant" },
    { "quant", "LABEL", "of the quantized variant" },
    { "restored", "LABEL", "of the restored variant or a control" },
    { "split", "NAME", "split that is compared (default measure)" },
    { "md", NULL, "print Markdown" },
    { "fail-if", "CONDITION", "exit 6 where it holds, as in \"recovered<0.5\"" },
    { NULL, NULL, NULL },
};

const struct cli_command cli_compare = {
    "compare", "paired statistics of full, quantized and restored", "", options, compare
};
