/* pipeline/run/doctor.c
 * Checks of devices and of the results folder. */
#include "pipeline/run/doctor.h"

#include "runtime/base/os.h"

#include <stdio.h>
#include <string.h>

enum { DISK_MIB_MIN = 200 };

static void add(struct pipe_doctor *d, const char *code, enum pipe_doctor_kind kind,
                const char *next, const char *fmt, ...) RT_PRINTF(5, 6);
static void add(struct pipe_doctor *d, const char *code, enum pipe_doctor_kind kind,
                const char *next, const char *fmt, ...)
{
    if (d->count == PIPE_DOCTOR_MAX)
        return;
    struct pipe_doctor_finding *f = &d->list[d->count++];
    *f = (struct pipe_doctor_finding){ .code = code, .kind = kind, .next = next };
    va_list args;
    va_start(args, fmt);
    vsnprintf(f->text, sizeof f->text, fmt, args);
    va_end(args);
}

/* One op end to end: memory, pipeline, submission, reading back. */
static rt_status self_test(struct rt_device *dev)
{
    rt_status st;
    struct rt_buffer *x = NULL, *y = NULL;
    struct rt_list *list = NULL;
    const struct rt_buffer_info info = { .name = "doctor", .size = 4096 };
    const float ones[4] = { 1, 2, 3, 4 };
    float back[4] = { 0 };
    const struct add_push push = { .count = 4, .scale = 2 };
    TRY(rt_buffer_create(dev, &info, &x));
    TRY(rt_buffer_create(dev, &info, &y));
    TRY(rt_buffer_write(x, 0, ones, sizeof ones));
    TRY(rt_list_create(dev, "doctor", &list));
    const struct rt_slice slices[] = { { .buffer = x }, { .buffer = y } };
    rt_list_op(list, RT_OP_add, &push, slices);
    TRY(rt_list_end(list));
    TRY(rt_submit(dev, list));
    TRY(rt_wait(dev));
    TRY(rt_buffer_read(y, 0, back, sizeof back));
    if (!(back[0] == 2 && back[3] == 8))
        st = rt_fail(rt_device_ctx(dev), RT_ERR_INTERNAL,
                     "device '%s' computes wrong sums", rt_device_info_of(dev)->name);

fail:
    rt_list_destroy(&list);
    rt_buffer_destroy(&x);
    rt_buffer_destroy(&y);
    return st;
}

static void check_device(struct pipe_doctor *d, const struct rt_device *dev,
                         bool validation)
{
    const struct rt_device_info *info = rt_device_info_of(dev);
    add(d, "D10", PIPE_DOCTOR_GOOD, NULL, "%s: %s, %s", info->name, info->description,
        info->driver);
    if (info->software)
        add(d, "D11", PIPE_DOCTOR_NOTE, "faultline devices",
            "a software device: right, but slow");
    if (info->facts.timestamp_ns > 0)
        add(d, "D12", PIPE_DOCTOR_GOOD, NULL, "device timestamps, %.0f ns apart",
            (double)info->facts.timestamp_ns);
    else
        add(d, "D12", PIPE_DOCTOR_NOTE, NULL,
            "no device timestamps: profiles stay empty");
    if (validation)
        add(d, "D13",
            rt_device_validation_count(dev) ? PIPE_DOCTOR_BAD : PIPE_DOCTOR_GOOD, NULL,
            "%llu messages of the validation layer",
            (unsigned long long)rt_device_validation_count(dev));
}

void pipe_doctor_store(struct pipe_doctor *d, const char *path)
{
    char folder[512];
    uint64_t bytes;
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    else
        snprintf(folder, sizeof folder, ".");
    if (!os_writable(folder) || !os_disk_available(folder, &bytes)) {
        add(d, "D20", PIPE_DOCTOR_BAD, "--store FILE, in a folder that can be written",
            "results folder '%s' cannot be written", folder);
        return;
    }
    const unsigned long long mib = bytes / 1048576;
    add(d, "D21", mib < DISK_MIB_MIN ? PIPE_DOCTOR_NOTE : PIPE_DOCTOR_GOOD,
        mib < DISK_MIB_MIN ? "make room: a demo store takes about 100 MiB" : NULL,
        "results go to %s, %llu MiB free", path, mib);
}

void pipe_doctor_devices(struct rt_ctx *ctx, struct pipe_doctor *d)
{
    uint32_t usable = 0;
    const char *note = NULL;
    if (rt_devices_list(ctx, &d->devices, &d->device_count, &note) != RT_OK) {
        add(d, "D01", PIPE_DOCTOR_BAD, NULL, "devices cannot be listed: %.200s",
            ctx->message);
        return;
    }
    for (uint32_t i = 0; i < d->device_count; i++) {
        const struct rt_device_info *info = &d->devices[i];
        usable += info->usable;
        if (!info->usable)
            add(d, "D02", PIPE_DOCTOR_NOTE, NULL, "%s cannot be used: %.200s", info->name,
                info->why);
    }
    if (note)
        add(d, "D03", PIPE_DOCTOR_BAD,
            "install a Vulkan driver (Debian: mesa-vulkan-drivers)", "%s", note);
    else
        add(d, "D01", PIPE_DOCTOR_GOOD, NULL, "Vulkan loader, %u usable devices with ref",
            usable);
}

rt_status pipe_doctor_device(struct rt_ctx *ctx, struct pipe_doctor *d,
                             struct rt_device *dev, rt_status opened, bool validation)
{
    char plan[512];
    const rt_status st = opened == RT_OK ? self_test(dev) : opened;
    if (dev) {
        check_device(d, dev, validation);
        rt_plan_print(rt_device_plan(dev), plan, sizeof plan);
        add(d, "D14", PIPE_DOCTOR_GOOD, NULL, "plan %s", plan);
    }
    if (st == RT_OK)
        add(d, "D15", PIPE_DOCTOR_GOOD, NULL, "self-test passed");
    else
        add(d, "D15", PIPE_DOCTOR_BAD,
            "--device NAME with another of `faultline devices`",
            "no device to work with: %.250s", ctx->message);
    return st;
}

void pipe_doctor_deinit(struct pipe_doctor *d)
{
    rt_free(d->devices);
    *d = (struct pipe_doctor){ 0 };
}
