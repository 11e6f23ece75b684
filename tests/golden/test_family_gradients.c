/* Gradients of every family's model, seen from outside (tests/support/slopes.h). The loss
 * is of the forward pass that test_logits.c holds to the goldens, so no golden gradient
 * is needed. */
#include "tests/support/devices.h"
#include "tests/support/slopes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

static const double TOLERANCE = 2e-3; /* measured: 3.4e-4, of curvature and rounding */

static const char *const models[] = { "qwen3-tiny", "llama-tiny", "llama-tiny-linear",
                                      "qwen2-tiny-rtn4-ct" };

static void run_model(struct rt_device *dev, const char *device, const char *name)
{
    char path[1024], relative[128];
    struct rt_model *model = NULL;
    double kinds[FMT_MODULE_COUNT];
    snprintf(relative, sizeof relative, "tests/golden/models/%s", name);
    if (rt_model_load(dev, test_path(path, sizeof path, relative), 64, &model) != RT_OK)
        fail_msg("%s: %s", device, rt_device_ctx(dev)->message);
    const double worst = test_worst_slope(model, kinds);
    printf("    %-26s %-20s worst |slope - 1| %.2e\n", device, name, worst);
    for (int kind = 0; kind < FMT_MODULE_COUNT && !(worst <= TOLERANCE); kind++)
        printf("        %-18s %g\n", fmt_module_path[kind], kinds[kind]);
    assert_true(worst <= TOLERANCE);
    rt_model_destroy(&model);
}

static void the_loss_follows_the_gradient_of_every_kind(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    assert_true(n > 0);
    for (uint32_t i = 0; i < n; i++) {
        struct rt_ctx ctx;
        test_ctx(&ctx);
        struct rt_device *dev = test_device_open(&ctx, &devices[i]);
        for (size_t k = 0; k < RT_COUNT(models); k++)
            run_model(dev, devices[i].name, models[k]);
        assert_int_equal(rt_device_validation_count(dev), 0);
        rt_device_destroy(&dev);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        the_loss_follows_the_gradient_of_every_kind) };
    return cmocka_run_group_tests_name("family gradients", tests, NULL, NULL);
}
