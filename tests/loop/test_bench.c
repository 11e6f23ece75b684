/* `faultline bench` as a user runs it: what is measured is stored with its samples, and
 * verdicts on scripted results, and gates on them, are as docs/bench.md says. */
#include "store/store_claim.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/faultline-bench-XXXXXX";
static char program[1024];

/* ---- scripted stores ---- */

/* A case of a scripted run: status, and per pass value, half interval, samples. */
struct scripted {
    const char *name, *status;
    double value[2], half;
    int64_t n;
};

static const struct scripted base_rows[] = {
    { "steady op", "ok", { 100, 101 }, 1, 50 },
    { "better op", "ok", { 100, 101 }, 1, 50 },
    { "worse op", "ok", { 100, 101 }, 1, 50 },
    { "noisy op", "ok", { 100, 101 }, 30, 50 },
    { "short op", "ok", { 100, 101 }, 1, 50 },
    { "broken op", "ok", { 100, 101 }, 1, 50 },
    { "mended op", "invalid", { NAN, NAN }, 0, 0 },
};
static const struct scripted now_rows[] = {
    { "steady op", "ok", { 100.5, 101 }, 1, 50 },
    { "better op", "ok", { 114, 115 }, 1, 50 },
    { "worse op", "ok", { 90, 91 }, 1, 50 },
    { "noisy op", "ok", { 108, 109 }, 30, 50 },
    { "short op", "ok", { 120, 121 }, 1, 3 },
    { "broken op", "invalid", { NAN, NAN }, 0, 0 },
    { "mended op", "ok", { 100, 101 }, 1, 50 },
    { "added op", "ok", { 5, 5 }, 0.01, 50 },
};

/* Limits of a device, and ops bound by each of them. */
struct limit_row {
    const char *suite, *name, *unit;
    double flops, bytes, ns;
    const char *limit; /* wanted; empty: none */
    double share;
};
static const struct limit_row limit_rows[] = {
    { "peak", "chain a", "GFLOP/s", 1e6, 100, 2e4, "", NAN },
    { "peak", "chain b", "GFLOP/s", 1e6, 100, 1e4, "", NAN },
    { "peak", "copy", "GB/s", NAN, 1e6, 1e5, "", NAN },
    { "peak", "nothing", "op/s", 8, 48, 5e3, "", NAN },
    /* 20 FLOPs a byte: more than the 10 at which both limits meet. */
    { "ops", "slow op", "GFLOP/s", 2e6, 1e5, 2e5, "FLOP/s", 0.1 },
    { "ops", "fast op", "GFLOP/s", 1e6, 1e5, 1.25e4, "FLOP/s", 0.8 },
    { "ops", "moving op", "GB/s", 1e5, 1e5, 4e4, "bytes/s", 0.25 },
    { "ops", "small op", "GB/s", 8, 48, 1e5, "dispatch", 0.05 },
    { "ops", "an op of a long name, which has a line of its own", "GFLOP/s", 1e6, 1e5,
      2e4, "FLOP/s", 0.5 },
    { "decode", "a step", "tok/s", 1e6, NAN, 1e7, "FLOP/s", 1e-3 },
};

static void must(rt_status st, struct rt_ctx *ctx)
{
    if (st != RT_OK)
        fail_msg("%s", ctx->message);
}

static void put_row(struct store *s, const char *run, const struct scripted *row,
                    int64_t pass, int64_t ord)
{
    struct store_bench_case c = { .suite = "ops",
                                  .suite_version = 1,
                                  .name = row->name,
                                  .params = "{}",
                                  .unit = "GB/s",
                                  .higher_better = true,
                                  .flops = 1e6,
                                  .bytes = NAN };
    struct rt_ctx ctx = { 0 };
    must(store_put_bench_case(s, &c), &ctx);
    const double v = row->value[pass];
    const struct store_bench_result r = {
        .run_id = run,
        .case_id = c.id,
        .pass = pass,
        .ord = ord,
        .status = row->status,
        .reason = strcmp(row->status, "ok") == 0 ? NULL : "binding 2 word 7 is wrong",
        .n = row->n,
        .value = v,
        .low = v - row->half,
        .high = v + row->half,
        .median_ns = 1e6 / v,
        .mad_ns = 1,
        .steady = true,
        .error = 1e-7,
        .clock_mhz = NAN,
    };
    must(store_put_bench_result(s, &r), &ctx);
}

static void make_store(const char *path, const struct scripted *rows, size_t count,
                       const char *settings)
{
    struct rt_ctx ctx = { 0 };
    struct rt_device *dev = NULL;
    struct store *s = NULL;
    char env_id[STORE_ID], config[200];
    struct store_attempt attempt;
    const struct rt_device_options options = { .name = "ref" };
    must(rt_device_create(&ctx, &options, &dev), &ctx);
    must(store_open(&ctx, path, STORE_WRITE, &s), &ctx);
    must(store_begin(s), &ctx);
    must(store_put_environment(s, dev, env_id), &ctx);
    snprintf(config, sizeof config, "{\"settings\":%s,\"file\":\"%s\"}", settings, path);
    struct store_run run = { .kind = "bench", .env_id = env_id, .config = config };
    must(store_run_open(s, &run), &ctx);
    must(store_attempt_open(s, run.id, env_id, &attempt), &ctx);
    for (int64_t pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < count; i++)
            put_row(s, run.id, &rows[i], pass, pass * (int64_t)count + (int64_t)i);
    must(store_attempt_close(s, &attempt, "done", 0, NULL), &ctx);
    must(store_commit(s), &ctx);
    store_close(&s);
    rt_device_destroy(&dev);
}

static int set_up(void **state)
{
    (void)state;
    struct test_device devices[16];
    (void)test_devices(devices, 16); /* points the loader at the software devices */
    assert_non_null(mkdtemp(folder));
    snprintf(program, sizeof program, "%s/faultline",
             getenv("FAULTLINE_BUILD") ? getenv("FAULTLINE_BUILD") : TEST_BUILD_DIR);
    if (chdir(folder) != 0)
        return 1;
    make_store("base.db", base_rows, RT_COUNT(base_rows), "{\"seconds\":1}");
    make_store("now.db", now_rows, RT_COUNT(now_rows), "{\"seconds\":1}");
    make_store("other.db", now_rows, RT_COUNT(now_rows), "{\"seconds\":2}");
    return 0;
}

static int tear_down(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* The exit code of `faultline bench LINE`, stdout in out.txt and stderr in err.txt. */
static int run(const char *line)
{
    char command[4096];
    snprintf(command, sizeof command, "%s bench %s >out.txt 2>err.txt", program, line);
    const int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char *text_of(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 18);
    assert_non_null(file);
    assert_non_null(text);
    (void)fread(text, 1, (1 << 18) - 1, file);
    fclose(file);
    return text;
}

static void must_run(const char *line, int code)
{
    const int got = run(line);
    if (got == code)
        return;
    char *err = text_of("err.txt");
    fprintf(stderr, "%s", err);
    free(err);
    fail_msg("'%s' ends with %d instead of %d", line, got, code);
}

/* ---- verdicts ---- */

static const char *verdict_of(const json_t *report, const char *name,
                              const char **reasons)
{
    size_t i;
    const json_t *c;
    json_array_foreach(json_object_get(report, "cases"), i, c)
    {
        const json_t *comparison = json_object_get(c, "comparison");
        if (strcmp(json_string_value(json_object_get(c, "case")), name) != 0)
            continue;
        *reasons = json_string_value(json_object_get(comparison, "reasons"));
        return json_string_value(json_object_get(comparison, "verdict"));
    }
    fail_msg("no case '%s'", name);
    return NULL;
}

static void verdicts_on_scripted_runs(void **state)
{
    (void)state;
    static const struct {
        const char *name, *verdict, *reasons;
    } wanted[] = {
        { "steady op", "same", "" },    { "better op", "FASTER", "" },
        { "worse op", "SLOWER", "" },   { "noisy op", "unclear", "overlap" },
        { "broken op", "no time", "" }, { "short op", "unclear", "few-samples" },
        { "mended op", "no time", "" }, { "added op", "new", "" },
    };
    must_run("--store now.db --run latest --compare base.db --json", 0);
    json_error_t error;
    json_t *report = json_load_file("out.txt", 0, &error);
    assert_non_null(report);
    for (size_t i = 0; i < RT_COUNT(wanted); i++) {
        const char *reasons = "";
        const char *verdict = verdict_of(report, wanted[i].name, &reasons);
        if (strcmp(verdict, wanted[i].verdict) != 0 ||
            strcmp(reasons, wanted[i].reasons) != 0)
            fail_msg("%s is %s (%s), not %s (%s)", wanted[i].name, verdict, reasons,
                     wanted[i].verdict, wanted[i].reasons);
    }
    assert_string_equal(json_string_value(json_object_get(report, "environment_differs")),
                        "");
    json_decref(report);
}

static void other_settings_are_named_and_stop_verdicts(void **state)
{
    (void)state;
    const char *reasons;
    must_run("--store other.db --run latest --compare base.db -o json", 0);
    json_error_t error;
    json_t *report = json_load_file("out.txt", 0, &error);
    assert_non_null(report);
    assert_non_null(
        strstr(json_string_value(json_object_get(report, "environment_differs")),
               "settings ({\"seconds\":1} -> {\"seconds\":2})"));
    assert_string_equal(verdict_of(report, "better op", &reasons), "unclear");
    assert_string_equal(reasons, "env-differs");
    json_decref(report);
}

static void tables_say_the_same(void **state)
{
    (void)state;
    must_run("--store now.db --run latest --compare base.db", 0);
    char *text = text_of("out.txt");
    assert_non_null(strstr(text, "FASTER +14 %"));
    assert_non_null(strstr(text, "SLOWER -10 %"));
    assert_non_null(strstr(text, "broken op: invalid: binding 2 word 7 is wrong"));
    free(text);
    must_run("--store now.db --run latest --compare base.db --out md", 0);
    text = text_of("out.txt");
    assert_non_null(strstr(text, "| better op | GB/s |"));
    free(text);
    must_run("--store now.db --run latest --out csv", 0);
    text = text_of("out.txt");
    /* An invalid case has no time in any column. */
    assert_non_null(strstr(text, "ops,\"broken op\",GB/s,0,invalid,0,,,,,,,,"));
    free(text);
}

static void put_limit(struct store *s, const char *run, const struct limit_row *row,
                      int64_t ord)
{
    struct rt_ctx ctx = { 0 };
    struct store_bench_case c = { .suite = row->suite,
                                  .suite_version = 1,
                                  .name = row->name,
                                  .params = "{}",
                                  .unit = row->unit,
                                  .higher_better = true,
                                  .flops = row->flops,
                                  .bytes = row->bytes };
    must(store_put_bench_case(s, &c), &ctx);
    const struct store_bench_result r = { .run_id = run,
                                          .case_id = c.id,
                                          .ord = ord,
                                          .status = "ok",
                                          .n = 50,
                                          .value = 1,
                                          .low = 1,
                                          .high = 1,
                                          .median_ns = row->ns,
                                          .mad_ns = 1,
                                          .steady = true,
                                          .error = 0,
                                          .clock_mhz = NAN };
    must(store_put_bench_result(s, &r), &ctx);
}

static const json_t *limit_case(const json_t *report, const char *name)
{
    size_t i;
    const json_t *c;
    json_array_foreach(json_object_get(report, "cases"), i, c)
    {
        if (strcmp(json_string_value(json_object_get(c, "case")), name) == 0)
            return c;
    }
    fail_msg("no case '%s'", name);
    return NULL;
}

/* Lines of the table, which end where the sentences begin, have at most 100 columns. */
static void check_width(const char *text)
{
    uint32_t columns = 0, lines = 0;
    for (const char *c = text; *c && strncmp(c, " peaks:", 7) != 0; c++) {
        columns += ((unsigned char)*c & 0xc0) != 0x80; /* not within a character */
        if (*c != '\n')
            continue;
        if (columns > 101)
            fail_msg("line %u has %u columns", lines + 1, columns - 1);
        columns = 0;
        lines++;
    }
    assert_int_equal(lines, 2 + RT_COUNT(limit_rows) + 1); /* one name has its own */
}

static void ops_are_held_against_the_limits_of_their_run(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct rt_device *dev = NULL;
    struct store *s = NULL;
    char env_id[STORE_ID];
    struct store_attempt attempt;
    const struct rt_device_options options = { .name = "ref" };
    must(rt_device_create(&ctx, &options, &dev), &ctx);
    must(store_open(&ctx, "limits.db", STORE_WRITE, &s), &ctx);
    must(store_begin(s), &ctx);
    must(store_put_environment(s, dev, env_id), &ctx);
    struct store_run r = { .kind = "bench", .env_id = env_id, .config = "{}" };
    must(store_run_open(s, &r), &ctx);
    must(store_attempt_open(s, r.id, env_id, &attempt), &ctx);
    for (size_t i = 0; i < RT_COUNT(limit_rows); i++)
        put_limit(s, r.id, &limit_rows[i], (int64_t)i);
    must(store_attempt_close(s, &attempt, "done", 0, NULL), &ctx);
    must(store_commit(s), &ctx);
    store_close(&s);
    rt_device_destroy(&dev);

    must_run("--store limits.db --run latest --json", 0);
    json_t *report = json_load_file("out.txt", 0, NULL);
    const json_t *peaks = json_object_get(report, "peaks");
    assert_float_equal(json_number_value(json_object_get(peaks, "gflops")), 100, 1e-9);
    assert_float_equal(json_number_value(json_object_get(peaks, "gbytes")), 10, 1e-9);
    for (size_t i = 0; i < RT_COUNT(limit_rows); i++) {
        const struct limit_row *row = &limit_rows[i];
        const json_t *c = limit_case(report, row->name);
        assert_string_equal(json_string_value(json_object_get(c, "limit")), row->limit);
        if (row->limit[0])
            assert_float_equal(json_number_value(json_object_get(c, "of_limit")),
                               row->share, 1e-6);
        else
            assert_true(json_is_null(json_object_get(c, "of_limit")));
    }
    const json_t *worst = json_object_get(report, "worst");
    assert_int_equal(json_array_size(worst), 3);
    assert_string_equal(json_string_value(json_array_get(worst, 0)), "small op");
    assert_string_equal(json_string_value(json_array_get(worst, 1)), "slow op");
    assert_string_equal(json_string_value(json_array_get(worst, 2)), "moving op");
    json_decref(report);
    must_run("--store limits.db --run latest", 0);
    char *text = text_of("out.txt");
    check_width(text);
    assert_non_null(strstr(text, "peaks: 100 GFLOP/s (chain b), 10 GB/s (copy); a "
                                 "dispatch 5 us"));
    assert_non_null(strstr(text,
                           "furthest from their limit: small op (5.0 % of "
                           "dispatch), slow op (10 % of FLOP/s), moving op (25 % of "
                           "bytes/s)"));
    free(text);
}

static void gates_give_exit_code_6(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int code;
    } cases[] = {
        { "--store now.db --run latest --compare base.db --fail-if 'slower>5%'", 6 },
        { "--store now.db --run latest --compare base.db --fail-if 'slower>20%'", 0 },
        { "--store now.db --run latest --compare base.db --fail-if 'unclear>1'", 6 },
        { "--store now.db --run latest --compare base.db --fail-if 'unclear>2'", 0 },
        { "--store now.db --run latest --fail-if 'invalid>0'", 6 },
        { "--store now.db --run latest --fail-if 'invalid>1'", 0 },
        { "--store now.db --run latest --fail-if 'slower>5%'", 2 },
        { "--store now.db --run latest --compare base.db --fail-if 'slow'", 2 },
        { "--store now.db --run nothing", 2 },
        { "--store now.db --run latest --compare nothing", 2 },
        { "--store missing.db --run latest", 7 },
        { "--store now.db --run latest --compare out.txt", 7 },
        { "--suite nothing", 2 },
        { "--suite ops --case nothing", 2 },
        { "--seconds 0", 2 },
        { "--passes 0", 2 },
        { "--out xml", 2 },
        { "--suite decode --model missing --store m.db --device ref", 4 },
        { "--suite ops --device moon --store m.db", 3 },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++)
        must_run(cases[i].line, cases[i].code);
}

/* ---- measuring ---- */

static rt_status count_row(void *user, const struct store_row *row)
{
    int64_t *out = user;
    for (int i = 0; i < store_row_count(row); i++)
        out[i] = store_row_integer(row, i);
    return RT_OK;
}

static void a_measured_run_is_stored_with_its_samples(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct store *s = NULL;
    int64_t n[8] = { 0 };
    must_run("--suite ops --case 'rmsnorm *' --device ref --passes 2 --seconds 0.01 "
             "--store m.db --progress none",
             0);
    must_run("--suite decode,train --case '*KL*' --device llvmpipe --tune off --passes 1 "
             "--seconds 0.01 --store m.db --progress none -q",
             0);
    must(store_open(&ctx, "m.db", STORE_READ, &s), &ctx);
    must(store_query(s,
                     "SELECT count(*),sum(status='ok'),sum(value>0 AND ci_lo<=value AND "
                     "value<=ci_hi AND n>0 AND median_ns>0),count(DISTINCT run_id),"
                     "count(DISTINCT case_id),count(DISTINCT ord),max(pass) FROM "
                     "bench_result",
                     NULL, count_row, n),
         &ctx);
    assert_int_equal(n[0], 5); /* two ops twice, a step once */
    assert_int_equal(n[1], 5);
    assert_int_equal(n[2], 5);
    assert_int_equal(n[3], 2); /* every measurement is a run of its own */
    assert_int_equal(n[4], 3);
    assert_int_equal(n[5], 4); /* ordinals of the longer run */
    assert_int_equal(n[6], 1);
    must(store_query(s,
                     "SELECT count(*),sum(length(samples)=16*n),sum(codec LIKE 'i64ns%') "
                     "FROM bench_sample JOIN bench_result USING(run_id,case_id,pass) "
                     "WHERE phase='measured'",
                     NULL, count_row, n),
         &ctx);
    assert_int_equal(n[0], 5);
    assert_int_equal(n[1], 5);
    assert_int_equal(n[2], 5);
    must(store_query(s, "SELECT count(*),sum(status='done') FROM run WHERE kind='bench'",
                     NULL, count_row, n),
         &ctx);
    assert_int_equal(n[0], 2);
    assert_int_equal(n[1], 2);
    must(store_query(s,
                     "SELECT count(*),sum(driver<>''),sum(max_rel_err<1e-5) FROM v_bench "
                     "WHERE suite='ops'",
                     NULL, count_row, n),
         &ctx);
    assert_int_equal(n[0], 4);
    assert_int_equal(n[1], 4);
    assert_int_equal(n[2], 4);
    store_close(&s);
}

static void a_case_that_does_not_fit_is_skipped(void **state)
{
    (void)state;
    must_run("--suite prefill --case '*1024*' --device llvmpipe --tune off --passes 1 "
             "--store skip.db --progress none -q --out csv",
             0);
    char *text = text_of("out.txt");
    assert_non_null(strstr(text, "prefill,\"prefill, 1024 tokens\",tok/s,0,skipped,0,,"));
    free(text);
    must_run("--suite peak --case '*by texels' --device ref --passes 1 --store skip.db "
             "--progress none -q --out csv",
             0);
    text = text_of("out.txt");
    assert_non_null(
        strstr(text, "peak,\"peak_copy 64 MiB, by texels\",GB/s,0,skipped,0,,"));
    assert_non_null(
        strstr(text, "peak,\"peak_read 120 MiB, by texels\",GB/s,0,skipped,0,,"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts_on_scripted_runs),
        cmocka_unit_test(other_settings_are_named_and_stop_verdicts),
        cmocka_unit_test(tables_say_the_same),
        cmocka_unit_test(ops_are_held_against_the_limits_of_their_run),
        cmocka_unit_test(gates_give_exit_code_6),
        cmocka_unit_test(a_measured_run_is_stored_with_its_samples),
        cmocka_unit_test(a_case_that_does_not_fit_is_skipped),
    };
    return cmocka_run_group_tests_name("bench", tests, set_up, tear_down);
}
