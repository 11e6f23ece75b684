/* Every matmul kernel that fits a shape gives the same bits as every other, at any row
 * count: batch invariance rests on this. And each agrees with its twin. */
#include "runtime/ref/ref.h"
#include "runtime/vk/vk.h"
#include "runtime/op/weight_blocks.h"
#include "tests/support/devices.h"
#include "tests/support/weight_forms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 64, OUT = 128, IN = 384, LD = 384, RANK = 16, LD_U = 128 };

static uint32_t seed = 1;

static float random_float(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(int32_t)seed * (1.0f / 2147483648.0f);
}

/* Host copies of every binding of a product. */
struct operands {
    struct rt_weight_shape shape;
    uint32_t *codes, *b;
    float *scales, *x, *u, *bias, *residual;
    uint64_t code_bytes, scale_bytes, b_bytes;
};

static float *random_floats(size_t n)
{
    float *f = calloc(n, sizeof *f);
    for (size_t i = 0; i < n; i++)
        f[i] = random_float();
    return f;
}

/* A block form: halves and small numbers wherever it has them, behind its grid. */
static void put_blocks(struct operands *o)
{
    const struct rt_weight_shape *s = &o->shape;
    const uint64_t grid = 4 * rt_weight_grid_texels(s->form);
    uint32_t *words = s->form == RT_FORM_TRITS ? o->codes : (uint32_t *)o->scales;
    const uint64_t bytes = s->form == RT_FORM_TRITS ? o->code_bytes : o->scale_bytes;
    rt_weight_put_grid(s->form, words);
    for (uint64_t i = grid; i < bytes / 4; i++) {
        random_float();
        words[i] = (seed & 0x83ff83ff) | 0x1c001c00; /* halves near 0.005 */
    }
}

static void put_scale(struct operands *o, uint32_t m, uint32_t g)
{
    const struct rt_weight_shape *s = &o->shape;
    const float scale = 0.1f * (1.5f + random_float());
    const float zero =
        s->form == RT_FORM_ZERO ? (float)(1u << (s->bits - 1)) : -random_float();
    const uint32_t form = s->form & RT_FORM_MASK;
    const bool is_float = form >= RT_FORM_FLOAT && form <= RT_FORM_BFLOAT_ZERO;
    if (form <= RT_FORM_OFFSET || is_float) {
        rt_weight_put_scale(s, o->scales, m, g, scale,
                            is_float ? (float)(seed >> 29) : zero);
        return;
    }
    random_float();
    const uint32_t word = seed;
    struct rt_weight_scale packed = {
        .d = (uint16_t)(0x1c00 | (word >> 4 & 0x83ff)), /* near 0.005 */
        .m = (uint16_t)(0x2000 | (word >> 16 & 0x83ff)),
        .s = (uint8_t)(s->form == RT_FORM_K16_MIN ? word >> 9 & 15 : word >> 9),
        .l = (uint8_t)(s->form == RT_FORM_K16_MIN ? word >> 19 & 15 : word >> 19),
        .row = rt_weight_divisor(5.5f + (float)m),
    };
    if (form == RT_FORM_E8M0)
        packed.s = (uint8_t)(120 + packed.s % 8);
    rt_weight_put_packed(s, o->scales, m, g, &packed);
}

static void make_operands(struct operands *o, uint32_t bits, uint32_t group,
                          uint32_t form)
{
    struct rt_weight_shape *s = &o->shape;
    *s = (struct rt_weight_shape){ .out = OUT,
                                   .in = IN,
                                   .out_pad = OUT,
                                   .bits = bits,
                                   .in_pad = rt_weight_is_blocks(form)
                                                 ? 256
                                                 : rt_weight_in_pad(bits, IN),
                                   .group = group,
                                   .form = form };
    o->code_bytes = rt_weight_code_bytes(s);
    o->scale_bytes = rt_weight_scale_bytes(s);
    o->codes = calloc(1, o->code_bytes);
    o->scales = calloc(1, o->scale_bytes);
    if (rt_weight_is_blocks(form))
        put_blocks(o);
    for (uint32_t m = 0; m < OUT && !rt_weight_is_blocks(form); m++) {
        for (uint32_t k = 0; k < IN; k++) {
            const float v = random_float();
            uint32_t word;
            memcpy(&word, &v, sizeof word);
            if (bits == 16)
                word = 0x3000 + (word & 0x83ff); /* halves of about 0.1 to 0.25 */
            else if (bits != 32)
                word = word >> 7 & ((1u << bits) - 1);
            if (form > RT_FORM_MASK && bits == 8) /* numbers of F8 below 2 */
                word &= 0xbf;
            rt_weight_put_code(s, o->codes, m, k, word);
        }
        const uint32_t groups = group ? s->in_pad / group : 1;
        for (uint32_t g = 0; bits < 16 && g < groups; g++)
            put_scale(o, m, g);
    }
    const struct rt_weight_shape b = { .out_pad = OUT, .in_pad = RANK, .bits = 32 };
    o->b_bytes = rt_weight_code_bytes(&b);
    o->b = (uint32_t *)random_floats(o->b_bytes / 4);
    o->x = random_floats(ROWS * LD);
    o->u = random_floats(ROWS * LD_U);
    o->bias = random_floats(OUT);
    o->residual = random_floats(ROWS * OUT);
}

static void free_operands(struct operands *o)
{
    free(o->codes);
    free(o->scales);
    free(o->b);
    free(o->x);
    free(o->u);
    free(o->bias);
    free(o->residual);
}

static void run_choice(struct rt_device *dev, enum rt_op op, const void *push,
                       const struct rt_slice *slices, uint32_t kernel,
                       struct rt_buffer *result, float *out, size_t count)
{
    struct rt_list *list = NULL;
    struct vk_choice choice = { .kernel = kernel };
    vk_matmul_fill((struct vk_device *)dev, op, push, &choice);
    if (rt_list_create(dev, "test", &list) != RT_OK ||
        vk_list_choice(list, op, push, slices, &choice) != RT_OK ||
        rt_list_end(list) != RT_OK || rt_submit(dev, list) != RT_OK ||
        rt_wait(dev) != RT_OK ||
        rt_buffer_read(result, 0, out, count * sizeof *out) != RT_OK)
        fail_msg("%s", rt_device_ctx(dev)->message);
    rt_list_destroy(&list);
}

/* Of a device that compiles slowly: a kernel of one number of bits runs with the first group
 * that it is given (those of 4 bits with every group), for another one it is the same code
 * but for where scales lie. On all: products that serve every weight decode it by the same
 * code, so two forms run with every second of them, the next two with the others, because
 * each form is a compilation. FAULTLINE_TEST_ALL: all run with all. */
static struct {
    bool on, all;
    uint32_t form;        /* its number */
    uint32_t now;         /* group of the weight that is tried, plus 1 */
    uint32_t first[1024]; /* by kernel; 0: not tried yet */
} thrift;

static bool is_left_out(uint32_t kernel, const struct rt_plan *plan)
{
    /* 8 bits stand for all where no plan takes them and they are slow to compile. */
    if (vk_goes_round_in_one_row(kernel) &&
        rt_plan_has_quirk(plan, RT_QUIRK_slow_broadcast) &&
        (vk_kernel_table[kernel].bits != 8 || vk_kernel_table[kernel].form_offset))
        return true;
    assert_true(vk_kernel_count <= RT_COUNT(thrift.first));
    if (thrift.first[kernel] == 0)
        thrift.first[kernel] = thrift.now;
    if (thrift.all)
        return false;
    if (vk_kernel_table[kernel].bits == 0) /* of the gradient there is one */
        return vk_kernel_table[kernel].op == RT_OP_matmul &&
               (kernel + thrift.form / 2) % 2 != 0; /* flags change with form */
    return thrift.on && thrift.first[kernel] != thrift.now;
}

/* Whether a kernel runs again unrolled as little as on GPUs with few registers. As it is
 * another compilation, a third of the forms is tried so, and of those of 8 and 16 bits, of
 * which kernels with an odd number would get none, three more. */
static bool runs_less_unrolled(uint32_t kernel)
{
    enum { BRAINS = 2, BYTES = 3, BYTE_LEVELS = 26 };
    const uint32_t form = thrift.form;
    const struct vk_kernel_info *k = &vk_kernel_table[kernel];
    return k->bits == 0 && k->products == RT_PRODUCTS_F32 &&
           (thrift.all || form % 3 == 1 || form == BRAINS || form == BYTES ||
            form == BYTE_LEVELS);
}

/* All kernels that fit, against the first and against the twin. */
static void check_kernels(struct rt_device *dev, const char *device, enum rt_op op,
                          const void *push, struct rt_slice *slices,
                          struct rt_buffer *result, const float *twin, size_t count,
                          const char *what)
{
    float *first = calloc(count, sizeof *first), *got = calloc(count, sizeof *got);
    float *zero = calloc(count, sizeof *zero);
    uint32_t tried = 0;
    const struct rt_plan plan = dev->plan;
    for (uint32_t i = 0; i < 2 * vk_kernel_count; i++) {
        const uint32_t k = i / 2;
        if (vk_kernel_table[k].op != op || (i % 2 && !runs_less_unrolled(k)) ||
            !vk_matmul_fits(op, push, k) ||
            !vk_kernel_admitted((struct vk_device *)dev, k, push, slices) ||
            is_left_out(k, &plan))
            continue;
        dev->plan.loads_most = i % 2 ? 2 : plan.loads_most;
        dev->plan.takes_most = i % 2 ? 2 : plan.takes_most;
        assert_int_equal(rt_buffer_write(result, 0, zero, count * sizeof *zero), RT_OK);
        run_choice(dev, op, push, slices, k, result, tried ? got : first, count);
        double most = 0;
        for (size_t j = 0; j < count; j++)
            most = fmax(most, fabs((double)twin[j]));
        const double d = test_max_difference(twin, tried ? got : first, count);
        if (!(d <= 2e-5 * most))
            fail_msg("%s %s: kernel %s is %g off its twin", device, what,
                     vk_kernel_table[k].name, d);
        if (tried && memcmp(first, got, count * sizeof *got) != 0)
            fail_msg("%s %s: kernel %s gives other bits (%g apart)", device, what,
                     vk_kernel_table[k].name, test_max_difference(first, got, count));
        tried++;
    }
    dev->plan = plan;
    if (tried == 0)
        fail_msg("%s %s: no kernel fits", device, what);
    free(first);
    free(got);
    free(zero);
}

static void check_forward(struct rt_device *dev, const char *device, uint32_t bits,
                          uint32_t group, uint32_t form, uint32_t flags)
{
    struct operands o;
    make_operands(&o, bits, group, form);
    struct rt_buffer *b[8] = {
        test_upload(dev, o.codes, o.code_bytes),
        test_upload(dev, o.scales, o.scale_bytes),
        test_upload(dev, o.x, ROWS * LD * 4),
        test_upload(dev, o.u, ROWS * LD_U * 4),
        test_upload(dev, o.b, o.b_bytes),
        test_upload(dev, o.bias, OUT * 4),
        test_upload(dev, o.residual, ROWS * OUT * 4),
        test_upload(dev, o.residual, ROWS * OUT * 4),
    };
    static const uint32_t rows[] = { 1, 7, 64 };
    float *twin = calloc(ROWS * OUT, sizeof *twin), *first = calloc(OUT, sizeof *first);
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        char what[96];
        const struct matmul_push push = {
            .rows = rows[i],
            .out_pad = OUT,
            .in_pad = o.shape.in_pad,
            .bits = bits,
            .group = group,
            .form = form,
            .ldx = LD,
            .ldy = OUT,
            .flags = flags,
            .ldu = LD_U,
            .rank = RANK,
            .part1 = 64,
            .part2 = OUT,
        };
        struct rt_slice slices[8];
        for (int k = 0; k < 8; k++)
            slices[k] = (struct rt_slice){ .buffer = b[k] };
        void *host[8] = { o.codes, o.scales, o.x, o.u, o.b, o.bias, o.residual, twin };
        ref_matmul(&push, host);
        snprintf(what, sizeof what, "matmul %u bits group %u form %u flags %u rows %u",
                 bits, group, form, flags, rows[i]);
        check_kernels(dev, device, RT_OP_matmul, &push, slices, b[7], twin,
                      (size_t)rows[i] * OUT, what);
        float row[OUT]; /* row 0 is the same at every row count */
        assert_int_equal(rt_buffer_read(b[7], 0, row, sizeof row), RT_OK);
        if (i == 0)
            memcpy(first, row, sizeof row);
        else if (memcmp(first, row, sizeof row) != 0)
            fail_msg("%s %s: row 0 depends on the batch", device, what);
    }
    for (int k = 0; k < 8; k++)
        rt_buffer_destroy(&b[k]);
    free(twin);
    free(first);
    free_operands(&o);
}

static void check_backward(struct rt_device *dev, const char *device, uint32_t bits,
                           uint32_t group, uint32_t form)
{
    struct operands o;
    make_operands(&o, bits, group, form);
    const struct rt_weight_shape a = { .out_pad = RANK,
                                       .in_pad = o.shape.in_pad,
                                       .bits = 32 };
    float *a_host = random_floats(rt_weight_code_bytes(&a) / 4);
    struct rt_buffer *b[6] = {
        test_upload(dev, o.codes, o.code_bytes),
        test_upload(dev, o.scales, o.scale_bytes),
        test_upload(dev, o.residual, ROWS * OUT * 4),
        test_upload(dev, o.u, ROWS * LD_U * 4),
        test_upload(dev, a_host, rt_weight_code_bytes(&a)),
        test_upload(dev, o.x, ROWS * LD * 4),
    };
    const struct matmul_back_push push = {
        .rows = ROWS,
        .out_pad = OUT,
        .in_pad = o.shape.in_pad,
        .bits = bits,
        .group = group,
        .form = form,
        .lddy = OUT,
        .lddx = LD,
        .lddu = LD_U,
        .rank = RANK,
    };
    struct rt_slice slices[6];
    for (int k = 0; k < 6; k++)
        slices[k] = (struct rt_slice){ .buffer = b[k] };
    float *twin = calloc(ROWS * LD, sizeof *twin);
    void *host[6] = { o.codes, o.scales, o.residual, o.u, a_host, twin };
    ref_matmul_back(&push, host);
    char what[64];
    snprintf(what, sizeof what, "matmul_back %u bits group %u form %u", bits, group,
             form);
    check_kernels(dev, device, RT_OP_matmul_back, &push, slices, b[5], twin, ROWS * LD,
                  what);
    for (int k = 0; k < 6; k++)
        rt_buffer_destroy(&b[k]);
    free(twin);
    free(a_host);
    free_operands(&o);
}

static void kernels_agree_bit_for_bit(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    for (uint32_t i = 0; i < n; i++) {
        /* Kernels of both families are tried on a device: once is enough. */
        if (strcmp(devices[i].device, "ref") == 0 ||
            (i > 0 && strcmp(devices[i].device, devices[i - 1].device) == 0))
            continue;
        struct rt_ctx ctx;
        test_ctx(&ctx);
        struct rt_device *dev = test_device_open(&ctx, &devices[i]);
        memset(&thrift, 0, sizeof thrift);
        thrift.all = getenv("FAULTLINE_TEST_ALL") != NULL;
        for (uint32_t f = 0; f < test_weight_form_count; f++) {
            const struct test_weight_form *w = &test_weight_forms[f];
            const uint32_t all = MATMUL_LORA | MATMUL_BIAS | MATMUL_RESIDUAL;
            thrift.on = test_device_compiles_slowly(&devices[i]) && w->bits != 4;
            thrift.now = w->group + 1;
            thrift.form = f;
            check_forward(dev, devices[i].name, w->bits, w->group, w->form,
                          f % 2 ? all : 0);
            check_backward(dev, devices[i].name, w->bits, w->group, w->form);
        }
        rt_device_destroy(&dev);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(kernels_agree_bit_for_bit) };
    return cmocka_run_group_tests_name("matmul kernels", tests, NULL, NULL);
}
