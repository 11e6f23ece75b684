/* The safetensors reader takes what the format allows and refuses everything else with a
 * message; what the writer writes comes back bit for bit, aligned, and all or nothing. */
#include "runtime/format/safetensors.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define F32_4 "{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}"

struct damaged {
    const char *header;
    size_t size; /* bytes of data */
    const char *message;
};

static const struct damaged damaged[] = {
    { "", 0, "not valid JSON" },
    { "{", 0, "not valid JSON" },
    { "[1]", 0, "not valid JSON" },
    { "{\"a\":" F32_4 "}", 12, "cut short" },
    { "{\"a\":" F32_4 "}", 24, "belongs to no tensor" },
    { "{}", 0, "holds no tensors" },
    { "{}", 4, "belongs to no tensor" },
    { "{\"a\":" F32_4 ",\"a\":" F32_4 "}", 16, "duplicate" },
    { "{\"a\":" F32_4 ",\"b\":" F32_4 "}", 16, "overlap" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
      12, "overlap" },
    /* an empty tensor between two that overlap must not hide it */
    { "{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
      "\"e\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,4]},"
      "\"b\":{\"dtype\":\"U8\",\"shape\":[6],\"data_offsets\":[6,12]}}",
      12, "overlap" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
      12, "belongs to no tensor" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,12]}}", 12,
      "needs 16" },
    { "{\"a\":{\"shape\":[4],\"data_offsets\":[0,16]}}", 16, "no dtype" },
    { "{\"a\":{\"dtype\":7,\"shape\":[4],\"data_offsets\":[0,16]}}", 16, "no dtype" },
    { "{\"a\":{\"dtype\":\"U16\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16,
      "needs 8" },
    { "{\"a\":{\"dtype\":\"F7\",\"shape\":[4],\"data_offsets\":[0,17]}}", 16,
      "cut short" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,16]}}", 16, "shape" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]}}", 16, "shape" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4.0],\"data_offsets\":[0,16]}}", 16,
      "shape" },
    { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}",
      1, "shape" },
    /* 65536 * (2^48 + 1) is 65536 in 64 bits */
    { "{\"a\":{\"dtype\":\"U8\",\"shape\":[65536,281474976710657],"
      "\"data_offsets\":[0,65536]}}",
      65536, "shape" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4]}}", 16, "data_offsets" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16,32]}}", 16,
      "data_offsets" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[\"0\",16]}}", 16,
      "data_offsets" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}", 16,
      "16 to 0" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[-16,0]}}", 16,
      "-16 to 0" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,9223372036854775807]}"
      "}",
      16, "cut short" },
    { "{\"a\":7}", 0, "dtype" },
    { "{\"a\":{\"dtype\":\"F32\\u0000\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16,
      "no dtype" },
};

/* Nobody needs what the metadata say. */
static void a_zero_in_the_metadata_stops_nothing(void **state)
{
    (void)state;
    struct test_folder folder;
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "zero.safetensors");
    test_file_safetensors(path,
                          "{\"__metadata__\":{\"a\":\"x\\u0000y\"},\"a\":{\"dtype\":"
                          "\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}",
                          NULL, 16);
    if (fmt_safetensors_open(&ctx, path, &file) != RT_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(file.count, 1);
    fmt_safetensors_close(&file);
    test_folder_deinit(&folder);
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    struct test_folder folder;
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "bad.safetensors");
    for (size_t i = 0; i < RT_COUNT(damaged); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_safetensors file;
        test_file_safetensors(path, damaged[i].header, NULL, damaged[i].size);
        const rt_status st = fmt_safetensors_open(&ctx, path, &file);
        test_refused(&ctx, st, RT_ERR_INPUT, "bad.safetensors", damaged[i].message, NULL);
        assert_null(file.tensors);
        assert_null(file.maps);
    }
    test_folder_deinit(&folder);
}

static void headers_that_lie_about_their_length_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[10];
        size_t size;
        const char *message;
    } cases[] = {
        { { 0 }, 0, "cut short" },
        { { 2, 0, 0 }, 3, "cut short" },
        { { 3, 0, 0, 0, 0, 0, 0, 0, '{', '}' }, 10, "cut short" },
        { { 255, 255, 255, 255, 255, 255, 255, 255, '{', '}' }, 10, "cut short" },
    };
    struct test_folder folder;
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "bad.safetensors");
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        test_file_write(path, cases[i].bytes, cases[i].size);
        const rt_status st = fmt_safetensors_open(&ctx, path, &file);
        test_refused(&ctx, st, RT_ERR_INPUT, "bad.safetensors", cases[i].message, NULL);
    }
    rt_status st = fmt_safetensors_open(&ctx, folder.path, &file);
    test_refused(&ctx, st, RT_ERR_INPUT, "not a file", NULL);
    st = fmt_safetensors_open(&ctx, test_folder_file(&folder, "none"), &file);
    test_refused(&ctx, st, RT_ERR_INPUT, "/none'", "No such file", NULL);
    test_folder_deinit(&folder);
}

static void damaged_shard_lists_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *index, *message;
    } cases[] = {
        { "{}", "weight_map" },
        { "{\"weight_map\":{}}", "weight_map" },
        { "{\"weight_map\":{\"a\":7}}", "no valid file" },
        { "{\"weight_map\":{\"a\":\"../x\"}}", "no valid file" },
        { "{\"weight_map\":{\"a\":\"gone\"}}", "/gone' is missing" },
        { "{\"weight_map\":{\"a\":\"one\",\"b\":\"two\"}}", "occurs twice" },
        { "{\"weight_map\":{\"a\":Infinity,\"b\":null}}", "no valid file" },
        { "{\"weight_map\":", "line 1" },
        { "[]", "JSON object" },
        { "", "is empty" },
    };
    struct test_folder folder;
    test_folder_init(&folder);
    test_file_safetensors(test_folder_file(&folder, "one"), "{\"a\":" F32_4 "}", NULL,
                          16);
    test_file_safetensors(test_folder_file(&folder, "two"), "{\"a\":" F32_4 "}", NULL,
                          16);
    const char *index = test_folder_file(&folder, "model.safetensors.index.json");
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_safetensors file;
        test_file_write(index, cases[i].index, strlen(cases[i].index));
        const rt_status st = fmt_safetensors_open_folder(&ctx, folder.path, &file);
        test_refused(&ctx, st, RT_ERR_INPUT, cases[i].message, NULL);
    }
    test_folder_deinit(&folder);
}

/* Nobody may need them: who does is told. */
static void names_without_a_shard_stop_nothing(void **state)
{
    (void)state;
    static const char index[] = "{\"weight_map\":{\"a\":\"one\",\"b\":\"one\","
                                "\"c\":\"gone\",\"d\":7,\"e\":\"../x\"}}";
    static const char *const names[][2] = {
        { "b", "'b' should be in 'one' and is in no shard" },
        { "c", "/gone' is missing, and model.safetensors.index.json names it for 'c'" },
        { "d", "'d' has no valid file" },
        { "e", "'e' has no valid file" },
    };
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    struct test_folder folder;
    test_folder_init(&folder);
    test_file_safetensors(test_folder_file(&folder, "one"), "{\"a\":" F32_4 "}", NULL,
                          16);
    test_file_write(test_folder_file(&folder, "model.safetensors.index.json"), index,
                    strlen(index));
    assert_int_equal(fmt_safetensors_open_folder(&ctx, folder.path, &file), RT_OK);
    assert_int_equal(file.count, 1);
    assert_int_equal(fmt_safetensors_needs(&ctx, folder.path, &file, "a"), RT_OK);
    for (size_t i = 0; i < RT_COUNT(names); i++)
        test_refused(&ctx, fmt_safetensors_needs(&ctx, folder.path, &file, names[i][0]),
                     RT_ERR_INPUT, names[i][1], NULL);
    fmt_safetensors_close(&file);
    /* a whole file beside the list counts, as in transformers */
    test_file_safetensors(test_folder_file(&folder, "model.safetensors"),
                          "{\"x\":" F32_4 "}", NULL, 16);
    assert_int_equal(fmt_safetensors_open_folder(&ctx, folder.path, &file), RT_OK);
    assert_non_null(fmt_safetensors_find(&file, "x"));
    assert_null(file.absent);
    fmt_safetensors_close(&file);
    test_folder_deinit(&folder);
}

/* Types that nobody here needs, and one that nobody knows, with its bytes. */
static void every_type_is_opened(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        uint32_t bytes;
    } types[] = {
        { "I16", 2 },     { "U16", 2 }, { "U64", 8 },  { "F8_E4M3", 1 },
        { "F8_E5M2", 1 }, { "C64", 8 }, { "BOOL", 1 }, { "F6_E2M3", 3 },
    };
    struct test_folder folder;
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "types");
    for (size_t i = 0; i < RT_COUNT(types); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_safetensors file;
        char header[128];
        snprintf(header, sizeof header,
                 "{\"x\":{\"dtype\":\"%s\",\"shape\":[4],\"data_offsets\":[0,%u]}}",
                 types[i].type, 4 * types[i].bytes);
        test_file_safetensors(path, header, NULL, 4 * types[i].bytes);
        if (fmt_safetensors_open(&ctx, path, &file) != RT_OK)
            fail_msg("%s", ctx.message);
        const struct fmt_tensor *t = fmt_safetensors_find(&file, "x");
        assert_string_equal(fmt_tensor_dtype(t), types[i].type);
        assert_int_equal(t->size, 4 * types[i].bytes);
        assert_int_equal(t->dtype == FMT_OTHER, types[i].bytes == 3);
        fmt_safetensors_close(&file);
    }
    test_folder_deinit(&folder);
}

static void halves_and_bfloats_widen_exactly(void **state)
{
    (void)state;
    static const uint8_t data[] = { 0x00, 0x3c, 0x01, 0x00, 0xff, 0x7b, 0x00,
                                    0x80, 0x80, 0x3f, 0x01, 0x00, 0x49, 0xc0 };
    static const float expected[] = { 1.0f, 0x1p-24f,  65504.0f,  -0.0f,
                                      1.0f, 0x1p-133f, -3.140625f };
    struct test_folder folder;
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    float got[7];
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "half");
    test_file_safetensors(
        path,
        "{\"h\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[8,14]}}",
        data, sizeof data);
    assert_int_equal(fmt_safetensors_open(&ctx, path, &file), RT_OK);
    fmt_tensor_floats(fmt_safetensors_find(&file, "h"), 0, 4, got);
    fmt_tensor_floats(fmt_safetensors_find(&file, "b"), 0, 3, got + 4);
    assert_memory_equal(got, expected, sizeof expected);
    assert_null(fmt_safetensors_find(&file, "x"));
    fmt_safetensors_close(&file);
    test_folder_deinit(&folder);
}

/* Three tensors whose order by name would leave the wide ones at odd places. */
static rt_status write_sample(struct rt_ctx *ctx, const char *path)
{
    static const uint8_t bytes[3] = { 1, 2, 3 };
    static const float floats[2][3] = { { 1, 2, 3 }, { 4, -0.0f, 1e-40f } };
    static const int64_t wide[1] = { INT64_MIN };
    static const char *const metadata[] = { "format", "pt", "made by", "a \"test\"",
                                            NULL };
    const struct fmt_tensor_out tensors[] = {
        { .name = "a", .dtype = FMT_U8, .dims = 1, .shape = { 3 }, .data = bytes },
        { .name = "b", .dtype = FMT_F32, .dims = 2, .shape = { 2, 3 }, .data = floats },
        { .name = "c", .dtype = FMT_I64, .dims = 1, .shape = { 1 }, .data = wide },
        { .name = "d", .dtype = FMT_F32, .dims = 2, .shape = { 0, 3 }, .data = floats },
    };
    return fmt_safetensors_write(ctx, path, tensors, RT_COUNT(tensors), metadata);
}

static void written_files_come_back_aligned(void **state)
{
    (void)state;
    struct test_folder folder;
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "sample");
    assert_int_equal(write_sample(&ctx, path), RT_OK);
    assert_int_equal(fmt_safetensors_open(&ctx, path, &file), RT_OK);
    assert_int_equal(file.count, 4);
    const struct fmt_tensor *a = fmt_safetensors_find(&file, "a");
    const struct fmt_tensor *b = fmt_safetensors_find(&file, "b");
    const struct fmt_tensor *c = fmt_safetensors_find(&file, "c");
    const float floats[6] = { 1, 2, 3, 4, -0.0f, 1e-40f };
    assert_memory_equal(a->data, "\1\2\3", 3);
    assert_memory_equal(b->data, floats, sizeof floats);
    assert_int_equal(b->shape[0], 2);
    assert_int_equal(b->shape[1], 3);
    assert_int_equal((b->data - file.maps[0].data) % 4, 0);
    assert_int_equal((c->data - file.maps[0].data) % 8, 0);
    assert_int_equal(fmt_safetensors_find(&file, "d")->count, 0);
    fmt_safetensors_close(&file);
    assert_false(fmt_exists(test_folder_file(&folder, "sample.part")));
    test_folder_deinit(&folder);
}

static void a_failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    struct test_folder folder;
    struct rt_ctx ctx = { 0 };
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "sample");
    test_file_write(path, "old", 3);
    for (uint64_t n = 1;; n++) {
        ctx = (struct rt_ctx){ .alloc_fail_at = n };
        const rt_status st = write_sample(&ctx, path);
        if (ctx.alloc_count < n)
            break;
        assert_int_equal(st, RT_ERR_HOST_MEMORY);
        size_t size;
        char *text = test_file_read(path, &size);
        assert_string_equal(text, "old");
        free(text);
        assert_false(fmt_exists(test_folder_file(&folder, "sample.part")));
    }
    ctx = (struct rt_ctx){ 0 };
    const rt_status st = write_sample(&ctx, test_folder_file(&folder, "no/such/folder"));
    test_refused(&ctx, st, RT_ERR_IO, "no/such/folder", "No such file", NULL);
    test_folder_deinit(&folder);
}

static void running_out_of_memory_is_an_error_not_a_crash(void **state)
{
    (void)state;
    struct test_folder folder;
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    test_folder_init(&folder);
    assert_int_equal(write_sample(&ctx, test_folder_file(&folder, "model.safetensors")),
                     RT_OK);
    for (uint64_t n = 1;; n++) {
        ctx = (struct rt_ctx){ .alloc_fail_at = n };
        const rt_status st = fmt_safetensors_open_folder(&ctx, folder.path, &file);
        if (st == RT_OK) {
            assert_true(n > 4);
            fmt_safetensors_close(&file);
            break;
        }
        assert_int_equal(st, RT_ERR_HOST_MEMORY);
    }
    test_folder_deinit(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(a_zero_in_the_metadata_stops_nothing),
        cmocka_unit_test(headers_that_lie_about_their_length_are_refused),
        cmocka_unit_test(damaged_shard_lists_are_refused),
        cmocka_unit_test(names_without_a_shard_stop_nothing),
        cmocka_unit_test(every_type_is_opened),
        cmocka_unit_test(halves_and_bfloats_widen_exactly),
        cmocka_unit_test(written_files_come_back_aligned),
        cmocka_unit_test(a_failed_write_leaves_the_old_file),
        cmocka_unit_test(running_out_of_memory_is_an_error_not_a_crash),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
