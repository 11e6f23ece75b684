/* contrast: the first step of a wrong answer with a result that no right answer has, whatever the
 * words around the numbers; what was written after a fault does not speak for it. */
#include "pipeline/prompt/contrast.h"
#include "pipeline/prompt/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static struct rt_ctx ctx;

static struct pipe_contrasted contrast(const char *question, const char *output,
                                       const struct pipe_right_text *right,
                                       uint32_t count)
{
    struct pipe_step steps[PIPE_STEPS_MAX];
    struct pipe_contrasted out;
    const uint32_t n = pipe_dialect_lines.split(output, steps, PIPE_STEPS_MAX);
    assert_int_equal(pipe_contrast(&ctx, question, output, steps, n, right, count, &out),
                     RT_OK);
    return out;
}

static void cases_are_as_written(void **state)
{
    (void)state;
    static const char question[] =
        "Ann has 3 pens and 4 cups. Ben has 5 pens. How many pens has each?";
    static const struct {
        const char *what, *output, *right;
        int32_t step;
        bool end;
        const char *of; /* per step: n(one), s(ame), v(alue), o(wner), N(ew) */
    } rows[] = {
        { "another operand", "Ann: 3*4=12\nBen: 12+7=19\n#### 19",
          "Ann: 3*4=12\nBen: 12+5=17\n#### 17", 1, false, "sNN" },
        { "other words, other order of a sum",
          "So Ann has 4*3 = 12 pens.\n12+9=21\n#### 21",
          "Ann: 3*4=12\nBen: 12+5=17\n#### 17", 1, false, "sNN" },
        { "a false equation with a right number", "Ann: 3*4=17\nBen: 17+5=22\n#### 22",
          "Ann: 3*4=12\nBen: 12+5=17\n#### 17", 0, false, "NNN" },
        { "the same result by another way", "2*6=12\n12+9=21\n#### 21",
          "Ann: 3*4=12\nBen: 12+5=17\n#### 17", 1, false, "vNN" },
        { "it stops too early", "Ann: 3*4=12\n#### 12", "Ann: 3*4=12\n12+5=17\n#### 17",
          1, true, "sv" },
        { "a step without numbers", "First we look.\n3*4=11\n#### 11",
          "Ann: 3*4=12\n#### 12", 1, false, "nNN" },
        { "units", "18 inches + 9 inches = 27 inches\n27/2=13\n#### 13",
          "9 inches + 18 inches = 27 inches\n#### 27", 1, false, "sNN" },
        { "another owner", "Ben: 3*4=12\nBen: 12+5=17\n#### 17",
          "Ann: 3*4=12\nBen: 12+5=17\n#### 17", 0, false, "osv" },
        { "another owner and word", "The cups are 3*4=12\n#### 12",
          "That makes 3*4=12 pens.\n#### 12", 0, false, "ov" },
        { "one more word, none lacks", "Ann has 3*4=12 pens. So it is.\n#### 12",
          "Pens: 3*4=12\n#### 12", 1, true, "sv" },
        { "the word of the next sentence", "Pens: 3*4=12. Ben next.\n#### 13",
          "Pen: 3*4=12. Ann next.\n#### 12", 1, false, "sN" },
        { "nothing to compare with", "3*4=12\n#### 12", "It is so.", -1, false, "nn" },
        { "no text", "", "3*4=12", -1, false, "" },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        const struct pipe_right_text right = { rows[i].right, 0 };
        const struct pipe_contrasted c = contrast(question, rows[i].output, &right, 1);
        bool good = c.step == rows[i].step && c.end == rows[i].end;
        for (uint32_t k = 0; rows[i].of[k]; k++)
            good &= "nsvoN"[c.of[k]] == rows[i].of[k];
        if (!good)
            fail_msg("%s: step %d, end %d, of %d %d %d", rows[i].what, c.step, c.end,
                     c.of[0], c.of[1], c.of[2]);
    }
}

/* Full recovers after the fault, so its continuation repeats it. */
static void later_texts_do_not_speak_for_earlier_steps(void **state)
{
    (void)state;
    static const char output[] = "3*4=12\n12+9=21\n21-2=19\n#### 19";
    const struct pipe_right_text right[] = {
        { "3*4=12\n12+5=17\n#### 17", 0 },
        { "12+9=21\n21-4=17\n#### 17", 1 }, /* a second route, known before step 1 */
        { "21-2=19\n19-2=17\n#### 17", 3 }, /* known behind step 2 only */
    };
    assert_int_equal(contrast("", output, right, 1).step, 1);
    assert_int_equal(contrast("", output, right, 2).step, 2);
    assert_int_equal(contrast("", output, right, 3).step, 2);
    assert_int_equal(contrast("", output, NULL, 0).step, -1);
}

/* More equations, numbers and signs than there is room for: compared as far as they are read. */
static void long_texts_are_cut(void **state)
{
    (void)state;
    static char text[40000], sum[2000];
    for (size_t i = 0; i < 3000; i++)
        memcpy(text + 6 * i, "1+1=2\n", 7);
    sum[0] = '1';
    for (size_t i = 0; i < 39; i++)
        memcpy(sum + 1 + 2 * i, "+1", 2);
    snprintf(sum + 79, sizeof sum - 79, "=40\n#### 41");
    const struct pipe_right_text right[] = { { text, 0 }, { sum, 0 } };
    const struct pipe_contrasted c = contrast("", sum, right, 2);
    assert_int_equal(c.of[0], PIPE_CONTRAST_VALUE); /* not all parts were kept */
    assert_int_equal(contrast("", text, right, 1).of[0], PIPE_CONTRAST_SAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_are_as_written),
        cmocka_unit_test(later_texts_do_not_speak_for_earlier_steps),
        cmocka_unit_test(long_texts_are_cut),
    };
    return cmocka_run_group_tests_name("contrast", tests, NULL, NULL);
}
