/* Calibration on answers: those that the full model gives to a list, and those of a stored
 * run, all or by verdict; what cannot be is refused in one line. */
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static struct test_place place;

#define QUANTIZE                                                                    \
    "quantize --device ref --store results.db --progress none --model @D --bits 4 " \
    "--method rtn --search --select none --json --force --out q --calib "

/* Tokens that were calibrated on. */
static int tokens_of(const char *calib)
{
    char args[512];
    struct test_program p;
    snprintf(args, sizeof args, QUANTIZE "%s", calib);
    test_expect_success(&place, args, &p);
    json_t *result = json_loads(p.out, 0, NULL);
    const int tokens = (int)json_integer_value(json_object_get(result, "tokens"));
    json_decref(result);
    test_program_deinit(&p);
    assert_true(tokens > 0);
    return tokens;
}

static void expect_query(const char *sql, const char *expected)
{
    char args[512];
    struct test_program p;
    snprintf(args, sizeof args, "sql --store results.db '%s'", sql);
    test_expect_success(&place, args, &p);
    if (!strstr(p.out, expected))
        fail_msg("'%s' is not in '%s'", expected, p.out);
    test_program_deinit(&p);
}

/* Asked once, then from the results file; the run of these answers is the same text. */
static void the_models_own_answers_calibrate(void **state)
{
    (void)state;
    test_place_renew(&place.run);
    const int self = tokens_of("self:@D/mine.jsonl[0:2]");
    assert_int_equal(tokens_of("run:full"), self);
    expect_query("SELECT count(*) FROM generation", "\n2\n");
    expect_query("SELECT count(*) AS n FROM artifact WHERE kind=char(100,97,116,97,115,"
                 "101,116)",
                 "\n1\n");
    expect_query("SELECT count(*) FROM run_artifact WHERE direction=char(105,110)",
                 "\n1\n");
    const int right = tokens_of("run:full,right");
    assert_true(right <= self);
    assert_int_equal(tokens_of("run:full,kept=full"), right);
}

static void one_answered(void)
{
    struct test_program p;
    test_expect_success(&place,
                        "eval --device ref --store results.db --progress none --model @D "
                        "--problems @D/mine.jsonl[0:1]",
                        &p);
    test_program_deinit(&p);
}

static void what_cannot_calibrate_is_refused(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "no list to answer", NULL, QUANTIZE "self:none.jsonl", 4,
          "none.jsonl|No such file", NULL },
        { "no such run", one_answered, QUANTIZE "run:other", 2,
          "run:other|no eval run|faultline status", NULL },
        { "no such condition", one_answered, QUANTIZE "run:full,best", 2,
          "run:full,best|lost=RUN", NULL },
        { "no other run", one_answered, QUANTIZE "run:full,lost=none", 2, "run:none",
          NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_models_own_answers_calibrate),
        cmocka_unit_test(what_cannot_calibrate_is_refused),
    };
    return test_place_group("calibration", &place, tests, RT_COUNT(tests));
}
