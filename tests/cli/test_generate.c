/* generate: text as it comes, whole characters only, the same as JSON; prompts from the
 * command line and standard input; a GGUF file, an adapter; what is refused. */
#include "tests/support/devices.h"
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_place place;
static char gguf[1024]; /* a tiny random model: its text is noise, whole and broken */

#define GENERATE "generate --device ref "

static char *output_of(const char *args, const char *input)
{
    struct test_program p;
    test_place_run(&place, args, &(struct test_run){ .input = input }, &p);
    if (p.code != 0)
        fail_msg("'%s': %s", args, p.err);
    char *text = strdup(p.out);
    test_program_deinit(&p);
    return text;
}

static json_t *json_of(const char *args)
{
    char *text = output_of(args, NULL);
    json_t *root = json_loads(text, 0, NULL);
    if (!root)
        fail_msg("'%s' prints no JSON: %s", args, text);
    free(text);
    return root;
}

static const char *text_of(const json_t *root)
{
    return json_string_value(json_object_get(root, "text"));
}

/* The stream is the JSON's text and a newline. */
static void check_stream(const char *args, const char *input, const json_t *root)
{
    char *got = output_of(args, input);
    const char *want = text_of(root);
    const size_t size = strlen(want);
    if (strncmp(got, want, size) != 0 || strcmp(got + size, "\n") != 0)
        fail_msg("'%s': '%s', not '%s'", args, got, want);
    free(got);
}

static void the_stream_is_the_text(void **state)
{
    (void)state;
    json_t *root = json_of(GENERATE "--model @D --n 12 --json --prompt 'Tom has 3'");
    assert_int_equal(json_array_size(json_object_get(root, "ids")), 12);
    assert_int_equal(json_array_size(json_object_get(root, "logprobs")), 12);
    assert_string_equal(json_string_value(json_object_get(root, "finish")), "length");
    assert_true(strlen(text_of(root)) > 0);
    check_stream(GENERATE "--model @D --n 12 --prompt 'Tom has 3'", NULL, root);
    check_stream(GENERATE "--model @D --n 12 --prompt -", "Tom has 3\n", root);
    check_stream(GENERATE "--model @D --n 12", "Tom has 3", root);
    json_decref(root);
}

/* Random tokens end inside characters all the time; JSON is always UTF-8. */
static void characters_stay_whole(void **state)
{
    (void)state;
    char args[TEST_LINE_MAX];
    snprintf(args, sizeof args,
             GENERATE "--model %s --n 40 --temp 1.5 --seed 3 --prompt Hello", gguf);
    char *stream = output_of(args, NULL);
    json_t *as_json = json_string(stream); /* null: not UTF-8 */
    assert_non_null(as_json);
    json_decref(as_json);
    free(stream);
    snprintf(args, sizeof args,
             GENERATE "--json --model %s --n 40 --temp 1.5 --seed 3 --prompt Hello",
             gguf);
    json_t *root = json_of(args);
    snprintf(args, sizeof args,
             GENERATE "--model %s --n 40 --temp 1.5 --seed 3 --prompt Hello", gguf);
    check_stream(args, NULL, root);
    json_decref(root);
}

/* What `tool logits --top` says after each token is what greedy answers are made of. */
static void the_likeliest_tokens_are_the_greedy_ones(void **state)
{
    (void)state;
    char args[TEST_LINE_MAX];
    snprintf(args, sizeof args, GENERATE "--json --model %s --n 6 --prompt Hello", gguf);
    json_t *root = json_of(args);
    const json_t *answer = json_object_get(root, "ids");
    const json_t *logprobs = json_object_get(root, "logprobs");
    snprintf(args, sizeof args, "tool tokenize --model %s", gguf);
    char *text = output_of(args, "Hello\n");
    json_t *ids = json_loads(text, 0, NULL);
    free(text);
    const size_t prompt = json_array_size(ids);
    json_array_extend(ids, (json_t *)(uintptr_t)answer);
    text = json_dumps(ids, JSON_COMPACT);
    snprintf(args, sizeof args, "tool logits --device ref --top 2 --model %s", gguf);
    char *out = output_of(args, text);
    json_t *top = json_loads(out, 0, NULL);
    assert_int_equal(json_array_size(top), json_array_size(ids));
    for (size_t k = 0; k < 6; k++) {
        const json_t *best = json_array_get(json_array_get(top, prompt - 1 + k), 0);
        const double apart = json_real_value(json_array_get(best, 1)) -
                             json_real_value(json_array_get(logprobs, k));
        assert_true(json_equal(json_array_get(best, 0), json_array_get(answer, k)));
        assert_true(apart > -1e-5 && apart < 1e-5);
    }
    free(text);
    free(out);
    json_decref(top);
    json_decref(ids);
    json_decref(root);
}

static void a_chat_has_the_format_around_it(void **state)
{
    (void)state;
    char args[TEST_LINE_MAX];
    static const char *const more[] = { "", "--chat-format chatml",
                                        "--chat-format chatml --system Short." };
    json_int_t tokens = 0;
    for (size_t i = 0; i < RT_COUNT(more); i++) {
        snprintf(args, sizeof args, GENERATE "--json --model %s --n 2 --prompt Hi %s",
                 gguf, more[i]);
        json_t *root = json_of(args);
        const json_int_t n = json_integer_value(json_object_get(root, "prompt_tokens"));
        assert_true(n > tokens);
        tokens = n;
        json_decref(root);
    }
}

/* What the model is given can be seen: the text alone, or with ids and ends. */
static void the_prompt_can_be_printed(void **state)
{
    (void)state;
    static const struct {
        const char *args, *text;
    } rows[] = {
        { "--prompt Hi", "Hi" },
        { "--prompt Hi --chat",
          "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n" },
        { "--prompt Hi --chat --system Short.",
          "<|im_start|>system\nShort.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
          "<|im_start|>assistant\n" },
        { "--prompt Hi --chat-format llama-2", "<s>[INST] Hi [/INST]" },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        char args[TEST_LINE_MAX];
        snprintf(args, sizeof args, GENERATE "--model @T --print-prompt %s",
                 rows[i].args);
        char *text = output_of(args, NULL);
        assert_string_equal(text, rows[i].text);
        free(text);
        snprintf(args, sizeof args, GENERATE "--model @T --print-prompt --json %s",
                 rows[i].args);
        json_t *root = json_of(args);
        assert_string_equal(json_string_value(json_object_get(root, "prompt")),
                            rows[i].text);
        assert_true(json_array_size(json_object_get(root, "ids")) > 0);
        /* The config's two ends; that of the turn is one of them. */
        assert_int_equal(json_array_size(json_object_get(root, "stop_ids")), 2);
        json_decref(root);
    }
}

static void an_adapter_changes_the_answer(void **state)
{
    (void)state;
    json_t *base = json_of(GENERATE "--json --model @T --n 8 --prompt abc");
    json_t *with = json_of(GENERATE "--json --model @T --adapter @A --n 8 --prompt abc");
    assert_false(
        json_equal(json_object_get(base, "logprobs"), json_object_get(with, "logprobs")));
    json_decref(base);
    json_decref(with);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "no model", NULL, GENERATE "--prompt x", 2, "--model DIR", NULL },
        { "an empty prompt", NULL, GENERATE "--model @T --prompt ''", 2, "is empty",
          NULL },
        { "no tokens", NULL, GENERATE "--model @T --prompt x --n 0", 2, "--n 0|from 1",
          NULL },
        { "a temperature below zero", NULL, GENERATE "--model @T --prompt x --temp -1", 2,
          "--temp -1|from 0", NULL },
        { "a system text without a chat", NULL,
          GENERATE "--model @T --prompt x --system y", 2, "--chat", NULL },
        { "a date without a chat", NULL,
          GENERATE "--model @T --prompt x --chat-date 2024-01-01", 2, "--chat", NULL },
        { "thinking and not", NULL,
          GENERATE "--model @T --prompt x --chat --thinking --no-thinking", 2, "not both",
          NULL },
        { "a date that is none", NULL,
          GENERATE "--model @T --prompt x --chat --chat-date 2024-02-30", 2,
          "chat date '2024-02-30'|2024-07-26", NULL },
        { "a chat format that is none", NULL,
          GENERATE "--model @T --prompt x --chat-format moon", 2, "moon|chatml", NULL },
        { "no such file", NULL, GENERATE "--model none.gguf --prompt x", 4,
          "none.gguf|No such file", NULL },
        { "no such folder", NULL, GENERATE "--model none --prompt x", 4, "none", NULL },
        { "no such adapter", NULL, GENERATE "--model @T --prompt x --adapter none", 4,
          "none", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

static void a_prompt_longer_than_the_context_is_refused(void **state)
{
    (void)state;
    enum { WORDS = 4000 };
    struct test_program p;
    char *input = malloc(2 * WORDS + 1);
    for (size_t i = 0; i < WORDS; i++)
        memcpy(input + 2 * i, "7 ", 3);
    test_place_run(&place, GENERATE "--model @T", &(struct test_run){ .input = input },
                   &p);
    test_expect_refusal("a long prompt", &p, 2, "tokens, the context of|generate");
    test_program_deinit(&p);
    free(input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_is_the_text),
        cmocka_unit_test(characters_stay_whole),
        cmocka_unit_test(the_likeliest_tokens_are_the_greedy_ones),
        cmocka_unit_test(a_chat_has_the_format_around_it),
        cmocka_unit_test(the_prompt_can_be_printed),
        cmocka_unit_test(an_adapter_changes_the_answer),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(a_prompt_longer_than_the_context_is_refused),
    };
    test_path(gguf, sizeof gguf, "tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf");
    return test_place_group("generate", &place, tests, RT_COUNT(tests));
}
