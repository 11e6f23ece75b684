/* pipeline/bench/bench_export.c
 * Rows of a run for other programs. */
#include "pipeline/bench/bench_export.h"

#include <math.h>
#include <string.h>

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

json_t *bench_rows_json(const struct bench_rows *rows)
{
    json_t *cases = json_array(), *names = json_array();
    const struct bench_row *worst[BENCH_WORST];
    const struct bench_peaks peaks = bench_peaks_of(rows);
    const uint32_t n = bench_worst(rows, &peaks, worst, BENCH_WORST);
    for (uint32_t i = 0; i < rows->count; i++)
        json_array_append_new(cases, json_of(&rows->items[i], &peaks, rows->compared));
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(names, json_string(worst[i]->name));
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "run",
                     rows->count ? rows->items[0].run_id : "", "device", rows->device,
                     "driver", rows->driver, "environment_differs", rows->differs,
                     "peaks", json_of_peaks(&peaks), "worst", names, "cases", cases);
}

static void csv_share(FILE *out, double share)
{
    if (isfinite(share))
        fprintf(out, "%.4g", share);
    fputc(',', out);
}

void bench_rows_csv(const struct bench_rows *rows, FILE *out)
{
    fputs("suite,case,unit,pass,status,n,value,low,high,median_ns,steady,of_peak_flops,"
          "of_peak_bytes,limit,of_limit,baseline,verdict,reasons\n",
          out);
    const struct bench_peaks peaks = bench_peaks_of(rows);
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct bench_row *r = &rows->items[i];
        const struct bench_limit l = bench_limit_of(&peaks, r);
        char reasons[96];
        pipe_bench_reasons_print(r->comparison.reasons, reasons, sizeof reasons);
        for (uint32_t p = 0; p < r->count; p++) {
            const struct bench_result *b = &r->passes[p];
            fprintf(out, "%s,\"%s\",%s,%u,%s,%u,", r->suite, r->name, r->unit, p,
                    b->status, b->n);
            if (strcmp(b->status, "ok") == 0)
                fprintf(out, "%.6g,%.6g,%.6g,%.0f,%d,", b->value, b->low, b->high,
                        b->median_ns, b->steady);
            else
                fprintf(out, ",,,,,");
            csv_share(out, l.flops);
            csv_share(out, l.bytes);
            fprintf(out, "%s,", bench_bound_names[l.bound]);
            csv_share(out, l.share);
            if (rows->compared && r->base)
                fprintf(out, "%.6g,%s,\"%s\"\n", r->comparison.base,
                        pipe_bench_verdict_name(r->comparison.verdict), reasons);
            else
                fprintf(out, ",%s,\n",
                        rows->compared ? pipe_bench_verdict_name(r->comparison.verdict)
                                       : "");
        }
    }
}
