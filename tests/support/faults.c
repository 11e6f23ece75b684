/* tests/support/faults.c
 * Counting, and the faults of a backend's table of calls. */
#include "tests/support/faults.h"

#include "runtime/device/device_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

const char *const test_fault_names[TEST_FAULT_COUNT] = { "allocate", "map",    "pipeline",
                                                         "object",   "submit", "wait",
                                                         "lost" };

static struct {
    enum test_fault kind;
    uint64_t n, calls;
    bool hit, lost;
    int64_t live, kept;
    const char *misuse;
    const struct rt_device_vtable *below; /* the device's own */
    bool vulkan;
} faults;

void test_faults_arm(enum test_fault kind, uint64_t n)
{
    faults.kind = kind;
    faults.n = n;
    faults.calls = 0;
    faults.hit = faults.lost = false;
}

uint64_t test_faults_calls(void)
{
    return faults.calls;
}

bool test_faults_hit(void)
{
    return faults.hit;
}

uint64_t test_faults_live(void)
{
    return (uint64_t)faults.live;
}

uint64_t test_faults_live_all(void)
{
    return (uint64_t)(faults.live + faults.kept);
}

const char *test_faults_misuse(void)
{
    return faults.misuse;
}

bool test_fault_here(enum test_fault kind)
{
    if (kind != faults.kind)
        return false;
    faults.calls++;
    if (faults.calls != faults.n)
        return false;
    faults.hit = true;
    faults.lost = kind == TEST_FAULT_LOST;
    return true;
}

bool test_fault_is_lost(void)
{
    return faults.lost;
}

void test_fault_misuse(const char *what)
{
    if (!faults.misuse)
        faults.misuse = what;
}

void test_fault_objects(int64_t count, bool kept)
{
    *(kept ? &faults.kept : &faults.live) += count;
}

/* ---- a backend's calls ---- */

static void destroy(struct rt_device *dev)
{
    faults.below->destroy(dev);
}

/* The status of a call that is to fail, else RT_OK. */
static rt_status injected(struct rt_device *dev, enum test_fault kind, rt_status status)
{
    if (test_fault_is_lost() || test_fault_here(TEST_FAULT_LOST))
        return rt_fail(dev->ctx, RT_ERR_DEVICE_LOST, "injected: the device is lost");
    return test_fault_here(kind)
               ? rt_fail(dev->ctx, status, "injected: %s", test_fault_names[kind])
               : RT_OK;
}

static rt_status buffer_create(struct rt_device *dev, const struct rt_buffer_info *info,
                               struct rt_buffer **out)
{
    if (test_fault_here(TEST_FAULT_ALLOCATE))
        return rt_fail(dev->ctx, RT_ERR_DEVICE_MEMORY, "injected: no device memory");
    const rt_status st = faults.below->buffer_create(dev, info, out);
    test_fault_objects(st == RT_OK, false);
    return st;
}

static void buffer_destroy(struct rt_buffer *buffer)
{
    test_fault_objects(-1, false);
    faults.below->buffer_destroy(buffer);
}

static rt_status buffer_write(struct rt_buffer *buffer, uint64_t offset, const void *data,
                              uint64_t size)
{
    const rt_status st = injected(buffer->dev, TEST_FAULT_WAIT, RT_ERR_HOST_MEMORY);
    return st == RT_OK ? faults.below->buffer_write(buffer, offset, data, size) : st;
}

static rt_status buffer_read(struct rt_buffer *buffer, uint64_t offset, void *data,
                             uint64_t size)
{
    const rt_status st = injected(buffer->dev, TEST_FAULT_WAIT, RT_ERR_HOST_MEMORY);
    return st == RT_OK ? faults.below->buffer_read(buffer, offset, data, size) : st;
}

static rt_status object(struct rt_device *dev)
{
    return test_fault_here(TEST_FAULT_OBJECT)
               ? rt_fail(dev->ctx, RT_ERR_HOST_MEMORY, "injected: no host memory")
               : RT_OK;
}

static rt_status list_create(struct rt_device *dev, const char *name,
                             struct rt_list **out)
{
    rt_status st = object(dev);
    if (st == RT_OK)
        st = faults.below->list_create(dev, name, out);
    test_fault_objects(st == RT_OK, false);
    return st;
}

static void list_destroy(struct rt_list *list)
{
    test_fault_objects(-1, false);
    faults.below->list_destroy(list);
}

static rt_status list_op(struct rt_list *list, enum rt_op op, const void *push,
                         const struct rt_slice *slices)
{
    const rt_status st = object(list->dev);
    return st == RT_OK ? faults.below->list_op(list, op, push, slices) : st;
}

static rt_status list_copy(struct rt_list *list, struct rt_slice from, struct rt_slice to)
{
    const rt_status st = object(list->dev);
    return st == RT_OK ? faults.below->list_copy(list, from, to) : st;
}

static rt_status list_zero(struct rt_list *list, struct rt_slice slice)
{
    const rt_status st = object(list->dev);
    return st == RT_OK ? faults.below->list_zero(list, slice) : st;
}

static rt_status list_end(struct rt_list *list)
{
    const rt_status st = object(list->dev);
    return st == RT_OK ? faults.below->list_end(list) : st;
}

static rt_status submit(struct rt_device *dev, struct rt_list *list)
{
    const rt_status st = injected(dev, TEST_FAULT_SUBMIT, RT_ERR_DEVICE_MEMORY);
    return st == RT_OK ? faults.below->submit(dev, list) : st;
}

static rt_status wait_all(struct rt_device *dev)
{
    const rt_status st = injected(dev, TEST_FAULT_WAIT, RT_ERR_HOST_MEMORY);
    return st == RT_OK ? faults.below->wait(dev) : st;
}

static const struct rt_device_vtable vtable = {
    .destroy = destroy,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .buffer_write = buffer_write,
    .buffer_read = buffer_read,
    .list_create = list_create,
    .list_destroy = list_destroy,
    .list_op = list_op,
    .list_copy = list_copy,
    .list_zero = list_zero,
    .list_end = list_end,
    .submit = submit,
    .wait = wait_all,
};

void test_faults_install(struct rt_device *dev)
{
    assert_null(faults.below);
    memset(&faults, 0, sizeof faults);
    faults.below = dev->vt;
    faults.vulkan = strcmp(dev->info.name, "ref") != 0;
    if (faults.vulkan)
        test_faults_vk_install(dev);
    else
        dev->vt = &vtable;
}

void test_faults_remove(void)
{
    if (faults.vulkan)
        test_faults_vk_remove();
    faults.below = NULL;
}
