/* Products that round their operands (--products f16, int8): where operands need no
 * rounding they give the bits of the exact sum; else they stay within the bound that
 * the rounding allows; and a row is the same whatever is beside it, in every kernel. */
#include "runtime/ref/op_trial.h"
#include "runtime/ref/ref.h"
#include "runtime/vk/vk.h"
#include "runtime/op/weight.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OUT = 192,
    IN = 384,
    RANK = 16,
    ALL = MATMUL_LORA | MATMUL_BIAS | MATMUL_RESIDUAL
};

static const uint32_t row_counts[] = { 1, 7, 64, 70 };
static const struct {
    uint32_t bits, group, form;
} forms[] = {
    { 2, 0, 0 },
    { 2, 64, 0 },
    { 3, 128, 0 },
    { 4, 32, 0 },
    { 4, 32, RT_FORM_OFFSET },
    { 4, 32, RT_FORM_HALF },
    { 4, 32, RT_FORM_HALVES },
    { 4, 32, RT_FORM_HALF | RT_LEVELS_IQ4_NL },
    { 4, 32, RT_FORM_S32 | RT_LEVELS_IQ4_NL },
    { 4, 32, RT_FORM_E8M0 | RT_LEVELS_E2M1 },
    { 4, 32, RT_FORM_K32 },
    { 5, 32, RT_FORM_HALF },
    { 6, 128, RT_FORM_FLOAT },
    { 8, 0, 0 },
    { 8, 32, 0 },
    { 8, 32, RT_FORM_OFFSET },
    { 16, 0, 0 },
    { 32, 0, 0 },
};

static struct rt_op_case make_case(size_t form, uint32_t rows, uint32_t flags)
{
    struct rt_op_case c = {
        .op = RT_OP_matmul,
        .what = "products",
        .push.matmul = { .rows = rows,
                         .out_pad = OUT,
                         .in_pad = IN,
                         .bits = forms[form].bits,
                         .group = forms[form].group,
                         .form = forms[form].form,
                         .ldx = 512,
                         .offx = 16,
                         .ldy = 256,
                         .offy = 32,
                         .flags = flags,
                         .ldu = 128,
                         .rank = RANK,
                         .part1 = 64,
                         .part2 = 128 },
    };
    rt_op_case_make(&c);
    return c;
}

static struct rt_weight_shape shape_of(const struct matmul_push *p)
{
    return (struct rt_weight_shape){ .out = p->out_pad,
                                     .in = p->in_pad,
                                     .out_pad = p->out_pad,
                                     .in_pad = p->in_pad,
                                     .bits = p->bits,
                                     .group = p->group,
                                     .form = p->form };
}

static uint32_t word = 1;

/* A whole number in [-most, most]. */
static float whole(int most)
{
    word = word * 1664525u + 1013904223u;
    return (float)((int)(word >> 8) % (most + 1)) * (word & 64 ? 1.0f : -1.0f);
}

static void fill_whole(void *data, uint64_t bytes, int most, float unit)
{
    float *f = data;
    for (uint64_t i = 0; i < bytes / 4; i++)
        f[i] = whole(most) * unit;
}

/* Operands that are exact as halves, and as 8 bits with a scale of 1/64, whose products
 * and sums are exact in floats. */
static void make_exact(struct rt_op_trial *t)
{
    const struct matmul_push *p = &t->c.push.matmul;
    const struct rt_weight_shape s = shape_of(p);
    const struct rt_op_operand *o = t->c.operand;
    const uint32_t groups = s.group ? s.in_pad / s.group : 1;
    if (s.bits >= 16) {
        memset(t->start[0], 0, o[0].bytes);
        for (uint32_t m = 0; m < s.out_pad; m++)
            for (uint32_t k = 0; k < s.in_pad; k++) {
                const float v = whole(1) * 0.25f; /* -1/4, 0, 1/4 */
                uint32_t bits;
                memcpy(&bits, &v, sizeof bits);
                const uint32_t half = v == 0 ? 0 : 0x3400u | (v < 0 ? 0x8000u : 0);
                rt_weight_put_code(&s, t->start[0], m, k, s.bits == 16 ? half : bits);
            }
    }
    for (uint32_t m = 0; m < s.out_pad && s.bits < 16; m++)
        for (uint32_t g = 0; g < groups; g++)
            rt_weight_put_scale(&s, t->start[1], m, g, g % 2 ? 0.0625f : 0.125f,
                                s.form == RT_FORM_ZERO ? (float)(1u << (s.bits - 1))
                                                       : -0.25f * (float)(m % 5));
    fill_whole(t->start[2], o[2].bytes, 127, 1.0f / 64);
    for (uint64_t i = 0; i < o[2].bytes / 4; i += 16)
        ((float *)t->start[2])[i] = 127.0f / 64; /* the greatest of every 32 */
    fill_whole(t->start[3], o[3].bytes, 7, 0.125f);
    fill_whole(t->start[4], o[4].bytes, 7, 0.125f);
    fill_whole(t->start[5], o[5].bytes, 7, 0.125f);
    fill_whole(t->start[6], o[6].bytes, 7, 0.125f);
    for (uint32_t i = 0; i < t->bindings; i++)
        memcpy(t->twin[i], t->start[i], rt_op_trial_bytes(t, i));
    ref_matmul(p, t->twin);
}

static void run_kernel(struct rt_op_trial *t, uint32_t kernel, float **out)
{
    struct rt_device *dev = t->dev;
    struct rt_list *list = NULL;
    void *got = NULL;
    struct vk_choice choice = { .kernel = kernel };
    vk_matmul_fill((struct vk_device *)dev, t->c.op, &t->c.push, &choice);
    if (rt_op_trial_reset(t) != RT_OK || rt_list_create(dev, "test", &list) != RT_OK ||
        vk_list_choice(list, t->c.op, &t->c.push, t->slices, &choice) != RT_OK ||
        rt_list_end(list) != RT_OK || rt_submit(dev, list) != RT_OK ||
        rt_wait(dev) != RT_OK || rt_op_trial_read(t, 7, &got) != RT_OK)
        fail_msg("%s: %s", vk_kernel_table[kernel].name, rt_device_ctx(dev)->message);
    rt_list_destroy(&list);
    if (!rt_op_trial_guarded(t, 7, got))
        fail_msg("%s wrote past the end", vk_kernel_table[kernel].name);
    *out = got;
}

/* Greatest error that rounding may make of one output, and what may come on top of it. */
static double allowed(const struct rt_op_trial *t, uint32_t row, uint32_t m)
{
    const struct matmul_push *p = &t->c.push.matmul;
    const struct rt_weight_shape s = shape_of(p);
    const float *x = (const float *)t->start[2] + (size_t)row * p->ldx + p->offx;
    double size = 0, rounded = 0;
    for (uint32_t k0 = 0; k0 < p->in_pad; k0 += 32) {
        double most = 0, weights = 0;
        for (uint32_t k = k0; k < k0 + 32; k++) {
            const double w = rt_weight_value(&s, t->start[0], t->start[1], m, k);
            most = fmax(most, fabs((double)x[k]));
            weights += fabs(w);
            size += fabs(x[k] * w);
        }
        rounded += most / 127 / 2 * weights;
    }
    /* A half may be the next one below: a driver may cut. */
    return t->dev->plan.products == RT_PRODUCTS_F16 ? size / 512
                                                    : 1.001 * rounded + size * 1e-5;
}

static double check_near(const struct rt_op_trial *t, const float *got, const char *what)
{
    const struct matmul_push *p = &t->c.push.matmul;
    const float *twin = t->twin[7];
    double worst = 0;
    for (uint32_t r = 0; r < p->rows; r++)
        for (uint32_t m = 0; m < p->out_pad; m++) {
            const size_t at = (size_t)r * p->ldy + p->offy + m;
            const double most = allowed(t, r, m) + 1e-5;
            const double d = fabs((double)got[at] - twin[at]);
            if (!(d <= most))
                fail_msg("%s: row %u output %u is %g off, %g is what rounding explains",
                         what, r, m, d, most);
            worst = fmax(worst, d / most);
        }
    return worst;
}

static bool serves(const struct vk_device *dev, const struct rt_op_case *c, uint32_t k)
{
    return vk_kernel_table[k].op == RT_OP_matmul &&
           vk_kernel_table[k].products == dev->base.plan.products &&
           vk_matmul_fits(RT_OP_matmul, &c->push, k);
}

/* One form at one number of rows: every kernel. `first` holds row 0 of the
 * first of all. The number of kernels. */
static uint32_t check_rows(struct rt_device *dev, size_t form, uint32_t rows,
                           float *first, bool begun, double *worst)
{
    const struct rt_op_case c = make_case(form, rows, form % 2 ? ALL : 0);
    uint32_t tried = 0;
    for (uint32_t k = 0; k < vk_kernel_count; k++) {
        struct rt_op_trial t;
        float *got;
        char what[120];
        if (!serves((struct vk_device *)dev, &c, k))
            continue;
        snprintf(what, sizeof what, "%s, %u bits group %u form %u, %u rows",
                 vk_kernel_table[k].name, forms[form].bits, forms[form].group,
                 forms[form].form, rows);
        if (rt_op_trial_init(&t, dev, &c, 3) != RT_OK)
            fail_msg("%s", rt_device_ctx(dev)->message);
        run_kernel(&t, k, &got);
        const double used = check_near(&t, got, what);
        if (!begun && tried == 0)
            memcpy(first, got, 256 * sizeof *first);
        else if (memcmp(first + 32, got + 32, OUT * sizeof *first) != 0)
            fail_msg("%s: row 0 depends on the kernel or on the rows beside it", what);
        rt_free(got);
        if (forms[form].form < RT_FORM_HALF) {
            make_exact(&t);
            run_kernel(&t, k, &got);
            if (memcmp(got, t.twin[7], t.c.operand[7].checked) != 0)
                fail_msg("%s: exact operands do not give the exact result", what);
            rt_free(got);
        }
        rt_op_trial_deinit(&t);
        *worst = fmax(*worst, used);
        tried++;
    }
    return tried;
}

static void rounded_products(void **state)
{
    const enum rt_products products = *(const enum rt_products *)*state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    uint32_t checked = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct rt_ctx ctx;
        struct rt_device *dev = NULL;
        const struct rt_device_options options = {
            .name = devices[i].device,
            .family = devices[i].family,
            .products = products,
            .validation = getenv("FAULTLINE_TEST_NO_VALIDATION") == NULL,
        };
        if (devices[i].family != RT_FAMILY_TILED)
            continue; /* the kernels are those of both families */
        test_ctx(&ctx);
        const rt_status st = rt_device_create(&ctx, &options, &dev);
        if (st == RT_ERR_NO_DEVICE) {
            printf("    not tried: %s\n", ctx.message);
            continue;
        }
        if (st != RT_OK)
            fail_msg("%s", ctx.message);
        for (size_t f = 0; f < RT_COUNT(forms); f++) {
            float first[256];
            double worst = 0;
            for (size_t r = 0; r < RT_COUNT(row_counts); r++)
                checked += check_rows(dev, f, row_counts[r], first, r > 0, &worst);
            printf(
                "    %s: %u bits group %u form %u, %.0f %% of what rounding explains\n",
                devices[i].name, forms[f].bits, forms[f].group, forms[f].form,
                100 * worst);
        }
        rt_device_destroy(&dev);
    }
    if (checked == 0) {
        printf("    skipped: no device has them\n");
        skip();
    }
}

/* One case of whole numbers in every kernel, which give the same bits; returns how many of
 * them use integer dots. */
static uint32_t check_whole(struct rt_device *dev, const struct rt_op_case *c)
{
    struct rt_op_trial t = { 0 };
    float *first = NULL, *got = NULL;
    uint32_t dots = 0;
    if (rt_op_trial_init(&t, dev, c, 3) != RT_OK)
        fail_msg("%s", rt_device_ctx(dev)->message);
    for (uint32_t k = 0; k < vk_kernel_count; k++) {
        const struct vk_kernel_info *kernel = &vk_kernel_table[k];
        if (kernel->op != c->op || kernel->family == RT_FAMILY_LANES ||
            !vk_kernel_admitted((struct vk_device *)dev, k, &t.c.push, t.slices))
            continue;
        run_kernel(&t, k, &got);
        if (rt_op_trial_compare(&t, 7, got).used > 1)
            fail_msg("%s: %s is far from its twin", c->what, kernel->name);
        if (first && memcmp(first, got, c->operand[7].checked) != 0)
            fail_msg("%s: %s gives other bits", c->what, kernel->name);
        rt_free(first);
        first = got;
        dots += kernel->dots;
    }
    rt_free(first);
    rt_op_trial_deinit(&t);
    return dots;
}

static void dots_give_the_bits_of_emulation(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    uint32_t checked = 0, dots = 0;
    for (uint32_t k = 0; k < vk_kernel_count; k++)
        dots += vk_kernel_table[k].dots;
    for (uint32_t i = 0; i < n; i++) {
        struct rt_ctx ctx;
        struct rt_device *dev = NULL;
        struct rt_op_case c;
        const struct rt_device_options options = {
            .name = devices[i].device,
            .family = devices[i].family,
            .products = RT_PRODUCTS_INT8,
            .validation = getenv("FAULTLINE_TEST_NO_VALIDATION") == NULL,
        };
        test_ctx(&ctx);
        if (devices[i].family != RT_FAMILY_TILED ||
            rt_device_create(&ctx, &options, &dev) != RT_OK)
            continue;
        for (uint32_t k = 0; rt_op_case_get(k, &c); k++)
            if (c.op == RT_OP_matmul_w8a8 && c.push.matmul_w8a8.rows > 0) {
                assert_int_equal(check_whole(dev, &c), dots);
                checked++;
            }
        rt_device_destroy(&dev);
    }
    if (checked == 0)
        skip();
}

/* Asked for, a product is rounded at every number of rows, or not at all: else a prompt
 * and a decoded token would differ. */
static void the_choice_does_not_depend_on_rows(void **state)
{
    const enum rt_products products = *(const enum rt_products *)*state;
    struct vk_device dev = { .base.plan = { .family = RT_FAMILY_TILED,
                                            .products = products } };
    for (size_t f = 0; f < RT_COUNT(forms); f++) {
        int rounded = -1;
        for (uint32_t rows = 1; rows < 200; rows = rows * 3 + 1) {
            const struct rt_op_case c = make_case(f, rows, 0);
            int best = 0, kind = 0;
            for (uint32_t k = 0; k < vk_kernel_count; k++) {
                if (vk_kernel_table[k].op != RT_OP_matmul)
                    continue;
                const int rank = vk_matmul_rank(&dev, RT_OP_matmul, &c.push, k);
                if (rank > best) {
                    best = rank;
                    kind = (int)vk_kernel_table[k].products;
                }
            }
            assert_true(best > 0);
            if (rounded >= 0)
                assert_int_equal(kind, rounded);
            rounded = kind;
        }
        const bool served = products != RT_PRODUCTS_INT8 || forms[f].bits <= 8;
        assert_int_equal(rounded, served ? (int)products : RT_PRODUCTS_F32);
    }
}

/* A plan with integer dots never emulates them, and few rows do not take a tile that is
 * mostly empty. A plan without dots has no such kernel. */
static void few_rows_have_their_kernels(void **state)
{
    (void)state;
    static const struct {
        uint32_t rows;
        const char *with, *without;
    } expected[] = { { 1, "dots_1x8", "wide_1x64" },
                     { 4, "dots_4x8", "tiled_16x64" },
                     { 7, "dots_4x8", "tiled_16x64" },
                     { 16, "dots_16x64", "tiled_16x64" },
                     { 64, "dots_64x64", "tiled_64x64" } };
    for (size_t i = 0; i < RT_COUNT(expected); i++) {
        const struct matmul_w8a8_push push = {
            .rows = expected[i].rows, .out_pad = 896, .in_pad = 896, .form = RT_FORM_HALF
        };
        for (int dots = 0; dots < 2; dots++) {
            struct vk_device dev = { .base.plan = { .family = RT_FAMILY_TILED,
                                                    .dots = dots } };
            int best = 0;
            const char *name = "none";
            for (uint32_t k = 0; k < vk_kernel_count; k++) {
                const int rank = vk_kernel_table[k].op == RT_OP_matmul_w8a8
                                     ? vk_matmul_rank(&dev, RT_OP_matmul_w8a8, &push, k)
                                     : 0;
                if (rank > best) {
                    best = rank;
                    name = vk_kernel_table[k].name;
                }
            }
            assert_string_equal(name, dots ? expected[i].with : expected[i].without);
        }
    }
}

/* ---- whether units are right ---- */

/* The first line of the only file of the cache that is named so. */
static bool units_file(const char *folder, char *path, size_t size, char line[200])
{
    DIR *dir = opendir(folder);
    bool found = false;
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (strncmp(e->d_name, "units-", 6) == 0) {
            snprintf(path, size, "%s/%.200s", folder, e->d_name);
            found = true;
        }
    closedir(dir);
    FILE *file = found ? fopen(path, "r") : NULL;
    line[0] = '\0';
    if (file && !fgets(line, 200, file))
        line[0] = '\0';
    if (file)
        fclose(file);
    return found;
}

static void put_line(const char *path, const char *line)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(line, file);
    fclose(file);
}

/* Settles as if the plan had chosen by itself; true where prompts are still rounded. */
static bool settle(struct vk_device *dev)
{
    dev->base.plan.rounded = RT_PRODUCTS_F16;
    dev->base.plan.products = RT_PRODUCTS_F32;
    if (vk_units_settle(dev) != RT_OK)
        fail_msg("%s", dev->base.ctx->message);
    return dev->base.plan.rounded == RT_PRODUCTS_F16;
}

/* The verdict is tried for, kept, believed, and not taken from another driver's file. */
static void check_verdict(struct vk_device *dev, const char *folder)
{
    char path[300], line[200], mine[200], foreign[200];
    assert_true(settle(dev));
    assert_true(units_file(folder, path, sizeof path, mine));
    assert_non_null(strstr(mine, " right\n"));
    snprintf(line, sizeof line, "%.*swrong\n", (int)(strlen(mine) - 6), mine);
    put_line(path, line);
    assert_false(settle(dev)); /* its own file is believed */
    snprintf(foreign, sizeof foreign, "%s", line);
    char *driver = strstr(foreign, "driver ") + strlen("driver ");
    *driver = *driver == '7' ? '8' : '7';
    const char *const others[] = { foreign, "", "faultline-units", "\n" };
    for (size_t i = 0; i < RT_COUNT(others); i++) {
        put_line(path, others[i]);
        assert_true(settle(dev)); /* tried again */
        units_file(folder, path, sizeof path, line);
        assert_string_equal(line, mine);
    }
    remove(path);
}

static void units_are_judged_once(void **state)
{
    (void)state;
    char folder[] = "/tmp/faultline-units-XXXXXX";
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    uint32_t tried = 0;
    assert_non_null(mkdtemp(folder));
    for (uint32_t i = 0; i < n; i++) {
        struct rt_ctx ctx;
        struct rt_device *dev = NULL;
        const struct rt_device_options options = { .name = devices[i].device,
                                                   .family = RT_FAMILY_TILED,
                                                   .products = RT_PRODUCTS_F16 };
        test_ctx(&ctx);
        ctx.cache_dir = folder;
        if (devices[i].family != RT_FAMILY_TILED ||
            rt_device_create(&ctx, &options, &dev) != RT_OK)
            continue;
        check_verdict((struct vk_device *)dev, folder);
        rt_device_destroy(&dev);
        tried++;
    }
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    if (tried == 0)
        skip();
}

int main(void)
{
    static enum rt_products f16 = RT_PRODUCTS_F16, int8 = RT_PRODUCTS_INT8,
                            f32 = RT_PRODUCTS_F32;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(the_choice_does_not_depend_on_rows, &f32),
        cmocka_unit_test_prestate(the_choice_does_not_depend_on_rows, &f16),
        cmocka_unit_test_prestate(the_choice_does_not_depend_on_rows, &int8),
        cmocka_unit_test_prestate(rounded_products, &int8),
        cmocka_unit_test_prestate(rounded_products, &f16),
        cmocka_unit_test(dots_give_the_bits_of_emulation),
        cmocka_unit_test(few_rows_have_their_kernels),
        cmocka_unit_test(units_are_judged_once),
    };
    return cmocka_run_group_tests_name("rounded products", tests, NULL, NULL);
}
