/* Locators asked about a labelled set without a model: what they say for each kind of reader,
 * the rows by kind, drawn records, and the evidence that weights are held against. */
#include "pipeline/data/problems.h"
#include "pipeline/locate/inject_set.h"
#include "pipeline/locate/score_set.h"
#include "pipeline/locate/weights_cross.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEPS_RIGHT "\"steps\":[\"2 + 3 = 5 apples.\",\"5 * 4 = 20 cents.\"]"
#define STEPS_WRONG "\"steps\":[\"2 + 3 = 5 apples.\",\"5 * 4 = 21 cents.\"]"
#define PROBLEM "\"problem\":\"2 and 3 apples of 4 cents each, how many cents?\""

/* Two of one kind with the fault in step 1, one of another without a fault. */
static const char records[] = "{\"id\":\"a\",\"generator\":\"x\"," PROBLEM "," STEPS_WRONG
                              ",\"final_answer_correct\":false,\"label\":1}\n"
                              "{\"id\":\"b\",\"generator\":\"x\"," PROBLEM "," STEPS_WRONG
                              ",\"final_answer_correct\":false,\"label\":1}\n"
                              "{\"id\":\"c\",\"generator\":\"y\"," PROBLEM "," STEPS_RIGHT
                              ",\"final_answer_correct\":true,\"label\":-1}\n";

static void open_set(struct rt_ctx *ctx, struct pipe_score_set *s)
{
    *s = (struct pipe_score_set){ .name = "folder/records.jsonl" };
    assert_int_equal(pipe_labelled_parse(ctx, "processbench", "records", records,
                                         strlen(records), &s->set),
                     RT_OK);
    assert_int_equal(s->set.count, 3);
}

static bool same(double a, double b)
{
    return fabs(a - b) < 1e-12;
}

struct seen {
    uint32_t rows, named;
    struct pipe_score_row check_known, check_y;
};

static void see_row(void *user, const struct pipe_score_row *row)
{
    struct seen *seen = user;
    seen->rows++;
    assert_non_null(pipe_scored_name(row->locator));
    assert_int_not_equal(row->known, PIPE_KNOWS_ANSWER); /* no record gives one */
    if (row->locator == PIPE_SCORED_SECOND_STEP)         /* the baseline against itself */
        assert_true(same(row->score.more, 0) && same(row->score.more_interval.low, 0) &&
                    same(row->score.more_interval.high, 0));
    if (row->locator != PIPE_SCORED_CHECK || row->known != PIPE_KNOWS_FINAL)
        return;
    if (!row->kind)
        seen->check_known = *row;
    else if (strcmp(row->kind, "y") == 0)
        seen->check_y = *row;
}

static void see_named(void *user, uint32_t record, const struct pipe_labelled *item,
                      const struct pipe_checked *c)
{
    struct seen *seen = user;
    assert_true(record < 2);
    assert_int_equal(c->step, item->label);
    seen->named++;
}

static void the_check_names_a_false_equation(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_score_set s;
    struct seen seen = { 0 };
    const struct pipe_score_calls calls = { .named = see_named, .user = &seen };
    open_set(&ctx, &s);
    assert_int_equal(pipe_score_ask(&ctx, &s, &calls), RT_OK);
    assert_int_equal(seen.named, 2);
    for (int known = 0; known < PIPE_KNOWS; known++)
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(s.said[known][PIPE_SCORED_CHECK][i], i < 2 ? 1 : -1);
            assert_int_equal(s.said[known][PIPE_SCORED_SECOND_STEP][i], 1);
            assert_int_equal(s.said[known][PIPE_SCORED_JUDGE][i], -1); /* no model */
        }
    assert_int_equal(pipe_score_each(&ctx, &s, false, see_row, &seen), RT_OK);
    const uint32_t of_all = seen.rows;
    assert_true(of_all > 0);
    const struct pipe_score_row *r = &seen.check_known;
    assert_int_equal(r->score.faulty, 2);
    assert_int_equal(r->score.exact, 2);
    assert_int_equal(r->wrongly, 0);
    assert_true(r->exact >= 1 && r->precision >= 1 && r->score.f1 >= 1);
    /* second-step names the same steps: its fault is none where the final answer is right */
    assert_true(same(r->score.more, 0));
    seen.rows = 0;
    assert_int_equal(pipe_score_each(&ctx, &s, true, see_row, &seen), RT_OK);
    assert_int_equal(seen.rows, 3 * of_all); /* all, then the two kinds */
    assert_int_equal(seen.check_y.score.clean, 1);
    assert_true(seen.check_y.exact >= 0 && seen.check_y.exact <= 0); /* of none */
    pipe_score_set_deinit(&s);
}

#define PAIR(p, label) \
    "{\"problem\":\"" p "\",\"steps\":[\"a\",\"b\"],\"label\":" label "}\n"

static struct pipe_locator_score against(const char *text, const int32_t *said,
                                         const int32_t *base)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_labelled_set set;
    struct pipe_locator_score r;
    const struct pipe_locator_asked asked = { .said = said, .against = base, .seed = 1 };
    assert_int_equal(
        pipe_labelled_parse(&ctx, "processbench", "x", text, strlen(text), &set), RT_OK);
    assert_int_equal(pipe_locator_score(&ctx, &set, &asked, &r), RT_OK);
    pipe_labelled_deinit(&set);
    return r;
}

static bool more_is(const struct pipe_locator_score *r, double more, double low,
                    double high)
{
    return same(r->more, more) && same(r->more_interval.low, low) &&
           same(r->more_interval.high, high);
}

/* Draws whose differences can be told by hand. F1 of a set without a record of one kind is
 * the accuracy on the other. */
static void the_difference_to_a_baseline_is_paired(void **state)
{
    (void)state;
    /* Two problems, a fault in each. A draw is (p,p), (p,q) or (q,q): 1/4, 1/2, 1/4. */
    static const char faults[] = PAIR("p", "1") PAIR("q", "1");
    static const int32_t both[] = { 1, 1 }, first[] = { 1, 0 }, second[] = { 0, 1 };
    struct pipe_locator_score r = against(faults, first, second);
    assert_true(more_is(&r, 0, -1, 1)); /* 1, 0 or -1 */
    r = against(faults, both, second);
    assert_true(more_is(&r, 0.5, 0, 1)); /* 1, 1/2 or 0 */
    /* The same locator: accuracies go from 0 to 1, differences are 0 in every draw. */
    r = against(faults, first, first);
    assert_true(more_is(&r, 0, 0, 0));
    assert_true(same(r.f1_interval.low, 0) && same(r.f1_interval.high, 1));
    /* A faulty and a clean record per problem: 1 to 0 in every draw. */
    static const char pairs[] =
        PAIR("p", "1") PAIR("p", "-1") PAIR("q", "0") PAIR("q", "-1");
    static const int32_t right[] = { 1, -1, 0, -1 }, wrong[] = { 1, 1, 1, 1 };
    r = against(pairs, right, wrong);
    assert_true(more_is(&r, 1, 1, 1));
    /* right in p, silent in q: accuracy 1/2 and 1, F1 2/3; draws 1, 2/3, 0 */
    static const int32_t half[] = { 1, -1, -1, -1 };
    r = against(pairs, half, wrong);
    assert_true(more_is(&r, 2.0 / 3, 0, 1));
    r = against(pairs, half, right);
    assert_true(more_is(&r, -1.0 / 3, -1, 0));
    r = against(pairs, half, NULL);
    assert_true(more_is(&r, 0, 0, 0));
}

static void records_are_drawn_in_their_order(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    uint32_t first[3] = { 0 };
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct pipe_score_set s;
        open_set(&ctx, &s);
        pipe_labelled_draw(&s.set, 2, seed);
        assert_int_equal(s.set.count, 2);
        assert_true(strcmp(s.set.items[0].id, s.set.items[1].id) < 0);
        first[s.set.items[0].id[0] - 'a']++;
        pipe_score_set_deinit(&s);
    }
    assert_true(first[0] > 100 && first[1] > 40 && first[2] == 0); /* 2 in 3, 1 in 3 */
    struct pipe_score_set s;
    open_set(&ctx, &s);
    pipe_labelled_draw(&s.set, 0, 1);
    assert_int_equal(s.set.count, 3);
    pipe_labelled_draw(&s.set, 9, 1);
    assert_int_equal(s.set.count, 3);
    pipe_score_set_deinit(&s);
}

static void see_cross(void *user, const struct pipe_cross_row *row)
{
    uint32_t *verdicts = user;
    assert_string_equal(row->set, "records.jsonl");
    assert_int_equal(row->total, 2); /* the record without a fault gave no evidence */
    if (strcmp(row->locator, "check") == 0)
        assert_true(row->right == 2 && row->precision >= 1 && row->recall >= 1);
    *verdicts += strcmp(row->locator, "verdict") == 0;
}

static void evidence_is_written_and_held_against(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_score_set s;
    char path[] = "/tmp/faultline-score-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct pipe_score_calls calls = { .evidence = path };
    open_set(&ctx, &s);
    assert_int_equal(pipe_score_ask(&ctx, &s, &calls), RT_OK);
    pipe_score_set_deinit(&s);
    struct pipe_cases cases = { 0 };
    double weights[PIPE_SIGNS];
    uint32_t verdicts = 0;
    assert_int_equal(pipe_cases_read(&ctx, path, &cases), RT_OK);
    assert_int_equal(cases.count, 2);
    assert_int_equal(pipe_weights_fit(&ctx, &cases, NULL, weights), RT_OK);
    assert_int_equal(
        pipe_weights_cross(&ctx, &cases, weights, pipe_sures, see_cross, &verdicts),
        RT_OK);
    assert_int_equal(verdicts, 1);
    pipe_cases_deinit(&cases);
    unlink(path);
    calls.evidence = "/nonexistent/evidence.jsonl";
    open_set(&ctx, &s);
    assert_int_equal(pipe_score_ask(&ctx, &s, &calls), RT_ERR_IO);
    pipe_score_set_deinit(&s);
}

/* What is written reads back with the same labels. */
static void a_set_is_written_as_lines(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_score_set s;
    struct pipe_labelled_set back;
    char text[4096] = "";
    FILE *file = tmpfile();
    assert_non_null(file);
    open_set(&ctx, &s);
    assert_int_equal(pipe_labelled_write(&ctx, &s.set, file), RT_OK);
    rewind(file);
    const size_t size = fread(text, 1, sizeof text - 1, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(pipe_labelled_parse(&ctx, "processbench", "back", text, size, &back),
                     RT_OK);
    assert_int_equal(back.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_string_equal(back.items[i].text, s.set.items[i].text);
        assert_int_equal(back.items[i].label, s.set.items[i].label);
    }
    pipe_labelled_deinit(&back);
    pipe_score_set_deinit(&s);
}

static void answers_are_those_of_the_very_same_question(void **state)
{
    (void)state;
    static const char given[] =
        "{\"problem\":\"own\",\"steps\":[\"a\"],\"label\":0,"
        "\"answer\":\"1\"}\n" PAIR("known", "0") PAIR("twice", "0") PAIR("Known", "0")
            PAIR("new", "0");
    static const char lists[] =
        "{\"id\":\"a\",\"question\":\"own\",\"answer\":\"2\"}\n"
        "{\"id\":\"b\",\"question\":\"known\",\"answer\":\"3\"}\n"
        "{\"id\":\"c\",\"question\":\"known\",\"answer\":\"3\"}\n"
        "{\"id\":\"d\",\"question\":\"twice\",\"answer\":\"4\"}\n"
        "{\"id\":\"e\",\"question\":\"twice\",\"answer\":\"5\"}\n";
    /* its own; found; two different ones; other letters; no such question */
    static const char *const expected[] = { "1", "3", "", "", "" };
    struct rt_ctx ctx = { 0 };
    struct pipe_labelled_set set;
    struct pipe_problem_set problems;
    uint32_t joined;
    assert_int_equal(
        pipe_labelled_parse(&ctx, "processbench", "x", given, strlen(given), &set),
        RT_OK);
    assert_int_equal(
        pipe_problems_parse(&ctx, "y", lists, strlen(lists), 0, UINT32_MAX, &problems),
        RT_OK);
    assert_int_equal(pipe_labelled_join(&ctx, &set, &problems, &joined), RT_OK);
    pipe_problems_deinit(&problems); /* the answers are the set's own */
    assert_int_equal(joined, 1);
    for (uint32_t i = 0; i < set.count; i++)
        assert_string_equal(set.items[i].answer, expected[i]);
    pipe_labelled_deinit(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_names_a_false_equation),
        cmocka_unit_test(the_difference_to_a_baseline_is_paired),
        cmocka_unit_test(records_are_drawn_in_their_order),
        cmocka_unit_test(evidence_is_written_and_held_against),
        cmocka_unit_test(a_set_is_written_as_lines),
        cmocka_unit_test(answers_are_those_of_the_very_same_question),
    };
    return cmocka_run_group_tests_name("locators on labelled sets", tests, NULL, NULL);
}
