/* pipeline/stats/parts.c
 * Data sets of a list of problems, and the permutation test over them. */
#include "pipeline/stats/parts.h"

#include "runtime/base/philox.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { UNKNOWN = PIPE_PARTS_MAX + 1 /* parts->count where there is no telling */ };

rt_status pipe_parts_init(struct rt_ctx *ctx, uint32_t n, struct pipe_parts *out)
{
    *out = (struct pipe_parts){ 0 };
    out->of = rt_alloc(ctx, (size_t)n + 1, sizeof *out->of);
    return out->of ? RT_OK
                   : rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for %u problems", n);
}

/* "gsm8k:test" of "gsm8k/test/17"; false: not an id of a data set. */
static bool name_of(const char *id, char name[96])
{
    const size_t first = strcspn(id, "/");
    const size_t second = id[first] ? strcspn(id + first + 1, "/") : 0;
    if (!first || !second || !id[first + 1 + second] || first + second + 2 > 96)
        return false;
    snprintf(name, 96, "%.*s:%.*s", (int)first, id, (int)second, id + first + 1);
    return true;
}

void pipe_parts_add(struct pipe_parts *parts, const char *problem_id)
{
    char name[96];
    uint32_t i = 0;
    if (parts->count == UNKNOWN || !name_of(problem_id, name)) {
        parts->count = UNKNOWN;
        return;
    }
    while (i < parts->count && strcmp(parts->items[i].name, name) != 0)
        i++;
    if (i == PIPE_PARTS_MAX) {
        parts->count = UNKNOWN;
        return;
    }
    if (i == parts->count)
        memcpy(parts->items[parts->count++].name, name, sizeof name);
    parts->items[i].n++;
    parts->of[parts->n++] = (uint8_t)i;
}

void pipe_parts_end(struct pipe_parts *parts)
{
    if (parts->count == UNKNOWN || parts->count == 1)
        parts->count = 0;
}

void pipe_parts_deinit(struct pipe_parts *parts)
{
    rt_free(parts->of);
    *parts = (struct pipe_parts){ 0 };
}

uint32_t pipe_parts_right(const struct pipe_parts *parts, uint32_t part,
                          const bool *right)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < parts->n; i++)
        count += parts->of[i] == part && right[i];
    return count;
}

/* Ones among `n` fair bits of a draw. */
static uint32_t heads(uint32_t n, uint32_t draw, uint32_t part, uint64_t seed)
{
    uint32_t count = 0;
    for (uint32_t at = 0; at < n; at += 32) {
        uint32_t word = philox_word(at, draw, 0x70617274u, part, (uint32_t)seed,
                                    (uint32_t)(seed >> 32));
        if (n - at < 32)
            word &= (1u << (n - at)) - 1;
        for (; word; word &= word - 1)
            count++;
    }
    return count;
}

void pipe_parts_pool(const struct pipe_parts *parts, const bool *base, const bool *other,
                     uint32_t draws, uint64_t seed, struct pipe_pooled *out)
{
    uint32_t gained[PIPE_PARTS_MAX] = { 0 }, flips[PIPE_PARTS_MAX] = { 0 };
    uint32_t far = 0;
    assert(parts->count > 1 && parts->count <= PIPE_PARTS_MAX);
    for (uint32_t i = 0; i < parts->n; i++) {
        flips[parts->of[i]] += base[i] != other[i];
        gained[parts->of[i]] += !base[i] && other[i];
    }
    *out = (struct pipe_pooled){ 0 };
    for (uint32_t k = 0; k < parts->count; k++)
        out->difference += (2.0 * gained[k] - flips[k]) / parts->items[k].n;
    /* Sums that are equal but for rounding count as equal. */
    const double bound = fabs(out->difference) - 1e-9;
    for (uint32_t d = 0; d < draws; d++) {
        double sum = 0;
        for (uint32_t k = 0; k < parts->count; k++)
            sum += (2.0 * heads(flips[k], d, k, seed) - flips[k]) / parts->items[k].n;
        far += fabs(sum) >= bound;
    }
    out->difference /= parts->count;
    out->p = (1.0 + far) / (1.0 + draws);
}
