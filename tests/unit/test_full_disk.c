/* A disk that is full while a model is written: the failure is said, what was there is
 * there, nothing half written stays, and the same command succeeds when there is room. A
 * calibrated GGUF file keeps the layers that are whole. (Calibrated folders:
 * tests/golden/test_quantize_resume.c.) */
#include "runtime/base/os.h"
#include "runtime/quant/gguf_file.h"
#include "runtime/quant/merged.h"
#include "runtime/quant/rescale.h"
#include "tests/support/devices.h"
#include "tests/support/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define PACKED "tests/golden/models/qwen2-tiny-rtn4-ct"
#define FILE_GGUF "tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf"

enum { NO_LIMIT = 0 };

/* A write beyond so many bytes of a file fails from now on, as on a full disk. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes == NO_LIMIT ? limit.rlim_max : bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Names in a folder, those that begin with a dot not counted. */
static int count_names(const char *folder)
{
    int n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* ---- without a device ---- */

static rt_status merge(struct rt_ctx *ctx, const char *from, const char *to)
{
    struct quant_merged made;
    return quant_merge(ctx, from, NULL, to, FMT_F16, true, &made);
}

static rt_status halve(void *user, uint32_t layer, enum fmt_module module,
                       uint32_t groups, float *values, float *zeros)
{
    uint32_t out, in;
    (void)layer;
    fmt_module_size(user, module, &out, &in);
    for (uint32_t i = 0; i < out * groups; i++)
        values[i] = 0.5f;
    for (uint32_t i = 0; zeros && i < out * groups; i++)
        zeros[i] = 0.25f;
    return RT_OK;
}

static rt_status refine(struct rt_ctx *ctx, const char *from, const char *to)
{
    struct fmt_model *model = NULL;
    if (fmt_model_open(ctx, from, &model) != RT_OK)
        fail_msg("%s", ctx->message);
    const struct fmt_config config = *fmt_model_config(model);
    fmt_model_close(&model);
    return quant_rescale(ctx, from, to, halve, (void *)&config);
}

static void nothing_half_written_stays(void **state)
{
    (void)state;
    static const struct {
        const char *source, *to;
        rt_status (*write)(struct rt_ctx *ctx, const char *from, const char *to);
    } cases[] = {
        { PACKED, "m", merge },
        { FILE_GGUF, "m", merge },
        { PACKED, "m", refine },
        { FILE_GGUF, "m.gguf", refine },
    };
    /* of a layer or at once, and of the whole */
    static const rlim_t limits[] = { 100, 8192, 150000 };
    for (size_t i = 0; i < RT_COUNT(cases) * RT_COUNT(limits); i++) {
        const size_t c = i / RT_COUNT(limits);
        struct rt_ctx ctx = { 0 };
        struct test_folder folder;
        char from[1024];
        test_folder_init(&folder);
        test_path(from, sizeof from, cases[c].source);
        const char *to = test_folder_file(&folder, cases[c].to);
        limit_files(limits[i % RT_COUNT(limits)]);
        const rt_status st = cases[c].write(&ctx, from, to);
        limit_files(NO_LIMIT);
        test_refused(&ctx, st, RT_ERR_IO, "cannot write", NULL);
        assert_int_equal(count_names(folder.path), 0);
        if (cases[c].write(&ctx, from, to) != RT_OK)
            fail_msg("%s", ctx.message);
        assert_int_equal(count_names(folder.path), 1);
        /* and what is there is not lost */
        limit_files(limits[i % RT_COUNT(limits)]);
        assert_int_equal(cases[c].write(&ctx, from, to), RT_ERR_IO);
        limit_files(NO_LIMIT);
        assert_int_equal(count_names(folder.path), 1);
        struct fmt_model *model = NULL;
        if (fmt_model_open(&ctx, to, &model) != RT_OK)
            fail_msg("%s", ctx.message);
        fmt_model_close(&model);
        test_folder_deinit(&folder);
    }
}

/* ---- GGUF files with calibration ---- */

static rt_status make_file(struct test_tiny *t, const char *to)
{
    struct quant_gguf_report report;
    struct quant_importance seen = { 0 };
    const struct quant_gguf_calibration c = {
        .model = t->model, .sequences = &t->sequence, .count = 1, .seen = &seen
    };
    const struct quant_gguf_options o = { .mix = quant_gguf_mix_find("Q4_0"),
                                          .calibration = &c,
                                          .importance_from = "a text" };
    const rt_status st = quant_gguf_file(&t->ctx, t->from, to, &o, &report);
    quant_importance_deinit(&seen);
    return st;
}

static void a_calibrated_file_is_whole_or_continues(void **state)
{
    (void)state;
    static const rlim_t limits[] = { 100, 60000, 100000 };
    struct test_tiny t;
    int kept = 0;
    test_tiny_init(&t, true);
    char once[128], path[64];
    snprintf(once, sizeof once, "%s", test_folder_file(&t.to, "once.gguf"));
    assert_int_equal(make_file(&t, once), RT_OK);
    for (size_t i = 0; i < RT_COUNT(limits); i++) {
        snprintf(path, sizeof path, "%zu.gguf", i);
        const char *to = test_folder_file(&t.to, path);
        limit_files(limits[i]);
        const rt_status st = make_file(&t, to);
        limit_files(NO_LIMIT);
        test_refused(&t.ctx, st, RT_ERR_IO, "cannot write", NULL);
        assert_false(os_exists(to));
        kept += count_names(t.to.path) > 1;
        if (make_file(&t, to) != RT_OK)
            fail_msg("%s", t.ctx.message);
        assert_true(test_file_same(once, to));
        remove(to);
        assert_int_equal(count_names(t.to.path), 1);
    }
    assert_true(kept > 0 && kept < (int)RT_COUNT(limits));
    test_tiny_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_half_written_stays),
        cmocka_unit_test(a_calibrated_file_is_whole_or_continues),
    };
    return cmocka_run_group_tests_name("full disk", tests, NULL, NULL);
}
