/* The report says how quantized models were made and which matrices are no better than
 * rounded to nearest; nothing where the file does not know. */
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

enum { MATRICES = 3 };

static struct rt_ctx ctx;

static void must(rt_status st)
{
    if (st != RT_OK)
        fail_msg("%s", ctx.message);
}

/* A variant of weights of its own. */
static void put_variant(struct store *s, const char *label, char id[STORE_ID])
{
    char weights[64];
    snprintf(weights, sizeof weights, "sha256:%s", label);
    const struct store_artifact artifact = { weights, "weights", 1, label };
    struct store_variant v = { .label = label,
                               .role = "quant",
                               .arm = "quant",
                               .weights_id = weights,
                               .arch = "qwen2",
                               .params = 1,
                               .quant = "gptq",
                               .bits_per_weight = 3.25 };
    must(store_put_artifact(s, &artifact));
    must(store_put_variant(s, &v));
    snprintf(id, STORE_ID, "%s", v.id);
}

/* The run that made it: matrix i has the error i + 1 where rounding to nearest has 2.
 * `more` belongs to its configuration. */
static void put_made(struct store *s, const char *env, const char *variant,
                     const char *more, bool measured)
{
    char config[256];
    snprintf(config, sizeof config,
             "{\"made\":\"quantize\",\"method\":\"gptq\",\"bits\":3,\"group\":128,"
             "\"search\":true%s}",
             more);
    struct store_run run = {
        .kind = "train", .variant_id = variant, .env_id = env, .config = config
    };
    must(store_run_open(s, &run));
    must(store_put_metric(s, run.id, "wall_seconds", 0, 12.25));
    must(store_put_metric(s, run.id, "peak_bytes", 0, 3 * 1048576.0));
    for (uint32_t i = 0; i < MATRICES && measured; i++) {
        must(store_put_metric(s, run.id, "layer_error", i, 1.0 + i));
        must(store_put_metric(s, run.id, "layer_error_rtn", i, 2));
    }
}

/* The page of a campaign with one model; `more` NULL: no one knows how it was made. */
static char *page_of(const char *more, bool measured)
{
    size_t size;
    struct store *s = NULL;
    struct rt_device *dev = NULL;
    const struct rt_device_options options = { .name = "ref" };
    char env[STORE_ID], campaign[STORE_ID], benchmark[STORE_ID], variant[STORE_ID];
    const struct pipe_problem problem = {
        .id = "p", .question = "how many?", .answer = "7", .subject = "add"
    };
    const char *file = test_folder_file(&test_scratch, "made.db");
    const char *html = test_folder_file(&test_scratch, "made.html");
    remove(file);
    must(store_open(&ctx, file, STORE_WRITE, &s));
    must(rt_device_create(&ctx, &options, &dev));
    must(store_begin(s));
    must(store_put_environment(s, dev, env));
    rt_device_destroy(&dev);
    must(store_put_campaign(s, "restore", "{}", campaign));
    must(store_put_benchmark(s, "demo", "measure", &problem, 1, benchmark));
    put_variant(s, "three", variant);
    struct store_run run = { .campaign_id = campaign,
                             .kind = "eval",
                             .variant_id = variant,
                             .benchmark_id = benchmark,
                             .env_id = env,
                             .config = "{}" };
    must(store_run_open(s, &run));
    if (more)
        put_made(s, env, variant, more, measured);
    must(store_commit(s));
    must(report_write(s, &ctx, campaign, html));
    store_close(&s);
    return test_file_read(html, &size);
}

static void expect(char *page, const char *part, bool there)
{
    if ((strstr(page, part) != NULL) != there)
        fail_msg("\"%s\" must %sbe in the page", part, there ? "" : "not ");
}

static const char title[] = "How quantized models were made",
                  row[] = ">three</th><td>gptq 3 bits, groups of 128, search</td><td "
                          "class=\"n\">12.2</td><td class=\"n\">3</td>",
                  errors[] = "<td class=\"n\">6</td><td class=\"n\">6</td><td "
                             "class=\"n\">2 of 3</td>";

static void matrices_no_better_are_counted_and_named(void **state)
{
    (void)state;
    char *page = page_of(",\"not_better\":[\"up_proj\",\"<b>\"]", true);
    expect(page, title, true);
    expect(page, row, true);
    expect(page, errors, true);
    expect(page, "No better: <code>up_proj</code>, <code>&lt;b&gt;</code></td>", true);
    free(page);
    page = page_of("", true); /* of an earlier build */
    expect(page, errors, true);
    expect(page, "No better: names are not stored</td>", true);
    free(page);
}

static void what_is_not_known_is_left_out(void **state)
{
    (void)state;
    char *page = page_of(NULL, false);
    expect(page, title, false);
    free(page);
    page = page_of("", false);
    expect(page, row, true);
    expect(page, "not measured</td>", true);
    expect(page, "No better:", false);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrices_no_better_are_counted_and_named),
        cmocka_unit_test(what_is_not_known_is_left_out),
    };
    return cmocka_run_group_tests_name("report of how models were made", tests,
                                       test_scratch_set_up, test_scratch_tear_down);
}
