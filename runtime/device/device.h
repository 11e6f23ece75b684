/* runtime/device/device.h
 * A device runs ops on buffers. Two backends implement this header with one
 * meaning: Vulkan (runtime/vk) and the CPU twins (runtime/ref). Code above it
 * cannot tell which it has. Tests make calls of either fail
 * (tests/support/faults.h).
 *
 * Threads: one thread uses a device at a time. Ownership: the context outlives
 * devices, a device outlives its buffers and lists. */
#ifndef RUNTIME_DEVICE_DEVICE_H
#define RUNTIME_DEVICE_DEVICE_H

#include "runtime/op/op.h"
#include "runtime/device/plan.h"
#include "runtime/base/rt.h"

struct rt_device;
struct rt_backend;
struct rt_buffer;
struct rt_list;

/* ---- devices ---- */

/* One line of `faultline devices`. */
struct rt_device_info {
    char name[64]; /* stable name to type: "cpu-0:llvmpipe", "amd-0:navi33", "ref" */
    char description[256]; /* the driver's own device name */
    char driver[256];      /* driver name and version */
    bool software; /* a CPU pretending to be a GPU; used only when alone or named */
    bool usable;   /* false: `why` says what is missing */
    char why[256];
    struct rt_facts facts;            /* of usable devices; zero for "ref" */
    const struct rt_backend *backend; /* that it belongs to; static */
    uint32_t index;                   /* in the backend's list */
    uint32_t kernels; /* hash of all kernels; 0 until the device is opened */
};

/* All devices in their stable order, "ref" last. *out is freed with rt_free.
 * No loader or no device is not an error: then only "ref" is listed, and *note
 * (static text or null) says why. */
RT_CHECKED rt_status rt_devices_list(struct rt_ctx *ctx, struct rt_device_info **out,
                                     uint32_t *count, const char **note);

struct rt_device_options {
    const char *name;      /* null or "auto": the best GPU, else a software device. Else a
                         name from the list, or its part before or after ':' */
    enum rt_family family; /* RT_FAMILY_AUTO, or forced (tests) */
    enum rt_products products; /* RT_ERR_NO_DEVICE if the device lacks them */
    enum rt_kv kv;             /* what the KV cache of an engine holds */
    bool float_inputs; /* inputs of matrices stay floats, whatever a folder says */
    bool profile;      /* time every op */
    bool validation;   /* Khronos layer on; a message is an error of the next wait */
    bool compile_only; /* runs nothing: for asking about kernels, vk_statistics.h */
    bool tune;         /* measure matmul variants at first use (cached on disk) */
};

/* RT_ERR_NO_DEVICE with the names there are, if none fits. */
RT_CHECKED rt_status rt_device_create(struct rt_ctx *ctx,
                                      const struct rt_device_options *options,
                                      struct rt_device **out);
void rt_device_destroy(struct rt_device **dev);

const struct rt_device_info *rt_device_info_of(const struct rt_device *dev);
/* Bytes that buffers may take in all: the largest device-local heap; on software devices
 * and "ref" what the machine has free now (the heap they report is made up: lavapipe's
 * is 2 GiB, and no limit). */
uint64_t rt_device_memory_bytes(const struct rt_device_info *info);
/* The plan that the device gets when it is opened with these options. */
void rt_device_plan_make(const struct rt_device_info *info,
                         const struct rt_plan_options *options, struct rt_plan *plan);
/* Whether attention has kernels for heads of this many columns: of multiples of 4 up to
 * HEAD_MAX (shaders/push.h); "ref" takes what a config may have, FMT_HEAD_DIM_MAX. */
bool rt_device_serves_head(const struct rt_device_info *info, uint32_t head_dim);
/* What of them is not taken. */
uint64_t rt_device_memory_left(const struct rt_device *dev);
const struct rt_plan *rt_device_plan(const struct rt_device *dev);
struct rt_ctx *rt_device_ctx(const struct rt_device *dev);
/* Messages of the validation layer since creation (0 without validation). */
uint64_t rt_device_validation_count(const struct rt_device *dev);

/* ---- memory ---- */

enum rt_memory {
    RT_MEMORY_DEVICE,   /* fastest for kernels; filled with rt_buffer_write */
    RT_MEMORY_UPLOAD,   /* mapped, written by the host each step, read by kernels */
    RT_MEMORY_READBACK, /* mapped, written by kernels, read by the host */
};

struct rt_buffer_info {
    const char *name; /* for messages; copied */
    uint64_t size;    /* bytes, > 0 */
    enum rt_memory memory;
    bool alone; /* in a block of device memory of its size, given back with the buffer */
};

/* Suballocated from few blocks, which the device keeps; zero-filled. RT_ERR_DEVICE_MEMORY with the
 * numbers when it does not fit. */
RT_CHECKED rt_status rt_buffer_create(struct rt_device *dev,
                                      const struct rt_buffer_info *info,
                                      struct rt_buffer **out);
void rt_buffer_destroy(struct rt_buffer **buffer);
uint64_t rt_buffer_size(const struct rt_buffer *buffer);
/* Host address of UPLOAD and READBACK buffers, null for DEVICE ones. */
void *rt_buffer_map(struct rt_buffer *buffer);
/* Blocking copies, any buffer; for setup, checkpoints and tests, not for steps.
 * They wait for work that is under way. */
RT_CHECKED rt_status rt_buffer_write(struct rt_buffer *buffer, uint64_t offset,
                                     const void *data, uint64_t size);
RT_CHECKED rt_status rt_buffer_read(struct rt_buffer *buffer, uint64_t offset, void *data,
                                    uint64_t size);

/* Part of a buffer. Offsets are multiples of 256; size 0 means to the end. */
struct rt_slice {
    struct rt_buffer *buffer; /* borrowed */
    uint64_t offset, size;    /* bytes */
};

/* ---- work ---- */

/* A list is recorded once and submitted any number of times. Ops see the results
 * of those before them (the backend places barriers by what each op reads and
 * writes). The first failure sticks and is returned by rt_list_end. */
RT_CHECKED rt_status rt_list_create(struct rt_device *dev, const char *name,
                                    struct rt_list **out);
void rt_list_destroy(struct rt_list **list);
/* `push` is struct <op>_push; `slices` one per binding of the op. Both are copied. */
void rt_list_op(struct rt_list *list, enum rt_op op, const void *push,
                const struct rt_slice *slices);
void rt_list_copy(struct rt_list *list, struct rt_slice from, struct rt_slice to);
void rt_list_zero(struct rt_list *list, struct rt_slice slice);
/* Keys an attention row is charged with in cost estimates; 64 unless told. */
void rt_list_context(struct rt_list *list, double keys);
RT_CHECKED rt_status rt_list_end(struct rt_list *list);

/* Starts a list; at most one is under way per device (a second submit waits for
 * the first). Split into several queue submissions where its estimated time asks. */
RT_CHECKED rt_status rt_submit(struct rt_device *dev, struct rt_list *list);
/* Waits for all work. READBACK memory is valid after it. */
RT_CHECKED rt_status rt_wait(struct rt_device *dev);

/* ---- measuring ---- */

struct rt_op_profile {
    uint64_t calls;
    double seconds; /* of device time, if timestamps are on (ref: of CPU time) */
    double flops, bytes;
};

struct rt_device_stats {
    struct rt_op_profile op[RT_OP_COUNT]; /* filled with options.profile */
    double busy_seconds;       /* device execution, all submissions (timestamps) */
    uint64_t submissions;      /* queue submissions */
    uint64_t device_allocs;    /* device memory blocks taken so far */
    uint64_t buffer_bytes;     /* live buffer bytes */
    uint64_t buffer_bytes_max; /* the most there were */
};

void rt_device_stats_get(const struct rt_device *dev, struct rt_device_stats *out);
void rt_device_stats_reset(struct rt_device *dev);

#endif
