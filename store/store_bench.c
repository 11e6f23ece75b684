/* store/store_bench.c
 * Rows of the device benchmark. */
#include "store/store_impl.h"

#include <stdio.h>

rt_status store_put_bench_case(struct store *s, struct store_bench_case *c)
{
    char version[24];
    snprintf(version, sizeof version, "%lld", (long long)c->suite_version);
    store_hash(c->id, "bench_case", c->suite, version, c->name, c->params, c->unit, NULL);
    return store_run_sql(
        s,
        "INSERT INTO bench_case(case_id,suite,suite_version,name,params,unit,"
        "higher_better,work_flops,work_bytes,explain) VALUES(?,?,?,?,?,?,?,?,?,?) "
        "ON CONFLICT(case_id) DO NOTHING",
        "ttitttiddt", c->id, c->suite, c->suite_version, c->name, c->params, c->unit,
        (int64_t)c->higher_better, c->flops, c->bytes, c->explain);
}

rt_status store_put_bench_result(struct store *s, const struct store_bench_result *r)
{
    return store_run_sql(
        s,
        "INSERT INTO bench_result(run_id,case_id,pass,ord,status,reason,n,warmups,value,"
        "median_ns,mad_ns,ci_lo,ci_hi,n_outlier,steady,max_rel_err,clock_mhz) "
        "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,CASE ?5 WHEN 'ok' THEN "
        "?15 END,?16,?17)",
        "ttiittiidddddiidd", r->run_id, r->case_id, r->pass, r->ord, r->status, r->reason,
        r->n, r->warmups, r->value, r->median_ns, r->mad_ns, r->low, r->high, r->outliers,
        (int64_t)r->steady, r->error, r->clock_mhz);
}

rt_status store_put_bench_sample(struct store *s, const struct store_bench_result *r,
                                 const char *phase, const char *codec, const void *words,
                                 size_t bytes)
{
    return store_run_sql(s,
                         "INSERT INTO bench_sample(run_id,case_id,pass,phase,samples,"
                         "codec) VALUES(?,?,?,?,?,?)",
                         "ttitbt", r->run_id, r->case_id, r->pass, phase, words,
                         (int)bytes, codec);
}
