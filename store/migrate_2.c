/* store/migrate_2.c
 * Version 1 to version 2 of the results file: the identity of runs and faults.
 * - A run is what was done, not where: no campaign, no environment. A campaign refers to
 *   its runs (campaign_run), an attempt to the environment in which it ran. Runs of
 *   version 1 keep their ids and are marked 'v1'.
 * - A fault belongs to a locate run: two runs may find other faults in one answer.
 * - A training item knows its fault, category, step and source.
 * - A stage is done once per inputs: two configurations do not push each other out.
 * - v_verdict says which score of an answer counts, v_locate_run which locate run.
 * Tables whose constraints change are made anew and filled from the old ones. */
#include "store/store_impl.h"

#include <stddef.h>

const char *const store_schema_v2[] = {
    "DROP VIEW v_outcome",
    "DROP VIEW v_accuracy",
    "DROP VIEW v_fault",
    "DROP VIEW v_bench",

    /* ---- where ---- */

    "ALTER TABLE environment ADD COLUMN numerics TEXT",
    "CREATE TABLE new_attempt( "
    "attempt_id TEXT PRIMARY KEY, "
    "run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, "
    "env_id TEXT NOT NULL REFERENCES environment, "
    "pid INTEGER NOT NULL, host TEXT NOT NULL, "
    "started_ms INTEGER NOT NULL, heartbeat_ms INTEGER NOT NULL, "
    "ended_ms INTEGER, exit_code INTEGER, error TEXT) STRICT, WITHOUT ROWID",
    "INSERT INTO new_attempt SELECT a.attempt_id, a.run_id, r.env_id, a.pid, a.host, "
    "a.started_ms, a.heartbeat_ms, a.ended_ms, a.exit_code, a.error "
    "FROM attempt a JOIN run r USING(run_id)",
    /* Of some kinds of runs version 1 noted no attempt. */
    "INSERT INTO new_attempt SELECT 'v1 ' || run_id, run_id, env_id, 0, '', started_ms, "
    "heartbeat_ms, coalesce(ended_ms, heartbeat_ms), exit_code, error FROM run r "
    "WHERE NOT EXISTS(SELECT 1 FROM attempt a WHERE a.run_id=r.run_id)",
    "DELETE FROM claim",
    "DROP TABLE attempt",
    "ALTER TABLE new_attempt RENAME TO attempt",
    "CREATE INDEX attempt_run ON attempt(run_id, env_id)",

    /* ---- runs and campaigns ---- */

    "CREATE TABLE campaign_run( "
    "campaign_id TEXT NOT NULL REFERENCES campaign, "
    "run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, "
    "joined_ms INTEGER NOT NULL, "
    "PRIMARY KEY(campaign_id, run_id)) STRICT, WITHOUT ROWID",
    "CREATE INDEX campaign_run_rev ON campaign_run(run_id, campaign_id)",
    "INSERT INTO campaign_run SELECT campaign_id, run_id, started_ms FROM run "
    "WHERE campaign_id IS NOT NULL",
    "DROP INDEX run_campaign",
    "CREATE TABLE new_run( "
    "run_id TEXT PRIMARY KEY, "
    "kind TEXT NOT NULL CHECK(kind IN('eval','locate','curate','train','bench')), "
    "status TEXT NOT NULL CHECK(status IN('running','done','failed','interrupted')), "
    "variant_id TEXT REFERENCES variant, benchmark_id TEXT REFERENCES benchmark, "
    "numerics TEXT NOT NULL, grader TEXT, "
    "id_scheme TEXT NOT NULL CHECK(id_scheme IN('v1','v2')), "
    "seed INTEGER NOT NULL, "
    "config TEXT NOT NULL CHECK(json_valid(config)), config_hash TEXT NOT NULL, "
    "argv TEXT NOT NULL CHECK(json_valid(argv)), "
    "tool_version TEXT NOT NULL, tool_commit TEXT, "
    "tool_dirty INTEGER CHECK(tool_dirty IN(0,1)), "
    "started_ms INTEGER NOT NULL, heartbeat_ms INTEGER NOT NULL, ended_ms INTEGER, "
    "exit_code INTEGER, error TEXT) STRICT, WITHOUT ROWID",
    "INSERT INTO new_run SELECT run_id, kind, status, variant_id, benchmark_id, env_id, "
    "NULL, 'v1', seed, config, config_hash, argv, tool_version, tool_commit, tool_dirty, "
    "started_ms, heartbeat_ms, ended_ms, exit_code, error FROM run",
    "DROP TABLE run",
    "ALTER TABLE new_run RENAME TO run",
    "CREATE INDEX run_work ON run(kind, variant_id, benchmark_id)",

    /* ---- faults, items, stages ---- */

    "CREATE TABLE new_fault( "
    "fault_id TEXT PRIMARY KEY, "
    "gen_id TEXT NOT NULL REFERENCES generation(gen_id) ON DELETE CASCADE, "
    "run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, locator TEXT NOT NULL, "
    "step_idx INTEGER, tok_idx INTEGER, category TEXT REFERENCES fault_category, "
    "confidence REAL CHECK(confidence BETWEEN 0 AND 1), "
    "evidence TEXT NOT NULL DEFAULT '{}' CHECK(json_valid(evidence)), "
    "review TEXT NOT NULL DEFAULT 'auto' "
    "CHECK(review IN('auto','confirmed','rejected')), "
    "reviewer TEXT, reviewed_ms INTEGER, "
    "UNIQUE(run_id, gen_id, locator)) STRICT, WITHOUT ROWID",
    "INSERT INTO new_fault SELECT fault_id, gen_id, run_id, locator, step_idx, tok_idx, "
    "category, confidence, evidence, review, reviewer, NULL FROM fault",
    "DROP TABLE fault",
    "ALTER TABLE new_fault RENAME TO fault",
    "CREATE INDEX fault_generation ON fault(gen_id, locator)",
    "ALTER TABLE bullet_item ADD COLUMN category TEXT REFERENCES fault_category",
    "ALTER TABLE bullet_item ADD COLUMN step_idx INTEGER",
    "ALTER TABLE bullet_item ADD COLUMN source TEXT",
    "CREATE TABLE new_stage( "
    "campaign_id TEXT NOT NULL REFERENCES campaign, name TEXT NOT NULL, "
    "inputs TEXT NOT NULL, output TEXT NOT NULL CHECK(json_valid(output)), "
    "done_ms INTEGER NOT NULL, seconds REAL, "
    "PRIMARY KEY(campaign_id, name, inputs)) STRICT, WITHOUT ROWID",
    "INSERT INTO new_stage SELECT campaign_id, name, inputs, output, done_ms, seconds "
    "FROM stage",
    "DROP TABLE stage",
    "ALTER TABLE new_stage RENAME TO stage",

    /* ---- views ---- */

    /* The verdict of an answer: of the run's grader, where that is not known of the first
     * by name. STORE_JOIN_VERDICT of store/store_impl.h is the same. */
    "CREATE VIEW v_verdict AS "
    "SELECT g.gen_id, g.run_id, s.grader, s.extracted, s.correct, s.extract_ok, s.reason "
    "FROM generation g JOIN run r USING(run_id) JOIN score s ON s.gen_id=g.gen_id AND "
    "s.grader=coalesce(r.grader, "
    "(SELECT min(m.grader) FROM score m WHERE m.gen_id=g.gen_id))",
    "CREATE VIEW v_outcome AS "
    "SELECT r.run_id, v.role, r.variant_id, r.benchmark_id, g.problem_id, g.sample, "
    "g.gen_id, s.grader, s.correct, s.extract_ok, g.finish, g.n_gen, g.decode_us, "
    "g.energy_mj FROM run r JOIN variant v USING(variant_id) JOIN generation g "
    "USING(run_id) JOIN v_verdict s ON s.gen_id=g.gen_id WHERE r.kind='eval'",
    "CREATE VIEW v_accuracy AS "
    "WITH a AS (SELECT run_id, variant_id, role, benchmark_id, grader, "
    "1.0*count(*) n, 1.0*sum(correct) k, sum(finish='length') truncated, "
    "sum(extract_ok=0) unparsed, sum(energy_mj)/1e3 joules, "
    "sum(n_gen)*1e6/nullif(sum(decode_us),0) tok_s FROM v_outcome "
    "GROUP BY 1,2,3,4,5) "
    "SELECT *, k/n acc, "
    "(k/n+1.9208/n-1.96*sqrt(k/n*(1-k/n)/n+0.9604/(n*n)))/(1+3.8416/n) lo, "
    "(k/n+1.9208/n+1.96*sqrt(k/n*(1-k/n)/n+0.9604/(n*n)))/(1+3.8416/n) hi, "
    "joules/nullif(k,0) joules_per_correct FROM a",
    /* The locate run that speaks for the answers of a run in a campaign: of those that
     * belong to it the one with the most locators, of these the newest. */
    "CREATE VIEW v_locate_run AS "
    "SELECT campaign_id, answers_run, run_id FROM ("
    "SELECT c.campaign_id, a.answers_run, a.run_id, row_number() OVER ("
    "PARTITION BY c.campaign_id, a.answers_run "
    "ORDER BY a.locators DESC, r.started_ms DESC, a.run_id) k "
    "FROM (SELECT g.run_id answers_run, f.run_id, count(DISTINCT f.locator) locators "
    "FROM fault f JOIN generation g USING(gen_id) GROUP BY 1, 2) a "
    "JOIN campaign_run c ON c.run_id=a.run_id JOIN run r ON r.run_id=a.run_id) "
    "WHERE k=1",
    "CREATE VIEW v_fault AS "
    "SELECT p.comparison_id, f.run_id, f.fault_id, f.gen_id, f.locator, f.category, "
    "c.label, f.step_idx, n.n_steps, 1.0*f.step_idx/nullif(n.n_steps,0) rel_pos, "
    "f.confidence, f.review, p.r AS recovered "
    "FROM comparison m JOIN comparison_pair p USING(comparison_id) "
    "JOIN generation g ON g.gen_id=p.quant_gen "
    "JOIN v_locate_run l ON l.campaign_id=m.campaign_id AND l.answers_run=g.run_id "
    "JOIN fault f ON f.run_id=l.run_id AND f.gen_id=p.quant_gen "
    "LEFT JOIN fault_category c ON c.code=f.category "
    "LEFT JOIN (SELECT gen_id, max(idx)+1 n_steps FROM step GROUP BY gen_id) n "
    "ON n.gen_id=f.gen_id WHERE f.review<>'rejected'",
    /* Where a run was worked on. */
    "CREATE VIEW v_run_environment AS SELECT DISTINCT run_id, env_id FROM attempt",
    "CREATE VIEW v_bench AS "
    "SELECT b.run_id, r.started_ms, m.label machine, d.name device, "
    "dr.name||' '||dr.info driver, e.env_id, c.suite, c.suite_version, "
    "c.name AS case_name, c.params, c.unit, c.higher_better, b.status, b.reason, "
    "b.value, b.ci_lo, b.ci_hi, b.n, b.n_outlier, b.steady, b.max_rel_err, b.clock_mhz, "
    "b.temp_c, b.power_w, b.joules "
    "FROM bench_result b JOIN run r USING(run_id) JOIN v_run_environment w "
    "USING(run_id) JOIN environment e USING(env_id) JOIN machine m USING(machine_id) "
    "JOIN device d USING(device_id) JOIN driver dr USING(driver_id) "
    "JOIN bench_case c USING(case_id)",
    NULL,
};
