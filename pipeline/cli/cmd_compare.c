/* pipeline/cli/cmd_compare.c
 * compare: the measured answers of full, quantized and restored, paired by problem; printed
 * and held against conditions for a gate in CI. */
#include "pipeline/cli/cli.h"

#include "pipeline/run/compare_runs.h"
#include "store/queries.h"

#include <math.h>
#include <stdio.h>

static void print_json(const struct pipe_comparison *c)
{
    struct pipe_number numbers[PIPE_NUMBERS_MAX];
    const uint32_t count = pipe_comparison_numbers(c, numbers);
    printf("{\"comparison\":\"%s\"", c->id);
    rt_json_member(stdout, "benchmark", c->name);
    for (int i = 0; i < c->found; i++) {
        printf(",\"%s_label\":", pipe_side_names[i]);
        rt_json_text(stdout, c->sides[i].label);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (isfinite(numbers[i].value))
            printf(",\"%s\":%.10g", numbers[i].name, numbers[i].value);
        else
            printf(",\"%s\":null", numbers[i].name);
    }
    if (c->parts.count)
        fputs(",\"parts\":[", stdout);
    for (uint32_t k = 0; k < c->parts.count; k++) {
        printf("%s{\"name\":", k ? "," : "");
        rt_json_text(stdout, c->parts.items[k].name);
        printf(",\"n\":%u", c->parts.items[k].n);
        for (int i = 0; i < c->found; i++)
            printf(",\"%s\":%u", pipe_side_names[i],
                   pipe_parts_right(&c->parts, k, c->right[i]));
        putchar('}');
    }
    puts(c->parts.count ? "]}" : "}");
}

static void print_side(const struct pipe_comparison *c, int i, uint32_t right, bool md)
{
    const struct pipe_interval w = pipe_wilson(right, c->n);
    double mean, error;
    char bits[32] = "?"; /* of answers that were imported nobody knows them */
    if (c->sides[i].bits > 0)
        snprintf(bits, sizeof bits, "%.2f", c->sides[i].bits);
    if (pipe_comparison_several(c)) {
        pipe_mean_error(c->share[i], c->problems, &mean, &error);
        printf(md ? "| %s | %u / %u | %.1f %% | standard error %.1f | %s |\n"
                  : "  %-22s %6u of %u  %6.1f %%   (standard error over problems %.1f)   "
                    "%5s bits per weight\n",
               c->sides[i].label, right, c->n, 100 * mean, 100 * error, bits);
        return;
    }
    printf(md ? "| %s | %u / %u | %.1f %% | %.1f to %.1f | %s |\n"
              : "  %-22s %6u of %u  %6.1f %%   (95 %% %.1f to %.1f)   %5s bits per "
                "weight\n",
           c->sides[i].label, right, c->n, 100.0 * right / c->n, 100 * w.low,
           100 * w.high, bits);
}

/* The other sign of a difference, in points; zero has none. */
static double points_lost(double difference)
{
    return 0.0 - 100 * difference;
}

/* ", McNemar p = 0.01, 0.02 after Holm" */
static void print_p(const struct pipe_paired *p, double holm)
{
    if (isfinite(p->p_exact))
        printf(", McNemar p = %.2g", p->p_exact);
    else
        fputs(", interval by bootstrap over problems", stdout);
    if (isfinite(holm))
        printf(", %.2g after Holm", holm);
}

static void print_gain(const struct pipe_comparison *c, const char *lead)
{
    printf("%srestored - quantized: %+.1f points (95 %% %.1f to %.1f), %u fixed, %u "
           "broken",
           lead, 100 * c->gain.difference, 100 * c->gain.interval.low,
           100 * c->gain.interval.high, c->gain.gained, c->gain.lost);
    print_p(&c->gain, c->gain_holm);
    puts(c->gain.interval.low <= 0 && c->gain.interval.high >= 0
             ? ": no evidence of a change"
             : "");
    printf("%s%u of %u lost %s recovered", lead, c->recovered_problems, c->loss.lost,
           pipe_comparison_several(c) ? "answers" : "problems");
    const struct pipe_interval *of_share = &c->recovery.share_interval;
    if (isfinite(c->recovery.share))
        printf("; %.0f %% of the lost points", 100 * c->recovery.share);
    if (isfinite(c->recovery.share) && isfinite(of_share->low) &&
        isfinite(of_share->high))
        printf(" (95 %% %.0f to %.0f)", 100 * of_share->low, 100 * of_share->high);
    else if (isfinite(c->recovery.share))
        printf(" (too few problems for an interval)");
    putchar('\n');
    if (c->endings.marked)
        printf("%sof %d right answers more, %d are left where both answers end by "
               "themselves, with an answer and without a loop: the repair changes when "
               "answers stop\n",
               lead, c->endings.gain, c->endings.gain_ended);
}

/* Right answers by data set, and the mean over these. */
static void print_parts(const struct pipe_comparison *c, bool md)
{
    if (c->parts.count == 0)
        return;
    fputs(md ? "\n| data set | n |" : "  by data set                    n", stdout);
    for (int i = 0; i < c->found; i++)
        printf(md ? " %s |" : "  %10s", pipe_side_names[i]);
    fputs(md ? "\n|---|---:|" : "\n", stdout);
    for (int i = 0; md && i < c->found; i++)
        fputs(i + 1 < c->found ? "---:|" : "---:|\n", stdout);
    for (uint32_t k = 0; k < c->parts.count; k++) {
        const struct pipe_part *part = &c->parts.items[k];
        printf(md ? "| %s | %u |" : "  %-24s %7u", part->name, part->n);
        for (int i = 0; i < c->found; i++)
            printf(md ? " %.1f %% |" : "  %8.1f %%",
                   100.0 * pipe_parts_right(&c->parts, k, c->right[i]) / part->n);
        putchar('\n');
    }
    printf("%smean over data sets: %.1f points lost by quantizing, permutation p = %.2g",
           md ? "\n" : "  ", points_lost(c->loss_mean.difference), c->loss_mean.p);
    if (c->found == PIPE_SIDES)
        printf("; restored - quantized %+.1f points, p = %.2g",
               100 * c->gain_mean.difference, c->gain_mean.p);
    putchar('\n');
}

static void print_words(const struct pipe_comparison *c, bool md)
{
    const char *lead = md ? "\n- " : "  ";
    printf(md ? "**%s**\n\n| variant | right | accuracy | 95 %% | bits per weight |\n"
                "|---|---:|---:|---:|---:|\n"
              : "%s\n",
           c->name);
    print_side(c, 0, c->loss.right_base, md);
    print_side(c, 1, c->loss.right_other, md);
    if (c->found == PIPE_SIDES)
        print_side(c, 2, c->gain.right_other, md);
    printf("%slost by quantizing: %.1f points (95 %% %.1f to %.1f), %u lost, %u gained",
           lead, points_lost(c->loss.difference), points_lost(c->loss.interval.high),
           points_lost(c->loss.interval.low), c->loss.lost, c->loss.gained);
    print_p(&c->loss, c->loss_holm);
    putchar('\n');
    if (c->found == PIPE_SIDES)
        print_gain(c, md ? "- " : lead);
    print_parts(c, md);
}

/* ---- flips ---- */

struct flips {
    const struct pipe_comparison *c;
    bool md;
};

static rt_status print_flip(void *user, const struct store_row *row)
{
    const struct flips *flips = user;
    const bool all = flips->c->found == PIPE_SIDES;
    const bool f = store_row_integer(row, 2), q = store_row_integer(row, 3),
               r = store_row_integer(row, 4);
    const bool several = pipe_comparison_several(flips->c);
    char words[48];
    snprintf(words, sizeof words, "%s%s%s",
             f && !q   ? "lost"
             : !f && q ? "gained"
                       : "",
             all && f != q && q != r ? " " : "",
             !all || q == r ? ""
             : r            ? "fixed"
                            : "broken");
    printf(flips->md ? "- %s: `%s`%s%s\n" : "    %-14s %s%s%s\n", words,
           store_row_text(row, 0), several ? " sample " : "",
           several ? store_row_text(row, 1) : "");
    return RT_OK;
}

static rt_status print_all(struct cli *cli, struct store *store,
                           const struct pipe_comparisons *list)
{
    rt_status st = RT_OK;
    const bool md = cli_flag(cli, "md");
    for (uint32_t i = 0; i < list->count; i++) {
        struct flips flips = { &list->items[i], md };
        if (cli_flag(cli, "json")) {
            print_json(flips.c);
            continue;
        }
        print_words(flips.c, md);
        if (cli_flag(cli, "flips"))
            TRY(store_flip_rows(store, flips.c->id, print_flip, &flips));
    }

fail:
    return st;
}

static rt_status compare(struct cli *cli)
{
    rt_status st;
    struct store *store = NULL;
    struct pipe_comparisons list = { 0 };
    const char *gate = cli_value(cli, "fail-if", NULL);
    const struct pipe_compare_ask ask = {
        .campaign = cli_value(cli, "campaign", NULL),
        .split = cli_value(cli, "split", "measure"),
        .bench = cli_value(cli, "bench", ""),
        .wanted = { cli_value(cli, "full", ""), cli_value(cli, "quant", ""),
                    cli_value(cli, "restored", "") },
    };
    TRY(cli_store_open(cli, STORE_READ, &store));
    TRY(pipe_compare_find(&cli->ctx, store, &ask, &list));
    store_close(&store);
    TRY(cli_store_open(cli, STORE_WRITE, &store));
    TRY(pipe_compare_compute(&cli->ctx, store, &list));
    TRY(print_all(cli, store, &list));
    for (uint32_t i = 0; gate && i < list.count; i++)
        TRY(pipe_comparison_gate(&cli->ctx, &list.items[i], gate));

fail:
    store_close(&store);
    pipe_comparisons_deinit(&list);
    return st;
}

static const struct cli_option options[] = {
    { "campaign", "ID", "default: the newest" },
    { "full", "LABEL", "label, arm or id of the full-precision variant" },
    { "quant", "LABEL", "of the quantized variant" },
    { "restored", "LABEL", "of the restored variant or a control" },
    { "split", "NAME", "split that is compared (default measure)" },
    { "bench", "NAME", "only this list (default: all that two variants answered)" },
    { "flips", NULL, "also the problems whose verdict changed" },
    { "md", NULL, "print Markdown" },
    { "fail-if", "CONDITION", "exit 6 where it holds, as in \"recovered<0.5\"" },
    { NULL, NULL, NULL },
};

const struct cli_command cli_compare = {
    "compare", "paired statistics of full, quantized and restored", "", options, compare
};
