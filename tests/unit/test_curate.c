/* Silver Bullet selection: what is dropped and why, balance, determinism, controls,
 * export. */
#include "pipeline/restore/curate.h"
#include "runtime/text/chat.h"
#include "tests/support/demo_answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static struct pipe_candidate pair(const char *question, const char *chosen,
                                  const char *rejected)
{
    return (struct pipe_candidate){
        .item = { .problem_id = "p",
                  .prompt = question,
                  .chosen = chosen,
                  .rejected = rejected,
                  .category = PIPE_CAT_METHOD_FORMULA,
                  .step = 1,
                  .source = "full-continuation" },
        .question = question,
        .verified = true,
    };
}

static void every_reason_is_given(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set measured;
    const char *line = "{\"id\":\"m\",\"question\":\"Seen before?\",\"answer\":\"1\"}\n"
                       "{\"id\":\"n\",\"question\":\"1, 2, 3, 4: what is their "
                       "sum?\",\"answer\":\"10\"}";
    assert_int_equal(
        pipe_problems_parse(&ctx, "m", line, strlen(line), 0, UINT32_MAX, &measured),
        RT_OK);
    const struct pipe_problem_set *const sets[] = { &measured };
    struct pipe_candidate c[11] = {
        pair("Q0", "x: 1+1=2\n", "x: 1+1=3\n"), /* good */
        pair("Q1", "x: 1+1=2\n", "x: 1+1=3\n"),
        pair("Q2", NULL, "x: 1+1=3\n"),
        pair("Q3", "x: 1+1=2\n", "x: 1+1=3\n"),
        pair("Q4", "x: 1+1=2\n", "x: 1+1=2"),
        pair("Q5", "x: 1+1=2\n", "x: 1+"),
        pair("A question that is longer than the limit", "x: 1+1=2\n", "x: 1+1=3\n"),
        pair("seen BEFORE", "x: 1+1=2\n", "x: 1+1=3\n"),
        pair("q0", "x: 1+2=3\n", "x: 1+1=4\n"), /* the question of the first */
        pair("Q9", "x: 1-1=0\n", "x: 1+1=0\n"), /* good: an operator is no formatting */
        pair("What is the sum? 4, 3, 2, 1", "x: 4+3=7\n", "x: 4+3=8\n"),
    };
    c[1].item.step = -1;
    c[3].verified = false;
    c[5].truncated = true;
    c[10].answer = "10";
    static const enum pipe_drop expected[11] = {
        PIPE_DROP_NONE,       PIPE_DROP_NO_FAULT, PIPE_DROP_NO_REPAIR,
        PIPE_DROP_UNVERIFIED, PIPE_DROP_SAME,     PIPE_DROP_TRUNCATED,
        PIPE_DROP_LONG,       PIPE_DROP_MEASURED, PIPE_DROP_DUPLICATE,
        PIPE_DROP_NONE,       PIPE_DROP_NEAR,
    };
    struct pipe_curate_options o = {
        .kind = PIPE_ITEMS_DPO, .bytes_max = 40, .measured = sets, .measured_count = 1
    };
    struct pipe_curated r;
    assert_int_equal(pipe_curate(&ctx, c, 11, &o, &r), RT_OK);
    for (int i = 0; i < 11; i++)
        if (r.drops[i] != expected[i])
            fail_msg("%d: %s", i, pipe_drop_reason(r.drops[i]));
    assert_int_equal(r.count, 2);
    assert_int_equal(r.picked[1], 9);
    assert_int_equal(r.dropped[PIPE_DROP_LONG], 1);
    pipe_curated_deinit(&r);
    o.allow_measured = true;
    assert_int_equal(pipe_curate(&ctx, c, 11, &o, &r), RT_OK);
    assert_int_equal(r.count, 4);
    pipe_curated_deinit(&r);
    pipe_problems_deinit(&measured);
}

enum { MANY = 600 };

/* 500 of one kind, 100 of four rare ones. */
static void fill(struct pipe_candidate *c, char questions[][16])
{
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(questions[i], 16, "Question %u", i);
        c[i] = pair(questions[i], "x: 1+1=2\n", "x: 1+1=3\n");
        if (i >= 500) {
            c[i].item.category =
                i % 2 ? PIPE_CAT_TRANSFER : PIPE_CAT_EXECUTION_COMPUTATION;
            c[i].item.step = (int32_t)(i % 4) / 2;
        }
    }
}

static void selection_is_balanced_and_a_function_of_the_seed(void **state)
{
    (void)state;
    static struct pipe_candidate c[MANY];
    static char questions[MANY][16];
    struct rt_ctx ctx = { 0 };
    fill(c, questions);
    struct pipe_curate_options o = { .kind = PIPE_ITEMS_DPO,
                                     .max_items = 100,
                                     .seed = 1 };
    struct pipe_curated a, b;
    assert_int_equal(pipe_curate(&ctx, c, MANY, &o, &a), RT_OK);
    assert_int_equal(a.count, 100);
    uint32_t rare = 0;
    for (uint32_t i = 0; i < a.count; i++) {
        rare += a.picked[i] >= 500;
        assert_true(i == 0 || a.picked[i] > a.picked[i - 1]);
    }
    assert_int_equal(rare, 80); /* 20 of each of five cells */
    assert_int_equal(a.dropped[PIPE_DROP_SURPLUS], MANY - 100);
    assert_int_equal(pipe_curate(&ctx, c, MANY, &o, &b), RT_OK);
    assert_memory_equal(a.picked, b.picked, 100 * sizeof *a.picked);
    pipe_curated_deinit(&b);
    o.seed = 2;
    assert_int_equal(pipe_curate(&ctx, c, MANY, &o, &b), RT_OK);
    assert_memory_not_equal(a.picked, b.picked, 100 * sizeof *a.picked);
    pipe_curated_deinit(&b);
    o.max_items = 0;
    assert_int_equal(pipe_curate(&ctx, c, MANY, &o, &b), RT_OK);
    assert_int_equal(b.count, PIPE_ITEMS_DEFAULT);
    pipe_curated_deinit(&b);
    assert_int_equal(pipe_curate(&ctx, c, 0, &o, &b), RT_OK);
    assert_int_equal(b.count, 0);
    pipe_curated_deinit(&a);
    pipe_curated_deinit(&b);
}

/* B9: what is trained is what is asked, with chat turns, examples and instruction. */
static void prompts_of_items_are_those_that_are_asked(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_pool pool = { 0 };
    const struct pipe_problem p = { .id = "p", .question = "Q?", .answer = "4" };
    struct pipe_prompt prompts[] = {
        { .format = pipe_prompt_format_find("chat-boxed") },
        { .format = pipe_prompt_format_find("gsm8k-8shot-cot"),
          .examples = "Q: 1\nA: 1" },
    };
    const struct text_chat_options chatml = { .model = "none", .format = "chatml" };
    assert_int_equal(text_chat_create(&ctx, &chatml, &prompts[0].chat), RT_OK);
    for (size_t i = 0; i < RT_COUNT(prompts); i++) {
        struct pipe_candidate c;
        char *asked;
        assert_int_equal(pipe_prompt_text(&ctx, &prompts[i], "Q?", &asked), RT_OK);
        assert_int_equal(pipe_candidate_whole(&ctx, &pool, &prompts[i], &p, 0, "4", &c),
                         RT_OK);
        assert_string_equal(c.item.prompt, asked);
        assert_int_equal(pipe_candidate_pair(&ctx, &pool, &prompts[i], &p,
                                             "One is 1.\n\nTwo is 3.", 1, "Two is 2.",
                                             &c),
                         RT_OK);
        assert_memory_equal(c.item.prompt, asked, strlen(asked));
        assert_string_equal(c.item.prompt + strlen(asked), c.given);
        assert_true(c.given[0] && c.rejected_ends && c.chosen_ends);
        rt_free(asked);
    }
    text_chat_destroy(&prompts[0].chat);
    pipe_pool_deinit(&pool);
}

static void pairs_keep_prefix_and_line_ends(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_pool pool = { 0 };
    const struct pipe_prompt demo = { .format = pipe_prompt_format_find("demo") };
    const struct pipe_prompt *f = &demo;
    const struct pipe_problem p = { .id = "p", .question = "Q?", .answer = "4" };
    struct pipe_candidate c;
    assert_int_equal(pipe_candidate_pair(&ctx, &pool, f, &p, "a: 1+1=2\nb: 2+2=5\n#### 5",
                                         1, "b: 2+2=4\n#### 4", &c),
                     RT_OK);
    assert_string_equal(c.item.prompt, "Q?<|sep|>a: 1+1=2\n");
    assert_string_equal(c.item.rejected, "b: 2+2=5\n");
    assert_string_equal(c.item.chosen, "b: 2+2=4\n");
    assert_string_equal(c.given, "a: 1+1=2\n");
    assert_false(c.chosen_ends || c.rejected_ends);
    assert_int_equal(
        pipe_candidate_pair(&ctx, &pool, f, &p, "a: 1+1=2\n#### 5", 1, "#### 2", &c),
        RT_OK);
    assert_string_equal(c.item.chosen, "#### 2");
    assert_true(c.chosen_ends && c.rejected_ends); /* the end token follows */
    assert_int_equal(pipe_candidate_pair(&ctx, &pool, f, &p, "a: 1+1=2", 3, "x", &c),
                     RT_OK);
    assert_null(c.item.chosen);
    assert_int_equal(pipe_candidate_pair(&ctx, &pool, f, &p, "a: 1+1=2", 0, NULL, &c),
                     RT_OK);
    assert_true(c.item.rejected && !c.item.chosen);
    assert_int_equal(pipe_candidate_whole(&ctx, &pool, f, &p, 2, "#### 4", &c), RT_OK);
    assert_string_equal(c.item.prompt, "Q?<|sep|>");
    assert_null(c.item.rejected);
    pipe_pool_deinit(&pool);
}

static void controls_draw_at_random_and_reproducibly(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    bool eligible[200];
    uint32_t picked[200], again[200], n;
    for (uint32_t i = 0; i < 200; i++)
        eligible[i] = i % 2;
    assert_int_equal(pipe_control_problems(&ctx, eligible, 200, 30, 5, picked, &n),
                     RT_OK);
    assert_int_equal(n, 30);
    bool used[200] = { false };
    uint32_t late = 0;
    for (uint32_t i = 0; i < n; i++) {
        assert_true(eligible[picked[i]] && !used[picked[i]]);
        used[picked[i]] = true;
        late += picked[i] >= 100;
    }
    assert_true(late > 5 && late < 25);
    assert_int_equal(pipe_control_problems(&ctx, eligible, 200, 300, 5, again, &n),
                     RT_OK);
    assert_int_equal(n, 100);
    assert_memory_equal(picked, again, 30 * sizeof *picked);

    const bool differs[6] = { true, false, true, true, false, true };
    uint32_t hits[6] = { 0 }, swaps = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        const int32_t k = pipe_control_step(differs, 6, 2, 9, i);
        assert_true(k >= 0 && k != 2 && differs[k]);
        hits[k]++;
        swaps += pipe_control_swaps(9, i);
    }
    for (int k = 0; k < 6; k++)
        if (differs[k] && k != 2)
            assert_true(hits[k] > 850 && hits[k] < 1150);
    assert_true(swaps > 1350 && swaps < 1650);
    assert_int_equal(pipe_control_step(differs, 1, 0, 9, 0), -1);
}

static void exports_are_in_the_field_names_of_trl(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_candidate c = pair("Q?<|sep|>", "b \"1\"\n", "c\n");
    char buffer[1024] = "";
    FILE *file = fmemopen(buffer, sizeof buffer, "w");
    assert_int_equal(pipe_items_write(&ctx, &c.item, 1, PIPE_ITEMS_DPO, file), RT_OK);
    c.item.rejected = NULL;
    assert_int_equal(pipe_items_write(&ctx, &c.item, 1, PIPE_ITEMS_SFT, file), RT_OK);
    assert_int_equal(pipe_items_write(&ctx, &c.item, 1, PIPE_ITEMS_DPO, file),
                     RT_ERR_INTERNAL); /* a pair without its rejected step */
    fclose(file);
    char *second = strchr(buffer, '\n') + 1;
    json_t *a = json_loadb(buffer, (size_t)(second - buffer), 0, NULL);
    json_t *b = json_loads(second, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(a, "chosen")), "b \"1\"\n");
    assert_string_equal(json_string_value(json_object_get(a, "rejected")), "c\n");
    assert_string_equal(json_string_value(json_object_get(b, "completion")), "b \"1\"\n");
    assert_null(json_object_get(b, "rejected"));
    assert_string_equal(json_string_value(json_object_get(a, "category")),
                        "method/formula");
    json_decref(a);
    json_decref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_is_given),
        cmocka_unit_test(selection_is_balanced_and_a_function_of_the_seed),
        cmocka_unit_test(pairs_keep_prefix_and_line_ends),
        cmocka_unit_test(prompts_of_items_are_those_that_are_asked),
        cmocka_unit_test(controls_draw_at_random_and_reproducibly),
        cmocka_unit_test(exports_are_in_the_field_names_of_trl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
