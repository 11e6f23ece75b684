/* runtime/vk/vk_kernel.h
 * The table of compiled kernels (generated from shaders/kernels.txt). */
#ifndef RUNTIME_VK_VK_KERNEL_H
#define RUNTIME_VK_VK_KERNEL_H

#include "runtime/op/op.h"
#include "runtime/plan.h"

struct vk_kernel_info {
    enum rt_op op;
    const char *name;      /* unique within the op */
    enum rt_family family; /* AUTO: serves both */
    const char
        *paths; /* a letter per binding: s storage, t float texels, u uint texels */
    const char *defines;   /* the macros it was compiled with, "BITS=4 TU=16" */
    const uint32_t *words; /* SPIR-V */
    size_t size;           /* bytes */
};

extern const struct vk_kernel_info vk_kernel_table[];
extern const uint32_t vk_kernel_count;

#endif
