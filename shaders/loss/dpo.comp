#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Preference losses of pairs and the seed of every token: see dpo_push.
 *
 * Grid  one invocation per pair.
 * Sums  token by token of log p - reference: a difference of small numbers, not of sums.
 * Cost  a few FLOPs a token.
 * Twin  runtime/ref/ref_loss.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer Stat { float stat[]; };
layout(binding = 1) readonly buffer Ref { float reference[]; };
layout(binding = 2) readonly buffer Pair { uvec4 pairs[]; };
layout(binding = 3) readonly buffer None { uint none[]; };
layout(binding = 4) writeonly buffer Seed { float seed[]; };
layout(binding = 5) writeonly buffer Out { float result[]; };
layout(push_constant) uniform Push { dpo_push p; };

/* x: sum of log p, y: sum of log p - reference. */
vec2 range_sum(uint first, uint count)
{
    vec2 sum = vec2(0.0);
    for (uint t = first; t < first + count; t++) {
        const float logp = stat[8 * t + 6] - stat[8 * t + 4];
        sum += vec2(logp, logp - reference[t]);
    }
    return sum;
}

/* x: loss at h, y: its derivative. */
vec2 preference(float h)
{
    if (p.loss == DPO_HINGE)
        return h < 1.0 ? vec2(1.0 - h, -1.0) : vec2(0.0);
    if (p.loss == DPO_IPO)
        return vec2(h * h, 2.0 * h);
    const float e = exp(-abs(h)); /* in (0, 1]: no overflow on either side */
    return vec2(max(-h, 0.0) + log(1.0 + e), h > 0.0 ? -e / (1.0 + e) : -1.0 / (1.0 + e));
}

void main()
{
    const uint i = gl_GlobalInvocationID.x;
    if (i >= p.pairs)
        return;
    float chosen_tokens = 0.0;
    for (uint j = 0; j < p.pairs; j++)
        chosen_tokens += float(pairs[j].y);
    const uvec4 r = pairs[i];
    const bool ipo = p.loss == DPO_IPO;
    const float wc = ipo ? 1.0 / float(r.y) : 1.0, wr = ipo ? 1.0 / float(r.w) : 1.0;
    const vec2 chosen = range_sum(r.x, r.y), rejected = range_sum(r.z, r.w);
    const float dc = chosen.y * wc, dr = rejected.y * wr;
    const float h = ipo ? dc - dr - 1.0 / (2.0 * p.beta) : p.beta * (dc - dr);
    const vec2 loss = preference(h);
    const float step = loss.y * (ipo ? 1.0 : p.beta) / float(p.pairs);
    const float each = p.sft_norm != 0 ? float(p.pairs) / chosen_tokens : 1.0 / float(r.y);
    for (uint t = r.x; t < r.x + r.y; t++)
        seed[t] = step * wc - p.sft * each / float(p.pairs);
    for (uint t = r.z; t < r.z + r.w; t++)
        seed[t] = -step * wr;
    result[8 * i] = loss.x;
    result[8 * i + 1] = dc;
    result[8 * i + 2] = dr;
    result[8 * i + 3] = h;
    result[8 * i + 4] = chosen.x;
    result[8 * i + 5] = rejected.x;
    result[8 * i + 6] = -chosen.x * each;
    result[8 * i + 7] = 0.0;
}
