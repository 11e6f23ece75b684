/* pipeline/cli/restore_print.c
 * The tables that end a restore. */
#include "pipeline/cli/restore_print.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double percent(uint32_t part, uint32_t whole)
{
    return whole ? 100.0 * part / whole : 0;
}

static void print_arm(const struct restore_arm_result *a, uint32_t problems)
{
    const struct pipe_interval *range = &a->recovery.share_interval;
    printf("%-16s %6.2f %%  fixed %3u broken %3u  p %.1e  recovered ", a->name,
           percent(a->right, problems), a->fixed, a->broken, a->p);
    if (!isfinite(a->recovery.share))
        printf("nothing: no points were lost");
    else if (!isfinite(range->low) || !isfinite(range->high))
        printf("%5.2f (too few problems for an interval)", a->recovery.share);
    else
        printf("%5.2f [%.2f, %.2f]", a->recovery.share, range->low, range->high);
    printf("  %.2f bits per weight\n", a->bits_per_weight);
}

/* Whether a repair is worth its bits: against plain models of the same bits, and the
 * cheapest plain model that does as well. */
static void print_line(struct restoring *r, const struct restore_arm_result *a,
                       uint32_t problems)
{
    double right, bits;
    const struct pipe_line *l = &a->line;
    printf("%s (%.1f %% at %.2f bits per weight) ", a->name, percent(a->right, problems),
           a->bits_per_weight);
    if (l->below < 0 || !isfinite(l->difference))
        printf("takes fewer bits than every plain model measured");
    else
        printf("%s the line of plain models at its bits (%.1f %%): %+.1f points [%+.1f, "
               "%+.1f]",
               l->interval.low > 0    ? "is above"
               : l->interval.high < 0 ? "is below"
                                      : "is not shown to be above",
               100 * l->accuracy, 100 * l->difference, 100 * l->interval.low,
               100 * l->interval.high);
    if (l->rival < 0) {
        puts("; no plain model measured does as well");
        return;
    }
    restore_plain_get(r, l->rival, &right, &bits);
    printf("; the plain model of fewest bits that does as well is '%s' (%.1f %% at %.2f "
           "bits)\n",
           restore_plain_name(r, l->rival), 100 * right, bits);
}

/* The default repair leads; what nothing beats is said even if it is a plain model. */
static rt_status print_lines(struct restoring *r, const struct restore_result *result)
{
    rt_status st = RT_OK;
    uint32_t repairs = 0, above = 0;
    putchar('\n');
    for (uint32_t i = 0; i < result->arms; i++) {
        struct restore_arm_result arm;
        TRY(restore_arm_result_get(r, i, &arm));
        if (!arm.repair)
            continue;
        repairs++;
        above += arm.line.below >= 0 && arm.line.interval.low > 0;
        print_line(r, &arm, result->problems);
    }
    if (repairs && !above)
        puts("No repair measured here is shown to be above the line of plain models at "
             "its bits.");

fail:
    return st;
}

static rt_status print_parts(struct restoring *r, const struct restore_result *result)
{
    rt_status st;
    struct pipe_parts parts;
    struct restore_part_row row;
    struct restore_arm_result arm;
    TRY(restore_parts_get(r, &parts));
    if (parts.count)
        printf("\n%-16s", "by data set");
    for (uint32_t k = 0; k < parts.count; k++)
        printf("  %s (%u)", parts.items[k].name, parts.items[k].n);
    if (parts.count)
        puts("  mean over data sets: points, permutation p");
    for (uint32_t i = 0; parts.count && i < RESTORE_ROW_ARMS + result->arms; i++) {
        if (i >= RESTORE_ROW_ARMS)
            TRY(restore_arm_result_get(r, i - RESTORE_ROW_ARMS, &arm));
        TRY(restore_part_row_get(r, &parts, i, &row));
        printf("%-16s", i == RESTORE_ROW_FULL    ? "full"
                        : i == RESTORE_ROW_QUANT ? "quant"
                                                 : arm.name);
        for (uint32_t k = 0; k < parts.count; k++) {
            char n[16];
            const int wide = (int)strlen(parts.items[k].name) + 3 +
                             snprintf(n, sizeof n, "%u", parts.items[k].n);
            printf("%*.1f %%", wide, percent(row.right[k], parts.items[k].n));
        }
        if (i != RESTORE_ROW_FULL)
            printf("  %+6.1f  %.1e %s", 100 * row.mean.difference, row.mean.p,
                   i == RESTORE_ROW_QUANT ? "against full" : "against quant");
        putchar('\n');
    }

fail:
    pipe_parts_deinit(&parts);
    return st;
}

rt_status cli_print_restore(struct restoring *r)
{
    rt_status st;
    char nothing[256];
    struct restore_result result;
    TRY(restore_result_get(r, &result));
    if (restore_nothing_lost(r, nothing, sizeof nothing))
        printf("\n%s\n", nothing);
    TRY(print_lines(r, &result));
    const struct pipe_paired *p = &result.quant;
    printf("\n%-16s %6.2f %%  n %u\n", "full",
           percent(result.full_right, result.problems), result.problems);
    printf("%-16s %6.2f %%  lost %u gained %u  difference %+.2f points [%+.2f, %+.2f]  "
           "p %.1e  %.2f bits per weight\n",
           "quant", percent(result.quant_right, result.problems), p->lost, p->gained,
           100 * p->difference, 100 * p->interval.low, 100 * p->interval.high, p->p_exact,
           result.quant_bits_per_weight);
    for (uint32_t i = 0; i < result.arms; i++) {
        struct restore_arm_result arm;
        TRY(restore_arm_result_get(r, i, &arm));
        print_arm(&arm, result.problems);
    }
    for (uint32_t i = 0; i < result.arms; i++) {
        bool found;
        struct restore_seeds s;
        TRY(restore_seeds_get(r, i, &s, &found));
        if (found)
            printf("%.*s, %u seeds: mean %.2f %% (%.2f to %.2f), recovered %.2f\n",
                   (int)s.length, s.name, s.count, s.right, s.low, s.high, s.recovered);
    }
    TRY(print_parts(r, &result));

fail:
    return st;
}

static rt_status print_cost(void *rate, const struct restore_cost *c)
{
    const double wall = c->wall_seconds, *matmul = rate;
    printf("%-32s %8.1f %8.0f %% %9.3f %9.1f %8.0f %%\n", c->stage, wall,
           wall > 0 ? 100 * c->device_seconds / wall : 0, c->tflop,
           wall > 0 ? 1e3 * c->tflop / wall : 0,
           wall > 0 ? 100 * c->tflop * 1e12 / wall / *matmul : 0);
    return RT_OK;
}

rt_status cli_print_restore_costs(struct restoring *r)
{
    double rate;
    printf("\n%-32s %8s %10s %9s %9s %10s\n", "stage", "seconds", "device", "TFLOP",
           "GFLOP/s", "of matmul");
    const rt_status st = restore_each_cost(r, &rate, print_cost, &rate);
    if (st == RT_OK)
        printf("of matmul: share of %.1f GFLOP/s, this device's 512 x 512 x 512 float "
               "product\n",
               rate * 1e-9);
    return st;
}
