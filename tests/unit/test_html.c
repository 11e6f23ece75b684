/* Words of the page: what a browser may run, numbers and probabilities. */
#include "store/report/html.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct rt_ctx ctx;

static void test_csp_hash(void **state)
{
    (void)state;
    static const char *const nothing[] = { NULL }, *const abc[] = { "a", "bc", NULL };
    char hash[HTML_CSP];
    html_csp_hash(nothing, hash);
    assert_string_equal(hash, "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
    html_csp_hash(abc, hash);
    assert_string_equal(hash, "'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='");
}

static void test_p_values(void **state)
{
    (void)state;
    struct html h;
    html_init(&h, &ctx);
    html_p(&h, 1);
    html_p(&h, 0.0123);
    html_p(&h, 2.84e-16);
    html_p(&h, 0.00099999);
    html_p(&h, 0);
    html_signed(&h, -0.04, 1);
    html_signed(&h, 2.25, 2);
    html_raw_text(&h, "");
    assert_false(h.failed);
    assert_string_equal(h.text, "p\xc2\xa0=\xc2\xa0"
                                "1.000"
                                "p\xc2\xa0=\xc2\xa0"
                                "0.012"
                                "p\xc2\xa0=\xc2\xa0"
                                "2.8\xc2\xa0\xc3\x97\xc2\xa0"
                                "10<sup>"
                                "\xe2\x88\x92"
                                "16</sup>"
                                "p\xc2\xa0=\xc2\xa0"
                                "1.0\xc2\xa0\xc3\x97\xc2\xa0"
                                "10<sup>"
                                "\xe2\x88\x92"
                                "3</sup>"
                                "p\xc2\xa0&lt;\xc2\xa0"
                                "10<sup>\xe2\x88\x92"
                                "99</sup>"
                                "0.0+2.25");
    html_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csp_hash),
        cmocka_unit_test(test_p_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
