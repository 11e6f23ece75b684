/* What has which id in the results file: a run is what is done, not where or for whom; a
 * fault belongs to its locate run, an item to its fault; one verdict of an answer counts;
 * a row that breaks a rule of its table is an error. */
#include "store/queries.h"
#include "store/store.h"
#include "store/store_claim.h"
#include "store/store_impl.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_folder folder;
static struct rt_ctx ctx;

static const struct pipe_problem problems[] = {
    { .id = "p0", .question = "one?", .answer = "1" },
    { .id = "p1", .question = "two?", .answer = "2" },
};

/* A store that is being filled. */
struct filling {
    struct store *store;
    char campaign[STORE_ID], benchmark[STORE_ID], env[STORE_ID];
    struct store_variant variant;
};

static void must(rt_status st)
{
    if (st != RT_OK)
        fail_msg("%s", ctx.message);
}

static void begin(struct filling *f, const char *name, const char *host)
{
    struct rt_device *dev = NULL;
    const struct rt_device_options options = { .name = "ref" };
    const struct store_artifact weights = { "sha256:w", "weights", 1, NULL };
    setenv("FAULTLINE_HOST", host, 1);
    must(store_open(&ctx, test_folder_file(&folder, name), STORE_WRITE, &f->store));
    must(rt_device_create(&ctx, &options, &dev));
    must(store_begin(f->store));
    must(store_put_environment(f->store, dev, f->env));
    rt_device_destroy(&dev);
    must(store_put_artifact(f->store, &weights));
    f->variant = (struct store_variant){ .label = "quant",
                                         .role = "quant",
                                         .weights_id = "sha256:w",
                                         .arch = "qwen2",
                                         .params = 1 };
    must(store_put_variant(f->store, &f->variant));
    must(store_put_campaign(f->store, "restore", "{}", f->campaign));
    must(store_put_benchmark(f->store, "demo", "measure", problems, 2, f->benchmark));
}

static void end(struct filling *f)
{
    must(store_commit(f->store));
    store_close(&f->store);
}

static struct store_run open_run(struct filling *f, const char *kind, const char *config)
{
    struct store_run run = { .campaign_id = f->campaign,
                             .kind = kind,
                             .variant_id = f->variant.id,
                             .benchmark_id = f->benchmark,
                             .env_id = f->env,
                             .grader = "demo",
                             .config = config };
    must(store_run_open(f->store, &run));
    return run;
}

static void put_answer(struct filling *f, const struct store_run *run,
                       const char *problem, bool correct, char gen[STORE_ID])
{
    const struct pipe_generation g = { .problem_id = problem,
                                       .prompt_hash = "h",
                                       .output = "a" };
    const struct pipe_score score = { .grader = "demo",
                                      .extract_ok = true,
                                      .correct = correct };
    must(store_put_generation(f->store, run->id, &g, &score, NULL, 0));
    store_gen_id(run->id, problem, 0, gen);
}

static rt_status take_text(void *user, const struct store_row *row)
{
    snprintf(user, 160, "%s", store_row_text(row, 0));
    return RT_OK;
}

/* The first column of the last row. */
static const char *text_of(struct filling *f, const char *sql)
{
    static char text[160];
    text[0] = '\0';
    must(store_query(f->store, sql, NULL, take_text, text));
    return text;
}

static void expect(struct filling *f, const char *sql, const char *wanted)
{
    const char *text = text_of(f, sql);
    if (strcmp(text, wanted) != 0)
        fail_msg("%s gives '%s', not '%s'", sql, text, wanted);
}

static void a_run_is_the_same_on_another_host(void **state)
{
    (void)state;
    struct filling a, b;
    begin(&a, "host-a.db", "a");
    begin(&b, "host-b.db", "b");
    const struct store_run x = open_run(&a, "eval", "{}"), y = open_run(&b, "eval", "{}");
    assert_string_equal(x.id, y.id);
    assert_string_not_equal(a.env, b.env); /* where it ran is still told apart */
    expect(&a, "SELECT label FROM machine", "a");
    end(&a);
    end(&b);
}

static void two_hosts_work_on_one_run(void **state)
{
    (void)state;
    struct filling f;
    struct store_attempt first, second;
    for (int i = 0; i < 2; i++) {
        begin(&f, "hosts.db", i ? "b" : "a");
        const struct store_run run = open_run(&f, "eval", "{}");
        must(store_attempt_open(f.store, run.id, f.env, i ? &second : &first));
        must(store_attempt_close(f.store, i ? &second : &first, "done", 0, NULL));
        end(&f);
    }
    begin(&f, "hosts.db", "c");
    expect(&f, "SELECT count(*) FROM run", "1");
    expect(&f,
           "SELECT group_concat(label) FROM (SELECT m.label FROM v_run_environment JOIN "
           "environment USING(env_id) JOIN machine m USING(machine_id) ORDER BY 1)",
           "a,b");
    end(&f);
}

static void campaigns_refer_to_a_run(void **state)
{
    (void)state;
    struct filling f;
    begin(&f, "campaigns.db", "a");
    const struct store_run one = open_run(&f, "eval", "{}");
    must(store_put_campaign(f.store, "restore", "{\"items\":1000}", f.campaign));
    const struct store_run other = open_run(&f, "eval", "{}");
    assert_string_equal(one.id, other.id);
    expect(&f, "SELECT count(*) FROM run", "1");
    expect(&f, "SELECT count(*) FROM campaign_run", "2");
    end(&f);
}

/* The same weights under another role, and a list with one problem more. */
static void no_answer_is_made_twice(void **state)
{
    (void)state;
    struct filling f;
    char gen[STORE_ID];
    bool some, got;
    begin(&f, "reuse.db", "one");
    const struct store_run first = open_run(&f, "eval", "{\"format\":\"x\"}");
    must(store_can_reuse(f.store, first.id, &some));
    assert_false(some);
    put_answer(&f, &first, "p0", true, gen);
    struct filling other = f;
    other.variant.role = "control";
    other.variant.label = "again";
    must(store_put_variant(f.store, &other.variant));
    must(store_put_benchmark(f.store, "demo", "mine", problems, 2, other.benchmark));
    const struct store_run second = open_run(&other, "eval", "{\"format\":\"x\"}");
    assert_string_not_equal(first.id, second.id);
    must(store_can_reuse(f.store, second.id, &some));
    assert_true(some);
    must(store_reuse_answer(f.store, second.id, "p0", 0, &got));
    assert_true(got);
    must(store_reuse_answer(f.store, second.id, "p1", 0, &got));
    assert_false(got);
    must(store_reuse_answer(f.store, second.id, "p0", 1, &got));
    assert_false(got);
    expect(&f,
           "SELECT count(*)||' '||count(DISTINCT g.output)||' '||sum(s.correct) FROM "
           "generation g JOIN score s USING(gen_id)",
           "2 1 2");
    /* Other settings or other weights: nothing to take. */
    const struct store_run third = open_run(&other, "eval", "{\"format\":\"y\"}");
    must(store_can_reuse(f.store, third.id, &some));
    assert_false(some);
    end(&f);
}

static void two_quantized_models_have_two_labels(void **state)
{
    (void)state;
    struct filling f;
    begin(&f, "labels.db", "one");
    const struct store_artifact weights = { "sha256:abcdef99", "weights", 1, NULL };
    struct store_variant second = f.variant, again;
    must(store_put_artifact(f.store, &weights));
    second.label = "quant";
    second.weights_id = weights.id;
    must(store_put_variant(f.store, &second));
    assert_string_equal(second.label, "quant-abcdef");
    again = f.variant;
    again.label = "quant";
    must(store_put_variant(f.store, &again));
    assert_string_equal(again.label, "quant");
    /* An arm of a loop is told by its campaign: it keeps the name. */
    second.label = "quant";
    second.role = "control";
    second.arm = "more-bits";
    must(store_put_variant(f.store, &second));
    assert_string_equal(second.label, "quant");
    end(&f);
}

static void numerics_make_another_run(void **state)
{
    (void)state;
    struct filling f;
    begin(&f, "numerics.db", "a");
    const struct store_run one = open_run(&f, "eval", "{}");
    must(store_run_sql(f.store,
                       "INSERT INTO environment(env_id,machine_id,device_id,driver_id,"
                       "numerics) SELECT 'other',machine_id,device_id,driver_id,'other' "
                       "FROM environment",
                       ""));
    snprintf(f.env, sizeof f.env, "other");
    const struct store_run other = open_run(&f, "eval", "{}");
    assert_string_not_equal(one.id, other.id);
    end(&f);
}

/* B5: the second run took the rows of the first, and its roll-outs with them. */
static void two_locate_runs_keep_their_faults(void **state)
{
    (void)state;
    struct filling f;
    char gen[STORE_ID];
    begin(&f, "locate.db", "a");
    const struct store_run eval = open_run(&f, "eval", "{}");
    put_answer(&f, &eval, "p0", false, gen);
    for (int samples = 0; samples < 3; samples += 2) {
        char config[32];
        snprintf(config, sizeof config, "{\"samples\":%d}", samples);
        const struct store_run locate = open_run(&f, "locate", config);
        const struct pipe_fault fault = {
            .locator = "rollout", .step = samples, .token = -1, .confidence = 0.5
        };
        const struct pipe_rollout rollout = { .step = 0, .output = "x", .n_gen = 1 };
        must(store_put_fault(f.store, locate.id, gen, &fault));
        must(store_put_rollout(f.store, locate.id, gen, "rollout", f.variant.id,
                               &rollout));
    }
    expect(&f,
           "SELECT group_concat(s) FROM (SELECT step_idx s FROM fault JOIN run "
           "USING(run_id) ORDER BY 1)",
           "0,2");
    expect(&f, "SELECT count(DISTINCT fault_id) FROM rollout", "2");
    expect(&f, "SELECT count(*) FROM v_locate_run", "1");
    end(&f);
}

static void the_run_with_more_locators_speaks(void **state)
{
    (void)state;
    struct filling f;
    char gen[STORE_ID];
    begin(&f, "speaks.db", "a");
    const struct store_run eval = open_run(&f, "eval", "{}");
    put_answer(&f, &eval, "p0", false, gen);
    const struct store_run full = open_run(&f, "locate", "{\"all\":1}");
    const struct store_run poor = open_run(&f, "locate", "{}");
    const struct pipe_fault check = { .locator = "check", .step = 1, .token = -1 };
    const struct pipe_fault verdict = { .locator = "verdict", .step = 1, .token = -1 };
    must(store_put_fault(f.store, full.id, gen, &check));
    must(store_put_fault(f.store, full.id, gen, &verdict));
    must(store_put_fault(f.store, poor.id, gen, &check));
    expect(&f, "SELECT run_id FROM v_locate_run", full.id);
    end(&f);
}

/* B6: category, step and source were dropped, fault_id was never filled. */
static void an_item_knows_its_fault(void **state)
{
    (void)state;
    struct filling f;
    char gen[STORE_ID], id[STORE_ID];
    begin(&f, "items.db", "a");
    const struct store_run eval = open_run(&f, "eval", "{}");
    put_answer(&f, &eval, "p0", false, gen);
    const struct store_run locate = open_run(&f, "locate", "{}");
    const struct pipe_fault fault = { .locator = "verdict", .step = 1, .token = -1 };
    must(store_put_fault(f.store, locate.id, gen, &fault));
    store_fault_id(locate.id, gen, "verdict", id);
    const struct pipe_item items[] = {
        { .problem_id = "p0",
          .prompt = "p",
          .chosen = "c",
          .category = PIPE_CAT_EXECUTION_COMPUTATION,
          .step = 1,
          .source = "gold-step",
          .fault_id = id },
        { .problem_id = "p1", .prompt = "p", .chosen = "c", .step = -1 },
    };
    const struct store_run train = open_run(&f, "train", "{}");
    must(store_put_items(f.store, train.id, "sft", "{}", items, 2));
    expect(&f,
           "SELECT i.category||' '||i.step_idx||' '||i.source FROM bullet_item i JOIN "
           "fault f USING(fault_id) JOIN generation g USING(gen_id) WHERE "
           "g.problem_id=i.problem_id",
           "execution/computation 1 gold-step");
    expect(&f,
           "SELECT count(*) FROM bullet_item WHERE fault_id IS NULL AND step_idx IS NULL",
           "1");
    end(&f);
}

static void the_run_s_grader_decides(void **state)
{
    (void)state;
    struct filling f;
    char gen[STORE_ID];
    begin(&f, "grader.db", "a");
    const struct store_run eval = open_run(&f, "eval", "{}");
    put_answer(&f, &eval, "p0", false, gen);
    const struct pipe_score other = { .grader = "aaa",
                                      .extract_ok = true,
                                      .correct = true };
    must(store_put_score(f.store, gen, &other));
    expect(&f, "SELECT grader||correct FROM v_verdict", "demo0");
    expect(&f, "SELECT k FROM v_accuracy", "0.0");
    end(&f);
}

static rt_status check_done(void *user, const struct store_done *d)
{
    ++*(int *)user;
    assert_true(d->correct == (strcmp(d->problem_id, "p1") == 0));
    return RT_OK;
}

static rt_status check_wrong(void *user, const struct store_wrong *w)
{
    ++*(int *)user;
    assert_string_equal(w->question, "one?");
    return RT_OK;
}

static rt_status check_fault(void *user, const struct store_fault *f)
{
    ++*(int *)user;
    assert_true(f->step == 1 && f->token == -1);
    assert_string_equal(f->review, "auto");
    return RT_OK;
}

static rt_status check_item(void *user, const struct store_item *i)
{
    ++*(int *)user;
    assert_true(i->item.step == 1 && i->item.category == PIPE_CAT_TRANSFER);
    assert_null(i->item.rejected);
    assert_non_null(i->item.fault_id);
    return RT_OK;
}

/* What a stage writes the next one reads. */
static void stages_read_what_was_written(void **state)
{
    (void)state;
    struct filling f;
    struct store_eval_run found;
    char gen[STORE_ID], id[STORE_ID], locate_id[STORE_ID];
    int done = 0, wrong = 0, faults = 0, items = 0;
    begin(&f, "stages.db", "a");
    const struct store_run eval = open_run(&f, "eval", "{\"format\":\"demo\"}");
    put_answer(&f, &eval, "p1", true, gen);
    put_answer(&f, &eval, "p0", false, gen);
    const struct store_run locate = open_run(&f, "locate", "{}");
    const struct pipe_fault fault = { .locator = "verdict", .step = 1, .token = -1 };
    must(store_put_fault(f.store, locate.id, gen, &fault));
    store_fault_id(locate.id, gen, "verdict", id);
    const struct pipe_item item = { .problem_id = "p0",
                                    .prompt = "p",
                                    .chosen = "c",
                                    .category = PIPE_CAT_TRANSFER,
                                    .step = 1,
                                    .fault_id = id };
    must(store_put_items(f.store, locate.id, "sft", "{}", &item, 1));
    must(store_find_eval_run(f.store, "quant", &found));
    assert_string_equal(found.run_id, eval.id);
    assert_string_equal(found.format, "demo");
    assert_string_equal(found.campaign_id, f.campaign);
    must(store_find_eval_run(f.store, "nothing", &found));
    assert_string_equal(found.run_id, "");
    must(store_find_locate_run(f.store, f.campaign, eval.id, locate_id));
    assert_string_equal(locate_id, locate.id);
    must(store_each_done(f.store, eval.id, check_done, &done));
    must(store_each_wrong(f.store, eval.id, check_wrong, &wrong));
    must(store_each_fault(f.store, locate.id, "verdict", check_fault, &faults));
    must(store_each_fault(f.store, locate.id, NULL, check_fault, &faults));
    must(store_each_item(f.store, locate.id, check_item, &items));
    assert_true(done == 2 && wrong == 1 && faults == 2 && items == 1);
    end(&f);
}

/* B14: INSERT OR IGNORE passed over such a row in silence. */
static void a_broken_rule_is_an_error(void **state)
{
    (void)state;
    struct filling f;
    begin(&f, "rules.db", "a");
    const struct store_artifact bad = { "sha256:x", "no such kind", 1, NULL };
    struct store_variant none = { .role = "quant",
                                  .weights_id = "sha256:w",
                                  .arch = "qwen2",
                                  .params = 1,
                                  .arm = "x" };
    assert_int_equal(store_put_artifact(f.store, &bad), RT_ERR_STORE);
    assert_non_null(strstr(ctx.message, "CHECK constraint failed"));
    assert_int_equal(store_put_variant(f.store, &none), RT_ERR_STORE);
    assert_non_null(strstr(ctx.message, "NOT NULL constraint failed"));
    end(&f);
}

static int set_up(void **state)
{
    (void)state;
    test_folder_init(&folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_folder_deinit(&folder);
    return unsetenv("FAULTLINE_HOST");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_the_same_on_another_host),
        cmocka_unit_test(two_hosts_work_on_one_run),
        cmocka_unit_test(campaigns_refer_to_a_run),
        cmocka_unit_test(no_answer_is_made_twice),
        cmocka_unit_test(two_quantized_models_have_two_labels),
        cmocka_unit_test(numerics_make_another_run),
        cmocka_unit_test(two_locate_runs_keep_their_faults),
        cmocka_unit_test(the_run_with_more_locators_speaks),
        cmocka_unit_test(an_item_knows_its_fault),
        cmocka_unit_test(the_run_s_grader_decides),
        cmocka_unit_test(stages_read_what_was_written),
        cmocka_unit_test(a_broken_rule_is_an_error),
    };
    return cmocka_run_group_tests_name("identity", tests, set_up, tear_down);
}
