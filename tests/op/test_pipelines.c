/* Compiled kernels: a list keeps those it runs, however many come after; of the others the
 * newest stay, so that memory does not grow with what was ever run. */
#include "runtime/vk/vk.h"
#include "runtime/ref/op_trial.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum { MANY = 48, STAY = 32, COUNT = 256 };

static struct test_device device;

/* `add` with a constant that it does not have: the same program, another pipeline. */
static struct vk_choice variant(uint32_t i)
{
    struct vk_choice choice = { .grid = { COUNT / 64, 1, 1 } };
    while (vk_kernel_table[choice.kernel].op != RT_OP_add)
        choice.kernel++;
    choice.spec[VK_SPEC_MAX - 1] = i;
    return choice;
}

static void record(struct rt_list *list, const struct rt_op_trial *t, uint32_t first,
                   uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        const struct vk_choice choice = variant(i);
        assert_int_equal(vk_list_choice(list, RT_OP_add, &t->c.push, t->slices, &choice),
                         RT_OK);
    }
    assert_int_equal(rt_list_end(list), RT_OK);
}

static struct rt_list *new_list(struct vk_device *dev)
{
    struct rt_list *list = NULL;
    assert_int_equal(rt_list_create(&dev->base, "many", &list), RT_OK);
    return list;
}

static bool is_there(const struct vk_device *dev, uint32_t i)
{
    const struct vk_choice choice = variant(i);
    for (uint32_t k = 0; k < dev->pipeline_count; k++)
        if (memcmp(dev->pipelines[k]->spec, choice.spec, sizeof choice.spec) == 0)
            return true;
    return false;
}

static void lists_keep_theirs_and_few_others_stay(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct rt_device *base = NULL;
    const struct rt_device_options options = { .name = device.device,
                                               .family = device.family,
                                               .validation = true };
    assert_int_equal(rt_device_create(&ctx, &options, &base), RT_OK);
    struct vk_device *dev = (struct vk_device *)base;
    struct rt_op_case c = { .op = RT_OP_add,
                            .what = "pipelines",
                            .push.add = { .count = COUNT, .scale = 1.0f } };
    struct rt_op_trial t;
    rt_op_case_make(&c);
    assert_int_equal(rt_op_trial_init(&t, base, &c, 1), RT_OK);

    struct rt_list *kept = new_list(dev), *passing = new_list(dev);
    record(kept, &t, 0, 1);
    record(passing, &t, 0, MANY);
    assert_int_equal(dev->pipeline_count, MANY);
    rt_list_destroy(&passing);
    assert_int_equal(dev->pipeline_count, 1 + STAY);
    for (uint32_t i = 0; i < MANY; i++) /* the newest, and the one that is held */
        assert_int_equal(is_there(dev, i), i == 0 || i >= MANY - STAY);

    /* What is held still runs, and what went is compiled again. */
    void *got = NULL;
    assert_int_equal(rt_op_trial_reset(&t), RT_OK);
    assert_int_equal(rt_submit(base, kept), RT_OK);
    assert_int_equal(rt_wait(base), RT_OK);
    assert_int_equal(rt_op_trial_read(&t, 1, &got), RT_OK);
    assert_true(rt_op_trial_compare(&t, 1, got).used <= 1);
    rt_free(got);
    passing = new_list(dev);
    record(passing, &t, 1, 1);
    assert_true(is_there(dev, 1));
    rt_list_destroy(&passing);
    rt_list_destroy(&kept);
    assert_int_equal(dev->pipeline_count, STAY);
    assert_int_equal(base->validation_count, 0);
    rt_op_trial_deinit(&t);
    rt_device_destroy(&base);
}

/* A training step of a real model is cut into hundreds of submissions. */
static void a_list_of_many_submissions(void **state)
{
    (void)state;
    enum { TIMES = 1100 }; /* more than have a time of the device */
    struct rt_ctx ctx = { 0 };
    struct rt_device *base = NULL;
    struct rt_list *list = NULL;
    struct rt_op_trial t;
    struct rt_op_case c = { .op = RT_OP_add,
                            .what = "submissions",
                            .push.add = { .count = COUNT, .scale = 1.0f } };
    const struct rt_device_options options = { .name = device.device,
                                               .family = device.family,
                                               .validation = true };
    assert_int_equal(rt_device_create(&ctx, &options, &base), RT_OK);
    base->plan.submit_flops_max = 1; /* each op by itself */
    rt_op_case_make(&c);
    assert_int_equal(rt_op_trial_init(&t, base, &c, 1), RT_OK);
    assert_int_equal(rt_op_trial_reset(&t), RT_OK);
    assert_int_equal(rt_list_create(base, "long", &list), RT_OK);
    for (int i = 0; i < TIMES; i++)
        rt_list_op(list, RT_OP_add, &t.c.push, t.slices);
    if (rt_list_end(list) != RT_OK || rt_submit(base, list) != RT_OK ||
        rt_wait(base) != RT_OK)
        fail_msg("%s", ctx.message);
    void *got = NULL;
    assert_int_equal(rt_op_trial_read(&t, 1, &got), RT_OK);
    const float *x = t.start[0], *y = t.start[1], *sum = got;
    for (uint32_t i = 0; i < COUNT; i++) {
        float wanted = y[i];
        for (int k = 0; k < TIMES; k++)
            wanted += x[i];
        assert_true(memcmp(&wanted, &sum[i], sizeof wanted) == 0);
    }
    rt_free(got);
    assert_int_equal(base->validation_count, 0);
    rt_list_destroy(&list);
    rt_op_trial_deinit(&t);
    rt_device_destroy(&base);
}

static int find_device(void **state)
{
    (void)state;
    if (!test_device_vulkan(&device)) {
        printf("    skipped: no Vulkan device\n");
        skip();
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(lists_keep_theirs_and_few_others_stay, find_device),
        cmocka_unit_test_setup(a_list_of_many_submissions, find_device),
    };
    return cmocka_run_group_tests_name("pipelines", tests, NULL, NULL);
}
