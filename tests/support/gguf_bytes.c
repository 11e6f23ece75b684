#include "tests/support/gguf_bytes.h"

#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

void test_gguf_put(struct test_gguf *g, const void *data, size_t size)
{
    if (g->size + size > g->capacity) {
        g->capacity = 2 * (g->size + size) + 256;
        g->bytes = realloc(g->bytes, g->capacity);
        assert_non_null(g->bytes);
    }
    if (data)
        memcpy(g->bytes + g->size, data, size);
    else
        memset(g->bytes + g->size, 0, size);
    g->size += size;
}

void test_gguf_number(struct test_gguf *g, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        const uint8_t byte = (uint8_t)(value >> (8 * i));
        test_gguf_put(g, &byte, 1);
    }
}

void test_gguf_string(struct test_gguf *g, const char *text)
{
    test_gguf_number(g, strlen(text), 8);
    test_gguf_put(g, text, strlen(text));
}

void test_gguf_begin(struct test_gguf *g, uint64_t tensors, uint64_t keys)
{
    *g = (struct test_gguf){ 0 };
    test_gguf_put(g, "GGUF", 4);
    test_gguf_number(g, 3, 4);
    test_gguf_number(g, tensors, 8);
    test_gguf_number(g, keys, 8);
}

void test_gguf_key(struct test_gguf *g, const char *name, uint32_t kind)
{
    test_gguf_string(g, name);
    test_gguf_number(g, kind, 4);
}

void test_gguf_key_u32(struct test_gguf *g, const char *name, uint32_t value)
{
    test_gguf_key(g, name, FMT_GGUF_U32);
    test_gguf_number(g, value, 4);
}

void test_gguf_key_f32(struct test_gguf *g, const char *name, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    test_gguf_key(g, name, FMT_GGUF_F32);
    test_gguf_number(g, bits, 4);
}

void test_gguf_key_bool(struct test_gguf *g, const char *name, bool value)
{
    test_gguf_key(g, name, FMT_GGUF_BOOL);
    test_gguf_number(g, value, 1);
}

void test_gguf_key_text(struct test_gguf *g, const char *name, const char *value)
{
    test_gguf_key(g, name, FMT_GGUF_STRING);
    test_gguf_string(g, value);
}

static void begin_array(struct test_gguf *g, const char *name, enum fmt_gguf_kind kind,
                        size_t n)
{
    test_gguf_key(g, name, FMT_GGUF_ARRAY);
    test_gguf_number(g, kind, 4);
    test_gguf_number(g, n, 8);
}

void test_gguf_key_texts(struct test_gguf *g, const char *name, const char *const *values,
                         size_t n)
{
    begin_array(g, name, FMT_GGUF_STRING, n);
    for (size_t i = 0; i < n; i++)
        test_gguf_string(g, values[i]);
}

void test_gguf_key_words(struct test_gguf *g, const char *name, enum fmt_gguf_kind kind,
                         const void *values, size_t n)
{
    begin_array(g, name, kind, n);
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, (const char *)values + 4 * i, sizeof word);
        test_gguf_number(g, word, 4);
    }
}

void test_gguf_tensor(struct test_gguf *g, const char *name, uint32_t type,
                      uint64_t columns, uint64_t rows, uint64_t offset)
{
    test_gguf_string(g, name);
    test_gguf_number(g, rows ? 2 : 1, 4);
    test_gguf_number(g, columns, 8);
    if (rows)
        test_gguf_number(g, rows, 8);
    test_gguf_number(g, type, 4);
    test_gguf_number(g, offset, 8);
}

void test_gguf_data(struct test_gguf *g, const void *data, size_t size)
{
    test_gguf_put(g, NULL, rt_round_up(g->size, 32) - g->size);
    test_gguf_put(g, data, size);
}

void test_gguf_write(struct test_gguf *g, const char *path)
{
    test_file_write(path, g->bytes, g->size);
    free(g->bytes);
    *g = (struct test_gguf){ 0 };
}
