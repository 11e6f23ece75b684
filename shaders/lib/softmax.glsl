/* shaders/lib/softmax.glsl
 * Log-sum-exp of a row of logits. Needs: vec4 z(int), lib/group.glsl, lib/sum.glsl. */
bool finite(float v)
{
    return !isnan(v) && !isinf(v);
}

const float LOWEST = -3.0e38;

/* Greatest finite scale * z of n columns from texel at; LOWEST if there is none. */
float row_max(int at, int n, float scale)
{
    float most = LOWEST;
    for (int c = FIRST; c * 4 < n; c += STRIDE) {
        const vec4 v = z(at + c) * scale;
        for (int e = 0; e < 4; e++)
            if (c * 4 + e < n && finite(v[e]))
                most = max(most, v[e]);
    }
    return group_max(vec4(most)).x;
}

/* Sum of exp(scale z - most), finite columns only: four sums by column modulo 4, in blocks. */
float row_sum(int at, int n, float scale, float most)
{
    vec4 sum = vec4(0.0), block = vec4(0.0);
    int count = 0;
    for (int c = FIRST; c * 4 < n; c += STRIDE) {
        const vec4 v = z(at + c) * scale;
        for (int e = 0; e < 4; e++)
            if (c * 4 + e < n && finite(v[e]))
                block[e] += exp(v[e] - most);
        if (++count % LOGITS_BLOCK4 == 0) {
            sum += block;
            block = vec4(0.0);
        }
    }
    sum = group_sum(sum + block);
    return sum.x + sum.y + sum.z + sum.w;
}
