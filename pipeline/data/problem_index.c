/* pipeline/data/problem_index.c
 * A hash table from a problem's id to its place in a list. */
#include "pipeline/data/problem_index.h"

#include <stdlib.h>
#include <string.h>

struct pipe_index_entry {
    const char *id;
    uint32_t place;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct pipe_index_entry *)a)->id,
                  ((const struct pipe_index_entry *)b)->id);
}

rt_status pipe_index_init(struct rt_ctx *ctx, const struct pipe_problem_set *set,
                          struct pipe_index *out)
{
    *out = (struct pipe_index){ .count = set->count };
    out->entries = rt_alloc(ctx, set->count, sizeof *out->entries);
    if (!out->entries)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for %u problems", set->count);
    for (uint32_t i = 0; i < set->count; i++)
        out->entries[i] = (struct pipe_index_entry){ set->items[i].id, i };
    qsort(out->entries, set->count, sizeof *out->entries, compare);
    return RT_OK;
}

void pipe_index_deinit(struct pipe_index *index)
{
    rt_free(index->entries);
    *index = (struct pipe_index){ 0 };
}

uint32_t pipe_index_find(const struct pipe_index *index, const char *id)
{
    const struct pipe_index_entry key = { .id = id };
    const struct pipe_index_entry *found =
        index->count ? bsearch(&key, index->entries, index->count, sizeof key, compare)
                     : NULL;
    return found ? found->place : UINT32_MAX;
}
