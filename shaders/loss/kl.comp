#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* KL(p || q) of two rows of logits and its gradient: see kl_push.
 *
 * Grid  one invocation (ROWGROUP: one workgroup) per row.
 * Sums  float, four by column modulo 4 over blocks of LOGITS_BLOCK4 vectors.
 * Cost  10 FLOPs and 24 bytes a column.
 * Twin  runtime/ref/ref_loss.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer Zp { vec4 zp[]; };
layout(binding = 1) readonly buffer Weight { float weight[]; };
layout(binding = 2) buffer Zq { vec4 zq[]; };
layout(binding = 3) writeonly buffer Stat { uint stat[]; };
layout(push_constant) uniform Push { kl_push p; };

#include "shaders/lib/group.glsl"
#include "shaders/lib/sum.glsl"

#define NONE uintBitsToFloat(0xff800000u) /* -inf */
const float LOWEST = -3.0e38;

/* Whether a logit cannot be one of a distribution: NaN or +inf. */
bool broken(float v)
{
    return isnan(v) || (isinf(v) && v > 0.0);
}

/* exp, exactly 0 for -inf: devices round small results up to the least normal number. */
vec4 exp_or_zero(vec4 v)
{
    return mix(vec4(0.0), exp(v), greaterThan(v, vec4(LOWEST)));
}

void main()
{
    const int row = ITEM, n = int(p.vocab);
    if (row >= int(p.rows))
        return;
    const int n4 = int(p.ldl) / 4, at = row * n4;
    float most_p = NONE, most_q = NONE;
    uint best_p = 0, best_q = 0;
    bool bad = false;
    for (int v = FIRST; v < n; v += STRIDE) {
        const float a = zp[at + v / 4][v % 4], b = zq[at + v / 4][v % 4];
        bad = bad || broken(a) || broken(b);
        if (a > most_p) {
            most_p = a;
            best_p = uint(v);
        }
        if (b > most_q) {
            most_q = b;
            best_q = uint(v);
        }
    }
#if ROWGROUP
    const vec4 p_best = group_best(vec4(most_p, float(int(best_p)), 0.0, 0.0));
    const vec4 q_best = group_best(vec4(most_q, float(int(best_q)), 0.0, 0.0));
    most_p = p_best.x;
    best_p = uint(int(p_best.y));
    most_q = q_best.x;
    best_q = uint(int(q_best.y));
    bad = group_max(vec4(bad ? 1.0 : 0.0)).x > 0.0;
#endif
    bad = bad || isinf(most_p) || isinf(most_q);
    most_p *= p.inv_temp;
    most_q *= p.inv_temp;
    vec4 sum_p = vec4(0.0), sum_q = vec4(0.0), block_p = sum_p, block_q = sum_q;
    int count = 0;
    for (int c = FIRST; c * 4 < n; c += STRIDE) {
        const bvec4 within = lessThan(ivec4(c * 4) + ivec4(0, 1, 2, 3), ivec4(n));
        const vec4 a = zp[at + c] * p.inv_temp - most_p;
        const vec4 b = zq[at + c] * p.inv_temp - most_q;
        block_p += mix(vec4(0.0), exp_or_zero(a), within);
        block_q += mix(vec4(0.0), exp_or_zero(b), within);
        if (++count % LOGITS_BLOCK4 == 0) {
            sum_p += block_p;
            sum_q += block_q;
            block_p = block_q = vec4(0.0);
        }
    }
    sum_p = group_sum(sum_p + block_p);
    sum_q = group_sum(sum_q + block_q);
    /* The maximum goes first: its difference to a logit is exact or nearly so. */
    const float log_p = log(sum_p.x + sum_p.y + sum_p.z + sum_p.w);
    const float log_q = log(sum_q.x + sum_q.y + sum_q.z + sum_q.w);
    const float factor = weight[row] * p.inv_temp;
    vec4 sum = vec4(0.0), block = sum;
    count = 0;
    for (int c = FIRST; c < n4; c += STRIDE) {
        const vec4 lp = zp[at + c] * p.inv_temp - most_p - log_p;
        const vec4 lq = zq[at + c] * p.inv_temp - most_q - log_q;
        const vec4 prob = exp_or_zero(lp);
        vec4 d = factor * (exp_or_zero(lq) - prob);
        for (int e = 0; e < 4; e++) {
            if (c * 4 + e >= n)
                d[e] = 0.0;
            else if (bad)
                d[e] = uintBitsToFloat(0x7fc00000u);
            else if (prob[e] > 0.0)
                block[e] += prob[e] * (lp[e] - lq[e]);
        }
        if (++count % LOGITS_BLOCK4 == 0) {
            sum += block;
            block = vec4(0.0);
        }
        if (p.want_grad != 0)
            zq[at + c] = d;
    }
    sum = group_sum(sum + block);
    if (!LEADER)
        return;
    stat[row * 4] = bad ? 0x7fc00000u : floatBitsToUint(sum.x + sum.y + sum.z + sum.w);
    stat[row * 4 + 1] = best_p;
    stat[row * 4 + 2] = best_q;
    stat[row * 4 + 3] = best_p == best_q ? 1u : 0u;
}
