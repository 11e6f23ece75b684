/* The tokenizer of stories260K gives the ids that are known for the start of its text, and
 * the text back. The file is not part of this repository; without it the test is skipped.
 * The ids are those of SentencePiece over the same pieces and scores. */
#include "runtime/text/tokenizer.h"
#include "tests/support/devices.h"
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
#include <unistd.h>

enum { UNKNOWN = 2, CONTROL = 3, BYTE = 6, NORMAL = 1 };

static const char tokens_file[] = "../shared/models/stories260K/tok512.bin";

/* tok512.bin: u32 longest text, then for each token f32 score, u32 size, text. */
static size_t read_stories(const char *data, size_t size, const char *texts[],
                           float scores[], char *room)
{
    size_t n = 0;
    for (size_t at = 4; at + 8 <= size && n < 512; n++) {
        uint32_t length;
        memcpy(&scores[n], data + at, 4);
        memcpy(&length, data + at + 4, 4);
        assert_true(length < 64 && at + 8 + length <= size);
        memcpy(room, data + at + 8, length);
        texts[n] = room;
        room += length + 1;
        at += 8 + length;
    }
    return n;
}

static void stories_known_text_goes_both_ways(void **state)
{
    (void)state;
    static const char text[] = "Once upon a time, there was a little girl named Lily. "
                               "She loved to play outside in the park.";
    static const uint32_t known[] = { 403, 407, 261, 378, 432, 383, 286, 261,
                                      376, 298, 315, 421, 395, 317, 426, 338,
                                      401, 396, 267, 337, 410, 408, 419, 292,
                                      411, 322, 265, 282, 295, 433, 426 };
    char path[1024];
    test_path(path, sizeof path, tokens_file);
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    struct test_gguf g;
    struct text_tokenizer *tok;
    size_t size;
    const char *texts[512];
    float scores[512];
    int32_t kinds[512];
    char *data = test_file_read(path, &size), *room = calloc(512, 64);
    assert_non_null(room);
    const size_t n = read_stories(data, size, texts, scores, room);
    assert_int_equal(n, 512);
    for (size_t i = 0; i < n; i++)
        kinds[i] = i == 0 ? UNKNOWN : i < 3 ? CONTROL : i < 259 ? BYTE : NORMAL;
    test_folder_init(&folder);
    const char *file = test_folder_file(&folder, "stories.gguf");
    test_gguf_begin(&g, 0, 4);
    test_gguf_key_text(&g, "tokenizer.ggml.model", "llama");
    test_gguf_key_texts(&g, "tokenizer.ggml.tokens", texts, n);
    test_gguf_key_words(&g, "tokenizer.ggml.scores", FMT_GGUF_F32, scores, n);
    test_gguf_key_words(&g, "tokenizer.ggml.token_type", FMT_GGUF_I32, kinds, n);
    test_gguf_write(&g, file);
    if (text_tokenizer_load(&ctx, file, &tok) != RT_OK)
        fail_msg("%s", ctx.message);
    uint32_t *ids, count;
    char *back;
    assert_int_equal(text_encode(tok, text, strlen(text), false, &ids, &count), RT_OK);
    assert_int_equal(count, RT_COUNT(known));
    assert_memory_equal(ids, known, sizeof known);
    assert_int_equal(text_decode(tok, ids, count, false, &back, &size), RT_OK);
    assert_string_equal(back, text);
    rt_free(back);
    rt_free(ids);
    text_tokenizer_destroy(&tok);
    test_folder_deinit(&folder);
    free(room);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories_known_text_goes_both_ways),
    };
    char path[1024];
    if (access(test_path(path, sizeof path, tokens_file), R_OK) != 0) {
        printf("skipped: %s is not there\n", tokens_file);
        return 77;
    }
    return cmocka_run_group_tests_name("stories260K", tests, NULL, NULL);
}
