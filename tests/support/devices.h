/* tests/support/devices.h
 * The devices every device test runs on: the CPU twins, and each software Vulkan device
 * that is installed, once for each kernel family. FAULTLINE_TEST_DEVICES (a comma list
 * of parts of names) narrows the choice. */
#ifndef TESTS_SUPPORT_DEVICES_H
#define TESTS_SUPPORT_DEVICES_H

#include "runtime/device/device.h"

struct test_device {
    char device[64]; /* name for rt_device_create */
    char name[80];   /* device and family, for messages */
    enum rt_family family;
    enum rt_kv kv; /* auto: f32, what goldens are of */
};

/* Fills `out` (at most `max`); ref comes last. Points the Vulkan loader at lavapipe and
 * SwiftShader where both are installed and nothing else was asked for. */
uint32_t test_devices(struct test_device *out, uint32_t max);
/* The first of them that is not ref; false: there is none. */
bool test_device_vulkan(struct test_device *out);
/* A context that prints warnings and errors. A message of the validation layer makes the
 * next wait fail, and the whole program when it ends. */
void test_ctx(struct rt_ctx *ctx);
/* Opens one, with the validation layer on. Prints and fails the test if it cannot. A
 * context without a log gets that of test_ctx. */
struct rt_device *test_device_open(struct rt_ctx *ctx, const struct test_device *device);
/* A buffer of the device with these bytes; fails the test if it cannot be. */
struct rt_buffer *test_upload(struct rt_device *dev, const void *data, uint64_t size);
/* Path of a file of the source tree. Files below tests/golden are taken from the folder
 * FAULTLINE_TEST_GOLDEN where that is set (make_golden.py --seed N --out FOLDER). */
const char *test_path(char *buffer, size_t size, const char *relative);
/* Reads `count` floats of a raw file; fails the test if it is shorter. */
float *test_floats(const char *path, size_t count);
/* Largest absolute difference; NaN counts as infinite. */
double test_max_difference(const float *a, const float *b, size_t count);

/* Tiled kernels on SwiftShader: a token of the demo model takes 0.1 CPU seconds at batch 1.
 * Tests that would take minutes there do less. */
bool test_device_is_slow(const struct test_device *device);
/* SwiftShader: it takes up to a second of CPU time to compile a product. */
bool test_device_compiles_slowly(const struct test_device *device);

#endif
