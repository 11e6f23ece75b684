/* tests/support/gguf_bytes.h
 * GGUF files, right and wrong, made byte by byte. */
#ifndef TESTS_SUPPORT_GGUF_BYTES_H
#define TESTS_SUPPORT_GGUF_BYTES_H

#include "runtime/format/gguf.h"

struct test_gguf {
    uint8_t *bytes; /* free() it, or test_gguf_write */
    size_t size, capacity;
};

void test_gguf_put(struct test_gguf *g, const void *data, size_t size);
void test_gguf_number(struct test_gguf *g, uint64_t value, int bytes);
void test_gguf_string(struct test_gguf *g, const char *text);
/* Magic, version 3, counts. */
void test_gguf_begin(struct test_gguf *g, uint64_t tensors, uint64_t keys);
/* Name and kind of a key whose value follows. */
void test_gguf_key(struct test_gguf *g, const char *name, uint32_t kind);
void test_gguf_key_u32(struct test_gguf *g, const char *name, uint32_t value);
void test_gguf_key_f32(struct test_gguf *g, const char *name, float value);
void test_gguf_key_bool(struct test_gguf *g, const char *name, bool value);
void test_gguf_key_text(struct test_gguf *g, const char *name, const char *value);
void test_gguf_key_texts(struct test_gguf *g, const char *name, const char *const *values,
                         size_t n);
void test_gguf_key_words(struct test_gguf *g, const char *name, enum fmt_gguf_kind kind,
                         const void *values, size_t n);
/* An entry of the tensor table; shape of two numbers, the second 0: one dimension. */
void test_gguf_tensor(struct test_gguf *g, const char *name, uint32_t type,
                      uint64_t columns, uint64_t rows, uint64_t offset);
/* Pads to a multiple of 32, then adds the data (zeros if null). */
void test_gguf_data(struct test_gguf *g, const void *data, size_t size);
/* Writes the file and frees the bytes. */
void test_gguf_write(struct test_gguf *g, const char *path);

#endif
