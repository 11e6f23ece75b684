/* Equations between numbers in free text: false ones are named with their step, true ones
 * and what cannot be read never are. */
#include "pipeline/prompt/locate_arithmetic.h"
#include "pipeline/prompt/step_split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static struct pipe_equation find(const char *text)
{
    struct pipe_step steps[16];
    struct pipe_equation e;
    pipe_locate_arithmetic(text, steps, pipe_split_sentences(text, steps, 16), &e);
    return e;
}

static void false_equations_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *equation;
        int32_t step;
        double value;
    } rows[] = {
        { "3 + 4 = 8", "3 + 4 = 8", 0, 7 },
        { "She has 3 + 4 = 7. Then 7 * 2 = 15 eggs.", "7 * 2 = 15", 1, 14 },
        { "So <<16-3=12>>12 eggs", "16-3=12", 0, 13 },
        { "a total of $1,200 + $300 = $1,600.", "$1,200 + $300 = $1,600", 0, 1500 },
        { "2 \xc3\x97 (3 + 4) = 13", "2 \xc3\x97 (3 + 4) = 13", 0, 14 },
        { "10 \xc3\xb7 4 = 2", "10 \xc3\xb7 4 = 2", 0, 2.5 },
        { "6 x 7 = 43", "6 x 7 = 43", 0, 42 },
        { "10 / 3 = 3.34", "10 / 3 = 3.34", 0, 10.0 / 3 },
        { "9 \xe2\x88\x92 4 = 6", "9 \xe2\x88\x92 4 = 6", 0, 5 },
        { "- 3 + 5 = 9", "3 + 5 = 9", 0, 2 },
        { "1 + 1 = 2. x = 3.\n2 + 2 = 5", "2 + 2 = 5", 1, 4 },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        const struct pipe_equation e = find(rows[i].text);
        if (e.step != rows[i].step)
            fail_msg("'%s': step %d, not %d", rows[i].text, e.step, rows[i].step);
        const char *at = strstr(rows[i].text, rows[i].equation);
        const size_t end = (size_t)(at - rows[i].text) + strlen(rows[i].equation);
        assert_true(e.char_start + e.size == end);
        const double away = e.value - rows[i].value;
        if (!(away < 1e-9 && away > -1e-9))
            fail_msg("'%s': %g, not %g", rows[i].text, e.value, rows[i].value);
    }
}

static void true_and_unreadable_ones_are_not(void **state)
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
        "-1 + 1 = 0",
        "- 3 + 5 = 8",
        "1) 3 + 5 = 8",
        "3 * 4 = 12 + 1 = 13", /* run on */
        "3 * 4 = 2 * 6 = 12",
        "20% * 50 = 10",
        "50 * 20% = 10",
        "2x + 3 = 8",
        "3x = 9",
        "x^2 + 3 = 8",
        "3 + 4 = 7x",
        "3 + 4 = 7y",
        "2 1/2 = 3",
        "3 + 4 \\cdot 2 = 12",
        "5 \\times (1 + 2) = 16",
        "\\frac{1}{2} + 1 = 2",
        "1 + 2 + = 4",
        "(1 + 2 = 4",
        "1 / 0 = 3",
        "3 + 4 >= 8",
        "3 + 4 != 8",
        "3 + 4 == 8 + 0 == 7",
        "f(3) + 4 = 8",
        "10:30 - 9:15 = 75",
    };
    for (size_t i = 0; i < RT_COUNT(texts); i++) {
        const struct pipe_equation e = find(texts[i]);
        if (e.step >= 0)
            fail_msg("'%s' is called false: %g, not %g", texts[i], e.stated, e.value);
    }
}

/* Neither long expressions nor many signs take long or run past the end. */
static void hostile_texts_end(void **state)
{
    (void)state;
    static char text[200000];
    static const char *const patterns[] = { "(",  "1+", "=",        "1=",
                                            "1,", "-",  "1 = 2 + ", "\xc3\x97" };
    for (size_t p = 0; p < RT_COUNT(patterns); p++) {
        const size_t size = strlen(patterns[p]);
        for (size_t i = 0; i + size < sizeof text; i += size)
            memcpy(text + i, patterns[p], size);
        (void)find(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(false_equations_are_named),
        cmocka_unit_test(true_and_unreadable_ones_are_not),
        cmocka_unit_test(hostile_texts_end),
    };
    return cmocka_run_group_tests_name("arithmetic in text", tests, NULL, NULL);
}
