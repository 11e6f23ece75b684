/* runtime/vk/vk_statistics.h
 * What the driver's compiler made of a kernel: registers, spills, occupancy. By
 * VK_KHR_pipeline_executable_properties; needs a device opened with options.compile_only.
 * No work is run, so a driver that only pretends to have a GPU (RADV with
 * RADV_FORCE_FAMILY) serves as well as a real one. */
#ifndef RUNTIME_VK_VK_STATISTICS_H
#define RUNTIME_VK_VK_STATISTICS_H

#include "runtime/vk/vk.h"

/* Numbers that the driver does not give are 0. Those of RADV by name; other drivers
 * that use its names fill the same fields. */
struct vk_statistics {
    uint32_t subgroup_size; /* invocations the kernel was compiled for */
    uint32_t vgprs, sgprs;  /* registers of an invocation, of a subgroup */
    uint32_t spilled_vgprs, spilled_sgprs;
    uint32_t scratch_bytes; /* of a subgroup: spills and indexed arrays */
    uint32_t shared_bytes, code_bytes;
    uint32_t subgroups; /* that fit on a SIMD at once: occupancy */
};

/* Compiles the kernel of a choice (its grid does not matter) and asks for its numbers;
 * nothing is kept. RT_ERR_USAGE where the device does not tell. */
RT_CHECKED rt_status vk_statistics_get(struct vk_device *dev,
                                       const struct vk_choice *choice,
                                       struct vk_statistics *out);

#endif
