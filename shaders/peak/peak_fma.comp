#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* y = x after `steps` multiply-adds in registers: see peak_fma_push. What the device's
 * arithmetic reaches when nothing else is in its way.
 *
 * Grid  one invocation per CHAINS x four floats, a workgroup's side by side.
 * Cost  2 FLOPs a float and step, 8 bytes a float.
 * Twin  runtime/ref/ref_peak.c */

/* Unrolled by hand and with a name for each chain: counting must not count, and
 * SwiftShader keeps arrays in memory. */
#define STEPS 16u
#if CHAINS == 1
#define EACH(DO) DO(0)
#elif CHAINS == 2
#define EACH(DO) DO(0) DO(1)
#elif CHAINS == 4
#define EACH(DO) DO(0) DO(1) DO(2) DO(3)
#else
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#endif
#define LOAD(c) vec4 v##c = x[min(first + c * WIDTH, n - 1)];
#define STEP(c) v##c = fma(v##c, a, b);
#define FOUR(DO) DO DO DO DO
#define STORE(c) if (first + c * WIDTH < n) y[first + c * WIDTH] = v##c;

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer X { vec4 x[]; };
layout(binding = 1) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { peak_fma_push p; };

void main()
{
    const uint n = p.count / 4;
    const uint first = gl_WorkGroupID.x * (WIDTH * CHAINS) + gl_LocalInvocationID.x;
    const vec4 a = vec4(p.a), b = vec4(p.b);
    EACH(LOAD)
    uint s = 0;
    for (; s + STEPS <= p.steps; s += STEPS) {
        FOUR(EACH(STEP))
        FOUR(EACH(STEP))
        FOUR(EACH(STEP))
        FOUR(EACH(STEP))
    }
    for (; s < p.steps; s++) {
        EACH(STEP)
    }
    EACH(STORE)
}
