/* Chats: rows of the table by name, where a model's template is read from and what it sees,
 * what ends an answer, what is refused. Texts by templates: golden/test_chats.c. */
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
#include <sys/stat.h>

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

static const struct expected rows[] = {
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

/* The chat of a row, which needs no model. */
static struct text_chat *row_chat(struct rt_ctx *ctx, const char *name, bool thinking)
{
    struct text_chat *chat = NULL;
    const struct text_chat_options o = { .model = "none",
                                         .format = name,
                                         .thinking = thinking ? CHAT_THINKING_USUAL
                                                              : CHAT_THINKING_OFF };
    if (text_chat_create(ctx, &o, &chat) != RT_OK)
        fail_msg("%s", ctx->message);
    return chat;
}

static void expect_text(struct text_chat *chat, const struct chat_message *messages,
                        uint32_t count, const char *expected)
{
    char *text = NULL;
    assert_int_equal(text_chat_render(chat, messages, count, &text), RT_OK);
    assert_string_equal(text, expected);
    rt_free(text);
}

static void rows_are_rendered_by_name(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct text_chat *chat;
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        chat = row_chat(&ctx, rows[i].name, true);
        expect_text(chat, talk, 4, rows[i].whole);
        expect_text(chat, talk + 1, 1, rows[i].bare);
        text_chat_destroy(&chat);
    }
    chat = row_chat(&ctx, "qwen3", false);
    expect_text(chat, talk + 1, 1, TURN("user", "2+3?") GO "<think>\n\n</think>\n\n");
    text_chat_destroy(&chat);
}

static void keep_line(void *user, enum rt_log_level level, const char *line)
{
    if (level == RT_LOG_WARNING)
        snprintf(user, 512, "%s", line);
}

/* Said once, however many prompts there are. */
static void a_system_text_without_a_place_joins_the_question(void **state)
{
    (void)state;
    char line[512] = "";
    struct rt_ctx ctx = { .log = keep_line, .log_user = line };
    struct text_chat *chat = row_chat(&ctx, "mistral", true);
    expect_text(chat, talk, 4,
                "<s>[INST] Be brief.\n\n2+3? [/INST]" THOUGHT
                "</s>[INST]  And 4?  [/INST]");
    assert_non_null(strstr(line, "chat format has no system text"));
    line[0] = '\0';
    expect_text(chat, talk, 2, "<s>[INST] Be brief.\n\n2+3? [/INST]");
    assert_string_equal(line, "");
    text_chat_destroy(&chat);
}

static void wrong_talks_are_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    char *text;
    static const struct {
        uint32_t first, count;
    } wrong[] = { { 0, 1 }, { 0, 3 }, { 2, 2 }, { 0, 0 } };
    struct text_chat *chat = row_chat(&ctx, "chatml", true);
    for (size_t i = 0; i < RT_COUNT(wrong); i++)
        test_refused(&ctx,
                     text_chat_render(chat, talk + wrong[i].first, wrong[i].count, &text),
                     RT_ERR_USAGE, "take turns", NULL);
    text_chat_destroy(&chat);
}

/* ---- models ---- */

#define BOTH                                                                           \
    "{{ bos_token }}{% for m in messages %}{{ '@' + m.role + ':' + m.content + ';' }}" \
    "{% endfor %}{{ eos_token }}{{ unk_token }}"

static void put(const struct test_folder *folder, const char *name, const char *text)
{
    test_file_write(test_folder_file(folder, name), text, strlen(text));
}

static rt_status open_model(struct rt_ctx *ctx, const char *path, struct text_chat **chat)
{
    return text_chat_create(ctx, &(struct text_chat_options){ .model = path }, chat);
}

static void expect_model(const struct test_folder *folder, const char *expected)
{
    struct rt_ctx ctx = { 0 };
    struct text_chat *chat = NULL;
    if (open_model(&ctx, folder->path, &chat) != RT_OK)
        fail_msg("%s", ctx.message);
    expect_text(chat, &(struct chat_message){ CHAT_USER, "hi" }, 1, expected);
    text_chat_destroy(&chat);
}

/* Each step adds a file that transformers reads before those that were there. */
static void a_template_is_found_where_transformers_finds_it(void **state)
{
    (void)state;
    struct test_folder folder;
    test_folder_init(&folder);
    put(&folder, "tokenizer.json", "{}");
    put(&folder, "tokenizer_config.json",
        "{\"chat_template\":\"1{{ messages[0].content }}\"}");
    expect_model(&folder, "1hi");
    put(&folder, "tokenizer_config.json",
        "{\"chat_template\":{\"default\":\"2{{ messages[0].content }}\",\"x\":\"\"}}");
    expect_model(&folder, "2hi");
    put(&folder, "tokenizer_config.json",
        "{\"chat_template\":[{\"name\":\"x\",\"template\":\"\"},{\"name\":\"default\","
        "\"template\":\"3{{ messages[0].content }}\"}]}");
    expect_model(&folder, "3hi");
    put(&folder, "chat_template.jinja", "4{{ messages[0].content }}\n");
    expect_model(&folder, "4hi");
    assert_int_equal(mkdir(test_folder_file(&folder, "additional_chat_templates"), 0700),
                     0);
    put(&folder, "additional_chat_templates/rag.jinja", "{{ no }}");
    expect_model(&folder, "4hi");
    put(&folder, "additional_chat_templates/default.jinja", "5{{ messages[0].content }}");
    expect_model(&folder, "5hi");
    test_folder_deinit(&folder);
}

static void special_tokens_are_those_of_transformers(void **state)
{
    (void)state;
    struct test_folder folder;
    test_folder_init(&folder);
    put(&folder, "tokenizer.json", "{}");
    put(&folder, "chat_template.jinja", BOTH);
    put(&folder, "tokenizer_config.json",
        "{\"bos_token\":\"<a>\",\"add_bos_token\":false,\"eos_token\":"
        "{\"content\":\"<b>\",\"special\":true},\"unk_token\":null}");
    expect_model(&folder, "<a>@user:hi;<b>");
    /* The older kind: a file of its own is read after it. */
    put(&folder, "special_tokens_map.json",
        "{\"eos_token\":{\"content\":\"<c>\"},\"unk_token\":\"<u>\"}");
    expect_model(&folder, "<a>@user:hi;<c><u>");
    put(&folder, "tokenizer_config.json",
        "{\"bos_token\":\"<a>\",\"eos_token\":\"<b>\",\"added_tokens_decoder\":{}}");
    expect_model(&folder, "<a>@user:hi;<b>");
    /* What a class has by itself. */
    put(&folder, "tokenizer_config.json", "{\"added_tokens_decoder\":{}}");
    expect_model(&folder, "@user:hi;");
    put(&folder, "config.json", "{\"model_type\":\"qwen2\"}");
    expect_model(&folder, "@user:hi;<|endoftext|><|endoftext|>");
    put(&folder, "config.json", "{\"model_type\":\"llama\"}");
    expect_model(&folder, "@user:hi;");
    put(&folder, "tokenizer_config.json",
        "{\"added_tokens_decoder\":{},\"tokenizer_class\":\"Qwen2TokenizerFast\","
        "\"unk_token\":null}");
    expect_model(&folder, "@user:hi;<|endoftext|>");
    test_folder_deinit(&folder);
}

/* What is refused, and what the message says. `template` null: no file of it. */
static void what_cannot_be_rendered_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *config, *template, *first, *second;
    } cases[] = {
        { "{}", NULL, "has no chat template", "qwen2.5" },
        { "{\"chat_template\":null}", NULL, "has no chat template", "llama-3" },
        { "{\"chat_template\":[{\"name\":\"rag\",\"template\":\"x\"}]}", NULL,
          "tokenizer_config.json' has several", "'default'" },
        { "{\"chat_template\":7}", NULL, "must be a text", "tokenizer_config.json" },
        { "{}", "Hello", "leaves the text of the user out", "--chat-format" },
        { "{}", "{{ messages[0].content[:4] }}", "leaves the text of the user out",
          NULL },
        { "{}", "{{ messages[0].content|first }}", "leaves the text of the user", NULL },
        { "{}", "{{ messages[0].content|list }}", "leaves the text of the user", NULL },
        { "{}", "{{ messages[0].content[:4]|tojson }}", "leaves the text of the", NULL },
        { "{}", "", "leaves the text of the user out", "chat_template.jinja" },
        { "{}", "{% for %}", "chat_template.jinja", "--chat-format" },
        { "{}", "a\n{% include 'x' %}", "include", "--chat-format" },
        { "{}", "{{ raise_exception('Never ' + messages[0].role) }}", "Never user",
          "--chat-format" },
        { "{}", "{{ messages[0].content + nothing }}", "chat_template.jinja", "plain" },
        { "{}",
          "{% for a in range(9999999) %}{% for b in range(9999999) %}{% endfor %}"
          "{% endfor %}",
          "chat_template.jinja", "--chat-format" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct test_folder folder;
        struct text_chat *chat;
        test_folder_init(&folder);
        put(&folder, "tokenizer_config.json", cases[i].config);
        if (cases[i].template)
            put(&folder, "chat_template.jinja", cases[i].template);
        test_refused(&ctx, open_model(&ctx, folder.path, &chat), RT_ERR_INPUT,
                     cases[i].first, cases[i].second, NULL);
        assert_null(chat);
        test_folder_deinit(&folder);
    }
}

/* No choice of a format mends a broken file. */
static void a_broken_file_comes_without_advice(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    struct text_chat *chat;
    test_folder_init(&folder);
    put(&folder, "chat_template.jinja", "{{ messages[0].content }}");
    put(&folder, "tokenizer_config.json", "{\"chat_template\":");
    test_refused(&ctx, open_model(&ctx, folder.path, &chat), RT_ERR_INPUT,
                 "tokenizer_config.json", NULL);
    assert_null(strstr(ctx.message, "--chat-format"));
    test_folder_deinit(&folder);
}

/* The question alone is refused, and how to ask it is said. */
static void a_template_may_need_a_system_text(void **state)
{
    (void)state;
    static const char needs[] =
        "{% if messages[0].role != 'system' %}{{ raise_exception('system first') }}"
        "{% endif %}";
    static const char *const contents[] = { "m.content", "m.content[0].text" };
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    test_folder_init(&folder);
    for (size_t i = 0; i < RT_COUNT(contents); i++) {
        char text[512], *out;
        struct text_chat *chat;
        snprintf(text, sizeof text,
                 "%s{%% for m in messages %%}{%% set c = %s %%}{{ m.role + ':' + c }}."
                 "{%% if c is not string %%}{{ raise_exception('no') }}{%% endif %%}"
                 "{%% endfor %%}",
                 needs, contents[i]);
        put(&folder, "chat_template.jinja", text);
        if (open_model(&ctx, folder.path, &chat) != RT_OK)
            fail_msg("%s", ctx.message);
        expect_text(chat, talk, 2, "system:Be brief..user:2+3?.");
        test_refused(&ctx, text_chat_render(chat, talk + 1, 1, &out), RT_ERR_USAGE,
                     "chat_template.jinja", "give --system", NULL);
        text_chat_destroy(&chat);
    }
    test_folder_deinit(&folder);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    static const char *const dates[] = { "",           "2024",       "2024-7-26",
                                         "2024-13-01", "2023-02-29", "1900-02-29",
                                         "2024-04-31", "2024-00-10", "2024-01-00",
                                         "0000-01-01", "2024/01/01", "2024-01-011",
                                         "2024-01-0a", "yesterday!" };
    struct rt_ctx ctx = { 0 };
    struct text_chat *chat;
    for (size_t i = 0; i < RT_COUNT(dates); i++) {
        const struct text_chat_options o = { .model = "none",
                                             .format = "chatml",
                                             .date = dates[i] };
        test_refused(&ctx, text_chat_create(&ctx, &o, &chat), RT_ERR_USAGE, "chat date",
                     "2024-07-26", NULL);
    }
    const struct text_chat_options o = { .model = "none", .format = "alpaca" };
    test_refused(&ctx, text_chat_create(&ctx, &o, &chat), RT_ERR_USAGE, "alpaca",
                 "llama-3", NULL);
}

/* An option that the chats do not ask for is said to change nothing, and does not. */
static void options_without_use_are_warned_of(void **state)
{
    (void)state;
    static const char *const templates[] = {
        "{{ messages[0].content }}",
        "{{ messages[0].content }}{{ strftime_now('%d.%m.%y') }}{{ enable_thinking }}",
    };
    for (size_t i = 0; i < RT_COUNT(templates); i++) {
        char line[512] = "", usual[65];
        struct rt_ctx ctx = { .log = keep_line, .log_user = line };
        struct test_folder folder;
        struct text_chat *chat;
        struct text_chat_options o = { .model = folder.path };
        test_folder_init(&folder);
        put(&folder, "chat_template.jinja", templates[i]);
        assert_int_equal(text_chat_create(&ctx, &o, &chat), RT_OK);
        snprintf(usual, sizeof usual, "%s", text_chat_hash(chat));
        text_chat_destroy(&chat);
        o.date = "2000-02-29";
        assert_int_equal(text_chat_create(&ctx, &o, &chat), RT_OK);
        assert_true((strstr(line, "have no date") == NULL) == (i == 1));
        assert_true((strcmp(usual, text_chat_hash(chat)) != 0) == (i == 1));
        expect_text(chat, talk + 1, 1, i ? "2+3?29.02.00" : "2+3?");
        text_chat_destroy(&chat);
        line[0] = '\0';
        o.date = NULL;
        o.thinking = CHAT_THINKING_OFF;
        assert_int_equal(text_chat_create(&ctx, &o, &chat), RT_OK);
        assert_true((strstr(line, "no switch for thinking") == NULL) == (i == 1));
        assert_true((strcmp(usual, text_chat_hash(chat)) != 0) == (i == 1));
        expect_text(chat, talk + 1, 1, i ? "2+3?26.07.24False" : "2+3?");
        text_chat_destroy(&chat);
        o.thinking = CHAT_THINKING_ON;
        assert_int_equal(text_chat_create(&ctx, &o, &chat), RT_OK);
        expect_text(chat, talk + 1, 1, i ? "2+3?26.07.24True" : "2+3?");
        text_chat_destroy(&chat);
        test_folder_deinit(&folder);
    }
}

/* Whatever shapes a prompt shapes the hash; what the template does not read does not. */
static void the_hash_is_of_all_that_shapes_a_prompt(void **state)
{
    (void)state;
    static const struct {
        const char *template, *config;
        bool same; /* as the first */
    } cases[] = {
        { BOTH, "{\"bos_token\":\"<a>\"}", true },
        { BOTH, "{\"bos_token\":\"<a>\",\"pad_token\":\"<p>\"}", true },
        { BOTH, "{\"bos_token\":\"<b>\"}", false },
        { BOTH, "{\"eos_token\":\"<a>\"}", false },
        { BOTH " ", "{\"bos_token\":\"<a>\"}", false },
    };
    char first[65] = "";
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct test_folder folder;
        struct text_chat *chat;
        test_folder_init(&folder);
        put(&folder, "tokenizer.json", "{}");
        put(&folder, "tokenizer_config.json", cases[i].config);
        put(&folder, "chat_template.jinja", cases[i].template);
        assert_int_equal(open_model(&ctx, folder.path, &chat), RT_OK);
        if (i == 0)
            snprintf(first, sizeof first, "%s", text_chat_hash(chat));
        assert_true((strcmp(first, text_chat_hash(chat)) == 0) == cases[i].same);
        text_chat_destroy(&chat);
        test_folder_deinit(&folder);
    }
}

/* Text that is not UTF-8 is read as the tokenizer reads it. */
static void bad_bytes_become_the_replacement(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    struct text_chat *chat;
    test_folder_init(&folder);
    put(&folder, "chat_template.jinja", "{{ messages[0].content }}");
    assert_int_equal(open_model(&ctx, folder.path, &chat), RT_OK);
    expect_text(chat,
                &(struct chat_message){ CHAT_USER, "a\xff"
                                                   "b" },
                1,
                "a\xEF\xBF\xBD"
                "b");
    text_chat_destroy(&chat);
    test_folder_deinit(&folder);
}

/* An end without a token: by its letters, if these are enough to be told from an answer. */
static void ends_of_letters_are_cut_to_a_line(void **state)
{
    (void)state;
    static const struct {
        const char *end, *text;
    } cases[] = {
        { "", "" },
        { "\\n\\n", "" },
        { ".", "" },
        { "\\n#", "" },
        { " ##", "" },
        { "\\n##", "\n##" },
        { " END \\n more", "END" },
        { "\\n\\nHuman: ", "\nHuman:" },
        { "0123456789012345678901234567890123456789",
          "01234567890123456789012345678901" },
        { "\\n0123456789012345678901234567890123", "\n0123456789012345678901234567890" },
        { "012345678901234567890123456789\u00e9\u00e9",
          "012345678901234567890123456789\u00e9" },
        { "0123456789012345678901234567890\u00e9", "0123456789012345678901234567890" },
    };
    char path[1024];
    struct rt_ctx ctx = { 0 };
    struct text_tokenizer *tok = NULL;
    struct test_folder folder;
    test_path(path, sizeof path, "tests/golden/tokenizer/qwen2");
    assert_int_equal(text_tokenizer_load(&ctx, path, &tok), RT_OK);
    test_folder_init(&folder);
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        char text[256];
        struct text_chat *chat;
        struct text_chat_end end;
        snprintf(text, sizeof text,
                 "{%% for m in messages %%}{{ m.content + '%s' }}{%% endfor %%}",
                 cases[i].end);
        put(&folder, "chat_template.jinja", text);
        if (open_model(&ctx, folder.path, &chat) != RT_OK)
            fail_msg("%s", ctx.message);
        text_chat_end(chat, tok, &end);
        assert_int_equal(end.count, 0);
        if (strcmp(end.text, cases[i].text) != 0)
            fail_msg("'%s' gives '%s'", cases[i].end, end.text);
        text_chat_destroy(&chat);
    }
    text_tokenizer_destroy(&tok);
    test_folder_deinit(&folder);
}

/* Every allocation fails once: memory is the only reason, and nothing leaks (asan). */
static void memory_may_run_out(void **state)
{
    (void)state;
    struct test_folder folder;
    uint64_t at = 0;
    rt_status st = RT_ERR_HOST_MEMORY;
    test_folder_init(&folder);
    put(&folder, "tokenizer_config.json", "{\"bos_token\":\"<a>\"}");
    put(&folder, "chat_template.jinja",
        "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif "
        "%}" BOTH);
    for (at = 1; st != RT_OK; at++) {
        struct rt_ctx ctx = { .alloc_fail_at = at };
        struct text_chat *chat = NULL;
        char *text = NULL;
        st = open_model(&ctx, folder.path, &chat);
        if (st == RT_OK)
            st = text_chat_render(chat, talk, 4, &text);
        assert_true(st == RT_OK || st == RT_ERR_HOST_MEMORY);
        assert_true((st == RT_OK) == (text != NULL));
        rt_free(text);
        text_chat_destroy(&chat);
    }
    assert_true(at > 50);
    test_folder_deinit(&folder);
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
        struct text_chat *chat = NULL;
        size_t at = 0;
        while (memcmp(data + at, key, sizeof key - 1) != 0)
            at++;
        data[at + AFTER + 4 * (TOKENS - 1)] = cases[i].normal ? 1 : 3;
        test_file_write(file, data, size);
        line[0] = '\0';
        assert_int_equal(text_tokenizer_load(&ctx, file, &tok), RT_OK);
        const struct text_chat_options o = { .model = file, .format = cases[i].format };
        assert_int_equal(text_chat_create(&ctx, &o, &chat), RT_OK);
        assert_int_equal(text_chat_check(chat, tok), RT_OK);
        if (cases[i].mark ? !strstr(line, cases[i].mark) || !strstr(line, file) : *line)
            fail_msg("case %zu: '%s'", i, line);
        /* Such a mark ends an answer all the same: by its text. */
        struct text_chat_end end;
        text_chat_end(chat, tok, &end);
        if (cases[i].normal)
            assert_string_equal(end.text, "<|im_end|>");
        text_chat_destroy(&chat);
        text_tokenizer_destroy(&tok);
    }
    free(data);
    test_folder_deinit(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_rendered_by_name),
        cmocka_unit_test(a_system_text_without_a_place_joins_the_question),
        cmocka_unit_test(wrong_talks_are_refused),
        cmocka_unit_test(marks_that_are_letters_are_warned_of),
        cmocka_unit_test(a_template_is_found_where_transformers_finds_it),
        cmocka_unit_test(special_tokens_are_those_of_transformers),
        cmocka_unit_test(what_cannot_be_rendered_is_refused),
        cmocka_unit_test(a_broken_file_comes_without_advice),
        cmocka_unit_test(a_template_may_need_a_system_text),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(options_without_use_are_warned_of),
        cmocka_unit_test(the_hash_is_of_all_that_shapes_a_prompt),
        cmocka_unit_test(bad_bytes_become_the_replacement),
        cmocka_unit_test(ends_of_letters_are_cut_to_a_line),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests_name("chat", tests, NULL, NULL);
}
