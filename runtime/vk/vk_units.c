/* runtime/vk/vk_units.c
 * Whether the kernels for matrix units are right on a device. Before a plan takes them by
 * itself, each runs products of several weights and numbers of rows against the twin, and
 * row by row with the others' bits (vk_tune_check.c). The verdict is kept under device,
 * driver and kernels, so that it is the same in every later run: it is part of numerics. */
#include "runtime/op/weight.h"
#include "runtime/vk/vk.h"

#include <stdio.h>
#include <string.h>

enum { KERNELS_MAX = 8 };

/* What is tried: weights of a model's usual forms, few rows and more than a tile has. */
static const struct matmul_push tried[] = {
    { .rows = 3, .bits = 4, .group = 32, .form = RT_FORM_HALF },
    { .rows = 64, .bits = 4, .group = 32, .form = RT_FORM_HALF },
    { .rows = 64, .bits = 8, .group = 32, .form = RT_FORM_HALF },
    { .rows = 64, .bits = 3, .group = 0, .form = RT_FORM_ZERO },
    { .rows = 17, .bits = 16 },
};

/* Name and first line of the file: whom the verdict holds for. */
static void name_file(const struct vk_device *dev, char path[1024], char head[160])
{
    char uuid[33];
    const struct rt_facts *facts = &dev->base.info.facts;
    vk_uuid_text(dev, uuid);
    path[0] = '\0';
    snprintf(head, 160, "faultline-units 1 device %s driver %u %08x kernels %08x ", uuid,
             facts->driver_id, facts->driver_version, dev->base.info.kernels);
    if (dev->cache_dir)
        snprintf(path, 1024, "%s/units-%s-%u-%08x", dev->cache_dir, uuid,
                 facts->driver_id, facts->driver_version);
}

/* False: nothing is known. A file of another driver, or a damaged one, counts as none. */
static bool is_kept(const char *path, const char *head, bool *right)
{
    char line[200];
    FILE *file = path[0] ? fopen(path, "r") : NULL;
    const bool read = file && fgets(line, sizeof line, file);
    if (file)
        fclose(file);
    const size_t n = strlen(head);
    if (!read || strncmp(line, head, n) != 0)
        return false;
    *right = strcmp(line + n, "right\n") == 0;
    return *right || strcmp(line + n, "wrong\n") == 0;
}

/* Every kernel for matrix units with one weight. */
static rt_status check_one(struct vk_device *dev, const struct matmul_push *of,
                           bool *right)
{
    rt_status st;
    struct matmul_push push = *of;
    uint32_t kernels[KERNELS_MAX], count = 0;
    bool each[KERNELS_MAX];
    push.out_pad = push.part1 = push.part2 = 128;
    push.in_pad = 512;
    push.ldx = 512;
    push.ldy = 128;
    push.flags = RT_MATMUL_MAY_ROUND;
    for (uint32_t k = 0; k < vk_kernel_count && count < KERNELS_MAX; k++)
        if (vk_kernel_table[k].op == RT_OP_matmul &&
            vk_kernel_table[k].products == RT_PRODUCTS_F16 &&
            vk_matmul_fits(RT_OP_matmul, &push, k))
            kernels[count++] = k;
    TRY(vk_tune_check(dev, RT_OP_matmul, &push, kernels, count, each));
    for (uint32_t i = 0; i < count; i++)
        *right = *right && each[i];
    *right = *right && count > 0;

fail:
    return st;
}

/* All of them. *right is false too where the driver cannot make a kernel or loses the device
 * under it, which is then the status. */
static rt_status check_all(struct vk_device *dev, bool *right)
{
    rt_status st = RT_OK;
    for (size_t i = 0; i < RT_COUNT(tried) && *right && st == RT_OK; i++) {
        st = check_one(dev, &tried[i], right);
        if (st == RT_ERR_NO_DEVICE || st == RT_ERR_DEVICE_LOST)
            *right = false;
    }
    return st;
}

rt_status vk_units_settle(struct vk_device *dev)
{
    rt_status st = RT_OK;
    char path[1024], head[160], line[200];
    bool right = true;
    struct rt_plan *plan = &dev->base.plan;
    if (plan->rounded != RT_PRODUCTS_F16)
        return RT_OK;
    name_file(dev, path, head);
    if (!is_kept(path, head, &right)) {
        st = check_all(dev, &right);
        if (st != RT_OK && right)
            return st;
        const int n =
            snprintf(line, sizeof line, "%s%s\n", head, right ? "right" : "wrong");
        if (path[0])
            rt_cache_write(path, line, (size_t)n);
    }
    if (!right) {
        plan->rounded = plan->products;
        rt_log(dev->base.ctx, RT_LOG_WARNING,
               "device '%s': its matrix units give wrong products under driver '%s'; all "
               "products stay f32",
               dev->base.info.name, dev->base.info.driver);
    }
    return st == RT_ERR_DEVICE_LOST ? st : RT_OK; /* run again, it goes without them */
}
