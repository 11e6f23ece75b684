/* Generated problems: sound, reproducible, disjoint, and distributed as the bundled ones.
 */
#include "pipeline/demo/generator.h"
#include "pipeline/demo/locate_gold.h"
#include "runtime/base/text_set.h"
#include "tests/support/demo_answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 4000 };

static void every_solution_replays(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set set;
    assert_int_equal(pipe_demo_generate(&ctx, 11, N, NULL, 0, &set), RT_OK);
    assert_int_equal(set.count, N);
    for (uint32_t i = 0; i < N; i++) {
        const struct pipe_problem *p = &set.items[i];
        struct pipe_gold_fault fault;
        assert_int_equal(pipe_locate_gold(&ctx, p, p->reference, &fault), RT_OK);
        if (fault.step != -1)
            fail_msg("%s: judge %d: %s\n%s", p->id, fault.step, p->question,
                     p->reference);
        assert_true(p->program_count >= 1 && p->program_count <= 6);
        assert_true(strlen(p->question) < 300);
    }
    pipe_problems_deinit(&set);
}

static void a_seed_gives_the_same_problems_and_another_gives_others(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set a, b, c;
    struct pipe_leak leak;
    assert_int_equal(pipe_demo_generate(&ctx, 3, 500, NULL, 0, &a), RT_OK);
    assert_int_equal(pipe_demo_generate(&ctx, 3, 500, NULL, 0, &b), RT_OK);
    assert_string_equal(a.hash, b.hash);
    pipe_problems_deinit(&b);
    assert_int_equal(pipe_demo_generate(&ctx, 3, 40, NULL, 0, &b), RT_OK);
    assert_string_equal(a.items[39].question, b.items[39].question); /* a prefix */
    assert_int_equal(pipe_demo_generate(&ctx, 4, 500, NULL, 0, &c), RT_OK);
    assert_string_not_equal(a.hash, c.hash);
    /* 4,000 of seed 3 again, avoiding 500 of them: none of those comes back */
    const struct pipe_problem_set *const avoid[2] = { &a, &c };
    pipe_problems_deinit(&b);
    assert_int_equal(pipe_demo_generate(&ctx, 3, N, avoid, 2, &b), RT_OK);
    assert_int_equal(pipe_problems_leak(&ctx, &b, &a, &leak), RT_OK);
    assert_int_equal(leak.count, 0);
    assert_int_equal(pipe_problems_leak(&ctx, &b, &c, &leak), RT_OK);
    assert_int_equal(leak.count, 0);
    struct pipe_text_set own = { 0 };
    for (uint32_t i = 0; i < b.count; i++) {
        bool is_new;
        assert_int_equal(
            pipe_text_set_add(&ctx, &own, b.items[i].question, i, &is_new, NULL), RT_OK);
        assert_true(is_new);
    }
    pipe_text_set_deinit(&own);
    pipe_problems_deinit(&a);
    pipe_problems_deinit(&b);
    pipe_problems_deinit(&c);
    assert_int_equal(pipe_demo_generate(&ctx, 3, 0, NULL, 0, &a), RT_ERR_USAGE);
}

/* In how many questions each word (or number) of either set occurs. */
struct words {
    struct pipe_text_set index;
    uint32_t in[4096][2];
    uint32_t last[4096];
};

static void count_words(struct rt_ctx *ctx, struct words *w, struct pipe_problem_set *set,
                        int which)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const char *q = set->items[i].question;
        char *text = pipe_pool_take(ctx, &set->pool, strlen(q) + 1, 1);
        assert_non_null(text);
        pipe_text_normalise(q, text);
        char *rest = text;
        for (char *word; (word = strtok_r(rest, " ", &rest));) {
            uint32_t at = w->index.count;
            bool is_new;
            assert_int_equal(pipe_text_set_add(ctx, &w->index, word, at, &is_new, &at),
                             RT_OK);
            assert_true(at < 4096);
            if (w->last[at] == i + 1)
                continue;
            w->last[at] = i + 1;
            w->in[at][which]++;
        }
    }
    memset(w->last, 0, sizeof w->last);
}

/* Difference of two shares in standard errors. */
static double deviation(double a, double na, double b, double nb)
{
    const double p = (a + b) / (na + nb);
    const double error = sqrt(p * (1 - p) * (1 / na + 1 / nb));
    return error > 0 ? (a / na - b / nb) / error : 0;
}

static void words_occur_as_often_as_in_the_bundled_problems(void **state)
{
    (void)state;
    static struct words w;
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set mine, own;
    test_problems(&ctx, "mine.jsonl", &mine);
    assert_int_equal(pipe_demo_generate(&ctx, 5, N, NULL, 0, &own), RT_OK);
    count_words(&ctx, &w, &mine, 0);
    count_words(&ctx, &w, &own, 1);
    double squares = 0;
    uint32_t tested = 0;
    for (uint32_t s = 0; s < w.index.capacity; s++) {
        const struct pipe_text_slot *slot = &w.index.slots[s];
        if (!slot->text || w.in[slot->value][0] + w.in[slot->value][1] < 20)
            continue;
        const uint32_t *in = w.in[slot->value];
        const double z = deviation(in[0], mine.count, in[1], own.count);
        if (!(fabs(z) < 4.5))
            fail_msg("'%s': in %u of %u bundled, %u of %u generated questions",
                     slot->text, in[0], mine.count, in[1], own.count);
        squares += z * z;
        tested++;
    }
    assert_true(tested > 200);
    /* the mean of z^2 is about 1 for two samples of one distribution */
    if (!(squares / tested < 1.35))
        fail_msg("mean squared deviation %.3f over %u words", squares / tested, tested);
    pipe_text_set_deinit(&w.index);
    pipe_problems_deinit(&mine);
    pipe_problems_deinit(&own);
}

static void steps_and_skills_are_distributed_alike(void **state)
{
    (void)state;
    static const char *const skills[10] = { "addsub",   "compare", "distract", "div",
                                            "frac",     "money",   "mul",      "percent",
                                            "transfer", "unit" };
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set set[2];
    test_problems(&ctx, "mine.jsonl", &set[0]);
    assert_int_equal(pipe_demo_generate(&ctx, 6, N, NULL, 0, &set[1]), RT_OK);
    double steps[2][7] = { { 0 } }, skill[2][10] = { { 0 } }, length[2] = { 0 };
    double squares[2] = { 0 };
    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < set[s].count; i++) {
            const struct pipe_problem *p = &set[s].items[i];
            const double bytes = (double)strlen(p->question);
            steps[s][p->program_count]++;
            length[s] += bytes;
            squares[s] += bytes * bytes;
            for (int k = 0; k < 10; k++)
                skill[s][k] += strstr(p->subject, skills[k]) != NULL;
        }
    const double n0 = set[0].count, n1 = set[1].count;
    for (int k = 1; k <= 6; k++)
        if (!(fabs(deviation(steps[0][k], n0, steps[1][k], n1)) < 4))
            fail_msg("%d steps: %.0f of %.0f, %.0f of %.0f", k, steps[0][k], n0,
                     steps[1][k], n1);
    for (int k = 0; k < 10; k++)
        if (!(fabs(deviation(skill[0][k], n0, skill[1][k], n1)) < 4))
            fail_msg("%s: %.0f of %.0f, %.0f of %.0f", skills[k], skill[0][k], n0,
                     skill[1][k], n1);
    const double mean0 = length[0] / n0, mean1 = length[1] / n1;
    const double error = sqrt((squares[0] / n0 - mean0 * mean0) / n0 +
                              (squares[1] / n1 - mean1 * mean1) / n1);
    if (!(fabs(mean0 - mean1) < 4 * error))
        fail_msg("questions of %.2f and %.2f bytes", mean0, mean1);
    pipe_problems_deinit(&set[0]);
    pipe_problems_deinit(&set[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_solution_replays),
        cmocka_unit_test(a_seed_gives_the_same_problems_and_another_gives_others),
        cmocka_unit_test(words_occur_as_often_as_in_the_bundled_problems),
        cmocka_unit_test(steps_and_skills_are_distributed_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
