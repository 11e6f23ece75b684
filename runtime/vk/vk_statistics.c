/* runtime/vk/vk_statistics.c
 * Asks the driver for the registers, spills and occupancy of each kernel that it
 * compiled. */
#include "runtime/vk/vk_statistics.h"

#include <string.h>

enum { STATISTICS_MAX = 64, EXECUTABLES_MAX = 4 };

/* What a driver's name for a number means. Two names of one field are added: spills of
 * vector and of scalar registers. */
static void take(struct vk_statistics *out, const VkPipelineExecutableStatisticKHR *s)
{
    const struct {
        const char *name;
        uint32_t *value;
    } known[] = {
        /* RADV */
        { "VGPRs", &out->registers },
        { "SGPRs", &out->scalar_registers },
        { "Spilled VGPRs", &out->spills },
        { "Spilled SGPRs", &out->spills },
        { "Scratch size", &out->scratch_bytes },
        { "LDS size", &out->shared_bytes },
        { "Code size", &out->code_bytes },
        { "Subgroups per SIMD", &out->occupancy },
        /* NVK */
        { "Number of GPRs", &out->registers },
        { "Spills to memory", &out->spills },
        { "Fills from memory", &out->spills },
        { "SLM size", &out->scratch_bytes },
        { "Max warps/SM", &out->occupancy },
        { "Instruction count", &out->instructions },
        /* ANV */
        { "Max live registers", &out->registers },
        { "Spill count", &out->spills },
        { "Fill count", &out->spills },
        { "Spills", &out->spills }, /* and Honeykrisp's */
        { "Fills", &out->spills },
        { "Scratch Memory Size", &out->scratch_bytes },
        { "Workgroup Memory Size", &out->shared_bytes },
        /* Turnip: STP and LDP store to and load from an invocation's own memory */
        { "Registers used", &out->registers },
        { "STP Count", &out->spills },
        { "LDP Count", &out->spills },
        { "Max Waves Per Core", &out->occupancy },
        { "Instruction Count", &out->instructions },
        /* Honeykrisp */
        { "GPRs", &out->registers },
        { "Scratch", &out->scratch_bytes },
        { "Threads", &out->occupancy },
    };
    for (size_t i = 0; i < RT_COUNT(known); i++)
        if (strcmp(s->name, known[i].name) == 0 &&
            s->format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR)
            *known[i].value += (uint32_t)s->value.u64;
}

static rt_status read_executable(struct vk_device *dev, VkPipeline pipeline,
                                 uint32_t index, struct vk_statistics *out)
{
    rt_status st;
    const VkPipelineExecutableInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
        .pipeline = pipeline,
        .executableIndex = index,
    };
    VkPipelineExecutableStatisticKHR list[STATISTICS_MAX];
    for (uint32_t i = 0; i < STATISTICS_MAX; i++)
        list[i] = (VkPipelineExecutableStatisticKHR){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR,
        };
    uint32_t count = STATISTICS_MAX;
    TRY_VK(dev, vkGetPipelineExecutableStatisticsKHR(dev->handle, &info, &count, list));
    for (uint32_t i = 0; i < count; i++)
        take(out, &list[i]);
    return RT_OK;

fail:
    return st;
}

static void raise_to(uint32_t *most, uint32_t value)
{
    if (value > *most)
        *most = value;
}

void vk_statistics_worst(struct vk_statistics *worst, const struct vk_statistics *s)
{
    if (worst->registers == 0 || s->occupancy < worst->occupancy)
        worst->occupancy = s->occupancy;
    raise_to(&worst->subgroup_size, s->subgroup_size);
    raise_to(&worst->registers, s->registers);
    raise_to(&worst->scalar_registers, s->scalar_registers);
    raise_to(&worst->spills, s->spills);
    raise_to(&worst->scratch_bytes, s->scratch_bytes);
    raise_to(&worst->shared_bytes, s->shared_bytes);
    raise_to(&worst->code_bytes, s->code_bytes);
    raise_to(&worst->instructions, s->instructions);
}

/* A compute pipeline is one executable; of ANV one per size of subgroup that it may be
 * dispatched with. */
static rt_status read_pipeline(struct vk_device *dev, VkPipeline pipeline,
                               struct vk_statistics *out)
{
    rt_status st;
    const VkPipelineInfoKHR which = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR,
        .pipeline = pipeline,
    };
    VkPipelineExecutablePropertiesKHR list[EXECUTABLES_MAX];
    uint32_t count = EXECUTABLES_MAX;
    for (uint32_t i = 0; i < EXECUTABLES_MAX; i++)
        list[i] = (VkPipelineExecutablePropertiesKHR){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR,
        };
    TRY_VK(dev, vkGetPipelineExecutablePropertiesKHR(dev->handle, &which, &count, list));
    for (uint32_t i = 0; i < count; i++) {
        struct vk_statistics one = { .subgroup_size = list[i].subgroupSize };
        TRY(read_executable(dev, pipeline, i, &one));
        vk_statistics_worst(out, &one);
    }
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
