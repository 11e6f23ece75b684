/* shaders/lib/weight_any.glsl
 * The weight operand of kernels for GPUs, at bindings 0 and 1: one kernel serves every
 * form, which is folded in by the driver (constants 12 and 13; group is 10). */
layout(constant_id = 10) const int GROUP = 0;
layout(constant_id = 12) const int BITS = 4;
layout(constant_id = 13) const int FORM = 0;
layout(binding = 0) readonly buffer Codes { uvec4 codes_[]; };
layout(binding = 1) readonly buffer Scales { uvec4 scales_[]; };
/* The same scales by words and by pairs of words. */
layout(binding = 1) readonly buffer ScaleWords { uint scale_words[]; };
layout(binding = 1) readonly buffer ScalePairs { uvec2 scale_pairs[]; };
uvec4 codes(int i) { return codes_[i]; }
uvec4 scales(int i) { return scales_[i]; }
#include "shaders/lib/weight_read.glsl"
#include "shaders/lib/weight_fast.glsl"

vec4 weight_at(int m, int k, int k4) { return weight4(m, k, k4, BITS, GROUP, FORM); }
