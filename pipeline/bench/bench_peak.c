/* pipeline/bench/bench_peak.c
 * What rows reached, and how far that is from what the device does at most. */
#include "pipeline/bench/bench.h"

#include <math.h>
#include <string.h>

const char *const bench_bound_names[BENCH_BOUND_COUNT] = { "", "FLOP/s", "bytes/s",
                                                           "dispatch" };

struct bench_facts bench_row_facts(const struct bench_row *r)
{
    struct bench_facts f = { .error = NAN, .steady = true, .covered = true };
    uint32_t n = 0;
    double ns[PIPE_BENCH_PASSES_MAX];
    f.ns_min = INFINITY;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct bench_result *p = &r->passes[i];
        f.error = fmax(f.error, p->error);
        if (strcmp(p->status, "ok") != 0)
            continue;
        ns[n++] = p->median_ns;
        f.ns_min = fmin(f.ns_min, p->median_ns);
        f.device_share += p->device_share;
        f.samples += p->n;
        f.steady = f.steady && p->steady;
        f.covered = f.covered && pipe_bench_rank(p->n) > 0;
    }
    f.ns = n ? pipe_bench_median(ns, n) : NAN;
    f.gflops = r->flops / f.ns;
    f.gbytes = r->bytes / f.ns;
    f.device_share = n ? f.device_share / n : NAN;
    return f;
}

static bool is_peak(const struct bench_row *r)
{
    return strcmp(r->suite, "peak") == 0;
}

struct bench_peaks bench_peaks_of(const struct bench_rows *rows)
{
    struct bench_peaks p = { 0 };
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct bench_row *r = &rows->items[i];
        const struct bench_facts f = bench_row_facts(r);
        if (!is_peak(r) || f.samples == 0)
            continue;
        if (strcmp(r->unit, BENCH_UNIT_DISPATCH) == 0) {
            p.dispatch_ns = f.ns_min;
        } else if (strcmp(r->unit, "GFLOP/s") == 0 && r->flops / f.ns_min > p.gflops) {
            p.gflops = r->flops / f.ns_min;
            p.of_gflops = r;
        } else if (strcmp(r->unit, "GB/s") == 0 && r->bytes / f.ns_min > p.gbytes) {
            p.gbytes = r->bytes / f.ns_min;
            p.of_gbytes = r;
        }
    }
    return p;
}

struct bench_limit bench_limit_of(const struct bench_peaks *peaks,
                                  const struct bench_row *r)
{
    struct bench_limit l = { .flops = NAN, .bytes = NAN, .share = NAN };
    const struct bench_facts f = bench_row_facts(r);
    if (is_peak(r) || f.samples == 0 || !(peaks->gflops > 0 && peaks->gbytes > 0))
        return l;
    l.flops = f.gflops / peaks->gflops;
    l.bytes = f.gbytes / peaks->gbytes;
    const double shares[BENCH_BOUND_COUNT] = {
        [BENCH_BOUND_FLOPS] = l.flops,
        [BENCH_BOUND_BYTES] = l.bytes,
        [BENCH_BOUND_DISPATCH] = peaks->dispatch_ns / f.ns,
    };
    for (int b = BENCH_BOUND_FLOPS; b < BENCH_BOUND_COUNT; b++)
        if (shares[b] > 0 && !(shares[b] <= l.share)) {
            l.share = shares[b];
            l.bound = (enum bench_bound)b;
        }
    return l;
}

uint32_t bench_worst(const struct bench_rows *rows, const struct bench_peaks *peaks,
                     const struct bench_row **out, uint32_t most)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct bench_row *r = &rows->items[i];
        const double share = bench_limit_of(peaks, r).share;
        if (strcmp(r->suite, "ops") != 0 || !isfinite(share))
            continue;
        uint32_t at = n;
        while (at > 0 && bench_limit_of(peaks, out[at - 1]).share > share)
            at--;
        if (at == most)
            continue;
        n += n < most;
        memmove(out + at + 1, out + at, (n - at - 1) * sizeof *out);
        out[at] = r;
    }
    return n;
}
