/* Equations between numbers in free text, plain and LaTeX: false ones are named with their
 * step, true ones and what may be read as true never are. */
#include "pipeline/prompt/equation.h"
#include "pipeline/prompt/locate_check.h"
#include "pipeline/prompt/step_split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 1024 };

/* Start and end of the first false equation, and the value of its left side. */
static bool find(const char *text, uint32_t *at, uint32_t *end, double *value)
{
    static struct pipe_math_token tokens[TOKENS];
    const uint32_t n = pipe_math_tokens(text, 0, (uint32_t)strlen(text), tokens, TOKENS);
    for (uint32_t i = 0; i < n; i++) {
        struct pipe_sides s;
        assert_true(tokens[i].at <= tokens[i].end && tokens[i].end <= strlen(text));
        if (tokens[i].kind != PIPE_MATH_EQUALS || !pipe_sides_read(tokens, n, i, &s) ||
            !pipe_sides_false(tokens, &s))
            continue;
        *at = tokens[s.left].at;
        *end = tokens[s.end - 1].end;
        *value = pipe_exact_double(s.value);
        return true;
    }
    return false;
}

static void false_equations_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *text, *equation;
        double value;
    } rows[] = {
        { "3 + 4 = 8", "3 + 4 = 8", 7 },
        { "Then 7 * 2 = 15 eggs.", "7 * 2 = 15 eggs", 14 },
        { "So <<16-3=12>>12 eggs", "16-3=12", 13 },
        { "a total of $1,200 + $300 = $1,600.", "$1,200 + $300 = $1,600", 1500 },
        { "2 \xc3\x97 (3 + 4) = 13", "2 \xc3\x97 (3 + 4) = 13", 14 },
        { "10 \xc3\xb7 4 = 2", "10 \xc3\xb7 4 = 2", 2.5 },
        { "6 x 7 = 43", "6 x 7 = 43", 42 },
        { "10 / 3 = 3.35", "10 / 3 = 3.35", 10.0 / 3 },
        { "9 \xe2\x88\x92 4 = 6", "9 \xe2\x88\x92 4 = 6", 5 },
        { "\\(5 \\times (1 + 2) = 16\\)", "5 \\times (1 + 2) = 16", 15 },
        { "$3 + 4 \\cdot 2 = 12$", "3 + 4 \\cdot 2 = 12", 11 },
        { "\\frac{1}{2} + \\frac{1}{3} = \\frac{5}{7}",
          "\\frac{1}{2} + \\frac{1}{3} = \\frac{5}{7}", 5.0 / 6 },
        { "2^{10} = 1000", "2^{10} = 1000", 1024 },
        { "2(3 + 4) = 15", "2(3 + 4) = 15", 14 },
        { "20% * 50 = 11", "20% * 50 = 11", 10 },
        { "5 apples + 3 apples = 9 apples", "5 apples + 3 apples = 9 apples", 8 },
        { "3 hours * $20/hour = $70", "3 hours * $20/hour = $70", 60 },
        { "The sum is 3 + 4 = 7 = 2 * 4.", "7 = 2 * 4", 7 },
        { "- 3 * 5 = 16", "- 3 * 5 = 16", -15 },
        { "a list (1 + 2 = 4", "1 + 2 = 4", 3 },
        { "* 3 + 5 = 9", "3 + 5 = 9", 8 },
        { "Hugo: 11+40=52", "11+40=52", 51 },
        { "(7 - -7 * 4) = (7 - 28)", "(7 - -7 * 4) = (7 - 28)", 35 },
        { "= 3 + 4\n= 8", "3 + 4\n= 8", 7 },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        uint32_t at = 0, end = 0;
        double value = NAN;
        if (!find(rows[i].text, &at, &end, &value)) {
            print_error("'%s' is not called false\n", rows[i].text);
            fail();
        }
        const char *should = strstr(rows[i].text, rows[i].equation);
        const size_t size = strlen(rows[i].equation);
        const bool money = *should == '$'; /* the sign stands before the number */
        if (!(fabs(value - rows[i].value) < 1e-9) ||
            at != (uint32_t)(should - rows[i].text) + money ||
            end != (uint32_t)(should - rows[i].text) + size)
            fail_msg("'%s': %g at %u to %u", rows[i].text, value, at, end);
    }
}

static void true_and_doubtful_ones_are_not(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "=",
        "= 3",
        "3 =",
        "3 = 4", /* no operation: a name may be meant */
        "3 + 4 = 7",
        "10 / 3 = 3.33",
        "2 / 3 = 0.67",
        "2 / 3 = 0.66",
        "3.33 * 3 = 10",
        "-1 + 1 = 0",
        "- 3 + 5 = 8",
        "1) 3 + 5 = 8",
        "2 - 5 + 4 = 9",       /* number 2 of a list */
        "3 * 4 = 12 + 1 = 13", /* run on */
        "3 * 4 = 2 * 6 = 12",
        "20% * 50 = 10",
        "50 * 20% = 10",
        "15 / 60 = 25%",
        "100 - 20% = 80",
        "2x + 3 = 8",
        "3x = 9",
        "x * 3 + 5 = 14",
        "x^2 + 3 = 8",
        "3 + 4 = 7x",
        "3 + 4 = 8 * y",
        "2 1/2 + 1 = 3.5",
        "2\\frac{1}{2} + 1 = 3.5",
        "1 + 2 + = 4",
        "a third of 12 + 3 = 7",
        "25% of 80 + 3 = 23",
        "5 sets of 3 + 4 = 19",
        "two-thirds of 9 + 1 = 7",
        "1 / 0 = 3",
        "3 + 4 >= 8",
        "3 + 4 != 8",
        "3 + 4 \xe2\x89\x88 8",
        "3 + 4 == 8 + 0 == 7",
        "f(3) + 4 = 8",
        "10:30 - 9:15 = 75",
        "twice 3 + 4 = 10",
        "half of 48 + 2 = 26",
        "profit - 3 + 5 = 8",
        "5 feet + 3 inches = 63 inches",
        "2 hours + 30 minutes = 150 minutes",
        "weeks 3-4 = 96 - 70",
        "5! / 3! = 20",
        "\\sqrt[3]{8} + 1 = 3",
        "\\sqrt{16} = 4",
        "\\frac{1}{2}PQ = 56",
        "3/ 1/4 = 12",
        "25 / 1/3 = 75",
        "600 x 30 = 18 000 watts",
        "1 + 1 = 3?",
        "8^{2/3} = 4",
        "2^{-1} = 0.5",
        "16,0000/10 = 16000",
        "99999999999999999999 + 1 = 2",
        "1,200 * 3 = 3{,}600",
        "4 = **4** * 1",
        "3 + 4 = 7 (see 12)",
        "10 / 4 = 2 remainder 2",
    };
    for (size_t i = 0; i < RT_COUNT(texts); i++) {
        uint32_t at, end;
        double value;
        if (find(texts[i], &at, &end, &value))
            fail_msg("'%s' is called false: %g", texts[i], value);
    }
}

static void fractions_are_exact_or_unknown(void **state)
{
    (void)state;
    const struct pipe_exact third = pipe_exact_of(1, 3),
                            big = pipe_exact_of(1LL << 61, 1);
    assert_true(pipe_exact_same(pipe_exact_of(2, -6), pipe_exact_of(-1, 3)));
    assert_true(pipe_exact_same(pipe_exact_add(third, pipe_exact_add(third, third)),
                                pipe_exact_of(1, 1)));
    assert_true(pipe_exact_same(pipe_exact_divide(big, big), pipe_exact_of(1, 1)));
    assert_true(pipe_exact_known(pipe_exact_add(big, big)));
    assert_false(pipe_exact_known(pipe_exact_multiply(big, big)));
    assert_false(pipe_exact_known(pipe_exact_divide(third, pipe_exact_of(0, 1))));
    assert_false(pipe_exact_known(pipe_exact_of(INT64_MIN, 1)));
    assert_false(pipe_exact_known(pipe_exact_power(third, pipe_exact_of(-1, 1))));
    assert_false(pipe_exact_same(pipe_exact_of(1, 0), pipe_exact_of(1, 0)));
    assert_true(isnan(pipe_exact_double(pipe_exact_of(1, 0))));
}

/* Neither long expressions nor many signs take long or run past the end. */
static void hostile_texts_end(void **state)
{
    (void)state;
    static char text[200000];
    static const char *const patterns[] = {
        "(",        "1+",       "=",  "1=",     "1,",       "-",    "1 = 2 + ",
        "\xc3\x97", "\\frac{1", "^{", "\\x[{",  "**",       "1/1/", "a ",
        "2(",       "{",        "}",  "\\\\\n", "1-1-1=1-", "$",    "\xe2",
    };
    for (size_t p = 0; p < RT_COUNT(patterns); p++) {
        const size_t size = strlen(patterns[p]);
        struct pipe_step steps[16];
        struct pipe_checked checked;
        uint32_t at, end;
        double value;
        memset(text, 0, sizeof text);
        for (size_t i = 0; i + size < sizeof text; i += size)
            memcpy(text + i, patterns[p], size);
        (void)find(text, &at, &end, &value);
        pipe_locate_check(text, text, steps, pipe_split_sentences(text, steps, 16),
                          &checked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(false_equations_are_found),
        cmocka_unit_test(true_and_doubtful_ones_are_not),
        cmocka_unit_test(fractions_are_exact_or_unknown),
        cmocka_unit_test(hostile_texts_end),
    };
    return cmocka_run_group_tests_name("equations in text", tests, NULL, NULL);
}
