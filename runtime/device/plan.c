/* runtime/device/plan.c
 * The pure function from facts of a device to its plan, and the bounds and words that
 * follow from a plan. */
#include "runtime/device/plan.h"

#include <assert.h>
#include <stdio.h>

/* A submission may run at most a fifth of what watchdogs allow (2 s), on a device
 * assumed this slow. */
#define SOFTWARE_FLOPS_PER_SECOND 8e9
#define GPU_FLOPS_PER_SECOND 2e11
#define SUBMIT_SECONDS_MAX 0.4

/* Where operands come by storage loads a software device decodes slowly beside a
 * product: docs/log/ops-against-limits.md has what was measured. The values are the
 * same. */
enum { DECODE_ROWS = 32 };

/* Mesa's LP_MAX_TGSI_LOOP_ITERATIONS, of every version so far. */
enum { DRIVER_LLVMPIPE = 13, LLVMPIPE_ROUNDS = 65535 };

/* `sample` needs 7.5 rounds per column where its loops of 4 are unrolled, as Mesa does: what
 * is left of LLVMPIPE_ROUNDS, rounded down to a power of two. It holds on every device, so
 * that a row is summed alike on all that one family of kernels serves. */
enum { ROW_COLUMNS_MAX = 8192 };

/* Rounds that attention needs: lanes kernels one for eight keys, which a subgroup of eight
 * sequences repeats for each of them (shaders/lib/turns.glsl), and, backward, one for a query
 * and head; tiled kernels up to six for a key or query of the longest heads. */
enum { KEYS_A_ROUND = 8, TILED_ROUNDS = 6, ROUNDS_BESIDE = 128 };

/* Adreno has few registers: workgroups of 128 and 256 leave an invocation 48 vec4 on Adreno
 * 618 and 740, and 32 on 660. Compilers issue all loads of unrolled code at once: 618 and
 * 660 then spill in products and attention. Adrenos tell nothing else apart but their
 * names, so all of them unroll less. AMD's GCN, which has subgroups of 64 only, has 102
 * scalar registers, too few for the rows of x that four rows of 32 inputs load. Figures:
 * docs/gpus.md. */
enum { VENDOR_QUALCOMM = 0x5143, ADRENO_LOADS = 2, ADRENO_TAKES = 2 };
enum { VENDOR_AMD = 0x1002, GCN_SUBGROUP = 64, GCN_TAKES = 4 };

enum { TEXEL_BYTES = 16, TEXELS_USEFUL = 1 << 20, LANES_SOFTWARE = 8, LANES_GPU = 64 };

static const struct {
    uint32_t driver, first, last; /* of VkPhysicalDeviceDriverProperties, inclusive */
} quirk_ranges[RT_QUIRK_COUNT] = {
#define QUIRK(name, driver, first, last, reason, where) { driver, first, last },
#include "runtime/device/quirks.def"
#undef QUIRK
};

const struct rt_quirk_info rt_quirk_table[RT_QUIRK_COUNT] = {
#define QUIRK(name, driver, first, last, reason, where) { #name, reason, where },
#include "runtime/device/quirks.def"
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

const char *const rt_family_names[RT_FAMILY_COUNT] = { "auto", "lanes", "tiled" };
const char *const rt_kv_names[RT_KV_COUNT] = { "auto", "f32", "f16" };
const char *const rt_products_names[RT_PRODUCTS_COUNT] = { "f32", "f16", "int8" };

/* shaders/lib/products.glsl: a workgroup of 128, tiles of 64 outputs by 16 or 64 rows, 32
 * inputs at once. */
enum { PRODUCT_LANES = 128, PRODUCT_SHARED = 28 << 10 };

bool rt_plan_fragment_fits(const struct rt_fragment *f, uint32_t subgroup_size)
{
    if (!f->rows || !f->outputs || !f->inputs || !subgroup_size || 16 % f->rows ||
        64 % f->outputs || 32 % f->inputs || PRODUCT_LANES % subgroup_size)
        return false;
    return 16 / f->rows * (64 / f->outputs) % (PRODUCT_LANES / subgroup_size) == 0;
}

/* The first fragment that kernels can use in subgroups of this size; NULL: none. */
static const struct rt_fragment *fragment_at(const struct rt_facts *facts, uint32_t size)
{
    for (uint32_t i = 0; i < facts->fragments; i++)
        if (rt_plan_fragment_fits(&facts->fragment[i], size))
            return &facts->fragment[i];
    return NULL;
}

/* Matrix units: the smallest subgroup that a pipeline can have and a fragment fits. There a
 * subgroup keeps fewest results, so none spills: Intel's compiler spills hundreds of
 * registers at 32 invocations and none at 8 or 16, AMD's needs 216 of them at 64 and 168 at
 * 32. Not asked for where there is one size only. *size is 0 where no size is known. */
static const struct rt_fragment *choose_fragment(const struct rt_facts *facts,
                                                 uint32_t *size)
{
    const struct rt_fragment *found = NULL;
    const bool one = facts->subgroup_min == facts->subgroup_max;
    const bool known =
        facts->subgroup_full && facts->subgroup_min && (one || facts->subgroup_asked);
    *size = known ? facts->subgroup_min : 0;
    while (*size && *size <= facts->subgroup_max && !(found = fragment_at(facts, *size)))
        *size *= 2;
    return found;
}

/* A software device emulates integer dots like all else, so it may be asked for them. */
bool rt_plan_products_there(const struct rt_facts *facts, enum rt_products products,
                            const char **lack)
{
    uint32_t size;
    *lack = NULL;
    if (products == RT_PRODUCTS_F16 && facts->fragments == 0)
        *lack = "cooperative matrices of halves with sums in floats";
    else if (products == RT_PRODUCTS_F16 && (!facts->fp16 || !facts->memory_model))
        *lack = "arithmetic of halves and the Vulkan memory model";
    else if (products == RT_PRODUCTS_F16 && !choose_fragment(facts, &size))
        *lack = size ? "matrix units of a shape that kernels can use"
                     : "subgroups of a known size";
    else if (products == RT_PRODUCTS_INT8 && !facts->int_dot)
        *lack = "integer dot products";
    else if (products == RT_PRODUCTS_INT8 && !facts->int_dot_signed && !facts->software)
        *lack = "fast integer dot products of signed bytes (its driver emulates them)";
    else if (products != RT_PRODUCTS_F32 && facts->shared_bytes < PRODUCT_SHARED)
        *lack = "28 KiB of shared memory";
    return *lack == NULL;
}

const char *rt_plan_whole_numbers(const struct rt_facts *facts,
                                  const struct rt_plan *plan)
{
    if (facts->api_version == 0) /* "ref" */
        return "computed in whole numbers";
    if (plan->dots)
        return "multiplied by integer dot products";
    if (!facts->int_dot)
        return "emulated exactly in floats: the device has no integer dot products";
    return "emulated exactly in floats: the driver emulates integer dot products";
}

/* Where they are faster than other code. A software device, which emulates them like all
 * else, has them where it is asked for products of whole numbers. */
static bool plan_has_dots(const struct rt_facts *facts, const struct rt_plan *plan)
{
    return facts->int_dot && (facts->int_dot_signed ||
                              (facts->software && plan->products == RT_PRODUCTS_INT8));
}

/* GPUs wait for memory, and it is scarce: halves. Software devices keep floats, so that what
 * is measured there is the model alone (docs/numerics.md). */
enum rt_kv rt_plan_kv(enum rt_kv asked, bool software)
{
    return asked != RT_KV_AUTO ? asked : software ? RT_KV_F32 : RT_KV_F16;
}

static uint32_t broadcast_of(const struct rt_facts *facts)
{
    const bool there =
        facts->subgroup_size == 4 ? facts->subgroup_quad : facts->subgroup_ballot;
    return there ? facts->subgroup_size : 0;
}

static enum rt_operand_path path_of(const struct rt_facts *facts, bool texels)
{
    enum { ROUND = 8 }; /* the subgroup that attention has such kernels for */
    if (!texels)
        return RT_PATH_STORAGE;
    return broadcast_of(facts) == ROUND &&
                   !(quirks_of(facts) & 1u << RT_QUIRK_slow_broadcast)
               ? RT_PATH_TEXEL_BROADCAST
               : RT_PATH_TEXEL;
}

bool rt_plan_uses(const struct rt_plan *plan, enum rt_products products)
{
    return plan->products == products || plan->rounded == products;
}

/* Software devices emulate matrix units, slowly. */
static void plan_products(const struct rt_facts *facts, enum rt_products asked,
                          struct rt_plan *plan)
{
    const char *lack;
    const bool automatic = asked == RT_PRODUCTS_AUTO;
    const enum rt_products most = automatic ? RT_PRODUCTS_F16 : asked;
    const bool there = rt_plan_products_there(facts, most, &lack);
    plan->products = there && !automatic ? asked : RT_PRODUCTS_F32;
    plan->rounded = there && !(automatic && facts->software) ? most : RT_PRODUCTS_F32;
}

static void plan_fragment(const struct rt_facts *facts, struct rt_plan *plan)
{
    if (!rt_plan_uses(plan, RT_PRODUCTS_F16))
        return;
    plan->fragment = *choose_fragment(facts, &plan->subgroup_size);
    plan->subgroup_ask = facts->subgroup_asked;
}

/* How far kernels are unrolled. */
static void plan_unrolled(const struct rt_facts *facts, struct rt_plan *plan)
{
    if (facts->vendor_id == VENDOR_QUALCOMM) {
        plan->loads_most = ADRENO_LOADS;
        plan->takes_most = ADRENO_TAKES;
    }
    if (facts->vendor_id == VENDOR_AMD && facts->subgroup_min == GCN_SUBGROUP)
        plan->takes_most = GCN_TAKES;
}

bool rt_plan_has_tiles(const struct rt_facts *facts)
{
    enum { TILED_SHARED = 32 << 10, TILED_LANES = 256 };
    return facts->shared_bytes >= TILED_SHARED && facts->lanes_max >= TILED_LANES &&
           facts->subgroup_vote;
}

/* A pure function: no Vulkan call, no global, no clock. Which kernels a device may run, in
 * what widths and pieces, and which memory is taken, is decided here. Beside the plan, facts
 * are read only where they are no choice: the clock of timestamps (vk_list.c), the size of
 * the heap (device.c), what a device is called and told apart by. */
void rt_plan_make(const struct rt_facts *facts, const struct rt_plan_options *options,
                  struct rt_plan *plan)
{
    assert(facts->lanes_max >= 128);
    enum rt_family family = options->family;
    if (family == RT_FAMILY_AUTO)
        family = !facts->software && rt_plan_has_tiles(facts) ? RT_FAMILY_TILED
                                                              : RT_FAMILY_LANES;
    /* Software devices read texel buffers faster than storage (bench/probe/README.md),
     * where the driver allows large ones. */
    const bool texels = facts->software && facts->texel_count_max >= TEXELS_USEFUL;
    const double rate =
        facts->software ? SOFTWARE_FLOPS_PER_SECOND : GPU_FLOPS_PER_SECOND;
    *plan = (struct rt_plan){
        .family = family,
        .kv = rt_plan_kv(options->kv, facts->software),
        .float_inputs = options->float_inputs,
        .path = path_of(facts, texels),
        .lanes = facts->software ? LANES_SOFTWARE : LANES_GPU,
        .broadcast = broadcast_of(facts),
        .lanes_max = facts->lanes_max,
        .binding_bytes_max =
            facts->allocation_max && facts->allocation_max < facts->storage_range_max
                ? facts->allocation_max
                : facts->storage_range_max,
        .texel_bytes_max = facts->texel_count_max * TEXEL_BYTES,
        .wide_weights = family == RT_FAMILY_LANES,
        .decode_rows = facts->software && !texels ? DECODE_ROWS : 0,
        .submit_flops_max = rate * SUBMIT_SECONDS_MAX,
        .quirks = quirks_of(facts),
        .loop_rounds_max = facts->driver_id == DRIVER_LLVMPIPE ? LLVMPIPE_ROUNDS : 0,
        .row_columns_max = ROW_COLUMNS_MAX,
        .host_visible = facts->unified_memory,
        .own_memory = facts->discrete,
    };
    plan_products(facts, options->products, plan);
    plan->dots = plan_has_dots(facts, plan);
    plan_fragment(facts, plan);
    plan_unrolled(facts, plan);
}

uint32_t rt_plan_keys_max(const struct rt_plan *plan)
{
    if (plan->loop_rounds_max == 0)
        return UINT32_MAX;
    const uint32_t rounds = plan->loop_rounds_max - ROUNDS_BESIDE;
    if (plan->family == RT_FAMILY_TILED)
        return rounds / TILED_ROUNDS;
    return plan->path == RT_PATH_TEXEL_BROADCAST ? rounds : rounds * KEYS_A_ROUND;
}

uint32_t rt_plan_gradient_rows_max(const struct rt_plan *plan, uint32_t sharing)
{
    if (plan->loop_rounds_max == 0)
        return UINT32_MAX;
    const uint32_t rounds = plan->loop_rounds_max - ROUNDS_BESIDE;
    const uint32_t each = plan->family == RT_FAMILY_TILED ? TILED_ROUNDS : 1;
    return rounds / (each * sharing) - 2;
}

bool rt_plan_decodes(const struct rt_plan *plan, uint32_t bits, uint32_t rows)
{
    return bits != 32 && plan->decode_rows && rows >= plan->decode_rows;
}

bool rt_plan_decodes_back(const struct rt_plan *plan)
{
    return plan->family == RT_FAMILY_LANES;
}

size_t rt_plan_print(const struct rt_plan *plan, char *text, size_t size)
{
    static const char *const paths[] = { "storage", "texel", "texel-broadcast" };
    char quirks[256] = "", rounded[32] = "", unrolled[64] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < RT_QUIRK_COUNT && used < sizeof quirks; i++)
        if (rt_plan_has_quirk(plan, (enum rt_quirk)i))
            used += (size_t)snprintf(quirks + used, sizeof quirks - used, "%s\"%s\"",
                                     used ? "," : "", rt_quirk_table[i].name);
    if (plan->rounded != plan->products)
        snprintf(rounded, sizeof rounded, ",\"rounded\":\"%s\"",
                 rt_products_names[plan->rounded]);
    if (plan->loads_most || plan->takes_most)
        snprintf(unrolled, sizeof unrolled, ",\"loads_most\":%u,\"takes_most\":%u",
                 plan->loads_most, plan->takes_most);
    const int n =
        snprintf(text, size,
                 "{\"family\":\"%s\",\"products\":\"%s\",\"kv\":\"%s\",\"path\":\"%s\","
                 "\"lanes\":%u,"
                 "\"broadcast\":%u,\"binding_bytes_max\":%llu,\"texel_bytes_max\":%llu,"
                 "\"decode_rows\":%u,\"wide_weights\":%s,\"submit_flops_max\":%.0f,"
                 "\"quirks\":[%s],\"loop_rounds_max\":%u%s%s%s%s}",
                 rt_family_names[plan->family], rt_products_names[plan->products],
                 rt_kv_names[plan->kv], paths[plan->path], plan->lanes, plan->broadcast,
                 (unsigned long long)plan->binding_bytes_max,
                 (unsigned long long)plan->texel_bytes_max, plan->decode_rows,
                 plan->wide_weights ? "true" : "false", plan->submit_flops_max, quirks,
                 plan->loop_rounds_max, plan->float_inputs ? ",\"int8\":\"off\"" : "",
                 rounded, unrolled, plan->dots ? ",\"dots\":true" : "");
    return n < 0 ? 0 : (size_t)n;
}
