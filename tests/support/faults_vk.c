/* tests/support/faults_vk.c
 * Faults of Vulkan's functions. volk keeps them as global pointers, which are replaced by
 * functions of the same name here that count, perhaps fail, and call the driver's.
 *
 * A call that is to fail does nothing. A lost device first ends its work, as Vulkan says of
 * one (nothing is in use after a wait that returned VK_ERROR_DEVICE_LOST). */
#include "runtime/vk/vk.h"
#include "tests/support/faults.h"

/* Work that was submitted and not waited for; a fence that was submitted and not reset. */
static bool in_use, fence_in_use;

static void check_idle(const char *what)
{
    if (in_use)
        test_fault_misuse(what);
}

/* Objects with a function that makes one of them and one that destroys it: both names
 * without vk, the information, the handle, and whether a device keeps them. */
#define OBJECTS                                                                       \
    OBJECT(CreateBuffer, DestroyBuffer, VkBufferCreateInfo, VkBuffer, true)           \
    OBJECT(CreateBufferView, DestroyBufferView, VkBufferViewCreateInfo, VkBufferView, \
           false)                                                                     \
    OBJECT(CreateShaderModule, DestroyShaderModule, VkShaderModuleCreateInfo,         \
           VkShaderModule, false)                                                     \
    OBJECT(CreateDescriptorSetLayout, DestroyDescriptorSetLayout,                     \
           VkDescriptorSetLayoutCreateInfo, VkDescriptorSetLayout, true)              \
    OBJECT(CreatePipelineLayout, DestroyPipelineLayout, VkPipelineLayoutCreateInfo,   \
           VkPipelineLayout, true)                                                    \
    OBJECT(CreateDescriptorPool, DestroyDescriptorPool, VkDescriptorPoolCreateInfo,   \
           VkDescriptorPool, false)                                                   \
    OBJECT(CreateQueryPool, DestroyQueryPool, VkQueryPoolCreateInfo, VkQueryPool, false)

/* The driver's own. */
static struct {
#define OBJECT(make, destroy, Info, Handle, kept) \
    PFN_vk##make make;                            \
    PFN_vk##destroy destroy;
    OBJECTS
#undef OBJECT
    PFN_vkCreateComputePipelines CreateComputePipelines;
    PFN_vkDestroyPipeline DestroyPipeline;
    PFN_vkAllocateCommandBuffers AllocateCommandBuffers;
    PFN_vkFreeCommandBuffers FreeCommandBuffers;
    PFN_vkBeginCommandBuffer BeginCommandBuffer;
    PFN_vkEndCommandBuffer EndCommandBuffer;
    PFN_vkAllocateDescriptorSets AllocateDescriptorSets;
    PFN_vkGetBufferMemoryRequirements GetBufferMemoryRequirements;
    PFN_vkAllocateMemory AllocateMemory;
    PFN_vkFreeMemory FreeMemory;
    PFN_vkMapMemory MapMemory;
    PFN_vkQueueSubmit QueueSubmit;
    PFN_vkQueueWaitIdle QueueWaitIdle;
    PFN_vkDeviceWaitIdle DeviceWaitIdle;
    PFN_vkWaitForFences WaitForFences;
    PFN_vkResetFences ResetFences;
    PFN_vkGetQueryPoolResults GetQueryPoolResults;
} driver;

#define OBJECT(make, destroy, Info, Handle, is_kept)                                    \
    static VKAPI_ATTR VkResult VKAPI_CALL my_##make(                                    \
        VkDevice device, const Info *info, const VkAllocationCallbacks *a, Handle *out) \
    {                                                                                   \
        if (test_fault_here(TEST_FAULT_OBJECT))                                         \
            return VK_ERROR_OUT_OF_HOST_MEMORY;                                         \
        const VkResult got = driver.make(device, info, a, out);                         \
        test_fault_objects(got == VK_SUCCESS, is_kept);                                 \
        return got;                                                                     \
    }                                                                                   \
    static VKAPI_ATTR void VKAPI_CALL my_##destroy(VkDevice device, Handle handle,      \
                                                   const VkAllocationCallbacks *a)      \
    {                                                                                   \
        if (handle) {                                                                   \
            check_idle("vk" #destroy " of a device that is at work");                   \
            test_fault_objects(-1, is_kept);                                            \
        }                                                                               \
        driver.destroy(device, handle, a);                                              \
    }
OBJECTS
#undef OBJECT

static VKAPI_ATTR VkResult VKAPI_CALL
my_CreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                          const VkComputePipelineCreateInfo *info,
                          const VkAllocationCallbacks *a, VkPipeline *out)
{
    if (test_fault_here(TEST_FAULT_PIPELINE))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const VkResult got =
        driver.CreateComputePipelines(device, cache, count, info, a, out);
    test_fault_objects(got == VK_SUCCESS, true);
    return got;
}

static VKAPI_ATTR void VKAPI_CALL my_DestroyPipeline(VkDevice device, VkPipeline handle,
                                                     const VkAllocationCallbacks *a)
{
    if (handle) {
        check_idle("vkDestroyPipeline of a device that is at work");
        test_fault_objects(-1, true);
    }
    driver.DestroyPipeline(device, handle, a);
}

static VKAPI_ATTR VkResult VKAPI_CALL my_AllocateCommandBuffers(
    VkDevice device, const VkCommandBufferAllocateInfo *info, VkCommandBuffer *out)
{
    if (test_fault_here(TEST_FAULT_OBJECT))
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    const VkResult got = driver.AllocateCommandBuffers(device, info, out);
    if (got == VK_SUCCESS)
        test_fault_objects(info->commandBufferCount, false);
    return got;
}

static VKAPI_ATTR void VKAPI_CALL my_FreeCommandBuffers(VkDevice device,
                                                        VkCommandPool pool,
                                                        uint32_t count,
                                                        const VkCommandBuffer *list)
{
    check_idle("vkFreeCommandBuffers of a device that is at work");
    test_fault_objects(-(int64_t)count, false);
    driver.FreeCommandBuffers(device, pool, count, list);
}

static VKAPI_ATTR VkResult VKAPI_CALL
my_BeginCommandBuffer(VkCommandBuffer cmd, const VkCommandBufferBeginInfo *info)
{
    return test_fault_here(TEST_FAULT_OBJECT) ? VK_ERROR_OUT_OF_HOST_MEMORY
                                              : driver.BeginCommandBuffer(cmd, info);
}

static VKAPI_ATTR VkResult VKAPI_CALL my_EndCommandBuffer(VkCommandBuffer cmd)
{
    return test_fault_here(TEST_FAULT_OBJECT) ? VK_ERROR_OUT_OF_HOST_MEMORY
                                              : driver.EndCommandBuffer(cmd);
}

static VKAPI_ATTR VkResult VKAPI_CALL my_AllocateDescriptorSets(
    VkDevice device, const VkDescriptorSetAllocateInfo *info, VkDescriptorSet *out)
{
    return test_fault_here(TEST_FAULT_OBJECT)
               ? VK_ERROR_OUT_OF_HOST_MEMORY
               : driver.AllocateDescriptorSets(device, info, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL my_MapMemory(VkDevice device, VkDeviceMemory memory,
                                                   VkDeviceSize offset, VkDeviceSize size,
                                                   VkMemoryMapFlags flags, void **out)
{
    return test_fault_here(TEST_FAULT_MAP)
               ? VK_ERROR_MEMORY_MAP_FAILED
               : driver.MapMemory(device, memory, offset, size, flags, out);
}

/* ---- memory ---- */

/* The types that test_faults_discrete makes up; the driver's first stands for both. */
enum { TYPE_DEVICE, TYPE_HOST, TYPES };
static bool two_types;

void test_faults_discrete(struct rt_device *base)
{
    struct vk_device *dev = (struct vk_device *)base;
    dev->memory.memoryTypeCount = TYPES;
    dev->memory.memoryTypes[TYPE_DEVICE] =
        (VkMemoryType){ .propertyFlags = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT };
    dev->memory.memoryTypes[TYPE_HOST] =
        (VkMemoryType){ .propertyFlags = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                         VK_MEMORY_PROPERTY_HOST_COHERENT_BIT };
    base->info.facts.unified_memory = false;
    two_types = true;
}

static VKAPI_ATTR void VKAPI_CALL my_GetBufferMemoryRequirements(
    VkDevice device, VkBuffer buffer, VkMemoryRequirements *out)
{
    driver.GetBufferMemoryRequirements(device, buffer, out);
    if (two_types)
        out->memoryTypeBits = 1u << TYPE_DEVICE | 1u << TYPE_HOST;
}

static VKAPI_ATTR VkResult VKAPI_CALL my_AllocateMemory(VkDevice device,
                                                        const VkMemoryAllocateInfo *info,
                                                        const VkAllocationCallbacks *a,
                                                        VkDeviceMemory *out)
{
    if (test_fault_here(TEST_FAULT_ALLOCATE))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    VkMemoryAllocateInfo first = *info;
    if (two_types)
        first.memoryTypeIndex = 0;
    const VkResult got = driver.AllocateMemory(device, &first, a, out);
    test_fault_objects(got == VK_SUCCESS, true);
    return got;
}

static VKAPI_ATTR void VKAPI_CALL my_FreeMemory(VkDevice device, VkDeviceMemory handle,
                                                const VkAllocationCallbacks *a)
{
    if (handle) {
        check_idle("vkFreeMemory of a device that is at work");
        test_fault_objects(-1, true);
    }
    driver.FreeMemory(device, handle, a);
}

/* ---- running ---- */

static VkDevice the_device;

static bool lost_here(void)
{
    if (!test_fault_is_lost() && !test_fault_here(TEST_FAULT_LOST))
        return false;
    driver.DeviceWaitIdle(the_device);
    in_use = false;
    return true;
}

static VKAPI_ATTR VkResult VKAPI_CALL my_QueueSubmit(VkQueue queue, uint32_t count,
                                                     const VkSubmitInfo *info,
                                                     VkFence fence)
{
    if (fence && fence_in_use)
        test_fault_misuse("vkQueueSubmit with a fence that was not reset");
    if (lost_here())
        return VK_ERROR_DEVICE_LOST;
    if (test_fault_here(TEST_FAULT_SUBMIT))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const VkResult got = driver.QueueSubmit(queue, count, info, fence);
    in_use = in_use || got == VK_SUCCESS;
    fence_in_use = fence_in_use || (fence && got == VK_SUCCESS);
    return got;
}

static VKAPI_ATTR VkResult VKAPI_CALL my_QueueWaitIdle(VkQueue queue)
{
    if (lost_here())
        return VK_ERROR_DEVICE_LOST;
    if (test_fault_here(TEST_FAULT_WAIT))
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    const VkResult got = driver.QueueWaitIdle(queue);
    in_use = false;
    return got;
}

static VKAPI_ATTR VkResult VKAPI_CALL my_DeviceWaitIdle(VkDevice device)
{
    const VkResult got = driver.DeviceWaitIdle(device);
    in_use = false;
    return test_fault_is_lost() ? VK_ERROR_DEVICE_LOST : got;
}

static VKAPI_ATTR VkResult VKAPI_CALL my_WaitForFences(VkDevice device, uint32_t count,
                                                       const VkFence *list, VkBool32 all,
                                                       uint64_t timeout)
{
    if (!fence_in_use) { /* it would wait for good */
        test_fault_misuse("vkWaitForFences for what was not submitted");
        return VK_TIMEOUT;
    }
    if (lost_here())
        return VK_ERROR_DEVICE_LOST;
    if (test_fault_here(TEST_FAULT_WAIT))
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    const VkResult got = driver.WaitForFences(device, count, list, all, timeout);
    in_use = false;
    return got;
}

static VKAPI_ATTR VkResult VKAPI_CALL my_ResetFences(VkDevice device, uint32_t count,
                                                     const VkFence *list)
{
    check_idle("vkResetFences of a device that is at work");
    fence_in_use = false;
    return driver.ResetFences(device, count, list);
}

static VKAPI_ATTR VkResult VKAPI_CALL my_GetQueryPoolResults(
    VkDevice device, VkQueryPool pool, uint32_t first, uint32_t count, size_t size,
    void *data, VkDeviceSize stride, VkQueryResultFlags flags)
{
    return test_fault_is_lost() ? VK_ERROR_DEVICE_LOST
                                : driver.GetQueryPoolResults(device, pool, first, count,
                                                             size, data, stride, flags);
}

/* ---- the table ---- */

#define FUNCTIONS                         \
    FUNCTION(CreateComputePipelines)      \
    FUNCTION(DestroyPipeline)             \
    FUNCTION(AllocateCommandBuffers)      \
    FUNCTION(FreeCommandBuffers)          \
    FUNCTION(BeginCommandBuffer)          \
    FUNCTION(EndCommandBuffer)            \
    FUNCTION(AllocateDescriptorSets)      \
    FUNCTION(GetBufferMemoryRequirements) \
    FUNCTION(AllocateMemory)              \
    FUNCTION(FreeMemory)                  \
    FUNCTION(MapMemory)                   \
    FUNCTION(QueueSubmit)                 \
    FUNCTION(QueueWaitIdle)               \
    FUNCTION(DeviceWaitIdle)              \
    FUNCTION(WaitForFences)               \
    FUNCTION(ResetFences)                 \
    FUNCTION(GetQueryPoolResults)

#define OBJECT(make, destroy, Info, Handle, kept) FUNCTION(make) FUNCTION(destroy)

void test_faults_vk_install(struct rt_device *dev)
{
    the_device = ((struct vk_device *)dev)->handle;
    in_use = fence_in_use = two_types = false;
#define FUNCTION(name)      \
    driver.name = vk##name; \
    vk##name = my_##name;
    FUNCTIONS
    OBJECTS
#undef FUNCTION
}

void test_faults_vk_remove(void)
{
#define FUNCTION(name) vk##name = driver.name;
    FUNCTIONS
    OBJECTS
#undef FUNCTION
}
