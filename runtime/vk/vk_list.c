/* runtime/vk/vk_list.c
 * Recording and submitting. A list is a few command buffers (cut where the estimated
 * time asks) with the descriptors and views they use; submitting allocates nothing. */
#include "runtime/vk/vk.h"

#include <string.h>

enum { SETS_PER_POOL = 64, SEGMENTS_FIRST = 16, RANGES_MAX = 96, QUERIES = 2048 };

/* Bytes touched since the last barrier. */
struct range {
    VkBuffer buffer;
    uint64_t begin, end;
    bool write;
};

struct vk_list {
    struct rt_list base;
    VkCommandBuffer *segments;
    uint32_t segment_count, segment_capacity;
    bool open;    /* the last segment is being recorded */
    double flops; /* estimated in the open segment */
    VkDescriptorPool *pools;
    uint32_t pool_count, sets_left;
    VkBufferView *views;
    uint32_t view_count, view_capacity;
    struct vk_pipeline **held; /* the kernels it runs, each once */
    uint32_t held_count, held_capacity;
    struct range ranges[RANGES_MAX];
    uint32_t range_count;
    VkQueryPool queries; /* per op with profile, else two per segment */
    uint32_t query_count;
    bool cut; /* more ops or segments than queries; the warning was already logged */
    struct op_query {
        enum rt_op op;
        struct rt_op_cost cost;
    } * ops; /* one per pair of queries with profile */
    uint32_t op_capacity;
};

static struct vk_device *device_of(struct rt_list *list)
{
    return (struct vk_device *)list->dev;
}

static rt_status query_pool_create(struct vk_device *dev, struct vk_list *list)
{
    const VkQueryPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = QUERIES,
    };
    return vk_check(dev, vkCreateQueryPool(dev->handle, &info, NULL, &list->queries),
                    "vkCreateQueryPool");
}

rt_status vk_list_create(struct rt_device *base, const char *name, struct rt_list **out)
{
    rt_status st;
    struct vk_device *dev = (struct vk_device *)base;
    struct vk_list *list = rt_alloc(base->ctx, 1, sizeof *list);
    if (!list)
        return rt_fail(base->ctx, RT_ERR_HOST_MEMORY, "list '%s'", name);
    list->base.dev = base;
    if (base->info.facts.timestamp_ns > 0 && base->info.facts.timestamp_bits > 0)
        TRY(query_pool_create(dev, list));
    *out = &list->base;
    return RT_OK;

fail:
    vk_list_destroy(&list->base);
    return st;
}

void vk_list_destroy(struct rt_list *base)
{
    struct vk_list *list = (struct vk_list *)base;
    struct vk_device *dev = device_of(base);
    if (dev->pending_list == base)
        (void)vk_wait(&dev->base);
    if (list->segment_count)
        vkFreeCommandBuffers(dev->handle, dev->pool, list->segment_count, list->segments);
    for (uint32_t i = 0; i < list->pool_count; i++)
        vkDestroyDescriptorPool(dev->handle, list->pools[i], NULL);
    for (uint32_t i = 0; i < list->view_count; i++)
        vkDestroyBufferView(dev->handle, list->views[i], NULL);
    vkDestroyQueryPool(dev->handle, list->queries, NULL);
    vk_pipelines_release(dev, list->held, list->held_count);
    rt_free(list->segments);
    rt_free(list->held);
    rt_free(list->pools);
    rt_free(list->views);
    rt_free(list->ops);
    rt_free(list);
}

/* ---- segments ---- */

static void stamp(struct vk_list *list, VkCommandBuffer cmd)
{
    if (!list->queries || list->query_count == QUERIES)
        return;
    vkCmdWriteTimestamp(cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, list->queries,
                        list->query_count++);
}

static rt_status segment_close(struct vk_list *list)
{
    struct vk_device *dev = device_of(&list->base);
    VkCommandBuffer cmd = list->segments[list->segment_count - 1];
    /* Results are read by the host and by the next list. */
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                         VK_ACCESS_HOST_READ_BIT,
    };
    const VkPipelineStageFlags work =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    vkCmdPipelineBarrier(cmd, work, work | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0,
                         NULL, 0, NULL);
    if (!list->base.dev->profile)
        stamp(list, cmd);
    list->open = false;
    list->range_count = 0;
    return vk_check(dev, vkEndCommandBuffer(cmd), "vkEndCommandBuffer");
}

/* Once per list: times of the device are short of those that have no query. */
static void warn_cut(struct vk_list *list, const char *what)
{
    if (list->cut || list->query_count + 2 <= QUERIES)
        return;
    list->cut = true;
    rt_log(list->base.dev->ctx, RT_LOG_WARNING, "list '%s': the %s first %d %s only",
           list->base.name,
           list->base.dev->profile ? "profile has its" : "time of the device is of its",
           QUERIES / 2, what);
}

static rt_status segment_open(struct vk_list *list)
{
    rt_status st;
    struct vk_device *dev = device_of(&list->base);
    if (list->segment_count == list->segment_capacity) {
        const uint32_t capacity =
            list->segment_capacity ? 2 * list->segment_capacity : SEGMENTS_FIRST;
        VkCommandBuffer *segments =
            rt_resize(dev->base.ctx, list->segments, list->segment_capacity, capacity,
                      sizeof *segments);
        if (!segments)
            return rt_fail(dev->base.ctx, RT_ERR_HOST_MEMORY, "list '%s'",
                           list->base.name);
        list->segments = segments;
        list->segment_capacity = capacity;
    }
    const VkCommandBufferAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = dev->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    VkCommandBuffer *cmd = &list->segments[list->segment_count];
    TRY_VK(dev, vkAllocateCommandBuffers(dev->handle, &allocate, cmd));
    list->segment_count++;
    const VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
    };
    TRY_VK(dev, vkBeginCommandBuffer(*cmd, &begin));
    if (list->queries && list->segment_count == 1)
        vkCmdResetQueryPool(*cmd, list->queries, 0, QUERIES);
    if (!list->base.dev->profile && list->queries)
        warn_cut(list, "submissions");
    if (!list->base.dev->profile)
        stamp(list, *cmd);
    list->open = true;
    list->flops = 0;
    return RT_OK;

fail:
    return st;
}

/* The command buffer to record `flops` into. */
static rt_status segment_for(struct vk_list *list, double flops, VkCommandBuffer *cmd)
{
    rt_status st = RT_OK;
    if (list->open && list->flops > 0 &&
        list->flops + flops > list->base.dev->plan.submit_flops_max)
        TRY(segment_close(list));
    if (!list->open)
        TRY(segment_open(list));
    list->flops += flops;
    *cmd = list->segments[list->segment_count - 1];

fail:
    return st;
}

/* ---- hazards ---- */

static void barrier(struct vk_list *list, VkCommandBuffer cmd)
{
    const VkMemoryBarrier all = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
    };
    const VkPipelineStageFlags work =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    vkCmdPipelineBarrier(cmd, work, work, 0, 1, &all, 0, NULL, 0, NULL);
    list->range_count = 0;
}

static struct range range_of(struct rt_slice slice, bool write)
{
    const struct vk_buffer *buffer = (const struct vk_buffer *)slice.buffer;
    const uint64_t begin = buffer->offset + slice.offset;
    return (struct range){ .buffer = buffer->block->handle,
                           .begin = begin,
                           .end = begin + rt_slice_bytes(slice),
                           .write = write };
}

static bool conflicts(const struct vk_list *list, const struct range *r)
{
    for (uint32_t i = 0; i < list->range_count; i++) {
        const struct range *o = &list->ranges[i];
        if ((o->write || r->write) && o->buffer == r->buffer && o->begin < r->end &&
            r->begin < o->end)
            return true;
    }
    return false;
}

/* Places a barrier if one of the ranges clashes with work since the last one. */
static void touch(struct vk_list *list, VkCommandBuffer cmd, const struct range *ranges,
                  uint32_t count)
{
    bool clash = list->range_count + count > RANGES_MAX;
    for (uint32_t i = 0; i < count && !clash; i++)
        clash = conflicts(list, &ranges[i]);
    if (clash)
        barrier(list, cmd);
    for (uint32_t i = 0; i < count; i++)
        list->ranges[list->range_count++] = ranges[i];
}

/* ---- descriptors ---- */

static rt_status pool_grow(struct vk_list *list)
{
    struct vk_device *dev = device_of(&list->base);
    VkDescriptorPool *pools = rt_resize(dev->base.ctx, list->pools, list->pool_count,
                                        list->pool_count + 1u, sizeof *pools);
    if (!pools)
        return rt_fail(dev->base.ctx, RT_ERR_HOST_MEMORY, "list '%s'", list->base.name);
    list->pools = pools;
    const VkDescriptorPoolSize sizes[] = {
        { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, SETS_PER_POOL * RT_OP_BINDINGS_MAX },
        { VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, SETS_PER_POOL * RT_OP_BINDINGS_MAX },
    };
    const VkDescriptorPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = SETS_PER_POOL,
        .poolSizeCount = RT_COUNT(sizes),
        .pPoolSizes = sizes,
    };
    const rt_status st = vk_check(
        dev,
        vkCreateDescriptorPool(dev->handle, &info, NULL, &list->pools[list->pool_count]),
        "vkCreateDescriptorPool");
    if (st == RT_OK) {
        list->pool_count++;
        list->sets_left = SETS_PER_POOL;
    }
    return st;
}

static rt_status view_create(struct vk_list *list, struct rt_slice slice, VkFormat format,
                             VkBufferView *out)
{
    rt_status st;
    struct vk_device *dev = device_of(&list->base);
    if (list->view_count == list->view_capacity) {
        const uint32_t capacity = list->view_capacity ? 2 * list->view_capacity : 64;
        VkBufferView *views = rt_resize(dev->base.ctx, list->views, list->view_capacity,
                                        capacity, sizeof *views);
        if (!views)
            return rt_fail(dev->base.ctx, RT_ERR_HOST_MEMORY, "list '%s'",
                           list->base.name);
        list->views = views;
        list->view_capacity = capacity;
    }
    const struct vk_buffer *buffer = (const struct vk_buffer *)slice.buffer;
    const VkBufferViewCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
        .buffer = buffer->block->handle,
        .format = format,
        .offset = buffer->offset + slice.offset,
        .range = rt_slice_bytes(slice) / 16 * 16,
    };
    TRY_VK(dev, vkCreateBufferView(dev->handle, &info, NULL, out));
    list->views[list->view_count++] = *out;
    return RT_OK;

fail:
    return st;
}

/* How the texel view of binding i converts what it reads: halves become floats. */
static VkFormat format_of(const struct vk_choice *choice, uint32_t i)
{
    if (vk_kernel_table[choice->kernel].paths[i] == 'u')
        return VK_FORMAT_R32G32B32A32_UINT;
    return choice->halves >> i & 1u ? VK_FORMAT_R16G16B16A16_SFLOAT
                                    : VK_FORMAT_R32G32B32A32_SFLOAT;
}

static rt_status set_create(struct vk_list *list, const struct vk_choice *choice,
                            VkDescriptorSetLayout layout, const struct rt_slice *slices,
                            VkDescriptorSet *set)
{
    rt_status st;
    struct vk_device *dev = device_of(&list->base);
    const struct vk_kernel_info *kernel = &vk_kernel_table[choice->kernel];
    if (list->sets_left == 0)
        TRY(pool_grow(list));
    const VkDescriptorSetAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = list->pools[list->pool_count - 1],
        .descriptorSetCount = 1,
        .pSetLayouts = &layout,
    };
    TRY_VK(dev, vkAllocateDescriptorSets(dev->handle, &allocate, set));
    list->sets_left--;
    VkDescriptorBufferInfo buffers[RT_OP_BINDINGS_MAX];
    VkBufferView views[RT_OP_BINDINGS_MAX];
    VkWriteDescriptorSet writes[RT_OP_BINDINGS_MAX];
    const uint32_t count = rt_op_table[kernel->op].binding_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct vk_buffer *buffer = (const struct vk_buffer *)slices[i].buffer;
        writes[i] = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = *set,
            .dstBinding = i,
            .descriptorCount = 1,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .pBufferInfo = &buffers[i],
            .pTexelBufferView = &views[i],
        };
        buffers[i] =
            (VkDescriptorBufferInfo){ .buffer = buffer->block->handle,
                                      .offset = buffer->offset + slices[i].offset,
                                      .range = rt_slice_bytes(slices[i]) };
        if (kernel->paths[i] != 's') {
            writes[i].descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
            TRY(view_create(list, slices[i], format_of(choice, i), &views[i]));
        }
    }
    vkUpdateDescriptorSets(dev->handle, count, writes, 0, NULL);
    return RT_OK;

fail:
    return st;
}

/* ---- ops ---- */

/* The compiled kernel of a choice, held until the list is destroyed. */
static rt_status pipeline_hold(struct vk_list *list, const struct vk_choice *choice,
                               VkPipeline *out)
{
    rt_status st;
    struct vk_device *dev = device_of(&list->base);
    struct vk_pipeline *p = NULL;
    if (list->held_count == list->held_capacity) {
        const uint32_t capacity = list->held_capacity ? 2 * list->held_capacity : 16;
        struct vk_pipeline **held = rt_resize(
            dev->base.ctx, list->held, list->held_capacity, capacity, sizeof *held);
        if (!held)
            return rt_fail(dev->base.ctx, RT_ERR_HOST_MEMORY, "list '%s'",
                           list->base.name);
        list->held = held;
        list->held_capacity = capacity;
    }
    TRY(vk_pipeline_get(dev, choice, &p));
    *out = p->handle;
    for (uint32_t i = 0; i < list->held_count; i++)
        if (list->held[i] == p)
            return RT_OK;
    p->lists++;
    list->held[list->held_count++] = p;

fail:
    return st;
}

static rt_status remember_op(struct vk_list *list, enum rt_op op, struct rt_op_cost cost)
{
    const uint32_t i = list->query_count / 2;
    if (i == list->op_capacity) {
        const uint32_t capacity = list->op_capacity ? 2 * list->op_capacity : 128;
        struct op_query *ops = rt_resize(list->base.dev->ctx, list->ops,
                                         list->op_capacity, capacity, sizeof *ops);
        if (!ops)
            return rt_fail(list->base.dev->ctx, RT_ERR_HOST_MEMORY, "list '%s'",
                           list->base.name);
        list->ops = ops;
        list->op_capacity = capacity;
    }
    list->ops[i] = (struct op_query){ .op = op, .cost = cost };
    return RT_OK;
}

rt_status vk_list_choice(struct rt_list *base, enum rt_op op, const void *push,
                         const struct rt_slice *slices, const struct vk_choice *choice)
{
    rt_status st;
    struct vk_list *list = (struct vk_list *)base;
    struct vk_device *dev = device_of(base);
    const struct rt_op_info *info = &rt_op_table[op];
    const struct rt_op_cost cost = rt_op_cost_of(op, push, base->context);
    VkCommandBuffer cmd;
    VkPipeline pipeline = VK_NULL_HANDLE;
    const struct vk_layout *layout = &dev->layouts[choice->kernel];
    VkDescriptorSet set;
    if (choice->grid[0] == 0 || choice->grid[1] == 0 || choice->grid[2] == 0)
        return RT_OK; /* nothing to do */
    TRY(pipeline_hold(list, choice, &pipeline));
    TRY(set_create(list, choice, layout->set, slices, &set));
    TRY(segment_for(list, cost.flops, &cmd));
    struct range ranges[RT_OP_BINDINGS_MAX];
    for (uint32_t i = 0; i < info->binding_count; i++)
        ranges[i] = range_of(slices[i], info->bindings[i] != 'r');
    touch(list, cmd, ranges, info->binding_count);
    const bool timed =
        base->dev->profile && list->queries && list->query_count + 2 <= QUERIES;
    if (base->dev->profile)
        warn_cut(list, "ops");
    if (timed) {
        TRY(remember_op(list, op, cost));
        barrier(list, cmd);
        stamp(list, cmd);
    }
    vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, layout->pipeline, 0, 1,
                            &set, 0, NULL);
    vkCmdPushConstants(cmd, layout->pipeline, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                       info->push_bytes, push);
    vkCmdDispatch(cmd, choice->grid[0], choice->grid[1], choice->grid[2]);
    if (timed) {
        barrier(list, cmd);
        stamp(list, cmd);
    }
    return RT_OK;

fail:
    return st;
}

rt_status vk_list_op(struct rt_list *list, enum rt_op op, const void *push,
                     const struct rt_slice *slices)
{
    struct vk_choice choice;
    const rt_status st = vk_select(device_of(list), op, push, slices, &choice);
    return st == RT_OK ? vk_list_choice(list, op, push, slices, &choice) : st;
}

rt_status vk_list_copy(struct rt_list *base, struct rt_slice from, struct rt_slice to)
{
    struct vk_list *list = (struct vk_list *)base;
    VkCommandBuffer cmd;
    const rt_status st = segment_for(list, 0, &cmd);
    if (st != RT_OK)
        return st;
    const struct range ranges[] = { range_of(from, false), range_of(to, true) };
    touch(list, cmd, ranges, 2);
    const VkBufferCopy region = { .srcOffset = ranges[0].begin,
                                  .dstOffset = ranges[1].begin,
                                  .size = rt_slice_bytes(from) };
    vkCmdCopyBuffer(cmd, ranges[0].buffer, ranges[1].buffer, 1, &region);
    return RT_OK;
}

rt_status vk_list_zero(struct rt_list *base, struct rt_slice slice)
{
    struct vk_list *list = (struct vk_list *)base;
    VkCommandBuffer cmd;
    const rt_status st = segment_for(list, 0, &cmd);
    if (st != RT_OK)
        return st;
    const struct range range = range_of(slice, true);
    touch(list, cmd, &range, 1);
    vkCmdFillBuffer(cmd, range.buffer, range.begin, (range.end - range.begin) / 4 * 4, 0);
    return RT_OK;
}

rt_status vk_list_end(struct rt_list *base)
{
    struct vk_list *list = (struct vk_list *)base;
    return list->open ? segment_close(list) : RT_OK;
}

/* ---- running ---- */

void vk_settle(struct vk_device *dev)
{
    (void)vkDeviceWaitIdle(dev->handle);
    (void)vkResetFences(dev->handle, 1, &dev->fence);
    dev->pending = false;
    dev->pending_list = NULL;
}

rt_status vk_submit(struct rt_device *base, struct rt_list *list_base)
{
    rt_status st = vk_wait(base);
    struct vk_device *dev = (struct vk_device *)base;
    struct vk_list *list = (struct vk_list *)list_base;
    if (st != RT_OK || list->segment_count == 0)
        return st;
    for (uint32_t i = 0; i < list->segment_count; i++) {
        const VkSubmitInfo submit = {
            .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
            .commandBufferCount = 1,
            .pCommandBuffers = &list->segments[i],
        };
        const bool last = i + 1 == list->segment_count;
        TRY_VK(dev,
               vkQueueSubmit(dev->queue, 1, &submit, last ? dev->fence : VK_NULL_HANDLE));
        base->stats.submissions++;
    }
    dev->pending = true;
    dev->pending_list = list_base;
    return RT_OK;

fail: /* segments before this one may be running */
    vk_settle(dev);
    return st;
}

/* Adds the times of a finished list to the statistics. */
static void read_times(struct vk_device *dev, struct vk_list *list)
{
    uint64_t times[QUERIES];
    if (!list->queries || list->query_count == 0 ||
        vkGetQueryPoolResults(dev->handle, list->queries, 0, list->query_count,
                              list->query_count * sizeof *times, times, sizeof *times,
                              VK_QUERY_RESULT_64_BIT) != VK_SUCCESS)
        return;
    const double unit = dev->base.info.facts.timestamp_ns * 1e-9;
    for (uint32_t i = 0; i + 1 < list->query_count; i += 2) {
        const double seconds = (double)(times[i + 1] - times[i]) * unit;
        dev->base.stats.busy_seconds += seconds;
        if (!dev->base.profile)
            continue;
        struct rt_op_profile *p = &dev->base.stats.op[list->ops[i / 2].op];
        p->calls++;
        p->seconds += seconds;
        p->flops += list->ops[i / 2].cost.flops;
        p->bytes += list->ops[i / 2].cost.bytes;
    }
}

rt_status vk_wait(struct rt_device *base)
{
    rt_status st;
    struct vk_device *dev = (struct vk_device *)base;
    if (!dev->pending)
        return RT_OK;
    TRY_VK(dev, vkWaitForFences(dev->handle, 1, &dev->fence, VK_TRUE, UINT64_MAX));
    TRY_VK(dev, vkResetFences(dev->handle, 1, &dev->fence));
    read_times(dev, (struct vk_list *)dev->pending_list);
    dev->pending = false;
    dev->pending_list = NULL;
    if (dev->validation && base->validation_count)
        return rt_fail(base->ctx, RT_ERR_INTERNAL,
                       "device '%s': %llu validation messages, see the log",
                       base->info.name, (unsigned long long)base->validation_count);
    return RT_OK;

fail:
    vk_settle(dev);
    return st;
}
