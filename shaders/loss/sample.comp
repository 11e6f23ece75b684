#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* One token a row: temperature, nucleus, Gumbel maximum: see sample_push.
 *
 * The nucleus is the ids whose probability is at least a threshold, found by NUCLEUS_STEPS
 * bisections so that their mass is at least top_p.
 * Grid  one invocation (ROWGROUP: one workgroup) per row.
 * Cost  a pass over the row per bisection and two more.
 * Twin  runtime/ref/ref_loss.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/operand.glsl"
OPERAND(0, z)
layout(binding = 1) readonly buffer Meta { uvec4 meta[]; };
layout(binding = 2) writeonly buffer Out { uint result[]; };
layout(push_constant) uniform Push { sample_push p; };
#include "shaders/lib/group.glsl"
#include "shaders/lib/sum.glsl"
#include "shaders/lib/softmax.glsl"
#include "shaders/lib/philox.glsl"

const int NUCLEUS_STEPS = 24;

float mass_above(int at, int n, float lse, float cut)
{
    float mass = 0.0;
    for (int c = FIRST; c * 4 < n; c += STRIDE) {
        const vec4 prob = exp(z(at + c) * p.inv_temp - lse);
        for (int e = 0; e < 4; e++)
            if (c * 4 + e < n && prob[e] >= cut)
                mass += prob[e];
    }
    return group_sum(vec4(mass)).x;
}

void main()
{
    const int row = ITEM, n = int(p.vocab);
    if (row >= int(p.rows))
        return;
    const int at = row * (int(p.ldl) / 4);
    const float most = row_max(at, n, p.inv_temp);
    const float lse = most + log(row_sum(at, n, p.inv_temp, most));
    float low = 0.0, high = exp(most - lse);
    if (p.top_p < 1.0)
        for (int i = 0; i < NUCLEUS_STEPS; i++) {
            const float middle = 0.5 * (low + high);
            if (mass_above(at, n, lse, middle) >= p.top_p)
                low = middle;
            else
                high = middle;
        }
    const uvec4 m = meta[row];
    uint count = 0, best = 0;
    float top = uintBitsToFloat(0xff800000u);
    for (int v = FIRST; v < n; v += STRIDE) {
        const float score = z(at + v / 4)[v % 4] * p.inv_temp - lse;
        if (!(exp(score) >= low))
            continue;
        const uint word =
            philox_word(uvec4(uint(v), m.z, m.x, m.y), uvec2(p.seed_low, p.seed_high));
        /* 23 bits and a half: exact, never 0 or 1. Beside 1 a device's log may be wrong by
         * 2^-21, and so 0: the least value that it should have bounds it. */
        const float u = (float(int(word >> 9)) + 0.5) * (1.0 / 8388608.0);
        const float gumbel = score - log(max(-log(u), 1.0 / 16777216.0));
        count++;
        if (gumbel > top) {
            top = gumbel;
            best = uint(v);
        }
    }
#if ROWGROUP
    best = uint(int(group_best(vec4(top, float(int(best)), 0.0, 0.0)).y));
    count = uint(int(group_sum(vec4(float(int(count)))).x));
#endif
    if (!LEADER)
        return;
    result[row] = best;
    result[int(p.rows) + row] = count;
}
