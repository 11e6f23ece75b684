/* tests/support/tiny.c
 * Loads tests/golden/models/qwen2-tiny and makes its text. */
#include "tests/support/tiny.h"

#include "runtime/format/safetensors.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* A copy of the model with one large norm. */
static void write_overflowing(struct test_tiny *t, const char *to)
{
    struct fmt_safetensors file;
    char path[1200];
    assert_int_equal(fmt_make_folder(&t->ctx, to), RT_OK);
    snprintf(path, sizeof path, "%s/config.json", t->from);
    char other[1200];
    snprintf(other, sizeof other, "%s/config.json", to);
    assert_int_equal(fmt_copy_if_there(&t->ctx, path, other), RT_OK);
    snprintf(path, sizeof path, "%s/model.safetensors", t->from);
    assert_int_equal(fmt_safetensors_open(&t->ctx, path, &file), RT_OK);
    struct fmt_tensor_out *tensors = calloc(file.count, sizeof *tensors);
    float large[1024];
    for (size_t i = 0; i < RT_COUNT(large); i++)
        large[i] = 1e25f;
    for (uint32_t i = 0; i < file.count; i++) {
        const struct fmt_tensor *one = &file.tensors[i];
        tensors[i] = (struct fmt_tensor_out){
            .name = one->name, .dtype = one->dtype, .dims = one->dims, .data = one->data
        };
        memcpy(tensors[i].shape, one->shape, sizeof one->shape);
        if (strcmp(one->name, "model.layers.1.post_attention_layernorm.weight") == 0) {
            assert_true(one->count <= RT_COUNT(large));
            tensors[i].dtype = FMT_F32;
            tensors[i].data = large;
        }
    }
    snprintf(path, sizeof path, "%s/model.safetensors", to);
    assert_int_equal(fmt_safetensors_write(&t->ctx, path, tensors, file.count, NULL),
                     RT_OK);
    fmt_safetensors_close(&file);
    free(tensors);
}

void test_tiny_overflow(struct test_tiny *t)
{
    const char *bad = test_folder_file(&t->to, "bad");
    rt_model_destroy(&t->model);
    write_overflowing(t, bad);
    snprintf(t->from, sizeof t->from, "%s", bad);
    if (rt_model_load_streamed(t->dev, t->from, 64, &t->model) != RT_OK)
        fail_msg("%s", t->ctx.message);
}

void test_tiny_deinit(struct test_tiny *t)
{
    rt_model_destroy(&t->model);
    rt_device_destroy(&t->dev);
    test_folder_deinit(&t->to);
}
