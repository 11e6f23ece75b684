/* runtime/vk/vk_tune.c
 * The measured choice among matmul kernels. All that fit give the same bits, so only
 * time decides: at the first use of a class of shapes every candidate that passes its
 * check on this device (vk_tune_check.c) runs on the op's own buffers (a list is being
 * recorded, what it writes is written again when it runs) and the fastest is kept, in
 * memory and in a text file. Name and first line of the file say which device, driver and
 * kernel table it is of; a missing, damaged or foreign one costs some seconds of measuring,
 * nothing else. A kernel under which the device was lost is noted there, and not tried for
 * that class again: the same command, run again, takes the next. */
#include "runtime/op/op_row.h"
#include "runtime/vk/vk.h"

#include <stdio.h>
#include <string.h>

enum {
    ENTRIES_MAX = 256,
    REPEATS = 5,
    CANDIDATES_MAX = 12,
    TIMES_MAX = 16,
    LOST_MAX = 32
};
#define SAMPLE_FLOPS 1e7

struct entry {
    char key[64];
    char kernel[32];
};

struct vk_tune {
    struct vk_device *dev; /* borrowed */
    char path[1024];       /* empty: not kept on disk */
    char head[160];        /* first line of the file: what the choices hold for */
    struct entry entries[ENTRIES_MAX];
    uint32_t count;
    struct entry lost[LOST_MAX]; /* kernels that lost the device, by class */
    uint32_t lost_count;
    bool measuring; /* choices inside a measurement are not tuned */
    bool changed;
};

static void load(struct vk_tune *tune)
{
    FILE *file = tune->path[0] ? fopen(tune->path, "r") : NULL;
    if (!file)
        return;
    char line[200];
    if (!fgets(line, sizeof line, file) || strcmp(line, tune->head) != 0) {
        fclose(file);
        return;
    }
    while (tune->count < ENTRIES_MAX && fgets(line, sizeof line, file)) {
        struct entry *e = &tune->entries[tune->count];
        struct entry lost;
        if (sscanf(line, "lost %63s %31s", lost.key, lost.kernel) == 2) {
            if (tune->lost_count < LOST_MAX)
                tune->lost[tune->lost_count++] = lost;
        } else if (sscanf(line, "%63s %31s", e->key, e->kernel) == 2)
            tune->count++;
    }
    fclose(file);
}

static void save(const struct vk_tune *tune)
{
    if (!tune->path[0] || !tune->changed)
        return;
    const size_t size =
        sizeof tune->head + (tune->count + tune->lost_count) * (sizeof(struct entry) + 8);
    char *text = rt_alloc(tune->dev->base.ctx, size, 1);
    if (!text)
        return;
    size_t used = (size_t)snprintf(text, size, "%s", tune->head);
    for (uint32_t i = 0; i < tune->count; i++)
        used += (size_t)snprintf(text + used, size - used, "%s %s\n",
                                 tune->entries[i].key, tune->entries[i].kernel);
    for (uint32_t i = 0; i < tune->lost_count; i++)
        used += (size_t)snprintf(text + used, size - used, "lost %s %s\n",
                                 tune->lost[i].key, tune->lost[i].kernel);
    rt_cache_write(tune->path, text, used);
    rt_free(text);
}

rt_status vk_tune_create(struct vk_device *dev, struct vk_tune **out)
{
    *out = NULL;
    struct vk_tune *tune = rt_alloc(dev->base.ctx, 1, sizeof *tune);
    if (!tune)
        return rt_fail(dev->base.ctx, RT_ERR_HOST_MEMORY, "tune: no host memory");
    tune->dev = dev;
    const struct rt_facts *facts = &dev->base.info.facts;
    char uuid[33];
    vk_uuid_text(dev, uuid);
    const struct rt_plan *plan = &dev->base.plan;
    const char *rounded = plan->rounded != plan->products ? "-auto" : "";
    snprintf(tune->head, sizeof tune->head,
             "faultline-tune 3 device %s driver %u %08x kernels %08x family %d products "
             "%s%s\n",
             uuid, facts->driver_id, facts->driver_version, dev->base.info.kernels,
             (int)plan->family, rt_products_names[plan->products], rounded);
    if (dev->cache_dir)
        snprintf(tune->path, sizeof tune->path, "%s/tune-%s-%u-%08x-%d-%s%s",
                 dev->cache_dir, uuid, facts->driver_id, facts->driver_version,
                 (int)plan->family, rt_products_names[plan->products], rounded);
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

/* One kernel under measurement. */
struct candidate {
    uint32_t kernel;
    struct rt_list *list; /* the op, several times where it is short */
    uint64_t best;        /* nanoseconds */
};

/* Records the op as often as makes a time that a clock can tell from others. */
static rt_status record(struct vk_tune *tune, enum rt_op op, const void *push,
                        const struct rt_slice *slices, struct candidate *c)
{
    rt_status st;
    struct vk_choice choice = { .kernel = c->kernel };
    const double times = SAMPLE_FLOPS / (rt_op_cost_of(op, push, 0).flops + 1);
    vk_matmul_fill(tune->dev, op, push, &choice);
    TRY(rt_list_create(&tune->dev->base, "tune", &c->list));
    for (uint32_t i = 0; i == 0 || (i < TIMES_MAX && i < times); i++)
        TRY(vk_list_choice(c->list, op, push, slices, &choice));
    TRY(rt_list_end(c->list));

fail:
    return st;
}

static rt_status time_once(struct vk_tune *tune, struct candidate *c, bool counts)
{
    rt_status st;
    struct rt_device *dev = &tune->dev->base;
    const uint64_t start = rt_time_ns();
    tune->dev->trying = c->kernel;
    TRY(rt_submit(dev, c->list));
    TRY(rt_wait(dev));
    const uint64_t time = rt_time_ns() - start;
    if (counts && time < c->best)
        c->best = time;

fail:
    return st;
}

/* Whether the device was lost under this kernel, in a product of this class. */
static bool is_lost(const struct vk_tune *tune, enum rt_op op, const void *push,
                    uint32_t kernel)
{
    char key[64];
    rt_op_rows[op]->class_key(push, key, sizeof key);
    for (uint32_t i = 0; i < tune->lost_count; i++)
        if (strcmp(tune->lost[i].key, key) == 0 &&
            strcmp(tune->lost[i].kernel, vk_kernel_table[kernel].name) == 0)
            return true;
    return false;
}

static void note_lost(struct vk_tune *tune, const char *key)
{
    const struct vk_kernel_info *k = &vk_kernel_table[tune->dev->trying];
    if (tune->lost_count == LOST_MAX)
        return;
    struct entry *e = &tune->lost[tune->lost_count++];
    snprintf(e->key, sizeof e->key, "%s", key);
    snprintf(e->kernel, sizeof e->kernel, "%s", k->name);
    tune->changed = true;
    rt_log(
        tune->dev->base.ctx, RT_LOG_WARNING,
        "device '%s' was lost under the kernel %s/%s, which is noted: the same command, "
        "run again, tries the next; please report",
        tune->dev->base.info.name, rt_op_table[k->op].name, k->name);
}

/* Only what the static rank finds at least half as good. */
static bool worth_timing(const struct vk_tune *tune, enum rt_op op, const void *push,
                         const struct rt_slice *slices, uint32_t kernel, uint32_t best)
{
    if (vk_kernel_table[kernel].op != op || is_lost(tune, op, push, kernel))
        return false;
    if (kernel == best)
        return true;
    if (!vk_kernel_admitted(tune->dev, kernel, push, slices))
        return false;
    if (rt_plan_has_quirk(&tune->dev->base.plan, RT_QUIRK_slow_storage_loads) &&
        !strchr(vk_kernel_table[kernel].paths, 't'))
        return false;
    return vk_matmul_rank(tune->dev, op, push, kernel) * 2 >=
           vk_matmul_rank(tune->dev, op, push, best);
}

/* The candidates that are right on this device, in `list`. */
static rt_status find_candidates(struct vk_tune *tune, enum rt_op op, const void *push,
                                 const struct rt_slice *slices, uint32_t best,
                                 struct candidate *list, uint32_t *count)
{
    rt_status st;
    uint32_t kernels[CANDIDATES_MAX], found = 0;
    bool right[CANDIDATES_MAX] = { false };
    *count = 0;
    for (uint32_t i = 0; i < vk_kernel_count && found < CANDIDATES_MAX; i++)
        if (worth_timing(tune, op, push, slices, i, best))
            kernels[found++] = i;
    TRY(vk_tune_check(tune->dev, op, push, kernels, found, right));
    for (uint32_t i = 0; i < found; i++)
        if (right[i])
            list[(*count)++] =
                (struct candidate){ .kernel = kernels[i], .best = UINT64_MAX };
    if (*count == 0)
        return rt_fail(tune->dev->base.ctx, RT_ERR_NO_DEVICE,
                       "device '%s': no kernel of op %s gives right results; its driver "
                       "(%s) is broken, try another one, or --device ref",
                       tune->dev->base.info.name, rt_op_table[op].name,
                       tune->dev->base.info.driver);

fail:
    return st;
}

/* Candidates take turns, so that a device that is busy for a while slows all alike; the
 * first turn compiles and is not counted. */
static rt_status measure_all(struct vk_tune *tune, enum rt_op op, const void *push,
                             const struct rt_slice *slices, uint32_t *kernel)
{
    rt_status st;
    struct candidate list[CANDIDATES_MAX];
    uint32_t count = 0;
    TRY(find_candidates(tune, op, push, slices, *kernel, list, &count));
    for (uint32_t i = 0; i < count && count > 1; i++)
        TRY(record(tune, op, push, slices, &list[i]));
    for (int turn = 0; turn <= REPEATS && count > 1; turn++)
        for (uint32_t i = 0; i < count; i++)
            TRY(time_once(tune, &list[i], turn > 0));
    const struct candidate *best = &list[0];
    for (uint32_t i = 1; i < count; i++)
        if (list[i].best < best->best)
            best = &list[i];
    *kernel = best->kernel;

fail:
    for (uint32_t i = 0; i < count; i++)
        rt_list_destroy(&list[i].list);
    return st;
}

/* The kernel of that name, if it may run this op here: not every name in a file is one. */
static bool find_named(const struct vk_device *dev, enum rt_op op, const void *push,
                       const char *name, const struct rt_slice *slices, uint32_t *kernel)
{
    for (uint32_t k = 0; k < vk_kernel_count; k++)
        if (vk_kernel_table[k].op == op && strcmp(vk_kernel_table[k].name, name) == 0 &&
            vk_matmul_rank(dev, op, push, k) > 0 &&
            vk_kernel_admitted(dev, k, push, slices)) {
            *kernel = k;
            return true;
        }
    return false;
}

rt_status vk_tune_pick(struct vk_device *dev, enum rt_op op, const void *push,
                       const struct rt_slice *slices, uint32_t *kernel)
{
    rt_status st;
    struct vk_tune *tune = dev->tune;
    char key[64];
    uint32_t at = 0;
    rt_op_rows[op]->class_key(push, key, sizeof key);
    while (at < tune->count && strcmp(tune->entries[at].key, key) != 0)
        at++;
    if (at < tune->count &&
        find_named(dev, op, push, tune->entries[at].kernel, slices, kernel))
        return RT_OK;
    if (tune->measuring || at == ENTRIES_MAX)
        return RT_OK;
    tune->measuring = true;
    st = measure_all(tune, op, push, slices, kernel);
    tune->measuring = false;
    if (st == RT_ERR_DEVICE_LOST)
        note_lost(tune, key);
    TRY(st);
    struct entry *e = &tune->entries[at];
    tune->count += at == tune->count;
    snprintf(e->key, sizeof e->key, "%s", key);
    snprintf(e->kernel, sizeof e->kernel, "%s", vk_kernel_table[*kernel].name);
    tune->changed = true;
    rt_log(dev->base.ctx, RT_LOG_TRACE, "tune: %s runs as %s", key, e->kernel);
    return RT_OK;

fail:
    return st;
}
