/* What a judge has read is kept: a judge that is stopped and goes on says the same, reads
 * nothing twice, and uses no reading of another question or of another solution. */
#include "pipeline/locate/judge_model.h"
#include "pipeline/locate/judge_store.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/judging.h"
#include "tests/support/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD(id, third)                                                 \
    "{\"id\":\"" id                                                       \
    "\",\"problem\":\"Ann has 2 pens and buys 3. How many pens does she " \
    "have?\",\"steps\":[\"2 + 3 = 5\",\"5 pens\",\"" third "\"],\"label\":-1}\n"

static const char records[] =
    RECORD("a", "The answer is 5.") RECORD("b", "So 6.") RECORD("c", "The answer is 7.");
enum { RECORDS = 3, STEPS = 3 };
static const struct pipe_judge_by by_model = { .folder = TEST_JUDGE };

/* ---- a session on `ref` that may be stopped ---- */

struct place {
    struct rt_ctx ctx;
    struct test_folder to;
    struct pipe_host host;
    struct pipe_session session;
    struct pipe_labelled_set set;
    char db[1200];
    uint32_t polls, polls_max; /* stopped behind so many; 0: never */
};

static rt_status stopping(void *user)
{
    struct place *p = user;
    return p->polls_max && p->polls++ >= p->polls_max ? RT_ERR_INTERRUPTED : RT_OK;
}

static void must(struct place *p, rt_status st)
{
    if (st != RT_OK)
        fail_msg("%s", p->ctx.message);
}

static void open_session(struct place *p, const char *db)
{
    snprintf(p->db, sizeof p->db, "%s/%s", p->to.path, db);
    p->host = (struct pipe_host){ .stopping = stopping, .user = p };
    p->polls = p->polls_max = 0;
    test_judging_open(&p->ctx, &p->host, p->db, &p->session);
}

static int set_up(void **state)
{
    static struct place p;
    p = (struct place){ .polls = 0 };
    *state = &p;
    test_ctx(&p.ctx);
    test_folder_init(&p.to);
    must(&p, pipe_labelled_parse(&p.ctx, "processbench", "records", records,
                                 strlen(records), &p.set));
    assert_int_equal(p.set.count, RECORDS);
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    pipe_labelled_deinit(&p->set);
    test_folder_deinit(&p->to);
    return 0;
}

/* The figures of all solutions in a row. */
struct figures {
    double first[RECORDS][STEPS], surprise[RECORDS][STEPS], doubt[RECORDS];
    uint64_t tokens;
};

static void judge(struct place *p, struct figures *out)
{
    struct pipe_judgement all[RECORDS];
    must(p, pipe_judge_set(&p->session, &by_model, &p->set, false, all, &out->tokens));
    for (int i = 0; i < RECORDS; i++) {
        assert_non_null(all[i].first);
        memcpy(out->first[i], all[i].first, sizeof out->first[i]);
        memcpy(out->surprise[i], all[i].surprise, sizeof out->surprise[i]);
        out->doubt[i] = all[i].doubt;
    }
    pipe_judgements_free(all, RECORDS);
}

static void same_figures(const struct figures *a, const struct figures *b)
{
    assert_memory_equal(a->first, b->first, sizeof a->first);
    assert_memory_equal(a->surprise, b->surprise, sizeof a->surprise);
    assert_memory_equal(a->doubt, b->doubt, sizeof a->doubt);
    assert_int_equal(a->tokens, b->tokens);
}

static const char notes[] =
    "SELECT count(*) FROM annotation WHERE target='solution' AND tag='judge'";

static int kept(const struct place *p)
{
    return (int)test_number_of(p->db, notes);
}

/* The figures without a stop, in a results file of their own; once for all tests. */
static void unbroken(struct place *p, struct figures *out)
{
    static struct figures whole;
    if (!whole.tokens) {
        open_session(p, "unbroken.db");
        judge(p, &whole);
        pipe_session_close(&p->session);
    }
    *out = whole;
}

/* ---- tests ---- */

static void a_stopped_judge_goes_on_to_the_same_figures(void **state)
{
    struct place *p = *state;
    struct figures whole, resumed;
    struct pipe_judgement all[RECORDS];
    uint64_t tokens;
    unbroken(p, &whole);
    assert_true(whole.tokens > 0);
    open_session(p, "stopped.db");
    p->polls_max = 1;
    assert_int_equal(pipe_judge_set(&p->session, &by_model, &p->set, false, all, &tokens),
                     RT_ERR_INTERRUPTED);
    assert_null(all[0].first); /* nothing is handed out of half a set */
    pipe_session_close(&p->session);
    assert_int_equal(kept(p), 1);
    char *status = test_lines_of(p->db, "SELECT status FROM run WHERE kind='locate'");
    assert_string_equal(status, "interrupted\n");
    free(status);
    open_session(p, "stopped.db");
    judge(p, &resumed);
    same_figures(&whole, &resumed);
    assert_int_equal(kept(p), RECORDS);
    /* each was read once: the run's metric counts what was really read */
    assert_true(test_number_of(p->db, "SELECT value FROM metric WHERE name='tokens'") ==
                (double)whole.tokens);
    judge(p, &resumed); /* all from the file */
    same_figures(&whole, &resumed);
    pipe_session_close(&p->session);
    assert_true(test_number_of(p->db, "SELECT value FROM metric WHERE name='tokens'") ==
                (double)whole.tokens);
    status = test_lines_of(p->db, "SELECT status FROM run WHERE kind='locate'");
    assert_string_equal(status, "done\n");
    free(status);
}

/* Writes a made reading of the second solution, with other numbers, for a question. */
static void put_made(struct place *p, const char *question, const char *second)
{
    struct pipe_judge_store s;
    const struct pipe_judge_use use = { .locator = "judge", .question = question };
    double asked[STEPS] = { 0.1, 9, -2.0 / 3 }, numbers[STEPS] = { 0 },
           surprise[STEPS] = { 1, 2, 1e-300 };
    const struct pipe_judge_series series[] = { { "asked", asked },
                                                { second, surprise },
                                                { "numbers", numbers } };
    must(p, pipe_judge_store_open(&p->session, TEST_JUDGE, &use, &s));
    must(p, pipe_judge_store_put(&s, &p->set.items[1], series, 3, 77, 77));
    must(p, pipe_judge_store_done(&s));
}

static void a_reading_of_another_question_is_not_used(void **state)
{
    struct place *p = *state;
    struct figures whole, out;
    unbroken(p, &whole);
    open_session(p, "question.db");
    put_made(p, "another question", "surprise");
    assert_int_equal(kept(p), 1);
    judge(p, &out);
    same_figures(&whole, &out);
    assert_int_equal(kept(p), 1 + RECORDS);
    pipe_session_close(&p->session);
    /* nor one of this question that lacks a series: it is read again and replaced */
    open_session(p, "series.db");
    put_made(p, pipe_judge_question, "something else");
    judge(p, &out);
    same_figures(&whole, &out);
    assert_int_equal(kept(p), RECORDS);
    pipe_session_close(&p->session);
}

static void a_reading_comes_back_as_it_was(void **state)
{
    struct place *p = *state;
    struct pipe_judge_store s;
    const struct pipe_judge_use by_judge = { .locator = "judge",
                                             .question = pipe_judge_question };
    struct pipe_judge_series series[] = { { "asked", NULL }, { "surprise", NULL } };
    struct pipe_labelled other;
    struct pipe_step cut[STEPS - 1];
    struct figures whole, out;
    uint64_t tokens;
    bool found;
    unbroken(p, &whole);
    open_session(p, "made.db");
    put_made(p, pipe_judge_question, "surprise");
    must(p, pipe_judge_store_open(&p->session, TEST_JUDGE, &by_judge, &s));
    must(p, pipe_judge_store_get(&s, &p->set.items[1], series, 2, &tokens, &found));
    assert_true(found);
    assert_int_equal(tokens, 77);
    const double asked[STEPS] = { 0.1, 9, -2.0 / 3 }, surprise[STEPS] = { 1, 2, 1e-300 };
    assert_memory_equal(series[0].values, asked, sizeof asked);
    assert_memory_equal(series[1].values, surprise, sizeof surprise);
    rt_free(series[0].values);
    rt_free(series[1].values);
    must(p, pipe_judge_store_get(&s, &p->set.items[0], series, 2, &tokens, &found));
    assert_false(found);
    assert_true(!series[0].values && !series[1].values);
    /* another label is the same solution; the same text in other steps is another one */
    other = p->set.items[1];
    other.label = 2;
    must(p, pipe_judge_store_get(&s, &other, series, 1, &tokens, &found));
    assert_true(found);
    rt_free(series[0].values);
    memcpy(cut, other.steps, sizeof cut);
    cut[STEPS - 2].char_end = other.steps[STEPS - 1].char_end;
    other.steps = cut;
    other.step_count = STEPS - 1;
    must(p, pipe_judge_store_get(&s, &other, series, 1, &tokens, &found));
    assert_false(found);
    /* what cannot be written as a number is not kept */
    double bad[STEPS] = { 0, NAN, 0 };
    series[0].values = bad;
    must(p, pipe_judge_store_put(&s, &p->set.items[2], series, 1, 5, 5));
    assert_int_equal(kept(p), 1);
    must(p, pipe_judge_store_done(&s));
    judge(p, &out); /* a kept reading is believed: the made one shows */
    assert_memory_not_equal(out.surprise[1], whole.surprise[1], sizeof whole.surprise[1]);
    assert_memory_equal(out.surprise[1], surprise, sizeof surprise);
    assert_memory_equal(out.surprise[2], whole.surprise[2], sizeof whole.surprise[2]);
    pipe_session_close(&p->session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stopped_judge_goes_on_to_the_same_figures,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reading_of_another_question_is_not_used, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_reading_comes_back_as_it_was, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("readings of a judge are kept", tests, NULL, NULL);
}
