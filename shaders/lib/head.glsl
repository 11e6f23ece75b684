/* shaders/lib/head.glsl
 * The head size: a specialization constant, so that one kernel serves every multiple of 4
 * up to HEAD_MAX (runtime/vk/vk_select.c). Loops over it are unrolled by drivers. */
layout(constant_id = 10) const int HD = 64;
const int H4 = HD / 4;
