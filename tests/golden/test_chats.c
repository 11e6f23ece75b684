/* Chats by the model's own template: text and token ids as transformers gives them, from a
 * folder in each of its forms and from a GGUF file, and what ends an answer. */
#include "runtime/text/chat.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/gguf_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES_MAX = 8 };

static struct {
    json_t *root, *tokens; /* chats.json and tokenizer.json */
    char path[1024];       /* of the latter */
    char said[1024];       /* the last warning */
    uint32_t warnings;
} g;

static void keep_warning(void *user, enum rt_log_level level, const char *line)
{
    (void)user;
    if (level != RT_LOG_WARNING)
        return;
    snprintf(g.said, sizeof g.said, "%s", line);
    g.warnings++;
}

static int set_up(void **state)
{
    (void)state;
    char path[1024];
    g.root = json_load_file(test_path(path, sizeof path, "tests/golden/chat/chats.json"),
                            0, NULL);
    test_path(g.path, sizeof g.path, "tests/golden/chat/tokenizer.json");
    g.tokens = json_load_file(g.path, 0, NULL);
    return !g.root || !g.tokens;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(g.root);
    json_decref(g.tokens);
    return 0;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* ---- one model against what transformers gave ---- */

static uint32_t read_messages(const json_t *list, struct chat_message *out)
{
    const uint32_t n = (uint32_t)json_array_size(list);
    assert_true(n <= MESSAGES_MAX);
    for (uint32_t i = 0; i < n; i++) {
        const char *role = text_of(json_array_get(list, i), "role");
        out[i].role = strcmp(role, "system") == 0 ? CHAT_SYSTEM
                      : strcmp(role, "user") == 0 ? CHAT_USER
                                                  : CHAT_ASSISTANT;
        out[i].content = text_of(json_array_get(list, i), "content");
    }
    return n;
}

static void check_ids(struct text_tokenizer *tok, const char *text, const json_t *want,
                      const char *name)
{
    uint32_t *ids, n;
    assert_int_equal(text_encode(tok, text, strlen(text), true, &ids, &n), RT_OK);
    for (uint32_t i = 0; i < n; i++)
        if (i >= json_array_size(want) ||
            json_integer_value(json_array_get(want, i)) != ids[i])
            fail_msg("%s: token %u of '%s' is %u", name, i, text, ids[i]);
    assert_int_equal(n, json_array_size(want));
    rt_free(ids);
}

static void check_end(const struct text_chat *chat, const struct text_tokenizer *tok,
                      const json_t *entry)
{
    struct text_chat_end end;
    const json_t *want = json_object_get(entry, "stop_tokens");
    text_chat_end(chat, tok, &end);
    for (uint32_t i = 0; i < json_array_size(want) || i < end.count; i++) {
        const char *token = json_string_value(json_array_get(want, i));
        if (i >= end.count || !token || end.ids[i] != text_token_id(tok, token))
            fail_msg("%s: end %u of an answer is %u, not %s", text_of(entry, "name"), i,
                     i < end.count ? end.ids[i] : 0, token ? token : "there");
    }
    assert_string_equal(end.text, text_of(entry, "stop_text"));
}

/* All chats of an entry by the model of this path. */
static uint32_t check_model(const json_t *entry, const char *model)
{
    struct rt_ctx ctx = { .log = keep_warning };
    struct text_tokenizer *tok = NULL;
    const char *name = text_of(entry, "name");
    const json_t *chats = json_object_get(entry, "chats");
    uint32_t checked = 0;
    assert_int_equal(text_tokenizer_load(&ctx, model, &tok), RT_OK);
    for (size_t i = 0; i < json_array_size(chats); i++) {
        const json_t *one = json_array_get(chats, i);
        const struct text_chat_options o = {
            .model = model,
            .date = text_of(one, "date"),
            .thinking = json_is_false(json_object_get(one, "thinking"))
                            ? CHAT_THINKING_OFF
                            : CHAT_THINKING_USUAL,
        };
        struct chat_message messages[MESSAGES_MAX];
        const uint32_t n = read_messages(json_object_get(one, "messages"), messages);
        struct text_chat *chat = NULL;
        char *text = NULL;
        g.warnings = 0;
        if (text_chat_create(&ctx, &o, &chat) != RT_OK ||
            text_chat_render(chat, messages, n, &text) != RT_OK)
            fail_msg("%s: %s", name, ctx.message);
        if (strcmp(text, text_of(one, "text")) != 0)
            fail_msg("%s: '%s', not '%s'", name, text, text_of(one, "text"));
        const bool folds = json_is_true(json_object_get(entry, "folds")) &&
                           messages->role == CHAT_SYSTEM;
        assert_int_equal(g.warnings, folds);
        check_ids(tok, text, json_object_get(one, "ids"), name);
        check_end(chat, tok, entry);
        rt_free(text);
        text_chat_destroy(&chat);
        checked++;
    }
    text_tokenizer_destroy(&tok);
    return checked;
}

/* ---- the forms of a model ---- */

static void put(const struct test_folder *folder, const char *name, const char *text)
{
    test_file_write(test_folder_file(folder, name), text, strlen(text));
}

static void put_json(const struct test_folder *folder, const char *name, json_t *value)
{
    char *text = json_dumps(value, 0);
    put(folder, name, text);
    free(text);
    json_decref(value);
}

static void begin_folder(struct test_folder *folder)
{
    size_t size;
    test_folder_init(folder);
    char *tokenizer = test_file_read(g.path, &size);
    test_file_write(test_folder_file(folder, "tokenizer.json"), tokenizer, size);
    free(tokenizer);
}

/* The template as a key, as a file beside another key, and as one of a list. */
static void folders_are_rendered_as_transformers_does(void **state)
{
    (void)state;
    const json_t *list = json_object_get(g.root, "templates");
    uint32_t checked = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        json_t *config = json_object_get(entry, "config");
        const char *text = text_of(config, "chat_template");
        struct test_folder folder;
        begin_folder(&folder);
        put_json(&folder, "tokenizer_config.json", json_deep_copy(config));
        checked += check_model(entry, folder.path);
        json_t *named = json_deep_copy(config);
        json_object_set_new(named, "chat_template",
                            json_pack("[{s:s, s:s}, {s:s, s:s}]", "name", "tool_use",
                                      "template", "{{ 'no' }}", "name", "default",
                                      "template", text));
        put_json(&folder, "tokenizer_config.json", json_incref(named));
        checked += check_model(entry, folder.path);
        json_object_set_new(named, "chat_template", json_string("{{ 'no' }}"));
        put_json(&folder, "tokenizer_config.json", named);
        put(&folder, "chat_template.jinja", text);
        checked += check_model(entry, folder.path);
        test_folder_deinit(&folder);
    }
    printf("    %u chats of folders\n", checked);
    assert_true(checked > 300);
}

static void put_id(struct test_gguf *file, const struct text_tokenizer *tok,
                   const json_t *token, const char *key)
{
    const char *text =
        json_is_object(token) ? text_of(token, "content") : json_string_value(token);
    test_gguf_key_u32(file, key, text ? text_token_id(tok, text) : 0);
}

static void gguf_files_are_rendered_as_transformers_does(void **state)
{
    (void)state;
    static struct test_tokens tokens;
    struct rt_ctx ctx = { 0 };
    struct text_tokenizer *tok = NULL;
    struct test_folder folder;
    const json_t *list = json_object_get(g.root, "templates");
    uint32_t checked = 0;
    begin_folder(&folder);
    assert_int_equal(text_tokenizer_load(&ctx, folder.path, &tok), RT_OK);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const json_t *config = json_object_get(entry, "config");
        const json_t *bos = json_object_get(config, "bos_token");
        const bool has_bos = bos && !json_is_null(bos);
        struct test_gguf file;
        if (json_object_get(config, "extra_special_tokens"))
            continue; /* which the format has no key for */
        test_tokens_read(g.tokens, &tokens);
        test_gguf_begin(&file, 0, TEST_TOKENS_KEYS + (has_bos ? 5 : 3));
        test_tokens_put(&file, &tokens, "gpt-2");
        test_gguf_key_text(&file, "tokenizer.chat_template",
                           text_of(config, "chat_template"));
        put_id(&file, tok, json_object_get(config, "eos_token"),
               "tokenizer.ggml.eos_token_id");
        test_gguf_key_u32(&file, "tokenizer.ggml.cls_token_id", 0);
        if (has_bos) {
            put_id(&file, tok, bos, "tokenizer.ggml.bos_token_id");
            test_gguf_key_bool(&file, "tokenizer.ggml.add_bos_token", true);
        }
        const char *path = test_folder_file(&folder, "model.gguf");
        test_gguf_write(&file, path);
        checked += check_model(entry, path);
        test_tokens_free(&tokens);
    }
    text_tokenizer_destroy(&tok);
    test_folder_deinit(&folder);
    printf("    %u chats of GGUF files\n", checked);
    assert_true(checked > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_are_rendered_as_transformers_does),
        cmocka_unit_test(gguf_files_are_rendered_as_transformers_does),
    };
    return cmocka_run_group_tests_name("chats", tests, set_up, tear_down);
}
