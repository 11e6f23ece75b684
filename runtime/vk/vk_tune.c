/* runtime/vk/vk_tune.c
 * The measured choice among matmul kernels. All that fit give the same bits, so only
 * time decides: at the first use of a class of shapes every candidate runs on the op's
 * own buffers (a list is being recorded, what it writes is written again when it runs)
 * and the fastest is kept, in memory and in a text file keyed by device, driver and
 * kernel table. A missing or foreign file costs a second of measuring, nothing else. */
#include "runtime/vk/vk.h"

#include <stdio.h>
#include <string.h>

enum { ENTRIES_MAX = 256, REPEATS = 3, CANDIDATES_MAX = 6 };

struct entry {
    char key[64];
    char kernel[32];
};

struct vk_tune {
    struct vk_device *dev; /* borrowed */
    char path[1024];       /* empty: not kept on disk */
    uint32_t table_hash;
    struct entry entries[ENTRIES_MAX];
    uint32_t count;
    bool measuring; /* choices inside a measurement are not tuned */
    bool changed;
};

/* FNV-1a over names and code of all kernels: a new build measures again. */
static uint32_t hash_table(void)
{
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < vk_kernel_count; i++) {
        const struct vk_kernel_info *k = &vk_kernel_table[i];
        for (size_t w = 0; w < k->size / 4; w++)
            hash = (hash ^ k->words[w]) * 16777619u;
        for (const char *c = k->name; *c; c++)
            hash = (hash ^ (uint8_t)*c) * 16777619u;
    }
    return hash;
}

static void load(struct vk_tune *tune)
{
    FILE *file = tune->path[0] ? fopen(tune->path, "r") : NULL;
    if (!file)
        return;
    char line[160];
    uint32_t hash = 0;
    if (!fgets(line, sizeof line, file) ||
        sscanf(line, "faultline-tune 1 %x", &hash) != 1 || hash != tune->table_hash) {
        fclose(file);
        return;
    }
    while (tune->count < ENTRIES_MAX && fgets(line, sizeof line, file)) {
        struct entry *e = &tune->entries[tune->count];
        if (sscanf(line, "%63s %31s", e->key, e->kernel) == 2)
            tune->count++;
    }
    fclose(file);
}

static void save(const struct vk_tune *tune)
{
    if (!tune->path[0] || !tune->changed)
        return;
    char part[1040];
    snprintf(part, sizeof part, "%s.part", tune->path);
    FILE *file = fopen(part, "w");
    if (!file)
        return;
    bool good = fprintf(file, "faultline-tune 1 %08x\n", tune->table_hash) > 0;
    for (uint32_t i = 0; i < tune->count; i++)
        good =
            fprintf(file, "%s %s\n", tune->entries[i].key, tune->entries[i].kernel) > 0 &&
            good;
    if (fclose(file) != 0 || !good || rename(part, tune->path) != 0)
        remove(part);
}

rt_status vk_tune_create(struct vk_device *dev, struct vk_tune **out)
{
    *out = NULL;
    struct vk_tune *tune = rt_alloc(dev->base.ctx, 1, sizeof *tune);
    if (!tune)
        return rt_fail(dev->base.ctx, RT_ERR_HOST_MEMORY, "tune: no host memory");
    tune->dev = dev;
    tune->table_hash = hash_table();
    if (dev->cache_dir) {
        char uuid[33];
        for (int i = 0; i < 16; i++)
            snprintf(uuid + 2 * i, 3, "%02x", dev->base.info.facts.device_uuid[i]);
        snprintf(tune->path, sizeof tune->path, "%s/tune-%s-%08x-%d", dev->cache_dir,
                 uuid, dev->base.info.facts.driver_version, (int)dev->base.plan.family);
    }
    load(tune);
    *out = tune;
    return RT_OK;
}

void vk_tune_destroy(struct vk_tune **tune)
{
    if (*tune)
        save(*tune);
    rt_free(*tune);
    *tune = NULL;
}

/* Rows as classes, so that neighbouring batch sizes share a measurement. */
static uint32_t row_class(uint32_t rows)
{
    uint32_t c = 1;
    while (c < rows && c < 64)
        c *= 2;
    return c;
}

static void class_key(enum rt_op op, const void *push, char *key, size_t size)
{
    if (op == RT_OP_matmul) {
        const struct matmul_push *p = push;
        snprintf(key, size, "matmul:%u:%u:%u:%u:%u", p->bits, row_class(p->rows),
                 p->out_pad, p->in_pad, p->flags & MATMUL_LORA);
    } else if (op == RT_OP_matmul_back) {
        const struct matmul_back_push *p = push;
        snprintf(key, size, "back:%u:%u:%u:%u:%u", p->bits, row_class(p->rows),
                 p->out_pad, p->in_pad, p->rank != 0);
    } else {
        const struct outer_push *p = push;
        snprintf(key, size, "outer:%u:%u:%u", row_class(p->rows), p->na, p->nb);
    }
}

/* Best time of a candidate in nanoseconds; the first run compiles and is not counted. */
static rt_status measure(struct vk_tune *tune, enum rt_op op, const void *push,
                         const struct rt_slice *slices, uint32_t kernel, uint64_t *best)
{
    rt_status st;
    struct rt_device *dev = &tune->dev->base;
    struct rt_list *list = NULL;
    struct vk_choice choice = { .kernel = kernel };
    vk_matmul_fill(op, push, &choice);
    TRY(rt_list_create(dev, "tune", &list));
    TRY(vk_list_choice(list, op, push, slices, &choice));
    TRY(rt_list_end(list));
    *best = UINT64_MAX;
    for (int i = 0; i <= REPEATS; i++) {
        const uint64_t start = rt_time_ns();
        TRY(rt_submit(dev, list));
        TRY(rt_wait(dev));
        const uint64_t time = rt_time_ns() - start;
        if (i > 0 && time < *best)
            *best = time;
    }
    st = RT_OK;

fail:
    rt_list_destroy(&list);
    return st;
}

static rt_status measure_all(struct vk_tune *tune, enum rt_op op, const void *push,
                             const struct rt_slice *slices, uint32_t *kernel)
{
    rt_status st = RT_OK;
    uint64_t best = UINT64_MAX;
    const uint32_t first = *kernel;
    const int bar = vk_matmul_rank(tune->dev, op, push, first);
    for (uint32_t i = 0, tried = 0; i < vk_kernel_count && tried < CANDIDATES_MAX; i++) {
        if (vk_kernel_table[i].op != op || !vk_kernel_admitted(tune->dev, i, slices))
            continue;
        if (rt_plan_has_quirk(&tune->dev->base.plan, RT_QUIRK_slow_storage_loads) &&
            !strchr(vk_kernel_table[i].paths, 't') && tried)
            continue;
        /* Only what the static rank finds at least a fifth as good. */
        if (vk_matmul_rank(tune->dev, op, push, i) * 5 < bar)
            continue;
        uint64_t time;
        TRY(measure(tune, op, push, slices, i, &time));
        tried++;
        if (time < best) {
            best = time;
            *kernel = i;
        }
    }

fail:
    return st;
}

rt_status vk_tune_pick(struct vk_device *dev, enum rt_op op, const void *push,
                       const struct rt_slice *slices, uint32_t *kernel)
{
    rt_status st;
    struct vk_tune *tune = dev->tune;
    char key[64];
    class_key(op, push, key, sizeof key);
    for (uint32_t i = 0; i < tune->count; i++) {
        if (strcmp(tune->entries[i].key, key) != 0)
            continue;
        for (uint32_t k = 0; k < vk_kernel_count; k++)
            if (vk_kernel_table[k].op == op &&
                strcmp(vk_kernel_table[k].name, tune->entries[i].kernel) == 0 &&
                vk_matmul_fits(op, push, k) && vk_kernel_admitted(dev, k, slices))
                *kernel = k;
        return RT_OK;
    }
    if (tune->measuring || tune->count == ENTRIES_MAX)
        return RT_OK;
    tune->measuring = true;
    st = measure_all(tune, op, push, slices, kernel);
    tune->measuring = false;
    TRY(st);
    struct entry *e = &tune->entries[tune->count++];
    snprintf(e->key, sizeof e->key, "%s", key);
    snprintf(e->kernel, sizeof e->kernel, "%s", vk_kernel_table[*kernel].name);
    tune->changed = true;
    rt_log(dev->base.ctx, RT_LOG_TRACE, "tune: %s runs as %s", key, e->kernel);
    return RT_OK;

fail:
    return st;
}
