/* shaders/lib/keys.glsl
 * Keys and values, read as floats whatever they are stored in: attention_push.halves. By
 * texel buffer the view converts halves (vk_list.c), so that one kernel serves both; by
 * storage buffer HALF=1 is a kernel of its own, as loads are of other sizes.
 * unpackHalf2x16 is part of core SPIR-V: no device needs storage or arithmetic of 16 bits.
 * KEYS(slot, name) gives vec4 name(int i), columns 4 i .. 4 i + 3. Needs
 * shaders/lib/operand.glsl.
 * KEYS_WIDE(slot, name) gives void name(uint quads, uint at, out vec4 v[2]), by storage and
 * by one load: one vec4 or two (halves only, of rows that are multiples of 8 columns) that
 * stand at byte `at`, a multiple of quads QUAD_BYTES. `quads` is a constant. Compilers
 * drop the shift where they see that `at` is such a multiple: its terms have a factor
 * quads QUAD_BYTES. A load then takes one instruction for its address, not two. */
#if HALF
vec4 unpack_pairs(uvec2 pairs)
{
    return vec4(unpackHalf2x16(pairs.x), unpackHalf2x16(pairs.y));
}
const uint QUAD_BYTES = 8u;
#define KEYS(slot, name)                                                            \
    layout(binding = slot) readonly buffer name##_block { uvec2 name##_buf[]; };     \
    vec4 name(int i) { return unpack_pairs(name##_buf[i]); }
#define KEYS_WIDE(slot, name)                                                       \
    layout(binding = slot) readonly buffer name##_block { uvec2 name##_buf[]; };     \
    layout(binding = slot) readonly buffer name##_block_8 { uvec4 name##_buf_8[]; }; \
    void name(uint quads, uint at, out vec4 v[2])                                   \
    {                                                                               \
        if (quads == 2u) {                                                          \
            const uvec4 pairs = name##_buf_8[at >> 4u];                             \
            v[0] = unpack_pairs(pairs.xy);                                          \
            v[1] = unpack_pairs(pairs.zw);                                          \
        } else {                                                                    \
            v[0] = unpack_pairs(name##_buf[at >> 3u]);                              \
        }                                                                           \
    }
#else
const uint QUAD_BYTES = 16u;
#define KEYS(slot, name) OPERAND(slot, name)
#define KEYS_WIDE(slot, name)                                                       \
    layout(binding = slot) readonly buffer name##_block { vec4 name##_buf[]; };      \
    void name(uint quads, uint at, out vec4 v[2]) { v[0] = name##_buf[at >> 4u]; }
#endif
