/* runtime/device/device.c
 * Choice of a device and forwarding to its backend; what both backends share. */
#include "runtime/device/device_impl.h"

#include "runtime/base/os.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- choosing ---- */

/* In the order of their devices in lists. */
static const struct rt_backend *const backends[] = { &vk_backend, &ref_backend };

/* Adds a backend's devices to a list. */
static rt_status add_devices(struct rt_ctx *ctx, const struct rt_backend *backend,
                             struct rt_device_info **list, uint32_t *count,
                             const char **note)
{
    rt_status st;
    struct rt_device_info *more = NULL;
    uint32_t n = 0;
    TRY(backend->list(ctx, &more, &n, note));
    struct rt_device_info *all = rt_resize(ctx, *list, *count, *count + n, sizeof *all);
    if (!all) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no host memory for the device list");
        goto fail;
    }
    for (uint32_t i = 0; i < n; i++) {
        all[*count + i] = more[i];
        all[*count + i].backend = backend;
        all[*count + i].index = i;
    }
    *list = all;
    *count += n;

fail:
    rt_free(more);
    return st;
}

/* The devices of one backend, or of all (NULL). */
static rt_status list_devices(struct rt_ctx *ctx, const struct rt_backend *only,
                              struct rt_device_info **out, uint32_t *count,
                              const char **note)
{
    rt_status st = RT_OK;
    *out = NULL;
    *count = 0;
    *note = NULL;
    for (size_t i = 0; i < RT_COUNT(backends); i++)
        if (!only || backends[i] == only)
            TRY(add_devices(ctx, backends[i], out, count, note));
    return RT_OK;

fail:
    rt_free(*out);
    *out = NULL;
    *count = 0;
    return st;
}

rt_status rt_devices_list(struct rt_ctx *ctx, struct rt_device_info **out,
                          uint32_t *count, const char **note)
{
    return list_devices(ctx, NULL, out, count, note);
}

/* Software devices, the twins among them, compute in the host's memory. */
static bool is_host_memory(const struct rt_device_info *info)
{
    return info->software;
}

uint64_t rt_device_memory_bytes(const struct rt_device_info *info)
{
    return is_host_memory(info) ? os_memory_available() : info->facts.device_heap_bytes;
}

bool rt_device_serves_head(const struct rt_device_info *info, uint32_t head_dim)
{
    return info->backend->serves_head(head_dim);
}

void rt_device_plan_make(const struct rt_device_info *info,
                         const struct rt_plan_options *options, struct rt_plan *plan)
{
    info->backend->plan_make(info, options, plan);
}

uint64_t rt_device_memory_left(const struct rt_device *dev)
{
    const uint64_t all = rt_device_memory_bytes(&dev->info);
    const uint64_t used = is_host_memory(&dev->info) ? 0 : dev->stats.buffer_bytes;
    return used < all ? all - used : 0;
}

/* The backend whose one device has this name; NULL: none. */
static const struct rt_backend *backend_named(const char *name)
{
    for (size_t i = 0; name && i < RT_COUNT(backends); i++)
        if (backends[i]->device && strcmp(backends[i]->device, name) == 0)
            return backends[i];
    return NULL;
}

/* "amd-0:navi33" is found by itself, "amd-0" and "navi33". */
static bool name_fits(const char *name, const char *wanted)
{
    if (strcmp(name, wanted) == 0)
        return true;
    const char *colon = strchr(name, ':');
    if (!colon)
        return false;
    const size_t head = (size_t)(colon - name);
    return strcmp(colon + 1, wanted) == 0 ||
           (strlen(wanted) == head && strncmp(name, wanted, head) == 0);
}

/* Discrete before integrated before software; 0: only when it is named. */
static int rank_of(const struct rt_device_info *info)
{
    if (!info->usable || info->backend->device)
        return 0;
    return info->software ? 1 : info->facts.discrete ? 3 : 2;
}

static const struct rt_device_info *choose(const struct rt_device_info *list,
                                           uint32_t count, const char *wanted)
{
    const bool automatic = !wanted || strcmp(wanted, "auto") == 0;
    const struct rt_device_info *best = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (!automatic && name_fits(list[i].name, wanted))
            return &list[i];
        if (automatic && rank_of(&list[i]) > (best ? rank_of(best) : 0))
            best = &list[i];
    }
    return best;
}

static rt_status no_such_device(struct rt_ctx *ctx, const struct rt_device_info *list,
                                uint32_t count, const char *wanted, const char *note)
{
    char names[512] = "";
    for (uint32_t i = 0; i < count; i++) {
        const size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", list[i].name);
    }
    if (!wanted || strcmp(wanted, "auto") == 0)
        return rt_fail(ctx, RT_ERR_NO_DEVICE,
                       "no usable Vulkan device%s%s; install a Vulkan driver "
                       "(mesa-vulkan-drivers has a software one) or use --device ref",
                       note ? ": " : "", note ? note : "");
    return rt_fail(ctx, RT_ERR_NO_DEVICE, "no device named '%s'; there are: %s", wanted,
                   names);
}

rt_status rt_device_create(struct rt_ctx *ctx, const struct rt_device_options *options,
                           struct rt_device **out)
{
    *out = NULL;
    rt_status st;
    struct rt_device_info *list = NULL;
    uint32_t count = 0;
    const char *note = NULL;
    TRY(list_devices(ctx, backend_named(options->name), &list, &count, &note));
    const struct rt_device_info *info = choose(list, count, options->name);
    if (!info)
        st = no_such_device(ctx, list, count, options->name, note);
    else if (!info->usable)
        st = rt_fail(ctx, RT_ERR_NO_DEVICE, "device '%s' cannot be used: %s", info->name,
                     info->why);
    else
        st = info->backend->open(ctx, options, info, out);

fail:
    rt_free(list);
    return st;
}

/* ---- forwarding ---- */

void rt_device_destroy(struct rt_device **dev)
{
    if (*dev)
        (*dev)->vt->destroy(*dev);
    *dev = NULL;
}

const struct rt_device_info *rt_device_info_of(const struct rt_device *dev)
{
    return &dev->info;
}

const struct rt_plan *rt_device_plan(const struct rt_device *dev)
{
    return &dev->plan;
}

struct rt_ctx *rt_device_ctx(const struct rt_device *dev)
{
    return dev->ctx;
}

uint64_t rt_device_validation_count(const struct rt_device *dev)
{
    return dev->validation_count;
}

rt_status rt_buffer_create(struct rt_device *dev, const struct rt_buffer_info *info,
                           struct rt_buffer **out)
{
    *out = NULL;
    if (info->size == 0)
        return rt_fail(dev->ctx, RT_ERR_USAGE, "buffer '%s' has no size", info->name);
    const rt_status st = dev->vt->buffer_create(dev, info, out);
    if (st != RT_OK)
        return st;
    snprintf((*out)->name, sizeof(*out)->name, "%s", info->name);
    dev->stats.buffer_bytes += info->size;
    if (dev->stats.buffer_bytes > dev->stats.buffer_bytes_max)
        dev->stats.buffer_bytes_max = dev->stats.buffer_bytes;
    return RT_OK;
}

void rt_buffer_destroy(struct rt_buffer **buffer)
{
    if (*buffer) {
        (*buffer)->dev->stats.buffer_bytes -= (*buffer)->size;
        (*buffer)->dev->vt->buffer_destroy(*buffer);
    }
    *buffer = NULL;
}

uint64_t rt_buffer_size(const struct rt_buffer *buffer)
{
    return buffer->size;
}

void *rt_buffer_map(struct rt_buffer *buffer)
{
    return buffer->memory == RT_MEMORY_DEVICE ? NULL : buffer->host;
}

static rt_status check_range(const struct rt_buffer *buffer, uint64_t offset,
                             uint64_t size)
{
    if (offset > buffer->size || size > buffer->size - offset)
        return rt_fail(buffer->dev->ctx, RT_ERR_INTERNAL,
                       "buffer '%s': bytes %llu to %llu of %llu", buffer->name,
                       (unsigned long long)offset, (unsigned long long)(offset + size),
                       (unsigned long long)buffer->size);
    return RT_OK;
}

rt_status rt_buffer_write(struct rt_buffer *buffer, uint64_t offset, const void *data,
                          uint64_t size)
{
    const rt_status st = check_range(buffer, offset, size);
    return st == RT_OK ? buffer->dev->vt->buffer_write(buffer, offset, data, size) : st;
}

rt_status rt_buffer_read(struct rt_buffer *buffer, uint64_t offset, void *data,
                         uint64_t size)
{
    const rt_status st = check_range(buffer, offset, size);
    return st == RT_OK ? buffer->dev->vt->buffer_read(buffer, offset, data, size) : st;
}

uint64_t rt_slice_bytes(struct rt_slice slice)
{
    return slice.size ? slice.size : slice.buffer->size - slice.offset;
}

rt_status rt_list_create(struct rt_device *dev, const char *name, struct rt_list **out)
{
    *out = NULL;
    const rt_status st = dev->vt->list_create(dev, name, out);
    if (st != RT_OK)
        return st;
    snprintf((*out)->name, sizeof(*out)->name, "%s", name);
    (*out)->dev = dev;
    (*out)->context = 64;
    return RT_OK;
}

void rt_list_destroy(struct rt_list **list)
{
    if (*list)
        (*list)->dev->vt->list_destroy(*list);
    *list = NULL;
}

void rt_list_op(struct rt_list *list, enum rt_op op, const void *push,
                const struct rt_slice *slices)
{
    if (list->status != RT_OK)
        return;
    for (uint32_t i = 0; i < rt_op_table[op].binding_count; i++) {
        if (slices[i].buffer && slices[i].offset % 256 == 0 &&
            slices[i].offset < slices[i].buffer->size)
            continue;
        list->status = rt_fail(list->dev->ctx, RT_ERR_INTERNAL,
                               "list '%s', op %s: binding %u is not a valid range",
                               list->name, rt_op_table[op].name, i);
        return;
    }
    list->status = list->dev->vt->list_op(list, op, push, slices);
}

void rt_list_copy(struct rt_list *list, struct rt_slice from, struct rt_slice to)
{
    if (list->status == RT_OK)
        list->status = list->dev->vt->list_copy(list, from, to);
}

void rt_list_zero(struct rt_list *list, struct rt_slice slice)
{
    if (list->status == RT_OK)
        list->status = list->dev->vt->list_zero(list, slice);
}

void rt_list_context(struct rt_list *list, double keys)
{
    list->context = keys;
}

rt_status rt_list_end(struct rt_list *list)
{
    if (list->status == RT_OK)
        list->status = list->dev->vt->list_end(list);
    list->ended = list->status == RT_OK;
    return list->status;
}

rt_status rt_submit(struct rt_device *dev, struct rt_list *list)
{
    if (!list->ended)
        return rt_fail(dev->ctx, RT_ERR_USAGE, "list '%s' was not ended", list->name);
    return dev->vt->submit(dev, list);
}

rt_status rt_wait(struct rt_device *dev)
{
    return dev->vt->wait(dev);
}

void rt_device_stats_get(const struct rt_device *dev, struct rt_device_stats *out)
{
    *out = dev->stats;
}

void rt_device_stats_reset(struct rt_device *dev)
{
    const struct rt_device_stats old = dev->stats;
    dev->stats = (struct rt_device_stats){ .device_allocs = old.device_allocs,
                                           .buffer_bytes = old.buffer_bytes,
                                           .buffer_bytes_max = old.buffer_bytes };
}
