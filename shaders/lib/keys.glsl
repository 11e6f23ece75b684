/* shaders/lib/keys.glsl
 * Keys and values, read as floats whatever they are stored in: attention_push.halves. By
 * texel buffer the view converts halves (vk_list.c), so that one kernel serves both; by
 * storage buffer HALF=1 is a kernel of its own, as loads are of other sizes.
 * unpackHalf2x16 is part of core SPIR-V: no device needs storage or arithmetic of 16 bits.
 * KEYS(slot, name) gives vec4 name(int i), columns 4 i .. 4 i + 3; KEYS_SCALAR(slot, name)
 * float name(int i), column i of a storage buffer. Needs shaders/lib/operand.glsl. */
#if HALF
#define KEYS(slot, name)                                                            \
    layout(binding = slot) readonly buffer name##_block { uvec2 name##_buf[]; };     \
    vec4 name(int i)                                                                \
    {                                                                               \
        const uvec2 pairs = name##_buf[i];                                          \
        return vec4(unpackHalf2x16(pairs.x), unpackHalf2x16(pairs.y));              \
    }
#define KEYS_SCALAR(slot, name)                                                     \
    layout(binding = slot) readonly buffer name##_block { uint name##_buf[]; };      \
    float name(int i) { return unpackHalf2x16(name##_buf[i >> 1] >> 16 * (i & 1)).x; }
#else
#define KEYS(slot, name) OPERAND(slot, name)
#define KEYS_SCALAR(slot, name)                                                     \
    layout(binding = slot) readonly buffer name##_block { float name##_buf[]; };     \
    float name(int i) { return name##_buf[i]; }
#endif
