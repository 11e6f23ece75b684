/* store/queries_bench.c
 * Rows of the device benchmark, read back. */
#include "store/queries.h"

#define COLUMNS                                                                      \
    "SELECT b.run_id,c.case_id,c.suite,c.name,c.unit,c.higher_better,c.work_flops,"  \
    "c.work_bytes,b.status,b.reason,b.n,b.value,b.ci_lo,b.ci_hi,b.median_ns,"        \
    "b.clock_mhz,b.max_rel_err,b.steady,s.samples FROM bench_result b JOIN "         \
    "bench_case c USING(case_id) LEFT JOIN bench_sample s ON s.run_id=b.run_id AND " \
    "s.case_id=b.case_id AND s.pass=b.pass AND s.phase='measured' WHERE b.run_id=?1 "

rt_status store_bench_rows(struct store *s, const char *run_id, const char *case_id,
                           store_row_fn *fn, void *user)
{
    const char *const args[] = { run_id, case_id, NULL };
    return store_query(s,
                       case_id ? COLUMNS "AND b.case_id=?2 ORDER BY b.pass"
                               : COLUMNS "ORDER BY b.pass,(SELECT min(ord) FROM "
                                         "bench_result f WHERE f.run_id=b.run_id AND "
                                         "f.case_id=b.case_id)",
                       args, fn, user);
}

rt_status store_bench_device_row(struct store *s, const char *run_id, store_row_fn *fn,
                                 void *user)
{
    return store_query(
        s,
        "SELECT d.name,dr.name||CASE WHEN instr(dr.name,dr.info) THEN '' "
        "ELSE ' '||dr.info END FROM v_run_environment r JOIN environment e USING(env_id) "
        "JOIN device d USING(device_id) JOIN driver dr USING(driver_id) WHERE "
        "r.run_id=?1 ORDER BY e.env_id",
        (const char *const[]){ run_id, NULL }, fn, user);
}

rt_status store_bench_run_rows(struct store *s, const char *start, store_row_fn *fn,
                               void *user)
{
    return store_query(
        s,
        "SELECT run_id FROM run WHERE kind='bench' AND (?1='' AND status='done' OR "
        "?1<>'' AND (substr(run_id,1,length(?1))=?1 OR "
        "substr(run_id,8,length(?1))=?1)) ORDER BY started_ms DESC, run_id",
        (const char *const[]){ start, NULL }, fn, user);
}

rt_status store_bench_base_rows(struct store *s, const char *case_id, const char *run_id,
                                const char *device, const char *base_run,
                                store_row_fn *fn, void *user)
{
    return store_query(
        s,
        "SELECT r.run_id FROM bench_result b JOIN run r USING(run_id) JOIN "
        "v_run_environment USING(run_id) JOIN environment e USING(env_id) JOIN device d "
        "USING(device_id) WHERE r.kind='bench' AND b.case_id=?1 AND r.run_id<>?2 AND "
        "(?4='' AND r.status='done' OR r.run_id=?4) ORDER BY d.name=?3 DESC, "
        "r.started_ms DESC, r.run_id",
        (const char *const[]){ case_id, run_id, device, base_run, NULL }, fn, user);
}

rt_status store_bench_facts_row(struct store *s, const char *run_id, store_row_fn *fn,
                                void *user)
{
    return store_query(
        s,
        "SELECT m.label,m.os||' '||m.kernel,m.cpu,m.cpu_cores,d.name,dr.name||' '||"
        "dr.info,dr.api_version,e.caps,e.layers,json_extract(r.config,'$.settings'),"
        "r.tool_version||coalesce(' '||r.tool_commit,'') FROM run r JOIN "
        "v_run_environment USING(run_id) JOIN environment e USING(env_id) JOIN machine m "
        "USING(machine_id) JOIN device d USING(device_id) JOIN driver dr "
        "USING(driver_id) WHERE r.run_id=?1 ORDER BY e.env_id",
        (const char *const[]){ run_id, NULL }, fn, user);
}
