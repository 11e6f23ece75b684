/* runtime/observe/moment_read.c
 * Reads second moments out of the panels that they are kept in (moments.h). */
#include "runtime/observe/moments.h"

#include <assert.h>

/* Floats of a row of the whole matrix: panels are as wide as what is left of it. */
static uint32_t padded(uint32_t in)
{
    return rt_round_up32(in, 4);
}

/* Rows [first, first + count) of one panel. What lies left of it are columns of earlier
 * panels: read along their rows, so that neither side jumps through memory. */
static void panel_moment_rows(const struct observe_moment *m, uint32_t first,
                              uint32_t count, double *out)
{
    const uint32_t own = first / m->height;
    for (uint32_t p = 0; p < own; p++) {
        const uint32_t at = p * m->height, ld = padded(m->in) - at;
        const float *from = m->panel[p] + (first - at);
        for (uint32_t k = 0; k < m->height; k++, from += ld)
            for (uint32_t r = 0; r < count; r++)
                out[(size_t)r * m->in + at + k] = from[r];
    }
    const uint32_t at = own * m->height, ld = padded(m->in) - at;
    const float *row = m->panel[own] + (size_t)(first - at) * ld;
    for (uint32_t r = 0; r < count; r++, row += ld)
        for (uint32_t j = at; j < m->in; j++)
            out[(size_t)r * m->in + j] = row[j - at];
}

void observe_moment_rows(const struct observe_moment *m, uint32_t first, uint32_t count,
                         double *out)
{
    const uint32_t end = first + count;
    assert(end <= m->in);
    for (uint32_t r = first; r < end;) {
        const uint32_t panel_end = (r / m->height + 1) * m->height;
        const uint32_t n = (panel_end < end ? panel_end : end) - r;
        panel_moment_rows(m, r, n, out + (size_t)(r - first) * m->in);
        r += n;
    }
}

const float *observe_moment_right(const struct observe_moment *m, uint32_t i)
{
    assert(i < m->in);
    const uint32_t p = i / m->height, k = i - p * m->height;
    return m->panel[p] + (size_t)k * (padded(m->in) - p * m->height) + k;
}

uint32_t observe_moment_stride(const struct observe_moment *m, uint32_t i)
{
    return padded(m->in) - i / m->height * m->height;
}

double observe_moment_diagonal(const struct observe_moment *m)
{
    double sum = 0;
    for (uint32_t i = 0; i < m->in; i++)
        sum += *observe_moment_right(m, i);
    return sum / m->in;
}
