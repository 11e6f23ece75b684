/* A prompt format with a solution text of its own, known to this file only, goes through
 * measuring, locating, curating and a training step: nothing else has to know it. */
#include "pipeline/prompt/prompt_format.h"
#include "pipeline/restore/restore.h"
#include "store/queries.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the format: the demo's model, read in another way ---- */

static const char EVIDENCE[] = "{\"rule\":\"own\"}";
static uint32_t checks, named; /* answers that the check saw, and named a step in */

/* A step is what ends with a line end or with '=': not how any other dialect cuts. */
static uint32_t split(const char *output, struct pipe_step *steps, uint32_t max)
{
    uint32_t n = 0, start = 0;
    const uint32_t size = (uint32_t)strlen(output);
    for (uint32_t i = 0; i < size; i++) {
        const bool ends = output[i] == '\n' || output[i] == '=' || i + 1 == size;
        if (!ends || (n + 1 == max && i + 1 < size))
            continue;
        steps[n++] = (struct pipe_step){ .char_start = start, .char_end = i + 1 };
        start = i + 1;
    }
    return n;
}

static void check(const struct pipe_dialect *self, const char *question,
                  const char *output, struct pipe_checked *out)
{
    (void)self;
    assert_true(question[0] != '\0');
    checks++;
    *out = (struct pipe_checked){ .step = -1, .evidence = "{}" };
    if (strlen(output) % 2) /* it abstains in the other half */
        return;
    named++;
    *out = (struct pipe_checked){ .step = 1, .category = PIPE_CAT_REASONING_LOGIC };
    snprintf(out->evidence, sizeof out->evidence, "%s", EVIDENCE);
}

static bool extract(const char *output, char *extracted, size_t size, const char **rule)
{
    const char *found = strstr(output, "#### ");
    *rule = found ? "own" : "no answer";
    snprintf(extracted, size, "%.*s", found ? (int)strcspn(found + 5, "\n") : 0,
             found ? found + 5 : "");
    return found != NULL;
}

static bool equal(const char *extracted, const char *answer)
{
    return strcmp(extracted, answer) == 0;
}

static const struct pipe_dialect dialect = {
    .name = "test-own", .segmenter = "test-own", .split = split, .check = check
};

static const struct pipe_prompt_format format = {
    .name = "test-own",
    .summary = "of test_dialect",
    .before = "",
    .after = "<|sep|>",
    .stop = "<|endoftext|>",
    .new_tokens_max = 100,
    .context = 240,
    .grader = "test-own",
    .dialect = &dialect,
    .extract = extract,
    .equal = equal,
};

/* ---- the loop ---- */

struct place {
    struct rt_ctx ctx;
    struct pipe_session session;
    struct restoring *restoring;
    char folder[64], demo[600], mine[700], validate[700], measure[700];
};

static void must(struct place *p, rt_status st)
{
    if (st != RT_OK)
        fail_msg("%s", p->ctx.message);
}

static int set_up(void **state)
{
    static struct place p;
    struct test_device vulkan;
    struct rt_device *dev = NULL;
    struct store *store = NULL;
    *state = &p;
    snprintf(p.folder, sizeof p.folder, "/tmp/faultline-dialect-XXXXXX");
    assert_non_null(mkdtemp(p.folder));
    assert_int_equal(chdir(p.folder), 0);
    snprintf(p.demo, sizeof p.demo, "%s/pipeline/demo", TEST_SOURCE_DIR);
    snprintf(p.mine, sizeof p.mine, "%s/mine.jsonl[0:96]", p.demo);
    snprintf(p.validate, sizeof p.validate, "%s/validate.jsonl[0:4]", p.demo);
    snprintf(p.measure, sizeof p.measure, "%s/measure.jsonl[0:4]", p.demo);
    assert_true(test_device_vulkan(&vulkan));
    const struct rt_device_options device = { .name = vulkan.device,
                                              .family = vulkan.family };
    must(&p, rt_device_create(&p.ctx, &device, &dev));
    must(&p, store_open(&p.ctx, "own.db", STORE_WRITE, &store));
    const struct pipe_session_options session = { .dev = dev,
                                                  .store = store,
                                                  .model = p.demo,
                                                  .format = &format,
                                                  .campaign = "test",
                                                  .plan = "{}",
                                                  .seed = 1 };
    must(&p, pipe_session_open(&p.session, &p.ctx, &session));
    const struct restore_options o = { .full = p.demo,
                                       .mine = p.mine,
                                       .validate = p.validate,
                                       .measure = p.measure,
                                       .work = "work",
                                       .method = "rtn",
                                       .bits = 3,
                                       .items = 8,
                                       .rank = 8,
                                       .adapter_bits = 16,
                                       .epochs = 1 };
    must(&p, restore_open(&p.session, &o, &p.restoring));
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    char command[128];
    restore_close(&p->restoring);
    pipe_session_close(&p->session);
    snprintf(command, sizeof command, "rm -rf '%s'", p->folder);
    return chdir("/") == 0 ? system(command) : 1;
}

struct count {
    uint32_t rows, own, with_fault, chosen;
};

static rt_status count_fault(void *user, const struct store_fault *f)
{
    struct count *c = user;
    c->rows++;
    c->own += strcmp(f->evidence, EVIDENCE) == 0 && f->step == 1 &&
              f->category == PIPE_CAT_REASONING_LOGIC;
    return RT_OK;
}

static rt_status count_item(void *user, const struct store_item *i)
{
    struct count *c = user;
    c->rows++;
    c->with_fault += i->item.fault_id != NULL;
    c->chosen += !i->item.excluded;
    return RT_OK;
}

static void faults_are_told_by_the_dialect(void **state)
{
    struct place *p = *state;
    struct count c = { 0 };
    char run[STORE_ID];
    must(p, restore_mine(p->restoring));
    must(p, store_find_locate_run(p->session.store, NULL, restore_mined_run(p->restoring),
                                  run));
    must(p, store_each_fault(p->session.store, run, "check", count_fault, &c));
    assert_true(c.rows > 0 && c.own == c.rows && c.rows == named && checks > named);
    c = (struct count){ 0 };
    must(p, store_each_fault(p->session.store, run, "gold", count_fault, &c));
    assert_int_equal(c.rows, 0); /* nobody judges what nobody knows */
}

static void a_locator_that_needs_more_says_so(void **state)
{
    struct place *p = *state;
    assert_int_equal(restore_injected(p->restoring, 3), RT_ERR_USAGE);
    assert_non_null(strstr(p->ctx.message, "'test-own'"));
}

static void items_are_steps_of_the_dialect(void **state)
{
    struct place *p = *state;
    char line[4096];
    uint32_t lines = 0;
    must(p, restore_curate(p->restoring, "dpo", "items.jsonl"));
    FILE *file = fopen("items.jsonl", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        const char *rejected = strstr(line, "\"rejected\": \"");
        assert_non_null(rejected);
        rejected += strlen("\"rejected\": \"");
        const size_t n = strcspn(rejected, "\""); /* a step ends as split says */
        assert_true(n > 0);
        assert_true(rejected[n - 1] == '=' || rejected[n - 1] == 'n' ||
                    strchr(rejected, '#'));
        lines++;
    }
    fclose(file);
    assert_true(lines > 0 && lines <= 8);
}

/* The controls of refining: as many items as the lost ones, none of them lost. */
static void kept_problems_are_as_many_and_none_is_lost(void **state)
{
    static const char compare[] =
        "test $(wc -l <lost.jsonl) -gt 0 && test $(wc -l <lost.jsonl) = "
        "$(wc -l <kept.jsonl) && test $(wc -l <all.jsonl) -gt "
        "$(wc -l <lost.jsonl) && ! cat lost.jsonl kept.jsonl | grep -o "
        "'\"problem_id\": *\"[^\"]*\"' | sort | uniq -d | grep .";
    struct place *p = *state;
    must(p, restore_curate(p->restoring, "refine", "lost.jsonl"));
    must(p, restore_curate(p->restoring, "refine-kept", "kept.jsonl"));
    must(p, restore_curate(p->restoring, "refine-1000", "all.jsonl"));
    assert_int_equal(system(compare), 0);
}

static void a_step_is_trained(void **state)
{
    struct place *p = *state;
    char folder[600], path[700];
    must(p, restore_train(p->restoring, "dpo", folder, sizeof folder));
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
    assert_int_equal(access(path, R_OK), 0);
}

static rt_status take_run(void *user, const struct store_row *row)
{
    snprintf(user, STORE_ID, "%s", store_row_text(row, 0));
    return RT_OK;
}

static void items_know_their_faults(void **state)
{
    struct place *p = *state;
    char run[STORE_ID] = "";
    struct count c = { 0 };
    must(p, store_query(p->session.store, "SELECT run_id FROM run WHERE kind='train'",
                        NULL, take_run, run));
    must(p, store_each_item(p->session.store, run, count_item, &c));
    assert_true(c.rows > 0 && c.with_fault == c.rows && c.chosen > 0);
}

int main(void)
{
    struct test_device device;
    if (!test_device_vulkan(&device)) {
        printf("skipped: no software Vulkan device is installed\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_are_told_by_the_dialect),
        cmocka_unit_test(a_locator_that_needs_more_says_so),
        cmocka_unit_test(items_are_steps_of_the_dialect),
        cmocka_unit_test(kept_problems_are_as_many_and_none_is_lost),
        cmocka_unit_test(a_step_is_trained),
        cmocka_unit_test(items_know_their_faults),
    };
    return cmocka_run_group_tests_name("a format of its own", tests, set_up, tear_down);
}
