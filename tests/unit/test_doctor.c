/* What doctor finds, without a GPU: codes of the devices, of `ref`, of a device that could
 * not be opened, and of folders for results. */
#include "pipeline/run/doctor.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static struct rt_ctx ctx;

static const struct pipe_doctor_finding *find(const struct pipe_doctor *d,
                                              const char *code)
{
    for (uint32_t i = 0; i < d->count; i++)
        if (strcmp(d->list[i].code, code) == 0)
            return &d->list[i];
    return NULL;
}

static void a_device_is_tested(void **state)
{
    (void)state;
    struct pipe_doctor d = { 0 };
    struct rt_device *dev = NULL;
    const struct rt_device_options options = { .name = "ref" };
    pipe_doctor_devices(&ctx, &d);
    assert_true(d.device_count >= 1); /* ref is always there */
    assert_true(find(&d, "D01") || find(&d, "D03"));
    assert_int_equal(rt_device_create(&ctx, &options, &dev), RT_OK);
    assert_int_equal(pipe_doctor_device(&ctx, &d, dev, RT_OK, true), RT_OK);
    static const char *const good[] = { "D10", "D13", "D14", "D15" };
    for (size_t i = 0; i < RT_COUNT(good); i++) {
        const struct pipe_doctor_finding *f = find(&d, good[i]);
        if (!f || f->kind != PIPE_DOCTOR_GOOD)
            fail_msg("%s is not good", good[i]);
    }
    rt_device_destroy(&dev);
    pipe_doctor_deinit(&d);
    assert_int_equal(d.count, 0);
    const rt_status st = rt_fail(&ctx, RT_ERR_NO_DEVICE, "no such device");
    assert_int_equal(pipe_doctor_device(&ctx, &d, NULL, st, false), RT_ERR_NO_DEVICE);
    assert_int_equal(d.count, 1);
    assert_int_equal(d.list[0].kind, PIPE_DOCTOR_BAD);
    assert_non_null(strstr(d.list[0].text, "no such device"));
    assert_non_null(d.list[0].next);
    pipe_doctor_deinit(&d);
}

/* Devices that could not be listed are no good Vulkan loader. */
static void a_failed_list_is_one_finding(void **state)
{
    (void)state;
    bool failed = false;
    for (uint64_t at = 1; at <= 40 && !failed; at++) {
        struct pipe_doctor d = { 0 };
        struct rt_ctx short_of_memory = { .alloc_fail_at = at };
        pipe_doctor_devices(&short_of_memory, &d);
        const struct pipe_doctor_finding *f = find(&d, "D01");
        failed = f && f->kind == PIPE_DOCTOR_BAD;
        if (failed)
            assert_int_equal(d.count, 1);
        pipe_doctor_deinit(&d);
    }
    assert_true(failed);
}

static void a_folder_for_results_is_looked_at(void **state)
{
    (void)state;
    struct pipe_doctor d = { 0 };
    pipe_doctor_store(&d, test_folder_file(&test_scratch, "a.db"));
    assert_non_null(find(&d, "D21"));
    assert_non_null(strstr(find(&d, "D21")->text, "MiB free"));
    pipe_doctor_store(&d, test_folder_file(&test_scratch, "none/a.db"));
    assert_int_equal(find(&d, "D20")->kind, PIPE_DOCTOR_BAD);
    for (int i = 0; i < 2 * PIPE_DOCTOR_MAX; i++) /* too many findings are dropped */
        pipe_doctor_store(&d, "a.db");
    assert_int_equal(d.count, PIPE_DOCTOR_MAX);
    pipe_doctor_deinit(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_is_tested),
        cmocka_unit_test(a_failed_list_is_one_finding),
        cmocka_unit_test(a_folder_for_results_is_looked_at),
    };
    return cmocka_run_group_tests(tests, test_scratch_set_up, test_scratch_tear_down);
}
