/* Names of columns: no two are the same once the numbers are behind them. */
#include "store/store.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static rt_status join_names(void *user, const struct store_row *row)
{
    char *all = user, name[32];
    assert_int_equal(store_row_names_twice(row), store_row_count(row) > 2);
    for (int i = 0; i < store_row_count(row); i++) {
        const int suffix = store_row_suffix(row, i);
        if (suffix)
            snprintf(name, sizeof name, "%s_%d ", store_row_name(row, i), suffix);
        else
            snprintf(name, sizeof name, "%s ", store_row_name(row, i));
        strncat(all, name, 100 - strlen(all));
    }
    return RT_OK;
}

static void no_two_names_are_the_same(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct store *store = NULL;
    static const char *const cases[][2] = {
        { "SELECT 1 a, 2 b", "a b " },
        { "SELECT 1 a, 2 b, 3 a, 4 a", "a b a_2 a_3 " },
        { "SELECT 1 a, 2 a, 3 a_2, 4 a", "a a_3 a_2 a_4 " },
        { "SELECT 1 a_2, 2 a, 3 a, 4 a_2", "a_2 a a_3 a_2_2 " },
    };
    assert_int_equal(
        store_open(&ctx, test_folder_file(&test_scratch, "a.db"), STORE_WRITE, &store),
        RT_OK);
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        char all[101] = "";
        assert_int_equal(store_query_given(store, cases[i][0], join_names, all), RT_OK);
        assert_string_equal(all, cases[i][1]);
    }
    store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(no_two_names_are_the_same) };
    return cmocka_run_group_tests(tests, test_scratch_set_up, test_scratch_tear_down);
}
