/* The table of prompt formats: prompts as text, examples, stop texts, forced step marks,
 * rules that cut answers into steps, extraction by style. */
#include "pipeline/prompt/answer_turn.h"
#include "pipeline/prompt/examples.h"
#include "pipeline/grade/extract.h"
#include "pipeline/grade/grade.h"
#include "pipeline/prompt/step_split.h"
#include "runtime/text/chat.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct text_chat *row_chat(struct rt_ctx *ctx, const char *name)
{
    struct text_chat *chat = NULL;
    const struct text_chat_options o = { .model = "none", .format = name };
    assert_int_equal(text_chat_create(ctx, &o, &chat), RT_OK);
    return chat;
}

static void expect_prompt(const char *format, const char *chat, const char *examples,
                          const char *expected)
{
    struct rt_ctx ctx = { 0 };
    char *text;
    struct pipe_prompt p = { .format = pipe_prompt_format_find(format),
                             .examples = examples };
    assert_non_null(p.format);
    if (chat)
        p.chat = row_chat(&ctx, chat);
    assert_int_equal(pipe_prompt_text(&ctx, &p, "How many?", &text), RT_OK);
    assert_string_equal(text, expected);
    rt_free(text);
    text_chat_destroy(&p.chat);
}

#define BOXED "Please reason step by step, and put your final answer within \\boxed{}."

static void prompts_are_as_written(void **state)
{
    (void)state;
    expect_prompt("gsm8k-8shot-cot", NULL, "Q: One?\n\nA: The answer is 1.\n\n",
                  "Q: One?\n\nA: The answer is 1.\n\nQ: How many?\n\nA:");
    expect_prompt("math-4shot-minerva", NULL, "E\n\n",
                  "E\n\nProblem:\nHow many?\n\nSolution:");
    expect_prompt("chat-boxed", "chatml", NULL,
                  "<|im_start|>system\n" BOXED "<|im_end|>\n<|im_start|>user\nHow many?"
                  "<|im_end|>\n<|im_start|>assistant\n");
    /* No system text there: the instruction stands before the question. */
    expect_prompt("aime", "mistral", NULL, "<s>[INST] " BOXED "\n\nHow many? [/INST]");
}

static void every_row_is_whole(void **state)
{
    (void)state;
    char hashes[16][65];
    uint32_t n = 0;
    struct rt_ctx ctx = { 0 };
    struct text_chat *chat = row_chat(&ctx, "chatml");
    for (; pipe_prompt_format_at(n); n++) {
        const struct pipe_prompt_format *f = pipe_prompt_format_at(n);
        const struct pipe_prompt p = { .format = f,
                                       .chat = f->chat ? chat : NULL,
                                       .examples = f->examples };
        assert_ptr_equal(pipe_prompt_format_find(f->name), f);
        assert_true(f->summary && f->dialect->segmenter && f->grader &&
                    f->dialect->split && f->dialect->between);
        assert_true(f->style ? pipe_answer_style_find(f->style) != NULL
                             : f->extract && f->equal);
        assert_true(f->new_tokens_max < f->context);
        assert_true((f->examples == NULL) == (f->examples_hash == NULL));
        for (const char *const *d = f->data; *d; d++)
            assert_ptr_equal(pipe_prompt_format_for(*d, strlen(*d)), f);
        pipe_prompt_hash(&p, hashes[n]);
        for (uint32_t k = 0; k < n; k++)
            assert_string_not_equal(hashes[k], hashes[n]);
    }
    assert_int_equal(n, 6);
    text_chat_destroy(&chat);
    assert_null(pipe_prompt_format_for("gsm8", 4));
}

/* ---- steps ---- */

typedef uint32_t split_fn(const char *output, struct pipe_step *steps, uint32_t max);

/* `expected`: steps with | between them. */
static void expect_steps(split_fn *split, const char *text, const char *expected)
{
    struct pipe_step steps[16];
    char joined[512] = "";
    const uint32_t n = split(text, steps, 16);
    uint32_t at = 0;
    for (uint32_t k = 0; k < n; k++) {
        assert_int_equal(steps[k].char_start, at); /* they tile it */
        at = steps[k].char_end;
        snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%.*s",
                 k ? "|" : "", (int)(at - steps[k].char_start),
                 text + steps[k].char_start);
    }
    assert_string_equal(joined, expected);
    if (n)
        assert_int_equal(at, strlen(text));
    /* Cut short, the last takes the rest. */
    for (uint32_t most = 1; most < n; most++) {
        assert_int_equal(split(text, steps, most), most);
        assert_int_equal(steps[most - 1].char_end, strlen(text));
    }
}

static void answers_are_cut_by_rule(void **state)
{
    (void)state;
    split_fn *s = pipe_split_sentences, *p = pipe_split_paragraphs, *m = pipe_split_marks;
    expect_steps(s, "", "");
    expect_steps(s, " \n", "");
    expect_steps(s, "One.", "One.");
    expect_steps(s, " 3 + 4 = 7. So 7.5 apples, e.g. red. The answer is 7.",
                 " 3 + 4 = 7. |So 7.5 apples, e.g. red. |The answer is 7.");
    expect_steps(s, "Mr. Lee has $3. He buys 2! Why? No reason\nEnd.",
                 "Mr. Lee has $3. |He buys 2! |Why? |No reason\n|End.");
    expect_steps(s, "Point A. lies on B. Then $x=2$. So.",
                 "Point A. lies on B. Then $x=2$. |So.");
    expect_steps(p, "a\nb\n\nc\n \n\nd", "a\nb\n\n|c\n \n\n|d");
    expect_steps(p, "\na\nb", "\na\n|b");
    expect_steps(m, "Step 1: a\nb\nStep 2: c\n", "Step 1: a\nb\n|Step 2: c\n");
    expect_steps(m, "Well.\nStep 1: a\nStep 2: b", "Well.\nStep 1: a\n|Step 2: b");
    expect_steps(m, "Well.\nStep 1: a", "Well.\nStep 1: a");
    expect_steps(m, "a\n\nb. Step 1: c", "a\n\n|b. Step 1: c");
    expect_steps(m, "Step x: a\nStep 1 b", "Step x: a\n|Step 1 b");
}

/* ---- turns ---- */

/* Feeds `text` in pieces of `piece` bytes until something is to be done. Returns the act
 * and *at: bytes taken. */
static enum pipe_turn_act feed(const char *format, const char *text, size_t piece,
                               struct pipe_turn *turn, size_t *at)
{
    const struct pipe_prompt_format *f = pipe_prompt_format_find(format);
    const size_t size = strlen(text);
    enum pipe_turn_act act = PIPE_TURN_ON;
    for (*at = 0; *at < size && act == PIPE_TURN_ON;) {
        const size_t n = size - *at < piece ? size - *at : piece;
        act = pipe_turn_feed(f, turn, text + *at, n);
        *at += n;
    }
    return act;
}

static void stop_texts_end_an_answer(void **state)
{
    (void)state;
    static const char text[] = " 3 + 4 = 7. The answer is 7.\n\nQ: And then?";
    for (size_t piece = 1; piece < 9; piece++) {
        struct pipe_turn turn = { 0 };
        size_t at;
        char answer[sizeof text];
        assert_int_equal(feed("gsm8k-8shot-cot", text, piece, &turn, &at), PIPE_TURN_END);
        assert_true(at >= 32 && at < 32 + piece); /* behind "Q:" */
        memcpy(answer, text, sizeof text);
        const struct pipe_prompt p = { .format =
                                           pipe_prompt_format_find("gsm8k-8shot-cot") };
        pipe_prompt_cut(&p, answer);
        assert_string_equal(answer, " 3 + 4 = 7. The answer is 7.\n\n");
    }
    struct pipe_turn turn = { 0 };
    size_t at;
    assert_int_equal(feed("chat-boxed", text, 3, &turn, &at), PIPE_TURN_ON);
    assert_false(pipe_turn_needed(pipe_prompt_format_find("chat-boxed")));
    assert_true(pipe_turn_needed(pipe_prompt_format_find("chat-steps")));
}

static void step_marks_are_forced_by_the_text_alone(void **state)
{
    (void)state;
    const struct pipe_prompt_format *f = pipe_prompt_format_find("chat-steps");
    struct pipe_turn turn = { 0 };
    size_t at;
    assert_int_equal(pipe_turn_feed(f, &turn, "", 0), PIPE_TURN_STEP);
    assert_int_equal(turn.step, 1);
    assert_int_equal(feed("chat-steps", "Step 1: 3 + 4 = 7", 4, &turn, &at),
                     PIPE_TURN_ON);
    assert_int_equal(pipe_turn_feed(f, &turn, ".\n", 2), PIPE_TURN_STEP);
    assert_int_equal(turn.step, 2);
    /* A box that is still open, or whose brace is escaped, ends nothing. */
    assert_int_equal(feed("chat-steps", "Step 2: \\boxed{\\{1", 1, &turn, &at),
                     PIPE_TURN_ON);
    assert_int_equal(pipe_turn_feed(f, &turn, "\n", 1), PIPE_TURN_STEP);
    assert_int_equal(feed("chat-steps", "Step 3: \\}{7}} and so on", 2, &turn, &at),
                     PIPE_TURN_ON);
    assert_true(turn.boxed);
    assert_int_equal(pipe_turn_feed(f, &turn, "\n", 1), PIPE_TURN_END);
    turn = (struct pipe_turn){ 0 };
    uint32_t steps = 0;
    while (pipe_turn_feed(f, &turn, "x\n", 2) == PIPE_TURN_STEP)
        steps++;
    assert_int_equal(steps, PIPE_NUMBERED_MAX);
}

/* ---- grading ---- */

static void answers_are_found_by_the_style_of_the_format(void **state)
{
    (void)state;
    static const struct {
        const char *format, *output, *gold;
        bool extract_ok, correct;
    } rows[] = {
        { "gsm8k-8shot-cot", " 3 + 4 = 7. The answer is 7.\n\n", "7", true, true },
        { "gsm8k-8shot-cot", " 3 + 4 = 7. The answer is 8.", "7", true, false },
        { "gsm8k-8shot-cot", " so it is", "7", false, false },
        { "math-4shot-minerva",
          " so \\boxed{16}.\nFinal Answer: The final answer is $16$. ", "16", true,
          true },
        { "chat-boxed", "Thus $\\boxed{\\frac{1}{2}}$.", "\\frac{1}{2}", true, true },
        { "chat-steps", "Step 1: a\nStep 2: \\boxed{12}\n", "12", true, true },
        { "aime", "It is \\boxed{73}.", "73", true, true },
    };
    struct rt_ctx ctx = { 0 };
    struct pipe_grader *grader = NULL;
    assert_int_equal(pipe_grader_create(&ctx, NULL, &grader), RT_OK);
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        char extracted[PIPE_EXTRACT_MAX];
        struct pipe_score score;
        pipe_grade(grader, pipe_prompt_format_find(rows[i].format), rows[i].output,
                   PIPE_FINISH_STOP, rows[i].gold, extracted, &score);
        if (score.extract_ok != rows[i].extract_ok || score.correct != rows[i].correct ||
            !score.reason)
            fail_msg("%s: '%s' gives '%s' (%s)", rows[i].format, rows[i].output,
                     extracted, score.reason ? score.reason : "");
    }
    pipe_grader_destroy(&grader);
}

/* The prompt opened the reasoning: what stands in it is no answer. */
static void reasoning_that_the_prompt_opens_must_end(void **state)
{
    (void)state;
    static const struct {
        const char *format, *output;
        bool thinks;
        enum pipe_finish finish;
        const char *reason; /* NULL: graded like any other */
    } rows[] = {
        { "chat-boxed", "So \\boxed{4}, or not?", true, PIPE_FINISH_STOP,
          "thinking does not end" },
        { "chat-boxed", "So \\boxed{4}, or not?", true, PIPE_FINISH_LENGTH,
          "truncated before an answer" },
        { "chat-boxed", "So \\boxed{4}, or not?", true, PIPE_FINISH_ERROR, NULL },
        { "chat-boxed", "So \\boxed{4}.", false, PIPE_FINISH_STOP, NULL },
        { "chat-boxed", "So.\n</think>\\boxed{4}.", true, PIPE_FINISH_STOP, NULL },
        { "gsm8k-8shot-cot", "The answer is 4.", true, PIPE_FINISH_STOP, NULL },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct pipe_score score = { .correct = true };
        const bool done =
            pipe_grade_thought(pipe_prompt_format_find(rows[i].format), rows[i].thinks,
                               rows[i].output, rows[i].finish, &score);
        assert_int_equal(done, rows[i].reason != NULL);
        if (done) {
            assert_string_equal(score.reason, rows[i].reason);
            assert_false(score.correct || score.extract_ok);
        }
    }
    assert_true(pipe_prompt_thinks("<think>") && pipe_prompt_thinks("a <think>\n\n"));
    assert_false(pipe_prompt_thinks("<think>\n\n</think>\n") || pipe_prompt_thinks("") ||
                 pipe_prompt_thinks("think>"));
}

/* ---- examples ---- */

static void examples_are_filled_in(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    char *text = NULL;
    static const char good[] =
        "{\"set\":\"a\",\"template\":\"Q: {q}\\nA: {t}\",\"q\":\"1?\",\"t\":\"{1}\"}\n"
        "{\"set\":\"b\",\"template\":\"no\"}\n"
        "{\"set\":\"a\",\"template\":\"{q}\",\"q\":\"2?\"}\n";
    assert_int_equal(pipe_examples_parse(&ctx, "x", good, sizeof good - 1, "a", &text),
                     RT_OK);
    assert_string_equal(text, "Q: 1?\nA: {1}\n\n2?\n\n");
    rt_free(text);
    static const struct {
        const char *text, *part;
    } bad[] = {
        { "{\"set\":\"b\",\"template\":\"\"}\n", "no record of the set 'a'" },
        { "{\"set\":\"a\",\"template\":\"{q}\"}\n",
          "line 1: an example needs the text 'q'" },
        { "{\"set\":\"a\",\"template\":\"{q\"}\n", "names no field" },
        { "{\"template\":\"\"}\n", "needs the text 'set'" },
        { "\n{\"set\":\"a\",", "line 2, column" },
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        const rt_status st =
            pipe_examples_parse(&ctx, "x", bad[i].text, strlen(bad[i].text), "a", &text);
        test_refused(&ctx, st, RT_ERR_INPUT, "'x'", bad[i].part, NULL);
        assert_null(text);
    }
}

static void other_examples_are_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    char *text = NULL;
    static const char other[] = "{\"set\":\"gsm8k-cot-8shot\",\"template\":\"x\"}\n";
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "few.jsonl");
    test_file_write(path, other, sizeof other - 1);
    test_refused(
        &ctx,
        pipe_examples_read(&ctx, path, pipe_prompt_format_find("gsm8k-8shot-cot"), &text),
        RT_ERR_INPUT, "few.jsonl", "not those of format gsm8k-8shot-cot", NULL);
    assert_null(text);
    test_folder_deinit(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_are_as_written),
        cmocka_unit_test(every_row_is_whole),
        cmocka_unit_test(answers_are_cut_by_rule),
        cmocka_unit_test(stop_texts_end_an_answer),
        cmocka_unit_test(step_marks_are_forced_by_the_text_alone),
        cmocka_unit_test(answers_are_found_by_the_style_of_the_format),
        cmocka_unit_test(reasoning_that_the_prompt_opens_must_end),
        cmocka_unit_test(examples_are_filled_in),
        cmocka_unit_test(other_examples_are_refused),
    };
    return cmocka_run_group_tests_name("prompt formats", tests, NULL, NULL);
}
