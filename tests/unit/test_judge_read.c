/* What a judge says of each step of a long solution is what the model says of that number: held
 * against one forced sequence per number, where numbers have one token or two. */
#include "pipeline/locate/judge_read.h"
#include "runtime/observe/score.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/judging.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STEPS_MAX = 24 };

struct place {
    struct rt_ctx ctx;
    struct test_folder to;
    struct pipe_host host;
    struct pipe_session session;
    struct pipe_labelled_set set;
    struct rt_model *model;
};

static void must(struct place *p, rt_status st)
{
    if (st != RT_OK)
        fail_msg("%s", p->ctx.message);
}

/* A solution of so many steps, each a number. */
static void make_set(struct place *p, int steps)
{
    char text[4096];
    int at =
        snprintf(text, sizeof text, "{\"problem\":\"Step 1: 0\",\"label\":0,\"steps\":[");
    for (int k = 0; k < steps; k++)
        at += snprintf(text + at, sizeof text - (size_t)at, "%s\"%d \"", k ? "," : "", k);
    snprintf(text + at, sizeof text - (size_t)at, "]}\n");
    pipe_labelled_deinit(&p->set);
    must(p, pipe_labelled_parse(&p->ctx, "processbench", "made", text, strlen(text),
                                &p->set));
}

static int set_up(void **state)
{
    static struct place p;
    char db[1200];
    *state = &p;
    test_ctx(&p.ctx);
    test_folder_init(&p.to);
    snprintf(db, sizeof db, "%s/judge.db", p.to.path);
    test_judging_open(&p.ctx, &p.host, db, &p.session);
    must(&p, pipe_model_load(&p.session, TEST_JUDGE, &p.model));
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    rt_model_destroy(&p->model);
    pipe_session_close(&p->session);
    pipe_labelled_deinit(&p->set);
    test_folder_deinit(&p->to);
    return 0;
}

/* log p of the tokens behind the prompt's first `from`. */
static double forced(struct place *p, const uint32_t *ids, uint32_t n, uint32_t from)
{
    struct rt_scorer *scorer = NULL;
    uint8_t mask[1024] = { 0 };
    float logprob[8];
    double sum = 0;
    assert_true(n <= sizeof mask && n - from <= 8);
    memset(mask + from, 1, n - from);
    const struct train_sequence s = { .ids = ids, .mask = mask, .n = n };
    must(p, rt_scorer_create(p->model, NULL, NULL, n, &scorer));
    must(p, rt_scorer_run(scorer, &s, 1, &(struct score_out){ .logprob = logprob }));
    for (uint32_t t = 0; t < n - from; t++)
        sum += (double)logprob[t];
    rt_scorer_destroy(&scorer);
    return sum;
}

/* The text that the judge reads, written here once more. */
static void by_hand(struct place *p, int steps, double *asked)
{
    char text[4096], answer[64];
    const struct pipe_labelled *item = &p->set.items[0];
    double total = 0;
    uint32_t *ids[STEPS_MAX], n[STEPS_MAX], from = UINT32_MAX;
    int at = snprintf(text, sizeof text, "%s\n\nSolution:\n", item->question);
    for (int k = 0; k < steps; k++)
        at += snprintf(text + at, sizeof text - (size_t)at, "Step %d: %d\n", k + 1, k);
    for (int k = 0; k < steps; k++) {
        snprintf(answer, sizeof answer, "The first error is in step %d", k + 1);
        must(p, pipe_prompt_ids(&p->session, text, answer, &ids[k], &n[k]));
        uint32_t same = 0;
        while (same < n[0] && same < n[k] && ids[k][same] == ids[0][same])
            same++;
        from = k && same < from ? same : from;
    }
    bool two = false;
    for (int k = 0; k < steps; k++) {
        asked[k] = forced(p, ids[k], n[k], from);
        two |= n[k] > from + 1;
    }
    assert_true(two == (steps > 9)); /* this tokenizer has a token per digit */
    for (int k = 0; k < steps; k++)  /* a number that ends where others go on */
        for (int e = 0; n[k] == from + 1 && e < steps; e++)
            if (n[e] > n[k] && ids[e][from] == ids[k][from]) {
                double rest = 1;
                for (int o = 0; o < steps; o++)
                    if (n[o] > n[k] && ids[o][from] == ids[k][from])
                        rest -= exp(asked[o] - asked[k]);
                asked[k] += log(rest);
                break;
            }
    for (int k = 0; k < steps; k++) {
        total += exp(asked[k]);
        rt_free(ids[k]);
    }
    for (int k = 0; k < steps; k++)
        asked[k] -= log(total);
}

static void each_number_has_the_model_s_probability(void **state)
{
    struct place *p = *state;
    static const int counts[] = { 1, 5, 12, 20 };
    for (size_t i = 0; i < RT_COUNT(counts); i++) {
        double asked[STEPS_MAX], numbers[STEPS_MAX], surprise[STEPS_MAX],
            wanted[STEPS_MAX];
        uint64_t tokens;
        make_set(p, counts[i]);
        must(p, pipe_judge_read(&p->session, p->model, &p->set.items[0],
                                &(struct pipe_judge_reading){ asked, numbers, surprise },
                                &tokens));
        assert_true(tokens > 0);
        if (counts[i] == 1) {
            assert_true(asked[0] == 0);
            continue;
        }
        by_hand(p, counts[i], wanted);
        for (int k = 0; k < counts[i]; k++) {
            if (fabs(asked[k] - wanted[k]) > 1e-4)
                fail_msg("%d steps, step %d: %g, not %g", counts[i], k, asked[k],
                         wanted[k]);
            assert_true(numbers[k] > 0 && surprise[k] >= 0);
        }
    }
}

/* Too long for the model: nothing is read, which is no error. */
static void what_does_not_fit_is_not_read(void **state)
{
    struct place *p = *state;
    double asked[PIPE_STEPS_MAX], numbers[PIPE_STEPS_MAX], surprise[PIPE_STEPS_MAX];
    uint64_t tokens = 1;
    make_set(p, 80);
    must(p, pipe_judge_read(&p->session, p->model, &p->set.items[0],
                            &(struct pipe_judge_reading){ asked, numbers, surprise },
                            &tokens));
    assert_int_equal(tokens, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_has_the_model_s_probability),
        cmocka_unit_test(what_does_not_fit_is_not_read),
    };
    return cmocka_run_group_tests_name("what a judge reads", tests, set_up, tear_down);
}
