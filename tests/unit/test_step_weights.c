/* Items with more weight on one step: it lies on the tokens of the faulty step, or of another
 * one of the same answer, which the seed draws. */
#include "pipeline/restore/items.h"
#include "tests/support/demo_answers.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum { ANSWERS = 300, PROMPT = 3 };

static struct place {
    struct rt_ctx ctx;
    struct pipe_session session;
    struct pipe_problem_set set;
    const struct test_answer *answers;
} place;

static int set_up(void **state)
{
    char path[1024];
    *state = &place;
    place.answers = test_answers(&place.ctx, &place.set);
    place.session = (struct pipe_session){ .ctx = &place.ctx,
                                           .format = &pipe_format_demo,
                                           .seed = 1 };
    return text_tokenizer_load(&place.ctx, test_path(path, sizeof path, "pipeline/demo"),
                               &place.session.tok) == RT_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    text_tokenizer_destroy(&place.session.tok);
    pipe_problems_deinit(&place.set);
    return 0;
}

/* An answer after three tokens of a prompt, and its weights as `kind` gives them. */
struct weighed {
    struct pipe_answer answer;
    struct pipe_sequences sequences;
    struct pipe_step steps[PIPE_STEPS_MAX];
    uint32_t count; /* of steps */
    uint32_t tokens;
    int32_t step; /* that counts more; -1: none */
};

static void weigh(enum pipe_item_source kind, const char *text, int32_t fault,
                  uint32_t at, struct weighed *w)
{
    static const uint32_t prompt[PROMPT] = { 1, 2, 3 };
    static struct pipe_candidate all[ANSWERS];
    const struct pipe_item_set set = { .items = kind, .all = all, .count = ANSWERS };
    struct pipe_session *session = &place.session;
    *w = (struct weighed){ .step = -1 };
    uint32_t *ids, n;
    assert_int_equal(text_encode(session->tok, text, strlen(text), false, &ids, &n),
                     RT_OK);
    w->answer.ids = rt_alloc(&place.ctx, n + 1u, sizeof *ids);
    memcpy(w->answer.ids, ids, n * sizeof *ids);
    rt_free(ids);
    w->answer.ids[n] = text_token_id(session->tok, "<|endoftext|>");
    w->answer.n = n + 1;
    w->answer.text = (char *)(uintptr_t)text;
    w->count = session->format->dialect->split(text, w->steps, PIPE_STEPS_MAX);
    all[at].item.step = fault;
    assert_int_equal(pipe_sequences_init(session, 1, &w->sequences), RT_OK);
    assert_int_equal(pipe_sequences_add_after(session, &w->sequences, prompt, PROMPT,
                                              w->answer.ids, w->answer.n),
                     RT_OK);
    assert_int_equal(pipe_item_weigh_step(session, &set, at, &w->answer, &w->sequences),
                     RT_OK);
}

static void deinit(struct weighed *w)
{
    pipe_sequences_free(&w->sequences);
    rt_free(w->answer.ids);
}

/* Tokens are whole characters here: the heavy ones are the text of one step, and all
 * others, the prompt's included, count 1. */
static void find_step(struct weighed *w)
{
    const struct train_sequence *s = &w->sequences.list[0];
    uint32_t first = UINT32_MAX, size;
    char *heavy = NULL;
    for (uint32_t t = 0; s->weight && t < s->n; t++) {
        if (s->weight[t] == 1)
            continue;
        assert_true(s->weight[t] == PIPE_STEP_WEIGHT && t >= PROMPT);
        first = first == UINT32_MAX ? t : first;
        assert_int_equal(t, first + w->tokens); /* no gap */
        w->tokens++;
    }
    if (!w->tokens)
        return;
    assert_int_equal(
        pipe_decode(&place.session, s->ids + first, w->tokens, &heavy, &size), RT_OK);
    for (uint32_t k = 0; k < w->count; k++) {
        const struct pipe_step *step = &w->steps[k];
        if (size == step->char_end - step->char_start &&
            memcmp(heavy, w->answer.text + step->char_start, size) == 0)
            w->step = (int32_t)k;
    }
    rt_free(heavy);
    assert_true(w->step >= 0);
}

static void the_faulty_step_counts_more(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < ANSWERS; i++) {
        struct weighed w;
        const int32_t fault = (int32_t)(i % 7);
        weigh(PIPE_ITEMS_FAULT, place.answers[i].text[0], fault, i, &w);
        find_step(&w);
        const int32_t last = (int32_t)w.count - 1;
        assert_int_equal(w.step, fault < last ? fault : last);
        deinit(&w);
    }
}

static void another_step_of_the_same_answer_does(void **state)
{
    (void)state;
    uint32_t before = 0, after = 0, same = 0, differs = 0;
    for (uint32_t i = 0; i < ANSWERS; i++) {
        struct weighed a, b, other;
        const char *text = place.answers[i].text[0];
        weigh(PIPE_ITEMS_FAULT_OTHER, text, 1, i, &a);
        weigh(PIPE_ITEMS_FAULT_OTHER, text, 1, i, &b);
        place.session.seed = 2;
        weigh(PIPE_ITEMS_FAULT_OTHER, text, 1, i, &other);
        place.session.seed = 1;
        find_step(&a);
        find_step(&b);
        find_step(&other);
        assert_int_equal(a.answer.n, b.answer.n);
        assert_int_equal(a.step, b.step);
        assert_int_equal(a.tokens, b.tokens);
        assert_true(a.step >= 0 && a.step != (a.count > 1 ? 1 : 0));
        before += a.step == 0;
        after += a.step > 1;
        same += a.step == other.step;
        differs += a.step != other.step;
        deinit(&a);
        deinit(&b);
        deinit(&other);
    }
    printf("    of %d answers: step before %u, behind %u; another seed: %u the same\n",
           ANSWERS, before, after, same);
    assert_true(before > 30 && after > 30 && differs > 30);
}

static void without_a_step_all_tokens_count_alike(void **state)
{
    (void)state;
    static const struct {
        enum pipe_item_source kind;
        const char *text;
        int32_t fault;
    } cases[] = {
        { PIPE_ITEMS_FAULT, "a: 1+1=2\n#### 2", -1 },
        { PIPE_ITEMS_FAULT_OTHER, "a: 1+1=2\n#### 2", -1 },
        { PIPE_ITEMS_FAULT_OTHER, "#### 2", 0 },
        { PIPE_ITEMS_LOST, "a: 1+1=2\n#### 2", 0 },
        { PIPE_ITEMS_RANDOM, "a: 1+1=2\n#### 2", 0 },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct weighed w;
        weigh(cases[i].kind, cases[i].text, cases[i].fault, 0, &w);
        if (w.sequences.list[0].weight)
            fail_msg("case %zu has weights", i);
        deinit(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_faulty_step_counts_more),
        cmocka_unit_test(another_step_of_the_same_answer_does),
        cmocka_unit_test(without_a_step_all_tokens_count_alike),
    };
    return cmocka_run_group_tests_name("step weights", tests, set_up, tear_down);
}
