/* A call of the device fails under `eval` as it is built: the program ends with a documented
 * exit code and one line that says why, its results file opens, and the same command, run
 * again, completes the rows that a run without a fault gives. `quantize --select` keeps its
 * finished candidates. The faults come from a Vulkan
 * layer (tests/support/layer), the program has no part in them. */
#include "store/store.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBLEMS = 6, OUT_OF_HOST_MEMORY = 1, NO_DEVICE = 3, OUT_OF_DEVICE = 8 };

static const struct fault {
    const char *kind; /* of the layer */
    int code;         /* `faultline help exit-codes` */
} faults[] = {
    { "open", NO_DEVICE },         { "allocate", OUT_OF_DEVICE },
    { "map", OUT_OF_HOST_MEMORY }, { "pipeline", OUT_OF_DEVICE },
    { "submit", OUT_OF_DEVICE },   { "wait", OUT_OF_HOST_MEMORY },
    { "lost", OUT_OF_DEVICE },
};

/* A command with a call that fails (0: none). */
static void run_args(const char *args, const char *kind, unsigned long call,
                     struct test_program *p)
{
    char variables[3000];
    snprintf(variables, sizeof variables,
             "VK_LAYER_PATH=%s/layer VK_INSTANCE_LAYERS=VK_LAYER_FAULTLINE_faults "
             "FAULT_LAYER_KIND=%s FAULT_LAYER_CALL=%lu FAULT_LAYER_COUNTS=counts",
             TEST_BUILD_DIR, kind, call);
    const struct test_run r = { .folder = test_scratch.path,
                                .args = args,
                                .variables = variables };
    test_program_run(&r, p);
}

/* The evaluation into a store of the folder. */
static void run(const char *store, const char *kind, unsigned long call,
                struct test_program *p)
{
    char args[3000];
    snprintf(args, sizeof args,
             "eval --device llvmpipe --tune off --progress none --model "
             "%s/pipeline/demo --problems %s/pipeline/demo/measure.jsonl --limit %d "
             "--store %s",
             TEST_SOURCE_DIR, TEST_SOURCE_DIR, PROBLEMS, store);
    run_args(args, kind, call, p);
}

/* Calls of a kind in the last run. */
static unsigned long calls_of(const char *kind)
{
    char line[64];
    unsigned long calls = 0;
    size_t size;
    char *text = test_file_read(test_folder_file(&test_scratch, "counts"), &size);
    snprintf(line, sizeof line, "%s ", kind);
    const char *at = strstr(text, line);
    if (at)
        calls = strtoul(at + strlen(line), NULL, 10);
    free(text);
    return calls;
}

static rt_status append(void *user, const struct store_row *row)
{
    fprintf(user, "%s\n", store_row_text(row, 0));
    return RT_OK;
}

/* Answers with their tokens and verdicts: all but times. Free it. */
static char *rows_of(const char *store)
{
    static const char sql[] =
        "SELECT g.gen_id||g.problem_id||g.output||g.finish||g.n_gen||hex(t.ids)||"
        "hex(t.logprob)||s.extracted||s.correct FROM generation g JOIN token_trace t "
        "USING(gen_id) JOIN score s USING(gen_id) ORDER BY g.problem_id";
    struct rt_ctx ctx = { 0 };
    struct store *s = NULL;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (store_open(&ctx, test_folder_file(&test_scratch, store), STORE_READ, &s) !=
            RT_OK ||
        store_query(s, sql, NULL, append, out) != RT_OK)
        fail_msg("%s: %s", store, ctx.message);
    store_close(&s);
    fclose(out);
    return text;
}

static bool there(const char *name)
{
    FILE *file = fopen(test_folder_file(&test_scratch, name), "rb");
    if (file)
        fclose(file);
    return file != NULL;
}

/* Whether the program may go on without what it did not get: out of device memory, it asks
 * fewer questions at once; and a cache that cannot grow stays as it is. */
static bool may_go_on(const struct fault *f)
{
    return f->code == OUT_OF_DEVICE || strcmp(f->kind, "map") == 0;
}

/* True where it went on. */
static bool fail_at(const struct fault *f, unsigned long call, const char *whole)
{
    struct test_program p;
    char store[64];
    snprintf(store, sizeof store, "%s-%lu.db", f->kind, call);
    run(store, f->kind, call, &p);
    const bool went_on = p.code == 0 && may_go_on(f);
    if (!went_on &&
        (p.code != f->code || !strstr(p.err, "llvmpipe") || strstr(p.err, "bug")))
        fail_msg("%s, call %lu: exit code %d, not %d; it says: %s%s", f->kind, call,
                 p.code, f->code, p.out, p.err);
    test_program_deinit(&p);
    if (there(store))
        free(rows_of(store));
    if (!went_on) {
        run(store, "none", 0, &p);
        assert_int_equal(p.code, 0);
        test_program_deinit(&p);
    }
    char *rows = rows_of(store);
    assert_string_equal(rows, whole);
    free(rows);
    return went_on;
}

/* Whether llvmpipe, for which exit codes and messages are stated, is among the devices. */
static bool has_llvmpipe(void)
{
    struct test_device devices[16];
    const uint32_t count = test_devices(devices, RT_COUNT(devices));
    for (uint32_t i = 0; i < count; i++)
        if (strstr(devices[i].device, "llvmpipe"))
            return true;
    return false;
}

/* The first call of a kind, one in the middle, and the last. */
static void a_fault_loses_nothing(void **state)
{
    (void)state;
    struct test_program p;
    unsigned long calls[RT_COUNT(faults)];
    if (!has_llvmpipe())
        skip();
    run("whole.db", "none", 0, &p);
    if (p.code != 0)
        fail_msg("eval: exit code %d: %s", p.code, p.err);
    test_program_deinit(&p);
    char *whole = rows_of("whole.db");
    assert_true(strlen(whole) > 100);
    for (size_t i = 0; i < RT_COUNT(faults); i++)
        calls[i] = calls_of(faults[i].kind);
    for (size_t i = 0; i < RT_COUNT(faults); i++) {
        const uint64_t start = rt_time_ns();
        const unsigned long n = calls[i], at[] = { 1, (n + 1) / 2, n };
        uint32_t tried = 0, went_on = 0;
        assert_true(n > 0);
        for (size_t k = 0; k < RT_COUNT(at); k++)
            if (k == 0 || at[k] > at[k - 1]) {
                went_on += fail_at(&faults[i], at[k], whole);
                tried++;
            }
        printf("    %-8s fails at %u of %3lu calls, goes on at %u, %.2f s\n",
               faults[i].kind, tried, n, went_on, (double)(rt_time_ns() - start) * 1e-9);
        fflush(stdout);
    }
    free(whole);
}

/* ---- candidates ---- */

static void quantize(const char *out, const char *kind, unsigned long call,
                     struct test_program *p)
{
    char args[3000];
    snprintf(args, sizeof args,
             "quantize --device llvmpipe --tune off --progress none --store q.db --model "
             "%s/pipeline/demo --bits 2 --group 32 --asym --method gptq --calib "
             "%s/pipeline/demo/calibrate.jsonl[0:8] --out %s",
             TEST_SOURCE_DIR, TEST_SOURCE_DIR, out);
    run_args(args, kind, call, p);
}

/* The device ends at three quarters of its calls: then there is a finished candidate, which
 * stays, and the same command makes the others. */
static void a_fault_keeps_finished_candidates(void **state)
{
    (void)state;
    static const char *const kinds[] = { "lost", "submit", "wait" };
    struct test_program p;
    unsigned long calls[RT_COUNT(kinds)];
    if (!has_llvmpipe())
        skip();
    quantize("whole", "none", 0, &p);
    if (p.code != 0)
        fail_msg("quantize: exit code %d: %s", p.code, p.err);
    test_program_deinit(&p);
    for (size_t i = 0; i < RT_COUNT(kinds); i++)
        calls[i] = calls_of(kinds[i]);
    for (size_t i = 0; i < RT_COUNT(kinds); i++) {
        char state_file[64], weights[64];
        snprintf(state_file, sizeof state_file, "%s.try-1.json", kinds[i]);
        snprintf(weights, sizeof weights, "%s/model.safetensors", kinds[i]);
        quantize(kinds[i], kinds[i], calls[i] * 3 / 4, &p);
        if (p.code == 0 || !strstr(p.err, "candidates are kept") || !there(state_file))
            fail_msg("%s, call %lu: exit code %d; it says: %s", kinds[i],
                     calls[i] * 3 / 4, p.code, p.err);
        assert_false(there(weights));
        test_program_deinit(&p);
        quantize(kinds[i], "none", 0, &p);
        if (p.code != 0 || !strstr(p.err, "made before this command was stopped"))
            fail_msg("again: exit code %d; it says: %s", p.code, p.err);
        test_program_deinit(&p);
        assert_true(
            test_file_same(test_folder_file(&test_scratch, "whole/model.safetensors"),
                           test_folder_file(&test_scratch, weights)));
        assert_false(there(state_file));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_fault_loses_nothing),
                                        cmocka_unit_test(
                                            a_fault_keeps_finished_candidates) };
    return cmocka_run_group_tests_name("device faults", tests, test_scratch_set_up,
                                       test_scratch_tear_down);
}
