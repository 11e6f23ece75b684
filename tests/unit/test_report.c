/* The page of a campaign: the same bytes for the same rows, nothing of a foreign text gets
 * out of its place, and stores that hold little give a page that says so. */
#include "store/report/report.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBLEMS = 12, ROLES = 3 };
#define HOSTILE "</style><script>alert(1)</script>\"'&\xff\xfe\x1b[31m\xe2\x80\xae"

static struct test_folder folder;
static struct rt_ctx ctx;
static struct store *store;
static char campaign[STORE_ID], bench[STORE_ID], env[STORE_ID], runs[ROLES][STORE_ID];

static int set_up(void **state)
{
    (void)state;
    char path[120];
    struct rt_device *dev = NULL;
    const struct rt_device_options options = { .name = "ref" };
    struct pipe_problem problems[PROBLEMS];
    static char ids[PROBLEMS][16];
    ctx = (struct rt_ctx){ 0 };
    test_folder_init(&folder);
    snprintf(path, sizeof path, "%.90s/results.db", folder.path);
    for (int i = 0; i < PROBLEMS; i++) {
        snprintf(ids[i], sizeof ids[i], "p%d", i);
        problems[i] = (struct pipe_problem){
            .id = ids[i], .question = HOSTILE, .answer = "1", .subject = HOSTILE
        };
    }
    assert_int_equal(store_open(&ctx, path, STORE_WRITE, &store), RT_OK);
    assert_int_equal(rt_device_create(&ctx, &options, &dev), RT_OK);
    assert_int_equal(store_put_environment(store, dev, env), RT_OK);
    rt_device_destroy(&dev);
    const struct store_artifact weights = { "sha256:w", "weights", 1, HOSTILE };
    assert_int_equal(store_put_artifact(store, &weights), RT_OK);
    assert_int_equal(store_put_campaign(store, "restore", "{}", campaign), RT_OK);
    assert_int_equal(
        store_put_benchmark(store, HOSTILE, "measure", problems, PROBLEMS, bench), RT_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(&store);
    test_folder_deinit(&folder);
    return 0;
}

/* One run of a role; problem i is right where bit i is set. */
static void put_run(int role, uint32_t right)
{
    static const char *const roles[ROLES] = { "full", "quant", "control" };
    struct store_variant v = { .label = role == 2 ? HOSTILE : roles[role],
                               .role = roles[role],
                               .arm = role == 2 ? HOSTILE : NULL,
                               .weights_id = "sha256:w",
                               .arch = "qwen2",
                               .params = 1,
                               .bits_per_weight = 4 };
    assert_int_equal(store_put_variant(store, &v), RT_OK);
    struct store_run run = { .campaign_id = campaign,
                             .kind = "eval",
                             .variant_id = v.id,
                             .benchmark_id = bench,
                             .env_id = env,
                             .config = "{}" };
    assert_int_equal(store_run_open(store, &run), RT_OK);
    snprintf(runs[role], STORE_ID, "%s", run.id);
    for (int i = 0; i < PROBLEMS; i++) {
        char id[16];
        snprintf(id, sizeof id, "p%d", i);
        const struct pipe_generation g = { .problem_id = id,
                                           .prompt_hash = "h",
                                           .output = HOSTILE "\n#### 1" };
        const struct pipe_score score = { .grader = "demo",
                                          .extracted = HOSTILE,
                                          .extract_ok = true,
                                          .correct = right >> i & 1 };
        const struct pipe_step steps[] = { { 0, 10, 0, 0 }, { 10, 20, 0, 0 } };
        assert_int_equal(store_put_generation(store, run.id, &g, &score, steps, 2),
                         RT_OK);
        if (role == 1 && !(right >> i & 1)) {
            char gen[STORE_ID];
            const struct pipe_fault fault = { "verdict", 1,   -1, PIPE_CAT_METHOD_FORMULA,
                                              0.5,       "{}" };
            store_gen_id(run.id, id, 0, gen);
            assert_int_equal(store_put_fault(store, run.id, gen, &fault), RT_OK);
        }
    }
    assert_int_equal(store_run_close(store, run.id, "done", 0, NULL), RT_OK);
}

static char *page(const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%.90s/%s", folder.path, name);
    if (report_write(store, &ctx, NULL, path) != RT_OK)
        fail_msg("%s", ctx.message);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    const size_t n = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    assert_true(n > 1000);
    return text;
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

/* What holds for every page, whatever is in it. */
static void check_page(const char *text)
{
    assert_int_equal(count(text, "<script"), 1);
    assert_int_equal(count(text, "</style>"), 1);
    assert_null(strstr(text, "alert(1)</script"));
    assert_null(strstr(text, "\xff"));
    assert_null(strstr(text, "\x1b"));
    assert_null(strstr(text, "\xe2\x80\xae"));
    assert_null(strstr(text, "http://"));
    assert_null(strstr(text, "https://"));
    assert_null(strstr(text, " style="));
    assert_non_null(strstr(text, "Content-Security-Policy"));
    assert_non_null(strstr(text, "</html>"));
    assert_null(strstr(text, "nan"));
}

static void a_campaign_without_results_gives_a_page(void **state)
{
    (void)state;
    char *text = page("empty.html");
    check_page(text);
    free(text);
}

static void one_variant_gives_a_page(void **state)
{
    (void)state;
    put_run(0, 0xfff);
    char *text = page("one.html");
    check_page(text);
    free(text);
}

static void foreign_text_stays_text(void **state)
{
    char comparison[STORE_ID];
    (void)state;
    put_run(1, 0x0f0);
    put_run(2, 0x3f1);
    assert_int_equal(store_put_comparison(store, campaign, bench, "demo", runs[0],
                                          runs[1], runs[2], comparison),
                     RT_OK);
    char *text = page("all.html");
    check_page(text);
    assert_true(count(text, "&lt;script&gt;alert(1)&lt;/script&gt;") >= PROBLEMS / 2);
    free(text);
}

static void the_same_rows_give_the_same_bytes(void **state)
{
    (void)state;
    char *a = page("a.html"), *b = page("b.html");
    assert_string_equal(a, b);
    free(a);
    free(b);
}

static void an_unknown_campaign_is_said(void **state)
{
    char path[160];
    (void)state;
    snprintf(path, sizeof path, "%.90s/none.html", folder.path);
    assert_int_equal(report_write(store, &ctx, "sha256:none", path), RT_ERR_USAGE);
    assert_non_null(strstr(ctx.message, "sha256:none"));
    FILE *file = fopen(path, "rb");
    assert_null(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_campaign_without_results_gives_a_page),
        cmocka_unit_test(one_variant_gives_a_page),
        cmocka_unit_test(foreign_text_stays_text),
        cmocka_unit_test(the_same_rows_give_the_same_bytes),
        cmocka_unit_test(an_unknown_campaign_is_said),
    };
    return cmocka_run_group_tests_name("the report", tests, set_up, tear_down);
}
