/* `model show` and `tool dequant` as a user runs them: what they print, and the exit
 * codes of models that cannot be read or do not belong together. */
#include "runtime/engine/engine.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/random_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static struct test_folder scratch;

/* Runs `faultline ARGUMENTS`, output into two files of the scratch folder; its exit
 * code. */
static int run(const char *arguments)
{
    char command[4096];
    const char *build = getenv("FAULTLINE_BUILD");
    snprintf(command, sizeof command, "%s/faultline %s >%s 2>%s",
             build ? build : TEST_BUILD_DIR, arguments, test_folder_file(&scratch, "out"),
             test_folder_file(&scratch, "err"));
    const int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void assert_says(const char *file, const char *text)
{
    size_t size;
    char *all = test_file_read(test_folder_file(&scratch, file), &size);
    if (!strstr(all, text))
        fail_msg("'%s' does not say '%s': %s", file, text, all);
    free(all);
}

static const char *model(const char *name)
{
    static char path[1024];
    char relative[128];
    snprintf(relative, sizeof relative, "tests/golden/models/%s", name);
    return test_path(path, sizeof path, relative);
}

static void a_model_is_shown(void **state)
{
    (void)state;
    char arguments[2048];
    snprintf(arguments, sizeof arguments, "model show '%s' --device ref",
             model("qwen2-tiny-rtn4-ct"));
    assert_int_equal(run(arguments), 0);
    assert_says("out", "qwen2: 3 layers, hidden 96, ffn 160, 6 heads of 16 on 2");
    assert_says("out", "down_proj    3 x pack-quantized 4 bit, rows");
    assert_says("out", "head             the embedding");
    assert_says("out", "64 x 256");
    snprintf(arguments, sizeof arguments,
             "model show '%s' --device ref --context 100 --json", model("qwen3-tiny"));
    assert_int_equal(run(arguments), 0);
    json_t *root = json_load_file(test_folder_file(&scratch, "out"), 0, NULL);
    const json_t *device = json_array_get(json_object_get(root, "devices"), 0);
    const json_t *fits = json_array_get(json_object_get(device, "fits"), 0);
    assert_string_equal(json_string_value(json_object_get(root, "family")), "qwen3");
    assert_int_equal(json_integer_value(json_object_get(fits, "context")), 100);
    assert_int_equal(json_integer_value(json_object_get(fits, "requests")), 64);
    json_decref(root);
}

static void the_licence_is_the_model_cards(void **state)
{
    (void)state;
    static const char card[] =
        "---\nlanguage: en\nlicense: \"apache-2.0\"\n---\nlicense: x\n";
    char arguments[2048];
    struct test_folder folder;
    test_folder_init(&folder);
    test_folder_fill(&folder, "tests/golden/models/llama-tiny");
    test_file_write(test_folder_file(&folder, "README.md"), card, strlen(card));
    snprintf(arguments, sizeof arguments, "model show '%s' --device ref", folder.path);
    assert_int_equal(run(arguments), 0);
    assert_says("out", "licence    apache-2.0\n");
    test_folder_deinit(&folder);
}

static void a_tensor_is_written_as_floats(void **state)
{
    (void)state;
    char arguments[2048], path[600];
    size_t size;
    snprintf(path, sizeof path, "%s", test_folder_file(&scratch, "floats"));
    const struct {
        const char *model, *tensor;
        size_t bytes;
    } cases[] = {
        { "qwen2-tiny-rtn4-ct", "model.layers.1.mlp.up_proj", 160 * 96 * 4 },
        { "qwen2-tiny-rtn4-ct", "model.layers.1.mlp.up_proj.weight_packed",
          160 * 96 * 4 },
        { "qwen3-tiny", "model.layers.0.self_attn.q_norm.weight", 32 * 4 },
        { "qwen2-tiny-untied-bf16", "lm_head.weight", 203 * 64 * 4 },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        snprintf(arguments, sizeof arguments,
                 "tool dequant --model '%s' --tensor %s -o '%s'", model(cases[i].model),
                 cases[i].tensor, path);
        assert_int_equal(run(arguments), 0);
        free(test_file_read(path, &size));
        assert_int_equal(size, cases[i].bytes);
    }
}

static void what_cannot_be_shown_has_its_exit_code(void **state)
{
    (void)state;
    char arguments[2048];
    struct test_folder folder;
    test_folder_init(&folder);
    test_folder_fill(&folder, "tests/golden/models/llama-tiny");
    test_file_replace(test_folder_file(&folder, "config.json"), "\"llama\"", "\"bloom\"");
    const struct {
        const char *arguments, *says;
        int code;
    } cases[] = {
        { "model show '%s'", "model family 'bloom' is not supported", 4 },
        { "tool dequant --model '%s' --tensor none -o x", "has no tensor 'none'", 4 },
        { "tool dequant --model '%s' --tensor none", "--out", 2 },
        { "model '%s'", "needs one model folder", 2 },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        const char *at = strstr(cases[i].arguments, "%s");
        snprintf(arguments, sizeof arguments, "%.*s%s%s", (int)(at - cases[i].arguments),
                 cases[i].arguments, folder.path, at + 2);
        assert_int_equal(run(arguments), cases[i].code);
        assert_says("err", cases[i].says);
    }
    snprintf(arguments, sizeof arguments, "model show '%s' --device voodoo",
             model("llama-tiny"));
    assert_int_equal(run(arguments), 3);
    test_folder_deinit(&folder);
}

enum { LONG_CONTEXT = 4096, LONG_TOKEN = 4096 /* bytes of one in a layer's cache */ };

/* A device that binds less at once than a layer's cache of 64 long requests; null: none. */
static struct rt_device *narrow_device(struct rt_ctx *ctx, struct test_device *device)
{
    struct test_device all[16];
    const uint32_t count = test_devices(all, 16);
    for (uint32_t i = 0; i < count; i++) {
        *device = all[i];
        device->kv = RT_KV_F32;
        struct rt_device *dev = test_device_open(ctx, device);
        if (rt_device_plan(dev)->binding_bytes_max < 64ull * LONG_CONTEXT * LONG_TOKEN)
            return dev;
        rt_device_destroy(&dev);
    }
    return NULL;
}

/* What `model show` tells of that context: requests at once, pages. */
static void read_shown(const struct test_device *device, const char *folder,
                       json_int_t *requests, json_int_t *pages)
{
    char arguments[2048];
    snprintf(arguments, sizeof arguments,
             "model show '%s' --device %s --family %s --context %d --kv f32 --json",
             folder, device->device, rt_family_names[device->family], LONG_CONTEXT);
    assert_int_equal(run(arguments), 0);
    json_t *root = json_load_file(test_folder_file(&scratch, "out"), 0, NULL);
    const json_t *shown = json_array_get(json_object_get(root, "devices"), 0);
    const json_t *fits = json_array_get(json_object_get(shown, "fits"), 0);
    *requests = json_integer_value(json_object_get(fits, "requests"));
    *pages = json_integer_value(json_object_get(fits, "pages"));
    json_decref(root);
}

static void what_is_shown_to_fit_is_what_the_engine_makes(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct test_device device;
    struct test_folder folder;
    struct rt_model *model = NULL;
    struct rt_engine *engine = NULL;
    struct rt_engine_stats stats;
    json_int_t requests, pages;
    test_ctx(&ctx);
    struct rt_device *dev = narrow_device(&ctx, &device);
    if (!dev)
        skip();
    test_folder_init(&folder);
    test_random_model(&folder, 256);
    read_shown(&device, folder.path, &requests, &pages);
    const struct rt_engine_options options = { .slots = (uint32_t)requests,
                                               .rows_max = 64,
                                               .context = LONG_CONTEXT };
    if (rt_model_load(dev, folder.path, LONG_CONTEXT, &model) != RT_OK ||
        rt_engine_create(model, NULL, &options, &engine) != RT_OK)
        fail_msg("%s", ctx.message);
    rt_engine_stats_get(engine, &stats);
    printf("    %s: %lld requests, %lld pages\n", device.name, (long long)requests,
           (long long)pages);
    assert_true(requests > 0 && requests < 64);
    assert_int_equal(stats.pages, pages);
    rt_engine_destroy(&engine);
    rt_model_destroy(&model);
    rt_device_destroy(&dev);
    test_folder_deinit(&folder);
}

/* Heads for which no Vulkan device has kernels: shown, and refused at load. */
static void a_head_size_without_kernels_is_refused(void **state)
{
    (void)state;
    struct test_device device;
    struct test_folder folder;
    char arguments[2048];
    if (!test_device_vulkan(&device))
        skip();
    test_folder_init(&folder);
    test_random_model(&folder, 264);
    snprintf(arguments, sizeof arguments, "model show '%s' --device %s", folder.path,
             device.device);
    assert_int_equal(run(arguments), 0);
    assert_says("out", "no kernels for heads of 264");
    static const char logits[] =
        "tool logits --model '%s' --device %s --ids 1,2,3 -o '%s'";
    char file[600];
    snprintf(file, sizeof file, "%s", test_folder_file(&scratch, "logits"));
    snprintf(arguments, sizeof arguments, logits, folder.path, device.device, file);
    assert_int_equal(run(arguments), 3);
    assert_says("err", "has heads of 264");
    assert_says("err", "kernels for heads of up to 256; use --device ref");
    snprintf(arguments, sizeof arguments, logits, folder.path, "ref", file);
    assert_int_equal(run(arguments), 0);
    test_folder_deinit(&folder);
}

/* The demo's tokenizer beside a model with a smaller embedding. */
static void a_tokenizer_of_another_model_is_refused(void **state)
{
    (void)state;
    char arguments[4096], demo[1024], problems[1024];
    size_t size;
    struct test_folder folder;
    test_folder_init(&folder);
    test_folder_fill(&folder, "tests/golden/models/qwen2-tiny");
    char *tokenizer = test_file_read(
        test_path(demo, sizeof demo, "pipeline/demo/tokenizer.json"), &size);
    test_file_write(test_folder_file(&folder, "tokenizer.json"), tokenizer, size);
    free(tokenizer);
    snprintf(arguments, sizeof arguments,
             "eval --model '%s' --problems '%s[0:2]' --store '%s' --device ref",
             folder.path,
             test_path(problems, sizeof problems, "pipeline/demo/measure.jsonl"),
             test_folder_file(&scratch, "store.db"));
    assert_int_equal(run(arguments), 4);
    assert_says("err", "ids up to 574, the embedding of the model has 331 rows");
    test_folder_deinit(&folder);
}

static int set_up(void **state)
{
    (void)state;
    test_folder_init(&scratch);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_folder_deinit(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_shown),
        cmocka_unit_test(the_licence_is_the_model_cards),
        cmocka_unit_test(a_tensor_is_written_as_floats),
        cmocka_unit_test(what_cannot_be_shown_has_its_exit_code),
        cmocka_unit_test(what_is_shown_to_fit_is_what_the_engine_makes),
        cmocka_unit_test(a_head_size_without_kernels_is_refused),
        cmocka_unit_test(a_tokenizer_of_another_model_is_refused),
    };
    return cmocka_run_group_tests_name("model commands", tests, set_up, tear_down);
}
