/* A quantize run that ends early continues: finished layers are taken over and the files are
 * those of a run that was not stopped; another work starts anew; a disk that is full leaves
 * nothing half written; a process that works there is not disturbed. */
#include "runtime/base/os.h"
#include "runtime/format/safetensors.h"
#include "runtime/quant/folder.h"
#include "runtime/quant/width_plan.h"
#include "tests/support/devices.h"
#include "tests/support/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MATRICES = TEST_TINY_MATRICES, LAYERS = TEST_TINY_LAYERS };

struct ground {
    struct test_tiny at;
    bool sequential, device_rounds;
    const struct quant_plan *plan; /* NULL: none */
    double bits;                   /* per weight, of the last run */
    uint32_t float_matrices;       /* of the last run */
    uint32_t left;                 /* matrices before the work is stopped */
    uint32_t passes, heard;        /* of the last run */
};

static rt_status after_matrix(void *user, const struct quant_fared *fared)
{
    struct ground *g = user;
    assert_true(fared->objective >= 0 && fared->rtn > 0);
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

static rt_status run(struct ground *g, const char *to, const char *method, uint32_t bits,
                     uint32_t matrices)
{
    struct quant_report report;
    const bool int8 = strcmp(method, "smoothquant") == 0;
    const struct quant_options o = {
        .bits = int8 ? 8 : bits,
        .group = int8 ? 0 : 32,
        .asymmetric = !int8,
        .method = quant_method_find(method),
        .inputs = int8 ? QUANT_INPUTS_GIVEN : QUANT_INPUTS_FLOATS,
        .float_inputs = int8 ? 2 : 0,
        .true_sequential = g->sequential,
        .device_rounds = g->device_rounds,
        .plan = g->plan,
    };
    const struct quant_calibration c = { .model = g->at.model,
                                         .sequences = &g->at.sequence,
                                         .count = 1,
                                         .pass = after_pass,
                                         .matrix = after_matrix,
                                         .user = g };
    g->left = matrices;
    g->passes = g->heard = 0;
    const rt_status st = quant_folder(&g->at.ctx, g->at.from, to, &o, &c, false, &report);
    if (st == RT_OK)
        assert_int_equal(report.matrices, LAYERS * MATRICES);
    g->bits = report.bits_per_weight;
    g->float_matrices = report.float_matrices;
    return st;
}

static void expect_same(const char *a, const char *b)
{
    static const char *const names[] = { "model.safetensors", "config.json" };
    char path[1200];
    size_t size[2];
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/%s", a, names[i]);
        char *x = test_file_read(path, &size[0]);
        snprintf(path, sizeof path, "%s/%s", b, names[i]);
        char *y = test_file_read(path, &size[1]);
        assert_int_equal(size[0], size[1]);
        assert_memory_equal(x, y, size[0]);
        free(x);
        free(y);
    }
}

static void part_of(const char *to, const char *file, char path[1200])
{
    snprintf(path, 1200, "%s.part%s%s", to, file ? "/" : "", file ? file : "");
}

static void init(struct ground *g, bool streamed)
{
    *g = (struct ground){ 0 };
    test_tiny_init(&g->at, streamed);
}

static void deinit(struct ground *g)
{
    test_tiny_deinit(&g->at);
}

/* Stopped in the first layer, at its end, in the second and at the last matrix. */
static void a_stopped_run_continues(void **state)
{
    (void)state;
    static const char *const methods[] = { "gptq", "awq", "rtn", "gptq" };
    static const uint32_t stops[] = { 2, MATRICES, 2 * MATRICES + 3, 3 * MATRICES - 1 };
    struct ground g;
    char once[1024], part[1200], path[64];
    init(&g, true);
    for (size_t m = 0; m < RT_COUNT(methods); m++) {
        g.device_rounds = m == 3;
        snprintf(path, sizeof path, "once-%s-%zu", methods[m], m);
        snprintf(once, sizeof once, "%s", test_folder_file(&g.at.to, path));
        assert_int_equal(run(&g, once, methods[m], 3, UINT32_MAX), RT_OK);
        for (size_t i = 0; i < RT_COUNT(stops); i++) {
            snprintf(path, sizeof path, "%s-%zu-%zu", methods[m], m, i);
            const char *to = test_folder_file(&g.at.to, path);
            assert_int_equal(run(&g, to, methods[m], 3, stops[i]), RT_ERR_INTERRUPTED);
            assert_false(os_exists(to));
            part_of(to, NULL, part);
            assert_int_equal(os_exists(part), stops[i] >= MATRICES);
            assert_int_equal(run(&g, to, methods[m], 3, UINT32_MAX), RT_OK);
            assert_int_equal(g.heard, LAYERS * MATRICES);
            assert_int_equal(g.passes, LAYERS - stops[i] / MATRICES);
            assert_false(os_exists(part));
            expect_same(once, to);
        }
    }
    deinit(&g);
}

/* Widths of a plan are those of the layer that runs once more, and of the report of a run
 * that took layers over; so are the matrices of a folder of 8 by 8 bits, and those of them
 * whose inputs stay floats. */
static void widths_outlive_a_stop(void **state)
{
    (void)state;
    struct ground g;
    struct quant_plan plan = { .count = 0 };
    char once[1024];
    init(&g, true);
    assert_int_equal(quant_plan_add(&g.at.ctx, &plan, "*.down_proj", 8), RT_OK);
    for (int i = 0; i < 2; i++) {
        const char *method = i ? "smoothquant" : "gptq";
        g.plan = i ? NULL : &plan;
        g.sequential = i == 0;
        snprintf(once, sizeof once, "%s", test_folder_file(&g.at.to, i ? "c" : "a"));
        if (run(&g, once, method, 4, UINT32_MAX) != RT_OK)
            fail_msg("%s", g.at.ctx.message);
        const double bits = g.bits;
        const uint32_t float_matrices = g.float_matrices;
        const char *to = test_folder_file(&g.at.to, i ? "d" : "b");
        assert_int_equal(run(&g, to, method, 4, MATRICES + 2), RT_ERR_INTERRUPTED);
        assert_int_equal(run(&g, to, method, 4, UINT32_MAX), RT_OK);
        expect_same(once, to);
        assert_true(bits > 4 && g.bits == bits);
        assert_int_equal(g.float_matrices, float_matrices);
        assert_true(i == 0 || (float_matrices > 0 && float_matrices < LAYERS * MATRICES));
    }
    quant_plan_deinit(&plan);
    deinit(&g);
}

/* Layers of other options are no use, and are not taken. */
static void another_work_starts_anew(void **state)
{
    (void)state;
    struct ground g;
    char once[1024];
    init(&g, true);
    snprintf(once, sizeof once, "%s", test_folder_file(&g.at.to, "once"));
    assert_int_equal(run(&g, once, "gptq", 4, UINT32_MAX), RT_OK);
    const char *to = test_folder_file(&g.at.to, "to");
    assert_int_equal(run(&g, to, "gptq", 3, MATRICES + 1), RT_ERR_INTERRUPTED);
    assert_int_equal(run(&g, to, "gptq", 4, UINT32_MAX), RT_OK);
    assert_int_equal(g.passes, LAYERS);
    expect_same(once, to);
    const char *device = test_folder_file(&g.at.to, "device");
    assert_int_equal(run(&g, device, "gptq", 4, MATRICES + 1), RT_ERR_INTERRUPTED);
    g.device_rounds = true; /* its last bits are not the host's */
    assert_int_equal(run(&g, device, "gptq", 4, UINT32_MAX), RT_OK);
    assert_int_equal(g.passes, LAYERS);
    deinit(&g);
}

/* Scales of the first layer are the same in both folders; those of the second are not. */
static void expect_inputs(struct ground *g, const char *a, const char *b)
{
    struct fmt_safetensors file[2];
    bool equal[2];
    char path[1200], name[128];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/model.safetensors", i ? b : a);
        assert_int_equal(fmt_safetensors_open(&g->at.ctx, path, &file[i]), RT_OK);
    }
    for (int l = 0; l < 2; l++) {
        snprintf(name, sizeof name, "model.layers.%d.mlp.down_proj.weight_packed", l);
        const struct fmt_tensor *x = fmt_safetensors_find(&file[0], name),
                                *y = fmt_safetensors_find(&file[1], name);
        assert_non_null(x);
        assert_non_null(y);
        equal[l] = x->size == y->size && memcmp(x->data, y->data, x->size) == 0;
    }
    assert_true(equal[0] && !equal[1]);
    for (int i = 0; i < 2; i++)
        fmt_safetensors_close(&file[i]);
}

/* A model whose layers come and go gives the same bytes as one that is loaded whole. */
static void streaming_changes_nothing(void **state)
{
    (void)state;
    struct ground whole, streamed;
    char a[1024], b[1024];
    init(&whole, false);
    init(&streamed, true);
    snprintf(a, sizeof a, "%s", test_folder_file(&whole.at.to, "a"));
    snprintf(b, sizeof b, "%s", test_folder_file(&streamed.at.to, "b"));
    assert_int_equal(run(&whole, a, "awq", 3, UINT32_MAX), RT_OK);
    assert_int_equal(run(&streamed, b, "awq", 3, UINT32_MAX), RT_OK);
    expect_same(a, b);
    assert_true(rt_model_weight_bytes(whole.at.model) > 0);
    deinit(&whole);
    deinit(&streamed);
}

/* With true_sequential: the first layer is as without, later ones are not. Stopped, it
 * continues. */
static void layers_see_the_quantized_ones(void **state)
{
    (void)state;
    static const char *const methods[] = { "gptq", "awq", "smoothquant" };
    struct ground g;
    char once[1024], other[1024], path[64];
    init(&g, true);
    for (size_t m = 0; m < RT_COUNT(methods); m++) {
        g.sequential = true;
        snprintf(path, sizeof path, "%s-once", methods[m]);
        snprintf(once, sizeof once, "%s", test_folder_file(&g.at.to, path));
        if (run(&g, once, methods[m], 2, UINT32_MAX) != RT_OK)
            fail_msg("%s", g.at.ctx.message);
        assert_int_equal(g.passes, 2 * LAYERS - 1);
        snprintf(path, sizeof path, "%s-stopped", methods[m]);
        const char *to = test_folder_file(&g.at.to, path);
        assert_int_equal(run(&g, to, methods[m], 2, MATRICES + 2), RT_ERR_INTERRUPTED);
        assert_int_equal(run(&g, to, methods[m], 2, UINT32_MAX), RT_OK);
        expect_same(once, to);
        g.sequential = false;
        snprintf(path, sizeof path, "%s-full", methods[m]);
        snprintf(other, sizeof other, "%s", test_folder_file(&g.at.to, path));
        assert_int_equal(run(&g, other, methods[m], 2, UINT32_MAX), RT_OK);
        if (m < 2)
            expect_inputs(&g, once, other);
    }
    deinit(&g);
}

static void a_full_disk_leaves_nothing_half_written(void **state)
{
    (void)state;
    struct ground g;
    struct rlimit before, small;
    char part[1200];
    init(&g, true);
    const char *to = test_folder_file(&g.at.to, "to");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 8192;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const rt_status st = run(&g, to, "gptq", 3, UINT32_MAX);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    test_refused(&g.at.ctx, st, RT_ERR_IO, "cannot write", "to.part/", NULL);
    assert_false(os_exists(to));
    part_of(to, NULL, part);
    assert_false(os_exists(part));
    assert_int_equal(run(&g, to, "gptq", 3, UINT32_MAX), RT_OK);
    deinit(&g);
}

/* Every method says which layer's inputs overflow, and leaves nothing. */
static void inputs_that_are_not_finite_are_named(void **state)
{
    (void)state;
    static const char *const methods[] = { "rtn", "gptq", "awq", "smoothquant" };
    struct ground g;
    char part[1200];
    init(&g, true);
    test_tiny_overflow(&g.at);
    for (size_t i = 0; i < RT_COUNT(methods); i++) {
        const char *to = test_folder_file(&g.at.to, "to");
        const rt_status st = run(&g, to, methods[i], 4, UINT32_MAX);
        test_refused(&g.at.ctx, st, RT_ERR_INPUT, "model.layers.1.mlp.gate_proj",
                     "not finite", NULL);
        part_of(to, NULL, part);
        assert_false(os_exists(part) || os_exists(to));
    }
    deinit(&g);
}

static void a_working_process_is_not_disturbed(void **state)
{
    (void)state;
    struct ground g;
    char path[1200];
    init(&g, true);
    const char *to = test_folder_file(&g.at.to, "to");
    assert_int_equal(run(&g, to, "gptq", 3, MATRICES), RT_ERR_INTERRUPTED);
    part_of(to, "job.json", path);
    static const char job[] = "{\"key\":\"\",\"process\":1}";
    assert_int_equal(fmt_write_atomic(&g.at.ctx, path, job, strlen(job)), RT_OK);
    const rt_status st = run(&g, to, "gptq", 3, UINT32_MAX);
    test_refused(&g.at.ctx, st, RT_ERR_USAGE, "process 1 works", NULL);
    part_of(to, "layer-0000.safetensors", path);
    assert_true(os_exists(path));
    deinit(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_run_continues),
        cmocka_unit_test(widths_outlive_a_stop),
        cmocka_unit_test(another_work_starts_anew),
        cmocka_unit_test(streaming_changes_nothing),
        cmocka_unit_test(layers_see_the_quantized_ones),
        cmocka_unit_test(a_full_disk_leaves_nothing_half_written),
        cmocka_unit_test(inputs_that_are_not_finite_are_named),
        cmocka_unit_test(a_working_process_is_not_disturbed),
    };
    return cmocka_run_group_tests_name("quantize_resume", tests, NULL, NULL);
}
