/* tests/fuzz/fuzz_gguf_read.h
 * What the fuzzers of GGUF files do with one that was accepted: read all of it. */
#ifndef TESTS_FUZZ_FUZZ_GGUF_READ_H
#define TESTS_FUZZ_FUZZ_GGUF_READ_H

#include "runtime/format/gguf.h"
#include "tests/fuzz/fuzz_folder.h"

static unsigned read_keys(const struct fmt_gguf *file)
{
    unsigned sum = 0;
    for (uint32_t i = 0; i < file->key_count; i++) {
        const struct fmt_gguf_key *key = &file->keys[i];
        int64_t whole;
        double number;
        bool flag;
        char *text;
        if (fmt_gguf_key_find(file, key->name) != key)
            abort();
        sum += fmt_gguf_whole(file, key->name, 0, -9, 9, &whole) == RT_OK;
        sum += fmt_gguf_number(file, key->name, 0, &number) == RT_OK;
        sum += fmt_gguf_bool(file, key->name, false, &flag) == RT_OK;
        if (fmt_gguf_text(file, key->name, &text) == RT_OK)
            sum += (unsigned)strlen(text);
        rt_free(text);
        uint64_t at = 0;
        for (uint64_t k = 0; key->array && key->kind == FMT_GGUF_STRING && k < key->count;
             k++) {
            size_t length;
            const char *string = fmt_gguf_string_next(key, &at, &length);
            for (size_t j = 0; j < length; j++)
                sum += (unsigned char)string[j];
        }
        for (uint64_t k = 0; key->array && key->kind == FMT_GGUF_I32 && k < key->count;
             k++)
            sum += fmt_gguf_word(key, k);
    }
    return sum;
}

static unsigned read_tensors(const struct fmt_gguf *file)
{
    unsigned sum = 0;
    float values[97];
    for (uint32_t i = 0; i < file->tensor_count; i++) {
        const struct fmt_gguf_tensor *t = &file->tensors[i];
        if (fmt_gguf_find(file, t->name) != t)
            abort();
        for (uint64_t at = 0; at < t->count; at += RT_COUNT(values)) {
            const uint64_t left = t->count - at;
            fmt_gguf_floats(t, at, left < RT_COUNT(values) ? left : RT_COUNT(values),
                            values);
            sum += values[0] > 0;
        }
    }
    return sum;
}

/* Opens the file. It is refused with a message, or every key can be read, and every
 * tensor to its last element, decoded and by its name; anything else aborts. */
static void fuzz_gguf_read(const char *path)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_gguf file;
    const rt_status st = fmt_gguf_open(&ctx, path, &file);
    if (st == RT_OK && read_keys(&file) + read_tensors(&file) == 1u << 31)
        fputs("", stderr); /* so that the reads are not optimised away */
    if (st != RT_OK && (st != RT_ERR_INPUT || !ctx.message[0]))
        abort();
    fmt_gguf_close(&file);
}

#endif
