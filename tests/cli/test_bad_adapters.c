/* Adapters of kinds that are not supported or with keys that cannot be, as a user meets
 * them in `generate`: one line that names the file and the key, exit code 4. */
#include "runtime/format/checkpoint.h"
#include "runtime/format/peft.h"
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static struct test_place place;

#define GENERATE "generate --device ref --n 2 --prompt 1 --model "

static void adapter(const char *from, const char *to)
{
    test_place_renew(&place.model);
    test_folder_fill(&place.model, "tests/golden/lora/qwen2-tiny/plain");
    test_file_replace(test_folder_file(&place.model, "adapter_config.json"), from, to);
}
static void adapter_kind(void)
{
    adapter("\"LORA\"", "\"IA3\"");
}
static void adapter_dora(void)
{
    adapter("\"use_dora\": false", "\"use_dora\": true");
}
static void adapter_saves(void)
{
    adapter("\"modules_to_save\": null", "\"modules_to_save\": [\"lm_head\"]");
}
static void adapter_rank(void)
{
    adapter("\"r\": 4", "\"r\": 100000000000000000000");
}
static void adapter_alpha(void)
{
    adapter("\"lora_alpha\": 8", "\"lora_alpha\": NaN");
}
static void adapter_scale(void)
{
    adapter("\"use_rslora\": false", "\"use_rslora\": \"no\"");
}

#define ADAPTED GENERATE "@T --adapter @M"
#define ADAPTER "/model/adapter_config.json|"

static void adapters_are_refused_by_kind(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "a kind", adapter_kind, ADAPTED, 4, ADAPTER "'IA3'|LORA is", NULL },
        { "DoRA", adapter_dora, ADAPTED, 4, ADAPTER "DoRA", NULL },
        { "saved modules", adapter_saves, ADAPTED, 4, ADAPTER "modules_to_save", NULL },
        { "a rank beyond 64 bits", adapter_rank, ADAPTED, 4,
          ADAPTER "'r' must be a whole number", NULL },
        { "a scale that is NaN", adapter_alpha, ADAPTED, 4,
          ADAPTER "'lora_alpha' must be a number", NULL },
        { "a text for a truth", adapter_scale, ADAPTED, 4,
          ADAPTER "'use_rslora' must be true or false", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

/* An adapter of the tiny model in the case's folder whose file says that it was trained on
 * the weights of this hash. */
static void adapter_of(const char *base)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_model *model;
    struct fmt_adapter *a;
    char own[65];
    const char *metadata[] = { "base", base ? base : own, NULL };
    test_place_renew(&place.model);
    if (fmt_model_open(&ctx, TEST_SOURCE_DIR "/tests/golden/models/qwen2-tiny", &model) !=
            RT_OK ||
        fmt_model_hash(model, own) != RT_OK ||
        fmt_adapter_read(&ctx, TEST_SOURCE_DIR "/tests/golden/lora/qwen2-tiny/plain",
                         fmt_model_config(model), &a) != RT_OK ||
        fmt_adapter_write(&ctx, place.model.path, a, fmt_model_config(model),
                          "qwen2-tiny", metadata) != RT_OK)
        fail_msg("%s", ctx.message);
    fmt_adapter_destroy(&a);
    fmt_model_close(&model);
}
#define STRANGE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
static void adapter_strange(void)
{
    adapter_of(STRANGE);
}

static void adapters_of_another_base_are_refused(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "another base", adapter_strange, ADAPTED, 4,
          "/model' is the adapter of another model|0123456789ab, those|give the model",
          NULL },
        { "another base in perplexity", adapter_strange,
          "perplexity --device ref --store results.db --model @T --adapter @M --text "
          "@D/README.md",
          4, "/model' is the adapter of another model", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
    /* Its own base; and words of others that are no hash. */
    static const char *const fine[] = { NULL, "some/model" };
    for (size_t i = 0; i < RT_COUNT(fine); i++) {
        struct test_program p;
        adapter_of(fine[i]);
        test_expect_success(&place, ADAPTED, &p);
        test_program_deinit(&p);
    }
    /* Merged it may be, with a word. */
    struct test_program p;
    adapter_of(STRANGE);
    test_expect_success(&place, "merge --model @T --adapter @M --out @O/merged", &p);
    assert_non_null(strstr(p.err, "was trained on weights of hash 0123456789ab"));
    test_program_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adapters_are_refused_by_kind),
        cmocka_unit_test(adapters_of_another_base_are_refused),
    };
    return test_place_group("bad adapters", &place, tests, RT_COUNT(tests));
}
