/* The end of a turn ends an answer in generate and eval, of a folder and of a GGUF file,
 * whatever the config calls the end of a text: one special token, one behind a blank, one
 * that is shown, letters; what the model would go on with is neither shown nor graded. */
#include "pipeline/run/sequences.h"
#include "runtime/engine/engine.h"
#include "tests/support/chain_model.h"
#include "tests/support/devices.h"
#include "tests/support/gguf_folder.h"
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

#define ANSWER "So it is \\boxed{4}."
#define MORE " The final answer is 7."
#define LINE_END "\xc4\x8a" /* of a byte-level vocabulary, like the space */
#define SPACE "\xc4\xa0"

#define TURNS(end)                                                       \
    "{% for m in messages %}{{ '@' + m.role + '\\n' + m.content + '" end \
    "' }}{% endfor "                                                     \
    "%}{% if add_generation_prompt %}{{ '@assistant\\n' }}{% endif %}"

enum { LINKS_MAX = 12 };

static const struct {
    const char *what, *template, *eos, *shown; /* what is shown: the answer if null */
    struct test_link links[LINKS_MAX];
} cases[] = {
    { "a special token that no config names",
      TURNS("<|im_end|>\\n"),
      "0",
      NULL,
      { { LINE_END, ANSWER }, { ANSWER, "<|im_end|>" }, { "<|im_end|>", MORE } } },
    { "the config's own end",
      TURNS("<|im_end|>\\n"),
      "0",
      NULL,
      { { LINE_END, ANSWER }, { ANSWER, "<|endoftext|>" }, { "<|endoftext|>", MORE } } },
    { "the last of many that the config names",
      TURNS("<|im_end|>\\n"),
      "[3,4,5,6,7,9,10,0]",
      NULL,
      { { LINE_END, ANSWER }, { ANSWER, "<|endoftext|>" }, { "<|endoftext|>", MORE } } },
    { "a token behind a blank",
      TURNS(" </s>"),
      "0",
      ANSWER " ",
      { { LINE_END, ANSWER }, { ANSWER, SPACE }, { SPACE, "</s>" }, { "</s>", MORE } } },
    { "a token that is shown",
      TURNS("<|stop|>\\n"),
      "0",
      NULL,
      { { LINE_END, ANSWER }, { ANSWER, "<|stop|>" }, { "<|stop|>", MORE } } },
    { "letters",
      TURNS(" [END]\\n"),
      "0",
      ANSWER " ",
      { { LINE_END, ANSWER },
        { ANSWER, SPACE },
        { SPACE, "[" },
        { "[", "E" },
        { "E", "N" },
        { "N", "D" },
        { "D", "]" },
        { "]", MORE } } },
    { "the name of the next speaker",
      "{% for m in messages %}{{ '\\nUSER:' if m.role == 'user' else '\\nBOT=' }}"
      "{{ m.content }}{% endfor %}{% if add_generation_prompt %}{{ '\\nBOT=' }}{% endif "
      "%}",
      "0",
      NULL,
      { { "=", ANSWER },
        { ANSWER, LINE_END },
        { LINE_END, "U" },
        { "U", "S" },
        { "S", "E" },
        { "E", "R" },
        { "R", ":" },
        { ":", MORE } } },
};

static void make(size_t i, char gguf[512])
{
    char stem[512];
    json_t *config = json_pack("{s:s, s:s}", "chat_template", cases[i].template,
                               "eos_token", "<|endoftext|>");
    char *text = json_dumps(config, 0);
    size_t links = 0;
    while (links < LINKS_MAX && cases[i].links[links].from)
        links++;
    test_place_renew(&place.other);
    test_chain_model(&place.other, cases[i].links, links, cases[i].eos, text);
    json_decref(config);
    free(text);
    gguf[0] = '\0';
    snprintf(stem, sizeof stem, "%s", test_folder_file(&place.other, "m"));
    if (cases[i].eos[0] != '[') /* a GGUF file names one */
        test_gguf_of_folder(place.other.path, "gpt-2", 1, stem, gguf);
}

/* The stream, and the JSON. */
static void check_generate(size_t i, const char *model)
{
    char args[TEST_LINE_MAX], stream[256];
    struct test_program p;
    const char *shown = cases[i].shown ? cases[i].shown : ANSWER;
    snprintf(stream, sizeof stream, "%s\n", shown);
    snprintf(args, sizeof args,
             "generate --device ref --tune off --chat --n 20 --prompt 2+2? --model %s",
             model);
    test_expect_success(&place, args, &p);
    if (strcmp(p.out, stream) != 0)
        fail_msg("%s: '%s'", cases[i].what, p.out);
    test_program_deinit(&p);
    snprintf(
        args, sizeof args,
        "generate --device ref --tune off --chat --n 20 --prompt 2+2? --json --model %s",
        model);
    test_expect_success(&place, args, &p);
    json_t *root = json_loads(p.out, 0, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "text")), shown);
    assert_string_equal(json_string_value(json_object_get(root, "finish")), "stop");
    json_decref(root);
    test_program_deinit(&p);
}

static void check_eval(size_t i, const char *model)
{
    static const char problem[] =
        "{\"id\":\"a\",\"question\":\"What is 2+2?\",\"answer\":\"4\"}\n";
    char args[TEST_LINE_MAX];
    struct test_program p;
    test_file_write(test_folder_file(&place.other, "p.jsonl"), problem,
                    sizeof problem - 1);
    snprintf(args, sizeof args,
             "eval --device ref --tune off --progress none --format chat-boxed --max-new "
             "20 --problems @O/p.jsonl --store @O/%zu.db --model %s",
             strlen(model), model);
    test_expect_success(&place, args, &p);
    if (!strstr(p.out, "1 of 1 right"))
        fail_msg("%s, %s: %s", cases[i].what, model, p.out);
    test_program_deinit(&p);
}

static void the_end_of_a_turn_ends_an_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        char gguf[512];
        make(i, gguf);
        check_generate(i, place.other.path);
        check_eval(i, place.other.path);
        if (!gguf[0])
            continue;
        check_generate(i, gguf);
        check_eval(i, gguf);
    }
}

/* A box within reasoning that the prompt opens and the answer does not leave is no answer;
 * the stored answer is graded the same way. */
static void reasoning_that_does_not_end_is_no_answer(void **state)
{
    (void)state;
    static const struct test_link links[] = { { LINE_END, ANSWER },
                                              { ANSWER, "<|im_end|>" } };
    static const char config[] =
        "{\"chat_template\":\"{% for m in messages %}{{ m.content }}<|im_end|>"
        "{% endfor %}{% if add_generation_prompt %}{{ '<think>\\n' }}{% endif %}\"}";
    static const char problem[] =
        "{\"id\":\"a\",\"question\":\"What is 2+2?\",\"answer\":\"4\"}\n";
    struct test_program p;
    test_place_renew(&place.other);
    test_chain_model(&place.other, links, RT_COUNT(links), "0", config);
    test_file_write(test_folder_file(&place.other, "p.jsonl"), problem,
                    sizeof problem - 1);
    test_expect_success(
        &place,
        "eval --device ref --tune off --progress none --format chat-boxed "
        "--max-new 20 --problems @O/p.jsonl --store @O/s.db --model @O",
        &p);
    assert_non_null(strstr(p.out, "0 of 1 right"));
    test_program_deinit(&p);
    test_expect_success(&place, "sql --store @O/s.db 'SELECT reason FROM score'", &p);
    assert_non_null(strstr(p.out, "thinking does not end"));
    test_program_deinit(&p);
    test_expect_success(&place, "grade --store @O/s.db --dry-run", &p);
    assert_null(strstr(p.out, "->"));
    test_program_deinit(&p);
}

static void open_session(struct pipe_session *session, struct rt_ctx *ctx)
{
    struct pipe_session_options o = { .model = place.other.path,
                                      .format = pipe_prompt_format_find("chat-boxed"),
                                      .campaign = "test",
                                      .plan = "{}",
                                      .seed = 1 };
    const struct rt_device_options device = { .name = "ref" };
    if (rt_device_create(ctx, &device, &o.dev) != RT_OK ||
        store_open(ctx, test_folder_file(&place.other, "s.db"), STORE_WRITE, &o.store) !=
            RT_OK ||
        pipe_session_open(session, ctx, &o) != RT_OK)
        fail_msg("%s", ctx->message);
}

/* What is trained on is the prompt that is asked, the answer, and its end. */
static void training_targets_end_as_answers_do(void **state)
{
    (void)state;
    char gguf[512];
    struct rt_ctx ctx = { 0 };
    struct pipe_session session;
    struct rt_model *model = NULL;
    struct pipe_sequences s;
    struct rt_engine_options engine = { .slots = 1 };
    uint32_t *ids, n;
    make(0, gguf);
    open_session(&session, &ctx);
    session.context = 128;
    assert_int_equal(pipe_model_load(&session, place.other.path, &model), RT_OK);
    const uint32_t end = text_token_id(session.tok, "<|im_end|>");
    pipe_stop_ids(&session, model, &engine);
    assert_int_equal(engine.stop_count, 2);
    assert_int_equal(engine.stop_ids[0], end);
    assert_int_equal(engine.stop_ids[1], 0);
    assert_int_equal(pipe_end_id(&session, model), end);
    assert_int_equal(pipe_sequences_init(&session, 1, &s), RT_OK);
    assert_int_equal(pipe_sequences_add_text(&session, &s, "2+2?", "So ", "it is 4.",
                                             pipe_end_id(&session, model)),
                     RT_OK);
    static const char text[] = "@system\nPlease reason step by step, and put your final "
                               "answer within \\boxed{}.<|im_end|>\n@user\n2+2?"
                               "<|im_end|>\n@assistant\nSo it is 4.<|im_end|>";
    assert_int_equal(text_encode(session.tok, text, sizeof text - 1, true, &ids, &n),
                     RT_OK);
    assert_int_equal(s.list[0].n, n);
    assert_memory_equal(s.list[0].ids, ids, n * sizeof *ids);
    assert_true(s.list[0].mask[n - 1] && !s.list[0].mask[n - 10]);
    rt_free(ids);
    pipe_sequences_free(&s);
    rt_model_destroy(&model);
    pipe_session_close(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_a_turn_ends_an_answer),
        cmocka_unit_test(reasoning_that_does_not_end_is_no_answer),
        cmocka_unit_test(training_targets_end_as_answers_do),
    };
    return test_place_group("ends of turns", &place, tests, RT_COUNT(tests));
}
