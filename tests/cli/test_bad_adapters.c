/* Adapters of kinds that are not supported or with keys that cannot be, as a user meets
 * them in `generate`: one line that names the file and the key, exit code 4. */
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adapters_are_refused_by_kind),
    };
    return test_place_group("bad adapters", &place, tests, RT_COUNT(tests));
}
