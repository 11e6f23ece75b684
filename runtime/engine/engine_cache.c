/* runtime/engine/engine_cache.c
 * The memory of the cache. It begins with the pages of one request of the longest kind, so
 * that one can always be served, and grows by a quarter when requests need more than there
 * are. So it holds at most a quarter more than was once in use at the same time.
 *
 * Growing. Layer by layer a larger buffer is made, the old one is copied to its front and
 * given back: beside the cache there is never more than one layer. Pages keep their numbers,
 * so page tables stay as they are, and the bits of keys and values too. The recordings of
 * steps name the old buffers; each is made again when it is used next.
 *
 * Why so: blocks that stay where they are would need kernels that look up a block for each
 * page, and one binding for each block; memory that is bound page by page (sparse buffers) is
 * missing on many devices. Copies are rare: for n pages about log(n) / log(1.25) of them. */
#include "runtime/engine/engine_impl.h"

#include <assert.h>

static rt_status make_buffer(struct rt_engine *e, uint32_t pages, struct rt_buffer **out)
{
    const struct rt_buffer_info info = { .name = "kv cache",
                                         .size = pages * e->page_layer_bytes,
                                         .memory = RT_MEMORY_DEVICE,
                                         .alone = true };
    const rt_status st = rt_buffer_create(e->model->dev, &info, out);
    if (st == RT_OK)
        e->stats.cache_bytes += info.size;
    return st;
}

static void give_back(struct rt_engine *e, struct rt_buffer **buffer)
{
    if (*buffer)
        e->stats.cache_bytes -= rt_buffer_size(*buffer);
    rt_buffer_destroy(buffer);
}

rt_status engine_cache_create(struct rt_engine *e)
{
    rt_status st;
    const uint32_t most = e->options.pages;
    const uint32_t pages =
        e->options.pages_at_once || most < e->pages_per_slot ? most : e->pages_per_slot;
    TRY(pages_create(rt_device_ctx(e->model->dev), pages, most, &e->pages));
    for (uint32_t l = 0; l < e->model->config.layers; l++)
        TRY(make_buffer(e, pages, &e->kv[l]));
    e->pages_most = most;
    e->stats.pages = most;
    e->stats.pages_held = pages;
    return RT_OK;

fail:
    return st;
}

void engine_cache_destroy(struct rt_engine *e)
{
    for (uint32_t l = 0; e->kv && l < e->model->config.layers; l++)
        give_back(e, &e->kv[l]);
    pages_destroy(&e->pages);
}

static rt_status copy(struct rt_engine *e, struct rt_buffer *from, struct rt_buffer *to)
{
    rt_status st;
    struct rt_list *list = NULL;
    struct rt_device *dev = e->model->dev;
    const uint64_t size = rt_buffer_size(from);
    TRY(rt_list_create(dev, "cache growth", &list));
    rt_list_copy(list, (struct rt_slice){ from, 0, size },
                 (struct rt_slice){ to, 0, size });
    TRY(rt_list_end(list));
    TRY(rt_submit(dev, list));
    TRY(rt_wait(dev));

fail:
    rt_list_destroy(&list);
    return st;
}

/* RT_ERR_DEVICE_MEMORY or RT_ERR_HOST_MEMORY with *refused: there is no memory for it, and
 * nothing has changed. */
static rt_status grow_layer(struct rt_engine *e, uint32_t layer, uint32_t pages,
                            bool *refused)
{
    rt_status st;
    struct rt_buffer *larger = NULL;
    if (rt_buffer_size(e->kv[layer]) >= pages * e->page_layer_bytes)
        return RT_OK; /* by a growth that was refused at a later layer */
    st = make_buffer(e, pages, &larger);
    *refused = st == RT_ERR_DEVICE_MEMORY || st == RT_ERR_HOST_MEMORY;
    TRY(st);
    TRY(copy(e, e->kv[layer], larger));
    give_back(e, &e->kv[layer]);
    e->kv[layer] = larger;
    for (uint32_t b = 0; b < e->bucket_count; b++)
        e->buckets[b].stale = true;
    return RT_OK;

fail:
    give_back(e, &larger);
    return st;
}

/* Whether the device has room for so many pages and, for a while, the old ones of a layer.
 * Asked first because a software device grants what the machine does not have. */
static bool is_room(const struct rt_engine *e, uint32_t pages)
{
    const uint64_t all = pages * e->page_layer_bytes * e->model->config.layers;
    const uint64_t more = all > e->stats.cache_bytes ? all - e->stats.cache_bytes : 0;
    return more + pages_count(e->pages) * e->page_layer_bytes <=
           rt_device_memory_left(e->model->dev);
}

/* More pages, or no more than there are if memory is short: then requests wait, as they do
 * when all pages that there may be are taken. */
static rt_status grow(struct rt_engine *e)
{
    const uint32_t count = pages_count(e->pages), layers = e->model->config.layers;
    const uint32_t more = count / 4 ? count / 4 : 1, left = e->pages_most - count;
    const uint32_t pages = count + (more < left ? more : left);
    bool refused = !is_room(e, pages);
    rt_status st = RT_OK;
    for (uint32_t l = 0; l < layers && st == RT_OK && !refused; l++)
        st = grow_layer(e, l, pages, &refused);
    if (refused) {
        e->pages_most = e->stats.pages = count;
        e->stats.not_grown++;
        rt_log(rt_device_ctx(e->model->dev), RT_LOG_WARNING,
               "engine: no memory for more than %u pages of the cache; the youngest "
               "requests wait where they do not suffice",
               count);
        return RT_OK;
    }
    if (st != RT_OK)
        return st;
    pages_grow(e->pages, pages);
    e->stats.pages_held = pages;
    e->stats.grown++;
    return RT_OK;
}

uint32_t engine_pages_used(const struct rt_engine *e)
{
    return pages_count(e->pages) - pages_free(e->pages);
}

uint32_t engine_pages_room(const struct rt_engine *e)
{
    return pages_free(e->pages) + e->pages_most - pages_count(e->pages);
}

/* Pages that nobody uses but somebody found before are kept, up to as many as are in use. */
static bool should_grow(const struct rt_engine *e)
{
    const uint32_t count = pages_count(e->pages), used = engine_pages_used(e);
    const uint32_t most = used > e->stats.pages_used_max ? used : e->stats.pages_used_max;
    if (count >= e->pages_most)
        return false;
    return used == count || (pages_next_is_proven(e->pages) && count / 2 < most);
}

rt_status engine_page_take(struct rt_engine *e, uint32_t *page)
{
    *page = PAGES_NONE;
    const rt_status st = should_grow(e) ? grow(e) : RT_OK;
    if (st == RT_OK)
        *page = pages_take(e->pages);
    return st;
}
