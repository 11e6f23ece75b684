/* GPTQ against a reference in float64 that inverts the Hessian as the paper does
 * (make_gptq.py): codes and output error of 78 matrices of 2, 3, 4 and 8 bits, on the host
 * and on every device; what the method does where a moment says nothing; how a search and
 * calibration order the methods. */
#include "runtime/quant/gptq.h"
#include "runtime/quant/rtn.h"
#include "tests/support/calibrated.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES_MAX = 16 };

static uint32_t number(const json_t *c, const char *key)
{
    return (uint32_t)json_integer_value(json_object_get(c, key));
}

/* The error of rounding to nearest that comes with the codes. */
static void expect_nearest(const struct quant_options *o, struct test_calibrated *e)
{
    struct rt_ctx ctx = { 0 };
    double wanted;
    const double nearest = e->codes.nearest;
    assert_int_equal(quant_rtn(&ctx, o, &e->matrix[0], &e->codes), RT_OK);
    assert_int_equal(quant_objective(&ctx, o, &e->matrix[0], &e->codes, &wanted), RT_OK);
    if (!(fabs(nearest - wanted) <= 1e-4 * wanted))
        fail_msg("rounding to nearest: output error %.9g, the device has %.9g", wanted,
                 nearest);
}

static void expect_case(struct rt_ctx *ctx, struct rt_device *dev,
                        struct test_calibrated *e, const json_t *c,
                        const uint8_t *expected, uint64_t *equal)
{
    double objective;
    const struct quant_options o = {
        .bits = number(c, "bits"),
        .group = number(c, "group"),
        .asymmetric = json_is_true(json_object_get(c, "asym")),
        .search = json_is_true(json_object_get(c, "search")),
        .natural_order =
            strcmp(json_string_value(json_object_get(c, "order")), "natural") == 0,
        .device = dev,
    };
    assert_int_equal(quant_gptq(ctx, &o, &e->matrix[0], &e->codes), RT_OK);
    assert_int_equal(quant_objective(ctx, &o, &e->matrix[0], &e->codes, &objective),
                     RT_OK);
    if (!(fabs(e->codes.objective - objective) <= 1e-4 * objective))
        fail_msg("%u bits, group %u: output error %.9g, by its own sums %.9g", o.bits,
                 o.group, objective, e->codes.objective);
    for (size_t i = 0; i < (size_t)e->out[0] * e->in; i++)
        *equal += e->codes.codes[i] == expected[i];
    if (dev)
        expect_nearest(&o, e);
    const double wanted = json_real_value(json_object_get(c, "objective"));
    if (!(fabs(objective - wanted) <= 1e-4 * wanted))
        fail_msg("%u bits, group %u%s: output error %.9g, the reference has %.9g", o.bits,
                 o.group, o.asymmetric ? ", asymmetric" : "", objective, wanted);
}

/* dev NULL: on the host. */
static void expect_reference(struct rt_ctx *ctx, struct rt_device *dev)
{
    char path[1024];
    size_t size, at = 0;
    uint64_t equal[9] = { 0 }, all[9] = { 0 }; /* by bits */
    struct test_calibrated e = { 0 };
    json_t *cases = json_load_file(
        test_path(path, sizeof path, "tests/golden/quant/gptq.json"), 0, NULL);
    uint8_t *codes = (uint8_t *)test_file_read(
        test_path(path, sizeof path, "tests/golden/quant/gptq.codes"), &size);
    assert_int_equal(json_array_size(cases), 78);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        if (e.in != number(c, "in")) {
            test_calibrated_deinit(&e);
            const uint32_t out = number(c, "out");
            test_calibrated_init(&e, &out, 1, number(c, "in"), number(c, "tokens"));
        }
        assert_true(at + (size_t)e.out[0] * e.in <= size);
        const uint32_t bits = number(c, "bits");
        assert_true(bits <= 8);
        expect_case(ctx, dev, &e, c, codes + at, &equal[bits]);
        all[bits] += (size_t)e.out[0] * e.in;
        at += (size_t)e.out[0] * e.in;
    }
    assert_int_equal(at, size);
    for (uint32_t bits = 2; bits <= 8; bits += bits < 4 ? 1 : 4) {
        printf("    %u bits: %llu of %llu codes equal\n", bits,
               (unsigned long long)equal[bits], (unsigned long long)all[bits]);
        assert_true(all[bits] > 0);
        assert_true((double)equal[bits] >= 0.999 * (double)all[bits]);
    }
    test_calibrated_deinit(&e);
    json_decref(cases);
    free(codes);
}

static void codes_equal_the_reference(void **state)
{
    struct rt_ctx ctx = { 0 };
    (void)state;
    expect_reference(&ctx, NULL);
}

static void each_device_equals_the_reference(void **state)
{
    struct test_device devices[DEVICES_MAX];
    const uint32_t count = test_devices(devices, DEVICES_MAX);
    (void)state;
    assert_true(count > 0);
    for (uint32_t i = 0; i < count; i++) {
        struct rt_ctx ctx = { 0 };
        struct rt_device *dev = test_device_open(&ctx, &devices[i]);
        printf("    %s\n", devices[i].name);
        expect_reference(&ctx, dev);
        rt_device_destroy(&dev);
    }
}

/* Rows in several parts, columns in several parts of a product, and twice the same. */
static void devices_repeat_themselves(void **state)
{
    struct test_device device;
    struct rt_ctx ctx = { 0 };
    struct test_calibrated e;
    (void)state;
    if (!test_device_vulkan(&device))
        skip();
    test_calibrated_init(&e, &(const uint32_t){ 70 }, 1, 1344, 1500);
    const size_t count = (size_t)e.out[0] * e.in;
    struct rt_device *dev = test_device_open(&ctx, &device);
    struct quant_options o = { .bits = 3, .group = 128, .asymmetric = true };
    uint8_t *host = malloc(count), *first = malloc(count);
    assert_true(host && first);
    assert_int_equal(quant_gptq(&ctx, &o, &e.matrix[0], &e.codes), RT_OK);
    const double objective = e.codes.objective;
    memcpy(host, e.codes.codes, count);
    o.device = dev;
    assert_int_equal(quant_gptq(&ctx, &o, &e.matrix[0], &e.codes), RT_OK);
    memcpy(first, e.codes.codes, count);
    assert_true(fabs(e.codes.objective - objective) <= 1e-3 * objective);
    assert_int_equal(quant_gptq(&ctx, &o, &e.matrix[0], &e.codes), RT_OK);
    assert_memory_equal(first, e.codes.codes, count);
    size_t equal = 0;
    for (size_t i = 0; i < count; i++)
        equal += host[i] == first[i];
    printf("    %zu of %zu codes are the host's\n", equal, count);
    assert_true((double)equal >= 0.99 * (double)count);
    free(host);
    free(first);
    rt_device_destroy(&dev);
    test_calibrated_deinit(&e);
}

static double objective_of(struct test_calibrated *e, struct quant_options o,
                           const char *method)
{
    struct rt_ctx ctx = { 0 };
    double objective;
    const struct quant_method *m = quant_method_find(method);
    assert_int_equal(m->quantize(&ctx, &o, &e->matrix[0], &e->codes), RT_OK);
    assert_int_equal(quant_objective(&ctx, &o, &e->matrix[0], &e->codes, &objective),
                     RT_OK);
    return objective;
}

/* Each step loses less than the one before it, on every grid. */
static void better_methods_lose_less(void **state)
{
    (void)state;
    struct test_calibrated e;
    test_calibrated_init(&e, &(const uint32_t){ 64 }, 1, 256, 900);
    for (uint32_t bits = 2; bits <= 4; bits++)
        for (uint32_t group = 0; group <= 64; group += 32)
            for (int asymmetric = 0; asymmetric < 2; asymmetric++) {
                const struct quant_options o = { .bits = bits,
                                                 .group = group,
                                                 .asymmetric = asymmetric };
                struct quant_options searched = o;
                searched.search = true;
                const double rtn = objective_of(&e, o, "rtn");
                const double gptq = objective_of(&e, o, "gptq");
                const double both = objective_of(&e, searched, "gptq");
                if (!(gptq < rtn && both < rtn))
                    fail_msg("%u bits, group %u: rtn %.4g, gptq %.4g, searched %.4g",
                             bits, group, rtn, gptq, both);
            }
    test_calibrated_deinit(&e);
}

/* Inputs that are always zero, and inputs that are all alike. */
static void moments_that_say_nothing(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct test_calibrated e;
    const struct quant_options o = { .bits = 4, .group = 32 };
    test_calibrated_init(&e, &(const uint32_t){ 8 }, 1, 64, 4);
    const size_t square = (size_t)e.in * e.in, count = (size_t)e.out[0] * e.in;
    uint8_t *nearest = malloc(count);
    assert_non_null(nearest);
    assert_int_equal(quant_rtn(&ctx, &o, &e.matrix[0], &e.codes), RT_OK);
    memcpy(nearest, e.codes.codes, count);
    for (size_t i = 0; i < square; i++)
        e.h[i] = 0;
    assert_int_equal(quant_gptq(&ctx, &o, &e.matrix[0], &e.codes), RT_OK);
    assert_memory_equal(e.codes.codes, nearest, count);
    for (size_t i = 0; i < square; i++)
        e.h[i] = 1;
    assert_int_equal(quant_gptq(&ctx, &o, &e.matrix[0], &e.codes), RT_OK);
    e.h[65] = NAN; /* on the diagonal */
    const rt_status st = quant_gptq(&ctx, &o, &e.matrix[0], &e.codes);
    test_refused(&ctx, st, RT_ERR_INPUT, "'example'", "not finite", NULL);
    free(nearest);
    test_calibrated_deinit(&e);
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    struct test_calibrated e;
    struct rt_ctx of_device = { 0 };
    struct rt_device *ref = NULL;
    struct quant_options o = { .bits = 4, .group = 32, .search = true };
    assert_int_equal(rt_device_create(&of_device,
                                      &(const struct rt_device_options){ .name = "ref" },
                                      &ref),
                     RT_OK);
    test_calibrated_init(&e, &(const uint32_t){ 8 }, 1, 64, 70);
    for (int i = 0; i < 2; i++) {
        rt_status st = RT_ERR_HOST_MEMORY;
        o.device = i ? ref : NULL;
        for (uint64_t n = 1; st != RT_OK; n++) {
            struct rt_ctx ctx = { .alloc_fail_at = n };
            assert_true(n < 100);
            st = quant_gptq(&ctx, &o, &e.matrix[0], &e.codes);
            assert_true(st == RT_OK || st == RT_ERR_HOST_MEMORY);
        }
    }
    of_device.alloc_fail_at = of_device.alloc_count + 1; /* its own buffers and lists */
    assert_int_equal(quant_gptq(&of_device, &o, &e.matrix[0], &e.codes),
                     RT_ERR_HOST_MEMORY);
    rt_device_destroy(&ref);
    test_calibrated_deinit(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_equal_the_reference),
        cmocka_unit_test(each_device_equals_the_reference),
        cmocka_unit_test(devices_repeat_themselves),
        cmocka_unit_test(better_methods_lose_less),
        cmocka_unit_test(moments_that_say_nothing),
        cmocka_unit_test(no_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
