/* runtime/vk/vk_statistics.c
 * Asks the driver for the registers, spills and occupancy of each kernel that it
 * compiled. */
#include "runtime/vk/vk_statistics.h"

#include <string.h>

enum { STATISTICS_MAX = 64 };

static void take(struct vk_statistics *out, const VkPipelineExecutableStatisticKHR *s)
{
    const struct {
        const char *name;
        uint32_t *value;
    } known[] = {
        { "VGPRs", &out->vgprs },
        { "SGPRs", &out->sgprs },
        { "Spilled VGPRs", &out->spilled_vgprs },
        { "Spilled SGPRs", &out->spilled_sgprs },
        { "Scratch size", &out->scratch_bytes },
        { "LDS size", &out->shared_bytes },
        { "Code size", &out->code_bytes },
        { "Subgroups per SIMD", &out->subgroups },
    };
    for (size_t i = 0; i < RT_COUNT(known); i++)
        if (strcmp(s->name, known[i].name) == 0 &&
            s->format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR)
            *known[i].value = (uint32_t)s->value.u64;
}

/* A compute pipeline is one executable. */
static rt_status read_pipeline(struct vk_device *dev, VkPipeline pipeline,
                               struct vk_statistics *out)
{
    rt_status st;
    const VkPipelineInfoKHR which = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR,
        .pipeline = pipeline,
    };
    VkPipelineExecutablePropertiesKHR properties = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR,
    };
    uint32_t count = 1;
    TRY_VK(dev, vkGetPipelineExecutablePropertiesKHR(dev->handle, &which, &count,
                                                     &properties));
    out->subgroup_size = properties.subgroupSize;
    const VkPipelineExecutableInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
        .pipeline = pipeline,
    };
    VkPipelineExecutableStatisticKHR list[STATISTICS_MAX];
    for (uint32_t i = 0; i < STATISTICS_MAX; i++)
        list[i] = (VkPipelineExecutableStatisticKHR){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR,
        };
    count = STATISTICS_MAX;
    TRY_VK(dev, vkGetPipelineExecutableStatisticsKHR(dev->handle, &info, &count, list));
    for (uint32_t i = 0; i < count; i++)
        take(out, &list[i]);
    return RT_OK;

fail:
    return st;
}

rt_status vk_statistics_get(struct vk_device *dev, const struct vk_choice *choice,
                            struct vk_statistics *out)
{
    rt_status st;
    VkPipeline pipeline = VK_NULL_HANDLE;
    *out = (struct vk_statistics){ 0 };
    if (!dev->statistics)
        return rt_fail(dev->base.ctx, RT_ERR_USAGE,
                       "device '%s' was not opened with compile_only, or its driver has "
                       "none",
                       dev->base.info.name);
    /* Without the cache: what is found there was compiled without statistics. */
    TRY(vk_pipeline_create(dev, choice, VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR,
                           VK_NULL_HANDLE, &pipeline));
    TRY(read_pipeline(dev, pipeline, out));

fail:
    vkDestroyPipeline(dev->handle, pipeline, NULL);
    return st;
}
