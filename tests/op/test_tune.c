/* The tune: picks only what passes its check on the device, keeps its choice in a file of
 * this device, driver and kernel table, and believes no other file. */
#include "runtime/vk/vk.h"
#include "runtime/ref/op_trial.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/faultline-tune-XXXXXX";
static struct test_device device;
static bool have_device;
static char log_text[4096];

static void keep_line(void *user, enum rt_log_level level, const char *line)
{
    (void)user;
    const size_t used = strlen(log_text);
    if (level <= RT_LOG_WARNING)
        snprintf(log_text + used, sizeof log_text - used, "%s\n", line);
}

static struct vk_device *open_device(struct rt_ctx *ctx, bool tune)
{
    struct rt_device *dev = NULL;
    const struct rt_device_options options = { .name = device.device,
                                               .family = device.family,
                                               .tune = tune };
    *ctx = (struct rt_ctx){ .log = keep_line, .cache_dir = folder };
    log_text[0] = '\0';
    if (rt_device_create(ctx, &options, &dev) != RT_OK)
        fail_msg("%s", ctx->message);
    return (struct vk_device *)dev;
}

static void close_device(struct vk_device *vk)
{
    struct rt_device *dev = &vk->base;
    rt_device_destroy(&dev);
}

/* One row, 32 bits, a bias: a product that several kernels serve, which compile quickly. */
static void make_trial(struct vk_device *dev, struct rt_op_trial *t)
{
    struct rt_op_case c = {
        .op = RT_OP_matmul,
        .what = "tune",
        .push.matmul = { .rows = 1,
                         .out_pad = 128,
                         .in_pad = 128,
                         .bits = 32,
                         .ldx = 128,
                         .ldy = 128,
                         .flags = MATMUL_BIAS,
                         .ldu = 128,
                         .part1 = 128,
                         .part2 = 128 },
    };
    rt_op_case_make(&c);
    if (rt_op_trial_init(t, &dev->base, &c, 1) != RT_OK || rt_op_trial_reset(t) != RT_OK)
        fail_msg("%s", dev->base.ctx->message);
}

/* The kernel that the device chooses for it. */
static uint32_t chosen(struct vk_device *dev)
{
    struct rt_op_trial t;
    struct vk_choice choice;
    make_trial(dev, &t);
    if (vk_select(dev, t.c.op, &t.c.push, t.slices, &choice) != RT_OK)
        fail_msg("%s", dev->base.ctx->message);
    rt_op_trial_deinit(&t);
    return choice.kernel;
}

static uint32_t tuned(void)
{
    struct rt_ctx ctx;
    struct vk_device *dev = open_device(&ctx, true);
    const uint32_t kernel = chosen(dev);
    close_device(dev);
    return kernel;
}

/* Path of the tune's file; false if there is none. */
static bool tune_file(char *path, size_t size)
{
    DIR *dir = opendir(folder);
    bool found = false;
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (strncmp(e->d_name, "tune-", 5) == 0) {
            snprintf(path, size, "%s/%.200s", folder, e->d_name);
            found = true;
        }
    closedir(dir);
    return found;
}

static void read_file(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A kernel that serves the op too, but is not `other`. */
static uint32_t another(uint32_t other)
{
    struct rt_ctx ctx;
    struct vk_device *dev = open_device(&ctx, false);
    struct rt_op_trial t;
    uint32_t found = other;
    make_trial(dev, &t);
    for (uint32_t k = 0; k < vk_kernel_count; k++)
        if (k != other && vk_kernel_table[k].op == RT_OP_matmul &&
            vk_kernel_admitted(dev, k, &t.c.push, t.slices) &&
            vk_matmul_rank(dev, RT_OP_matmul, &t.c.push, k) > 0)
            found = k;
    rt_op_trial_deinit(&t);
    close_device(dev);
    assert_int_not_equal(found, other);
    return found;
}

static void off_measures_and_keeps_nothing(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    char path[300];
    struct vk_device *dev = open_device(&ctx, false);
    const uint32_t kernel = chosen(dev);
    assert_null(dev->tune);
    assert_int_equal(chosen(dev), kernel);
    close_device(dev);
    assert_false(tune_file(path, sizeof path));
}

/* Head line and one choice, as if written here. */
static void believed_only_with_its_own_head(void **state)
{
    (void)state;
    char path[300], mine[1024], text[2048], again[1024];
    const uint32_t kernel = tuned(), planted = another(kernel);
    assert_true(tune_file(path, sizeof path));
    read_file(path, mine, sizeof mine);
    char *line = strchr(mine, '\n') + 1; /* the choice, after the head */
    const int head = (int)(line - mine), key = (int)(strchr(line, ' ') - line);

    snprintf(text, sizeof text, "%.*s%.*s %s\n", head, mine, key, line,
             vk_kernel_table[planted].name);
    write_file(path, text);
    assert_int_equal(tuned(), planted); /* its own file is believed */

    /* The same file of another device, driver, driver version, kernel table, family,
     * arithmetic. */
    static const char *const words[] = { "device ", "driver ", "kernels ", "family ",
                                         "products " };
    for (size_t w = 0; w < RT_COUNT(words); w++) {
        char foreign[2048];
        snprintf(foreign, sizeof foreign, "%s", text);
        char *digit = strstr(foreign, words[w]) + strlen(words[w]);
        *digit = *digit == '7' ? '8' : '7';
        write_file(path, foreign);
        tuned();
        read_file(path, again, sizeof again);
        assert_memory_equal(again, mine, (size_t)head); /* measured and written anew */
    }
}

static void damage_costs_a_measurement_only(void **state)
{
    (void)state;
    char path[300], mine[1024], text[4096];
    tuned();
    assert_true(tune_file(path, sizeof path));
    read_file(path, mine, sizeof mine);
    char *line = strchr(mine, '\n') + 1;
    const int head = (int)(line - mine), key = (int)(strchr(line, ' ') - line);
    const char *const tails[] = { "", " ", " no_such_kernel\n", " any\n",
                                  " tiled_b8_64x64\n texel_b2_1x4" };
    for (size_t i = 0; i < RT_COUNT(tails); i++) {
        snprintf(text, sizeof text, "%.*s%.*s%s", head, mine, key, line, tails[i]);
        write_file(path, text);
        const uint32_t kernel = tuned();
        assert_int_equal(vk_kernel_table[kernel].bits, 32);
        read_file(path, text, sizeof text);
        if (!strstr(text, vk_kernel_table[kernel].name))
            fail_msg("'%s' was not replaced: %s", tails[i], text);
    }
    memset(text, 'x', sizeof text - 1); /* a line without an end */
    text[sizeof text - 1] = '\0';
    write_file(path, text);
    tuned();
    write_file(path, "");
    tuned();
    read_file(path, text, sizeof text);
    assert_memory_equal(text, mine, (size_t)head);
}

/* As if the driver compiled one kernel wrongly: without the bias that the op has. */
static void a_wrong_kernel_is_not_picked(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    char path[300];
    const uint32_t best = tuned();
    assert_true(tune_file(path, sizeof path));
    remove(path);
    struct vk_device *dev = open_device(&ctx, true);
    struct rt_op_trial t;
    make_trial(dev, &t);
    struct vk_choice choice = { .kernel = best };
    vk_matmul_fill(dev, RT_OP_matmul, &t.c.push, &choice);
    rt_op_trial_deinit(&t);
    struct vk_pipeline *pipeline;
    struct vk_choice plain = choice;
    plain.spec[1] &= ~MATMUL_BIAS;
    assert_int_equal(vk_pipeline_get(dev, &plain, &pipeline), RT_OK);
    pipeline->lists++;
    pipeline->spec[1] = choice.spec[1];
    const uint32_t kernel = chosen(dev);
    close_device(dev);
    assert_int_not_equal(kernel, best);
    if (!strstr(log_text, vk_kernel_table[best].name) || !strstr(log_text, "is wrong"))
        fail_msg("nothing was said: %s", log_text);
}

/* The device is lost while a kernel is tried: the run ends as it must, and the next leaves
 * out that kernel and takes another. */
static void a_kernel_that_loses_the_device_is_left_out(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    char path[300], text[1024], name[32] = "";
    if (tune_file(path, sizeof path))
        remove(path);
    struct vk_device *dev = open_device(&ctx, true);
    struct rt_op_trial t;
    struct vk_choice choice;
    make_trial(dev, &t);
    test_faults_install(&dev->base);
    test_faults_arm(TEST_FAULT_LOST, 1);
    assert_int_equal(vk_select(dev, t.c.op, &t.c.push, t.slices, &choice),
                     RT_ERR_DEVICE_LOST);
    assert_true(test_faults_hit());
    if (!strstr(log_text, "was lost under the kernel"))
        fail_msg("nothing was said: %s", log_text);
    test_faults_arm(TEST_FAULT_LOST, 0);
    rt_op_trial_deinit(&t);
    close_device(dev);
    test_faults_remove();
    assert_true(tune_file(path, sizeof path));
    read_file(path, text, sizeof text);
    const char *lost = strstr(text, "lost matmul:");
    assert_non_null(lost);
    assert_int_equal(sscanf(lost, "lost %*s %31s", name), 1);
    const uint32_t kernel = tuned();
    assert_string_not_equal(vk_kernel_table[kernel].name, name);
    assert_int_equal(tuned(), kernel); /* and that is kept */
    read_file(path, text, sizeof text);
    assert_non_null(strstr(text, name));
    remove(path);
}

static int make_folder(void **state)
{
    (void)state;
    have_device = test_device_vulkan(&device);
    return mkdtemp(folder) ? 0 : 1;
}

static int need_device(void **state)
{
    (void)state;
    if (!have_device) {
        printf("    skipped: no Vulkan device\n");
        skip();
    }
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(off_measures_and_keeps_nothing, need_device),
        cmocka_unit_test_setup(believed_only_with_its_own_head, need_device),
        cmocka_unit_test_setup(damage_costs_a_measurement_only, need_device),
        cmocka_unit_test_setup(a_wrong_kernel_is_not_picked, need_device),
        cmocka_unit_test_setup(a_kernel_that_loses_the_device_is_left_out, need_device),
    };
    return cmocka_run_group_tests_name("tune", tests, make_folder, remove_folder);
}
