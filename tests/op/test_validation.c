/* The validation layer is on in device tests and a message fails them: a misuse that is
 * recorded on purpose is reported on every Vulkan device, and turns the next wait into an
 * error. Correct work gives no message. */
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 4096, MORE_THAN_A_BLOCK = 256 << 20 };

struct heard {
    uint32_t lines;
    char first[200];
};

static void listen(void *user, enum rt_log_level level, const char *line)
{
    struct heard *heard = user;
    if (level == RT_LOG_ERROR && heard->lines++ == 0)
        snprintf(heard->first, sizeof heard->first, "%s", line);
}

/* Copies `size` bytes of one buffer to the other; null where it cannot be recorded. */
static struct rt_list *record_copy(struct rt_device *dev, struct rt_buffer *from,
                                   struct rt_buffer *to, uint64_t size)
{
    struct rt_list *list = NULL;
    assert_int_equal(rt_list_create(dev, "copy", &list), RT_OK);
    rt_list_copy(list, (struct rt_slice){ from, 0, size },
                 (struct rt_slice){ to, 0, size });
    assert_int_equal(rt_list_end(list), RT_OK);
    return list;
}

static rt_status run(struct rt_device *dev, struct rt_list *list)
{
    const rt_status st = rt_submit(dev, list);
    return st == RT_OK ? rt_wait(dev) : st;
}

static void check_device(const struct test_device *device)
{
    struct heard heard = { 0 };
    struct rt_ctx ctx = { .log = listen, .log_user = &heard };
    struct rt_buffer *from = NULL, *to = NULL;
    const struct rt_buffer_info info = { .name = "bytes", .size = BYTES };
    struct rt_device *dev = test_device_open(&ctx, device);
    assert_int_equal(rt_buffer_create(dev, &info, &from), RT_OK);
    assert_int_equal(rt_buffer_create(dev, &info, &to), RT_OK);

    struct rt_list *good = record_copy(dev, from, to, BYTES);
    if (run(dev, good) != RT_OK)
        fail_msg("%s: %s", device->name, ctx.message);
    assert_int_equal(rt_device_validation_count(dev), 0);
    assert_int_equal(heard.lines, 0);

    /* Past the end of the memory block: never submitted, and reported all the same. */
    struct rt_list *bad = record_copy(dev, from, to, MORE_THAN_A_BLOCK);
    if (rt_device_validation_count(dev) == 0)
        fail_msg("%s: the validation layer says nothing", device->name);
    assert_int_equal(heard.lines, rt_device_validation_count(dev));
    assert_int_equal(run(dev, good), RT_ERR_INTERNAL);
    assert_non_null(strstr(ctx.message, "validation messages"));
    printf("    %-30s %.140s\n", device->name, heard.first);

    rt_list_destroy(&bad);
    rt_list_destroy(&good);
    rt_buffer_destroy(&from);
    rt_buffer_destroy(&to);
    rt_device_destroy(&dev);
}

static void a_misuse_is_reported_and_fails(void **state)
{
    (void)state;
    if (getenv("FAULTLINE_TEST_NO_VALIDATION")) {
        printf("    skipped: FAULTLINE_TEST_NO_VALIDATION is set\n");
        skip();
    }
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    uint32_t vulkan = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(devices[i].device, "ref") == 0 || devices[i].family != RT_FAMILY_LANES)
            continue;
        check_device(&devices[i]);
        vulkan++;
    }
    if (vulkan == 0) {
        printf("    skipped: no Vulkan device among those to test\n");
        skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        a_misuse_is_reported_and_fails) };
    return cmocka_run_group_tests_name("validation", tests, NULL, NULL);
}
