/* runtime/vk/vk_device.c
 * Opens and closes a Vulkan device. */
#include "runtime/vk/vk.h"
#include "runtime/vk/vk_coop.h"

#include <stdio.h>
#include <string.h>

rt_status vk_check(struct vk_device *dev, VkResult result, const char *what)
{
    struct rt_ctx *ctx = dev->base.ctx;
    const char *name = dev->base.info.name;
    const int n = (int)strcspn(what, "("); /* the function, without what it was given */
    switch (result) {
    case VK_SUCCESS:
        return RT_OK;
    case VK_ERROR_DEVICE_LOST:
        return rt_fail(ctx, RT_ERR_DEVICE_LOST,
                       "device '%s' was lost in %.*s; finished work is saved, run the "
                       "same command again",
                       name, n, what);
    case VK_ERROR_INITIALIZATION_FAILED:
        return rt_fail(
            ctx, RT_ERR_NO_DEVICE,
            "device '%s' cannot be used: its driver failed in %.*s; update the "
            "driver, or use another device",
            name, n, what);
    case VK_ERROR_FEATURE_NOT_PRESENT:
    case VK_ERROR_EXTENSION_NOT_PRESENT:
        return rt_fail(ctx, RT_ERR_NO_DEVICE,
                       "device '%s': its driver lists a feature and refuses it in %.*s; "
                       "update the driver, or use --products f32",
                       name, n, what);
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_TOO_MANY_OBJECTS: /* blocks of memory: a driver counts them */
        return rt_fail(ctx, RT_ERR_DEVICE_MEMORY, "device '%s' is out of memory in %.*s",
                       name, n, what);
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_MEMORY_MAP_FAILED: /* no room among the addresses of the process */
        return rt_fail(ctx, RT_ERR_HOST_MEMORY,
                       "the driver of '%s' is out of host memory in %.*s", name, n, what);
    default:
        return rt_fail(ctx, RT_ERR_INTERNAL,
                       "device '%s': %.*s failed with Vulkan result %d", name, n, what,
                       (int)result);
    }
}

static VKAPI_ATTR VkBool32 VKAPI_CALL
on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
           VkDebugUtilsMessageTypeFlagsEXT types,
           const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    struct vk_device *dev = user;
    (void)severity;
    (void)types;
    dev->base.validation_count++;
    rt_log(dev->base.ctx, RT_LOG_ERROR, "validation: %.900s", data->pMessage);
    return VK_FALSE;
}

static rt_status open_messenger(struct vk_device *dev)
{
    const VkDebugUtilsMessengerCreateInfoEXT info = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                           VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = dev,
    };
    return vk_check(
        dev, vkCreateDebugUtilsMessengerEXT(dev->instance, &info, NULL, &dev->messenger),
        "vkCreateDebugUtilsMessengerEXT");
}

static bool is_same(const struct rt_facts *a, const struct rt_facts *b)
{
    return memcmp(a->device_uuid, b->device_uuid, sizeof a->device_uuid) == 0 &&
           strcmp(a->device_name, b->device_name) == 0 && a->driver_id == b->driver_id;
}

/* The physical device that was listed: of another instance, so probably, but not surely, at
 * the same place. */
static rt_status find_physical(struct vk_device *dev, const struct rt_device_info *wanted)
{
    rt_status st;
    struct rt_ctx *ctx = dev->base.ctx;
    VkPhysicalDevice *physical = NULL;
    uint32_t count = 0;
    TRY(vk_physical_list(ctx, dev->instance, &physical, &count));
    for (uint32_t i = 0; i < count && !dev->physical; i++) {
        const uint32_t at = (wanted->index + i) % count;
        struct rt_facts facts = { 0 };
        vk_probe(physical[at], &facts);
        if (is_same(&facts, &wanted->facts))
            dev->physical = physical[at];
    }
    st = dev->physical
             ? RT_OK
             : rt_fail(ctx, RT_ERR_NO_DEVICE, "device '%s' has gone", wanted->name);

fail:
    rt_free(physical);
    return st;
}

static bool offers_statistics(VkPhysicalDevice physical)
{
    VkExtensionProperties list[512];
    uint32_t count = RT_COUNT(list);
    vkEnumerateDeviceExtensionProperties(physical, NULL, &count, list);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(list[i].extensionName,
                   VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME) == 0)
            return true;
    return false;
}

/* Extensions and features beyond those that every device has. */
struct extras {
    const char *names[4];
    uint32_t count;
    void *chain; /* of the features below */
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coop;
    VkPhysicalDeviceShaderFloat16Int8Features halves;
    VkPhysicalDeviceVulkanMemoryModelFeatures model;
    VkPhysicalDeviceSubgroupSizeControlFeatures sizes;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot;
};

/* Puts a feature structure, whose sType is set, before the chain. */
static void chain(struct extras *e, void *features)
{
    ((VkBaseOutStructure *)features)->pNext = e->chain;
    e->chain = features;
}

static void ask_for(const struct vk_device *dev, struct extras *e)
{
    *e = (struct extras){
        .executable = { .sType =
                            VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
                        .pipelineExecutableInfo = VK_TRUE },
        .coop = { .sType =
                      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
                  .cooperativeMatrix = VK_TRUE },
        .halves = { .sType =
                        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
                    .shaderFloat16 = VK_TRUE },
        .model = { .sType =
                       VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES,
                   .vulkanMemoryModel = VK_TRUE },
        .sizes = { .sType =
                       VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
                   .subgroupSizeControl = VK_TRUE,
                   .computeFullSubgroups = VK_TRUE },
        .dot = { .sType =
                     VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
                 .shaderIntegerDotProduct = VK_TRUE },
    };
    if (dev->statistics) {
        e->names[e->count++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
        chain(e, &e->executable);
    }
    if (rt_plan_uses(&dev->base.plan, RT_PRODUCTS_F16)) {
        e->names[e->count++] = VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME;
        e->names[e->count++] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
        chain(e, &e->coop);
        chain(e, &e->halves);
        chain(e, &e->model);
        chain(e, &e->sizes);
    }
    if (dev->base.plan.dots) {
        e->names[e->count++] = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME;
        chain(e, &e->dot);
    }
}

static rt_status open_device(struct vk_device *dev, bool compile_only)
{
    rt_status st;
    const float priority = 1.0f;
    dev->queue_family = vk_queue_family(dev->physical);
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = dev->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    struct extras extras;
    dev->statistics = compile_only && offers_statistics(dev->physical);
    ask_for(dev, &extras);
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = extras.chain,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = extras.count,
        .ppEnabledExtensionNames = extras.names,
    };
    TRY_VK(dev, vkCreateDevice(dev->physical, &info, NULL, &dev->handle));
    if (compile_only) /* a driver that imagines its GPU cannot make the rest */
        return RT_OK;
    vkGetDeviceQueue(dev->handle, dev->queue_family, 0, &dev->queue);
    vkGetPhysicalDeviceMemoryProperties(dev->physical, &dev->memory);
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .queueFamilyIndex = dev->queue_family,
    };
    TRY_VK(dev, vkCreateCommandPool(dev->handle, &pool, NULL, &dev->pool));
    const VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
    TRY_VK(dev, vkCreateFence(dev->handle, &fence, NULL, &dev->fence));
    TRY(vk_pipeline_cache_open(dev));
    return RT_OK;

fail:
    return st;
}

static void destroy(struct rt_device *base)
{
    struct vk_device *dev = (struct vk_device *)base;
    if (dev->handle) {
        if (dev->fence) /* else nothing was submitted, and perhaps nothing can be */
            vkDeviceWaitIdle(dev->handle);
        vk_tune_destroy(&dev->tune);
        vk_pipelines_deinit(dev);
        vk_memory_deinit(dev);
        vkDestroyFence(dev->handle, dev->fence, NULL);
        vkDestroyCommandPool(dev->handle, dev->pool, NULL);
        vkDestroyDevice(dev->handle, NULL);
    }
    if (dev->messenger)
        vkDestroyDebugUtilsMessengerEXT(dev->instance, dev->messenger, NULL);
    if (dev->instance)
        vkDestroyInstance(dev->instance, NULL);
    rt_free(dev->layouts);
    rt_free(dev->cache_dir);
    rt_free(dev);
}

static const struct rt_device_vtable vtable = {
    .destroy = destroy,
    .buffer_create = vk_buffer_create,
    .buffer_destroy = vk_buffer_destroy,
    .buffer_write = vk_buffer_write,
    .buffer_read = vk_buffer_read,
    .list_create = vk_list_create,
    .list_destroy = vk_list_destroy,
    .list_op = vk_list_op,
    .list_copy = vk_list_copy,
    .list_zero = vk_list_zero,
    .list_end = vk_list_end,
    .submit = vk_submit,
    .wait = vk_wait,
};

void vk_uuid_text(const struct vk_device *dev, char out[33])
{
    for (int i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", dev->base.info.facts.device_uuid[i]);
}

/* FNV-1a over names and code of all kernels: another build may round otherwise. */
static uint32_t hash_kernels(void)
{
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < vk_kernel_count; i++) {
        const struct vk_kernel_info *k = &vk_kernel_table[i];
        for (size_t w = 0; w < k->size / 4; w++)
            hash = (hash ^ k->words[w]) * 16777619u;
        for (const char *c = k->name; *c; c++)
            hash = (hash ^ (uint8_t)*c) * 16777619u;
    }
    return hash;
}

/* Opens the device; a driver that refuses the features of integer dots or of matrix units,
 * though it lists them, goes without them where nobody asked for them. */
static rt_status open_as_planned(struct vk_device *dev,
                                 const struct rt_device_options *options)
{
    struct rt_plan *plan = &dev->base.plan;
    const bool automatic =
        options->products == RT_PRODUCTS_AUTO && plan->rounded != plan->products;
    rt_status st = open_device(dev, options->compile_only);
    if (st == RT_ERR_NO_DEVICE && plan->dots && plan->products != RT_PRODUCTS_INT8 &&
        !dev->handle) {
        rt_log(dev->base.ctx, RT_LOG_WARNING, "%s; integer dots are emulated in floats",
               dev->base.ctx->message);
        plan->dots = false;
        st = open_device(dev, options->compile_only);
    }
    if (st == RT_ERR_NO_DEVICE && automatic && !dev->handle) {
        rt_log(dev->base.ctx, RT_LOG_WARNING, "%s; products stay f32",
               dev->base.ctx->message);
        plan->rounded = plan->products;
        st = open_device(dev, options->compile_only);
    }
    if (st == RT_OK && automatic && !options->compile_only)
        st = vk_units_settle(dev);
    return st;
}

static rt_status device_create(struct rt_ctx *ctx,
                               const struct rt_device_options *options,
                               const struct rt_device_info *info, struct rt_device **out)
{
    rt_status st;
    *out = NULL;
    const char *note = NULL;
    struct vk_device *dev = rt_alloc(ctx, 1, sizeof *dev);
    if (!dev)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "device '%s': no host memory",
                       info->name);
    dev->base.vt = &vtable;
    dev->base.ctx = ctx;
    dev->base.info = *info;
    dev->base.info.kernels = hash_kernels();
    dev->base.profile = options->profile;
    dev->validation = options->validation;
    dev->layouts = rt_alloc(ctx, vk_kernel_count, sizeof *dev->layouts);
    dev->cache_dir = ctx->cache_dir ? rt_strdup(ctx, ctx->cache_dir) : NULL;
    if (!dev->layouts || (ctx->cache_dir && !dev->cache_dir)) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "device '%s': no host memory", info->name);
        goto fail;
    }
    const struct rt_plan_options plan = { .family = options->family,
                                          .products = options->products,
                                          .kv = options->kv,
                                          .float_inputs = options->float_inputs };
    if (options->products != RT_PRODUCTS_AUTO &&
        !rt_plan_products_there(&info->facts, options->products, &note)) {
        st =
            rt_fail(ctx, RT_ERR_NO_DEVICE,
                    "device '%s' has no %s, which products in %s need; leave them in f32",
                    info->name, note, rt_products_names[options->products]);
        goto fail;
    }
    if (options->family == RT_FAMILY_TILED && !rt_plan_has_tiles(&info->facts)) {
        st = rt_fail(
            ctx, RT_ERR_NO_DEVICE,
            "device '%s' lacks votes in subgroups, workgroups of 256 or 32 KiB of "
            "shared memory, which kernels of the tiled family need; use --family "
            "lanes or auto",
            info->name);
        goto fail;
    }
    rt_plan_make(&info->facts, &plan, &dev->base.plan);
    TRY(vk_instance_create(ctx, options->validation, &dev->instance, &note));
    if (!dev->instance) {
        st = rt_fail(ctx, RT_ERR_NO_DEVICE, "device '%s' cannot be opened: %s",
                     info->name, note);
        goto fail;
    }
    if (options->validation)
        TRY(open_messenger(dev));
    TRY(find_physical(dev, info));
    TRY(open_as_planned(dev, options));
    if (options->tune)
        TRY(vk_tune_create(dev, &dev->tune));
    *out = &dev->base;
    return RT_OK;

fail:
    destroy(&dev->base);
    return st;
}

static void plan_make(const struct rt_device_info *info,
                      const struct rt_plan_options *options, struct rt_plan *plan)
{
    rt_plan_make(&info->facts, options, plan);
}

const struct rt_backend vk_backend = {
    .list = vk_devices_list,
    .open = device_create,
    .plan_make = plan_make,
    .serves_head = vk_serves_head,
};
