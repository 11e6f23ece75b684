/* runtime/vk/vk.h
 * Private to the Vulkan backend: its objects and the calls between its files. */
#ifndef RUNTIME_VK_VK_H
#define RUNTIME_VK_VK_H

#include <volk.h>

#include "runtime/device/device_impl.h"
#include "runtime/vk/vk_kernel.h"

enum {
    VK_SPEC_MAX = 9,           /* specialization constants of an op, ids 10 .. */
    VK_BLOCK_BYTES = 32 << 20, /* device memory is taken in blocks of at least this */
    VK_ALIGN = 256, /* of every buffer; covers all offset alignments we accept */
};

/* ---- memory ---- */

struct vk_span {
    uint64_t offset, size;
    bool used;
};

/* One VkDeviceMemory with one VkBuffer over all of it. */
struct vk_block {
    VkDeviceMemory memory;
    VkBuffer handle;
    uint64_t size;
    uint32_t type;         /* memory type index */
    void *host;            /* mapped, null where the host cannot see it */
    struct vk_span *spans; /* in order of offset, without gaps */
    uint32_t span_count, span_capacity;
    bool alone; /* of one buffer, and goes with it */
};

struct vk_buffer {
    struct rt_buffer base;
    struct vk_block *block; /* borrowed */
    uint64_t offset;        /* in the block */
};

/* ---- kernels ---- */

/* What runs an op: a kernel, its constants and its grid. Pure data. */
struct vk_choice {
    uint32_t kernel;            /* index into vk_kernel_table */
    uint32_t spec[VK_SPEC_MAX]; /* constants 10 .. */
    uint32_t grid[3];
    uint32_t halves; /* bit i: the texel view of binding i is of halves */
};

/* A compiled kernel. It takes megabytes on a software device, so it lives as long as a
 * list holds it, and after that until IDLE_MAX others are newer. */
struct vk_pipeline {
    uint32_t kernel;
    uint32_t spec[VK_SPEC_MAX];
    VkPipeline handle;
    uint32_t lists; /* that hold it */
    uint64_t left;  /* order in which lists let go of it */
};

/* Per kernel: layouts made from its paths, at first use. */
struct vk_layout {
    VkDescriptorSetLayout set;
    VkPipelineLayout pipeline;
};

struct vk_tune; /* runtime/vk/vk_tune.c */

struct vk_device {
    struct rt_device base;
    VkInstance instance;
    VkDebugUtilsMessengerEXT messenger;
    VkPhysicalDevice physical;
    VkDevice handle;
    VkQueue queue;
    uint32_t queue_family;
    VkCommandPool pool;
    VkFence fence;
    bool pending; /* a submission has not been waited for */
    struct rt_list *pending_list;
    VkPhysicalDeviceMemoryProperties memory;
    struct vk_block **blocks;
    uint32_t block_count;
    struct vk_layout *layouts; /* [vk_kernel_count] */
    struct vk_pipeline **pipelines;
    uint32_t pipeline_count, pipeline_capacity;
    uint64_t pipelines_left; /* counts vk_pipeline_release */
    VkPipelineCache cache;
    char *cache_dir;      /* null: none */
    struct vk_tune *tune; /* null: static choice */
    uint32_t trying;      /* kernel that the tune or its check runs, while one does */
    bool validation;
    bool statistics; /* the driver tells registers (vk_statistics.h) */
};

/* vk_device.c */
rt_status vk_check(struct vk_device *dev, VkResult result, const char *what);
#define TRY_VK(dev, call)                    \
    do {                                     \
        st = vk_check((dev), (call), #call); \
        if (st != RT_OK)                     \
            goto fail;                       \
    } while (0)

/* vk_probe.c */
rt_status vk_instance_create(struct rt_ctx *ctx, bool validation, VkInstance *out,
                             const char **note);
void vk_probe(VkPhysicalDevice physical, struct rt_facts *facts);
/* The compute queue family, UINT32_MAX: none. */
uint32_t vk_queue_family(VkPhysicalDevice physical);
/* Devices of an instance in stable order; caller frees with rt_free. */
rt_status vk_physical_list(struct rt_ctx *ctx, VkInstance instance,
                           VkPhysicalDevice **out, uint32_t *count);
/* Names of all devices of a list, by their facts. */
void vk_device_names(struct rt_device_info *infos, uint32_t count);
rt_status vk_devices_list(struct rt_ctx *ctx, struct rt_device_info **out,
                          uint32_t *count, const char **note);

/* vk_memory.c */
rt_status vk_buffer_create(struct rt_device *dev, const struct rt_buffer_info *info,
                           struct rt_buffer **out);
void vk_buffer_destroy(struct rt_buffer *buffer);
rt_status vk_buffer_write(struct rt_buffer *buffer, uint64_t offset, const void *data,
                          uint64_t size);
rt_status vk_buffer_read(struct rt_buffer *buffer, uint64_t offset, void *data,
                         uint64_t size);
void vk_memory_deinit(struct vk_device *dev);

/* vk_list.c */
rt_status vk_list_create(struct rt_device *dev, const char *name, struct rt_list **out);
void vk_list_destroy(struct rt_list *list);
rt_status vk_list_op(struct rt_list *list, enum rt_op op, const void *push,
                     const struct rt_slice *slices);
rt_status vk_list_copy(struct rt_list *list, struct rt_slice from, struct rt_slice to);
rt_status vk_list_zero(struct rt_list *list, struct rt_slice slice);
rt_status vk_list_end(struct rt_list *list);
rt_status vk_submit(struct rt_device *dev, struct rt_list *list);
rt_status vk_wait(struct rt_device *dev);
/* After a submission or a wait failed: when it returns the device is not at work, so that
 * lists, buffers and the fence can be used or destroyed. (One that is lost has ended its
 * work as well.) */
void vk_settle(struct vk_device *dev);
/* Records `op` with exactly this choice (the tune, tests of kernel pairs). */
rt_status vk_list_choice(struct rt_list *list, enum rt_op op, const void *push,
                         const struct rt_slice *slices, const struct vk_choice *choice);

/* vk_pipeline.c */
/* The kernel of a choice, compiled if it is not there. It may be destroyed by a later call
 * unless it is held. */
rt_status vk_pipeline_get(struct vk_device *dev, const struct vk_choice *choice,
                          struct vk_pipeline **out);
/* A list lets go of what it holds; nothing of it is pending. */
void vk_pipelines_release(struct vk_device *dev, struct vk_pipeline *const *held,
                          uint32_t count);
/* Compiles a kernel, and its layouts if they do not exist yet. The caller owns it. */
rt_status vk_pipeline_create(struct vk_device *dev, const struct vk_choice *choice,
                             VkPipelineCreateFlags flags, VkPipelineCache cache,
                             VkPipeline *out);
rt_status vk_pipeline_cache_open(struct vk_device *dev);
void vk_pipelines_deinit(struct vk_device *dev); /* saves the cache */

/* vk_select.c */
rt_status vk_select(struct vk_device *dev, enum rt_op op, const void *push,
                    const struct rt_slice *slices, struct vk_choice *out);
/* Whether a plan can choose a kernel for any operands and parameters at all. */
bool vk_kernel_in_plan(const struct rt_plan *plan, uint32_t kernel);
/* A product whose subgroup passes the inputs of one row round. */
bool vk_goes_round_in_one_row(uint32_t kernel);
/* Whether a kernel may run these operands under the device's plan. `push` of the kernel's
 * op says what they hold: a texel view of halves reaches half as far. */
bool vk_kernel_admitted(const struct vk_device *dev, uint32_t kernel, const void *push,
                        const struct rt_slice *slices);
/* The most rounds of loops that the invocations of a kernel take, as far as parameters
 * tell; 0: the kernel's own constants or the caller bound them. `slices` may be NULL if no
 * binding's size counts. */
uint64_t vk_rounds(uint32_t kernel, const void *push, const struct rt_slice *slices);
/* Whether the rows of an op are too long for one invocation each: a workgroup takes one,
 * on every device. */
bool vk_row_is_long(const struct rt_plan *plan, enum rt_op op, const void *push);
/* Whether a kernel of an op that is not matmul-like serves these parameters. */
bool vk_item_fits(const struct rt_plan *plan, enum rt_op op, const void *push,
                  uint32_t kernel);
/* Whether the attention kernels take the head size. */
bool vk_serves_head(uint32_t head_dim);
/* Grid and constants of an op that has one invocation (or group) per item, for one
 * kernel. */
rt_status vk_item_fill(struct vk_device *dev, enum rt_op op, const void *push,
                       struct vk_choice *choice);
/* Constants and grid of a matmul-like op for one kernel (vk_matmul.c). */
/* Constant 14 of f32 products that serve every weight: how far the kernel is unrolled. */
uint32_t vk_matmul_unrolled(const struct rt_plan *plan, uint32_t kernel);
void vk_matmul_fill(const struct vk_device *dev, enum rt_op op, const void *push,
                    struct vk_choice *choice);
bool vk_matmul_fits(enum rt_op op, const void *push, uint32_t kernel);
/* A rough rank of kernels that fit: the static choice takes the highest. */
int vk_matmul_rank(const struct vk_device *dev, enum rt_op op, const void *push,
                   uint32_t kernel);
bool vk_is_matmul(enum rt_op op);
/* What a matmul is computed in, by its role; `push` is struct matmul_push. */
enum rt_products vk_matmul_products(const struct rt_plan *plan, const void *push);
/* Whether a kernel's products are those, or f32, which every role has. */
bool vk_matmul_serves_role(const struct rt_plan *plan, uint32_t kernel, const void *push);

/* Names of files in the cache folder: the device's UUID in hexadecimal. */
void vk_uuid_text(const struct vk_device *dev, char out[33]);

/* vk_units.c */
/* Whether the kernels for matrix units are right on this device: tried once for a device,
 * driver and kernels, and kept. If not, the plan goes without them in what chooses by itself
 * (RT_PRODUCTS_AUTO). */
rt_status vk_units_settle(struct vk_device *dev);

/* vk_tune.c */
rt_status vk_tune_create(struct vk_device *dev, struct vk_tune **out);
void vk_tune_destroy(struct vk_tune **tune);
/* The measured best kernel for the class of this op; *kernel is the static choice on
 * entry. */
rt_status vk_tune_pick(struct vk_device *dev, enum rt_op op, const void *push,
                       const struct rt_slice *slices, uint32_t *kernel);
/* vk_tune_check.c: which of `kernels`, all of which fit the op, are right on this device
 * (right[i]). A wrong one is logged. */
rt_status vk_tune_check(struct vk_device *dev, enum rt_op op, const void *push,
                        const uint32_t *kernels, uint32_t count, bool *right);

#endif
