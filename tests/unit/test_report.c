/* The page: the same rows give the same bytes; what others wrote cannot become markup;
 * half-filled stores give a sensible page; the numbers in words are those of the rows; the
 * size has a bound that is told; time grows with the rows, not with their square. */
#include "store/report/report.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

/* Not UTF-8, a direction override, markup, both quotes. */
#define HOSTILE                                                                       \
    "</style><script>alert(1)</script>\" onload='x' &amp; \xff\xc3\x28 \xe2\x80\xae " \
    "\x1b[31m"

static struct test_folder folder;
static struct rt_ctx ctx;

/* A store that is being filled. */
struct filling {
    struct store *store;
    char campaign[STORE_ID], benchmark[STORE_ID], env[STORE_ID];
};

static void must(rt_status st)
{
    if (st != RT_OK)
        fail_msg("%s", ctx.message);
}

static void begin(struct filling *f, const char *name)
{
    struct rt_device *dev = NULL;
    const struct rt_device_options options = { .name = "ref" };
    must(store_open(&ctx, test_folder_file(&folder, name), STORE_WRITE, &f->store));
    must(rt_device_create(&ctx, &options, &dev));
    must(store_begin(f->store));
    must(store_put_environment(f->store, dev, f->env));
    rt_device_destroy(&dev);
    must(store_put_campaign(f->store, "restore",
                            "{\"full\":\""
                            "a b's\"}",
                            f->campaign));
}

/* 98 bytes, then a character of four: the summary's limit of 100 falls within it. */
#define QUESTION_98                                                                    \
    "how many? how many? how many? how many? how many? how many? how many? how many? " \
    "how many? how man"
#define QUESTION QUESTION_98 "\xf0\x9f\x8d\x8e are there?"

/* `n` problems; those named by `hostile` have text that tries to be markup. */
static void put_problems(struct filling *f, uint32_t n, bool hostile)
{
    struct pipe_problem *p = calloc(n, sizeof *p);
    char(*ids)[128] = calloc(n, sizeof *ids);
    assert_true(p && ids);
    for (uint32_t i = 0; i < n; i++) {
        snprintf(ids[i], sizeof ids[i], "p%05u%s", i, hostile ? HOSTILE : "");
        p[i] = (struct pipe_problem){ .id = ids[i],
                                      .question = hostile ? HOSTILE : QUESTION,
                                      .answer = hostile ? HOSTILE : "7",
                                      .subject = hostile ? HOSTILE : "add" };
    }
    must(store_put_benchmark(f->store, hostile ? HOSTILE : "demo", "measure", p, n,
                             f->benchmark));
    free(p);
    free(ids);
}

static void put_run(struct filling *f, const char *kind, const char *role,
                    const char *label, const char *config, struct store_run *run)
{
    struct store_variant v = { .label = label,
                               .role = role,
                               .arm = label,
                               .weights_id = "sha256:w",
                               .arch = "qwen2",
                               .params = 1,
                               .quant = strcmp(role, "full") == 0 ? NULL : "rtn",
                               .bits_per_weight = strcmp(role, "full") == 0 ? 32 : 3.25 };
    const struct store_artifact weights = { "sha256:w", "weights", 1, HOSTILE };
    must(store_put_artifact(f->store, &weights));
    must(store_put_variant(f->store, &v));
    *run = (struct store_run){ .campaign_id = f->campaign,
                               .kind = kind,
                               .variant_id = v.id,
                               .benchmark_id = f->benchmark,
                               .env_id = f->env,
                               .config = config };
    must(store_run_open(f->store, run));
}

/* `n` answers; right[i % length] says whether the i-th is right. */
static void put_answers(struct filling *f, const struct store_run *run, uint32_t n,
                        const char *right, const char *output, bool hostile)
{
    static const uint32_t ids[] = { 4, 5 }, others[] = { 4, 6 };
    static const float numbers[] = { -0.5f, 0.25f };
    const struct pipe_step steps[] = { { 0, 2, 0, 1 }, { 2, 8, 1, 2 } };
    for (uint32_t i = 0; i < n; i++) {
        char id[128];
        const bool good = right[i % strlen(right)] == '1';
        snprintf(id, sizeof id, "p%05u%s", i, hostile ? HOSTILE : "");
        const struct pipe_generation g = { .problem_id = id,
                                           .prompt_hash = "h",
                                           .output = output,
                                           .n_gen = 2,
                                           .segmenter = "line",
                                           .trace = { 2, good ? ids : others, numbers,
                                                      numbers, ids } };
        const struct pipe_score score = { .grader = "demo",
                                          .extracted = hostile ? HOSTILE : "7",
                                          .extract_ok = true,
                                          .correct = good };
        must(store_put_generation(f->store, run->id, &g, &score, steps, 2));
    }
}

/* The gain of a repair comes from answers that end otherwise, that of a control does not. */
static void put_damage(struct filling *f, const char *run, bool repair)
{
    const struct {
        const char *name;
        double value;
    } numbers[] = { { "length_ratio", 1.5 },
                    { "tokens_each", 23.5 },
                    { "loops", 1 },
                    { "no_answer", 1 },
                    { "went_on", 0 },
                    { "early_end", 0 },
                    { "in_form", 9 },
                    { "gain", 2 },
                    { "gain_ended", repair ? 1 : 2 },
                    { "gain_by_ending", repair } };
    for (size_t i = 0; i < RT_COUNT(numbers); i++)
        must(store_put_metric(f->store, run, numbers[i].name, 0, numbers[i].value));
}

static void put_arm(struct filling *f, const char *role, const char *label, uint32_t n,
                    const char *right)
{
    struct store_run run;
    put_run(f, "eval", role, label, "{}", &run);
    put_answers(f, &run, n, right, "a\n#### 7", false);
    if (strcmp(role, "restored") == 0 || strcmp(role, "control") == 0)
        put_damage(f, run.id, strcmp(role, "restored") == 0);
}

/* Faults of the wrong answers of a run: the second step, or none found for every third. */
static void put_faults(struct filling *f, const char *label, uint32_t n,
                       const char *right, bool hostile)
{
    struct store_run eval, locate;
    put_run(f, "eval", "quant", label, "{}", &eval);
    put_run(f, "locate", "quant", label, "{}", &locate);
    for (uint32_t i = 0, k = 0; i < n; i++) {
        char id[128], gen[STORE_ID];
        if (right[i % strlen(right)] == '1')
            continue;
        snprintf(id, sizeof id, "p%05u%s", i, hostile ? HOSTILE : "");
        store_gen_id(eval.id, id, 0, gen);
        const struct pipe_fault fault = { .locator = "verdict",
                                          .step = k++ % 3 == 2 ? -1 : 1,
                                          .token = -1,
                                          .category = PIPE_CAT_EXECUTION_COMPUTATION,
                                          .confidence = 0.9,
                                          .evidence = "{\"by\":\"<script>\"}" };
        must(store_put_fault(f->store, locate.id, gen, &fault));
    }
}

/* Ends the filling, writes the page and reads it; free() it. */
static char *page(struct filling *f, size_t *size)
{
    const char *path = test_folder_file(&folder, "report.html");
    must(store_commit(f->store));
    must(report_write(f->store, &ctx, NULL, path));
    store_close(&f->store);
    return test_file_read(path, size);
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("the page does not say \"%s\"", part);
}

static void lacks(const char *text, const char *part)
{
    const char *at = strstr(text, part);
    if (at)
        fail_msg("the page holds \"%s\": ...%.80s", part, at);
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;
    while ((text = strstr(text, part)) != NULL) {
        n++;
        text += strlen(part);
    }
    return n;
}

/* One style, one script, nothing from elsewhere, UTF-8 all through, tables closed. */
static void check_page(const char *text, size_t size)
{
    assert_int_equal(strlen(text), size); /* no zero byte */
    assert_int_equal(count(text, "<script"), 1);
    assert_int_equal(count(text, "<style"), 1);
    assert_int_equal(count(text, "</style>"), 1);
    lacks(text, "\x1b");
    assert_int_equal(count(text, "<table"), count(text, "</table>"));
    assert_int_equal(count(text, "<div"), count(text, "</div>"));
    assert_int_equal(count(text, "<details"), count(text, "</details>"));
    assert_int_equal(count(text, "<svg"), count(text, "</svg>"));
    lacks(text, " style=");
    lacks(text, " src=");
    lacks(text, "http:");
    lacks(text, "https:");
    lacks(text, "(nan");
    lacks(text, "\"nan");
    lacks(text, "\xe2\x80\xae");
    has(text, "default-src 'none'; style-src 'sha256-");
    has(text, "</script></body></html>\n");
    for (size_t i = 0; i < size;) {
        utf8proc_int32_t c;
        const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                                    (utf8proc_ssize_t)(size - i), &c);
        if (n <= 0)
            fail_msg("byte %zu of the page is not UTF-8", i);
        i += (size_t)n;
    }
}

/* 10 problems: full solves 8, quant 5 of these, default 7, control 5. */
static const char full_right[] = "1111111100", quant_right[] = "1111100000",
                  arm_right[] = "1111011010", control_right[] = "1111100000";

static void fill(struct filling *f, const char *name)
{
    struct store_run train;
    begin(f, name);
    put_problems(f, 12, false); /* the measured ones are a part of an older set */
    put_problems(f, 10, false);
    put_arm(f, "full", "full", 10, full_right);
    put_arm(f, "quant", "quant", 10, quant_right);
    put_arm(f, "restored", "default", 10, arm_right);
    put_arm(f, "control", "more-bits", 10, control_right);
    put_faults(f, "quant", 10, quant_right, false);
    put_run(f, "train", "quant", "quant", "{\"recipe\":\"default\",\"lr\":0.5}", &train);
    for (int k = 1; k <= 5; k++)
        must(store_put_metric(f->store, train.id, "loss", k, 1.0 / k));
}

static void test_numbers(void **state)
{
    (void)state;
    struct filling f;
    size_t size;
    fill(&f, "numbers.db");
    char *text = page(&f, &size);
    check_page(text, size);
    has(text, "80.0\xc2\xa0%</b>");
    has(text, "8 of 10 right");
    has(text, "\xe2\x88\x92"
              "30.0\xc2\xa0points"); /* quantized less full */
    has(text,
        "The repair <em>default</em> (70.0\xc2\xa0% at 3.25 bits per weight) is not "
        "shown to be above the <a href=\"#arms\">line of plain models</a> at its bits "
        "(50.0\xc2\xa0%)</strong>: +20.0\xc2\xa0points");
    has(text,
        "No plain model measured does as well. No repair measured here is shown to be "
        "above its line.");
    has(text, "3 problems lost, 0 gained");
    has(text, "3 fixed, 1 broken"); /* 5, 6, 8 right again or new; 4 broken */
    has(text, "2 of 3 lost problems</a> are right again");
    has(text, "It is not shown to differ from</strong> <em>more-bits</em>");
    has(text, "nothing could leak");
    has(text, "<a href=\"#pattern=101\">2</a>");
    has(text,
        "id=\"p=p00005\" data-pattern=\"101\" data-category=\"execution/computation\" "
        "data-step=\"2\"");
    has(text, "first faulty step: 2");
    has(text, QUESTION_98 "\xe2\x80\xa6</summary>"); /* cut between characters */
    has(text,
        "wrong, but no fault found</td><td class=\"n\">0</td><td class=\"n\">1</td>");
    has(text, "5 of 5 problems with a changed verdict are shown");
    has(text, "training loss");
    has(text, ">default \xe2\x80\xa0</th><td class=\"n\">1.50</td><td "
              "class=\"n\">23.5</td>"); /* changes when answers stop */
    has(text, ">more-bits</th><td class=\"n\">1.50</td>");
    has(text, "the repair changes when answers stop");
    has(text,
        "--full &#39;a b&#39;\\&#39;&#39;s&#39;"); /* a command that a shell reads */
    free(text);
}

static void test_same_bytes(void **state)
{
    (void)state;
    struct filling f;
    size_t size, size_again;
    fill(&f, "same.db");
    char *text = page(&f, &size);
    must(store_open(&ctx, test_folder_file(&folder, "same.db"), STORE_READ, &f.store));
    const char *path = test_folder_file(&folder, "again.html");
    must(report_write(f.store, &ctx, f.campaign, path));
    store_close(&f.store);
    char *again = test_file_read(path, &size_again);
    assert_int_equal(size, size_again);
    assert_memory_equal(text, again, size);
    free(text);
    free(again);
}

static void test_hostile(void **state)
{
    (void)state;
    struct filling f;
    struct store_run run;
    size_t size;
    begin(&f, "hostile.db");
    put_problems(&f, 10, true);
    put_run(&f, "eval", "full", HOSTILE, "{}", &run);
    put_answers(&f, &run, 10, full_right, HOSTILE, true);
    put_run(&f, "eval", "quant", HOSTILE "q", "{}", &run);
    put_answers(&f, &run, 10, quant_right, HOSTILE "q", true);
    put_run(&f, "eval", "restored", HOSTILE "r", "{}", &run);
    put_answers(&f, &run, 10, arm_right, "", true);
    put_run(&f, "eval", "control", HOSTILE "c", "{}", &run);
    put_answers(&f, &run, 10, arm_right, HOSTILE, true);
    put_faults(&f, HOSTILE "q", 10, quant_right, true);
    put_run(&f, "train", "quant", HOSTILE "q", "{\"recipe\":\"<script>'\\\"\"}", &run);
    must(store_put_metric(f.store, run.id, "loss", 1, 1e308));
    must(store_put_metric(f.store, run.id, "loss", 2, -1e308));
    char *text = page(&f, &size);
    check_page(text, size);
    has(text, "&lt;/style&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot; "
              "onload=&#39;x&#39; &amp;amp; "
              "\xef\xbf\xbd\xef\xbf\xbd(");
    has(text, "href=\"#p=p00005%3C%2Fstyle%3E");
    free(text);
}

/* Each state that a run can be left in. */
static void test_half_filled(void **state)
{
    (void)state;
    struct filling f;
    size_t size;
    char *text;
    begin(&f, "none.db");
    text = page(&f, &size);
    check_page(text, size);
    has(text, "nothing to compare");
    has(text, "Nothing has been trained");
    free(text);

    begin(&f, "full.db");
    put_problems(&f, 10, false);
    put_arm(&f, "full", "full", 4, full_right);
    text = page(&f, &size);
    check_page(text, size);
    has(text, "4 of 4 right");
    has(text, "nothing to compare");
    free(text);

    begin(&f, "quant.db");
    put_problems(&f, 10, false);
    put_arm(&f, "full", "full", 10, full_right);
    put_arm(&f, "quant", "quant", 7, quant_right);
    put_arm(&f, "restored", "default", 3, arm_right);
    text = page(&f, &size);
    check_page(text, size);
    has(text, "the 7 that both answered are compared");
    has(text, "<em>default</em> has answered 3 problems, not all of the 7");
    has(text, "No restored model has answered all of these problems yet");
    has(text, "No fault has been located");
    has(text, "lost by quantizing");
    lacks(text, "#pattern=101");
    free(text);

    begin(&f, "zero.db"); /* runs that were opened and answered nothing */
    put_problems(&f, 10, false);
    put_arm(&f, "full", "full", 0, full_right);
    put_arm(&f, "quant", "quant", 0, quant_right);
    text = page(&f, &size);
    check_page(text, size);
    has(text, "nothing to compare");
    free(text);

    begin(&f, "same-verdicts.db"); /* nothing lost, nothing to recover */
    put_problems(&f, 10, false);
    put_arm(&f, "full", "full", 10, "1");
    put_arm(&f, "quant", "quant", 10, "1");
    put_arm(&f, "restored", "default", 10, "1");
    text = page(&f, &size);
    check_page(text, size);
    has(text, "There is no evidence of a change");
    has(text, "cannot be stated");
    free(text);
}

static void test_leak(void **state)
{
    (void)state;
    struct filling f;
    struct store_run train;
    size_t size;
    fill(&f, "leak.db");
    const struct pipe_item items[] = {
        { .problem_id = "p00001", .prompt = "p", .chosen = "c" },
        { .problem_id = "p00002", .prompt = "p", .chosen = "c", .excluded = "too long" },
    };
    const struct pipe_item more[] = {
        { .problem_id = "p00003", .prompt = "p", .chosen = "c" },
        { .problem_id = "p00004", .prompt = "p", .chosen = "c" },
    };
    put_run(&f, "train", "quant", "quant", "{\"recipe\":\"more-bits\"}", &train);
    must(store_put_items(f.store, train.id, "sft", "{}", items, 2));
    put_run(&f, "train", "quant", "quant", "{\"recipe\":\"default\"}", &train);
    must(store_put_items(f.store, train.id, "sft", "{}", more, 2));
    char *text = page(&f, &size);
    check_page(text, size);
    has(text, "Leak: these results are in-sample.");
    has(text, "Of 3 training items, 3 are of a measured problem");
    has(text, "too long (1)");
    has(text, "<em>more-bits</em> was trained on 1 items, the main arm on 2");
    free(text);
}

/* B7: the items of two train runs of one recipe added up, whichever adapter was measured. */
static void test_items_once(void **state)
{
    (void)state;
    struct filling f;
    struct store_run first, second, run;
    size_t size;
    fill(&f, "once.db");
    const struct pipe_item items[] = {
        { .problem_id = "p00001", .prompt = "p", .chosen = "c" },
        { .problem_id = "p00002", .prompt = "p", .chosen = "c" },
        { .problem_id = "p00003", .prompt = "p", .chosen = "c" },
    };
    put_run(&f, "train", "quant", "quant", "{\"recipe\":\"more-bits\"}", &run);
    must(store_put_items(f.store, run.id, "sft", "{}", items, 1));
    put_run(&f, "train", "quant", "quant", "{\"recipe\":\"default\",\"lr\":1}", &first);
    must(store_put_items(f.store, first.id, "sft", "{}", items, 3));
    put_run(&f, "train", "quant", "quant", "{\"recipe\":\"default\",\"lr\":2}", &second);
    must(store_put_items(f.store, second.id, "sft", "{}", items, 3));
    char *text = page(&f, &size);
    check_page(text, size);
    has(text, "<em>more-bits</em> was trained on 1 items, the main arm on 3");
    free(text);
}

static void test_size(void **state)
{
    (void)state;
    struct filling f;
    struct store_run run;
    size_t size;
    char *longest = calloc(1, 60001);
    assert_non_null(longest);
    memset(longest, '<', 60000); /* 4 bytes each on the page */
    begin(&f, "size.db");
    put_problems(&f, 200, false);
    put_arm(&f, "full", "full", 200, "1");
    put_run(&f, "eval", "quant", "quant", "{}", &run);
    put_answers(&f, &run, 200, "0", longest, false);
    char *text = page(&f, &size);
    check_page(text, size);
    assert_in_range(size, 1 << 20, 8 << 20);
    has(text, "40000 more bytes are left out");
    has(text, "are left out, because the page ends at 8 MB");
    free(text);
    free(longest);
}

static void test_refused_stores(void **state)
{
    (void)state;
    struct filling f;
    struct store *empty = NULL;
    const char *path = test_folder_file(&folder, "refused.html");
    must(store_open(&ctx, test_folder_file(&folder, "empty.db"), STORE_WRITE, &empty));
    test_refused(&ctx, report_write(empty, &ctx, NULL, path), RT_ERR_USAGE,
                 "holds no campaign yet", NULL);
    store_close(&empty);
    begin(&f, "other.db");
    must(store_commit(f.store));
    test_refused(&ctx, report_write(f.store, &ctx, "sha256:x", path), RT_ERR_USAGE,
                 "no campaign 'sha256:x'", NULL);
    store_close(&f.store);
    FILE *file = fopen(path, "rb");
    assert_null(file); /* nothing is left of a refused one */
}

/* Of this process: what else the machine does makes no page slower. */
static double cpu_seconds(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Seconds of the fastest of three pages of `n` problems by 12 arms. */
static double seconds(uint32_t n, size_t *size)
{
    struct filling f;
    char name[32], label[16];
    double best = 1e9;
    snprintf(name, sizeof name, "time-%u.db", n);
    begin(&f, name);
    put_problems(&f, n, false);
    put_arm(&f, "full", "full", n, full_right);
    put_arm(&f, "quant", "quant", n, quant_right);
    put_faults(&f, "quant", n, quant_right, false);
    for (int a = 2; a < 12; a++) {
        snprintf(label, sizeof label, "arm%d", a);
        put_arm(&f, a < 6 ? "restored" : "control", label, n,
                a % 2 ? arm_right : "10110");
    }
    must(store_commit(f.store));
    const char *path = test_folder_file(&folder, "time.html");
    for (int i = 0; i < 3; i++) {
        const double start = cpu_seconds();
        must(report_write(f.store, &ctx, NULL, path));
        const double took = cpu_seconds() - start;
        best = took < best ? took : best;
    }
    store_close(&f.store);
    free(test_file_read(path, size));
    return best;
}

static void test_time(void **state)
{
    (void)state;
    size_t small, large;
    const double t500 = seconds(500, &small), t2000 = seconds(2000, &large);
    print_message("12 arms: 500 problems %.3f s, %zu bytes; 2000 problems %.3f s, %zu "
                  "bytes\n",
                  t500, small, t2000, large);
    if (t2000 > 10 * t500 + 0.1) /* four times the rows; their square is sixteen times */
        fail_msg("the time grows faster than the rows");
}

static int setup(void **state)
{
    (void)state;
    test_folder_init(&folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_folder_deinit(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {

        cmocka_unit_test(test_numbers), cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_half_filled),
        cmocka_unit_test(test_leak),    cmocka_unit_test(test_items_once),
        cmocka_unit_test(test_size),    cmocka_unit_test(test_refused_stores),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
