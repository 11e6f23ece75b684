/* bench/slots.c
 * Compiles compute pipelines on the first Vulkan device and keeps what its compiler says of
 * them; runs nothing. Part of bench/slots.py, which reads the assembly:
 *
 *     slots JOBS FOLDER
 *
 * A line of JOBS is a pipeline: name, file of SPIR-V words as C numbers, number of bindings
 * (storage buffers), bytes of push constants, subgroup size (0: any), and specialization
 * constants "id=value,..." or "-". For each it prints the name and the driver's statistics,
 * and writes its representations to FOLDER/NAME.REPRESENTATION. */
#define VK_NO_PROTOTYPES
#define VOLK_IMPLEMENTATION
#include <volk.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BINDINGS_MAX = 16, SPECS_MAX = 16, EXTENSIONS_MAX = 512, WORDS_MAX = 1 << 20 };

struct job {
    char name[64], file[512], constants[256];
    uint32_t bindings, push_bytes, subgroup;
};

static VkDevice device;
static const char *folder;

static bool has_extension(const VkExtensionProperties *list, uint32_t count,
                          const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(list[i].extensionName, name) == 0)
            return true;
    return false;
}

/* Everything that kernels may use, as far as the device has it. */
static bool create_device(VkPhysicalDevice physical)
{
    static VkExtensionProperties list[EXTENSIONS_MAX];
    static const char *const wanted[] = { "VK_KHR_pipeline_executable_properties",
                                          "VK_KHR_cooperative_matrix" };
    uint32_t count = EXTENSIONS_MAX, names = 0;
    const char *name[2];
    vkEnumerateDeviceExtensionProperties(physical, NULL, &count, list);
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable = {
        .sType =
            VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR
    };
    /* VkPhysicalDeviceCooperativeMatrixFeaturesKHR, which old headers lack. */
    struct {
        VkStructureType type;
        void *next;
        VkBool32 matrix, robust;
    } matrix = { .type = (VkStructureType)1000506000, .next = &executable };
    VkPhysicalDeviceVulkan13Features f13 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, .pNext = &matrix
    };
    VkPhysicalDeviceVulkan12Features f12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = &f13
    };
    VkPhysicalDeviceVulkan11Features f11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &f12
    };
    VkPhysicalDeviceFeatures2 features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &f11
    };
    vkGetPhysicalDeviceFeatures2(physical, &features);
    features.features.robustBufferAccess = VK_FALSE;
    for (uint32_t i = 0; i < 2; i++)
        if (has_extension(list, count, wanted[i]))
            name[names++] = wanted[i];
    const float priority = 1;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    const VkDeviceCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &features,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = names,
        .ppEnabledExtensionNames = name,
    };
    if (vkCreateDevice(physical, &create, NULL, &device) != VK_SUCCESS)
        return false;
    volkLoadDevice(device);
    return true;
}

static bool open_device(void)
{
    const VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                    .apiVersion = VK_API_VERSION_1_3 };
    const VkInstanceCreateInfo create = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                          .pApplicationInfo = &app };
    VkInstance instance;
    VkPhysicalDevice physical;
    uint32_t one = 1;
    if (volkInitialize() != VK_SUCCESS ||
        vkCreateInstance(&create, NULL, &instance) != VK_SUCCESS)
        return false;
    volkLoadInstance(instance);
    if (vkEnumeratePhysicalDevices(instance, &one, &physical) < 0 || one == 0)
        return false;
    return create_device(physical);
}

/* The numbers in a text such as "{0x07230203,0x00010300,...}"; 0: it cannot be read. */
static size_t read_words(const char *path, uint32_t *words)
{
    FILE *file = fopen(path, "r");
    size_t count = 0;
    int c, before = 0;
    bool comment = false;
    while (file && (c = fgetc(file)) != EOF && count < WORDS_MAX) {
        if (before == '/' && c == '*')
            comment = true;
        else if (before == '*' && c == '/')
            comment = false;
        else if (!comment && c >= '0' && c <= '9') {
            ungetc(c, file);
            if (fscanf(file, "%i", (int *)&words[count]) == 1)
                count++;
        }
        before = c;
    }
    if (file)
        fclose(file);
    return count;
}

static VkPipelineLayout make_layout(const struct job *j)
{
    VkDescriptorSetLayoutBinding binding[BINDINGS_MAX];
    for (uint32_t i = 0; i < j->bindings; i++)
        binding[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = j->bindings,
        .pBindings = binding,
    };
    VkDescriptorSetLayout sets;
    VkPipelineLayout layout;
    const VkPushConstantRange range = { VK_SHADER_STAGE_COMPUTE_BIT, 0, j->push_bytes };
    const VkPipelineLayoutCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &sets,
        .pushConstantRangeCount = j->push_bytes > 0,
        .pPushConstantRanges = &range,
    };
    if (vkCreateDescriptorSetLayout(device, &set, NULL, &sets) != VK_SUCCESS ||
        vkCreatePipelineLayout(device, &create, NULL, &layout) != VK_SUCCESS)
        return VK_NULL_HANDLE;
    return layout;
}

static uint32_t read_constants(const char *text, VkSpecializationMapEntry *entry,
                               uint32_t *value)
{
    uint32_t count = 0;
    int used = 0;
    unsigned id, v;
    while (count < SPECS_MAX && sscanf(text, "%u=%u%n", &id, &v, &used) == 2) {
        entry[count] = (VkSpecializationMapEntry){ id, 4 * count, 4 };
        value[count++] = v;
        text += used;
        if (*text == ',')
            text++;
    }
    return count;
}

static VkPipeline make_pipeline(const struct job *j, const uint32_t *words, size_t count)
{
    VkSpecializationMapEntry entry[SPECS_MAX];
    uint32_t value[SPECS_MAX];
    const uint32_t specs = read_constants(j->constants, entry, value);
    const VkSpecializationInfo special = { specs, entry, 4 * (size_t)specs, value };
    const VkShaderModuleCreateInfo code = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = 4 * count,
        .pCode = words,
    };
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType =
            VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = j->subgroup,
    };
    VkComputePipelineCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR |
                 VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR,
        .stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                   .pNext = j->subgroup ? &size : NULL,
                   .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                   .pName = "main",
                   .pSpecializationInfo = &special },
        .layout = make_layout(j),
    };
    VkPipeline pipeline;
    if (!create.layout ||
        vkCreateShaderModule(device, &code, NULL, &create.stage.module) != VK_SUCCESS ||
        vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &create, NULL, &pipeline) !=
            VK_SUCCESS)
        return VK_NULL_HANDLE;
    return pipeline;
}

static void print_statistics(const VkPipelineExecutableInfoKHR *info)
{
    uint32_t count = 0;
    vkGetPipelineExecutableStatisticsKHR(device, info, &count, NULL);
    VkPipelineExecutableStatisticKHR *s = calloc(count, sizeof *s);
    for (uint32_t i = 0; s && i < count; i++)
        s[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    if (s)
        vkGetPipelineExecutableStatisticsKHR(device, info, &count, s);
    for (uint32_t i = 0; s && i < count; i++)
        if (s[i].format != VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR)
            printf("\t%s=%llu", s[i].name, (unsigned long long)s[i].value.u64);
    free(s);
}

static void write_text(const char *job, VkPipelineExecutableInternalRepresentationKHR *r)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.%s", folder, job, r->name);
    for (char *c = path + strlen(folder) + 1; *c; c++)
        if (*c == ' ' || *c == '/')
            *c = '_';
    FILE *file = fopen(path, "wb");
    if (!file)
        return;
    fwrite(r->pData, 1, strnlen(r->pData, r->dataSize), file);
    fclose(file);
}

static void write_texts(const char *job, const VkPipelineExecutableInfoKHR *info)
{
    uint32_t count = 0;
    vkGetPipelineExecutableInternalRepresentationsKHR(device, info, &count, NULL);
    VkPipelineExecutableInternalRepresentationKHR *r = calloc(count, sizeof *r);
    if (!r)
        return;
    for (uint32_t i = 0; i < count; i++)
        r[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
    vkGetPipelineExecutableInternalRepresentationsKHR(device, info, &count, r);
    for (uint32_t i = 0; i < count; i++)
        r[i].pData = calloc(1, r[i].dataSize + 1);
    vkGetPipelineExecutableInternalRepresentationsKHR(device, info, &count, r);
    for (uint32_t i = 0; i < count; i++) {
        if (r[i].isText && r[i].pData)
            write_text(job, &r[i]);
        free(r[i].pData);
    }
    free(r);
}

static void run_job(const struct job *j)
{
    static uint32_t words[WORDS_MAX];
    const size_t count = read_words(j->file, words);
    const VkPipeline pipeline =
        count && j->bindings <= BINDINGS_MAX ? make_pipeline(j, words, count) : NULL;
    printf("%s", j->name);
    if (!pipeline) {
        printf("\tfails\n");
        return;
    }
    const VkPipelineExecutableInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline
    };
    print_statistics(&info);
    write_texts(j->name, &info);
    printf("\n");
    fflush(stdout);
    vkDestroyPipeline(device, pipeline, NULL);
}

int main(int argc, char **argv)
{
    FILE *jobs = argc == 3 ? fopen(argv[1], "r") : NULL;
    char line[1024];
    if (!jobs) {
        fprintf(stderr, "usage: slots JOBS FOLDER\n");
        return 2;
    }
    folder = argv[2];
    if (!open_device()) {
        fprintf(stderr, "slots: no Vulkan device with what is needed\n");
        return 77;
    }
    while (fgets(line, sizeof line, jobs)) {
        struct job j;
        if (sscanf(line, "%63s %511s %u %u %u %255s", j.name, j.file, &j.bindings,
                   &j.push_bytes, &j.subgroup, j.constants) == 6)
            run_job(&j);
    }
    fclose(jobs);
    return 0;
}
