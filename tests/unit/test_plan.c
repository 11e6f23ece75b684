/* What is decided for a device, from facts alone: rows copied from the reports of real
 * devices and drivers, the 43 of gpus.tsv, and the least that Vulkan allows. */
#include "runtime/device/device_impl.h"
#include "runtime/device/plan.h"
#include "runtime/vk/vk.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define MESA(major, minor, patch) \
    ((uint32_t)(major) << 22 | (uint32_t)(minor) << 12 | (uint32_t)(patch))

static const struct {
    const char *device;
    struct rt_facts facts;
    enum rt_family family;
    enum rt_operand_path path;
    uint32_t lanes;
    bool slow_storage;
} rows[] = {
    { "lavapipe of Debian 12",
      { .software = true,
        .driver_id = 13,
        .driver_version = MESA(22, 3, 6),
        .subgroup_size = 8,
        .subgroup_ballot = true,
        .shared_bytes = 32768,
        .lanes_max = 1024,
        .storage_range_max = 134217728,
        .texel_count_max = 134217728 },
      RT_FAMILY_LANES,
      RT_PATH_TEXEL,
      8,
      true },
    { "lavapipe of Mesa 26",
      { .software = true,
        .driver_id = 13,
        .driver_version = MESA(26, 2, 6),
        .subgroup_size = 8,
        .subgroup_ballot = true,
        .shared_bytes = 32768,
        .lanes_max = 1024,
        .storage_range_max = 134217728,
        .texel_count_max = 134217728 },
      RT_FAMILY_LANES,
      RT_PATH_TEXEL_BROADCAST,
      8,
      false },
    { "SwiftShader of Chromium: texel buffers too small to be of use",
      { .software = true,
        .driver_id = 10,
        .subgroup_size = 4,
        .shared_bytes = 32768,
        .lanes_max = 256,
        .storage_range_max = 1073741824,
        .texel_count_max = 65536 },
      RT_FAMILY_LANES,
      RT_PATH_STORAGE,
      8,
      false },
    { "RADV, NAVI21",
      { .vendor_id = 0x1002,
        .driver_id = 3,
        .driver_version = MESA(22, 3, 6),
        .discrete = true,
        .subgroup_size = 64,
        .shared_bytes = 65536,
        .lanes_max = 1024,
        .subgroup_vote = true,
        .storage_range_max = 4294967295,
        .texel_count_max = 4294967295 },
      RT_FAMILY_TILED,
      RT_PATH_STORAGE,
      64,
      false },
    { "the least that Vulkan 1.1 allows",
      { .subgroup_size = 1,
        .shared_bytes = 16384,
        .lanes_max = 128,
        .storage_range_max = 134217728,
        .texel_count_max = 65536 },
      RT_FAMILY_LANES,
      RT_PATH_STORAGE,
      64,
      false },
};

static void every_device_gets_its_plan(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rt_plan plan;
        const struct rt_plan_options options = { .family = RT_FAMILY_AUTO };
        rt_plan_make(&rows[i].facts, &options, &plan);
        if (plan.family != rows[i].family || plan.path != rows[i].path ||
            plan.lanes != rows[i].lanes ||
            rt_plan_has_quirk(&plan, RT_QUIRK_slow_storage_loads) != rows[i].slow_storage)
            fail_msg("%s: family %d, path %d, lanes %u, quirks %x", rows[i].device,
                     (int)plan.family, (int)plan.path, plan.lanes, plan.quirks);
        assert_true(plan.binding_bytes_max == rows[i].facts.storage_range_max);
        assert_true(plan.submit_flops_max > 0);
        assert_int_equal(plan.lanes_max, rows[i].facts.lanes_max);
        assert_int_equal(plan.row_columns_max, 8192); /* the same everywhere */
        assert_int_equal(plan.own_memory, rows[i].facts.discrete);
        assert_int_equal(plan.subgroup_size, 0); /* none is asked for */
        assert_int_equal(plan.loads_most | plan.takes_most, 0);
    }
}

/* Each lack by itself. */
static void tiles_need_what_their_kernels_use(void **state)
{
    (void)state;
    struct rt_facts lacks[] = { rows[3].facts, rows[3].facts, rows[3].facts };
    lacks[0].shared_bytes = (32 << 10) - 1;
    lacks[1].lanes_max = 255;
    lacks[2].subgroup_vote = false;
    for (size_t i = 0; i < RT_COUNT(lacks); i++) {
        struct rt_plan plan;
        const struct rt_plan_options options = { .family = RT_FAMILY_AUTO };
        rt_plan_make(&lacks[i], &options, &plan);
        assert_int_equal(plan.family, RT_FAMILY_LANES);
    }
}

/* In subgroups of four, rows change places by quad operations only. */
static void values_go_round_where_the_device_can(void **state)
{
    (void)state;
    static const struct {
        uint32_t size;
        bool ballot, quad;
        uint32_t broadcast;
    } cases[] = { { 8, true, false, 8 }, { 8, false, true, 0 },  { 4, true, true, 4 },
                  { 4, true, false, 0 }, { 64, true, true, 64 }, { 0, false, false, 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rt_plan plan;
        const struct rt_plan_options options = { .family = RT_FAMILY_AUTO };
        struct rt_facts facts = rows[0].facts;
        facts.subgroup_size = cases[i].size;
        facts.subgroup_ballot = cases[i].ballot;
        facts.subgroup_quad = cases[i].quad;
        rt_plan_make(&facts, &options, &plan);
        assert_int_equal(plan.broadcast, cases[i].broadcast);
    }
}

/* Only products of matrix units ask the driver for a subgroup of a size. */
static void fragments_are_for_products_in_f16(void **state)
{
    (void)state;
    struct rt_facts facts = rows[3].facts; /* a GPU */
    facts.fragments = 1;
    facts.fragment[0] = (struct rt_fragment){ .rows = 16, .outputs = 8, .inputs = 4 };
    facts.fp16 = facts.memory_model = facts.int_dot = facts.int_dot_signed = true;
    facts.subgroup_full = facts.subgroup_asked = true;
    facts.subgroup_min = 64, facts.subgroup_max = 64;
    for (int products = 0; products < RT_PRODUCTS_COUNT; products++) {
        struct rt_plan plan;
        const struct rt_plan_options options = { .products = (enum rt_products)products };
        const uint32_t there = products == RT_PRODUCTS_F16;
        rt_plan_make(&facts, &options, &plan);
        assert_int_equal(plan.products, products);
        assert_int_equal(plan.fragment.rows, 16 * there);
        assert_int_equal(plan.fragment.outputs, 8 * there);
        assert_int_equal(plan.fragment.inputs, 4 * there);
        assert_int_equal(plan.subgroup_ask, there);
        assert_int_equal(plan.subgroup_size, 64 * there);
    }
}

/* A row of gpus.tsv. */
struct gpu {
    char id[32], typed[64], units[32], fragments[64];
    uint32_t int8;
    struct rt_facts facts;
};

static void read_fragments(struct gpu *gpu)
{
    struct rt_facts *f = &gpu->facts;
    for (const char *at = gpu->fragments; at && *at && *at != '-';) {
        struct rt_fragment *to = &f->fragment[f->fragments++];
        assert_int_equal(sscanf(at, "%ux%ux%u", &to->rows, &to->outputs, &to->inputs), 3);
        at = strchr(at, ',');
        at += at != NULL;
    }
}

static void read_gpu(const char *line, struct gpu *gpu)
{
    uint32_t discrete, ask, fp16, dot;
    *gpu = (struct gpu){ 0 };
    struct rt_facts *f = &gpu->facts;
    const int n =
        sscanf(line,
               "%31[^\t]\t%255[^\t]\t%u\t%u\t%x\t%u\t%u\t%u\t%u\t%u\t%u\t%" SCNu64
               "\t%" SCNu64 "\t%u\t%u\t%63s\t%63s\t%31s\t%u",
               gpu->id, f->device_name, &f->driver_id, &discrete, &f->vendor_id,
               &f->subgroup_size, &f->subgroup_min, &f->subgroup_max, &ask, &f->lanes_max,
               &f->shared_bytes, &f->storage_range_max, &f->texel_count_max, &fp16, &dot,
               gpu->fragments, gpu->typed, gpu->units, &gpu->int8);
    assert_int_equal(n, 19);
    f->discrete = discrete, f->subgroup_asked = ask, f->fp16 = fp16;
    f->int_dot_signed = dot;
    /* Of all 43. */
    f->int_dot = f->memory_model = f->subgroup_full = f->subgroup_vote = true;
    f->api_version = VK_API_VERSION_1_3;
    read_fragments(gpu);
}

/* "16x16x16@32+" as gpus.tsv has it. */
static void print_units(const struct rt_plan *plan, char *text, size_t size)
{
    const struct rt_fragment *f = &plan->fragment;
    if (plan->products != RT_PRODUCTS_F16)
        snprintf(text, size, "-");
    else
        snprintf(text, size, "%ux%ux%u@%u%s", f->rows, f->outputs, f->inputs,
                 plan->subgroup_size, plan->subgroup_ask ? "+" : "");
}

static void check_gpu(const struct gpu *gpu)
{
    char units[64];
    const char *lack;
    struct rt_plan plan;
    struct rt_device_info info = { .facts = gpu->facts };
    const struct rt_plan_options f16 = { .products = RT_PRODUCTS_F16 };
    const struct rt_facts *f = &gpu->facts;
    rt_plan_make(f, &f16, &plan);
    print_units(&plan, units, sizeof units);
    assert_string_equal(units, gpu->units);
    assert_int_equal(rt_plan_products_there(f, RT_PRODUCTS_INT8, &lack), gpu->int8);
    assert_int_equal(plan.dots, gpu->int8); /* of folders that are W8A8, unasked */
    assert_int_equal(plan.family, RT_FAMILY_TILED);
    assert_int_equal(plan.rounded, plan.products);
    assert_int_equal(plan.path, RT_PATH_STORAGE);
    assert_int_equal(plan.kv, RT_KV_F16);
    assert_int_equal(plan.lanes, 64);
    assert_int_equal(plan.quirks, 0);
    assert_int_equal(plan.loop_rounds_max, 0);
    assert_int_equal(plan.decode_rows, 0);
    const bool adreno = f->vendor_id == 0x5143;
    const bool gcn = f->vendor_id == 0x1002 && f->subgroup_min == f->subgroup_max;
    assert_int_equal(plan.loads_most, adreno ? 2 : 0);
    assert_int_equal(plan.takes_most, adreno ? 2 : gcn ? 4 : 0);
    assert_false(plan.wide_weights);
    assert_true(plan.binding_bytes_max == f->storage_range_max);
    vk_device_names(&info, 1);
    assert_string_equal(info.name, gpu->typed);
}

static void gpus_get_their_plans(void **state)
{
    (void)state;
    char path[1024], line[512];
    uint32_t count = 0;
    FILE *file = fopen(test_path(path, sizeof path, "tests/unit/gpus.tsv"), "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        struct gpu gpu;
        if (line[0] == '#')
            continue;
        read_gpu(line, &gpu);
        printf("    %-22s %s\n", gpu.id, gpu.units);
        check_gpu(&gpu);
        count++;
    }
    fclose(file);
    assert_int_equal(count, 43);
}

/* Why a device has no rounded products, each lack by itself. */
static void a_lack_is_named(void **state)
{
    (void)state;
    struct rt_facts whole = rows[3].facts; /* a GPU */
    whole.fragments = 1;
    whole.fragment[0] = (struct rt_fragment){ .rows = 16, .outputs = 16, .inputs = 16 };
    whole.fp16 = whole.memory_model = whole.int_dot = whole.int_dot_signed = true;
    whole.subgroup_full = true;
    whole.subgroup_min = whole.subgroup_max = 32;
    struct rt_facts lacks[9];
    const char *const words[9] = { NULL,
                                   "cooperative matrices",
                                   "arithmetic of halves",
                                   "Vulkan memory model",
                                   "known size",
                                   "known size",
                                   "known size",
                                   "shape",
                                   "shared memory" };
    for (size_t i = 0; i < RT_COUNT(lacks); i++)
        lacks[i] = whole;
    lacks[1].fragments = 0;
    lacks[2].fp16 = false;
    lacks[3].memory_model = false;
    lacks[4].subgroup_full = false;                    /* no subgroup control */
    lacks[5].subgroup_min = lacks[5].subgroup_max = 0; /* nor sizes */
    lacks[6].subgroup_min = 8; /* several, and none can be asked */
    lacks[7].fragment[0].rows = 12;
    lacks[8].shared_bytes = 16384;
    for (size_t i = 0; i < RT_COUNT(lacks); i++) {
        const char *lack = NULL;
        const bool there = rt_plan_products_there(&lacks[i], RT_PRODUCTS_F16, &lack);
        assert_int_equal(there, i == 0);
        if (i > 0 && !strstr(lack, words[i]))
            fail_msg("lack %zu is told as '%s'", i, lack);
    }
    const char *lack = NULL;
    struct rt_facts emulated = whole;
    emulated.int_dot_signed = false;
    assert_false(rt_plan_products_there(&emulated, RT_PRODUCTS_INT8, &lack));
    assert_non_null(strstr(lack, "emulates"));
    emulated.software = true; /* emulates all it does: may be asked, for tests */
    assert_true(rt_plan_products_there(&emulated, RT_PRODUCTS_INT8, &lack));
}

static const char *how_summed(const struct rt_facts *facts, enum rt_products products)
{
    struct rt_plan plan = { 0 };
    const struct rt_plan_options options = { .products = products };
    if (facts->api_version != 0)
        rt_plan_make(facts, &options, &plan);
    return rt_plan_whole_numbers(facts, &plan);
}

/* "ref" has no facts; a device always has a version. */
static void how_whole_numbers_are_summed(void **state)
{
    (void)state;
    static const char dots[] = "multiplied by integer dot products";
    struct rt_facts facts = { .api_version = 0 };
    assert_string_equal(how_summed(&facts, RT_PRODUCTS_F32), "computed in whole numbers");
    facts = rows[3].facts;
    facts.api_version = 1;
    facts.int_dot = facts.int_dot_signed = false;
    assert_non_null(
        strstr(how_summed(&facts, RT_PRODUCTS_F32), "no integer dot products"));
    facts.int_dot = true;
    assert_non_null(strstr(how_summed(&facts, RT_PRODUCTS_F32), "the driver emulates"));
    facts.software = true; /* emulates all it does: may be asked, for tests */
    assert_non_null(strstr(how_summed(&facts, RT_PRODUCTS_F32), "the driver emulates"));
    assert_string_equal(how_summed(&facts, RT_PRODUCTS_INT8), dots);
    facts.software = false;
    facts.int_dot_signed = true;
    assert_string_equal(how_summed(&facts, RT_PRODUCTS_F32), dots);
}

/* Left to itself, a GPU with matrix units rounds what its role allows, and nothing else. */
static void roles_choose_products(void **state)
{
    (void)state;
    struct rt_plan plan;
    struct rt_facts facts = rows[3].facts; /* a GPU */
    const struct rt_plan_options options = { .products = RT_PRODUCTS_AUTO };
    rt_plan_make(&facts, &options, &plan);
    assert_int_equal(plan.products, RT_PRODUCTS_F32);
    assert_int_equal(plan.rounded, RT_PRODUCTS_F32);
    assert_int_equal(plan.subgroup_size, 0);
    facts.fragments = 1;
    facts.fragment[0] = (struct rt_fragment){ .rows = 16, .outputs = 16, .inputs = 16 };
    facts.fp16 = facts.memory_model = facts.subgroup_full = true;
    facts.subgroup_min = facts.subgroup_max = 32;
    rt_plan_make(&facts, &options, &plan);
    assert_int_equal(plan.products, RT_PRODUCTS_F32);
    assert_int_equal(plan.rounded, RT_PRODUCTS_F16);
    assert_int_equal(plan.subgroup_size, 32);
    const struct matmul_push judged = { .flags = MATMUL_BIAS };
    const struct matmul_push prompt = { .flags = MATMUL_BIAS | RT_MATMUL_MAY_ROUND };
    assert_int_equal(vk_matmul_products(&plan, &judged), RT_PRODUCTS_F32);
    assert_int_equal(vk_matmul_products(&plan, &prompt), RT_PRODUCTS_F16);
    facts.software = true;
    rt_plan_make(&facts, &options, &plan);
    assert_int_equal(plan.rounded, RT_PRODUCTS_F32);
    const struct rt_plan_options asked = { .products = RT_PRODUCTS_F16 };
    rt_plan_make(&facts, &asked, &plan);
    assert_int_equal(plan.products, RT_PRODUCTS_F16);
    assert_int_equal(vk_matmul_products(&plan, &judged), RT_PRODUCTS_F16);
    assert_int_equal(vk_matmul_products(&plan, &prompt), RT_PRODUCTS_F16);
}

/* A weight is one buffer in one allocation: the smaller of both limits holds. */
static void an_allocation_limits_a_binding(void **state)
{
    (void)state;
    struct rt_plan plan;
    struct rt_facts facts = rows[3].facts;
    const struct rt_plan_options options = { .family = RT_FAMILY_AUTO };
    facts.allocation_max = 134217728;
    rt_plan_make(&facts, &options, &plan);
    assert_true(plan.binding_bytes_max == 134217728);
    facts.allocation_max = UINT64_MAX;
    rt_plan_make(&facts, &options, &plan);
    assert_true(plan.binding_bytes_max == facts.storage_range_max);
}

/* What a driver lists and then refuses when a device is made. */
static void a_refused_feature_is_no_device(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    test_ctx(&ctx);
    struct vk_device dev = { .base = { .ctx = &ctx, .info = { .name = "gpu-0:liar" } } };
    const VkResult results[] = { VK_ERROR_FEATURE_NOT_PRESENT,
                                 VK_ERROR_EXTENSION_NOT_PRESENT };
    for (size_t i = 0; i < RT_COUNT(results); i++) {
        assert_int_equal(vk_check(&dev, results[i], "vkCreateDevice(dev->physical)"),
                         RT_ERR_NO_DEVICE);
        assert_non_null(strstr(ctx.message, "gpu-0:liar"));
        assert_non_null(strstr(ctx.message, "refuses it in vkCreateDevice;"));
        assert_non_null(strstr(ctx.message, "--products f32"));
    }
}

static void a_forced_family_is_taken(void **state)
{
    (void)state;
    for (int f = RT_FAMILY_LANES; f < RT_FAMILY_COUNT; f++) {
        struct rt_plan plan;
        const struct rt_plan_options options = { .family = (enum rt_family)f };
        rt_plan_make(&rows[0].facts, &options, &plan);
        assert_int_equal(plan.family, f);
        assert_int_equal(plan.wide_weights, f == RT_FAMILY_LANES);
    }
}

/* llvmpipe ends loops of an invocation after 65,535 rounds. */
static void sequences_are_as_long_as_loops_reach(void **state)
{
    (void)state;
    struct rt_plan plan;
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        const struct rt_plan_options options = { .family = RT_FAMILY_AUTO };
        rt_plan_make(&rows[i].facts, &options, &plan);
        const bool ends = rows[i].facts.driver_id == 13;
        assert_int_equal(plan.loop_rounds_max, ends ? 65535 : 0);
        const uint32_t keys = plan.path == RT_PATH_TEXEL_BROADCAST ? 65407 : 523256;
        assert_int_equal(rt_plan_keys_max(&plan), ends ? keys : UINT32_MAX);
        assert_int_equal(rt_plan_gradient_rows_max(&plan, 1), ends ? 65405 : UINT32_MAX);
        assert_int_equal(rt_plan_gradient_rows_max(&plan, 7), ends ? 9341 : UINT32_MAX);
    }
    const struct rt_plan_options tiled = { .family = RT_FAMILY_TILED };
    rt_plan_make(&rows[0].facts, &tiled, &plan);
    assert_int_equal(rt_plan_keys_max(&plan), 10901);
    assert_int_equal(rt_plan_gradient_rows_max(&plan, 7), 1555);
}

static void a_plan_prints_as_json(void **state)
{
    (void)state;
    char text[512];
    struct rt_plan plan;
    const struct rt_plan_options options = { .family = RT_FAMILY_AUTO };
    rt_plan_make(&rows[0].facts, &options, &plan);
    assert_true(rt_plan_print(&plan, text, sizeof text) == strlen(text));
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "family")), "lanes");
    const json_t *quirks = json_object_get(json, "quirks");
    assert_int_equal(json_array_size(quirks), RT_QUIRK_COUNT);
    for (size_t i = 0; i < RT_QUIRK_COUNT; i++)
        assert_string_equal(json_string_value(json_array_get(quirks, i)),
                            rt_quirk_table[i].name);
    json_decref(json);
    assert_true(rt_plan_print(&plan, text, 10) > 10 && strlen(text) == 9);
}

/* Two plans that differ in one field are printed differently: the text stands for the plan
 * in the id of an environment. */
static void every_field_of_a_plan_is_printed(void **state)
{
    (void)state;
    char text[17][512];
    struct rt_plan plan[17];
    const struct rt_plan_options options = { .family = RT_FAMILY_AUTO };
    for (size_t i = 0; i < RT_COUNT(plan); i++)
        rt_plan_make(&rows[0].facts, &options, &plan[i]);
    plan[1].family = RT_FAMILY_TILED;
    plan[2].products = RT_PRODUCTS_INT8;
    plan[3].kv = RT_KV_F16;
    plan[4].path = RT_PATH_STORAGE;
    plan[5].lanes++;
    plan[6].broadcast++;
    plan[7].binding_bytes_max++;
    plan[8].texel_bytes_max++;
    plan[9].wide_weights = !plan[9].wide_weights;
    plan[10].decode_rows++;
    plan[11].submit_flops_max++;
    plan[12].quirks ^= 1u << RT_QUIRK_slow_storage_loads;
    plan[13].loop_rounds_max++;
    plan[14].rounded = RT_PRODUCTS_F16;
    plan[15].loads_most = 2;
    plan[16].takes_most = 2;
    for (size_t i = 0; i < RT_COUNT(plan); i++) {
        assert_true(rt_plan_print(&plan[i], text[i], sizeof text[i]) < sizeof text[i]);
        for (size_t j = 0; j < i; j++)
            if (strcmp(text[i], text[j]) == 0)
                fail_msg("plans %zu and %zu are both %s", i, j, text[i]);
    }
}

/* Vulkan devices have kernels for heads of multiples of 4 up to HEAD_MAX, "ref" needs none. */
static void head_sizes_are_served(void **state)
{
    (void)state;
    static const struct {
        uint32_t size;
        bool vulkan;
    } heads[] = { { 0, false },  { 4, true },    { 8, true },   { 10, false },
                  { 72, true },  { 100, true },  { 128, true }, { 254, false },
                  { 256, true }, { 260, false }, { 512, false } };
    const struct rt_device_info vulkan = { .backend = &vk_backend };
    const struct rt_device_info ref = { .backend = &ref_backend };
    for (size_t i = 0; i < RT_COUNT(heads); i++) {
        assert_int_equal(rt_device_serves_head(&vulkan, heads[i].size), heads[i].vulkan);
        assert_true(rt_device_serves_head(&ref, heads[i].size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_device_gets_its_plan),
        cmocka_unit_test(tiles_need_what_their_kernels_use),
        cmocka_unit_test(values_go_round_where_the_device_can),
        cmocka_unit_test(fragments_are_for_products_in_f16),
        cmocka_unit_test(gpus_get_their_plans),
        cmocka_unit_test(a_lack_is_named),
        cmocka_unit_test(how_whole_numbers_are_summed),
        cmocka_unit_test(roles_choose_products),
        cmocka_unit_test(an_allocation_limits_a_binding),
        cmocka_unit_test(a_refused_feature_is_no_device),
        cmocka_unit_test(a_forced_family_is_taken),
        cmocka_unit_test(sequences_are_as_long_as_loops_reach),
        cmocka_unit_test(a_plan_prints_as_json),
        cmocka_unit_test(every_field_of_a_plan_is_printed),
        cmocka_unit_test(head_sizes_are_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
