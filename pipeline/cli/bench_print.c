/* pipeline/cli/bench_print.c
 * The table, and the same for machines. */
#include "pipeline/cli/bench_print.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WORST = 3 }; /* ops named as furthest from their limit */
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
    const struct bench_row *worst[WORST];
    const uint32_t n = bench_worst(rows, peaks, worst, WORST);
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

static json_t *json_of(const struct bench_row *r, const struct bench_peaks *peaks,
                       bool compared)
{
    char why[300] = "";
    double v = NAN, half = NAN;
    const struct bench_facts f = bench_row_facts(r);
    const struct bench_limit l = bench_limit_of(peaks, r);
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
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:i, s:o, s:o, s:o, s:o, s:o}", "suite",
                  r->suite, "case", r->name, "unit", r->unit, "value", real_or_null(v),
                  "spread", real_or_null(half), "fault", why, "samples", (int)f.samples,
                  "gflops", real_or_null(f.gflops), "gbytes", real_or_null(f.gbytes),
                  "device_share", real_or_null(f.device_share), "max_rel_err",
                  real_or_null(f.error), "passes", passes);
    json_object_update_new(
        o, json_pack("{s:o, s:o, s:s, s:o}", "of_peak_flops", real_or_null(l.flops),
                     "of_peak_bytes", real_or_null(l.bytes), "limit",
                     bench_bound_names[l.bound], "of_limit", real_or_null(l.share)));
    if (compared)
        json_object_set_new(o, "comparison", json_of_comparison(r));
    return o;
}

/* Null where the run did not measure the limits. */
static json_t *json_of_peaks(const struct bench_peaks *p)
{
    if (!p->of_gflops || !p->of_gbytes)
        return json_null();
    return json_pack("{s:f, s:s, s:f, s:s, s:f}", "gflops", p->gflops, "gflops_case",
                     p->of_gflops->name, "gbytes", p->gbytes, "gbytes_case",
                     p->of_gbytes->name, "dispatch_ns", p->dispatch_ns);
}

static void print_json(const struct bench_rows *rows)
{
    json_t *cases = json_array(), *names = json_array();
    const struct bench_row *worst[WORST];
    const struct bench_peaks peaks = bench_peaks_of(rows);
    const uint32_t n = bench_worst(rows, &peaks, worst, WORST);
    for (uint32_t i = 0; i < rows->count; i++)
        json_array_append_new(cases, json_of(&rows->items[i], &peaks, rows->compared));
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(names, json_string(worst[i]->name));
    json_t *all =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "run",
                  rows->count ? rows->items[0].run_id : "", "device", rows->device,
                  "driver", rows->driver, "environment_differs", rows->differs, "peaks",
                  json_of_peaks(&peaks), "worst", names, "cases", cases);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void csv_share(double share)
{
    if (isfinite(share))
        printf("%.4g", share);
    putchar(',');
}

static void print_csv(const struct bench_rows *rows)
{
    puts("suite,case,unit,pass,status,n,value,low,high,median_ns,steady,of_peak_flops,"
         "of_peak_bytes,limit,of_limit,baseline,verdict,reasons");
    const struct bench_peaks peaks = bench_peaks_of(rows);
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct bench_row *r = &rows->items[i];
        const struct bench_limit l = bench_limit_of(&peaks, r);
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
            csv_share(l.flops);
            csv_share(l.bytes);
            printf("%s,", bench_bound_names[l.bound]);
            csv_share(l.share);
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
