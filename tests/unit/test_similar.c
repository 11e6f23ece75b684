/* Which words may have been meant. */
#include "runtime/base/similar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void errors_are_counted(void **state)
{
    (void)state;
    static const struct {
        const char *name, *meant;
        bool similar;
    } cases[] = {
        { "compare", "compare", true },
        { "comapre", "compare", true }, /* a swap is one error */
        { "cmpre", "compare", true },   /* two left out */
        { "cmpr", "compare", false },   /* three, in a word of four */
        { "com", "compare", true },     /* the start of it */
        { "co", "compare", false },     /* too short a start */
        { "evla", "eval", true },       /* one error is allowed in short words */
        { "evla", "even", false },      /* two are not */
        { "", "sql", false },
        { "sq", "sql", true },
        { "an-option-of-more-than-thirty-two-bytes", "an-option", false },
        { "an-option-of", "an-option-of-more-than-thirty-two-bytes", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (rt_similar(cases[i].name, cases[i].meant) != cases[i].similar)
            fail_msg("'%s' for '%s'", cases[i].name, cases[i].meant);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(errors_are_counted) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
