/* `faultline store`: two shards that two hosts made merge to the rows of one run; a run that
 * one host began is finished by another; what does not fit together is refused whole; a
 * file of version 1 is brought forward. */
#include "store/merge.h"
#include "store/store_impl.h"
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVAL \
    "eval --model @D --device ref --progress none --problems @D/measure.jsonl[0:4] "

static struct test_place place;

static int set_up(void **state)
{
    (void)state;
    test_place_init(&place);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_place_deinit(&place);
    return 0;
}

static void run_on(const char *host, const char *args)
{
    struct test_program p;
    char variables[400];
    snprintf(variables, sizeof variables, "%s FAULTLINE_HOST=%s", place.variables, host);
    test_place_run(&place, args, &(struct test_run){ .variables = variables }, &p);
    if (p.code != 0)
        fail_msg("'%s' on %s ends with %d: %s", args, host, p.code, p.err);
    test_program_deinit(&p);
}

static rt_status take_text(void *user, const struct store_row *row)
{
    char **text = user;
    free(*text);
    *text = strdup(store_row_text(row, 0));
    return RT_OK;
}

/* What a query says of a file; free() it. */
static char *text_of(const char *name, const char *sql)
{
    struct rt_ctx ctx = { 0 };
    struct store *s = NULL;
    char *text = NULL;
    if (store_open(&ctx, test_folder_file(&place.run, name), STORE_READ, &s) != RT_OK ||
        store_query(s, sql, NULL, take_text, &text) != RT_OK)
        fail_msg("%s: %s", sql, ctx.message);
    store_close(&s);
    return text;
}

static void expect(const char *name, const char *sql, const char *wanted)
{
    char *text = text_of(name, sql);
    if (!text || strcmp(text, wanted) != 0)
        fail_msg("%s: %s gives '%s', not '%s'", name, sql, text ? text : "", wanted);
    free(text);
}

/* Everything but times, and what only says where and how the work was started. */
static const char rows[] =
    "SELECT (SELECT group_concat(x,'/') FROM (SELECT run_id||status||config||numerics x "
    "FROM run ORDER BY 1))||(SELECT group_concat(x,'/') FROM (SELECT gen_id||problem_id||"
    "output||n_gen||s.correct||coalesce(s.extracted,'')||hex(t.ids)||hex(t.margin) x "
    "FROM "
    "generation JOIN score s USING(gen_id) JOIN token_trace t USING(gen_id) ORDER BY 1))"
    "||(SELECT count(*) FROM step)||(SELECT group_concat(run_id) FROM campaign_run)||"
    "(SELECT value FROM metric WHERE name='tokens')";

static void two_shards_are_one_run(void **state)
{
    (void)state;
    test_place_renew(&place.run);
    run_on("whole", EVAL "--store whole.db");
    run_on("a", EVAL "--shard 1/2 --store a.db");
    run_on("b", EVAL "--shard 2/2 --store b.db");
    run_on("c", "store merge a.db b.db --store merged.db");
    char *whole = text_of("whole.db", rows);
    expect("merged.db", rows, whole);
    free(whole);
    expect("merged.db",
           "SELECT group_concat(label) FROM (SELECT label FROM v_run_environment JOIN "
           "environment USING(env_id) JOIN machine USING(machine_id) ORDER BY 1)",
           "a,b");
    /* A second time nothing is new, and nothing adds up twice. */
    char *once = text_of("merged.db", rows);
    run_on("c", "store merge b.db --store merged.db");
    expect("merged.db", rows, once);
    free(once);
    /* The command of the whole makes no answer any more. */
    run_on("d", EVAL "--store merged.db");
    expect("merged.db", "SELECT count(*) FROM attempt", "2");
}

static void another_host_goes_on(void **state)
{
    (void)state;
    test_place_renew(&place.run);
    run_on("a", EVAL "--limit 2 --store on.db");
    run_on("b", EVAL "--store on.db");
    expect("on.db", "SELECT count(*) FROM run", "1");
    expect("on.db", "SELECT count(*) FROM generation", "4");
    expect("on.db", "SELECT count(DISTINCT env_id) FROM attempt", "2");
}

static void what_does_not_fit_is_refused_whole(void **state)
{
    (void)state;
    struct test_program p;
    struct rt_ctx ctx = { 0 };
    struct store *s = NULL;
    test_place_renew(&place.run);
    run_on("a", EVAL "--limit 1 --store a.db");
    run_on("b", EVAL "--limit 2 --store b.db");
    assert_int_equal(
        store_open(&ctx, test_folder_file(&place.run, "b.db"), STORE_WRITE, &s), RT_OK);
    assert_int_equal(store_run_sql(s,
                                   "UPDATE generation SET output='x' WHERE gen_id IN "
                                   "(SELECT gen_id FROM generation ORDER BY problem_id)",
                                   ""),
                     RT_OK);
    store_close(&s);
    test_place_run(&place, "store merge b.db --store a.db", &(struct test_run){ 0 }, &p);
    test_expect_refusal("other answers", &p, 7,
                        "b.db|1 rows of table generation|altered");
    test_program_deinit(&p);
    expect("a.db", "SELECT count(*) FROM generation", "1");
    test_place_run(&place, "store merge none.db --store a.db", &(struct test_run){ 0 },
                   &p);
    test_expect_refusal("no such file", &p, 7, "none.db|No such file");
    test_program_deinit(&p);
    test_place_run(&place, "store merge --store a.db", &(struct test_run){ 0 }, &p);
    test_expect_refusal("no file named", &p, 2, "needs the files");
    test_program_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_shards_are_one_run),
        cmocka_unit_test(another_host_goes_on),
        cmocka_unit_test(what_does_not_fit_is_refused_whole),
    };
    return cmocka_run_group_tests_name("merge", tests, set_up, tear_down);
}
