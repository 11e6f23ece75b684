/* The grader on cases of its own (tests/golden/grader), its rules one by one, its limits,
 * and, where ../shared/data lies beside the source, the shared vectors, the answers of
 * MATH and the outputs that come with GSM8K. */
#include "pipeline/data/data_file.h"
#include "pipeline/data/data_rows.h"
#include "pipeline/grade/extract.h"
#include "pipeline/grade/grade.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct pipe_grader *grader;

/* Of this process's own work, whatever else the machine does. */
static double milliseconds_since(clock_t start)
{
    return 1e3 * (double)(clock() - start) / CLOCKS_PER_SEC;
}

static struct pipe_grading graded(const char *gold, const char *pred)
{
    struct pipe_grading r;
    pipe_grader_answers(grader, gold, pred, -1, &r);
    return r;
}

static bool equal(const char *gold, const char *pred)
{
    return graded(gold, pred).verdict == PIPE_VERDICT_EQUAL;
}

/* ---- files of cases ---- */

struct cases {
    const char *tier; /* only records of this tier; null: all */
    uint32_t count, wrong;
    double slowest_ms;
    bool show;
};

static const char *field(const struct pipe_row *row, const char *key)
{
    return json_string_value(json_object_get(row->fields, key));
}

static rt_status on_pair(void *user, const struct pipe_row *row)
{
    struct cases *c = user;
    const char *tier = field(row, "tier"), *kind = field(row, "kind");
    if (c->tier && (!tier || strcmp(tier, c->tier) != 0))
        return RT_OK;
    const char *gold = field(row, "gold"), *pred = field(row, "pred");
    const json_t *precision = json_object_get(row->fields, "precision");
    const int places =
        json_is_integer(precision) ? (int)json_integer_value(precision) : -1;
    const bool expect = json_is_true(json_object_get(row->fields, "expect"));
    struct pipe_grading r;
    const clock_t start = clock();
    if (kind && strcmp(kind, "text") == 0)
        pipe_grader_texts(grader, gold, pred, places, &r);
    else
        pipe_grader_answers(grader, gold, pred, places, &r);
    const double ms = milliseconds_since(start);
    c->slowest_ms = ms > c->slowest_ms ? ms : c->slowest_ms;
    c->count++;
    if ((r.verdict == PIPE_VERDICT_EQUAL) != expect) {
        c->wrong++;
        if (c->show)
            print_message("%s | %s: %s, %s\n", gold, pred, expect ? "equal" : "different",
                          r.rule);
    }
    return RT_OK;
}

static rt_status on_output(void *user, const struct pipe_row *row)
{
    struct cases *c = user;
    static char found[PIPE_ANSWER_MAX];
    const char *rule, *gold = field(row, "gold"), *wanted = field(row, "extracted");
    const struct pipe_answer_style *style = pipe_answer_style_find(field(row, "style"));
    assert_non_null(style);
    const bool any = pipe_extract(style, field(row, "text"), found, sizeof found, &rule);
    const bool right =
        any && (pipe_answer_style_literal(style) ? pipe_literal_equal(gold, found)
                                                 : equal(gold, found));
    const bool as_wanted = json_object_get(row->fields, "extracted") == NULL ||
                           (any ? wanted && strcmp(found, wanted) == 0 : !wanted);
    c->count++;
    if (!as_wanted || right != json_is_true(json_object_get(row->fields, "expect"))) {
        c->wrong++;
        if (c->show)
            print_message("%s: %s (%s) of %s\n", field(row, "style"),
                          any ? found : "none", rule, field(row, "text"));
    }
    return RT_OK;
}

static void run_cases(const char *path, pipe_row_fn *fn, struct cases *c)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_data_file file = { 0 };
    if (pipe_data_file_read(&ctx, path, &file) != RT_OK)
        fail_msg("%s", ctx.message);
    const struct pipe_rows_text text = { path, file.text, file.size };
    if (pipe_rows_json(&ctx, &text, fn, c) != RT_OK)
        fail_msg("%s", ctx.message);
    pipe_data_file_deinit(&file);
}

static void own_cases_are_judged_right(void **state)
{
    (void)state;
    char path[1024];
    struct cases pairs = { .show = true }, outputs = { .show = true };
    run_cases(test_path(path, sizeof path, "tests/golden/grader/cases.jsonl"), on_pair,
              &pairs);
    run_cases(test_path(path, sizeof path, "tests/golden/grader/outputs.jsonl"),
              on_output, &outputs);
    assert_true(pairs.count > 800 && outputs.count > 50);
    assert_int_equal(pairs.wrong, 0);
    assert_int_equal(outputs.wrong, 0);
    assert_true(pairs.slowest_ms < 50.0);
}

/* ---- rules ---- */

static void rules_can_be_switched_off(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *gold, *pred;
        bool equal_with, equal_without;
    } rows[] = {
        { "unreduced", "\\frac12", "\\frac24", true, false },
        { "form", "x^2-1", "(x-1)(x+1)", true, false },
        { "rounding", "\\frac13", "0.3333333333", true, false },
        { "percent", "25\\%", "25", true, false },
        { "units", "5", "5\\text{ cm}", true, false },
        { "unit-mismatch", "5\\text{ m}", "5\\text{ cm}", false, true },
        { "currency-subunit", "18", "18 cents", false, true },
        { "thousands-space", "1000", "1 000", true, false },
        { "parenthesised-number", "7", "(7)", true, false },
        { "leading-zeros", "7", "007", true, false },
        { "decimal-comma", "1.22", "1,22", true, false },
        { "e-notation", "32000", "3.2e4", true, false },
        { "unicode", "5", "\xef\xbc\x95", true, false },
        { "number-words", "13", "thirteen", true, false },
        { "bare-list-order", "1,2", "2,1", true, false },
        { "list-separator", "1,2", "1;2", true, false },
        { "set-vs-tuple", "\\{1,2,3\\}", "(1,2,3)", false, true },
        { "vector-as-tuple", "(1,2)", "\\begin{pmatrix}1\\\\2\\end{pmatrix}", true,
          false },
        { "set-relation", "(2,\\infty)", "x>2", true, false },
        { "set-names", "\\mathbb{R}", "\\text{all real numbers}", true, false },
        { "assignment-list", "(2,-3)", "x=2,y=-3", true, false },
        { "lhs-drop", "5", "x=5", true, false },
        { "variable-name", "x=5", "y=5", false, true },
        { "equation-scaling", "x+y=1", "2x+2y=2", true, false },
        { "base", "204_5", "204", false, true },
        { "ratio", "3:4", "6:8", true, false },
        { "time", "16:30", "4:30 p.m.", true, false },
        { "letter-case", "x", "X", false, true },
        { "bare-exponent", "x^{10}", "x^10", true, false },
        { "degree-vs-radian", "60^\\circ", "\\frac{\\pi}{3}", false, true },
        { "inner-space", "42", "4 2", false, true },
        { "inner-space", "32349", "32, 349", false, true },
        { "interval-notation", "[0,1)", "[0,1[", true, false },
        { "interval-notation", "(0,1)", "]0,1[", true, false },
        { "symbol-style", "x", "\\mathbf{x}", true, false },
        { "symbol-style", "x", "\\text{x}", true, false },
        { "juxtaposition", "9/2", "3 1\\frac{1}{2}", true, false },
        { "juxtaposition", "1.55", "3.1 \\frac{1}{2}", true, false },
        { "double-backslash", "\\frac{1}{2}", "\\\\frac{1}{2}", true, false },
        { "unit-conversion", "3.5\\text{ hours}", "3\\text{ h }30\\text{ min}", true,
          false },
        { "unit-conversion", "\\$3.50", "350 cents", true, false },
        { "dots", "1,2,\\ldots,n", "1,2,3,\\ldots,n", true, false },
        { "choice-value", "12", "\\textbf{(B)}\\ 12", true, false },
        { "approx-chain", "11", "x \\approx 11", true, false },
        { "unevaluated", "120", "5!", true, false },
        { "cancellation", "x+1", "\\frac{x^2-1}{x-1}", true, false },
        { "units-glued", "10", "10cm", true, false },
        { "fullwidth", "5", "\xef\xbc\x95", true, false },
        { "dash", "-5",
          "\xe2\x88\x92"
          "5",
          true, false },
        { "nfc", "\xc3\xa9", "e\xcc\x81", true, false },
    };
    assert_true(RT_COUNT(rows) >= PIPE_POLICY_COUNT);
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct rt_ctx ctx = { 0 };
        struct pipe_policies policies = { 0 };
        struct pipe_grader *strict;
        struct pipe_grading r;
        const char *unknown;
        assert_true(pipe_policies_switch_off(&policies, rows[i].rule, &unknown));
        assert_int_equal(pipe_grader_create(&ctx, &policies, &strict), RT_OK);
        if (equal(rows[i].gold, rows[i].pred) != rows[i].equal_with)
            fail_msg("with '%s': %s and %s", rows[i].rule, rows[i].gold, rows[i].pred);
        pipe_grader_answers(strict, rows[i].gold, rows[i].pred, -1, &r);
        if ((r.verdict == PIPE_VERDICT_EQUAL) != rows[i].equal_without)
            fail_msg("without '%s': %s and %s", rows[i].rule, rows[i].gold, rows[i].pred);
        pipe_grader_destroy(&strict);
    }
}

static void unknown_rules_are_named(void **state)
{
    (void)state;
    struct pipe_policies policies = { 0 };
    const char *unknown = NULL;
    assert_false(pipe_policies_switch_off(&policies, "units,colour", &unknown));
    assert_string_equal(unknown, "colour");
    assert_true(pipe_policies_switch_off(&policies, "all", &unknown));
    for (size_t i = 0; i < PIPE_POLICY_COUNT; i++)
        assert_true(policies.off[i]);
}

static void places_round_both_sides(void **state)
{
    (void)state;
    struct pipe_grading r;
    pipe_grader_answers(grader, "3.14159", "3.1412", 3, &r);
    assert_int_equal(r.verdict, PIPE_VERDICT_DIFFERENT);
    pipe_grader_answers(grader, "3.14159", "3.1421", 2, &r);
    assert_int_equal(r.verdict, PIPE_VERDICT_EQUAL);
    pipe_grader_answers(grader, "\\pi", "3.14", 2, &r);
    assert_int_equal(r.verdict, PIPE_VERDICT_EQUAL);
}

/* ---- limits ---- */

static void repeat(char *out, size_t size, const char *part)
{
    const size_t n = strlen(part);
    size_t used = 0;
    while (used + n < size) {
        memcpy(out + used, part, n);
        used += n;
    }
    out[used] = '\0';
}

/* Nothing takes over 50 ms (ten times that under sanitizers), whatever is repeated. */
static void hostile_answers_are_cheap(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "{",
        "(",
        "\\frac{",
        "\\sqrt{",
        "x^{",
        "9",
        "x",
        "x+",
        "1/",
        "-",
        "\\pm ",
        "!",
        "^",
        "_",
        "\\\\",
        "$",
        "\\text{",
        "1,",
        "1,2;",
        "|",
        "\\sin ",
        "e^{e^",
        "10^{10^",
        "\\begin{pmatrix}",
        "&",
        "\\cup ",
        "x=",
        "a ",
        "\\{",
        "\xc2\xb2",
        "\\log_",
        "2^",
        "99999!",
        "x<",
        "\\sqrt2+",
        "\\sqrt[97]{3}+",
        "\\sin\\frac{\\pi}{997}+",
        "1e9999 ",
        "\\binom{9999}{",
        "]",
        "%s",
        "\\boxed{",
        "\\left|",
        "\\lfloor ",
        "(x+1)^{99}(",
        "0.\\overline{",
        "\xff",
        "<",
    };
    static char text[PIPE_ANSWER_MAX];
    const double limit = getenv("ASAN_OPTIONS") ? 1000.0 : 50.0;
    static const size_t sizes[] = { 50, 500, 5000, sizeof text };
    for (size_t i = 0; i < RT_COUNT(parts); i++)
        for (size_t k = 0; k < RT_COUNT(sizes); k++) {
            repeat(text, sizes[k], parts[i]);
            const clock_t start = clock();
            const bool right = equal("5", text) || equal(text, "x+1");
            const double ms = milliseconds_since(start);
            if (right && strcmp(parts[i], "=") != 0)
                fail_msg("'%s' repeated equals 5 or x+1", parts[i]);
            if (!(ms < 2.0 * limit))
                fail_msg("'%s' %zu bytes: %.1f ms", parts[i], sizes[k], ms);
        }
}

static void powers_and_towers_are_no_trouble(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "2^{1000000000}",
        "(10^8)!",
        "(x+1)^{100000}",
        "5^{5^{5^{5^{5}}}}",
        "1e999999999",
        "(a+b+c+d+e+f+g)^{60}",
        "x^{x^{x^{x^{x}}}}",
        "\\log_2 3^{1000000}",
        "\\sin(10^{400})",
        "e^{10^{30}}",
        "\\binom{10^9}{10^8}",
        "\\frac{5}{0}",
        "0^0",
        "0^{-1}",
        "\\sqrt{\\sqrt{\\sqrt{\\sqrt{\\sqrt{2}}}}}",
        "2^{2^{100}}-2^{2^{100}}+5",
        "\\lfloor 10^{30}\\pi\\rfloor",
        "\\gcd(10^{500},7)",
        "\\tan\\frac{\\pi}{2}",
        "\\ln 0",
        "\\arcsin 10^{9}",
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        const clock_t start = clock();
        const bool right = equal("6", rows[i]) || equal(rows[i], "6.5");
        const double ms = milliseconds_since(start);
        if (right || !(ms < (getenv("ASAN_OPTIONS") ? 1000.0 : 50.0)))
            fail_msg("%s: %s, %.1f ms", rows[i], right ? "equals 6" : "slow", ms);
    }
}

static void no_memory_is_said(void **state)
{
    (void)state;
    for (uint64_t at = 1;; at++) {
        struct rt_ctx ctx = { .alloc_fail_at = at };
        struct pipe_grader *g;
        if (pipe_grader_create(&ctx, NULL, &g) == RT_OK) {
            pipe_grader_destroy(&g);
            assert_true(at > 3);
            return;
        }
        assert_null(g);
        assert_non_null(strstr(ctx.message, "no memory"));
    }
}

/* ---- data of others ---- */

/* The path of a file of ../shared/data, null where there is none. */
static const char *shared(char path[1024], const char *name)
{
    static const char *const places[] = { "..", "../..", "../../.." };
    for (size_t i = 0; i < RT_COUNT(places); i++) {
        snprintf(path, 1024, "%s/%s/shared/data/%s", TEST_SOURCE_DIR, places[i], name);
        if (access(path, R_OK) == 0)
            return path;
    }
    print_message("skipped: no ../shared/data/%s beside the source\n", name);
    return NULL;
}

static void shared_vectors_are_judged_right(void **state)
{
    (void)state;
    static const struct {
        const char *tier;
        double share;
    } bars[] = { { "core", 1.0 },
                 { "policy", 1.0 },
                 { "text", 0.98 },
                 { "stretch", 0.8 },
                 { "robustness", 1.0 } };
    char path[1024];
    if (!shared(path, "grader-vectors/vectors.jsonl"))
        skip();
    for (size_t i = 0; i < RT_COUNT(bars); i++) {
        struct cases c = { .tier = bars[i].tier, .show = true };
        run_cases(path, on_pair, &c);
        print_message("%s: %u of %u, slowest %.1f ms\n", bars[i].tier, c.count - c.wrong,
                      c.count, c.slowest_ms);
        assert_true(c.count > 0 && c.count - c.wrong >= bars[i].share * c.count);
    }
    struct cases outputs = { .show = true };
    assert_non_null(shared(path, "grader-vectors/extraction.jsonl"));
    run_cases(path, on_output, &outputs);
    assert_int_equal(outputs.wrong, 0);
}

static rt_status on_problem(void *user, const struct pipe_row *row)
{
    struct cases *c = user;
    static char dressed[PIPE_ANSWER_MAX];
    const char *answer = field(row, "answer");
    if (!answer[0])
        return RT_OK; /* two problems whose box is empty */
    snprintf(dressed, sizeof dressed, "$\\displaystyle %s$", answer);
    c->count++;
    if (!equal(answer, answer) || !equal(answer, dressed)) {
        c->wrong++;
        print_message("%s is not itself\n", answer);
    }
    return RT_OK;
}

static void answers_of_math_equal_themselves(void **state)
{
    (void)state;
    char path[1024];
    struct cases c = { 0 };
    if (!shared(path, "math/train.jsonl.gz"))
        skip();
    run_cases(path, on_problem, &c);
    assert_non_null(shared(path, "math/test.jsonl.gz"));
    run_cases(path, on_problem, &c);
    assert_int_equal(c.count, 12498);
    assert_int_equal(c.wrong, 0);
}

static rt_status on_solutions(void *user, const struct pipe_row *row)
{
    static char found[1024];
    struct cases *c = user;
    const char *rule, *key, *truth = field(row, "ground_truth"), *gold = truth;
    json_t *value;
    for (const char *at = truth; (at = strstr(at, "A:")); at += 2)
        gold = at + 2;
    json_object_foreach(row->fields, key, value)
    {
        if (!json_is_object(value))
            continue;
        const bool right =
            pipe_extract(pipe_answer_style_find("gsm8k"),
                         json_string_value(json_object_get(value, "solution")), found,
                         sizeof found, &rule) &&
            equal(gold, found);
        c->count++;
        c->wrong += right != json_is_true(json_object_get(value, "is_correct")) ? 1u : 0u;
    }
    return RT_OK;
}

static void outputs_of_gsm8k_are_judged_as_published(void **state)
{
    (void)state;
    char path[1024];
    struct cases c = { 0 };
    if (!shared(path, "gsm8k/example_model_solutions.jsonl.gz"))
        skip();
    run_cases(path, on_solutions, &c);
    assert_int_equal(c.count, 5276);
    assert_int_equal(c.wrong, 0);
}

static int set_up(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    return pipe_grader_create(&ctx, NULL, &grader) == RT_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    pipe_grader_destroy(&grader);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_cases_are_judged_right),
        cmocka_unit_test(rules_can_be_switched_off),
        cmocka_unit_test(unknown_rules_are_named),
        cmocka_unit_test(places_round_both_sides),
        cmocka_unit_test(hostile_answers_are_cheap),
        cmocka_unit_test(powers_and_towers_are_no_trouble),
        cmocka_unit_test(no_memory_is_said),
        cmocka_unit_test(shared_vectors_are_judged_right),
        cmocka_unit_test(answers_of_math_equal_themselves),
        cmocka_unit_test(outputs_of_gsm8k_are_judged_as_published),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
