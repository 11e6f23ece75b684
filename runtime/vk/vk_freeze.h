/* runtime/vk/vk_freeze.h
 * SPIR-V in which the specialization constants are plain ones, with the values they are
 * given. A driver folds those too, but some fold them late: SwiftShader optimizes a module
 * before its constants have their values, and then compiles branches that never run. */
#ifndef RUNTIME_VK_VK_FREEZE_H
#define RUNTIME_VK_VK_FREEZE_H

#include "runtime/base/rt.h"

/* Copies the module `words` of `size` bytes, which is one of our own kernels. Constant
 * 10 + i takes spec[i]; one beyond `count` keeps its default. What is computed from them is
 * a plain constant too if it is an operation that our kernels have, on values of 32 bits or
 * truths, else it stays an operation on constants. The caller frees *out with rt_free.
 * Fails only for want of memory. */
rt_status vk_freeze(struct rt_ctx *ctx, const uint32_t *words, size_t size,
                    const uint32_t *spec, uint32_t count, uint32_t **out,
                    size_t *out_size);

#endif
