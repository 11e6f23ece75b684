/* tokenizer.model: a small one made here encodes as SentencePiece defines it, and whatever
 * is damaged or not supported is refused with a message. */
#include "runtime/format/gguf_write.h"
#include "runtime/format/model_config.h"
#include "runtime/text/tokenizer.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* A message under construction. */
struct bytes {
    uint8_t data[4096];
    size_t size;
};

static void put_byte(struct bytes *b, uint8_t byte)
{
    assert_true(b->size < sizeof b->data);
    b->data[b->size++] = byte;
}

static void put_varint(struct bytes *b, uint64_t value)
{
    for (; value > 127; value >>= 7)
        put_byte(b, (uint8_t)(value | 128));
    put_byte(b, (uint8_t)value);
}

static void put_number(struct bytes *b, uint32_t field, uint64_t value)
{
    put_varint(b, field << 3);
    put_varint(b, value);
}

static void put_bytes(struct bytes *b, uint32_t field, const void *data, size_t size)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, size);
    for (size_t i = 0; i < size; i++)
        put_byte(b, ((const uint8_t *)data)[i]);
}

static void put_piece(struct bytes *b, const char *text, float score, uint64_t kind)
{
    struct bytes piece = { .size = 0 };
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    put_bytes(&piece, 1, text, strlen(text));
    put_varint(&piece, 2 << 3 | 5);
    for (int i = 0; i < 4; i++)
        put_byte(&piece, (uint8_t)(bits >> (8 * i)));
    if (kind != 1)
        put_number(&piece, 3, kind);
    put_bytes(b, 1, piece.data, piece.size);
}

#define MARK "\xe2\x96\x81"

/* What the settings say; zero is left out, so that the default counts. */
struct settings {
    uint64_t type, suffix, bos;
    const char *unknown, *rules;
    bool no_prefix, keep_spaces, no_escape;
};

static void put_model(struct bytes *b, const struct settings *s)
{
    struct bytes trainer = { .size = 0 }, normalizer = { .size = 0 };
    put_piece(b, "<unk>", 0, 2);
    put_piece(b, "<s>", 0, 3);
    put_piece(b, "a", -3, 1);
    put_piece(b, "b", -4, 1);
    put_piece(b, MARK, -5, 1);
    put_piece(b, "ab", -1, 1);
    put_piece(b, "ba", -1, 1);
    put_piece(b, MARK "a", -2, 1);
    put_piece(b, "<x>", 0, 4);
    if (s->type)
        put_number(&trainer, 3, s->type);
    if (s->suffix)
        put_number(&trainer, 24, s->suffix);
    if (s->bos)
        put_number(&trainer, 41, s->bos);
    if (s->unknown)
        put_bytes(&trainer, 44, s->unknown, strlen(s->unknown));
    put_number(&trainer, 99, 1); /* fields that are not known are skipped */
    put_bytes(b, 2, trainer.data, trainer.size);
    if (s->rules)
        put_bytes(&normalizer, 2, s->rules, strlen(s->rules));
    if (s->no_prefix)
        put_number(&normalizer, 3, 0);
    if (s->keep_spaces)
        put_number(&normalizer, 4, 0);
    if (s->no_escape)
        put_number(&normalizer, 5, 0);
    put_bytes(b, 3, normalizer.data, normalizer.size);
}

static rt_status load(struct rt_ctx *ctx, const void *data, size_t size,
                      struct text_tokenizer **tok)
{
    struct test_folder folder;
    test_folder_init(&folder);
    test_file_write(test_folder_file(&folder, "tokenizer.model"), data, size);
    const rt_status st = text_tokenizer_load(ctx, folder.path, tok);
    test_folder_deinit(&folder);
    return st;
}

static struct text_tokenizer *made(struct rt_ctx *ctx, const struct settings *s)
{
    struct bytes b = { .size = 0 };
    struct text_tokenizer *tok;
    put_model(&b, s);
    if (load(ctx, b.data, b.size, &tok) != RT_OK)
        fail_msg("%s", ctx->message);
    return tok;
}

/* Ids as letters: 0 is '0'. */
static void check(struct text_tokenizer *tok, const char *text, bool special,
                  const char *expected, const char *decoded)
{
    uint32_t *ids, n;
    char *back;
    size_t size;
    assert_int_equal(text_encode(tok, text, strlen(text), special, &ids, &n), RT_OK);
    char shown[64] = "";
    for (uint32_t i = 0; i < n && i < 63; i++)
        shown[i] = (char)('0' + ids[i]);
    assert_string_equal(shown, expected);
    assert_int_equal(text_decode(tok, ids, n, false, &back, &size), RT_OK);
    assert_string_equal(back, decoded);
    rt_free(back);
    rt_free(ids);
}

static void pieces_join_by_score(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    const struct settings s = { .type = 2, .keep_spaces = true };
    struct text_tokenizer *tok = made(&ctx, &s);
    check(tok, "", false, "", "");
    check(tok, "ab", false, "45", "ab");    /* ab goes before the mark and a */
    check(tok, "aba", false, "452", "aba"); /* equal scores: the left one first */
    check(tok, "a a", false, "77", "a a");
    check(tok, "  a", false, "447", "  a");
    check(tok, "azzb", false, "703", "a \xe2\x81\x87 b"); /* one for a run */
    check(tok, MARK "a", false, "47", " a"); /* a mark in a text is a space */
    check(tok, "a<x>b", false, "783", "a<x>b");
    check(tok, "<x>b", false, "483", "<x>b"); /* the prefix is there before it too */
    check(tok, "<s>a", true, "17", "<s> a");  /* a control token starts a text anew */
    check(tok, "<s>", false, "40", " \xe2\x81\x87 ");
    assert_int_equal(text_bos_id(tok), 1);
    text_tokenizer_destroy(&tok);
}

/* Ids as letters, like check. */
static void check_prompt(struct text_tokenizer *tok, const char *text, bool special,
                         const char *expected)
{
    uint32_t *ids, n;
    char shown[64] = "";
    assert_int_equal(text_encode_prompt(tok, text, strlen(text), special, &ids, &n),
                     RT_OK);
    for (uint32_t i = 0; i < n && i < 63; i++)
        shown[i] = (char)('0' + ids[i]);
    rt_free(ids);
    assert_string_equal(shown, expected);
}

static void a_prompt_has_one_start(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    const struct settings s = { .type = 2, .keep_spaces = true };
    struct text_tokenizer *tok = made(&ctx, &s);
    check_prompt(tok, "ab", true, "145");
    check_prompt(tok, "<s>a", true, "17");
    check_prompt(tok, "", true, "1");
    text_tokenizer_destroy(&tok);
    const struct settings bare = {
        .type = 2, .keep_spaces = true, .no_prefix = true, .bos = 200
    };
    tok = made(&ctx, &bare);
    check_prompt(tok, "a a", true, "27");
    text_tokenizer_destroy(&tok);
}

static void settings_count(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    const struct settings squeezing = { .type = 2, .unknown = "?" };
    struct text_tokenizer *tok = made(&ctx, &squeezing);
    check(tok, "  a   a  ", false, "77", "a a");
    check(tok, "   ", false, "", "");
    check(tok, "z", false, "40", "?");
    text_tokenizer_destroy(&tok);
    const struct settings bare = {
        .type = 2, .keep_spaces = true, .no_prefix = true, .bos = 200
    };
    tok = made(&ctx, &bare);
    check(tok, "a a", false, "27", "a a");
    check(tok, " a", false, "7", " a");
    assert_int_equal(text_bos_id(tok), UINT32_MAX);
    text_tokenizer_destroy(&tok);
}

/* As keys of a GGUF file the pieces give the same ids (save for spaces beside user tokens,
 * which llama.cpp sees its own way); ids that only the model has are
 * fillers. */
static void a_gguf_file_has_the_pieces(void **state)
{
    (void)state;
    static const char *const texts[] = { "ab ba", "abab a bab", "", "bab  b" };
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    struct bytes b = { .size = 0 };
    struct text_tokenizer *one, *two;
    struct fmt_gguf_out out = { .ctx = &ctx };
    const struct fmt_config config = { .vocab = 12, .eos = { 1 }, .eos_count = 1 };
    put_model(&b, &(struct settings){ .type = 2, .keep_spaces = true });
    test_folder_init(&folder);
    test_file_write(test_folder_file(&folder, "tokenizer.model"), b.data, b.size);
    const char *file = test_folder_file(&folder, "t.gguf");
    if (text_gguf_put(&ctx, folder.path, &config, &out) != RT_OK ||
        fmt_gguf_out_begin(&out, file) != RT_OK || fmt_gguf_out_end(&out) != RT_OK ||
        text_tokenizer_load(&ctx, folder.path, &one) != RT_OK ||
        text_tokenizer_load(&ctx, file, &two) != RT_OK)
        fail_msg("%s", ctx.message);
    fmt_gguf_out_deinit(&out);
    assert_int_equal(text_vocab_size(two), 12);
    assert_int_equal(text_bos_id(one), text_bos_id(two));
    for (size_t i = 0; i < RT_COUNT(texts); i++) {
        uint32_t *x, *y, n, m;
        const size_t size = strlen(texts[i]);
        assert_int_equal(text_encode(one, texts[i], size, true, &x, &n), RT_OK);
        assert_int_equal(text_encode(two, texts[i], size, true, &y, &m), RT_OK);
        if (n != m || memcmp(x, y, n * sizeof *x) != 0)
            fail_msg("'%s' has other ids", texts[i]);
        rt_free(x);
        rt_free(y);
    }
    text_tokenizer_destroy(&one);
    text_tokenizer_destroy(&two);
    test_folder_deinit(&folder);
}

static void what_is_not_supported_is_named(void **state)
{
    (void)state;
    static const struct {
        struct settings s;
        const char *part;
    } cases[] = {
        { { .type = 0 }, "unigram" }, /* the default */
        { { .type = 4 }, "char" },
        { { .type = 2, .suffix = 1 }, "treat_whitespace_as_suffix" },
        { { .type = 2, .rules = "some" }, "precompiled_charsmap" },
        { { .type = 2, .no_escape = true }, "escape_whitespaces" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct bytes b = { .size = 0 };
        struct text_tokenizer *tok;
        put_model(&b, &cases[i].s);
        test_refused(&ctx, load(&ctx, b.data, b.size, &tok), RT_ERR_INPUT,
                     "tokenizer.model", cases[i].part, NULL);
        assert_null(tok);
    }
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct text_tokenizer *tok;
    struct bytes b = { .size = 0 };
    const struct settings s = { .type = 2 };
    test_refused(&ctx, load(&ctx, "", 0, &tok), RT_ERR_INPUT, "is empty", NULL);
    put_number(&b, 2, 7);
    test_refused(&ctx, load(&ctx, b.data, b.size, &tok), RT_ERR_INPUT, "no pieces", NULL);
    put_model(&b, &s);
    const size_t whole = b.size;
    put_piece(&b, "<0xZZ>", 0, 6);
    test_refused(&ctx, load(&ctx, b.data, b.size, &tok), RT_ERR_INPUT, "<0xZZ>",
                 "is no byte", NULL);
    b.size = whole;
    put_piece(&b, "", 0, 1);
    test_refused(&ctx, load(&ctx, b.data, b.size, &tok), RT_ERR_INPUT, "no text", NULL);
    b.size = whole;
    put_piece(&b, "unused", 0, 5);
    test_refused(&ctx, load(&ctx, b.data, b.size, &tok), RT_ERR_INPUT, "kind 5", NULL);
    b.size = whole;
    put_bytes(&b, 1, "\x0a\x7f", 2); /* a text of 127 bytes that are not there */
    test_refused(&ctx, load(&ctx, b.data, b.size, &tok), RT_ERR_INPUT, "a piece", NULL);
    b.size = whole;
    put_varint(&b, 1 << 3 | 3); /* a group */
    test_refused(&ctx, load(&ctx, b.data, b.size, &tok), RT_ERR_INPUT, "cut short", NULL);
}

static void every_cut_ends_in_a_message(void **state)
{
    (void)state;
    struct bytes b = { .size = 0 };
    const struct settings s = { .type = 2 };
    put_model(&b, &s);
    for (size_t size = 0; size < b.size; size++) {
        struct rt_ctx ctx = { 0 };
        struct text_tokenizer *tok;
        const rt_status st = load(&ctx, b.data, size, &tok);
        /* cut between two fields it may be a model of fewer settings */
        if (st == RT_OK)
            text_tokenizer_destroy(&tok);
        else
            test_refused(&ctx, st, RT_ERR_INPUT, "tokenizer.model", NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_join_by_score),
        cmocka_unit_test(a_prompt_has_one_start),
        cmocka_unit_test(settings_count),
        cmocka_unit_test(a_gguf_file_has_the_pieces),
        cmocka_unit_test(what_is_not_supported_is_named),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(every_cut_ends_in_a_message),
    };
    return cmocka_run_group_tests_name("sentencepiece", tests, NULL, NULL);
}
