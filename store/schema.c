/* store/schema.c
 * Version 1 of the results file, never changed again. A new file is version 1 with all
 * steps of store/migrate.c applied, so that there is one way to every version. Times are
 * Unix milliseconds, hashes SHA-256, every table STRICT. What the tables mean, and where
 * they differ from the first design: docs/store.md. `faultline sql "SELECT sql FROM
 * sqlite_schema"` prints the tables as they are now. */
#include "store/store_impl.h"

#include <stddef.h>

const char *const store_schema_v1[] = {
    "CREATE TABLE store_info(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, "
    "WITHOUT ROWID; ",
    "CREATE TABLE machine( "
    "machine_id TEXT PRIMARY KEY, label TEXT, os TEXT NOT NULL, kernel TEXT, cpu "
    "TEXT NOT NULL, "
    "cpu_cores INTEGER, ram_bytes INTEGER, board TEXT) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE device( "
    "device_id TEXT PRIMARY KEY, name TEXT NOT NULL, vendor_id INTEGER NOT NULL, "
    "pci_device_id INTEGER NOT NULL, "
    "device_type TEXT NOT NULL CHECK(device_type "
    "IN('discrete','integrated','virtual','cpu','other')), "
    "device_uuid TEXT, pci_bus TEXT, vram_bytes INTEGER, uma INTEGER CHECK(uma "
    "IN(0,1))) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE driver( "
    "driver_id TEXT PRIMARY KEY, vk_driver_id INTEGER NOT NULL, name TEXT NOT "
    "NULL, info TEXT NOT NULL, "
    "version_raw INTEGER NOT NULL, api_version TEXT NOT NULL, conformance TEXT) "
    "STRICT, WITHOUT ROWID; ",
    "CREATE TABLE environment( "
    "env_id TEXT PRIMARY KEY, "
    "machine_id TEXT NOT NULL REFERENCES machine, device_id TEXT NOT NULL "
    "REFERENCES device, "
    "driver_id TEXT NOT NULL REFERENCES driver, "
    "loader_version TEXT, layers TEXT NOT NULL DEFAULT '[]' "
    "CHECK(json_valid(layers)), "
    "caps TEXT NOT NULL DEFAULT '{}' CHECK(json_valid(caps)), "
    "power TEXT NOT NULL DEFAULT '{}' CHECK(json_valid(power)) "
    ") STRICT, WITHOUT ROWID; ",
    "CREATE INDEX environment_device ON environment(device_id, driver_id); ",
    "CREATE TABLE artifact( "
    "artifact_id TEXT PRIMARY KEY, "
    "kind TEXT NOT NULL CHECK(kind "
    "IN('weights','adapter','tokenizer','dataset','prompt','spirv','checkpoint','report',"
    "'log')), "
    "bytes INTEGER NOT NULL, path_hint TEXT, origin TEXT, license TEXT, "
    "meta TEXT NOT NULL DEFAULT '{}' CHECK(json_valid(meta))) STRICT, WITHOUT "
    "ROWID; ",
    "CREATE TABLE variant( "
    "variant_id TEXT PRIMARY KEY, label TEXT NOT NULL, "
    "role TEXT NOT NULL CHECK(role IN('full','quant','restored','control')), "
    "arm TEXT, "
    "weights_id TEXT NOT NULL REFERENCES artifact, adapter_id TEXT REFERENCES "
    "artifact, "
    "tokenizer_id TEXT REFERENCES artifact, arch TEXT NOT NULL, params INTEGER "
    "NOT NULL, "
    "quant TEXT, bits_per_weight REAL, "
    "derived_from TEXT REFERENCES variant, "
    "CHECK(adapter_id IS NULL OR role IN('restored','control'))) STRICT, WITHOUT "
    "ROWID; ",
    "CREATE TABLE benchmark( "
    "benchmark_id TEXT PRIMARY KEY, name TEXT NOT NULL, split TEXT NOT NULL, "
    "source_id TEXT REFERENCES artifact, "
    "n_problems INTEGER NOT NULL, license TEXT) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE problem( "
    "problem_id TEXT PRIMARY KEY, benchmark_id TEXT NOT NULL REFERENCES "
    "benchmark, ordinal INTEGER NOT NULL, "
    "subject TEXT, level TEXT, question TEXT NOT NULL, reference TEXT, answer "
    "TEXT NOT NULL, "
    "UNIQUE(benchmark_id, ordinal)) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE campaign( "
    "campaign_id TEXT PRIMARY KEY, name TEXT NOT NULL, plan TEXT NOT NULL "
    "CHECK(json_valid(plan)), created_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE run( "
    "run_id TEXT PRIMARY KEY, "
    "campaign_id TEXT REFERENCES campaign, kind TEXT NOT NULL CHECK(kind "
    "IN('eval','locate','curate','train','bench')), "
    "status TEXT NOT NULL CHECK(status "
    "IN('running','done','failed','interrupted')), "
    "variant_id TEXT REFERENCES variant, benchmark_id TEXT REFERENCES benchmark, "
    "env_id TEXT NOT NULL REFERENCES environment, "
    "shard_index INTEGER NOT NULL DEFAULT 1, shard_count INTEGER NOT NULL "
    "DEFAULT 1 CHECK(shard_index BETWEEN 1 AND shard_count), "
    "seed INTEGER NOT NULL, "
    "config TEXT NOT NULL CHECK(json_valid(config)), config_hash TEXT NOT NULL, "
    "argv TEXT NOT NULL CHECK(json_valid(argv)), "
    "tool_version TEXT NOT NULL, tool_commit TEXT, tool_dirty INTEGER "
    "CHECK(tool_dirty IN(0,1)), "
    "started_ms INTEGER NOT NULL, heartbeat_ms INTEGER NOT NULL, ended_ms "
    "INTEGER, "
    "exit_code INTEGER, error TEXT) STRICT, WITHOUT ROWID; ",
    "CREATE INDEX run_campaign ON run(campaign_id, kind, variant_id, "
    "benchmark_id); ",
    "CREATE TABLE attempt( "
    "attempt_id TEXT PRIMARY KEY, "
    "run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, pid INTEGER NOT "
    "NULL, host TEXT NOT NULL, "
    "started_ms INTEGER NOT NULL, heartbeat_ms INTEGER NOT NULL, ended_ms "
    "INTEGER, exit_code INTEGER, error TEXT) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE claim( "
    "run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, problem_id TEXT NOT "
    "NULL, sample INTEGER NOT NULL, "
    "attempt_id TEXT NOT NULL REFERENCES attempt, expires_ms INTEGER NOT NULL, "
    "PRIMARY KEY(run_id, problem_id, sample)) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE run_artifact( "
    "run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, artifact_id TEXT NOT "
    "NULL REFERENCES artifact, "
    "direction TEXT NOT NULL CHECK(direction IN('in','out')), role TEXT NOT NULL, "
    "PRIMARY KEY(run_id, direction, role, artifact_id)) STRICT, WITHOUT ROWID; ",
    "CREATE INDEX run_artifact_rev ON run_artifact(artifact_id, direction); ",
    "CREATE TABLE generation( "
    "gen_id TEXT PRIMARY KEY, "
    "run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, problem_id TEXT NOT "
    "NULL REFERENCES problem, "
    "sample INTEGER NOT NULL DEFAULT 0, prompt_hash TEXT NOT NULL, output TEXT "
    "NOT NULL, "
    "finish TEXT NOT NULL CHECK(finish IN('stop','length','error')), "
    "n_prompt INTEGER NOT NULL, n_gen INTEGER NOT NULL, "
    "prefill_us INTEGER, decode_us INTEGER, energy_mj INTEGER, created_ms "
    "INTEGER NOT NULL, error TEXT, "
    "UNIQUE(run_id, problem_id, sample)) STRICT; ",
    "CREATE INDEX generation_problem ON generation(problem_id, run_id); ",
    "CREATE TABLE token_trace( "
    "gen_id TEXT PRIMARY KEY REFERENCES generation(gen_id) ON DELETE CASCADE, "
    "codec TEXT NOT NULL, n INTEGER NOT NULL, ids BLOB NOT NULL, logprob BLOB, "
    "margin BLOB, alt_id BLOB) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE score( "
    "gen_id TEXT NOT NULL REFERENCES generation(gen_id) ON DELETE CASCADE, "
    "grader TEXT NOT NULL, "
    "extracted TEXT, correct INTEGER CHECK(correct IN(0,1)), extract_ok INTEGER "
    "NOT NULL CHECK(extract_ok IN(0,1)), "
    "author TEXT, reason TEXT, created_ms INTEGER NOT NULL, PRIMARY KEY(gen_id, "
    "grader)) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE score_history(gen_id TEXT NOT NULL, grader TEXT NOT NULL, "
    "replaced_ms INTEGER NOT NULL, old TEXT NOT NULL CHECK(json_valid(old)), "
    "PRIMARY KEY(gen_id, grader, replaced_ms)) STRICT, WITHOUT ROWID; ",
    "CREATE TRIGGER score_edit AFTER UPDATE ON score WHEN old.correct IS NOT "
    "new.correct OR old.extracted IS NOT new.extracted BEGIN "
    "INSERT OR REPLACE INTO score_history VALUES(old.gen_id, old.grader, "
    "new.created_ms, "
    "json_object('extracted',old.extracted,'correct',old.correct,'extract_ok',old."
    "extract_ok,'author',old.author,'reason',old.reason,'created_ms',old.created_ms)); "
    "END; ",
    "CREATE TABLE step( "
    "gen_id TEXT NOT NULL REFERENCES generation(gen_id) ON DELETE CASCADE, "
    "segmenter TEXT NOT NULL, idx INTEGER NOT NULL, "
    "char_start INTEGER NOT NULL, char_end INTEGER NOT NULL, tok_start INTEGER, "
    "tok_end INTEGER, "
    "PRIMARY KEY(gen_id, segmenter, idx)) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE fault_category(code TEXT PRIMARY KEY, label TEXT NOT NULL, "
    "parent TEXT REFERENCES fault_category, description TEXT NOT NULL) STRICT, "
    "WITHOUT ROWID; ",
    "CREATE TABLE fault( "
    "fault_id TEXT PRIMARY KEY, gen_id TEXT NOT NULL REFERENCES "
    "generation(gen_id) ON DELETE CASCADE, "
    "run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, locator TEXT NOT "
    "NULL, "
    "step_idx INTEGER, tok_idx INTEGER, category TEXT REFERENCES fault_category, "
    "confidence REAL CHECK(confidence BETWEEN 0 AND 1), evidence TEXT NOT NULL "
    "DEFAULT '{}' CHECK(json_valid(evidence)), "
    "review TEXT NOT NULL DEFAULT 'auto' CHECK(review "
    "IN('auto','confirmed','rejected')), reviewer TEXT, "
    "UNIQUE(gen_id, locator)) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE rollout( "
    "fault_id TEXT NOT NULL REFERENCES fault ON DELETE CASCADE, step_idx INTEGER "
    "NOT NULL, sample INTEGER NOT NULL, "
    "variant_id TEXT NOT NULL REFERENCES variant, output TEXT NOT NULL, correct "
    "INTEGER CHECK(correct IN(0,1)), n_gen INTEGER NOT NULL, "
    "PRIMARY KEY(fault_id, variant_id, step_idx, sample)) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE bullet_set(dataset_id TEXT PRIMARY KEY, run_id TEXT NOT NULL "
    "REFERENCES run, kind TEXT NOT NULL CHECK(kind IN('sft','dpo','kl')), recipe "
    "TEXT NOT NULL CHECK(json_valid(recipe))) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE bullet_item( "
    "dataset_id TEXT NOT NULL REFERENCES bullet_set ON DELETE CASCADE, idx "
    "INTEGER NOT NULL, "
    "problem_id TEXT NOT NULL REFERENCES problem, fault_id TEXT REFERENCES fault, "
    "prompt TEXT NOT NULL, chosen TEXT NOT NULL, rejected TEXT, weight REAL NOT "
    "NULL DEFAULT 1.0, "
    "excluded TEXT, PRIMARY KEY(dataset_id, idx)) STRICT, WITHOUT ROWID; ",
    "CREATE INDEX bullet_item_problem ON bullet_item(problem_id); ",
    "CREATE TABLE metric( "
    "run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, name TEXT NOT NULL, "
    "step INTEGER NOT NULL, value REAL, "
    "t_ms INTEGER NOT NULL, PRIMARY KEY(run_id, name, step)) STRICT, WITHOUT "
    "ROWID; ",
    "CREATE TABLE sensor( "
    "sensor_id TEXT PRIMARY KEY, device_id TEXT NOT NULL REFERENCES device, name "
    "TEXT NOT NULL, unit TEXT NOT NULL, "
    "source TEXT NOT NULL, scope TEXT NOT NULL CHECK(scope "
    "IN('gpu','board','package','unknown'))) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE telemetry( "
    "run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, sensor_id TEXT NOT "
    "NULL REFERENCES sensor, t_ms INTEGER NOT NULL, value REAL NOT NULL, "
    "PRIMARY KEY(run_id, sensor_id, t_ms)) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE event( "
    "run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, seq INTEGER NOT "
    "NULL, t_ms INTEGER NOT NULL, "
    "level TEXT NOT NULL CHECK(level IN('info','warn','error')), code TEXT NOT "
    "NULL, message TEXT NOT NULL, hint TEXT, "
    "PRIMARY KEY(run_id, seq)) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE bench_case( "
    "case_id TEXT PRIMARY KEY, suite TEXT NOT NULL, suite_version INTEGER NOT "
    "NULL, name TEXT NOT NULL, "
    "params TEXT NOT NULL CHECK(json_valid(params)), unit TEXT NOT NULL, "
    "higher_better INTEGER NOT NULL CHECK(higher_better IN(0,1)), "
    "work_flops REAL, work_bytes REAL, explain TEXT) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE bench_result( "
    "run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, case_id TEXT NOT "
    "NULL REFERENCES bench_case, pass INTEGER NOT NULL DEFAULT 0, "
    "ord INTEGER NOT NULL, status TEXT NOT NULL CHECK(status "
    "IN('ok','unsupported','skipped','error','invalid')), reason TEXT, "
    "n INTEGER, warmups INTEGER, value REAL, median_ns REAL, mad_ns REAL, ci_lo "
    "REAL, ci_hi REAL, n_outlier INTEGER, "
    "steady INTEGER CHECK(steady IN(0,1)), max_rel_err REAL, clock_mhz REAL, "
    "temp_c REAL, power_w REAL, joules REAL, "
    "CHECK(status<>'ok' OR value IS NOT NULL), PRIMARY KEY(run_id, case_id, "
    "pass)) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE bench_sample( "
    "run_id TEXT NOT NULL, case_id TEXT NOT NULL, pass INTEGER NOT NULL, phase "
    "TEXT NOT NULL CHECK(phase IN('cold','warm','measured')), "
    "samples BLOB NOT NULL, codec TEXT NOT NULL, PRIMARY KEY(run_id, case_id, "
    "pass, phase), "
    "FOREIGN KEY(run_id, case_id, pass) REFERENCES bench_result ON DELETE "
    "CASCADE) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE comparison( "
    "comparison_id TEXT PRIMARY KEY, campaign_id TEXT NOT NULL REFERENCES "
    "campaign, benchmark_id TEXT NOT NULL REFERENCES benchmark, "
    "grader TEXT NOT NULL, full_variant TEXT NOT NULL REFERENCES variant, "
    "quant_variant TEXT NOT NULL REFERENCES variant, "
    "restored_variant TEXT REFERENCES variant, created_ms INTEGER NOT NULL) "
    "STRICT, WITHOUT ROWID; ",
    "CREATE TABLE comparison_pair( "
    "comparison_id TEXT NOT NULL REFERENCES comparison ON DELETE CASCADE, "
    "problem_id TEXT NOT NULL REFERENCES problem, sample INTEGER NOT NULL, "
    "full_gen TEXT NOT NULL, quant_gen TEXT NOT NULL, restored_gen TEXT, f "
    "INTEGER, q INTEGER, r INTEGER, "
    "div_tok INTEGER, div_margin REAL, duplicates INTEGER NOT NULL DEFAULT 0, "
    "PRIMARY KEY(comparison_id, problem_id, sample)) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE report(report_id TEXT PRIMARY KEY, comparison_id TEXT "
    "REFERENCES comparison, artifact_id TEXT NOT NULL REFERENCES artifact, "
    "created_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID; ",
    "CREATE TABLE annotation( "
    "annotation_id TEXT PRIMARY KEY, target TEXT NOT NULL, target_id TEXT NOT "
    "NULL, tag TEXT, note TEXT, author TEXT, created_ms INTEGER NOT NULL) "
    "STRICT, WITHOUT ROWID; ",
    "CREATE INDEX annotation_target ON annotation(target, target_id); ",
    "CREATE TABLE merge_log(source_store TEXT NOT NULL, at_ms INTEGER NOT NULL, "
    "tbl TEXT NOT NULL, added INTEGER NOT NULL, same INTEGER NOT NULL, conflict "
    "INTEGER NOT NULL, "
    "PRIMARY KEY(source_store, at_ms, tbl)) STRICT, WITHOUT ROWID; ",
    "CREATE VIEW v_outcome AS "
    "SELECT r.campaign_id, v.role, r.variant_id, r.benchmark_id, g.problem_id, "
    "g.sample, g.gen_id, s.grader, s.correct, s.extract_ok, "
    "g.finish, g.n_gen, g.decode_us, g.energy_mj, r.env_id, r.run_id "
    "FROM run r JOIN variant v USING(variant_id) JOIN generation g USING(run_id) "
    "JOIN score s USING(gen_id) WHERE r.kind='eval'; ",
    "CREATE VIEW v_accuracy AS "
    "WITH a AS (SELECT campaign_id, variant_id, role, benchmark_id, grader, "
    "1.0*count(*) n, 1.0*sum(correct) k, sum(finish='length') truncated, "
    "sum(extract_ok=0) unparsed, sum(energy_mj)/1e3 joules, "
    "sum(n_gen)*1e6/nullif(sum(decode_us),0) tok_s FROM v_outcome GROUP BY "
    "1,2,3,4,5) "
    "SELECT *, k/n acc, "
    "(k/n+1.9208/n-1.96*sqrt(k/n*(1-k/n)/n+0.9604/(n*n)))/(1+3.8416/n) lo, "
    "(k/n+1.9208/n+1.96*sqrt(k/n*(1-k/n)/n+0.9604/(n*n)))/(1+3.8416/n) hi, "
    "joules/nullif(k,0) joules_per_correct FROM a; ",
    "CREATE VIEW v_mcnemar AS "
    "SELECT comparison_id, count(*) n, sum(f=1 AND q=0) lost, sum(f=0 AND q=1) "
    "gained, sum(q=0 AND r=1) fixed, sum(q=1 AND r=0) broken, "
    "sum(f=1 AND q=0 AND r=1) recovered, sum(f=1 AND q=0 AND r=0) still_lost, "
    "sum(f=0 AND q=0 AND r=1) beyond_full FROM comparison_pair GROUP BY 1; ",
    "CREATE VIEW v_fault AS "
    "SELECT p.comparison_id, f.fault_id, f.gen_id, f.locator, f.category, "
    "c.label, f.step_idx, n.n_steps, 1.0*f.step_idx/nullif(n.n_steps,0) rel_pos, "
    "f.confidence, f.review, p.r AS recovered "
    "FROM comparison_pair p JOIN fault f ON f.gen_id=p.quant_gen LEFT JOIN "
    "fault_category c ON c.code=f.category "
    "LEFT JOIN (SELECT gen_id, max(idx)+1 n_steps FROM step GROUP BY gen_id) n "
    "ON n.gen_id=f.gen_id WHERE f.review<>'rejected'; ",
    "CREATE VIEW v_leak AS "
    "SELECT i.dataset_id, i.idx, i.problem_id, p.comparison_id FROM bullet_item "
    "i JOIN comparison_pair p USING(problem_id) WHERE i.excluded IS NULL; ",
    "CREATE VIEW v_bench AS "
    "SELECT b.run_id, r.started_ms, m.label machine, d.name device, dr.name||' "
    "'||dr.info driver, e.env_id, c.suite, c.suite_version, c.name AS case_name, "
    "c.params, "
    "c.unit, c.higher_better, b.status, b.reason, b.value, b.ci_lo, b.ci_hi, "
    "b.n, b.n_outlier, b.steady, b.max_rel_err, b.clock_mhz, b.temp_c, "
    "b.power_w, b.joules "
    "FROM bench_result b JOIN run r USING(run_id) JOIN environment e "
    "USING(env_id) JOIN machine m USING(machine_id) JOIN device d "
    "USING(device_id) "
    "JOIN driver dr USING(driver_id) JOIN bench_case c USING(case_id); ",
    "CREATE TABLE stage(campaign_id TEXT NOT NULL REFERENCES campaign, name TEXT NOT "
    "NULL, "
    "inputs TEXT NOT NULL, output TEXT NOT NULL CHECK(json_valid(output)), "
    "done_ms INTEGER NOT NULL, seconds REAL, PRIMARY KEY(campaign_id, name)) STRICT, "
    "WITHOUT ROWID; ",
    NULL,
};
