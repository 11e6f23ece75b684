/* runtime/vk/vk_volk.c
 * The one translation unit that holds volk, the loader of Vulkan entry points. */
#define VOLK_IMPLEMENTATION
#include <volk.h>
