/* A file of statistical records: each is handed out with its results, and the largest
 * deviation from what the file says is found. */
#include "pipeline/run/check_stats.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

static struct rt_ctx ctx;

static void take(void *user, const json_t *record)
{
    (*(unsigned *)user)++;
    assert_non_null(json_object_get(record, "mid_p"));
}

static rt_status check(const char *text, unsigned *taken, struct pipe_stats_check *out)
{
    const char *path = test_folder_file(&test_scratch, "records.jsonl");
    *taken = 0;
    test_file_write(path, text, strlen(text));
    return pipe_stats_check(&ctx, path, take, taken, out);
}

/* McNemar of 4 to 0: exact 2 / 2^4, mid-p half of that. */
#define FOUR \
    "{\"kind\":\"mcnemar\",\"base_right_quant_wrong\":4,\"base_wrong_quant_right\":0"

static void the_largest_deviation_is_found(void **state)
{
    (void)state;
    unsigned taken;
    struct pipe_stats_check c;
    assert_int_equal(check(FOUR "}\n" FOUR ",\"exact_two_sided\":0.125}\n", &taken, &c),
                     RT_OK);
    assert_int_equal(c.records, 2);
    assert_int_equal(taken, 2);
    assert_true(c.worst == 0 && c.worst_at[0] == '\0');
    assert_int_equal(
        check(FOUR ",\"mid_p\":0.05}\n" FOUR ",\"exact_two_sided\":0.1}\n", &taken, &c),
        RT_OK);
    assert_true(fabs(c.worst - 0.2) < 1e-9); /* of 0.0625, and of 0.125 */
    assert_non_null(strstr(c.worst_at, "line"));
    assert_int_equal(check(FOUR ",\"mid_p\":\"small\"}\n", &taken, &c), RT_OK);
    assert_true(isinf(c.worst));
    assert_non_null(strstr(c.worst_at, "line 1, mid_p"));
}

static void what_cannot_be_computed_is_refused(void **state)
{
    (void)state;
    unsigned taken;
    struct pipe_stats_check c;
    test_refused(&ctx, check(FOUR "}\n{\"kind\":\"odd\"}\n", &taken, &c), RT_ERR_INPUT,
                 "line 2", NULL);
    assert_int_equal(taken, 1);
    test_refused(&ctx, check("[1]", &taken, &c), RT_ERR_INPUT, NULL);
    assert_int_equal(c.records, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_deviation_is_found),
        cmocka_unit_test(what_cannot_be_computed_is_refused),
    };
    return cmocka_run_group_tests(tests, test_scratch_set_up, test_scratch_tear_down);
}
