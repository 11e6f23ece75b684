/* runtime/vk/vk_statistics.h
 * What the driver's compiler made of a kernel: registers, spills, occupancy. By
 * VK_KHR_pipeline_executable_properties; needs a device opened with options.compile_only.
 * No work is run, so a driver that only pretends to have a GPU (RADV with
 * RADV_FORCE_FAMILY, Mesa's drivers on a drm-shim) serves as well as a real one. */
#ifndef RUNTIME_VK_VK_STATISTICS_H
#define RUNTIME_VK_VK_STATISTICS_H

#include "runtime/vk/vk.h"

/* Numbers that the driver does not give are 0. Registers and occupancy are in the units of
 * the driver, which are not those of another: see docs/gpus.md. */
struct vk_statistics {
    uint32_t subgroup_size;    /* invocations the kernel was compiled for */
    uint32_t registers;        /* of an invocation; Turnip: vec4, ANV: of a subgroup */
    uint32_t scalar_registers; /* of a subgroup; RADV only */
    uint32_t spills;           /* registers or instructions that spill and fill */
    uint32_t scratch_bytes;    /* of spills and of arrays that are not in registers */
    uint32_t shared_bytes, code_bytes, instructions;
    /* What fits at once. RADV: subgroups of a SIMD; NVK: subgroups of an SM; Turnip:
     * subgroups of a core; Honeykrisp: invocations of a core; ANV does not say. */
    uint32_t occupancy;
};

/* Takes the largest of each number, and the least occupancy, into *worst. */
void vk_statistics_worst(struct vk_statistics *worst, const struct vk_statistics *s);

/* Compiles the kernel of a choice (its grid does not matter) and asks for its numbers;
 * nothing is kept. RT_ERR_USAGE where the device does not tell. */
RT_CHECKED rt_status vk_statistics_get(struct vk_device *dev,
                                       const struct vk_choice *choice,
                                       struct vk_statistics *out);

#endif
