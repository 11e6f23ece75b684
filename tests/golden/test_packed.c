/* Packed matrices of every format of tests/golden/quant and tests/golden/packed: the values
 * as floats, and those of the device layout, are the golden ones bit for bit; damaged files
 * are refused. */
#include "runtime/format/checkpoint.h"
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

/* The items of both folders, each with the name of its own. */
static json_t *load_index(void)
{
    static const char *const folders[] = { "quant", "packed" };
    json_t *all = json_array();
    for (size_t i = 0; i < RT_COUNT(folders); i++) {
        char path[1024], relative[128];
        size_t k;
        json_t *item;
        snprintf(relative, sizeof relative, "tests/golden/%s/index.json", folders[i]);
        json_t *index = json_load_file(test_path(path, sizeof path, relative), 0, NULL);
        if (!index)
            fail_msg("cannot read %s", path);
        json_array_foreach(index, k, item)
            json_object_set_new(item, "folder", json_string(folders[i]));
        json_array_extend(all, index);
        json_decref(index);
    }
    return all;
}

static const char *text(const json_t *item, const char *key)
{
    return json_string_value(json_object_get(item, key));
}

/* A folder with one matrix, and a config.json that says no more than how it is packed. */
static void make_folder(const struct test_folder *folder, const json_t *item)
{
    char path[1024], relative[256];
    size_t size;
    json_t *config = json_pack("{s:O}", "quantization_config",
                               json_object_get(item, "quantization_config"));
    assert_int_equal(json_dump_file(config, test_folder_file(folder, "config.json"), 0),
                     0);
    json_decref(config);
    snprintf(relative, sizeof relative, "tests/golden/%s/%s", text(item, "folder"),
             text(item, "file"));
    char *data = test_file_read(test_path(path, sizeof path, relative), &size);
    test_file_write(test_folder_file(folder, "model.safetensors"), data, size);
    free(data);
}

/* The device layout holds the same values, in the order it says, and zeros around. */
static void check_layout(struct fmt_model *model, const json_t *item,
                         const float *expected, uint32_t out, uint32_t in)
{
    struct rt_weight_shape s;
    bool moved;
    assert_int_equal(fmt_weight_shape(model, "w", out, in, &s), RT_OK);
    uint32_t *codes = calloc(1, rt_weight_code_bytes(&s));
    float *scales = calloc(1, rt_weight_scale_bytes(&s));
    uint32_t *order = calloc(in, sizeof *order);
    assert_int_equal(fmt_weight_load(model, "w", &s, 0, 0, out, codes, scales), RT_OK);
    assert_int_equal(fmt_weight_order(model, "w", in, order, &moved), RT_OK);
    assert_int_equal(moved, strstr(text(item, "file"), "actorder") != NULL);
    for (uint32_t r = 0; r < s.out_pad; r++)
        for (uint32_t k = 0; k < s.in_pad; k++) {
            const float want =
                r < out && k < in ? expected[(size_t)r * in + order[k]] : 0;
            if (!(rt_weight_value(&s, codes, scales, r, k) == want))
                fail_msg("%s (%u, %u): the layout gives %.9g, not %.9g",
                         text(item, "file"), r, k,
                         (double)rt_weight_value(&s, codes, scales, r, k), (double)want);
        }
    printf("    %-44s %u bits, %s\n", text(item, "file"), s.bits,
           rt_weight_form_name(s.form));
    free(codes);
    free(scales);
    free(order);
}

/* The kinds that take more than 1.06 of their file, and why. */
static const struct {
    const char *file;
    double most;
} larger[] = {
    { "gptq_v1_2bit", 1.08 }, /* a zero point takes a byte, as in the next */
    { "ct_w2_g32_asym", 1.08 },
    { "ct_w1", 1.81 }, /* codes take 2 bits */
    { "ct_w7", 1.15 }, /* codes take 8 bits */
};

static double most_of(const char *file)
{
    for (size_t i = 0; i < RT_COUNT(larger); i++)
        if (strncmp(file, larger[i].file, strlen(larger[i].file)) == 0)
            return larger[i].most;
    return 1.06;
}

/* Bytes of a weight of 64 by 4096 as the file has it: codes, and what belongs to rows or
 * groups. */
static double file_bytes(const struct fmt_model *model, bool has_rows, uint32_t out,
                         uint32_t in)
{
    struct fmt_tensor_info t;
    double codes = 0, scales = 0;
    for (uint32_t i = 0; fmt_tensor_at(model, i, &t); i++) {
        const bool is_code = strstr(t.name, "qweight") || strstr(t.name, "_packed") ||
                             strcmp(t.name, "w.weight") == 0;
        const bool is_fixed = strstr(t.name, "_map") || strstr(t.name, "_shape") ||
                              strstr(t.name, "quant_state") || strstr(t.name, "g_idx");
        if (is_code)
            codes += (double)t.stored_size;
        else if (!is_fixed)
            scales += (double)t.stored_size;
    }
    const double elements = 64 * 4096.0 / ((double)out * in);
    return codes * elements + scales * (has_rows ? 64.0 / out : elements);
}

/* Bytes on a GPU over those in the file. */
static void check_size(struct fmt_model *model, const json_t *item, uint32_t out,
                       uint32_t in)
{
    struct rt_weight_shape s;
    assert_int_equal(fmt_weight_shape(model, "w", out, in, &s), RT_OK);
    s.out = s.out_pad = 64;
    s.in = s.in_pad = 4096;
    const double ratio =
        (double)rt_weight_bytes(&s) / file_bytes(model, s.group == 0, out, in);
    assert_true(s.form >= RT_FORM_HALF);
    printf("    %-44s %.3f of its file\n", text(item, "file"), ratio);
    if (!(ratio <= most_of(text(item, "file"))))
        fail_msg("%s takes %.3f of what it takes in the file", text(item, "file"), ratio);
}

static void check_item(const json_t *item)
{
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    struct fmt_model *model = NULL;
    char path[1024], relative[256];
    uint32_t out = 0, in = 0;
    const json_t *shape = json_object_get(item, "shape");
    const uint32_t rows = (uint32_t)json_integer_value(json_array_get(shape, 0));
    const uint32_t cols = (uint32_t)json_integer_value(json_array_get(shape, 1));
    test_folder_init(&folder);
    make_folder(&folder, item);
    snprintf(relative, sizeof relative, "tests/golden/%s/%s", text(item, "folder"),
             text(item, "expected"));
    float *expected =
        test_floats(test_path(path, sizeof path, relative), (size_t)rows * cols);
    float *got = calloc((size_t)rows * cols, sizeof *got);
    if (fmt_model_open_tensors(&ctx, folder.path, &model) != RT_OK ||
        fmt_weight_size(model, "w", &out, &in) != RT_OK)
        fail_msg("%s: %s", text(item, "file"), ctx.message);
    assert_int_equal(out, rows);
    assert_int_equal(in, cols);
    if (fmt_weight_floats(model, "w", rows, cols, got) != RT_OK)
        fail_msg("%s: %s", text(item, "file"), ctx.message);
    for (size_t i = 0; i < (size_t)rows * cols; i++)
        if (!(got[i] == expected[i])) /* -0 and 0 are equal */
            fail_msg("%s element %zu: %.9g, not %.9g", text(item, "file"), i,
                     (double)got[i], (double)expected[i]);
    check_layout(model, item, expected, rows, cols);
    check_size(model, item, rows, cols);
    fmt_model_widen(model, true);
    check_layout(model, item, expected, rows, cols);
    /* the wrong size is refused, not read past the end */
    const rt_status st = fmt_weight_floats(model, "w", rows + 1, cols, got);
    test_refused(&ctx, st, RT_ERR_INPUT, "'w.weight'", "is expected", NULL);
    fmt_model_close(&model);
    free(got);
    free(expected);
    test_folder_deinit(&folder);
}

static void every_format_decodes_bit_for_bit(void **state)
{
    (void)state;
    json_t *index = load_index(), *item;
    size_t i;
    json_array_foreach(index, i, item) check_item(item);
    printf("    %zu files\n", i);
    assert_true(i >= 33);
    json_decref(index);
}

/* Every tensor of every file, gone or of another type. */
static void files_without_a_part_are_refused(void **state)
{
    (void)state;
    json_t *index = load_index(), *item;
    size_t i, n = 0;
    json_array_foreach(index, i, item)
    {
        static const char *const part[] = { "qweight",      "qzeros",
                                            "scales",       "weight_packed",
                                            "weight_scale", "weight_zero_point" };
        for (size_t k = 0; k < RT_COUNT(part); k++) {
            struct rt_ctx ctx = { 0 };
            struct test_folder folder;
            struct fmt_model *model = NULL;
            struct fmt_safetensors file;
            char name[64], from[80], to[80];
            uint32_t out, in;
            test_folder_init(&folder);
            make_folder(&folder, item);
            const char *path = test_folder_file(&folder, "model.safetensors");
            snprintf(name, sizeof name, "w.%s", part[k]);
            assert_int_equal(fmt_safetensors_open(&ctx, path, &file), RT_OK);
            const bool there = fmt_safetensors_find(&file, name) != NULL;
            fmt_safetensors_close(&file);
            if (there) {
                snprintf(from, sizeof from, "\"w.%s\"", part[k]);
                snprintf(to, sizeof to, "\"v.%s\"", part[k]);
                test_file_replace(path, from, to);
                assert_int_equal(fmt_model_open_tensors(&ctx, folder.path, &model),
                                 RT_OK);
                const rt_status st = fmt_weight_size(model, "w", &out, &in);
                test_refused(&ctx, st, RT_ERR_INPUT, folder.path, "'w.", "missing", NULL);
                fmt_model_close(&model);
                n++;
            }
            test_folder_deinit(&folder);
        }
    }
    assert_true(n > 40);
    json_decref(index);
}

/* Puts `value` at word `at` of a tensor of the folder's file. */
static void poke(const struct test_folder *folder, const char *name, size_t at,
                 uint32_t value)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    size_t size;
    const char *path = test_folder_file(folder, "model.safetensors");
    assert_int_equal(fmt_safetensors_open(&ctx, path, &file), RT_OK);
    const struct fmt_tensor *t = fmt_safetensors_find(&file, name);
    assert_non_null(t);
    const size_t offset = (size_t)(t->data - file.maps[0].data) + 4 * at;
    fmt_safetensors_close(&file);
    char *data = test_file_read(path, &size);
    memcpy(data + offset, &value, sizeof value);
    test_file_write(path, data, size);
    free(data);
}

static const json_t *find_item(const json_t *index, const char *file)
{
    size_t i;
    const json_t *item;
    json_array_foreach(index, i,
                       item) if (strcmp(text(item, "file"), file) == 0) return item;
    fail_msg("index.json has no %s", file);
    return NULL;
}

static void column_groups_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t value;
        const char *message;
    } cases[] = {
        { 2, "group 2, which is none" },
        { 0xffffffff, "group -1, which is none" },
        { 7, "group 7, which is none" },
    };
    json_t *index = load_index();
    const json_t *item = find_item(index, "gptq_v1_3bit.safetensors");
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct test_folder folder;
        struct fmt_model *model = NULL;
        uint32_t out, in;
        test_folder_init(&folder);
        make_folder(&folder, item);
        poke(&folder, "w.g_idx", 5, cases[i].value);
        assert_int_equal(fmt_model_open_tensors(&ctx, folder.path, &model), RT_OK);
        rt_status st = fmt_weight_size(model, "w", &out, &in);
        test_refused(&ctx, st, RT_ERR_INPUT, "w.g_idx", cases[i].message, NULL);
        fmt_model_close(&model);
        poke(&folder, "w.g_idx", 5, 1); /* one too many in group 1 */
        assert_int_equal(fmt_model_open_tensors(&ctx, folder.path, &model), RT_OK);
        st = fmt_weight_size(model, "w", &out, &in);
        test_refused(&ctx, st, RT_ERR_INPUT, "w.g_idx", "full", NULL);
        fmt_model_close(&model);
        test_folder_deinit(&folder);
    }
    json_decref(index);
}

/* A symmetric file's zero points tell v1 from v2 even where the label is wrong. */
static void wrong_version_labels_are_seen_through(void **state)
{
    (void)state;
    static const char *const files[] = { "gptq_v1_4bit_sym.safetensors",
                                         "gptq_v2_4bit_sym.safetensors" };
    json_t *index = load_index();
    for (size_t i = 0; i < RT_COUNT(files); i++) {
        json_t *item = json_deep_copy(find_item(index, files[i]));
        json_object_set_new(json_object_get(item, "quantization_config"),
                            "checkpoint_format", json_string(i ? "gptq" : "gptq_v2"));
        check_item(item);
        json_decref(item);
    }
    json_decref(index);
}

static void scales_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    static const char *const files[] = { "awq_g32.safetensors",
                                         "gptq_v1_2bit.safetensors",
                                         "ct_w8a8_channel.safetensors" };
    json_t *index = load_index();
    for (size_t i = 0; i < RT_COUNT(files); i++) {
        struct rt_ctx ctx = { 0 };
        struct test_folder folder;
        struct fmt_model *model = NULL;
        const json_t *item = find_item(index, files[i]);
        const json_t *shape = json_object_get(item, "shape");
        const uint32_t out = (uint32_t)json_integer_value(json_array_get(shape, 0));
        const uint32_t in = (uint32_t)json_integer_value(json_array_get(shape, 1));
        float *values = calloc((size_t)out * in, sizeof *values);
        test_folder_init(&folder);
        make_folder(&folder, item);
        /* NaN as f16 and as bf16, twice */
        poke(&folder, i == 2 ? "w.weight_scale" : "w.scales", 3,
             i == 2 ? 0x7fc07fc0 : 0x7e007e00);
        assert_int_equal(fmt_model_open_tensors(&ctx, folder.path, &model), RT_OK);
        const rt_status st = fmt_weight_floats(model, "w", out, in, values);
        test_refused(&ctx, st, RT_ERR_INPUT, "scale", "not finite", NULL);
        fmt_model_close(&model);
        free(values);
        test_folder_deinit(&folder);
    }
    json_decref(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_decodes_bit_for_bit),
        cmocka_unit_test(files_without_a_part_are_refused),
        cmocka_unit_test(column_groups_that_cannot_be_are_refused),
        cmocka_unit_test(wrong_version_labels_are_seen_through),
        cmocka_unit_test(scales_that_are_not_finite_are_refused),
    };
    return cmocka_run_group_tests_name("packed matrices", tests, NULL, NULL);
}
