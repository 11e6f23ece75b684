/* Groups of columns (g_idx) that were never set mean columns in order, as in vLLM; what is
 * neither an order nor unset is refused. */
#include "runtime/format/checkpoint.h"
#include "runtime/format/packed_impl.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CT                                                                            \
    "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\", "     \
    "\"config_groups\": {\"a\": {\"weights\": {\"num_bits\": 4, \"group_size\": 64, " \
    "\"symmetric\": false}}}}"
#define GPTQ(more) \
    "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 128" more "}"

enum fill { IN_ORDER, UNSET, ONE_UNSET, ZEROS, NONE, SHORT, BEYOND };

static const struct {
    const char *source, *config, *order;
    uint32_t out, in, group;
    enum fill fill;
    const char *message; /* null: columns in order */
} cases[] = {
    { "ct_w4_g64_asym", CT, "w.weight_g_idx", 40, 128, 64, IN_ORDER, NULL },
    { "ct_w4_g64_asym", CT, "w.weight_g_idx", 40, 128, 64, UNSET, NULL },
    { "ct_w4_g64_asym", CT, "w.weight_g_idx", 40, 128, 64, ONE_UNSET, NULL },
    { "ct_w4_g64_asym", CT, "w.weight_g_idx", 40, 128, 64, NONE, NULL },
    { "ct_w4_g64_asym", CT, "w.weight_g_idx", 40, 128, 64, ZEROS,
      "puts column 64 into group 0, which is full" },
    { "ct_w4_g64_asym", CT, "w.weight_g_idx", 40, 128, 64, BEYOND,
      "puts column 0 into group 2, which is none" },
    { "ct_w4_g64_asym", CT, "w.weight_g_idx", 40, 128, 64, SHORT,
      "is [64, 1], [128, 1] is expected" },
    { "gptq_v1_4bit", GPTQ(""), "w.g_idx", 32, 256, 128, IN_ORDER, NULL },
    { "gptq_v1_4bit", GPTQ(""), "w.g_idx", 32, 256, 128, ZEROS, NULL },
    { "gptq_v1_4bit", GPTQ(", \"desc_act\": false"), "w.g_idx", 32, 256, 128, UNSET,
      NULL },
    { "gptq_v1_4bit", GPTQ(""), "w.g_idx", 32, 256, 128, NONE, NULL },
    { "gptq_v1_4bit", GPTQ(", \"desc_act\": true"), "w.g_idx", 32, 256, 128, ZEROS,
      "puts column 128 into group 0, which is full" },
    { "gptq_v1_4bit", GPTQ(""), "w.g_idx", 32, 256, 128, ONE_UNSET,
      "puts column 5 into group -1, which is none" },
};

static int32_t group_of(enum fill fill, uint32_t k, uint32_t group)
{
    if (fill == UNSET || (fill == ONE_UNSET && k == 5))
        return -1;
    return fill == ZEROS ? 0 : fill == BEYOND ? 2 : (int32_t)(k / group);
}

/* The golden matrix with these groups; what it had of them gets another name. */
static void make_folder(const struct test_folder *folder, size_t i)
{
    char path[1024], relative[128], config[512];
    size_t size;
    uint64_t length = 0;
    snprintf(relative, sizeof relative, "tests/golden/quant/%s.safetensors",
             cases[i].source);
    char *all = test_file_read(test_path(path, sizeof path, relative), &size);
    for (int k = 7; k >= 0; k--)
        length = length << 8 | (unsigned char)all[k];
    json_t *header = json_loadb(all + 8, length, 0, NULL);
    json_t *own = json_object_get(header, cases[i].order);
    if (own)
        json_object_set(header, "own", own);
    const size_t data = size - 8 - length;
    const uint32_t count = cases[i].fill == NONE    ? 0
                           : cases[i].fill == SHORT ? cases[i].in / 2
                                                    : cases[i].in;
    char *more = malloc(data + 4 * count + 1);
    memcpy(more, all + 8 + length, data);
    for (uint32_t k = 0; k < count; k++) {
        const int32_t g = group_of(cases[i].fill, k, cases[i].group);
        memcpy(more + data + 4 * k, &g, 4);
    }
    json_object_set_new(header, cases[i].order,
                        json_pack("{s:s, s:[i], s:[I, I]}", "dtype", "I32", "shape",
                                  (int)count, "data_offsets", (json_int_t)data,
                                  (json_int_t)(data + 4 * count)));
    char *text = json_dumps(header, 0);
    test_file_safetensors(test_folder_file(folder, "model.safetensors"), text, more,
                          data + 4 * count);
    const int n =
        snprintf(config, sizeof config, "{\"quantization_config\": %s}", cases[i].config);
    test_file_write(test_folder_file(folder, "config.json"), config, (size_t)n);
    json_decref(header);
    free(text);
    free(more);
    free(all);
}

static void check_values(struct fmt_model *model, size_t i)
{
    char path[1024], relative[128];
    bool moved;
    uint32_t order[256];
    const size_t count = (size_t)cases[i].out * cases[i].in;
    snprintf(relative, sizeof relative, "tests/golden/quant/%s.expected.f32",
             cases[i].source);
    float *expected = test_floats(test_path(path, sizeof path, relative), count);
    float *got = calloc(count, sizeof *got);
    assert_int_equal(fmt_weight_floats(model, "w", cases[i].out, cases[i].in, got),
                     RT_OK);
    for (size_t k = 0; k < count; k++)
        if (!(got[k] == expected[k]))
            fail_msg("case %zu element %zu: %g, not %g", i, k, (double)got[k],
                     (double)expected[k]);
    assert_int_equal(fmt_weight_order(model, "w", cases[i].in, order, &moved), RT_OK);
    assert_false(moved);
    free(expected);
    free(got);
}

static void unset_groups_are_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct test_folder folder;
        struct fmt_model *model = NULL;
        uint32_t out, in;
        test_folder_init(&folder);
        make_folder(&folder, i);
        if (fmt_model_open_tensors(&ctx, folder.path, &model) != RT_OK)
            fail_msg("case %zu: %s", i, ctx.message);
        const rt_status st = fmt_weight_size(model, "w", &out, &in);
        if (cases[i].message)
            test_refused(&ctx, st, RT_ERR_INPUT, cases[i].order, cases[i].message, NULL);
        else if (st != RT_OK)
            fail_msg("case %zu: %s", i, ctx.message);
        else
            check_values(model, i);
        fmt_model_close(&model);
        test_folder_deinit(&folder);
    }
}

/* A scale without dimensions has no sizes to print. */
static void shapes_that_do_not_fit_are_named(void **state)
{
    (void)state;
    static const struct {
        uint32_t dims;
        const char *message;
    } shapes[] = {
        { 0, "'x' is one number without dimensions, [3, 1] is expected" },
        { 1, "'x' is [5, 1], [3, 1]" },
        { 2, "'x' is [5, 7], [3, 1]" },
        { 3, "'x' is of 3 dimensions, [3, 1]" },
    };
    for (size_t i = 0; i < RT_COUNT(shapes); i++) {
        struct rt_ctx ctx = { 0 };
        const struct fmt_opener o = { .ctx = &ctx, .where = "folder" };
        char name[] = "x";
        const struct fmt_tensor t = { .name = name,
                                      .dims = shapes[i].dims,
                                      .shape = { 5, 7, 1 } };
        test_refused(&ctx, fmt_part_check(&o, &t, 3, 1, true, "F32"), RT_ERR_INPUT,
                     "folder", shapes[i].message, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_that_do_not_fit_are_named),
        cmocka_unit_test(unset_groups_are_none),
    };
    return cmocka_run_group_tests_name("groups of columns", tests, NULL, NULL);
}
