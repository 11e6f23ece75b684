/* runtime/vk/vk_pipeline.c
 * Layouts, pipelines and the pipeline cache on disk. Everything is made at first use; a
 * pipeline is kept while lists hold it and for some time after. */
#include "runtime/vk/vk.h"
#include "runtime/vk/vk_freeze.h"

#include <stdio.h>
#include <string.h>

/* Pipelines that no list holds: more than one step of any kind runs, so that lists that are
 * made again for every batch find theirs. */
enum { IDLE_MAX = 32 };

static VkDescriptorType descriptor_of(char path)
{
    return path == 's' ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
                       : VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
}

static rt_status layout_create(struct vk_device *dev, const struct vk_kernel_info *kernel,
                               struct vk_layout *layout)
{
    rt_status st;
    VkDescriptorSetLayoutBinding bindings[RT_OP_BINDINGS_MAX] = { 0 };
    const uint32_t count = rt_op_table[kernel->op].binding_count;
    for (uint32_t i = 0; i < count; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = descriptor_of(kernel->paths[i]),
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = count,
        .pBindings = bindings,
    };
    if (!layout->set) /* else the pipeline layout failed before */
        TRY_VK(dev, vkCreateDescriptorSetLayout(dev->handle, &set, NULL, &layout->set));
    const VkPushConstantRange range = {
        .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        .size = rt_op_table[kernel->op].push_bytes,
    };
    const VkPipelineLayoutCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &layout->set,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &range,
    };
    TRY_VK(dev, vkCreatePipelineLayout(dev->handle, &info, NULL, &layout->pipeline));
    return RT_OK;

fail:
    return st;
}

/* Constants of products are made plain, those of attention are left to the driver: with a
 * plain head size SwiftShader unrolls loops over it and takes seconds instead of 0.06. */
rt_status vk_pipeline_create(struct vk_device *dev, const struct vk_choice *choice,
                             VkPipelineCreateFlags flags, VkPipelineCache cache,
                             VkPipeline *out)
{
    rt_status st;
    const struct vk_kernel_info *kernel = &vk_kernel_table[choice->kernel];
    struct vk_layout *layout = &dev->layouts[choice->kernel];
    VkShaderModule module = VK_NULL_HANDLE;
    uint32_t *words = NULL;
    if (!layout->pipeline)
        TRY(layout_create(dev, kernel, layout));
    size_t size = kernel->size;
    if (vk_is_matmul(kernel->op))
        TRY(vk_freeze(dev->base.ctx, kernel->words, kernel->size, choice->spec,
                      VK_SPEC_MAX, &words, &size));
    const VkShaderModuleCreateInfo module_info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = size,
        .pCode = words ? words : kernel->words,
    };
    TRY_VK(dev, vkCreateShaderModule(dev->handle, &module_info, NULL, &module));
    VkSpecializationMapEntry entries[VK_SPEC_MAX];
    for (uint32_t i = 0; i < VK_SPEC_MAX; i++)
        entries[i] = (VkSpecializationMapEntry){ .constantID = 10 + i,
                                                 .offset = 4 * i,
                                                 .size = 4 };
    const VkSpecializationInfo special = {
        .mapEntryCount = VK_SPEC_MAX,
        .pMapEntries = entries,
        .dataSize = sizeof choice->spec,
        .pData = choice->spec,
    };
    /* Matrix units: the kernel divides its tile among subgroups of this size. */
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {
        .sType =
            VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = dev->base.plan.subgroup_size,
    };
    const bool fixed = kernel->products == RT_PRODUCTS_F16;
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = flags,
        .stage = {
            .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
            .pNext = fixed && dev->base.plan.subgroup_ask ? &subgroup : NULL,
            .flags = fixed ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
            .stage = VK_SHADER_STAGE_COMPUTE_BIT,
            .module = module,
            .pName = "main",
            .pSpecializationInfo = words ? NULL : &special,
        },
        .layout = layout->pipeline,
    };
    TRY_VK(dev, vkCreateComputePipelines(dev->handle, cache, 1, &info, NULL, out));

fail:
    vkDestroyShaderModule(dev->handle, module, NULL);
    rt_free(words);
    return st;
}

static rt_status pipeline_add(struct vk_device *dev, const struct vk_choice *choice,
                              struct vk_pipeline **out)
{
    rt_status st;
    if (dev->pipeline_count == dev->pipeline_capacity) {
        const uint32_t capacity =
            dev->pipeline_capacity ? 2 * dev->pipeline_capacity : 32;
        struct vk_pipeline **list =
            rt_resize(dev->base.ctx, dev->pipelines, dev->pipeline_capacity, capacity,
                      sizeof *list);
        if (!list)
            return rt_fail(dev->base.ctx, RT_ERR_HOST_MEMORY, "pipelines");
        dev->pipelines = list;
        dev->pipeline_capacity = capacity;
    }
    struct vk_pipeline *p = rt_alloc(dev->base.ctx, 1, sizeof *p);
    if (!p)
        return rt_fail(dev->base.ctx, RT_ERR_HOST_MEMORY, "pipelines");
    p->kernel = choice->kernel;
    memcpy(p->spec, choice->spec, sizeof p->spec);
    const uint64_t start = rt_time_ns();
    TRY(vk_pipeline_create(dev, choice, 0, dev->cache, &p->handle));
    rt_log(dev->base.ctx, RT_LOG_TRACE, "kernel %s/%s compiled in %.1f ms",
           rt_op_table[vk_kernel_table[choice->kernel].op].name,
           vk_kernel_table[choice->kernel].name, (double)(rt_time_ns() - start) * 1e-6);
    dev->pipelines[dev->pipeline_count++] = p;
    *out = p;
    return RT_OK;

fail:
    rt_free(p);
    return st;
}

rt_status vk_pipeline_get(struct vk_device *dev, const struct vk_choice *choice,
                          struct vk_pipeline **out)
{
    for (uint32_t i = 0; i < dev->pipeline_count; i++) {
        struct vk_pipeline *p = dev->pipelines[i];
        if (p->kernel == choice->kernel &&
            memcmp(p->spec, choice->spec, sizeof p->spec) == 0) {
            *out = p;
            return RT_OK;
        }
    }
    return pipeline_add(dev, choice, out);
}

/* Destroys the one that no list has held for the longest time. */
static void drop_oldest(struct vk_device *dev)
{
    uint32_t oldest = UINT32_MAX;
    for (uint32_t i = 0; i < dev->pipeline_count; i++)
        if (dev->pipelines[i]->lists == 0 &&
            (oldest == UINT32_MAX ||
             dev->pipelines[i]->left < dev->pipelines[oldest]->left))
            oldest = i;
    vkDestroyPipeline(dev->handle, dev->pipelines[oldest]->handle, NULL);
    rt_free(dev->pipelines[oldest]);
    dev->pipelines[oldest] = dev->pipelines[--dev->pipeline_count];
}

void vk_pipelines_release(struct vk_device *dev, struct vk_pipeline *const *held,
                          uint32_t count)
{
    uint32_t idle = 0;
    for (uint32_t i = 0; i < count; i++) {
        held[i]->lists--;
        held[i]->left = dev->pipelines_left++;
    }
    for (uint32_t i = 0; i < dev->pipeline_count; i++)
        idle += dev->pipelines[i]->lists == 0;
    for (; idle > IDLE_MAX; idle--)
        drop_oldest(dev);
}

/* ---- the cache file ---- */

enum { CACHE_BYTES_MAX = 256 << 20 };

static void cache_path(const struct vk_device *dev, char *path, size_t size)
{
    char uuid[33];
    vk_uuid_text(dev, uuid);
    snprintf(path, size, "%s/pipelines-%s-%08x", dev->cache_dir, uuid,
             dev->base.info.facts.driver_version);
}

/* The bytes of the cache file, or null: a missing or damaged file is no failure. The
 * driver checks its own header (vendor, device, UUID) and ignores what is not its own. */
static void *cache_read(struct vk_device *dev, size_t *size)
{
    char path[1024];
    cache_path(dev, path, sizeof path);
    *size = 0;
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *data = NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        const long length = ftell(file);
        if (length >= 32 && length <= CACHE_BYTES_MAX && fseek(file, 0, SEEK_SET) == 0) {
            data = rt_alloc(dev->base.ctx, (size_t)length, 1);
            if (data && fread(data, 1, (size_t)length, file) == (size_t)length)
                *size = (size_t)length;
        }
    }
    fclose(file);
    return data;
}

rt_status vk_pipeline_cache_open(struct vk_device *dev)
{
    size_t size = 0;
    void *data = dev->cache_dir ? cache_read(dev, &size) : NULL;
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = size,
        .pInitialData = size ? data : NULL,
    };
    VkResult result = vkCreatePipelineCache(dev->handle, &info, NULL, &dev->cache);
    if (result != VK_SUCCESS && size) {
        rt_log(dev->base.ctx, RT_LOG_WARNING, "pipeline cache is damaged, made anew");
        info.initialDataSize = 0;
        info.pInitialData = NULL;
        result = vkCreatePipelineCache(dev->handle, &info, NULL, &dev->cache);
    }
    rt_free(data);
    return vk_check(dev, result, "vkCreatePipelineCache");
}

/* A cache that cannot be saved costs time at the next start, nothing else. */
static void cache_save(struct vk_device *dev)
{
    size_t size = 0;
    if (!dev->cache_dir || !dev->cache ||
        vkGetPipelineCacheData(dev->handle, dev->cache, &size, NULL) != VK_SUCCESS ||
        size == 0)
        return;
    char path[1024];
    cache_path(dev, path, sizeof path);
    void *data = rt_alloc(dev->base.ctx, size, 1);
    if (data &&
        vkGetPipelineCacheData(dev->handle, dev->cache, &size, data) == VK_SUCCESS)
        rt_cache_write(path, data, size);
    rt_free(data);
}

void vk_pipelines_deinit(struct vk_device *dev)
{
    cache_save(dev);
    for (uint32_t i = 0; i < dev->pipeline_count; i++) {
        vkDestroyPipeline(dev->handle, dev->pipelines[i]->handle, NULL);
        rt_free(dev->pipelines[i]);
    }
    rt_free(dev->pipelines);
    for (uint32_t i = 0; dev->layouts && i < vk_kernel_count; i++) {
        vkDestroyPipelineLayout(dev->handle, dev->layouts[i].pipeline, NULL);
        vkDestroyDescriptorSetLayout(dev->handle, dev->layouts[i].set, NULL);
    }
    vkDestroyPipelineCache(dev->handle, dev->cache, NULL);
}
