#include "runtime/plan.h"

#include <assert.h>
#include <stdio.h>

/* A submission may run at most a fifth of what watchdogs allow (2 s), on a device
 * assumed this slow. */
#define SOFTWARE_FLOPS_PER_SECOND 8e9
#define GPU_FLOPS_PER_SECOND 2e11
#define SUBMIT_SECONDS_MAX 0.4

/* Where operands come by storage loads a software device decodes slowly beside a
 * product: docs/bench.md has what was measured. The values are the same. */
enum { DECODE_ROWS = 32 };

enum { TEXEL_BYTES = 16, TEXELS_USEFUL = 1 << 20, LANES_SOFTWARE = 8, LANES_GPU = 64 };

static const struct {
    uint32_t driver, first, last; /* of VkPhysicalDeviceDriverProperties, inclusive */
} quirk_ranges[RT_QUIRK_COUNT] = {
#define QUIRK(name, driver, first, last, reason, where) { driver, first, last },
#include "runtime/quirks.def"
#undef QUIRK
};

const struct rt_quirk_info rt_quirk_table[RT_QUIRK_COUNT] = {
#define QUIRK(name, driver, first, last, reason, where) { #name, reason, where },
#include "runtime/quirks.def"
#undef QUIRK
};

bool rt_plan_has_quirk(const struct rt_plan *plan, enum rt_quirk quirk)
{
    return plan->quirks >> quirk & 1u;
}

static uint32_t quirks_of(const struct rt_facts *facts)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < RT_QUIRK_COUNT; i++)
        if (facts->driver_id == quirk_ranges[i].driver &&
            facts->driver_version >= quirk_ranges[i].first &&
            facts->driver_version <= quirk_ranges[i].last)
            bits |= 1u << i;
    return bits;
}

/* A pure function: no Vulkan call, no global, no clock. Everything that may
 * differ between vendors is decided here and nowhere else. */
void rt_plan_make(const struct rt_facts *facts, const struct rt_plan_options *options,
                  struct rt_plan *plan)
{
    assert(facts->lanes_max >= 128);
    enum rt_family family = options->family;
    if (family == RT_FAMILY_AUTO)
        family = facts->software || facts->shared_bytes < 32768 ? RT_FAMILY_LANES
                                                                : RT_FAMILY_TILED;
    /* Software devices read texel buffers faster than storage (bench/probe/README.md),
     * where the driver allows large ones. */
    const bool texels = facts->software && facts->texel_count_max >= TEXELS_USEFUL;
    const double rate =
        facts->software ? SOFTWARE_FLOPS_PER_SECOND : GPU_FLOPS_PER_SECOND;
    *plan = (struct rt_plan){
        .family = family,
        .path = texels ? RT_PATH_TEXEL : RT_PATH_STORAGE,
        .lanes = facts->software ? LANES_SOFTWARE : LANES_GPU,
        .broadcast = facts->subgroup_ballot ? facts->subgroup_size : 0,
        .binding_bytes_max = facts->storage_range_max,
        .texel_bytes_max = facts->texel_count_max * TEXEL_BYTES,
        .wide_weights = family == RT_FAMILY_LANES,
        .decode_rows = facts->software && !texels ? DECODE_ROWS : 0,
        .submit_flops_max = rate * SUBMIT_SECONDS_MAX,
        .quirks = quirks_of(facts),
    };
}

size_t rt_plan_print(const struct rt_plan *plan, char *text, size_t size)
{
    static const char *const families[] = { "auto", "lanes", "tiled" };
    static const char *const paths[] = { "storage", "texel", "texel-broadcast" };
    char quirks[256] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < RT_QUIRK_COUNT && used < sizeof quirks; i++)
        if (rt_plan_has_quirk(plan, (enum rt_quirk)i))
            used += (size_t)snprintf(quirks + used, sizeof quirks - used, "%s\"%s\"",
                                     used ? "," : "", rt_quirk_table[i].name);
    const int n =
        snprintf(text, size,
                 "{\"family\":\"%s\",\"path\":\"%s\",\"lanes\":%u,\"broadcast\":%u,"
                 "\"binding_bytes_max\":%llu,\"texel_bytes_max\":%llu,\"decode_rows\":%u,"
                 "\"wide_weights\":%s,"
                 "\"submit_flops_max\":%.0f,\"quirks\":[%s]}",
                 families[plan->family], paths[plan->path], plan->lanes, plan->broadcast,
                 (unsigned long long)plan->binding_bytes_max,
                 (unsigned long long)plan->texel_bytes_max, plan->decode_rows,
                 plan->wide_weights ? "true" : "false", plan->submit_flops_max, quirks);
    return n < 0 ? 0 : (size_t)n;
}
