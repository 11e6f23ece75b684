/* shaders/lib/operand.glsl
 * A read-only operand of vec4 (or uvec4), by texel buffer or by storage buffer: which
 * one is a macro, because on software devices it decides the speed (bench/probe). The
 * including kernel defines TEXEL as 1 or 0; paths in kernels.txt must agree. */
#if TEXEL
#define OPERAND(slot, name)                                  \
    layout(binding = slot) uniform samplerBuffer name##_tex; \
    vec4 name(int i) { return texelFetch(name##_tex, i); }
#define OPERAND_UINT(slot, name)                              \
    layout(binding = slot) uniform usamplerBuffer name##_tex; \
    uvec4 name(int i) { return texelFetch(name##_tex, i); }
#else
#define OPERAND(slot, name)                                               \
    layout(binding = slot) readonly buffer name##_block { vec4 name##_buf[]; }; \
    vec4 name(int i) { return name##_buf[i]; }
#define OPERAND_UINT(slot, name)                                           \
    layout(binding = slot) readonly buffer name##_block { uvec4 name##_buf[]; }; \
    uvec4 name(int i) { return name##_buf[i]; }
#endif
