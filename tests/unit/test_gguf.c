/* The GGUF reader takes what the format allows, in one file or several, and refuses every
 * damage with a message that names file, key or tensor, and the reason. */
#include "runtime/format/gguf.h"
#include "tests/support/files.h"
#include "tests/support/gguf_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- damage: a file with one key, one tensor, and one thing wrong ---- */

static void header_only(struct test_gguf *g, uint64_t version)
{
    test_gguf_put(g, "GGUF", 4);
    test_gguf_number(g, version, 4);
    test_gguf_number(g, 0, 8);
    test_gguf_number(g, 0, 8);
}

static void no_magic(struct test_gguf *g)
{
    test_gguf_put(g, "GGML and more", 13);
}

static void magic_only(struct test_gguf *g)
{
    test_gguf_put(g, "GGUF", 4);
}

static void version_1(struct test_gguf *g)
{
    header_only(g, 1);
}

static void big_endian(struct test_gguf *g)
{
    header_only(g, 0x03000000);
}

static void many_tensors(struct test_gguf *g)
{
    test_gguf_begin(g, UINT64_MAX, 0);
    test_gguf_put(g, NULL, 4096);
}

static void many_keys(struct test_gguf *g)
{
    test_gguf_begin(g, 0, UINT64_C(1) << 62);
    test_gguf_put(g, NULL, 4096);
}

static void key_name_beyond(struct test_gguf *g)
{
    test_gguf_begin(g, 0, 1);
    test_gguf_number(g, UINT64_MAX, 8);
    test_gguf_put(g, NULL, 64);
}

static void key_name_empty(struct test_gguf *g)
{
    test_gguf_begin(g, 0, 1);
    test_gguf_put(g, NULL, 64);
}

static void key_name_with_zero(struct test_gguf *g)
{
    test_gguf_begin(g, 0, 1);
    test_gguf_number(g, 3, 8);
    test_gguf_put(g, "a\0b", 3);
    test_gguf_put(g, NULL, 64);
}

static void string_beyond(struct test_gguf *g)
{
    test_gguf_begin(g, 0, 1);
    test_gguf_key(g, "a.text", FMT_GGUF_STRING);
    test_gguf_number(g, 1000, 8);
    test_gguf_put(g, "short", 5);
}

static void string_in_array_beyond(struct test_gguf *g)
{
    test_gguf_begin(g, 0, 1);
    test_gguf_key(g, "a.list", FMT_GGUF_ARRAY);
    test_gguf_number(g, FMT_GGUF_STRING, 4);
    test_gguf_number(g, 2, 8);
    test_gguf_string(g, "first");
    test_gguf_number(g, UINT64_MAX - 3, 8);
    test_gguf_put(g, NULL, 32);
}

static void array_huge(struct test_gguf *g)
{
    test_gguf_begin(g, 0, 1);
    test_gguf_key(g, "a.list", FMT_GGUF_ARRAY);
    test_gguf_number(g, FMT_GGUF_F64, 4);
    test_gguf_number(g, (UINT64_C(1) << 61) + 1, 8); /* times 8 is 8 */
    test_gguf_put(g, NULL, 64);
}

static void array_of_arrays(struct test_gguf *g)
{
    test_gguf_begin(g, 0, 1);
    test_gguf_key(g, "a.list", FMT_GGUF_ARRAY);
    test_gguf_number(g, FMT_GGUF_ARRAY, 4);
    test_gguf_put(g, NULL, 64);
}

static void kind_unknown(struct test_gguf *g)
{
    test_gguf_begin(g, 0, 1);
    test_gguf_key(g, "a.thing", 13);
    test_gguf_put(g, NULL, 64);
}

static void bool_odd(struct test_gguf *g)
{
    test_gguf_begin(g, 0, 1);
    test_gguf_key(g, "a.flag", FMT_GGUF_BOOL);
    test_gguf_number(g, 2, 1);
    test_gguf_put(g, NULL, 64);
}

static void key_twice(struct test_gguf *g)
{
    test_gguf_begin(g, 0, 3);
    test_gguf_key_u32(g, "a", 1);
    test_gguf_key_u32(g, "b", 1);
    test_gguf_key_u32(g, "a", 2);
}

static void alignment(struct test_gguf *g, uint32_t value)
{
    test_gguf_begin(g, 0, 1);
    test_gguf_key_u32(g, "general.alignment", value);
}

static void alignment_0(struct test_gguf *g)
{
    alignment(g, 0);
}

static void alignment_48(struct test_gguf *g)
{
    alignment(g, 48);
}

static void alignment_text(struct test_gguf *g)
{
    test_gguf_begin(g, 0, 1);
    test_gguf_key_text(g, "general.alignment", "32");
}

static void tensor(struct test_gguf *g, uint32_t type, uint64_t columns, uint64_t rows,
                   uint64_t offset)
{
    test_gguf_begin(g, 1, 0);
    test_gguf_tensor(g, "w", type, columns, rows, offset);
    test_gguf_data(g, NULL, 256);
}

static void columns_zero(struct test_gguf *g)
{
    tensor(g, 0, 0, 4, 0);
}

static void columns_negative(struct test_gguf *g)
{
    tensor(g, 0, (uint64_t)-8, 4, 0);
}

static void product_wraps(struct test_gguf *g)
{
    tensor(g, 0, UINT64_C(1) << 32, (UINT64_C(1) << 32) + 1, 0);
}

static void dims_many(struct test_gguf *g)
{
    test_gguf_begin(g, 1, 0);
    test_gguf_string(g, "w");
    test_gguf_number(g, 5, 4);
    test_gguf_put(g, NULL, 64);
}

static void dims_none(struct test_gguf *g)
{
    test_gguf_begin(g, 1, 0);
    test_gguf_string(g, "w");
    test_gguf_put(g, NULL, 64);
}

static void type_unknown(struct test_gguf *g)
{
    tensor(g, 77, 8, 4, 0);
}

static void type_not_supported(struct test_gguf *g)
{
    tensor(g, 41, 256, 1, 0);
}

static void row_not_whole(struct test_gguf *g)
{
    tensor(g, 12, 96, 1, 0);
}

static void offset_odd(struct test_gguf *g)
{
    tensor(g, 0, 8, 4, 4);
}

static void tensor_beyond(struct test_gguf *g)
{
    tensor(g, 0, 8, 9, 0);
}

static void offset_huge(struct test_gguf *g)
{
    tensor(g, 0, 8, 4, UINT64_MAX - 31);
}

static void two_tensors(struct test_gguf *g, const char *second, uint64_t offset)
{
    test_gguf_begin(g, 2, 0);
    test_gguf_tensor(g, "w", 0, 8, 4, 0);
    test_gguf_tensor(g, second, 0, 8, 4, offset);
    test_gguf_data(g, NULL, 512);
}

static void tensor_twice(struct test_gguf *g)
{
    two_tensors(g, "w", 128);
}

static void tensors_overlap(struct test_gguf *g)
{
    two_tensors(g, "v", 96);
}

static void tensor_name_long(struct test_gguf *g)
{
    test_gguf_begin(g, 1, 0);
    test_gguf_string(g, "a.name.that.is.longer.than.the.sixty-four.bytes.that.the.format."
                        "has.for.one");
    test_gguf_put(g, NULL, 64);
}

static void tensor_table_cut(struct test_gguf *g)
{
    test_gguf_begin(g, 1, 0);
    test_gguf_string(g, "w");
    test_gguf_number(g, 4, 4);
    test_gguf_number(g, 8, 8);
    test_gguf_number(g, 8, 8);
    test_gguf_number(g, 1, 8);
}

static const struct damage {
    const char *name; /* of what is wrong */
    void (*make)(struct test_gguf *g);
    const char *parts[2]; /* of the message */
} damages[] = {
    { "no magic", no_magic, { "not a GGUF file" } },
    { "magic only", magic_only, { "cut short" } },
    { "version 1", version_1, { "version 1", "2 and 3" } },
    { "big endian", big_endian, { "big-endian" } },
    { "many tensors", many_tensors, { "18446744073709551615 tensors", "4096 bytes" } },
    { "many keys", many_keys, { "4611686018427387904 keys" } },
    { "key name beyond the end", key_name_beyond, { "name of the key", "past the end" } },
    { "key name empty", key_name_empty, { "name of the key", "0 bytes" } },
    { "key name with a zero", key_name_with_zero, { "one of them 0" } },
    { "string beyond the end", string_beyond, { "'a.text'", "past the end" } },
    { "string in an array", string_in_array_beyond, { "'a.list'", "past the end" } },
    { "array huge", array_huge, { "'a.list'", "past the end" } },
    { "array of arrays", array_of_arrays, { "'a.list'", "array of arrays" } },
    { "kind unknown", kind_unknown, { "'a.thing'", "unknown kind" } },
    { "bool odd", bool_odd, { "'a.flag'", "neither true nor false" } },
    { "key twice", key_twice, { "'a'", "twice" } },
    { "alignment 0", alignment_0, { "'general.alignment' is 0", "power of two" } },
    { "alignment 48", alignment_48, { "'general.alignment' is 48", "power of two" } },
    { "alignment a text", alignment_text, { "'general.alignment'", "whole number" } },
    { "columns zero", columns_zero, { "'w'", "size 0 in dimension 0" } },
    { "columns negative", columns_negative, { "'w'", "size -8 in dimension 0" } },
    { "product wraps", product_wraps, { "'w'", "dimension 1" } },
    { "dims many", dims_many, { "'w'", "5 dimensions" } },
    { "dims none", dims_none, { "'w'", "0 dimensions" } },
    { "type unknown", type_unknown, { "'w'", "number 77" } },
    { "type not supported",
      type_not_supported,
      { "Q1_0 (number 41)", "MXFP4, NVFP4 are" } },
    { "row not whole", row_not_whole, { "'w'", "96 elements, Q4_K" } },
    { "offset odd", offset_odd, { "'w'", "no multiple" } },
    { "tensor beyond the end", tensor_beyond, { "'w'", "288 bytes at 0" } },
    { "offset huge", offset_huge, { "'w'", "cut short" } },
    { "tensor twice", tensor_twice, { "'w'", "twice" } },
    { "tensors overlap", tensors_overlap, { "'w' and 'v'", "overlap" } },
    { "tensor name long", tensor_name_long, { "name of the tensor", "1 to 64" } },
    { "tensor table cut", tensor_table_cut, { "'w'", "past the end" } },
};

static void damaged_files_are_refused(void **state)
{
    (void)state;
    struct test_folder folder;
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "bad.gguf");
    for (size_t i = 0; i < RT_COUNT(damages); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_gguf file;
        struct test_gguf g = { 0 };
        damages[i].make(&g);
        test_gguf_write(&g, path);
        const rt_status st = fmt_gguf_open(&ctx, path, &file);
        test_refused(&ctx, st, RT_ERR_INPUT, "bad.gguf", damages[i].parts[0],
                     damages[i].parts[1], NULL);
        assert_null(file.maps);
    }
    test_folder_deinit(&folder);
}

/* ---- files that are right ---- */

static void make_sample(struct test_gguf *g)
{
    static const char *const texts[] = { "one", "", "three" };
    const float scores[] = { 0.5f, -1 };
    test_gguf_begin(g, 2, 8);
    test_gguf_key_u32(g, "n", 4000000000u);
    test_gguf_key(g, "negative", FMT_GGUF_I16);
    test_gguf_number(g, 0xfffe, 2);
    test_gguf_key_f32(g, "x", 0.25f);
    test_gguf_key_bool(g, "yes", true);
    test_gguf_key_text(g, "name", "a name");
    test_gguf_key_texts(g, "list", texts, 3);
    test_gguf_key_words(g, "scores", FMT_GGUF_F32, scores, 2);
    test_gguf_key(g, "wide", FMT_GGUF_U64);
    test_gguf_number(g, UINT64_MAX, 8);
    test_gguf_tensor(g, "v", 0, 3, 0, 32);
    test_gguf_tensor(g, "a", 2, 32, 1, 0);
    uint8_t data[44] = { 0 };
    const float v[3] = { 1, 2, -3 };
    memcpy(data + 32, v, sizeof v);
    test_gguf_data(g, data, sizeof data);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    struct test_folder folder;
    struct test_gguf g;
    test_folder_init(&folder);
    make_sample(&g);
    const char *path = test_folder_file(&folder, "cut.gguf");
    for (size_t size = 0; size <= g.size; size++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_gguf file;
        test_file_write(path, g.bytes, size);
        const rt_status st = fmt_gguf_open(&ctx, path, &file);
        if (size == g.size)
            assert_int_equal(st, RT_OK);
        else
            test_refused(&ctx, st, RT_ERR_INPUT, "cut.gguf", NULL);
        fmt_gguf_close(&file);
    }
    free(g.bytes);
    test_folder_deinit(&folder);
}

static void check_lists(const struct fmt_gguf *file)
{
    const struct fmt_gguf_key *list;
    uint64_t at = 0;
    size_t size;
    assert_int_equal(fmt_gguf_array(file, "list", FMT_GGUF_STRING, &list), RT_OK);
    assert_int_equal(list->count, 3);
    assert_memory_equal(fmt_gguf_string_next(list, &at, &size), "one", 3);
    assert_int_equal(size, 3);
    fmt_gguf_string_next(list, &at, &size);
    assert_int_equal(size, 0);
    assert_memory_equal(fmt_gguf_string_next(list, &at, &size), "three", 5);
    assert_int_equal(at, list->size);
    assert_int_equal(fmt_gguf_array(file, "scores", FMT_GGUF_F32, &list), RT_OK);
    assert_int_equal(fmt_gguf_word(list, 0), 0x3f000000);
    assert_int_equal(fmt_gguf_word(list, 1), 0xbf800000);
    test_refused(file->ctx, fmt_gguf_array(file, "list", FMT_GGUF_I32, &list),
                 RT_ERR_INPUT, "'list'", "array of i32", NULL);
    assert_int_equal(fmt_gguf_array(file, "none", FMT_GGUF_I32, &list), RT_OK);
    assert_null(list);
}

static void keys_are_typed(void **state)
{
    (void)state;
    struct test_folder folder;
    struct test_gguf g;
    struct rt_ctx ctx = { 0 };
    struct fmt_gguf file;
    int64_t n;
    double x;
    bool yes;
    char *text;
    test_folder_init(&folder);
    make_sample(&g);
    const char *path = test_folder_file(&folder, "good.bin");
    test_gguf_write(&g, path);
    assert_true(fmt_gguf_is(path));
    assert_false(fmt_gguf_is(folder.path));
    assert_int_equal(fmt_gguf_open(&ctx, path, &file), RT_OK);
    assert_int_equal(fmt_gguf_whole(&file, "n", -1, 0, INT64_MAX, &n), RT_OK);
    assert_int_equal(n, 4000000000);
    assert_int_equal(fmt_gguf_whole(&file, "negative", 0, -5, 5, &n), RT_OK);
    assert_int_equal(n, -2);
    assert_int_equal(fmt_gguf_whole(&file, "gone", 7, 0, 9, &n), RT_OK);
    assert_int_equal(n, 7);
    test_refused(&ctx, fmt_gguf_whole(&file, "gone", -1, 0, 9, &n), RT_ERR_INPUT,
                 "good.bin", "'gone'", "missing", NULL);
    test_refused(&ctx, fmt_gguf_whole(&file, "n", -1, 0, 9, &n), RT_ERR_INPUT, "'n'",
                 "from 0 to 9", NULL);
    test_refused(&ctx, fmt_gguf_whole(&file, "wide", -1, 0, INT64_MAX, &n), RT_ERR_INPUT,
                 "'wide'", NULL);
    assert_int_equal(fmt_gguf_number(&file, "x", 0, &x), RT_OK);
    assert_true(x == 0.25);
    assert_int_equal(fmt_gguf_bool(&file, "yes", false, &yes), RT_OK);
    assert_true(yes);
    test_refused(&ctx, fmt_gguf_bool(&file, "n", false, &yes), RT_ERR_INPUT, "'n'",
                 "true or false", NULL);
    assert_int_equal(fmt_gguf_text(&file, "name", &text), RT_OK);
    assert_string_equal(text, "a name");
    rt_free(text);
    check_lists(&file);
    float v[2];
    const struct fmt_gguf_tensor *t = fmt_gguf_find(&file, "v");
    fmt_gguf_floats(t, 1, 2, v);
    assert_true(v[0] == 2 && v[1] == -3);
    assert_null(fmt_gguf_find(&file, "w"));
    fmt_gguf_close(&file);
    test_folder_deinit(&folder);
}

/* ---- parts ---- */

static void write_part(const struct test_folder *folder, const char *file, uint32_t no,
                       uint32_t count, uint32_t total, const char *name)
{
    struct test_gguf g;
    test_gguf_begin(&g, 1, 3);
    test_gguf_key_u32(&g, "split.no", no);
    test_gguf_key_u32(&g, "split.count", count);
    test_gguf_key_u32(&g, "split.tensors.count", total);
    test_gguf_tensor(&g, name, 0, 8, 0, 0);
    test_gguf_data(&g, NULL, 32);
    test_gguf_write(&g, test_folder_file(folder, file));
}

static void parts_are_joined(void **state)
{
    (void)state;
    struct test_folder folder;
    struct rt_ctx ctx = { 0 };
    struct fmt_gguf file;
    test_folder_init(&folder);
    const char *first = "m-00001-of-00002.gguf", *second = "m-00002-of-00002.gguf";
    char path[TEST_PATH_MAX];
    snprintf(path, sizeof path, "%s", test_folder_file(&folder, first));
    write_part(&folder, first, 0, 2, 2, "a");
    test_refused(&ctx, fmt_gguf_open(&ctx, path, &file), RT_ERR_INPUT, second,
                 "part 2 of 2, is missing", NULL);
    write_part(&folder, second, 1, 2, 2, "b");
    if (fmt_gguf_open(&ctx, path, &file) != RT_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(file.tensor_count, 2);
    assert_int_equal(file.map_count, 2);
    assert_non_null(fmt_gguf_find(&file, "b"));
    fmt_gguf_close(&file);
    test_refused(&ctx, fmt_gguf_open(&ctx, test_folder_file(&folder, second), &file),
                 RT_ERR_INPUT, "part 2 of 2", "part 1 of 2 is expected", NULL);
    write_part(&folder, second, 1, 2, 2, "a");
    test_refused(&ctx, fmt_gguf_open(&ctx, path, &file), RT_ERR_INPUT, "'a'", "twice",
                 NULL);
    write_part(&folder, second, 1, 3, 2, "b");
    test_refused(&ctx, fmt_gguf_open(&ctx, path, &file), RT_ERR_INPUT, second,
                 "part 2 of 3", NULL);
    write_part(&folder, second, 1, 2, 2, "b");
    write_part(&folder, first, 0, 2, 3, "a");
    test_refused(&ctx, fmt_gguf_open(&ctx, path, &file), RT_ERR_INPUT,
                 "should have 3 tensors, they have 2", NULL);
    write_part(&folder, "other.gguf", 0, 2, 2, "a");
    test_refused(&ctx,
                 fmt_gguf_open(&ctx, test_folder_file(&folder, "other.gguf"), &file),
                 RT_ERR_INPUT, "other.gguf", "-00001-of-00002.gguf", NULL);
    test_folder_deinit(&folder);
}

static void running_out_of_memory_is_an_error_not_a_crash(void **state)
{
    (void)state;
    struct test_folder folder;
    struct test_gguf g;
    struct fmt_gguf file;
    test_folder_init(&folder);
    make_sample(&g);
    const char *path = test_folder_file(&folder, "good.gguf");
    test_gguf_write(&g, path);
    for (uint64_t n = 1;; n++) {
        struct rt_ctx ctx = { .alloc_fail_at = n };
        const rt_status st = fmt_gguf_open(&ctx, path, &file);
        fmt_gguf_close(&file);
        if (st == RT_OK) {
            assert_true(n > 12);
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
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(keys_are_typed),
        cmocka_unit_test(parts_are_joined),
        cmocka_unit_test(running_out_of_memory_is_an_error_not_a_crash),
    };
    return cmocka_run_group_tests_name("gguf", tests, NULL, NULL);
}
