/* tests/support/layer/fault_layer.c
 * A Vulkan layer that makes a chosen call fail in the program as it is built: the program
 * knows nothing of it, the Vulkan loader puts it between the two. tests/loop/
 * test_device_faults.c sets what the loader needs and
 *   FAULT_LAYER_KIND    a name of `kinds`
 *   FAULT_LAYER_CALL    which call of that kind fails, from 1
 *   FAULT_LAYER_COUNTS  a file that gets a line per kind, its name and its calls, when the
 *                       device is destroyed
 * For one device at a time. A call that fails does nothing; a device that is lost ends its
 * work first, and all later submissions and waits fail too. */
#include <vulkan/vk_layer.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { OPEN, ALLOCATE, MAP, PIPELINE, SUBMIT, WAIT, LOST, KINDS };

static const char *const kinds[KINDS] = { "open",   "allocate", "map", "pipeline",
                                          "submit", "wait",     "lost" };

static struct {
    PFN_vkGetInstanceProcAddr of_instance;
    PFN_vkGetDeviceProcAddr of_device;
    VkInstance instance;
    VkDevice device;
    unsigned long calls[KINDS];
    bool lost;
} layer;

/* Counts a call; true where it is the one to fail. */
static bool fails(enum kind kind)
{
    const char *name = getenv("FAULT_LAYER_KIND"), *call = getenv("FAULT_LAYER_CALL");
    layer.calls[kind]++;
    return name && call && strcmp(name, kinds[kind]) == 0 &&
           strtoul(call, NULL, 10) == layer.calls[kind];
}

/* The next layer's function of a device; NAME without vk. */
#define BELOW(NAME) ((PFN_vk##NAME)layer.of_device(layer.device, "vk" #NAME))

static bool lost(void)
{
    if (!layer.lost && !fails(LOST))
        return false;
    layer.lost = true;
    BELOW(DeviceWaitIdle)(layer.device);
    return true;
}

/* ---- functions of a device ---- */

static VKAPI_ATTR VkResult VKAPI_CALL my_AllocateMemory(VkDevice device,
                                                        const VkMemoryAllocateInfo *info,
                                                        const VkAllocationCallbacks *a,
                                                        VkDeviceMemory *out)
{
    return fails(ALLOCATE) ? VK_ERROR_OUT_OF_DEVICE_MEMORY
                           : BELOW(AllocateMemory)(device, info, a, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL my_MapMemory(VkDevice device, VkDeviceMemory memory,
                                                   VkDeviceSize offset, VkDeviceSize size,
                                                   VkMemoryMapFlags flags, void **out)
{
    return fails(MAP) ? VK_ERROR_MEMORY_MAP_FAILED
                      : BELOW(MapMemory)(device, memory, offset, size, flags, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL
my_CreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                          const VkComputePipelineCreateInfo *info,
                          const VkAllocationCallbacks *a, VkPipeline *out)
{
    return fails(PIPELINE)
               ? VK_ERROR_OUT_OF_DEVICE_MEMORY
               : BELOW(CreateComputePipelines)(device, cache, count, info, a, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL my_QueueSubmit(VkQueue queue, uint32_t count,
                                                     const VkSubmitInfo *info,
                                                     VkFence fence)
{
    if (lost())
        return VK_ERROR_DEVICE_LOST;
    return fails(SUBMIT) ? VK_ERROR_OUT_OF_DEVICE_MEMORY
                         : BELOW(QueueSubmit)(queue, count, info, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL my_WaitForFences(VkDevice device, uint32_t count,
                                                       const VkFence *fences,
                                                       VkBool32 all, uint64_t timeout)
{
    if (lost())
        return VK_ERROR_DEVICE_LOST;
    return fails(WAIT) ? VK_ERROR_OUT_OF_HOST_MEMORY
                       : BELOW(WaitForFences)(device, count, fences, all, timeout);
}

static VKAPI_ATTR VkResult VKAPI_CALL my_QueueWaitIdle(VkQueue queue)
{
    if (lost())
        return VK_ERROR_DEVICE_LOST;
    return fails(WAIT) ? VK_ERROR_OUT_OF_HOST_MEMORY : BELOW(QueueWaitIdle)(queue);
}

static void write_counts(void)
{
    const char *path = getenv("FAULT_LAYER_COUNTS");
    FILE *file = path ? fopen(path, "w") : NULL;
    for (int i = 0; file && i < KINDS; i++)
        fprintf(file, "%s %lu\n", kinds[i], layer.calls[i]);
    if (file)
        fclose(file);
}

static VKAPI_ATTR void VKAPI_CALL my_DestroyDevice(VkDevice device,
                                                   const VkAllocationCallbacks *a)
{
    write_counts();
    BELOW(DestroyDevice)(device, a);
    layer.device = VK_NULL_HANDLE;
}

/* ---- the chain ---- */

static VKAPI_ATTR VkResult VKAPI_CALL my_CreateInstance(const VkInstanceCreateInfo *info,
                                                        const VkAllocationCallbacks *a,
                                                        VkInstance *out)
{
    VkLayerInstanceCreateInfo *link = (VkLayerInstanceCreateInfo *)(uintptr_t)info->pNext;
    while (link && (link->sType != VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO ||
                    link->function != VK_LAYER_LINK_INFO))
        link = (VkLayerInstanceCreateInfo *)(uintptr_t)link->pNext;
    if (!link)
        return VK_ERROR_INITIALIZATION_FAILED;
    layer.of_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    const VkResult got = ((PFN_vkCreateInstance)layer.of_instance(
        VK_NULL_HANDLE, "vkCreateInstance"))(info, a, out);
    if (got == VK_SUCCESS)
        layer.instance = *out;
    return got;
}

static VKAPI_ATTR VkResult VKAPI_CALL my_CreateDevice(VkPhysicalDevice physical,
                                                      const VkDeviceCreateInfo *info,
                                                      const VkAllocationCallbacks *a,
                                                      VkDevice *out)
{
    VkLayerDeviceCreateInfo *link = (VkLayerDeviceCreateInfo *)(uintptr_t)info->pNext;
    while (link && (link->sType != VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO ||
                    link->function != VK_LAYER_LINK_INFO))
        link = (VkLayerDeviceCreateInfo *)(uintptr_t)link->pNext;
    if (!link || fails(OPEN))
        return VK_ERROR_INITIALIZATION_FAILED;
    layer.of_device = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    const PFN_vkCreateDevice create =
        (PFN_vkCreateDevice)link->u.pLayerInfo->pfnNextGetInstanceProcAddr(
            layer.instance, "vkCreateDevice");
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    const VkResult got = create(physical, info, a, out);
    if (got == VK_SUCCESS)
        layer.device = *out;
    return got;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL of_device(VkDevice device,
                                                          const char *name);
static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL of_instance(VkInstance instance,
                                                            const char *name);

/* Ours of that name, or null. */
static PFN_vkVoidFunction find(const char *name, bool of_devices)
{
#define MINE(NAME, function, device_too)                             \
    if (strcmp(name, "vk" NAME) == 0 && (device_too || !of_devices)) \
        return (PFN_vkVoidFunction)function;
    MINE("GetInstanceProcAddr", of_instance, false)
    MINE("CreateInstance", my_CreateInstance, false)
    MINE("CreateDevice", my_CreateDevice, false)
    MINE("GetDeviceProcAddr", of_device, true)
    MINE("DestroyDevice", my_DestroyDevice, true)
    MINE("AllocateMemory", my_AllocateMemory, true)
    MINE("MapMemory", my_MapMemory, true)
    MINE("CreateComputePipelines", my_CreateComputePipelines, true)
    MINE("QueueSubmit", my_QueueSubmit, true)
    MINE("WaitForFences", my_WaitForFences, true)
    MINE("QueueWaitIdle", my_QueueWaitIdle, true)
    return NULL;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL of_device(VkDevice device,
                                                          const char *name)
{
    const PFN_vkVoidFunction mine = find(name, true);
    return mine ? mine : layer.of_device(device, name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL of_instance(VkInstance instance,
                                                            const char *name)
{
    const PFN_vkVoidFunction mine = find(name, false);
    return mine ? mine : layer.of_instance(instance, name);
}

/* What the loader calls first. */
VK_LAYER_EXPORT VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *v)
{
    v->loaderLayerInterfaceVersion = 2;
    v->pfnGetInstanceProcAddr = of_instance;
    v->pfnGetDeviceProcAddr = of_device;
    v->pfnGetPhysicalDeviceProcAddr = NULL;
    return VK_SUCCESS;
}
