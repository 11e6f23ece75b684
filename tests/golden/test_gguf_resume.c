/* A calibrated GGUF file whose making ends early continues: layers that are finished are
 * taken over, and file and importance are those of a run that was not stopped; another work
 * starts anew; a process that works there is not disturbed. */
#include "runtime/base/os.h"
#include "runtime/quant/gguf_file.h"
#include "tests/support/devices.h"
#include "tests/support/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MATRICES = TEST_TINY_MATRICES, LAYERS = TEST_TINY_LAYERS, TABLES = 1 };

struct ground {
    struct test_tiny at;
    uint32_t left;          /* matrices before the work is stopped */
    uint32_t passes, heard; /* of the last run */
    struct quant_importance seen;
    bool plain; /* blocks from their extremes, then GPTQ */
};

static rt_status after_matrix(void *user, const struct quant_gguf_fared *fared)
{
    struct ground *g = user;
    assert_true(fared->error >= 0 && fared->error <= fared->rtn);
    assert_true(fared->error < fared->rtn || !fared->is_rounded);
    g->heard++;
    return g->left-- == 0 ? RT_ERR_INTERRUPTED : RT_OK;
}

static rt_status after_pass(void *user, uint64_t done, uint64_t total)
{
    struct ground *g = user;
    assert_true(done <= total);
    g->passes++;
    return RT_OK;
}

static rt_status run(struct ground *g, const char *to, const char *mix, double damping,
                     uint32_t matrices)
{
    struct quant_gguf_report report;
    quant_importance_deinit(&g->seen);
    const struct quant_gguf_calibration c = { .model = g->at.model,
                                              .sequences = &g->at.sequence,
                                              .count = 1,
                                              .damping = damping,
                                              .seen = &g->seen,
                                              .pass = after_pass };
    const struct quant_gguf_options o = { .mix = quant_gguf_mix_find(mix),
                                          .calibration = &c,
                                          .importance_from = "a text",
                                          .plain = g->plain,
                                          .matrix = after_matrix,
                                          .user = g };
    g->left = matrices;
    g->passes = g->heard = 0;
    const rt_status st = quant_gguf_file(&g->at.ctx, g->at.from, to, &o, &report);
    if (st == RT_OK) {
        assert_int_equal(report.matrices, LAYERS * MATRICES + TABLES);
        assert_int_equal(report.not_better, g->plain ? TABLES : 0);
    }
    return st;
}

static void init(struct ground *g)
{
    *g = (struct ground){ 0 };
    test_tiny_init(&g->at, true);
}

static void deinit(struct ground *g)
{
    quant_importance_deinit(&g->seen);
    test_tiny_deinit(&g->at);
}

static bool there(const char *to, const char *end)
{
    char path[1200];
    snprintf(path, sizeof path, "%s%s", to, end);
    return os_exists(path);
}

static void expect_same_importance(const struct quant_importance *a,
                                   const struct quant_importance *b)
{
    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct quant_importance_row *x = &a->rows[i], *y = &b->rows[i];
        assert_string_equal(x->name, y->name);
        assert_true(x->count == y->count && x->columns == y->columns);
        assert_memory_equal(x->values, y->values, x->columns * sizeof *x->values);
    }
}

/* Stopped in the first layer, at its end, in the second, at the last of its matrices, at the
 * embedding. */
static void a_stopped_run_continues(void **state)
{
    (void)state;
    static const uint32_t stops[] = { 2, MATRICES, 2 * MATRICES + 3, 3 * MATRICES - 1,
                                      3 * MATRICES };
    struct ground g;
    char once[1024], path[64];
    init(&g);
    snprintf(once, sizeof once, "%s", test_folder_file(&g.at.to, "once.gguf"));
    if (run(&g, once, "Q4_0", 0, UINT32_MAX) != RT_OK)
        fail_msg("%s", g.at.ctx.message);
    struct quant_importance seen = g.seen;
    g.seen = (struct quant_importance){ 0 };
    for (size_t i = 0; i < RT_COUNT(stops); i++) {
        snprintf(path, sizeof path, "%zu.gguf", i);
        const char *to = test_folder_file(&g.at.to, path);
        assert_int_equal(run(&g, to, "Q4_0", 0, stops[i]), RT_ERR_INTERRUPTED);
        assert_false(os_exists(to));
        assert_int_equal(there(to, ".part"), stops[i] >= MATRICES);
        assert_int_equal(there(to, ".state"), stops[i] >= MATRICES);
        /* and at once when it starts again */
        assert_int_equal(run(&g, to, "Q4_0", 0, 0), RT_ERR_INTERRUPTED);
        assert_int_equal(there(to, ".part"), stops[i] >= MATRICES);
        if (run(&g, to, "Q4_0", 0, UINT32_MAX) != RT_OK)
            fail_msg("%s", g.at.ctx.message);
        assert_int_equal(g.heard, LAYERS * MATRICES + TABLES);
        assert_int_equal(g.passes, LAYERS - stops[i] / MATRICES);
        assert_false(there(to, ".part") || there(to, ".state"));
        assert_true(test_file_same(once, to));
        expect_same_importance(&seen, &g.seen);
    }
    quant_importance_deinit(&seen);
    deinit(&g);
}

/* What another type, other options, another text, or a part that is another file has is not
 * taken. */
static void another_work_starts_anew(void **state)
{
    (void)state;
    static const char *const mixes[] = { "Q5_0", "Q4_0", "Q4_0", "Q4_0", "Q4_0" };
    static const double damping[] = { 0, 0.1, 0, 0, 0 };
    struct ground g;
    char once[1024], path[64], part[1100];
    init(&g);
    for (size_t i = 0; i < RT_COUNT(mixes); i++) {
        const uint32_t token = g.at.ids[9];
        g.plain = i == 3;
        g.at.ids[9] = i == 4 ? token ^ 1 : token;
        snprintf(path, sizeof path, "once-%zu.gguf", i);
        snprintf(once, sizeof once, "%s", test_folder_file(&g.at.to, path));
        assert_int_equal(run(&g, once, mixes[i], damping[i], UINT32_MAX), RT_OK);
        snprintf(path, sizeof path, "%zu.gguf", i);
        const char *to = test_folder_file(&g.at.to, path);
        g.plain = false;
        g.at.ids[9] = token;
        assert_int_equal(run(&g, to, "Q4_0", 0, MATRICES), RT_ERR_INTERRUPTED);
        g.plain = i == 3;
        g.at.ids[9] = i == 4 ? token ^ 1 : token;
        snprintf(part, sizeof part, "%s.part", to);
        if (i == 2)
            test_file_write(part, "GGUF", 4);
        assert_int_equal(run(&g, to, mixes[i], damping[i], UINT32_MAX), RT_OK);
        assert_int_equal(g.passes, LAYERS);
        assert_true(test_file_same(once, to));
        assert_false(there(to, ".part") || there(to, ".state"));
        g.at.ids[9] = token;
    }
    deinit(&g);
}

/* Finished layers stay whatever goes wrong while they are taken over. */
static void finished_layers_are_not_lost(void **state)
{
    (void)state;
    struct ground g;
    char once[1024];
    init(&g);
    snprintf(once, sizeof once, "%s", test_folder_file(&g.at.to, "once.gguf"));
    assert_int_equal(run(&g, once, "Q4_0", 0, UINT32_MAX), RT_OK);
    const char *to = test_folder_file(&g.at.to, "m.gguf");
    assert_int_equal(run(&g, to, "Q4_0", 0, LAYERS * MATRICES), RT_ERR_INTERRUPTED);
    rt_status st = RT_ERR_HOST_MEMORY;
    for (uint64_t n = 1; st != RT_OK; n++) {
        assert_true(n < 10000);
        assert_true(there(to, ".part") && there(to, ".state"));
        g.at.ctx.alloc_count = 0;
        g.at.ctx.alloc_fail_at = n;
        st = run(&g, to, "Q4_0", 0, UINT32_MAX);
        if (st != RT_OK && st != RT_ERR_HOST_MEMORY && st != RT_ERR_DEVICE_MEMORY)
            fail_msg("allocation %llu: %s", (unsigned long long)n, g.at.ctx.message);
        assert_int_equal(g.passes, 0);
    }
    g.at.ctx.alloc_fail_at = 0;
    assert_true(test_file_same(once, to));
    deinit(&g);
}

/* A layer's file that is cut, and data that is not all there. */
static void what_is_damaged_is_named(void **state)
{
    (void)state;
    static const char *const files[] = { ".state/layer-0000.safetensors", ".part" };
    struct ground g;
    char path[1200];
    size_t size;
    init(&g);
    const char *to = test_folder_file(&g.at.to, "m.gguf");
    assert_int_equal(run(&g, to, "Q4_0", 0, MATRICES), RT_ERR_INTERRUPTED);
    for (size_t i = 0; i < RT_COUNT(files); i++) {
        snprintf(path, sizeof path, "%s%s", to, files[i]);
        char *whole = test_file_read(path, &size);
        test_file_write(path, whole, i ? size * 3 / 4 : 100);
        test_refused(&g.at.ctx, run(&g, to, "Q4_0", 0, UINT32_MAX), RT_ERR_INPUT,
                     files[i], "m.gguf", NULL);
        assert_true(there(to, ".part") && there(to, ".state"));
        test_file_write(path, whole, size);
        free(whole);
    }
    if (run(&g, to, "Q4_0", 0, UINT32_MAX) != RT_OK)
        fail_msg("%s", g.at.ctx.message);
    assert_int_equal(g.passes, LAYERS - 1);
    deinit(&g);
}

static rt_status run_plainly(struct ground *g, const char *to)
{
    struct quant_gguf_report report;
    const struct quant_gguf_options o = { .mix = quant_gguf_mix_find("Q4_0") };
    return quant_gguf_file(&g->at.ctx, g->at.from, to, &o, &report);
}

static void another_process_is_not_disturbed(void **state)
{
    (void)state;
    static const char job[] = "{\"key\": \"x\", \"process\": 1}";
    struct ground g;
    char path[1200];
    init(&g);
    const char *to = test_folder_file(&g.at.to, "m.gguf");
    assert_int_equal(run(&g, to, "Q4_0", 0, MATRICES), RT_ERR_INTERRUPTED);
    snprintf(path, sizeof path, "%s.state/job.json", to);
    test_file_write(path, job, strlen(job));
    test_refused(&g.at.ctx, run(&g, to, "Q4_0", 0, UINT32_MAX), RT_ERR_USAGE, "process 1",
                 ".state", NULL);
    test_refused(&g.at.ctx, run_plainly(&g, to), RT_ERR_USAGE, "process 1", ".state",
                 NULL);
    assert_true(there(to, ".part") && there(to, ".state"));
    test_file_write(path, "{}", 2); /* it is gone */
    assert_int_equal(run_plainly(&g, to), RT_OK);
    assert_false(there(to, ".part") || there(to, ".state"));
    deinit(&g);
}

static rt_status observe(struct ground *g)
{
    quant_importance_deinit(&g->seen);
    const struct quant_importance_source source = { .model = g->at.model,
                                                    .sequences = &g->at.sequence,
                                                    .count = 1 };
    return quant_importance_observe(&g->at.ctx, &source, &g->seen);
}

/* By GPTQ, and where text only weighs the columns: the matrix is named, nothing is left. */
static void inputs_that_are_not_finite_are_named(void **state)
{
    (void)state;
    struct ground g;
    init(&g);
    assert_int_equal(observe(&g), RT_OK);
    test_tiny_overflow(&g.at);
    const char *to = test_folder_file(&g.at.to, "m.gguf");
    test_refused(&g.at.ctx, run(&g, to, "Q4_0", 0, UINT32_MAX), RT_ERR_INPUT,
                 "blk.1.ffn_gate.weight", "not finite", NULL);
    assert_false(os_exists(to) || there(to, ".part") || there(to, ".state"));
    test_refused(&g.at.ctx, observe(&g), RT_ERR_INPUT, "blk.1.ffn_gate.weight",
                 "not finite", NULL);
    deinit(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_run_continues),
        cmocka_unit_test(another_work_starts_anew),
        cmocka_unit_test(finished_layers_are_not_lost),
        cmocka_unit_test(what_is_damaged_is_named),
        cmocka_unit_test(another_process_is_not_disturbed),
        cmocka_unit_test(inputs_that_are_not_finite_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
