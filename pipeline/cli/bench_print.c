/* pipeline/cli/bench_print.c
 * The table, and the same for machines. */
#include "pipeline/cli/bench_print.h"

#include "pipeline/bench/bench_export.h"
#include "pipeline/cli/cli.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A line of the table has at most 100 columns; a longer name has a line of its own. */
enum { NAME = 30, UNIT = 7, VALUE = 13 };

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

static void print_name(const char *name, const char *unit)
{
    assert(name && unit); /* columns that the schema holds to be not null */
    if (strlen(name) > NAME)
        printf(" %s\n %*s", name, NAME, "");
    else
        printf(" %-*s", NAME, name);
    printf(" %-*s", UNIT, unit);
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
    if (md)
        printf("| case | unit | baseline | now | verdict |\n|---|---|---:|---:|---|\n");
    else {
        print_name("case", "unit");
        printf(" %*s %*s   verdict\n", VALUE, "baseline", VALUE, "now");
    }
    for (uint32_t i = 0; i < rows->count; i++) {
        char base[80], now[80], verdict[160];
        const struct bench_row *r = &rows->items[i];
        value_text(r->base, base, sizeof base);
        value_text(r, now, sizeof now);
        verdict_text(r, verdict, sizeof verdict);
        if (md)
            printf("| %s | %s | %s | %s | %s |\n", r->name, r->unit, base, now, verdict);
        else {
            print_name(r->name, r->unit);
            printf(" %*s %*s   %s\n", padded(base, VALUE), base, padded(now, VALUE), now,
                   verdict);
        }
    }
}

/* A share of a limit in percent, or '-'. */
static void percent(char *text, size_t size, double share)
{
    if (isfinite(share))
        snprintf(text, size, "%.*f %%", share < 0.0995 ? 1 : 0, 100 * share);
    else
        snprintf(text, size, "-");
}

/* Of the peak GFLOP/s, of the peak GB/s, which limit holds, of that one. */
static void print_limits(const struct bench_row *r, const struct bench_peaks *peaks,
                         bool md)
{
    char flops[32], bytes[32], share[32];
    const struct bench_limit l = bench_limit_of(peaks, r);
    percent(flops, sizeof flops, l.flops);
    percent(bytes, sizeof bytes, l.bytes);
    percent(share, sizeof share, l.share);
    printf(md ? " | %s | %s | %s | %s" : " %6s %7s %8s %5s", flops, bytes,
           l.bound ? bench_bound_names[l.bound] : "-", share);
}

static void print_row(const struct bench_row *r, const struct bench_peaks *peaks, bool md)
{
    char value[80], gflops[32], gbytes[32], device[32];
    const struct bench_facts f = bench_row_facts(r);
    const char *note = f.samples == 0 ? ""
                       : !f.covered   ? "few samples"
                       : !f.steady    ? "unsteady"
                                      : "";
    value_text(r, value, sizeof value);
    optional(gflops, sizeof gflops, f.gflops, 1);
    optional(gbytes, sizeof gbytes, f.gbytes, 1);
    snprintf(device, sizeof device, isfinite(f.device_share) ? "%.0f %%" : "-",
             100 * f.device_share);
    if (md)
        printf("| %s | %s | %s | %u | %s | %s | %s", r->name, r->unit, value, f.samples,
               gflops, gbytes, device);
    else {
        print_name(r->name, r->unit);
        printf(" %*s %3u", padded(value, VALUE), value, f.samples);
        if (!peaks->of_gflops)
            printf(" %8s %7s %6s", gflops, gbytes, device);
    }
    if (peaks->of_gflops)
        print_limits(r, peaks, md);
    printf(md ? " | %s |\n" : "  %s\n", note);
}

static void print_alone(const struct bench_rows *rows, const struct bench_peaks *peaks,
                        bool md)
{
    const bool limits = peaks->of_gflops != NULL;
    if (md)
        printf("| case | unit | value | samples | GFLOP/s | GB/s | device |%s |\n"
               "|---|---|---:|---:|---:|---:|---:|%s---|\n",
               limits ? " of peak GFLOP/s | of peak GB/s | limit | of it |" : "",
               limits ? "---:|---:|---|---:|" : "");
    else {
        print_name("case", "unit");
        printf(" %*s %3s %s\n", VALUE, "value", "n",
               limits ? "FLOP/s bytes/s    limit of it" : " GFLOP/s    GB/s device");
    }
    for (uint32_t i = 0; i < rows->count; i++)
        print_row(&rows->items[i], peaks, md);
}

/* What the device does at most, and the ops that are furthest from what limits them. */
static void print_peaks(const struct bench_rows *rows, const struct bench_peaks *peaks,
                        bool md)
{
    const struct bench_row *worst[BENCH_WORST];
    const uint32_t n = bench_worst(rows, peaks, worst, BENCH_WORST);
    const char *start = md ? "\n" : " ";
    if (peaks->of_gflops && peaks->of_gbytes)
        printf("%speaks: %.4g GFLOP/s (%s), %.4g GB/s (%s); a dispatch %.3g us\n", start,
               peaks->gflops, peaks->of_gflops->name, peaks->gbytes,
               peaks->of_gbytes->name, peaks->dispatch_ns * 1e-3);
    for (uint32_t i = 0; i < n; i++) {
        char share[32];
        const struct bench_limit l = bench_limit_of(peaks, worst[i]);
        percent(share, sizeof share, l.share);
        printf("%s%s (%s of %s)%s",
               i    ? ", "
               : md ? "\nfurthest from their limit: "
                    : " furthest from their limit: ",
               worst[i]->name, share, bench_bound_names[l.bound], i + 1 == n ? "\n" : "");
    }
}

static void print_words(const struct bench_rows *rows, bool md)
{
    printf(md ? "**%s** · %s\n\n" : "%s · %s\n", rows->device, rows->driver);
    if (rows->compared)
        print_compared(rows, md);
    else {
        const struct bench_peaks peaks = bench_peaks_of(rows);
        print_alone(rows, &peaks, md);
        print_peaks(rows, &peaks, md);
    }
    for (uint32_t i = 0; i < rows->count; i++)
        print_reason(&rows->items[i], md);
}

void bench_rows_print(const struct bench_rows *rows, enum bench_format format)
{
    if (format == BENCH_JSON)
        cli_print_json(bench_rows_json(rows), JSON_INDENT(2));
    else if (format == BENCH_CSV)
        bench_rows_csv(rows, stdout);
    else
        print_words(rows, format == BENCH_MD);
}
