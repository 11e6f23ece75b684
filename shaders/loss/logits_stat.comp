#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Best, second, log-sum-exp and target of a row of logits: see logits_stat_push.
 *
 * Grid  one invocation (ROWGROUP: one workgroup) per row.
 * Sums  float, from the maximum, as in lib/softmax.glsl.
 * Cost  4 FLOPs and 8 bytes a column.
 * Twin  runtime/ref/ref_loss.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/operand.glsl"
OPERAND(0, z)
layout(binding = 1) readonly buffer Target { uint target[]; };
layout(binding = 2) writeonly buffer Stat { uint stat[]; };
layout(push_constant) uniform Push { logits_stat_push p; };
#include "shaders/lib/group.glsl"
#include "shaders/lib/sum.glsl"
#include "shaders/lib/softmax.glsl"

void main()
{
    const int row = ITEM, n = int(p.vocab);
    if (row >= int(p.rows))
        return;
    const int at = row * (int(p.ldl) / 4);
    uint best = 0, second = 0, broken = 0;
    float top = uintBitsToFloat(0xff800000u), next = top;
    for (int c = FIRST; c * 4 < n; c += STRIDE) {
        const vec4 v = z(at + c);
        for (int e = 0; e < 4; e++) {
            const int id = c * 4 + e;
            if (id >= n)
                break;
            if (!finite(v[e])) {
                broken++;
            } else if (v[e] > top) {
                second = best;
                next = top;
                best = uint(id);
                top = v[e];
            } else if (v[e] > next) {
                second = uint(id);
                next = v[e];
            }
        }
    }
#if ROWGROUP
    const vec4 two = group_best_two(vec4(top, float(int(best)), next, float(int(second))));
    top = two.x;
    best = uint(int(two.y));
    next = two.z;
    second = uint(int(two.w));
    broken = uint(int(group_sum(vec4(float(int(broken)))).x));
#endif
    const float most = max(top, LOWEST);
    const float sum = row_sum(at, n, 1.0, most);
    const uint id = target[row] < p.vocab ? target[row] : best;
    if (!LEADER)
        return;
    const uint s = uint(row) * 8;
    stat[s] = best;
    stat[s + 1] = second;
    stat[s + 2] = floatBitsToUint(top);
    stat[s + 3] = floatBitsToUint(next);
    stat[s + 4] = floatBitsToUint(most + log(sum));
    stat[s + 5] = id;
    stat[s + 6] = floatBitsToUint(z(at + int(id) / 4)[id % 4]);
    stat[s + 7] = broken;
}
