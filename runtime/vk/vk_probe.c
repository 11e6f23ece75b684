/* runtime/vk/vk_probe.c
 * Finds devices and fills facts; decides nothing. */
#include "runtime/vk/vk.h"
#include "runtime/vk/vk_coop.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

rt_status vk_instance_create(struct rt_ctx *ctx, bool validation, VkInstance *out,
                             const char **note)
{
    *out = VK_NULL_HANDLE;
    if (volkInitialize() != VK_SUCCESS) {
        *note = "no Vulkan loader (libvulkan.so.1) is installed";
        return RT_OK;
    }
    static const char *const layers[] = { "VK_LAYER_KHRONOS_validation" };
    static const char *const extensions[] = { VK_EXT_DEBUG_UTILS_EXTENSION_NAME };
    const VkApplicationInfo app = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "faultline",
        .apiVersion = VK_API_VERSION_1_2,
    };
    const VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pApplicationInfo = &app,
        .enabledLayerCount = validation ? 1 : 0,
        .ppEnabledLayerNames = layers,
        .enabledExtensionCount = validation ? 1 : 0,
        .ppEnabledExtensionNames = extensions,
    };
    const VkResult result = vkCreateInstance(&info, NULL, out);
    if (result == VK_ERROR_LAYER_NOT_PRESENT)
        return rt_fail(ctx, RT_ERR_NO_DEVICE,
                       "the Vulkan validation layer was asked for and is not installed; "
                       "install vulkan-validationlayers");
    if (result != VK_SUCCESS) {
        *out = VK_NULL_HANDLE;
        *note = "the Vulkan loader found no driver";
        return RT_OK;
    }
    volkLoadInstance(*out);
    return RT_OK;
}

uint32_t vk_queue_family(VkPhysicalDevice physical)
{
    VkQueueFamilyProperties families[16];
    uint32_t count = RT_COUNT(families);
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
    uint32_t found = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const VkQueueFlags flags = families[i].queueFlags;
        if (!(flags & VK_QUEUE_COMPUTE_BIT))
            continue;
        if (found == UINT32_MAX || !(flags & VK_QUEUE_GRAPHICS_BIT))
            found = i; /* a compute-only family leaves the desktop alone */
    }
    return found;
}

static bool has_extension(const VkExtensionProperties *list, uint32_t count,
                          const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(list[i].extensionName, name) == 0)
            return true;
    return false;
}

/* Those of halves with sums in floats, as far as there is room. */
static void probe_fragments(VkPhysicalDevice physical, struct rt_facts *facts)
{
    VkCooperativeMatrixPropertiesKHR list[64];
    uint32_t count = RT_COUNT(list);
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR get =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)vkGetInstanceProcAddr(
            volkGetLoadedInstance(), "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    for (uint32_t i = 0; i < count; i++)
        list[i] = (VkCooperativeMatrixPropertiesKHR){
            .sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR,
        };
    if (!get || get(physical, &count, list) < VK_SUCCESS)
        return;
    for (uint32_t i = 0; i < count && facts->fragments < RT_FRAGMENTS_MAX; i++) {
        const VkCooperativeMatrixPropertiesKHR *f = &list[i];
        if (f->AType != VK_COMPONENT_TYPE_FLOAT16_KHR ||
            f->BType != VK_COMPONENT_TYPE_FLOAT16_KHR ||
            f->CType != VK_COMPONENT_TYPE_FLOAT32_KHR ||
            f->ResultType != VK_COMPONENT_TYPE_FLOAT32_KHR ||
            f->scope != VK_SCOPE_SUBGROUP_KHR)
            continue;
        facts->fragment[facts->fragments++] = (struct rt_fragment){ .rows = f->MSize,
                                                                    .outputs = f->NSize,
                                                                    .inputs = f->KSize };
    }
}

/* Which sizes subgroups may have, and whether a pipeline can ask for one. */
static void probe_subgroups(VkPhysicalDevice physical, struct rt_facts *facts)
{
    VkPhysicalDeviceSubgroupSizeControlProperties sizes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES,
    };
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
        .pNext = &sizes,
    };
    VkPhysicalDeviceSubgroupSizeControlFeatures control = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
    };
    VkPhysicalDeviceFeatures2 features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
        .pNext = &control,
    };
    vkGetPhysicalDeviceProperties2(physical, &properties);
    vkGetPhysicalDeviceFeatures2(physical, &features);
    if (!control.subgroupSizeControl)
        return;
    facts->subgroup_min = sizes.minSubgroupSize;
    facts->subgroup_max = sizes.maxSubgroupSize;
    facts->subgroup_full = control.computeFullSubgroups;
    facts->subgroup_asked =
        sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT;
}

/* Which dots of bytes are faster than other code. */
static void probe_dots(VkPhysicalDevice physical, struct rt_facts *facts)
{
    VkPhysicalDeviceShaderIntegerDotProductProperties dots = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES,
    };
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
        .pNext = &dots,
    };
    VkPhysicalDeviceShaderIntegerDotProductFeatures feature = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
    };
    VkPhysicalDeviceFeatures2 features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
        .pNext = &feature,
    };
    vkGetPhysicalDeviceProperties2(physical, &properties);
    vkGetPhysicalDeviceFeatures2(physical, &features);
    facts->int_dot = feature.shaderIntegerDotProduct;
    facts->int_dot_signed =
        facts->int_dot && dots.integerDotProduct4x8BitPackedSignedAccelerated;
}

static void probe_extensions(VkPhysicalDevice physical, struct rt_facts *facts)
{
    VkExtensionProperties list[512];
    uint32_t count = RT_COUNT(list);
    vkEnumerateDeviceExtensionProperties(physical, NULL, &count, list);
    const bool coop =
        has_extension(list, count, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    const bool dot =
        has_extension(list, count, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    const bool sizes =
        has_extension(list, count, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    if (facts->api_version < VK_API_VERSION_1_2)
        return;
    VkPhysicalDeviceVulkanMemoryModelFeatures model = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES,
    };
    VkPhysicalDeviceShaderFloat16Int8Features small = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
        .pNext = &model,
    };
    VkPhysicalDeviceFeatures2 features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
        .pNext = &small,
    };
    vkGetPhysicalDeviceFeatures2(physical, &features);
    facts->memory_model = model.vulkanMemoryModel;
    facts->fp16 = small.shaderFloat16;
    if (dot)
        probe_dots(physical, facts);
    if (sizes)
        probe_subgroups(physical, facts);
    if (coop)
        probe_fragments(physical, facts);
}

static void probe_memory(VkPhysicalDevice physical, struct rt_facts *facts)
{
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(physical, &memory);
    facts->unified_memory = true;
    for (uint32_t i = 0; i < memory.memoryTypeCount; i++) {
        const VkMemoryType *type = &memory.memoryTypes[i];
        const uint64_t heap = memory.memoryHeaps[type->heapIndex].size;
        if (!(type->propertyFlags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT))
            continue;
        if (heap > facts->device_heap_bytes)
            facts->device_heap_bytes = heap;
    }
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++)
        if (!(memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT))
            facts->unified_memory = false;
}

static void probe_limits(const VkPhysicalDeviceProperties *p, struct rt_facts *facts)
{
    const VkPhysicalDeviceLimits *limits = &p->limits;
    facts->vendor_id = p->vendorID;
    facts->device_id = p->deviceID;
    facts->driver_version = p->driverVersion;
    facts->api_version = p->apiVersion;
    facts->software = p->deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    facts->discrete = p->deviceType == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    facts->shared_bytes = limits->maxComputeSharedMemorySize;
    facts->lanes_max = limits->maxComputeWorkGroupInvocations;
    facts->push_bytes_max = limits->maxPushConstantsSize;
    facts->storage_range_max = limits->maxStorageBufferRange;
    facts->texel_count_max = limits->maxTexelBufferElements;
    facts->storage_align = (uint32_t)limits->minStorageBufferOffsetAlignment;
    facts->texel_align = (uint32_t)limits->minTexelBufferOffsetAlignment;
    facts->timestamp_ns =
        limits->timestampComputeAndGraphics ? limits->timestampPeriod : 0.0f;
}

void vk_probe(VkPhysicalDevice physical, struct rt_facts *facts)
{
    *facts = (struct rt_facts){ 0 };
    VkPhysicalDeviceDriverProperties driver = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES,
    };
    VkPhysicalDeviceIDProperties id = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES,
        .pNext = &driver,
    };
    VkPhysicalDeviceMaintenance3Properties memory = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
        .pNext = &id,
    };
    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
        .pNext = &memory,
    };
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
        .pNext = &subgroup,
    };
    vkGetPhysicalDeviceProperties(physical, &properties.properties);
    if (properties.properties.apiVersion < VK_API_VERSION_1_2)
        id.pNext = NULL;
    if (properties.properties.apiVersion >= VK_API_VERSION_1_1)
        vkGetPhysicalDeviceProperties2(physical, &properties);
    probe_limits(&properties.properties, facts);
    snprintf(facts->device_name, sizeof facts->device_name, "%s",
             properties.properties.deviceName);
    snprintf(facts->driver_name, sizeof facts->driver_name, "%s", driver.driverName);
    snprintf(facts->driver_info, sizeof facts->driver_info, "%s", driver.driverInfo);
    facts->driver_id = driver.driverID;
    facts->allocation_max = memory.maxMemoryAllocationSize;
    /* Lavapipe always gives version 0.0.1: Mesa's own is in the text only. */
    uint32_t v[3];
    if (sscanf(driver.driverInfo, "Mesa %u.%u.%u", &v[0], &v[1], &v[2]) == 3)
        facts->driver_version = VK_MAKE_VERSION(v[0], v[1], v[2]);
    memcpy(facts->device_uuid, id.deviceUUID, sizeof facts->device_uuid);
    const bool compute = subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT;
    facts->subgroup_size = subgroup.subgroupSize;
    facts->subgroup_ballot =
        compute && (subgroup.supportedOperations & VK_SUBGROUP_FEATURE_BALLOT_BIT);
    facts->subgroup_quad =
        compute && (subgroup.supportedOperations & VK_SUBGROUP_FEATURE_QUAD_BIT);
    facts->subgroup_vote =
        compute && (subgroup.supportedOperations & VK_SUBGROUP_FEATURE_VOTE_BIT);
    probe_extensions(physical, facts);
    probe_memory(physical, facts);
    const uint32_t family = vk_queue_family(physical);
    if (family != UINT32_MAX) {
        VkQueueFamilyProperties families[16];
        uint32_t count = RT_COUNT(families);
        vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
        facts->timestamp_bits = families[family].timestampValidBits;
    }
}

/* What a device must have; empty if it has all. */
static void find_lack(struct rt_device_info *info, uint32_t family)
{
    const struct rt_facts *f = &info->facts;
    const char *lack = NULL;
    if (f->api_version < VK_API_VERSION_1_1)
        lack = "its driver offers less than Vulkan 1.1; update the driver";
    else if (family == UINT32_MAX)
        lack = "it has no compute queue";
    else if (f->push_bytes_max < 128 || f->lanes_max < 128)
        lack = "it is below Vulkan's own minimum limits";
    else if (f->storage_align > VK_ALIGN || f->texel_align > VK_ALIGN)
        lack = "it needs buffer offsets aligned to more than 256 bytes";
    info->usable = lack == NULL;
    snprintf(info->why, sizeof info->why, "%s", lack ? lack : "");
}

/* VK_DRIVER_ID_MESA_HONEYKRISP, newer than Debian 12's headers. */
enum { DRIVER_HONEYKRISP = 26 };

static const char *vendor_word(const struct rt_facts *f)
{
    if (f->software)
        return "cpu";
    if (f->driver_id == DRIVER_HONEYKRISP) /* its vendor is Mesa's own number */
        return "apple";
    switch (f->vendor_id) {
    case 0x1002:
        return "amd";
    case 0x8086:
        return "intel";
    case 0x10de:
        return "nvidia";
    case 0x13b5:
        return "arm";
    case 0x5143:
        return "qualcomm";
    case 0x106b:
        return "apple";
    default:
        return "gpu";
    }
}

/* A short word from the driver's device name: what is between the parentheses of
 * Mesa's names is left out, letters and digits are kept. */
static void short_word(const char *name, char *out, size_t size)
{
    size_t n = 0;
    for (const char *c = name; *c && *c != '(' && n + 1 < size; c++) {
        if (isalnum((unsigned char)*c))
            out[n++] = (char)tolower((unsigned char)*c);
        else if (n > 0 && out[n - 1] != '-')
            out[n++] = '-';
    }
    while (n > 0 && out[n - 1] == '-')
        n--;
    out[n] = '\0';
}

void vk_device_names(struct rt_device_info *infos, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t same = 0;
        for (uint32_t j = 0; j < i; j++)
            same +=
                strcmp(vendor_word(&infos[j].facts), vendor_word(&infos[i].facts)) == 0;
        char word[40];
        short_word(infos[i].facts.device_name, word, sizeof word);
        snprintf(infos[i].name, sizeof infos[i].name, "%s-%u:%s",
                 vendor_word(&infos[i].facts), same, word);
    }
}

rt_status vk_physical_list(struct rt_ctx *ctx, VkInstance instance,
                           VkPhysicalDevice **out, uint32_t *count)
{
    *out = NULL;
    *count = 0;
    uint32_t n = 0;
    if (vkEnumeratePhysicalDevices(instance, &n, NULL) != VK_SUCCESS || n == 0)
        return RT_OK;
    VkPhysicalDevice *list = rt_alloc(ctx, n, sizeof *list);
    if (!list)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no host memory for the device list");
    vkEnumeratePhysicalDevices(instance, &n, list);
    *out = list;
    *count = n;
    return RT_OK;
}

rt_status vk_devices_list(struct rt_ctx *ctx, struct rt_device_info **out,
                          uint32_t *count, const char **note)
{
    rt_status st;
    VkInstance instance = VK_NULL_HANDLE;
    VkPhysicalDevice *physical = NULL;
    struct rt_device_info *infos = NULL;
    uint32_t n = 0;
    *out = NULL;
    *count = 0;
    TRY(vk_instance_create(ctx, false, &instance, note));
    if (instance)
        TRY(vk_physical_list(ctx, instance, &physical, &n));
    infos = rt_alloc(ctx, n, sizeof *infos);
    if (!infos) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no host memory for the device list");
        goto fail;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct rt_facts *facts = &infos[i].facts;
        vk_probe(physical[i], facts);
        infos[i].software = facts->software;
        snprintf(infos[i].description, sizeof infos[i].description, "%s",
                 facts->device_name);
        snprintf(infos[i].driver, sizeof infos[i].driver, "%.120s %.120s",
                 facts->driver_name, facts->driver_info);
        find_lack(&infos[i], vk_queue_family(physical[i]));
    }
    vk_device_names(infos, n);
    if (n == 0 && !*note)
        *note = "the Vulkan loader found no device";
    *out = infos;
    *count = n;
    st = RT_OK;

fail:
    rt_free(physical);
    if (instance)
        vkDestroyInstance(instance, NULL);
    return st;
}
