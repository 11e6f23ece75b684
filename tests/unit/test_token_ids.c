/* Token ids as they are typed and as JSON: what is read, and what is refused by name. */
#include "pipeline/run/token_ids.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void typed_ids_are_read(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    uint32_t *ids, n;
    assert_int_equal(pipe_ids_parse(&ctx, "--ids", "1,20,4294967295", &ids, &n), RT_OK);
    assert_int_equal(n, 3);
    assert_true(ids[0] == 1 && ids[1] == 20 && ids[2] == UINT32_MAX);
    rt_free(ids);
    static const char *const bad[] = { "x", "1,", "1,,2", "1 2", "4294967296", "" };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        const rt_status st = pipe_ids_parse(&ctx, "--ids", bad[i], &ids, &n);
        if (strcmp(bad[i], "1,") == 0) /* a comma may end the list */
            assert_int_equal(st, RT_OK);
        else
            test_refused(&ctx, st, RT_ERR_USAGE, "--ids", NULL);
        rt_free(ids);
    }
}

static void json_ids_are_read(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    uint32_t *ids, n;
    assert_int_equal(pipe_ids_read(&ctx, "[0, 9]\n", 1, 10, &ids, &n), RT_OK);
    assert_int_equal(n, 2);
    assert_true(ids[0] == 0 && ids[1] == 9);
    rt_free(ids);
    assert_int_equal(pipe_ids_read(&ctx, "[]", 1, 10, &ids, &n), RT_OK);
    assert_int_equal(n, 0);
    rt_free(ids);
    static const char *const bad[][2] = { { "[10]", "no id 10, only 0 to 9" },
                                          { "[1,-1]", "element 2" },
                                          { "[1.5]", "element 1" },
                                          { "[\"1\"]", "element 1" },
                                          { "{}", "not a JSON array" },
                                          { "[1", "not a JSON array" },
                                          { "", "not a JSON array" } };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        test_refused(&ctx, pipe_ids_read(&ctx, bad[i][0], 3, 10, &ids, &n), RT_ERR_INPUT,
                     "line 3", bad[i][1], NULL);
        rt_free(ids);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(typed_ids_are_read),
        cmocka_unit_test(json_ids_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
