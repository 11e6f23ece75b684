/* pipeline/cli/bench_print.c
 * The table, and the same for machines. */
#include "pipeline/cli/bench.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LOWEST = 3 }; /* ops named as furthest from the device's rates */

/* Four digits that mean something, no exponents. */
static void print_number(char *text, size_t size, double v)
{
    const int digits = v >= 1000 ? 0 : v >= 100 ? 1 : v >= 10 ? 2 : 3;
    snprintf(text, size, "%.*f", digits, v);
}

static void value_text(const struct bench_row *r, char *text, size_t size)
{
    char value[32], spread[32], why[300];
    double v, half;
    if (!r) {
        snprintf(text, size, "-");
    } else if (bench_row_value(r, &v, &half, why, sizeof why)) {
        print_number(value, sizeof value, v);
        print_number(spread, sizeof spread, half);
        snprintf(text, size, "%s ± %s", value, spread);
    } else {
        snprintf(text, size, "%.*s", (int)strcspn(why, ":"), why);
    }
}

static void verdict_text(const struct bench_row *r, char *text, size_t size)
{
    char reasons[96];
    const struct pipe_bench_comparison *c = &r->comparison;
    const char *name = pipe_bench_verdict_name(c->verdict);
    pipe_bench_reasons_print(c->reasons, reasons, sizeof reasons);
    if (c->verdict == PIPE_BENCH_FASTER || c->verdict == PIPE_BENCH_SLOWER)
        snprintf(text, size, "%s %+.0f %%", name, 100 * c->change);
    else if (c->reasons & PIPE_BENCH_CLOCK_DRIFT)
        snprintf(text, size, "%s (%s; clock %+.0f %%)", name, reasons,
                 100 * c->clock_change);
    else if (c->reasons)
        snprintf(text, size, "%s (%s)", name, reasons);
    else
        snprintf(text, size, "%s", name);
}

/* Of all passes: speed by counted work at the median time, mean share of device time. */
struct facts_of_row {
    double gflops, gbytes, share, error;
    uint32_t samples;
    bool steady, covered; /* every pass; enough samples for an interval */
};

static struct facts_of_row facts_of(const struct bench_row *r)
{
    struct facts_of_row f = { .error = NAN, .steady = true, .covered = true };
    uint32_t n = 0;
    double ns[PIPE_BENCH_PASSES_MAX];
    for (uint32_t i = 0; i < r->count; i++) {
        const struct bench_result *p = &r->passes[i];
        f.error = fmax(f.error, p->error);
        if (strcmp(p->status, "ok") != 0)
            continue;
        ns[n++] = p->median_ns;
        f.share += p->device_share;
        f.samples += p->n;
        f.steady = f.steady && p->steady;
        f.covered = f.covered && pipe_bench_rank(p->n) > 0;
    }
    const double median = n ? pipe_bench_median(ns, n) : NAN;
    f.gflops = r->flops / median;
    f.gbytes = r->bytes / median;
    f.share = n ? f.share / n : NAN;
    return f;
}

static void optional(char *text, size_t size, double v, double scale)
{
    if (isfinite(v))
        print_number(text, size, v * scale);
    else
        snprintf(text, size, "-");
}

/* Columns of text whose ± counts as one. */
static int padded(const char *text, int width)
{
    return strstr(text, "±") ? width + 1 : width;
}

static void print_reason(const struct bench_row *r, bool md)
{
    char why[300];
    double v, half;
    if (!bench_row_value(r, &v, &half, why, sizeof why))
        printf(md ? "- %s: %s\n" : " %s: %s\n", r->name, why);
}

static void print_compared(const struct bench_rows *rows, bool md)
{
    if (rows->differs[0])
        printf(md ? "environment differs in: %s\n\n" : "environment differs in: %s\n",
               rows->differs);
    printf(md ? "| case | unit | baseline | now | verdict |\n|---|---|---:|---:|---|\n"
              : " %-58s %-8s %18s %18s   %s\n",
           "case", "unit", "baseline", "now", "verdict");
    for (uint32_t i = 0; i < rows->count; i++) {
        char base[80], now[80], verdict[160];
        const struct bench_row *r = &rows->items[i];
        value_text(r->base, base, sizeof base);
        value_text(r, now, sizeof now);
        verdict_text(r, verdict, sizeof verdict);
        if (md)
            printf("| %s | %s | %s | %s | %s |\n", r->name, r->unit, base, now, verdict);
        else
            printf(" %-58s %-8s %*s %*s   %s\n", r->name, r->unit, padded(base, 18), base,
                   padded(now, 18), now, verdict);
    }
}

static void print_alone(const struct bench_rows *rows, bool md)
{
    printf(md ? "| case | unit | value | samples | GFLOP/s | GB/s | device | |\n"
                "|---|---|---:|---:|---:|---:|---:|---|\n"
              : " %-58s %-8s %18s %7s %9s %8s %7s\n",
           "case", "unit", "value", "samples", "GFLOP/s", "GB/s", "device");
    for (uint32_t i = 0; i < rows->count; i++) {
        char value[80], gflops[32], gbytes[32], share[32];
        const struct bench_row *r = &rows->items[i];
        const struct facts_of_row f = facts_of(r);
        value_text(r, value, sizeof value);
        optional(gflops, sizeof gflops, f.gflops, 1);
        optional(gbytes, sizeof gbytes, f.gbytes, 1);
        snprintf(share, sizeof share, isfinite(f.share) ? "%.0f %%" : "-", 100 * f.share);
        const char *note = f.samples == 0 ? ""
                           : !f.covered   ? "few samples"
                           : !f.steady    ? "unsteady"
                                          : "";
        if (md)
            printf("| %s | %s | %s | %u | %s | %s | %s | %s |\n", r->name, r->unit, value,
                   f.samples, gflops, gbytes, share, note);
        else
            printf(" %-58s %-8s %*s %7u %9s %8s %7s  %s\n", r->name, r->unit,
                   padded(value, 18), value, f.samples, gflops, gbytes, share, note);
    }
}

/* What the ops of a run reached at most: a lower bound of what the device can do. */
struct reached {
    double gflops, gbytes;
};

/* The greater share of either: an op is bound by arithmetic or by memory. */
static double share_of(const struct facts_of_row *f, const struct reached *most)
{
    return fmax(f->gflops / most->gflops, f->gbytes / most->gbytes);
}

/* Names the three ops that are furthest from what others reached on the same device. */
static void print_lowest(const struct bench_rows *rows, bool md)
{
    struct reached most = { 0, 0 };
    uint32_t n = 0;
    double below = -1;
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct facts_of_row f = facts_of(&rows->items[i]);
        if (strcmp(rows->items[i].suite, "ops") != 0 || f.samples == 0)
            continue;
        most.gflops = fmax(most.gflops, f.gflops);
        most.gbytes = fmax(most.gbytes, f.gbytes);
        n++;
    }
    if (n <= LOWEST)
        return;
    printf(
        "%sthe most that ops of this run reach: %.4g GFLOP/s, %.4g GB/s; furthest from "
        "either:",
        md ? "\n" : " ", most.gflops, most.gbytes);
    for (int rank = 0; rank < LOWEST; rank++) {
        const struct bench_row *worst = NULL;
        double least = INFINITY;
        for (uint32_t i = 0; i < rows->count; i++) {
            const struct facts_of_row f = facts_of(&rows->items[i]);
            const double share = share_of(&f, &most);
            if (strcmp(rows->items[i].suite, "ops") == 0 && f.samples > 0 &&
                share > below && share < least) {
                least = share;
                worst = &rows->items[i];
            }
        }
        if (!worst)
            break;
        printf("%s %s (%.0f %%)", rank ? "," : "", worst->name, 100 * least);
        below = least;
    }
    putchar('\n');
}

static void print_words(const struct bench_rows *rows, bool md)
{
    printf(md ? "**%s** · %s\n\n" : "%s · %s\n", rows->device, rows->driver);
    if (rows->compared)
        print_compared(rows, md);
    else {
        print_alone(rows, md);
        print_lowest(rows, md);
    }
    for (uint32_t i = 0; i < rows->count; i++)
        print_reason(&rows->items[i], md);
}

static json_t *real_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *json_of_comparison(const struct bench_row *r)
{
    char reasons[96];
    const struct pipe_bench_comparison *c = &r->comparison;
    pipe_bench_reasons_print(c->reasons, reasons, sizeof reasons);
    return json_pack("{s:s, s:s, s:o, s:o, s:s}", "verdict",
                     pipe_bench_verdict_name(c->verdict), "reasons", reasons, "change",
                     real_or_null(r->base ? c->change : NAN), "baseline",
                     real_or_null(r->base ? c->base : NAN), "baseline_run",
                     r->base ? r->base->run_id : "");
}

static json_t *json_of(const struct bench_row *r, bool compared)
{
    char why[300] = "";
    double v = NAN, half = NAN;
    const struct facts_of_row f = facts_of(r);
    json_t *passes = json_array();
    bench_row_value(r, &v, &half, why, sizeof why);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct bench_result *p = &r->passes[i];
        json_array_append_new(
            passes, json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:b}", "status",
                              p->status, "reason", p->reason, "n", (int)p->n, "value",
                              real_or_null(p->value), "low", real_or_null(p->low), "high",
                              real_or_null(p->high), "median_ns",
                              real_or_null(p->median_ns), "steady", (int)p->steady));
    }
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:s, s:i, s:o, s:o, s:o, s:o, s:o}", "suite", r->suite,
        "case", r->name, "unit", r->unit, "value", real_or_null(v), "spread",
        real_or_null(half), "fault", why, "samples", (int)f.samples, "gflops",
        real_or_null(f.gflops), "gbytes", real_or_null(f.gbytes), "device_share",
        real_or_null(f.share), "max_rel_err", real_or_null(f.error), "passes", passes);
    if (compared)
        json_object_set_new(o, "comparison", json_of_comparison(r));
    return o;
}

static void print_json(const struct bench_rows *rows)
{
    json_t *cases = json_array();
    for (uint32_t i = 0; i < rows->count; i++)
        json_array_append_new(cases, json_of(&rows->items[i], rows->compared));
    json_t *all = json_pack("{s:s, s:s, s:s, s:s, s:o}", "run",
                            rows->count ? rows->items[0].run_id : "", "device",
                            rows->device, "driver", rows->driver, "environment_differs",
                            rows->differs, "cases", cases);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void print_csv(const struct bench_rows *rows)
{
    puts("suite,case,unit,pass,status,n,value,low,high,median_ns,steady,baseline,verdict,"
         "reasons");
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct bench_row *r = &rows->items[i];
        char reasons[96];
        pipe_bench_reasons_print(r->comparison.reasons, reasons, sizeof reasons);
        for (uint32_t p = 0; p < r->count; p++) {
            const struct bench_result *b = &r->passes[p];
            printf("%s,\"%s\",%s,%u,%s,%u,", r->suite, r->name, r->unit, p, b->status,
                   b->n);
            if (strcmp(b->status, "ok") == 0)
                printf("%.6g,%.6g,%.6g,%.0f,%d,", b->value, b->low, b->high, b->median_ns,
                       b->steady);
            else
                printf(",,,,,");
            if (rows->compared && r->base)
                printf("%.6g,%s,\"%s\"\n", r->comparison.base,
                       pipe_bench_verdict_name(r->comparison.verdict), reasons);
            else
                printf(",%s,\n", rows->compared
                                     ? pipe_bench_verdict_name(r->comparison.verdict)
                                     : "");
        }
    }
}

void bench_rows_print(const struct bench_rows *rows, enum bench_format format)
{
    if (format == BENCH_JSON)
        print_json(rows);
    else if (format == BENCH_CSV)
        print_csv(rows);
    else
        print_words(rows, format == BENCH_MD);
}
