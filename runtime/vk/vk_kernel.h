/* runtime/vk/vk_kernel.h
 * The table of compiled kernels, generated from shaders/kernels.txt. */
#ifndef RUNTIME_VK_VK_KERNEL_H
#define RUNTIME_VK_VK_KERNEL_H

#include "runtime/op/op.h"
#include "runtime/device/plan.h"

struct vk_kernel_info {
    enum rt_op op;
    const char *name;      /* unique within the op */
    enum rt_family family; /* AUTO: serves both */
    const char
        *paths; /* a letter per binding: s storage, t float texels, u uint texels */
    const uint32_t *words; /* SPIR-V */
    size_t size;           /* bytes */
    /* The words of its line in kernels.txt; what each means, shaders/attributes.def says. */
#define ATTRIBUTE(name, type, field, otherwise) type field;
#define MACRO(name)
#define BUILD(name)
#include "shaders/attributes.def"
#undef ATTRIBUTE
#undef MACRO
#undef BUILD
};

extern const struct vk_kernel_info vk_kernel_table[];
extern const uint32_t vk_kernel_count;

#endif
