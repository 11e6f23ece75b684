/* Parts of the report alone. Blame: charts and table are those of the rows, left out where there
 * are none, and the names that the page has without a model are those of the model. Locators:
 * what they cost. Full precision: a quantized file only stands in for it. */
#include "pipeline/blame_part.h"
#include "runtime/format/peft.h"
#include "runtime/model/model_layout.h"
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

enum { PROBLEMS = 4 };

static struct test_folder folder;
static struct rt_ctx ctx;
static struct store *store;
static char campaign[STORE_ID], env[STORE_ID], measured[STORE_ID];
static const char *full_is; /* how full is quantized, null: it is not */

static void must(rt_status st)
{
    if (st != RT_OK)
        fail_msg("%s", ctx.message);
}

static void open_run(const char *kind, const char *role, const char *benchmark,
                     const char *config, struct store_run *run)
{
    struct store_variant v = { .label = role,
                               .role = role,
                               .weights_id = "sha256:w",
                               .arch = "qwen2",
                               .params = 1,
                               .quant = strcmp(role, "full") == 0 ? full_is : "rtn 3 bit",
                               .bits_per_weight = 3.25 };
    const struct store_artifact weights = { "sha256:w", "weights", 1, NULL };
    must(store_put_artifact(store, &weights));
    must(store_put_variant(store, &v));
    *run = (struct store_run){ .campaign_id = campaign,
                               .kind = kind,
                               .variant_id = v.id,
                               .benchmark_id = benchmark,
                               .env_id = env,
                               .config = config };
    must(store_run_open(store, run));
}

/* Four measured problems; full solves all, the quantized model three. */
static void fill(const char *name)
{
    static const char *const ids[PROBLEMS] = { "a", "b", "c", "d" };
    struct rt_device *dev = NULL;
    struct pipe_problem problems[PROBLEMS];
    const struct rt_device_options options = { .name = "ref" };
    must(store_open(&ctx, test_folder_file(&folder, name), STORE_WRITE, &store));
    must(rt_device_create(&ctx, &options, &dev));
    must(store_begin(store));
    must(store_put_environment(store, dev, env));
    rt_device_destroy(&dev);
    must(store_put_campaign(store, "restore", "{}", campaign));
    for (int i = 0; i < PROBLEMS; i++)
        problems[i] =
            (struct pipe_problem){ .id = ids[i], .question = "1+1?", .answer = "2" };
    must(store_put_benchmark(store, "demo", "measure", problems, PROBLEMS, measured));
    for (int quant = 0; quant < 2; quant++) {
        struct store_run run;
        open_run("eval", quant ? "quant" : "full", measured, "{}", &run);
        for (int i = 0; i < PROBLEMS; i++) {
            const struct pipe_generation g = {
                .problem_id = ids[i], .prompt_hash = "h", .output = "#### 2", .n_gen = 2
            };
            const struct pipe_score score = { .grader = "demo",
                                              .extracted = "2",
                                              .extract_ok = true,
                                              .correct = !quant || i > 0 };
            must(store_put_generation(store, run.id, &g, &score, NULL, 0));
        }
    }
}

/* Ends the filling, writes the page and reads it; free() it. */
static char *page(void)
{
    size_t size;
    const char *path = test_folder_file(&folder, "report.html");
    must(store_commit(store));
    must(report_write(store, &ctx, NULL, path));
    store_close(&store);
    char *text = test_file_read(path, &size);
    assert_int_equal(strlen(text), size);
    return text;
}

static void expect(const char *text, const char *part, bool wanted)
{
    if ((strstr(text, part) != NULL) != wanted)
        fail_msg("the page %s \"%s\"", wanted ? "does not say" : "holds", part);
}

/* What blame measured of the quantized model: four kinds, three layers, one matrix. */
static void put_blame(double kl)
{
    static const struct {
        int64_t step;
        double kl;
    } parts[] = { { 0, 0 },          { 1, 0.25 },     { 2, 0.5 },    { 3, 0.375 },
                  { 4, 0.5 },        { 32, 0.5 },     { 64, 0.125 }, { 96, 0.625 },
                  { 64 + 10, 0.25 }, { 64 + 31, 0.1 } }; /* the last is no part */
    struct store_run run;
    char benchmark[STORE_ID];
    must(store_put_benchmark(store, "<b>text</b>", "text:1", NULL, 0, benchmark));
    open_run("eval", "quant", benchmark, "{\"blame\":true,\"base\":\"w\"}", &run);
    must(store_put_metric(store, run.id, "text_kl", 0, kl));
    must(store_put_metric(store, run.id, "text_kl_error", 0, 0.01));
    must(store_put_metric(store, run.id, "text_tokens", 0, 200));
    for (size_t i = 0; i < RT_COUNT(parts); i++) {
        must(store_put_metric(store, run.id, "blame_kl", parts[i].step, parts[i].kl));
        must(store_put_metric(store, run.id, "blame_error", parts[i].step, 0.0625));
    }
    must(store_put_metric(store, run.id, "blame_lost", 0, 3));
    must(store_put_metric(store, run.id, "blame_kept", 0, 5));
    must(store_put_metric(store, run.id, "blame_mended", 64, 2));
    must(store_put_metric(store, run.id, "blame_broken", 64, 1));
}

static void test_blame(void **state)
{
    (void)state;
    char other[STORE_ID];
    fill("blame.db");
    put_blame(0.5);
    /* A later campaign that measured no problems is not what the page is about. */
    must(store_put_campaign(store, "blame", "{}", other));
    char *text = page();
    expect(text, "3 of 4 right", true);
    expect(text, "<h3 id=\"blame\">Where the damage arises</h3>", true);
    expect(text, "(200 tokens): KL of full precision and the quantized model 0.500000",
           true);
    /* Layer 1 has the largest gain, 0.375 of 0.5: the whole width of its chart. */
    expect(text,
           "y=\"34\">layer 1</text><rect class=\"cq\" x=\"198\" y=\"22\" "
           "width=\"180.0\" height=\"14\"/>",
           true);
    expect(text,
           "y=\"16\">layer 0</text><rect class=\"cq\" x=\"198\" y=\"4\" "
           "width=\"0.0\"",
           true);
    expect(text, "+75.0\xc2\xa0%</text>", true);
    expect(text, "q_proj, k_proj, v_proj</text>", true);
    expect(text,
           "<td>layer</td><th scope=\"row\" class=\"nw\">layer 1</th><td "
           "class=\"n\">0.125000</td><td class=\"n\">+0.375000 \xc2\xb1 "
           "0.122500</td><td class=\"n\">+75.0\xc2\xa0%</td><td class=\"n\">2 of "
           "3</td><td class=\"n\">1 of 5</td>",
           true);
    expect(text, ">model.layers.1.mlp.up_proj</th>", true);
    expect(text,
           "\xe2\x88\x92"
           "25.0\xc2\xa0%</text>",
           true); /* layer 2 does harm back */
    const char *matrix = strstr(text, "<td>matrix</td>");
    assert_true(matrix && !strstr(matrix + 1, "<td>matrix</td>"));
    expect(text, "<b>text", false);
    expect(text, "nan", false);
    free(text);

    /* Nothing was lost: no share, no chart, and no division by it. */
    fill("blameless.db");
    put_blame(0);
    text = page();
    expect(text, "<h3 id=\"blame\">", true);
    expect(text, "Share of the KL that goes, by", false);
    free(text);

    fill("unblamed.db");
    text = page();
    expect(text, "Where the damage arises", false);
    free(text);
}

/* The program's text is called "bundled"; a file keeps its name, whatever it is. */
static void test_the_bundled_text(void **state)
{
    (void)state;
    static const char *const names[] = { "bundled", "bundled.txt" };
    for (int i = 0; i < 2; i++) {
        char file[32], benchmark[STORE_ID];
        struct store_run run;
        snprintf(file, sizeof file, "retained-%d.db", i);
        fill(file);
        must(store_put_benchmark(store, names[i], "text:1", NULL, 0, benchmark));
        open_run("eval", "quant", benchmark, "{}", &run);
        must(store_put_metric(store, run.id, "text_perplexity", 0, 12));
        must(store_put_metric(store, run.id, "text_perplexity_full", 0, 10));
        must(store_put_metric(store, run.id, "text_vocabulary", 0, 500));
        char *text = page();
        expect(text, names[i], true);
        expect(text, "is in the program: 512 words", i == 0);
        free(text);
    }
}

/* The names that the report has without a model are those of the model, and steps and places
 * are one to one. */
static void test_blame_names(void **state)
{
    (void)state;
    char name[PIPE_BLAME_NAME], path[PIPE_BLAME_NAME];
    struct pipe_blame_place place;
    const struct fmt_config config = {
        .hidden = 8, .ffn = 8, .heads = 1, .kv_heads = 1, .head_dim = 8
    };
    struct model_group_shape shape[MODEL_GROUP_COUNT];
    model_group_shapes(&config, shape);
    for (uint32_t m = 0; m < FMT_MODULE_COUNT; m++) {
        place = (struct pipe_blame_place){ PIPE_BLAME_MATRIX, 11, m };
        pipe_blame_name(&place, name);
        snprintf(path, sizeof path, "model.layers.11.%s", fmt_module_path[m]);
        assert_string_equal(name, path);
    }
    for (uint32_t g = 0; g < MODEL_GROUP_COUNT; g++) {
        char all[PIPE_BLAME_NAME] = "";
        for (uint32_t i = 0; i < shape[g].parts; i++)
            snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "",
                     strrchr(fmt_module_path[shape[g].module[i]], '.') + 1);
        place = (struct pipe_blame_place){ PIPE_BLAME_KIND, 0, g };
        pipe_blame_name(&place, name);
        assert_string_equal(name, all);
    }
    for (int64_t step = -1, parts = 0; step <= 3 * 32; step++) {
        const bool is = pipe_blame_place_of(step, &place);
        if (is && pipe_blame_step(&place) != step)
            fail_msg("step %d is not its own", (int)step);
        parts += is;
        if (step == 3 * 32)
            assert_int_equal(parts, 1 + 4 + 8 + 8 + 1);
    }
}

/* A locate run of the quantized model's wrong answer. */
static void put_locate(void)
{
    struct store_run eval, locate;
    char gen[STORE_ID];
    const struct pipe_fault fault = { .locator = "verdict",
                                      .step = 0,
                                      .token = -1,
                                      .category = PIPE_CAT_EXECUTION_COMPUTATION,
                                      .confidence = 0.9,
                                      .evidence = "{}" };
    static const struct {
        const char *name;
        double value;
    } numbers[] = { { "judged", 1 },          { "chance", 0.25 },
                    { "check_said", 1 },      { "check_right", 1 },
                    { "check_tokens", 0 },    { "rollout_tokens", 12345 },
                    { "forced_tokens", 777 }, { "kl_tokens", 888 },
                    { "twin_said", 0 } };
    open_run("eval", "quant", measured, "{}", &eval);
    open_run("locate", "quant", measured, "{}", &locate);
    store_gen_id(eval.id, "a", 0, gen);
    must(store_put_fault(store, locate.id, gen, &fault));
    for (size_t i = 0; i < RT_COUNT(numbers); i++)
        must(store_put_metric(store, locate.id, numbers[i].name, 0, numbers[i].value));
}

/* A locator that nothing judged has its cost; one of an older file has no cost. */
static void test_cost_of_locators(void **state)
{
    (void)state;
#define DASH "<td class=\"n\">\xe2\x80\x93</td>"
#define CHANCE "<td class=\"n\">25\xc2\xa0%</td>"
    fill("locators.db");
    put_locate();
    char *text = page();
    expect(text, "by chance</th><th class=\"n\">tokens</th>", true);
    expect(text, CHANCE "<td class=\"n\">0</td></tr>", true);
    expect(text,
           "<td>rollout</td>" DASH DASH DASH DASH DASH "<td class=\"n\">12345</td></tr>",
           true);
    expect(text, "<td>twin</td><td class=\"n\">0 of 1</td>", true);
    expect(text, CHANCE DASH "</tr>", true);
    expect(text, ">forced<", false);
    expect(text, ">kl<", false);
    free(text);
}

static void test_full_stands_in(void **state)
{
    (void)state;
    full_is = "Q4_K, Q6_K";
    fill("stand-in.db");
    full_is = NULL;
    char *text = page();
    const char *first = strstr(text, "ull precision");
    assert_non_null(first);
    if (strncmp(first - strlen("Stands in for f"), "Stands in for f", 15) != 0)
        fail_msg("the first name of it is '%.60s'", first - 20);
    expect(text,
           "is itself a quantized file (Q4_K, Q6_K, 3.25 bits per weight): it stands "
           "in for full precision",
           true);
    expect(text, "Quantized against what stands in for full precision:", true);
    expect(text, ">full (stands in for full precision)</th>", true);
    free(text);

    fill("true.db");
    text = page();
    expect(text, "tands in for", false);
    expect(text, "<span>Full precision</span>", true);
    free(text);
}

static int set_up(void **state)
{
    (void)state;
    test_folder_init(&folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_folder_deinit(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blame),          cmocka_unit_test(test_the_bundled_text),
        cmocka_unit_test(test_blame_names),    cmocka_unit_test(test_cost_of_locators),
        cmocka_unit_test(test_full_stands_in),
    };
    return cmocka_run_group_tests_name("report_sections", tests, set_up, tear_down);
}
