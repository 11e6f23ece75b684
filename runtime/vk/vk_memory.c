/* runtime/vk/vk_memory.c
 * Device memory in few blocks; buffers are spans of them, first fit, neighbours merged
 * when freed. A block belongs to one memory type and is mapped for good where it can be.
 * A buffer that asks for it has a block of its own, which is freed with it. */
#include "runtime/vk/vk.h"

#include <string.h>

enum { STAGING_BYTES = 4 << 20 };

/* The first type with all of `wanted` (and, preferably, of `nice`). */
static uint32_t find_type(const struct vk_device *dev, uint32_t allowed,
                          VkMemoryPropertyFlags wanted, VkMemoryPropertyFlags nice)
{
    uint32_t found = UINT32_MAX;
    for (uint32_t i = 0; i < dev->memory.memoryTypeCount; i++) {
        const VkMemoryPropertyFlags flags = dev->memory.memoryTypes[i].propertyFlags;
        if (!(allowed & 1u << i) || (flags & wanted) != wanted)
            continue;
        if ((flags & nice) == nice)
            return i;
        if (found == UINT32_MAX)
            found = i;
    }
    return found;
}

static uint32_t type_for(const struct vk_device *dev, uint32_t allowed,
                         enum rt_memory memory)
{
    const VkMemoryPropertyFlags host =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    switch (memory) {
    case RT_MEMORY_UPLOAD:
        return find_type(dev, allowed, host, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
    case RT_MEMORY_READBACK:
        return find_type(dev, allowed, host, VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
    case RT_MEMORY_DEVICE:
        break;
    }
    return find_type(dev, allowed, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                     dev->base.plan.host_visible ? host : 0);
}

static void block_destroy(struct vk_device *dev, struct vk_block *block)
{
    if (!block)
        return;
    vkDestroyBuffer(dev->handle, block->handle, NULL);
    vkFreeMemory(dev->handle, block->memory, NULL); /* unmaps too */
    rt_free(block->spans);
    rt_free(block);
}

static rt_status block_memory(struct vk_device *dev, struct vk_block *block,
                              enum rt_memory memory)
{
    rt_status st;
    const VkBufferCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = block->size,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                 VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
                 VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
    };
    TRY_VK(dev, vkCreateBuffer(dev->handle, &create, NULL, &block->handle));
    VkMemoryRequirements need;
    vkGetBufferMemoryRequirements(dev->handle, block->handle, &need);
    block->type = type_for(dev, need.memoryTypeBits, memory);
    if (block->type == UINT32_MAX)
        return rt_fail(dev->base.ctx, RT_ERR_NO_DEVICE,
                       "device '%s' has no memory type for this use",
                       dev->base.info.name);
    const VkMemoryAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .allocationSize = need.size,
        .memoryTypeIndex = block->type,
    };
    TRY_VK(dev, vkAllocateMemory(dev->handle, &allocate, NULL, &block->memory));
    TRY_VK(dev, vkBindBufferMemory(dev->handle, block->handle, block->memory, 0));
    const VkMemoryPropertyFlags flags =
        dev->memory.memoryTypes[block->type].propertyFlags;
    if (flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)
        TRY_VK(dev, vkMapMemory(dev->handle, block->memory, 0, VK_WHOLE_SIZE, 0,
                                &block->host));
    dev->base.stats.device_allocs++;
    return RT_OK;

fail:
    return st;
}

/* Bytes of a new block whose first buffer takes `size`. */
static uint64_t block_size(uint64_t size, bool alone)
{
    const uint64_t least = alone ? 0 : VK_BLOCK_BYTES;
    return size < least ? least : rt_round_up(size, VK_ALIGN);
}

static rt_status block_create(struct vk_device *dev, uint64_t size,
                              const struct rt_buffer_info *info, struct vk_block **out)
{
    rt_status st;
    struct rt_ctx *ctx = dev->base.ctx;
    struct vk_block *block = rt_alloc(ctx, 1, sizeof *block);
    struct vk_block **blocks = rt_resize(ctx, dev->blocks, dev->block_count,
                                         dev->block_count + 1u, sizeof *blocks);
    if (blocks)
        dev->blocks = blocks;
    if (block)
        block->spans = rt_alloc(ctx, 16, sizeof *block->spans);
    if (!block || !blocks || !block->spans) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "device memory block: no host memory");
        goto fail;
    }
    block->size = block_size(size, info->alone);
    block->alone = info->alone;
    block->span_capacity = 16;
    block->span_count = 1;
    block->spans[0] = (struct vk_span){ .size = block->size };
    TRY(block_memory(dev, block, info->memory));
    dev->blocks[dev->block_count++] = block;
    *out = block;
    return RT_OK;

fail:
    block_destroy(dev, block);
    return st;
}

/* Makes span i used with exactly `size` bytes; the rest becomes a free span. */
static rt_status span_take(struct vk_device *dev, struct vk_block *block, uint32_t i,
                           uint64_t size)
{
    if (block->spans[i].size > size) {
        if (block->span_count == block->span_capacity) {
            struct vk_span *spans =
                rt_resize(dev->base.ctx, block->spans, block->span_capacity,
                          2 * block->span_capacity, sizeof *spans);
            if (!spans)
                return rt_fail(dev->base.ctx, RT_ERR_HOST_MEMORY,
                               "device memory block: no host memory");
            block->spans = spans;
            block->span_capacity *= 2;
        }
        memmove(&block->spans[i + 1], &block->spans[i],
                (block->span_count - i) * sizeof *block->spans);
        block->span_count++;
        block->spans[i].size = size;
        block->spans[i + 1].offset += size;
        block->spans[i + 1].size -= size;
    }
    block->spans[i].used = true;
    return RT_OK;
}

static void span_merge(struct vk_block *block, uint32_t i)
{
    if (i + 1 >= block->span_count || block->spans[i].used || block->spans[i + 1].used)
        return;
    block->spans[i].size += block->spans[i + 1].size;
    memmove(&block->spans[i + 1], &block->spans[i + 2],
            (block->span_count - i - 2) * sizeof *block->spans);
    block->span_count--;
}

static bool block_serves(const struct vk_device *dev, const struct vk_block *block,
                         enum rt_memory memory)
{
    return !block->alone && block->type == type_for(dev, UINT32_MAX, memory);
}

/* A free span of `size` in an existing block, else in a new one. */
static rt_status span_find(struct vk_device *dev, uint64_t size,
                           const struct rt_buffer_info *info, struct vk_block **block,
                           uint32_t *span)
{
    for (uint32_t b = 0; b < dev->block_count && !info->alone; b++) {
        if (!block_serves(dev, dev->blocks[b], info->memory))
            continue;
        for (uint32_t i = 0; i < dev->blocks[b]->span_count; i++)
            if (!dev->blocks[b]->spans[i].used && dev->blocks[b]->spans[i].size >= size) {
                *block = dev->blocks[b];
                *span = i;
                return RT_OK;
            }
    }
    *span = 0;
    return block_create(dev, size, info, block);
}

/* Runs a few transfer commands now and waits. */
struct transfer {
    VkBuffer from, to;
    VkBufferCopy region;
    bool zero;
};

static rt_status run_transfer(struct vk_device *dev, const struct transfer *t)
{
    rt_status st;
    VkCommandBuffer cmd = VK_NULL_HANDLE;
    const VkCommandBufferAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = dev->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    const VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    TRY(vk_wait(&dev->base));
    TRY_VK(dev, vkAllocateCommandBuffers(dev->handle, &allocate, &cmd));
    TRY_VK(dev, vkBeginCommandBuffer(cmd, &begin));
    if (t->zero)
        vkCmdFillBuffer(cmd, t->to, t->region.dstOffset, t->region.size, 0);
    else
        vkCmdCopyBuffer(cmd, t->from, t->to, 1, &t->region);
    TRY_VK(dev, vkEndCommandBuffer(cmd));
    const VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = 1,
        .pCommandBuffers = &cmd,
    };
    TRY_VK(dev, vkQueueSubmit(dev->queue, 1, &submit, VK_NULL_HANDLE));
    TRY_VK(dev, vkQueueWaitIdle(dev->queue));
    st = RT_OK;

fail:
    if (st != RT_OK)
        vk_settle(dev); /* it may have been submitted, and not have been waited for */
    if (cmd)
        vkFreeCommandBuffers(dev->handle, dev->pool, 1, &cmd);
    return st;
}

static rt_status zero_fill(struct vk_device *dev, struct vk_buffer *buffer, uint64_t size)
{
    if (buffer->base.host) {
        memset(buffer->base.host, 0, size);
        return RT_OK;
    }
    const struct transfer t = {
        .to = buffer->block->handle,
        .zero = true,
        .region = { .dstOffset = buffer->offset, .size = size },
    };
    return run_transfer(dev, &t);
}

rt_status vk_buffer_create(struct rt_device *base, const struct rt_buffer_info *info,
                           struct rt_buffer **out)
{
    rt_status st;
    struct vk_device *dev = (struct vk_device *)base;
    const uint64_t size = rt_round_up(info->size, VK_ALIGN);
    uint32_t span = 0;
    struct vk_buffer *buffer = rt_alloc(base->ctx, 1, sizeof *buffer);
    if (!buffer)
        return rt_fail(base->ctx, RT_ERR_HOST_MEMORY, "buffer '%s'", info->name);
    buffer->base.dev = base;
    buffer->base.size = info->size;
    buffer->base.memory = info->memory;
    if (info->size > dev->base.plan.binding_bytes_max) {
        st =
            rt_fail(base->ctx, RT_ERR_DEVICE_MEMORY,
                    "buffer '%s' of %.1f MiB: device '%s' binds at most %.1f MiB at once",
                    info->name, (double)info->size / 1048576, base->info.name,
                    (double)dev->base.plan.binding_bytes_max / 1048576);
        goto fail;
    }
    st = span_find(dev, size, info, &buffer->block, &span);
    if (st == RT_ERR_DEVICE_MEMORY)
        st = rt_fail(base->ctx, st,
                     "buffer '%s' of %.1f MiB does not fit device '%s': %.1f MiB are in "
                     "use of %.1f MiB; use a smaller batch, context or model",
                     info->name, (double)info->size / 1048576, base->info.name,
                     (double)base->stats.buffer_bytes / 1048576,
                     (double)base->info.facts.device_heap_bytes / 1048576);
    TRY(st);
    TRY(span_take(dev, buffer->block, span, size));
    buffer->offset = buffer->block->spans[span].offset;
    if (buffer->block->host)
        buffer->base.host = (char *)buffer->block->host + buffer->offset;
    *out = &buffer->base;
    st = zero_fill(dev, buffer, size);
    if (st != RT_OK) {
        *out = NULL;
        vk_buffer_destroy(&buffer->base);
    }
    return st;

fail:
    rt_free(buffer);
    return st;
}

/* Takes a block out of the device's and frees it, after the work that may use it. */
static void block_remove(struct vk_device *dev, struct vk_block *block)
{
    uint32_t b = 0;
    (void)vk_wait(&dev->base);
    while (dev->blocks[b] != block)
        b++;
    memmove(&dev->blocks[b], &dev->blocks[b + 1],
            (--dev->block_count - b) * sizeof(struct vk_block *));
    block_destroy(dev, block);
}

void vk_buffer_destroy(struct rt_buffer *base)
{
    struct vk_buffer *buffer = (struct vk_buffer *)base;
    struct vk_block *block = buffer->block;
    if (block->alone) {
        block_remove((struct vk_device *)base->dev, block);
        rt_free(buffer);
        return;
    }
    for (uint32_t i = 0; i < block->span_count; i++) {
        if (block->spans[i].offset != buffer->offset || !block->spans[i].used)
            continue;
        block->spans[i].used = false;
        span_merge(block, i);
        if (i > 0)
            span_merge(block, i - 1);
        break;
    }
    rt_free(buffer);
}

/* Moves host bytes through a staging buffer, a piece at a time. */
static rt_status staged(struct vk_buffer *buffer, uint64_t offset, void *data,
                        uint64_t size, bool write)
{
    rt_status st = RT_OK;
    struct rt_device *base = buffer->base.dev;
    struct vk_device *dev = (struct vk_device *)base;
    struct rt_buffer *staging = NULL;
    const struct rt_buffer_info info = {
        .name = "staging",
        .size = size < STAGING_BYTES ? size : STAGING_BYTES,
        .memory = write ? RT_MEMORY_UPLOAD : RT_MEMORY_READBACK,
    };
    TRY(rt_buffer_create(base, &info, &staging));
    struct vk_buffer *stage = (struct vk_buffer *)staging;
    for (uint64_t done = 0; done < size; done += STAGING_BYTES) {
        const uint64_t n = size - done < STAGING_BYTES ? size - done : STAGING_BYTES;
        struct transfer t = { .from = stage->block->handle,
                              .to = buffer->block->handle,
                              .region = { .srcOffset = stage->offset,
                                          .dstOffset = buffer->offset + offset + done,
                                          .size = n } };
        if (!write)
            t = (struct transfer){ .from = buffer->block->handle,
                                   .to = stage->block->handle,
                                   .region = { .srcOffset =
                                                   buffer->offset + offset + done,
                                               .dstOffset = stage->offset,
                                               .size = n } };
        if (write)
            memcpy(staging->host, (char *)data + done, n);
        TRY(run_transfer(dev, &t));
        if (!write)
            memcpy((char *)data + done, staging->host, n);
    }

fail:
    rt_buffer_destroy(&staging);
    return st;
}

rt_status vk_buffer_write(struct rt_buffer *buffer, uint64_t offset, const void *data,
                          uint64_t size)
{
    if (!buffer->host)
        return staged((struct vk_buffer *)buffer, offset, (void *)(uintptr_t)data, size,
                      true);
    const rt_status st = vk_wait(buffer->dev);
    if (st == RT_OK)
        memcpy((char *)buffer->host + offset, data, size);
    return st;
}

rt_status vk_buffer_read(struct rt_buffer *buffer, uint64_t offset, void *data,
                         uint64_t size)
{
    if (!buffer->host)
        return staged((struct vk_buffer *)buffer, offset, data, size, false);
    const rt_status st = vk_wait(buffer->dev);
    if (st == RT_OK)
        memcpy(data, (const char *)buffer->host + offset, size);
    return st;
}

void vk_memory_deinit(struct vk_device *dev)
{
    for (uint32_t i = 0; i < dev->block_count; i++)
        block_destroy(dev, dev->blocks[i]);
    rt_free(dev->blocks);
    dev->blocks = NULL;
    dev->block_count = 0;
}
