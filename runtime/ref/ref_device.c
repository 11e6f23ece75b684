/* runtime/ref/ref_device.c
 * The twins as a device: memory is host memory, a list is an array of calls. Slow and
 * simple; it runs whole models (--device ref) and is what other devices are held to. */
#include "runtime/device/device_impl.h"
#include "runtime/ref/ref.h"

#include <stdio.h>
#include <string.h>

enum ref_kind { REF_OP, REF_COPY, REF_ZERO };

struct ref_call {
    enum ref_kind kind;
    enum rt_op op;
    uint8_t push[128];
    struct rt_slice slices[RT_OP_BINDINGS_MAX];
    struct rt_op_cost cost;
};

struct ref_list {
    struct rt_list base;
    struct ref_call *calls;
    size_t count, capacity;
};

static void destroy(struct rt_device *dev)
{
    rt_free(dev);
}

static rt_status buffer_create(struct rt_device *dev, const struct rt_buffer_info *info,
                               struct rt_buffer **out)
{
    struct rt_buffer *buffer = rt_alloc(dev->ctx, 1, sizeof *buffer);
    void *host = rt_alloc(dev->ctx, info->size, 1);
    if (!buffer || !host) {
        rt_free(buffer);
        rt_free(host);
        return rt_fail(dev->ctx, RT_ERR_DEVICE_MEMORY,
                       "buffer '%s': no memory for %llu bytes on device 'ref'",
                       info->name, (unsigned long long)info->size);
    }
    buffer->dev = dev;
    buffer->size = info->size;
    buffer->memory = info->memory;
    buffer->host = host;
    dev->stats.device_allocs++;
    *out = buffer;
    return RT_OK;
}

static void buffer_destroy(struct rt_buffer *buffer)
{
    rt_free(buffer->host);
    rt_free(buffer);
}

static rt_status buffer_write(struct rt_buffer *buffer, uint64_t offset, const void *data,
                              uint64_t size)
{
    memcpy((char *)buffer->host + offset, data, size);
    return RT_OK;
}

static rt_status buffer_read(struct rt_buffer *buffer, uint64_t offset, void *data,
                             uint64_t size)
{
    memcpy(data, (const char *)buffer->host + offset, size);
    return RT_OK;
}

static rt_status list_create(struct rt_device *dev, const char *name,
                             struct rt_list **out)
{
    struct ref_list *list = rt_alloc(dev->ctx, 1, sizeof *list);
    if (!list)
        return rt_fail(dev->ctx, RT_ERR_HOST_MEMORY, "list '%s'", name);
    *out = &list->base;
    return RT_OK;
}

static void list_destroy(struct rt_list *base)
{
    struct ref_list *list = (struct ref_list *)base;
    rt_free(list->calls);
    rt_free(list);
}

static rt_status append(struct rt_list *base, const struct ref_call *call)
{
    struct ref_list *list = (struct ref_list *)base;
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct ref_call *calls = rt_resize(base->dev->ctx, list->calls, list->capacity,
                                           capacity, sizeof *calls);
        if (!calls)
            return rt_fail(base->dev->ctx, RT_ERR_HOST_MEMORY, "list '%s'", base->name);
        list->calls = calls;
        list->capacity = capacity;
    }
    list->calls[list->count++] = *call;
    return RT_OK;
}

static rt_status list_op(struct rt_list *list, enum rt_op op, const void *push,
                         const struct rt_slice *slices)
{
    struct ref_call call = { .kind = REF_OP,
                             .op = op,
                             .cost = rt_op_cost_of(op, push, list->context) };
    memcpy(call.push, push, rt_op_table[op].push_bytes);
    memcpy(call.slices, slices, rt_op_table[op].binding_count * sizeof *slices);
    return append(list, &call);
}

static rt_status list_copy(struct rt_list *list, struct rt_slice from, struct rt_slice to)
{
    const struct ref_call call = { .kind = REF_COPY, .slices = { from, to } };
    return append(list, &call);
}

static rt_status list_zero(struct rt_list *list, struct rt_slice slice)
{
    const struct ref_call call = { .kind = REF_ZERO, .slices = { slice } };
    return append(list, &call);
}

static rt_status list_end(struct rt_list *list)
{
    (void)list;
    return RT_OK;
}

static void *address(struct rt_slice slice)
{
    return (char *)slice.buffer->host + slice.offset;
}

static void run_op(struct rt_device *dev, const struct ref_call *call)
{
    void *bindings[RT_OP_BINDINGS_MAX];
    for (uint32_t i = 0; i < rt_op_table[call->op].binding_count; i++)
        bindings[i] = address(call->slices[i]);
    const uint64_t start = rt_time_ns();
    ref_table[call->op](call->push, bindings);
    const double seconds = (double)(rt_time_ns() - start) * 1e-9;
    struct rt_op_profile *profile = &dev->stats.op[call->op];
    profile->calls++;
    profile->seconds += seconds;
    profile->flops += call->cost.flops;
    profile->bytes += call->cost.bytes;
    dev->stats.busy_seconds += seconds;
}

static rt_status submit(struct rt_device *dev, struct rt_list *base)
{
    const struct ref_list *list = (const struct ref_list *)base;
    for (size_t i = 0; i < list->count; i++) {
        const struct ref_call *call = &list->calls[i];
        if (call->kind == REF_OP)
            run_op(dev, call);
        else if (call->kind == REF_ZERO)
            memset(address(call->slices[0]), 0, rt_slice_bytes(call->slices[0]));
        else
            memmove(address(call->slices[1]), address(call->slices[0]),
                    rt_slice_bytes(call->slices[0]));
    }
    dev->stats.submissions++;
    return RT_OK;
}

static rt_status wait_all(struct rt_device *dev)
{
    (void)dev;
    return RT_OK;
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

/* Stands for the arithmetic of the twins as the hash of the kernels does for a GPU: raise
 * it with every change that may round otherwise. */
enum { REF_KERNELS = 1 };

static rt_status devices_list(struct rt_ctx *ctx, struct rt_device_info **out,
                              uint32_t *count, const char **note)
{
    (void)note;
    *count = 0;
    *out = rt_alloc(ctx, 1, sizeof **out);
    if (!*out)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no host memory for the device list");
    struct rt_device_info *info = *out;
    info->software = info->usable = true;
    info->kernels = REF_KERNELS;
    snprintf(info->name, sizeof info->name, "%s", ref_backend.device);
    snprintf(info->description, sizeof info->description,
             "reference twins on the CPU, one thread, slow");
    snprintf(info->driver, sizeof info->driver, "faultline");
    *count = 1;
    return RT_OK;
}

static void plan_make(const struct rt_device_info *info,
                      const struct rt_plan_options *options, struct rt_plan *plan)
{
    (void)info;
    *plan = (struct rt_plan){ .family = RT_FAMILY_LANES,
                              .kv = rt_plan_kv(options->kv, true),
                              .float_inputs = options->float_inputs,
                              .lanes = 1,
                              .binding_bytes_max = UINT64_MAX,
                              .texel_bytes_max = 0,
                              .submit_flops_max = 1e18 };
}

static rt_status device_create(struct rt_ctx *ctx,
                               const struct rt_device_options *options,
                               const struct rt_device_info *info, struct rt_device **out)
{
    const struct rt_plan_options asked = { .kv = options->kv,
                                           .float_inputs = options->float_inputs };
    if (options->products != RT_PRODUCTS_F32 && options->products != RT_PRODUCTS_AUTO)
        return rt_fail(ctx, RT_ERR_NO_DEVICE,
                       "device 'ref' computes products in f32 only, not in %s",
                       rt_products_names[options->products]);
    struct rt_device *dev = rt_alloc(ctx, 1, sizeof *dev);
    if (!dev)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "device 'ref': no host memory");
    dev->vt = &vtable;
    dev->ctx = ctx;
    dev->profile = options->profile;
    dev->info = *info;
    plan_make(info, &asked, &dev->plan);
    *out = dev;
    return RT_OK;
}

static bool serves_head(uint32_t head_dim)
{
    (void)head_dim;
    return true;
}

const struct rt_backend ref_backend = {
    .device = "ref",
    .list = devices_list,
    .open = device_create,
    .plan_make = plan_make,
    .serves_head = serves_head,
};
