/* Every stored form of the goldens on every device: the product of a packed matrix and the
 * identity is the matrix, so each golden value must come back bit for bit (-0 as 0),
 * through the kernels of many rows and of one. */
#include "runtime/format/checkpoint.h"
#include "shaders/push.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 64 };

/* A golden matrix in the device layout, and its values. */
struct matrix {
    struct rt_weight_shape shape;
    uint32_t *codes, *order;
    float *scales, *expected;
};

/* `wide`: in the form that some devices read faster. */
static void load(struct matrix *m, const char *path, uint32_t out, uint32_t in, bool wide)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_model *model;
    bool moved;
    if (fmt_model_open_tensors(&ctx, path, &model) != RT_OK)
        fail_msg("%s: %s", path, ctx.message);
    fmt_model_widen(model, wide);
    if (fmt_weight_shape(model, "w", out, in, &m->shape) != RT_OK)
        fail_msg("%s: %s", path, ctx.message);
    m->codes = calloc(1, rt_weight_code_bytes(&m->shape));
    m->scales = calloc(1, rt_weight_scale_bytes(&m->shape));
    m->order = calloc(in, sizeof *m->order);
    if (fmt_weight_load(model, "w", &m->shape, 0, 0, out, m->codes, m->scales) != RT_OK ||
        fmt_weight_order(model, "w", in, m->order, &moved) != RT_OK)
        fail_msg("%s: %s", path, ctx.message);
    fmt_model_close(&model);
}

static void unload(struct matrix *m)
{
    free(m->codes);
    free(m->scales);
    free(m->order);
    free(m->expected);
}

/* Buffers of the op matmul, in order of its bindings. */
enum { CODES, SCALES, X, U, B, BIAS, RESIDUAL, Y, BINDINGS };

struct product {
    struct rt_device *dev;
    struct rt_buffer *buffer[BINDINGS];
    uint32_t ldx, ldy;
};

static void multiply(const struct product *p, const struct rt_weight_shape *s,
                     uint32_t rows, const float *x, float *y)
{
    struct rt_list *list = NULL;
    struct rt_slice slices[BINDINGS];
    const struct matmul_push push = { .rows = rows,
                                      .out_pad = s->out_pad,
                                      .in_pad = s->in_pad,
                                      .bits = s->bits,
                                      .group = s->group,
                                      .form = s->form,
                                      .ldx = p->ldx,
                                      .ldy = p->ldy,
                                      .part1 = s->out_pad,
                                      .part2 = s->out_pad };
    for (int i = 0; i < BINDINGS; i++)
        slices[i] = (struct rt_slice){ .buffer = p->buffer[i] };
    if (rt_buffer_write(p->buffer[X], 0, x, (uint64_t)ROWS_MAX * p->ldx * 4) != RT_OK ||
        rt_list_create(p->dev, "product", &list) != RT_OK)
        fail_msg("%s", rt_device_ctx(p->dev)->message);
    rt_list_op(list, RT_OP_matmul, &push, slices);
    if (rt_list_end(list) != RT_OK || rt_submit(p->dev, list) != RT_OK ||
        rt_wait(p->dev) != RT_OK ||
        rt_buffer_read(p->buffer[Y], 0, y, (uint64_t)rows * p->ldy * 4) != RT_OK)
        fail_msg("%s", rt_device_ctx(p->dev)->message);
    rt_list_destroy(&list);
}

/* Columns [first, first + rows) of the matrix. */
static void check_columns(const struct product *p, const struct matrix *m, uint32_t first,
                          uint32_t rows, const char *what)
{
    float *x = calloc((size_t)ROWS_MAX * p->ldx, sizeof *x);
    float *y = calloc((size_t)rows * p->ldy, sizeof *y);
    for (uint32_t r = 0; r < rows; r++)
        x[(size_t)r * p->ldx + first + r] = 1;
    multiply(p, &m->shape, rows, x, y);
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t o = 0; o < m->shape.out; o++) {
            const float want = m->expected[(size_t)o * m->shape.in + m->order[first + r]];
            const float got = y[(size_t)r * p->ldy + o];
            if (!(got == want))
                fail_msg("%s, %u rows: (%u, %u) is %a, not %a", what, rows, o, first + r,
                         (double)got, (double)want);
        }
    free(x);
    free(y);
}

/* `briefly`: one product. */
static void check_device(struct rt_device *dev, const struct matrix *m, bool briefly,
                         const char *what)
{
    static const float zeros[4096];
    const struct rt_weight_shape *s = &m->shape;
    struct product p = { .dev = dev,
                         .ldx = (uint32_t)rt_round_up(s->in_pad, 128),
                         .ldy = (uint32_t)rt_round_up(s->out_pad, 128) };
    float *none = calloc((size_t)ROWS_MAX * (p.ldx + p.ldy), sizeof *none);
    for (int i = 0; i < BINDINGS; i++)
        p.buffer[i] =
            i == CODES    ? test_upload(dev, m->codes, rt_weight_code_bytes(s))
            : i == SCALES ? test_upload(dev, m->scales, rt_weight_scale_bytes(s))
            : i == X || i == Y
                ? test_upload(dev, none, (uint64_t)ROWS_MAX * (p.ldx + p.ldy) * 4)
                : test_upload(dev, zeros, sizeof zeros);
    const uint32_t end = briefly && s->in > 64 ? 64 : s->in;
    for (uint32_t k = 0; k < end; k += 64)
        check_columns(&p, m, k, end - k < 64 ? end - k : 64, what);
    if (!briefly)
        check_columns(&p, m, s->in / 2, 1, what); /* the kernel of one row */
    for (int i = 0; i < BINDINGS; i++)
        rt_buffer_destroy(&p.buffer[i]);
    free(none);
}

/* ---- the fixtures ---- */

struct devices {
    struct test_device list[16];
    struct rt_device *open[16];
    struct rt_ctx ctx[16];
    uint32_t count;
    struct {
        struct rt_weight_shape list[128];
        uint32_t count;
    } seen[16]; /* by device: weights that it has had */
};

/* What code of a group differs by; its size is one constant. */
static int group_kind(uint32_t group)
{
    return group == 0 ? 0 : group < 32 ? 1 : 2;
}

/* Whether the device has had a weight of this bits, form and kind of group; now it has. */
static bool is_seen(struct devices *d, uint32_t device, const struct rt_weight_shape *s)
{
    struct rt_weight_shape *list = d->seen[device].list;
    const uint32_t n = d->seen[device].count;
    for (uint32_t i = 0; i < n; i++)
        if (list[i].bits == s->bits && list[i].form == s->form &&
            group_kind(list[i].group) == group_kind(s->group))
            return true;
    assert_true(n < RT_COUNT(d->seen[device].list));
    list[d->seen[device].count++] = *s;
    return false;
}

/* In both forms, where they differ. The first device has every file; for the others files of
 * the same bits, form and kind of group differ in what the host reads alone. */
static void check_everywhere(struct devices *d, const char *file, uint32_t out,
                             uint32_t in, const char *expected, const char *name)
{
    char path[1024], what[160];
    uint32_t first_form = RT_FORM_COUNT;
    test_path(path, sizeof path, expected);
    for (int wide = 0; wide < 2; wide++) {
        struct matrix m;
        load(&m, file, out, in, wide);
        m.expected = test_floats(path, (size_t)out * in);
        for (uint32_t i = 0; i < d->count && m.shape.form != first_form; i++) {
            snprintf(what, sizeof what, "%s (%s) on %s", name,
                     rt_weight_form_name(m.shape.form), d->list[i].name);
            const bool slow = test_device_is_slow(&d->list[i]);
            if (!is_seen(d, i, &m.shape) || i == 0)
                check_device(d->open[i], &m, slow, what);
        }
        first_form = m.shape.form;
        unload(&m);
    }
}

static const char *text(const json_t *item, const char *key)
{
    return json_string_value(json_object_get(item, key));
}

static uint32_t size_at(const json_t *item, size_t i)
{
    return (uint32_t)json_integer_value(
        json_array_get(json_object_get(item, "shape"), i));
}

static json_t *load_index(const char *relative)
{
    char path[1024];
    json_t *index = json_load_file(test_path(path, sizeof path, relative), 0, NULL);
    if (!index)
        fail_msg("cannot read %s", path);
    return index;
}

static void gguf_types_are_exact_on_devices(void **state)
{
    struct devices *d = *state;
    json_t *item, *index = load_index("tests/golden/gguf/types/index.json");
    size_t i;
    json_array_foreach(index, i, item)
    {
        char path[1024], relative[256];
        snprintf(relative, sizeof relative, "tests/golden/gguf/types/%s",
                 text(item, "file"));
        test_path(path, sizeof path, relative);
        snprintf(relative, sizeof relative, "tests/golden/gguf/types/%s",
                 text(item, "expected"));
        check_everywhere(d, path, 16, 256, relative, text(item, "type"));
    }
    printf("    %zu types on %u devices\n", i, d->count);
    assert_int_equal(i, 26);
    json_decref(index);
}

/* Every file of tests/golden/<name>. */
static size_t check_folder(struct devices *d, const char *name)
{
    char relative[256];
    json_t *item;
    size_t i;
    snprintf(relative, sizeof relative, "tests/golden/%s/index.json", name);
    json_t *index = load_index(relative);
    json_array_foreach(index, i, item)
    {
        struct test_folder folder;
        char path[1024];
        size_t size;
        test_folder_init(&folder);
        json_t *config = json_pack("{s:O}", "quantization_config",
                                   json_object_get(item, "quantization_config"));
        assert_int_equal(
            json_dump_file(config, test_folder_file(&folder, "config.json"), 0), 0);
        json_decref(config);
        snprintf(relative, sizeof relative, "tests/golden/%s/%s", name,
                 text(item, "file"));
        char *data = test_file_read(test_path(path, sizeof path, relative), &size);
        test_file_write(test_folder_file(&folder, "model.safetensors"), data, size);
        free(data);
        snprintf(relative, sizeof relative, "tests/golden/%s/%s", name,
                 text(item, "expected"));
        check_everywhere(d, folder.path, size_at(item, 0), size_at(item, 1), relative,
                         text(item, "file"));
        test_folder_deinit(&folder);
    }
    json_decref(index);
    return i;
}

static void packed_forms_are_exact_on_devices(void **state)
{
    struct devices *d = *state;
    const size_t count = check_folder(d, "quant") + check_folder(d, "packed");
    printf("    %zu files on %u devices\n", count, d->count);
    assert_true(count >= 52);
}

static int set_up(void **state)
{
    static struct devices d;
    d.count = test_devices(d.list, 16);
    for (uint32_t i = 0; i < d.count; i++) {
        test_ctx(&d.ctx[i]);
        d.open[i] = test_device_open(&d.ctx[i], &d.list[i]);
    }
    *state = &d;
    return d.count ? 0 : -1;
}

static int tear_down(void **state)
{
    struct devices *d = *state;
    for (uint32_t i = 0; i < d->count; i++)
        rt_device_destroy(&d->open[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_types_are_exact_on_devices),
        cmocka_unit_test(packed_forms_are_exact_on_devices),
    };
    return cmocka_run_group_tests_name("stored products", tests, set_up, tear_down);
}
