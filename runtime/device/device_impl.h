/* runtime/device/device_impl.h
 * Private to the backends: what every device, buffer and list starts with, and the
 * calls a backend provides. runtime/device/device.c forwards to them. */
#ifndef RUNTIME_DEVICE_DEVICE_IMPL_H
#define RUNTIME_DEVICE_DEVICE_IMPL_H

#include "runtime/device/device.h"

struct rt_device_vtable {
    void (*destroy)(struct rt_device *dev);
    rt_status (*buffer_create)(struct rt_device *dev, const struct rt_buffer_info *info,
                               struct rt_buffer **out);
    void (*buffer_destroy)(struct rt_buffer *buffer);
    rt_status (*buffer_write)(struct rt_buffer *buffer, uint64_t offset, const void *data,
                              uint64_t size);
    rt_status (*buffer_read)(struct rt_buffer *buffer, uint64_t offset, void *data,
                             uint64_t size);
    rt_status (*list_create)(struct rt_device *dev, const char *name,
                             struct rt_list **out);
    void (*list_destroy)(struct rt_list *list);
    rt_status (*list_op)(struct rt_list *list, enum rt_op op, const void *push,
                         const struct rt_slice *slices);
    rt_status (*list_copy)(struct rt_list *list, struct rt_slice from,
                           struct rt_slice to);
    rt_status (*list_zero)(struct rt_list *list, struct rt_slice slice);
    rt_status (*list_end)(struct rt_list *list);
    rt_status (*submit)(struct rt_device *dev, struct rt_list *list);
    rt_status (*wait)(struct rt_device *dev);
};

struct rt_device {
    const struct rt_device_vtable *vt;
    struct rt_ctx *ctx; /* borrowed */
    struct rt_device_info info;
    struct rt_plan plan;
    struct rt_device_stats stats;
    bool profile;
    uint64_t validation_count;
};

struct rt_buffer {
    struct rt_device *dev; /* borrowed */
    char name[32];
    uint64_t size;
    enum rt_memory memory;
    void *host; /* mapped address, null where the host cannot see it */
};

struct rt_list {
    struct rt_device *dev; /* borrowed */
    char name[32];
    double context;   /* keys an attention row is charged with */
    rt_status status; /* first failure while recording */
    bool ended;
};

/* A backend: what is asked before there is a device. */
struct rt_backend {
    /* The name of its one device, which is used only where it is named; no other backend is
     * asked then. NULL: it finds devices, and may be chosen by itself. */
    const char *device;
    /* Devices in their stable order; *out is freed with rt_free. None is no error: *note
     * (static text) says why then. */
    rt_status (*list)(struct rt_ctx *ctx, struct rt_device_info **out, uint32_t *count,
                      const char **note);
    /* `info` is of the list, and usable. */
    rt_status (*open)(struct rt_ctx *ctx, const struct rt_device_options *options,
                      const struct rt_device_info *info, struct rt_device **out);
    void (*plan_make)(const struct rt_device_info *info,
                      const struct rt_plan_options *options, struct rt_plan *plan);
    /* Whether its attention takes heads of this many columns. */
    bool (*serves_head)(uint32_t head_dim);
};

extern const struct rt_backend vk_backend, ref_backend;

/* Bytes of a slice: what is left of the buffer where size is 0. */
uint64_t rt_slice_bytes(struct rt_slice slice);

#endif
