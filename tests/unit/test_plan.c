/* What is decided for a device, from facts alone: rows copied from the reports of real
 * devices and drivers, and the least that Vulkan allows. */
#include "runtime/device/device_impl.h"
#include "runtime/device/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

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
        .shared_bytes = 32768,
        .lanes_max = 1024,
        .storage_range_max = 134217728,
        .texel_count_max = 134217728 },
      RT_FAMILY_LANES,
      RT_PATH_TEXEL,
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
    facts.coop_rows = 16, facts.coop_outputs = 8, facts.coop_inputs = 4;
    facts.fp16 = facts.memory_model = facts.subgroup_fixed = facts.int_dot = true;
    for (int products = 0; products < RT_PRODUCTS_COUNT; products++) {
        struct rt_plan plan;
        const struct rt_plan_options options = { .products = (enum rt_products)products };
        const uint32_t there = products == RT_PRODUCTS_F16;
        rt_plan_make(&facts, &options, &plan);
        assert_int_equal(plan.products, products);
        assert_int_equal(plan.fragment_rows, 16 * there);
        assert_int_equal(plan.fragment_outputs, 8 * there);
        assert_int_equal(plan.fragment_inputs, 4 * there);
        assert_int_equal(plan.subgroup_size, 64 * there);
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
        assert_int_equal(rt_plan_keys_max(&plan), ends ? 523256 : UINT32_MAX);
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
    assert_int_equal(json_array_size(quirks), 1);
    assert_string_equal(json_string_value(json_array_get(quirks, 0)),
                        rt_quirk_table[RT_QUIRK_slow_storage_loads].name);
    json_decref(json);
    assert_true(rt_plan_print(&plan, text, 10) > 10 && strlen(text) == 9);
}

/* Two plans that differ in one field are printed differently: the text stands for the plan
 * in the id of an environment. */
static void every_field_of_a_plan_is_printed(void **state)
{
    (void)state;
    char text[14][512];
    struct rt_plan plan[14];
    const struct rt_plan_options options = { .family = RT_FAMILY_AUTO };
    for (size_t i = 0; i < RT_COUNT(plan); i++)
        rt_plan_make(&rows[0].facts, &options, &plan[i]);
    plan[1].family = RT_FAMILY_TILED;
    plan[2].products = RT_PRODUCTS_INT8;
    plan[3].kv = RT_KV_F16;
    plan[4].path = RT_PATH_TEXEL_BROADCAST;
    plan[5].lanes++;
    plan[6].broadcast++;
    plan[7].binding_bytes_max++;
    plan[8].texel_bytes_max++;
    plan[9].wide_weights = !plan[9].wide_weights;
    plan[10].decode_rows++;
    plan[11].submit_flops_max++;
    plan[12].quirks ^= 1u << RT_QUIRK_slow_storage_loads;
    plan[13].loop_rounds_max++;
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
        cmocka_unit_test(values_go_round_where_the_device_can),
        cmocka_unit_test(fragments_are_for_products_in_f16),
        cmocka_unit_test(a_forced_family_is_taken),
        cmocka_unit_test(sequences_are_as_long_as_loops_reach),
        cmocka_unit_test(a_plan_prints_as_json),
        cmocka_unit_test(every_field_of_a_plan_is_printed),
        cmocka_unit_test(head_sizes_are_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
