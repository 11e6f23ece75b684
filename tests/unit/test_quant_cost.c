/* What quantizing will take: AWQ's own ranges are counted where it searches them, those of
 * --search where they take their place. */
#include "runtime/quant/awq.h"
#include "runtime/quant/cost.h"
#include "runtime/quant/gptq.h"
#include "runtime/quant/grid.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct quant_cost cost_of(const char *name, uint32_t group, bool search)
{
    struct rt_ctx ctx = { 0 };
    struct quant_cost cost;
    char path[1024];
    const struct quant_options o = { .method = quant_method_find(name),
                                     .bits = 2,
                                     .group = group,
                                     .asymmetric = true,
                                     .search = search };
    assert_non_null(o.method);
    if (quant_cost_of(&ctx, test_path(path, sizeof path, "pipeline/demo"), &o, 1000, 512,
                      true, &cost) != RT_OK)
        fail_msg("%s: %s", name, ctx.message);
    return cost;
}

/* Rows of a matrix, as often as each is tried, over a layer of the demo model. */
static double tried_of(double drafts, double rows)
{
    static const struct {
        double out, in, count;
    } shapes[] = {
        { 128, 128, 2 }, { 64, 128, 2 }, { 384, 128, 2 }, { 128, 384, 1 }
    }; /* q and o; k and v; gate and up; down */
    double sum = 0;
    for (size_t i = 0; i < RT_COUNT(shapes); i++) {
        const double out = shapes[i].out;
        const double taken = out < QUANT_AWQ_ROWS ? out : QUANT_AWQ_ROWS;
        sum += shapes[i].count * shapes[i].in *
               ((1 + QUANT_AWQ_RATIOS) * taken * drafts + out * rows);
    }
    return 4 * sum;
}

static void ranges_that_are_searched_are_counted(void **state)
{
    (void)state;
    const struct quant_cost rtn = cost_of("rtn", 32, false);
    const struct quant_cost rtn_search = cost_of("rtn", 32, true);
    const struct quant_cost gptq_search = cost_of("gptq", 32, true);
    const struct quant_cost awq = cost_of("awq", 32, false);
    const struct quant_cost awq_wide = cost_of("awq", 128, false);
    const struct quant_cost search = cost_of("awq", 32, true);
    const struct quant_cost search_wide = cost_of("awq", 128, true);
    assert_true(rtn.tried == 0);
    assert_true(rtn_search.tried == tried_of(0, QUANT_SHRINKS));
    assert_true(gptq_search.tried == rtn_search.tried);
    assert_true(awq.tried == tried_of(QUANT_AWQ_CUTS, QUANT_AWQ_SWEEPS * QUANT_AWQ_ENDS *
                                                          QUANT_AWQ_ENDS));
    assert_true(search.tried == tried_of(QUANT_SHRINKS, QUANT_SHRINKS));
    /* Products of AWQ's ranges grow with the group; the other search has none. */
    assert_true(awq_wide.method_flops > awq.method_flops);
    assert_true(search_wide.method_flops == search.method_flops);
    assert_true(search.method_flops < awq.method_flops);
}

/* A device that rounds columns takes their FLOPs off the host, and memory. */
static void columns_of_a_device_are_counted(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct quant_cost host, device;
    char path[1024];
    const char *model = test_path(path, sizeof path, "pipeline/demo");
    const struct quant_options o = { .bits = 3,
                                     .group = 32,
                                     .method = quant_method_find("gptq") };
    assert_int_equal(quant_cost_of(&ctx, model, &o, 1000, 512, true, &host), RT_OK);
    assert_int_equal(quant_cost_of(&ctx, model, &o, 1000, 512, false, &device), RT_OK);
    assert_true(host.columns_flops == 0 && host.columns_bytes == 0);
    assert_true(device.columns_bytes > 0 && device.columns_flops > 0);
    /* Columns, and the error of rounding to nearest, 1.13 of the same. */
    const double moved = (host.method_flops - device.method_flops) / device.columns_flops;
    assert_true(moved >= 0.999 * 2.13 / 2 && moved <= 1.001 * 2.13 / 2);
    assert_true(quant_gptq_rows(3584, 18944, 128u << 20) % 64 == 0);
    assert_true(quant_gptq_rows(3584, 18944, 128u << 20) * 18944ull * 4 <= 128u << 20);
    assert_int_equal(quant_gptq_rows(100, 128, UINT64_MAX), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_that_are_searched_are_counted),
        cmocka_unit_test(columns_of_a_device_are_counted),
    };
    return cmocka_run_group_tests_name("costs of quantizing", tests, NULL, NULL);
}
