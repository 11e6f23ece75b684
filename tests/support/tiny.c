/* tests/support/tiny.c
 * Loads tests/golden/models/qwen2-tiny and makes its text. */
#include "tests/support/tiny.h"

#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

void test_tiny_init(struct test_tiny *t, bool streamed)
{
    const struct rt_device_options options = { .name = "ref" };
    *t = (struct test_tiny){ 0 };
    test_ctx(&t->ctx);
    test_folder_init(&t->to);
    test_path(t->from, sizeof t->from, "tests/golden/models/qwen2-tiny");
    assert_int_equal(rt_device_create(&t->ctx, &options, &t->dev), RT_OK);
    if ((streamed ? rt_model_load_streamed(t->dev, t->from, 64, &t->model)
                  : rt_model_load(t->dev, t->from, 64, &t->model)) != RT_OK)
        fail_msg("%s", t->ctx.message);
    assert_int_equal(rt_model_config(t->model)->layers, TEST_TINY_LAYERS);
    for (uint32_t i = 0; i < TEST_TINY_TOKENS; i++)
        t->ids[i] = (i * 7 + i * i) % rt_model_config(t->model)->vocab;
    t->sequence =
        (struct train_sequence){ .ids = t->ids, .mask = t->mask, .n = TEST_TINY_TOKENS };
}

void test_tiny_deinit(struct test_tiny *t)
{
    rt_model_destroy(&t->model);
    rt_device_destroy(&t->dev);
    test_folder_deinit(&t->to);
}
