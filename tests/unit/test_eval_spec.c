/* What an evaluation is asked for, as text: variants, shards, times, formats. */
#include "pipeline/run/eval_spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_variant_has_role_folder_adapter(void **state)
{
    static const struct {
        const char *text, *role, *label, *folder, *adapter;
    } cases[] = {
        { "some/model", "full", "full", "some/model", "" },
        { "quant=some/model", "quant", "quant", "some/model", "" },
        { "quant:gptq-3=a/m", "quant", "gptq-3", "a/m", "" },
        { ":first=m+lora", "restored", "first", "m", "lora" },
        { "quant=a:b", "quant", "quant", "a:b", "" },
        { "some/model+lora", "restored", "restored", "some/model", "lora" },
        { "control=m+a+b", "control", "control", "m+a", "b" },
        { "a-name-longer-than-any-role=x", "full", "full",
          "a-name-longer-than-any-role=x", "" },
    };
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_variant_spec v;
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        assert_int_equal(pipe_variant_spec_parse(&ctx, cases[i].text, &v), RT_OK);
        assert_string_equal(v.role, cases[i].role);
        assert_string_equal(v.label, cases[i].label);
        assert_string_equal(v.folder, cases[i].folder);
        assert_string_equal(v.adapter, cases[i].adapter);
    }
    assert_int_equal(pipe_variant_spec_parse(&ctx, "other=m", &v), RT_ERR_USAGE);
    assert_int_equal(pipe_variant_spec_parse(&ctx, "quant:=m", &v), RT_ERR_USAGE);
    assert_int_equal(pipe_variant_spec_parse(&ctx, "quant:a b=m", &v), RT_ERR_USAGE);
    assert_int_equal(pipe_variant_spec_parse(&ctx,
                                             "quant:a-label-of-forty-characters-or-more-"
                                             "than=m",
                                             &v),
                     RT_ERR_USAGE);
    assert_int_equal(pipe_variant_spec_parse(&ctx, "full=m+lora", &v), RT_ERR_USAGE);
    assert_int_equal(pipe_variant_spec_make(&ctx, "", "m=n", "lora", &v), RT_OK);
    assert_string_equal(v.folder, "m=n");
    assert_string_equal(v.role, "restored");
    assert_int_equal(pipe_variant_spec_make(&ctx, "quant", "m", "lora", &v),
                     RT_ERR_USAGE);
}

/* A path is taken whole or refused. */
static void a_path_that_has_no_room_is_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_variant_spec v;
    char path[sizeof v.folder + 1] = "";
    memset(path, 'm', sizeof path - 2);
    assert_int_equal(pipe_variant_spec_make(&ctx, "", path, path, &v), RT_OK);
    assert_string_equal(v.folder, path);
    assert_string_equal(v.adapter, path);
    path[sizeof path - 2] = 'm';
    assert_int_equal(pipe_variant_spec_make(&ctx, "", path, NULL, &v), RT_ERR_USAGE);
    assert_int_equal(pipe_variant_spec_make(&ctx, "", "m", path, &v), RT_ERR_USAGE);
}

/* A folder that is there is no text to take apart. */
static void a_folder_may_have_signs_in_its_name(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_variant_spec v;
    char folder[] = "/tmp/quant=a+b-XXXXXX";
    assert_non_null(mkdtemp(folder));
    assert_int_equal(pipe_variant_spec_parse(&ctx, folder, &v), RT_OK);
    assert_string_equal(v.role, "full");
    assert_string_equal(v.folder, folder);
    assert_string_equal(v.adapter, "");
    assert_int_equal(rmdir(folder), 0);
}

static void shards(void **state)
{
    static const char *const bad[] = { "",    "1",    "0/4",  "5/4",      "2/4x",
                                       "a/4", "2/-1", "2 /4", "1/100001", "/" };
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_wanted w = pipe_wanted_all();
    assert_int_equal(pipe_shard_parse(&ctx, "2/4", &w), RT_OK);
    assert_int_equal(w.shard, 2);
    assert_int_equal(w.shards, 4);
    for (size_t i = 0; i < RT_COUNT(bad); i++)
        assert_int_equal(pipe_shard_parse(&ctx, bad[i], &w), RT_ERR_USAGE);
    assert_int_equal(w.shards, 4);
}

static void times(void **state)
{
    static const struct {
        const char *text;
        double seconds;
    } good[] = { { "90", 90 }, { "90s", 90 },     { "15m", 900 }, { "2h", 7200 },
                 { "0s", 0 },  { "1h30m", 5400 }, { "1.5m", 90 }, { "1m1", 61 } };
    static const char *const bad[] = { "", "x", "5q", "-1", "inf", "nan", "1h x", "m" };
    (void)state;
    double s;
    for (size_t i = 0; i < RT_COUNT(good); i++) {
        assert_true(pipe_seconds_parse(good[i].text, &s));
        assert_true(s >= good[i].seconds && s <= good[i].seconds);
    }
    for (size_t i = 0; i < RT_COUNT(bad); i++)
        assert_false(pipe_seconds_parse(bad[i], &s));
}

static void formats(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    const struct pipe_prompt_format *f;
    assert_int_equal(pipe_format_named(&ctx, NULL, &f), RT_OK);
    assert_null(f);
    assert_int_equal(pipe_format_named(&ctx, "demo", &f), RT_OK);
    assert_string_equal(f->name, "demo");
    assert_int_equal(pipe_format_named(&ctx, "nosuch", &f), RT_ERR_USAGE);
    assert_non_null(strstr(ctx.message, "demo"));
    assert_string_equal(pipe_format_usual("a/list.jsonl")->name, "demo");
    assert_string_equal(pipe_format_usual("gsm8k:test[0:9]")->name, "gsm8k-8shot-cot");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_variant_has_role_folder_adapter),
        cmocka_unit_test(a_path_that_has_no_room_is_refused),
        cmocka_unit_test(a_folder_may_have_signs_in_its_name),
        cmocka_unit_test(shards),
        cmocka_unit_test(times),
        cmocka_unit_test(formats),
    };
    return cmocka_run_group_tests_name("what eval is asked for", tests, NULL, NULL);
}
