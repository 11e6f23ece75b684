/* Records of answers: what is set in them, that a file is graded whole or not at all, and
 * what is refused. */
#include "pipeline/run/grade_records.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static struct rt_ctx ctx;

enum { RECORDS_MAX = 8 };
struct taken {
    json_t *records[RECORDS_MAX];
    uint32_t count;
};

static void take(void *user, const json_t *record)
{
    struct taken *t = user;
    assert_true(t->count < RECORDS_MAX);
    t->records[t->count++] = json_deep_copy(record);
}

static rt_status grade(const char *text, const char *style, struct taken *taken,
                       struct pipe_grade_records_result *out)
{
    const char *path = test_folder_file(&test_scratch, "records.jsonl");
    const struct pipe_grade_records_options o = { .style = pipe_answer_style_find(style),
                                                  .fn = take,
                                                  .user = taken };
    *taken = (struct taken){ .count = 0 };
    test_file_write(path, text, strlen(text));
    return pipe_grade_records(&ctx, path, &o, out);
}

static void forget(struct taken *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        json_decref(t->records[i]);
}

static const char *text_of(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));
    return text ? text : "";
}

static void each_kind_is_graded(void **state)
{
    (void)state;
    struct taken t;
    struct pipe_grade_records_result n;
    const char *text = "{\"gold\":\"1/2\",\"pred\":\"0.5\",\"mine\":[1]}\n"
                       "{\"gold\":\"3\",\"pred\":\"so it is 3.\",\"kind\":\"text\"}\n"
                       "{\"gold\":\"3\",\"text\":\"#### 3\",\"style\":\"gsm8k-strict\"}\n"
                       "{\"gold\":\"3\",\"text\":\"nothing\"}\n"
                       "{\"gold\":\"2\",\"pred\":\"3\"}\n"
                       "{\"gold\":\"3.14\",\"pred\":\"3.1416\",\"precision\":2}\n";
    if (grade(text, "gsm8k", &t, &n) != RT_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(n.records, 6);
    assert_int_equal(n.correct, 4);
    assert_int_equal(n.unanswered, 1);
    static const char *const verdicts[] = { "equal",     "equal",     "equal",
                                            "different", "different", "equal" };
    for (uint32_t i = 0; i < 6; i++) {
        assert_string_equal(text_of(t.records[i], "verdict"), verdicts[i]);
        assert_int_equal(json_is_true(json_object_get(t.records[i], "correct")),
                         strcmp(verdicts[i], "equal") == 0);
        assert_true(json_is_real(json_object_get(t.records[i], "ms")));
    }
    assert_int_equal(json_array_size(json_object_get(t.records[0], "mine")), 1);
    assert_string_equal(text_of(t.records[2], "extracted"), "3");
    assert_true(json_is_null(json_object_get(t.records[3], "extracted")));
    forget(&t);
}

static void a_file_is_graded_whole_or_not_at_all(void **state)
{
    (void)state;
    static const struct {
        const char *record, *part;
    } cases[] = {
        { "{\"pred\":\"1\"}", "'gold' is missing" },
        { "{\"gold\":1,\"pred\":\"1\"}", "'gold' is no text" },
        { "{\"gold\":\"1\"}", "'pred' is missing" },
        { "{\"gold\":\"1\",\"text\":\"1\"}", "a text needs a style" },
        { "{\"gold\":\"1\",\"text\":\"1\",\"style\":\"odd\"}", "unknown style odd" },
        { "{\"gold\":\"1\",\"pred\":\"1\",\"kind\":\"odd\"}", "unknown kind 'odd'" },
        { "{\"gold\":\"1\",\"pred\":\"1\",\"precision\":-1}", "'precision'" },
        { "{\"gold\":\"1\",\"pred\":\"1\",\"precision\":1001}", "'precision'" },
        { "{\"gold\":", "line 2" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        char text[200] = "{\"gold\":\"1\",\"pred\":\"1\"}\n";
        struct taken t;
        struct pipe_grade_records_result n;
        strncat(text, cases[i].record, sizeof text - strlen(text) - 1);
        test_refused(&ctx, grade(text, "", &t, &n), RT_ERR_INPUT, "line 2", cases[i].part,
                     NULL);
        assert_int_equal(t.count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_graded),
        cmocka_unit_test(a_file_is_graded_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, test_scratch_set_up, test_scratch_tear_down);
}
