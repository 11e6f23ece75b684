#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t validation_lines;

/* A message while something is destroyed comes after the last wait that could fail. */
static void fail_program(void)
{
    fprintf(stderr, "    %u messages of the validation layer\n", validation_lines);
    fflush(NULL);
    _exit(1);
}

static void print_line(void *user, enum rt_log_level level, const char *line)
{
    (void)user;
    if (level == RT_LOG_ERROR && strncmp(line, "validation:", 11) == 0 &&
        validation_lines++ == 0)
        atexit(fail_program);
    if (level <= RT_LOG_WARNING || getenv("FAULTLINE_TEST_TRACE"))
        fprintf(stderr, "    %s\n", line);
}

void test_ctx(struct rt_ctx *ctx)
{
    *ctx = (struct rt_ctx){ .log = print_line };
}

static void point_loader(void)
{
    static const char *const icds[] = {
        "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json",
        "/usr/lib/chromium/vk_swiftshader_icd.json",
    };
    char list[256] = "";
    if (getenv("VK_ICD_FILENAMES") || getenv("VK_DRIVER_FILES"))
        return;
    for (size_t i = 0; i < RT_COUNT(icds); i++)
        if (access(icds[i], R_OK) == 0)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s",
                     list[0] ? ":" : "", icds[i]);
    if (list[0])
        setenv("VK_ICD_FILENAMES", list, 0);
}

static int wanted(const char *name)
{
    const char *filter = getenv("FAULTLINE_TEST_DEVICES");
    if (!filter || !filter[0])
        return 1;
    char copy[256];
    snprintf(copy, sizeof copy, "%s", filter);
    char *save = NULL;
    for (char *part = strtok_r(copy, ",", &save); part; part = strtok_r(NULL, ",", &save))
        if (strstr(name, part))
            return 1;
    return 0;
}

uint32_t test_devices(struct test_device *out, uint32_t max)
{
    struct rt_ctx ctx;
    struct rt_device_info *list = NULL;
    uint32_t count = 0, n = 0;
    const char *note = NULL;
    test_ctx(&ctx);
    point_loader();
    if (rt_devices_list(&ctx, &list, &count, &note) != RT_OK)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        for (int family = RT_FAMILY_LANES; family < RT_FAMILY_COUNT && n < max;
             family++) {
            const int is_ref = strcmp(list[i].name, "ref") == 0;
            if (!list[i].usable || (is_ref && family != RT_FAMILY_LANES))
                continue;
            struct test_device d = { .family = (enum rt_family)family };
            snprintf(d.device, sizeof d.device, "%s", list[i].name);
            snprintf(d.name, sizeof d.name, "%s/%s", list[i].name,
                     family == RT_FAMILY_LANES ? "lanes" : "tiled");
            if (wanted(d.name))
                out[n++] = d;
        }
    rt_free(list);
    return n;
}

bool test_device_vulkan(struct test_device *out)
{
    return test_devices(out, 1) == 1 && strcmp(out->device, "ref") != 0;
}

struct rt_device *test_device_open(struct rt_ctx *ctx, const struct test_device *device)
{
    struct rt_device *dev = NULL;
    const struct rt_device_options options = {
        .name = device->device,
        .family = device->family,
        .kv = device->kv ? device->kv : RT_KV_F32,
        .validation = getenv("FAULTLINE_TEST_NO_VALIDATION") == NULL,
    };
    if (!ctx->log)
        ctx->log = print_line;
    if (rt_device_create(ctx, &options, &dev) != RT_OK)
        fail_msg("%s: %s", device->name, ctx->message);
    return dev;
}

struct rt_buffer *test_upload(struct rt_device *dev, const void *data, uint64_t size)
{
    struct rt_buffer *buffer = NULL;
    const struct rt_buffer_info info = { .name = "test", .size = size };
    if (rt_buffer_create(dev, &info, &buffer) != RT_OK ||
        rt_buffer_write(buffer, 0, data, size) != RT_OK)
        fail_msg("%s", rt_device_ctx(dev)->message);
    return buffer;
}

const char *test_path(char *buffer, size_t size, const char *relative)
{
    static const char golden[] = "tests/golden/";
    const char *other = getenv("FAULTLINE_TEST_GOLDEN");
    if (other && strncmp(relative, golden, sizeof golden - 1) == 0)
        snprintf(buffer, size, "%s/%s", other, relative + sizeof golden - 1);
    else
        snprintf(buffer, size, "%s/%s", TEST_SOURCE_DIR, relative);
    return buffer;
}

float *test_floats(const char *path, size_t count)
{
    FILE *file = fopen(path, "rb");
    float *values = calloc(count ? count : 1, sizeof *values);
    if (!file || !values || fread(values, sizeof *values, count, file) != count)
        fail_msg("%s: not %zu floats", path, count);
    fclose(file);
    return values;
}

double test_max_difference(const float *a, const float *b, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= most))
            most = isnan(d) ? INFINITY : d;
    }
    return most;
}

bool test_device_is_slow(const struct test_device *device)
{
    return strstr(device->name, "swiftshader") && device->family == RT_FAMILY_TILED;
}

bool test_device_compiles_slowly(const struct test_device *device)
{
    return strstr(device->name, "swiftshader") != NULL;
}
