/* Chat formats: picked from templates by their marks, never guessed, and rendered to the
 * texts that such templates give. */
#include "runtime/text/chat.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct chat_message talk[] = {
    { CHAT_SYSTEM, "Be brief." },
    { CHAT_USER, "2+3?" },
    { CHAT_ASSISTANT, "<think>\nsum\n</think>\n\n5" },
    { CHAT_USER, " And 4? " },
};

struct expected {
    const char *name, *whole, *bare; /* bare: the first question alone */
};

#define TURN(role, text) "<|im_start|>" role "\n" text "<|im_end|>\n"
#define GO "<|im_start|>assistant\n"
#define HEAD(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"
#define THOUGHT "<think>\nsum\n</think>\n\n5"
#define CHATML_TALK             \
    TURN("system", "Be brief.") \
    TURN("user", "2+3?") TURN("assistant", THOUGHT) TURN("user", " And 4? ") GO

static const struct expected expected[] = {
    { "chatml", CHATML_TALK, TURN("user", "2+3?") GO },
    { "qwen2", CHATML_TALK,
      TURN("system", "You are a helpful assistant.") TURN("user", "2+3?") GO },
    { "qwen2.5", CHATML_TALK,
      TURN("system", "You are Qwen, created by Alibaba Cloud. You are a helpful "
                     "assistant.") TURN("user", "2+3?") GO },
    { "smollm2", CHATML_TALK,
      TURN("system", "You are a helpful AI assistant named SmolLM, trained by Hugging "
                     "Face") TURN("user", "2+3?") GO },
    { "qwen3",
      TURN("system", "Be brief.") TURN("user", "2+3?") TURN("assistant", "5")
          TURN("user", " And 4? ") GO,
      TURN("user", "2+3?") GO },
    { "llama-2",
      "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n2+3? [/INST] " THOUGHT
      " </s><s>[INST] And 4? [/INST]",
      "<s>[INST] 2+3? [/INST]" },
    { "llama-3",
      "<|begin_of_text|>" HEAD("system") "Be brief.<|eot_id|>" HEAD(
          "user") "2+3?<|eot_id|>" HEAD("assistant") THOUGHT
      "<|eot_id|>" HEAD("user") "And 4?<|eot_id|>" HEAD("assistant"),
      "<|begin_of_text|>" HEAD("user") "2+3?<|eot_id|>" HEAD("assistant") },
    { "plain", "Be brief.2+3?" THOUGHT " And 4? ", "2+3?" },
};

static void texts_are_as_the_templates_give_them(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    char *text;
    for (size_t i = 0; i < RT_COUNT(expected); i++) {
        const struct chat_format *f = text_chat_find(expected[i].name);
        assert_non_null(f);
        assert_int_equal(text_chat_render(&ctx, f, talk, 4, true, &text), RT_OK);
        assert_string_equal(text, expected[i].whole);
        rt_free(text);
        assert_int_equal(text_chat_render(&ctx, f, talk + 1, 1, true, &text), RT_OK);
        assert_string_equal(text, expected[i].bare);
        rt_free(text);
    }
    assert_int_equal(
        text_chat_render(&ctx, text_chat_find("qwen3"), talk + 1, 1, false, &text),
        RT_OK);
    assert_string_equal(text, TURN("user", "2+3?") GO "<think>\n\n</think>\n\n");
    rt_free(text);
    assert_int_equal(
        text_chat_render(&ctx, text_chat_find("mistral"), talk + 1, 3, true, &text),
        RT_OK);
    assert_string_equal(text,
                        "<s>[INST] 2+3? [/INST]" THOUGHT "</s>[INST]  And 4?  [/INST]");
    rt_free(text);
}

static void wrong_talks_are_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    char *text;
    const struct chat_format *f = text_chat_find("chatml");
    test_refused(&ctx,
                 text_chat_render(&ctx, text_chat_find("mistral"), talk, 4, true, &text),
                 RT_ERR_USAGE, "mistral", "no system text", NULL);
    test_refused(&ctx, text_chat_render(&ctx, f, talk, 1, true, &text), RT_ERR_USAGE,
                 "take turns", NULL);
    test_refused(&ctx, text_chat_render(&ctx, f, talk, 3, true, &text), RT_ERR_USAGE,
                 "take turns", NULL);
    test_refused(&ctx, text_chat_render(&ctx, f, talk + 2, 2, true, &text), RT_ERR_USAGE,
                 "take turns", NULL);
}

#define LOOP "{% for m in messages %}{{ '<|im_start|>' + m.role }}{% endfor %}"

static void templates_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name; /* null: an error */
    } cases[] = {
        { LOOP, "chatml" },
        { LOOP "{{ 'You are a helpful assistant' }}", "qwen2" },
        { LOOP "{{ 'You are Qwen, created by Alibaba Cloud. You are a helpful "
               "assistant.' }}",
          "qwen2.5" },
        { LOOP "{{ 'You are a helpful AI assistant named SmolLM, trained by Hugging "
               "Face' }}",
          "smollm2" },
        { LOOP "{% if enable_thinking is false %}</think>{% endif %}", "qwen3" },
        { "{{ '[INST] ' + '<<SYS>>' + ' [/INST]' }}", "llama-2" },
        { "{{ '[INST] ' + m + ' [/INST]' }}", "mistral" },
        { "<|start_header_id|><|eot_id|>", "llama-3" },
        { LOOP "{{ 'You are a pirate.' }}", NULL },
        { LOOP "</think>", NULL },
        { "<|start_header_id|><|eot_id|>Cutting Knowledge Date", NULL },
        { "{{ '[INST]' + m + '[/INST]' }}", NULL },
        { "{{ '### Instruction:' }}", NULL },
        { "", NULL },
        { LOOP "[INST] [/INST]", NULL }, /* two at once */
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        const struct chat_format *f;
        const rt_status st = text_chat_detect(&ctx, "model", cases[i].text, &f);
        if (cases[i].name) {
            if (st != RT_OK || strcmp(f->name, cases[i].name) != 0)
                fail_msg("case %zu is not '%s'", i, cases[i].name);
        } else {
            test_refused(&ctx, st, RT_ERR_INPUT, "model", "chatml, qwen2, ", "plain",
                         NULL);
            assert_null(f);
        }
    }
}

static void models_say_their_format(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    const struct chat_format *f;
    struct test_folder folder;
    char path[1024];
    test_path(path, sizeof path, "tests/golden/models/qwen2-tiny");
    assert_int_equal(text_chat_pick(&ctx, path, NULL, &f), RT_OK);
    assert_string_equal(f->name, "chatml");
    test_path(path, sizeof path, "tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf");
    assert_int_equal(text_chat_pick(&ctx, path, NULL, &f), RT_OK);
    assert_string_equal(f->name, "chatml");
    assert_int_equal(text_chat_pick(&ctx, path, "llama-3", &f), RT_OK);
    assert_string_equal(f->name, "llama-3");
    test_refused(&ctx, text_chat_pick(&ctx, path, "alpaca", &f), RT_ERR_USAGE, "alpaca",
                 "llama-3", NULL);
    test_folder_init(&folder);
    test_refused(&ctx, text_chat_pick(&ctx, folder.path, NULL, &f), RT_ERR_INPUT,
                 "no chat template", "plain", NULL);
    const char list[] = "{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"x\"},"
                        "{\"name\":\"default\",\"template\":\"[INST] [/INST]\"}]}";
    test_file_write(test_folder_file(&folder, "tokenizer_config.json"), list,
                    sizeof list - 1);
    assert_int_equal(text_chat_pick(&ctx, folder.path, NULL, &f), RT_OK);
    assert_string_equal(f->name, "mistral");
    test_file_write(test_folder_file(&folder, "chat_template.jinja"), LOOP,
                    sizeof LOOP - 1);
    assert_int_equal(text_chat_pick(&ctx, folder.path, NULL, &f), RT_OK);
    assert_string_equal(f->name, "chatml");
    test_folder_deinit(&folder);
}

static void keep_line(void *user, enum rt_log_level level, const char *line)
{
    if (level == RT_LOG_WARNING)
        snprintf(user, 512, "%s", line);
}

/* A format by name whose marks the tokenizer does not know, and a GGUF file that calls
 * the end of a turn a normal token. */
static void marks_that_are_letters_are_warned_of(void **state)
{
    (void)state;
    static const struct {
        const char *format, *mark;
        bool normal;
    } cases[] = { { "chatml", NULL, false },
                  { "plain", NULL, false },
                  { "llama-3", "'<|begin_of_text|>' of chat format 'llama-3'", false },
                  { "chatml", "'<|im_end|>' of chat format 'chatml'", true } };
    static const char key[] = "tokenizer.ggml.token_type";
    enum { TOKENS = 331, AFTER = sizeof key - 1 + 16 }; /* kinds, count, then the list */
    char path[1024], line[512];
    size_t size;
    struct test_folder folder;
    test_folder_init(&folder);
    test_path(path, sizeof path, "tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf");
    char *data = test_file_read(path, &size);
    const char *file = test_folder_file(&folder, "m.gguf");
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { .log = keep_line, .log_user = line };
        struct text_tokenizer *tok = NULL;
        size_t at = 0;
        while (memcmp(data + at, key, sizeof key - 1) != 0)
            at++;
        data[at + AFTER + 4 * (TOKENS - 1)] = cases[i].normal ? 1 : 3;
        test_file_write(file, data, size);
        line[0] = '\0';
        assert_int_equal(text_tokenizer_load(&ctx, file, &tok), RT_OK);
        assert_int_equal(
            text_chat_check(&ctx, file, text_chat_find(cases[i].format), tok), RT_OK);
        if (cases[i].mark ? !strstr(line, cases[i].mark) || !strstr(line, file) : *line)
            fail_msg("case %zu: '%s'", i, line);
        text_tokenizer_destroy(&tok);
    }
    free(data);
    test_folder_deinit(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_as_the_templates_give_them),
        cmocka_unit_test(wrong_talks_are_refused),
        cmocka_unit_test(marks_that_are_letters_are_warned_of),
        cmocka_unit_test(templates_are_told_apart),
        cmocka_unit_test(models_say_their_format),
    };
    return cmocka_run_group_tests_name("chat", tests, NULL, NULL);
}
