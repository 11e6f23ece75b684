/* Moments and maxima of layer inputs: what observe_layers streams equals sums in double
 * over the buffers of a pass that keeps its values, for any lengths of sequences and any
 * size of a pass; what it takes is what observe_cost_of says. */
#include "runtime/model/model_impl.h"
#include "runtime/observe/moments.h"
#include "runtime/observe/batch.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEQUENCES = 5, LONGEST = 300, GROUPS_MAX = 16 };

/* Longer than a block, about a pass, as short as can be. */
static const uint32_t lengths[SEQUENCES] = { 3, LONGEST, 2, 65, 64 };

/* What one layer's group should give. */
struct expected {
    double *moment; /* [in][in] */
    float *maxima;  /* [in] */
    double *sums;   /* [in] of magnitudes */
    uint32_t in;
};

struct ground {
    struct rt_device *dev;
    struct rt_model *model;
    struct train_sequence sequences[SEQUENCES];
    uint32_t ids[SEQUENCES][LONGEST];
    uint8_t mask[LONGEST]; /* all zero: masks do not matter */
    uint64_t rows;
    struct expected expected[GROUPS_MAX];
    float weight[SEQUENCES][LONGEST];
    bool weighted, device_sums, tiny;
    double total;  /* weight of all rows */
    uint32_t seen; /* groups handed over, in order */
    uint64_t passes, passes_total;
    double worst; /* |difference| over sqrt(H_ii H_jj) */
};

/* Rows of sequence s. */
static void add_input(struct ground *g, uint32_t s, uint32_t index, struct rt_buffer *x,
                      uint32_t ld, uint32_t rows)
{
    struct expected *e = &g->expected[index];
    float *values = calloc(rt_buffer_size(x), 1);
    assert_int_equal(rt_buffer_read(x, 0, values, rt_buffer_size(x)), RT_OK);
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t i = 0; i < e->in; i++) {
            const float *row = values + (size_t)r * ld;
            const double weight = g->weighted ? (double)g->weight[s][r] : 1;
            if (weight > 0)
                e->maxima[i] = fmaxf(e->maxima[i], fabsf(row[i]));
            e->sums[i] += weight * (double)fabsf(row[i]);
            for (uint32_t j = 0; j < e->in; j++)
                e->moment[(size_t)i * e->in + j] += weight * (double)row[i] * row[j];
        }
    free(values);
}

/* Each sequence alone, in a pass that keeps what goes into every group. */
static void expect(struct ground *g)
{
    struct rt_model *m = g->model;
    struct model_pass pass;
    struct batch batch;
    struct rt_buffer *x = NULL;
    const struct model_cache contiguous = { 0 };
    assert_true(m->config.layers * MODEL_GROUP_COUNT <= GROUPS_MAX);
    for (uint32_t i = 0; i < m->config.layers * MODEL_GROUP_COUNT; i++) {
        struct expected *e = &g->expected[i];
        e->in = m->shape[i % MODEL_GROUP_COUNT].in;
        e->moment = calloc((size_t)e->in * e->in, sizeof *e->moment);
        e->maxima = calloc(e->in, sizeof *e->maxima);
        e->sums = calloc(e->in, sizeof *e->sums);
    }
    assert_int_equal(model_pass_init(&pass, m, NULL, LONGEST, true), RT_OK);
    assert_int_equal(batch_init(&batch, g->dev, LONGEST, LONGEST), RT_OK);
    assert_int_equal(
        model_buffer(g->dev, "x", 4ull * pass.rows * m->ld_hidden, RT_MEMORY_DEVICE, &x),
        RT_OK);
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        assert_int_equal(
            batch_fill(&batch, rt_device_ctx(g->dev), &g->sequences[s], 1, &pass, NULL),
            RT_OK);
        for (uint32_t l = 0; l < m->config.layers; l++) {
            struct rt_list *list = NULL;
            assert_int_equal(rt_list_create(g->dev, "expect", &list), RT_OK);
            if (l == 0)
                model_record_embed(&pass, list, batch.rows_padded, x);
            model_record_layer(&pass, list, l, batch.rows_padded, &contiguous, x, x);
            assert_int_equal(rt_list_end(list), RT_OK);
            assert_int_equal(rt_submit(g->dev, list), RT_OK);
            assert_int_equal(rt_wait(g->dev), RT_OK);
            const uint32_t at = l * MODEL_GROUP_COUNT;
            add_input(g, s, at + MODEL_QKV, pass.norm, m->shape[0].ld_in, batch.rows);
            add_input(g, s, at + MODEL_O, pass.att, pass.ld_att, batch.rows);
            add_input(g, s, at + MODEL_GATE_UP, pass.norm2, m->shape[2].ld_in,
                      batch.rows);
            add_input(g, s, at + MODEL_DOWN, pass.act, m->shape[3].ld_in, batch.rows);
            rt_list_destroy(&list);
        }
    }
    rt_buffer_destroy(&x);
    batch_deinit(&batch);
    model_pass_deinit(&pass);
}

static void compare_moment(struct ground *g, const struct expected *e,
                           const struct observe_moment *m)
{
    double *rows = calloc((size_t)e->in * e->in, sizeof *rows);
    double diagonal = 0;
    /* in pieces that cross the borders of panels */
    for (uint32_t r = 0; r < e->in; r += 37)
        observe_moment_rows(m, r, e->in - r < 37 ? e->in - r : 37,
                            rows + (size_t)r * e->in);
    for (uint32_t i = 0; i < e->in; i++) {
        diagonal += rows[(size_t)i * e->in + i] / e->in;
        for (uint32_t j = 0; j < e->in; j++) {
            const size_t at = (size_t)i * e->in + j;
            const double size =
                sqrt(e->moment[(size_t)i * e->in + i] * e->moment[(size_t)j * e->in + j]);
            const double off = fabs(rows[at] - e->moment[at]) / size;
            g->worst = !(off <= g->worst) ? off : g->worst;
            assert_true(rows[at] == rows[(size_t)j * e->in + i]);
        }
    }
    assert_true(fabs(observe_moment_diagonal(m) - diagonal) <= 1e-12 * diagonal);
    assert_int_equal(m->rows, g->rows);
    assert_true(m->weight == g->total);
    free(rows);
}

static rt_status take_group(void *user, const struct observe_group *seen)
{
    struct ground *g = user;
    const struct expected *e = &g->expected[g->seen];
    assert_int_equal(seen->layer, g->seen / MODEL_GROUP_COUNT);
    assert_int_equal(seen->group, g->seen % MODEL_GROUP_COUNT);
    assert_int_equal(seen->in, e->in);
    assert_int_equal(seen->rows, g->rows);
    if (seen->moment)
        compare_moment(g, e, seen->moment);
    if (seen->maxima)
        assert_memory_equal(seen->maxima, e->maxima, e->in * sizeof(float));
    for (uint32_t i = 0; seen->means && i < e->in; i++)
        assert_true(fabs(seen->means[i] * seen->weight - e->sums[i]) <=
                    1e-12 * e->sums[i]);
    g->seen++;
    return RT_OK;
}

static rt_status after_pass(void *user, uint64_t done, uint64_t total)
{
    struct ground *g = user;
    assert_int_equal(done, g->passes + 1);
    g->passes = done;
    g->passes_total = total;
    return RT_OK;
}

static void observe(struct ground *g, uint32_t what, uint32_t pass_rows)
{
    const struct observe_task task = { .model = g->model,
                                       .sequences = g->sequences,
                                       .count = SEQUENCES,
                                       .what = what,
                                       .device_sums = g->device_sums,
                                       .pass_rows = pass_rows,
                                       .group = take_group,
                                       .pass = after_pass,
                                       .user = g };
    struct rt_device_stats before, after;
    g->seen = 0;
    g->passes = 0;
    rt_device_stats_get(g->dev, &before);
    if (observe_layers(&task) != RT_OK)
        fail_msg("%s", rt_device_ctx(g->dev)->message);
    rt_device_stats_get(g->dev, &after);
    assert_int_equal(after.buffer_bytes, before.buffer_bytes);
    assert_int_equal(g->seen, g->model->config.layers * MODEL_GROUP_COUNT);
    assert_int_equal(g->passes, g->passes_total);
}

/* Weights of all kinds, beside sequences that have none. */
static void weigh(struct ground *g)
{
    static const float weights[] = { 2, 0, 1, 0.3f, 0, 7.25f, 1, 1e-3f };
    g->total = 0;
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        for (uint32_t t = 0; t < lengths[s]; t++) {
            const float own = s == 3 ? 1 : weights[(t + 3 * s + t / 8) % 8];
            g->weight[s][t] = g->weighted ? own : 1;
            g->total += t + 1 < lengths[s] ? (double)g->weight[s][t] : 0;
        }
        g->sequences[s].weight = g->weighted && s != 3 ? g->weight[s] : NULL;
    }
}

static void observe_all(struct ground *g)
{
    weigh(g);
    expect(g);
    for (int i = 0; i <= g->tiny; i++) {
        g->device_sums = i > 0;
        observe(g, OBSERVE_MOMENTS | OBSERVE_MAXIMA, 0);
        observe(g, OBSERVE_MOMENTS, 64);
    }
    observe(g, OBSERVE_MAXIMA | OBSERVE_MEANS, 128);
    observe(g, OBSERVE_MEANS, 0);
    for (int i = 0; i < GROUPS_MAX; i++) {
        free(g->expected[i].moment);
        free(g->expected[i].maxima);
        free(g->expected[i].sums);
        g->expected[i] = (struct expected){ 0 };
    }
}

static void run_device(const struct test_device *device, const char *name)
{
    struct rt_ctx ctx;
    struct ground g = { 0 };
    char path[1024];
    test_ctx(&ctx);
    g.dev = test_device_open(&ctx, device);
    if (rt_model_load(g.dev, test_path(path, sizeof path, name), 512, &g.model) != RT_OK)
        fail_msg("%s", ctx.message);
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        for (uint32_t t = 0; t < lengths[s]; t++)
            g.ids[s][t] = (t * 7 + s * 31 + t * t) % g.model->config.vocab;
        g.sequences[s] =
            (struct train_sequence){ .ids = g.ids[s], .mask = g.mask, .n = lengths[s] };
        g.rows += lengths[s] - 1;
    }
    g.tiny = strstr(name, "tiny") != NULL;
    observe_all(&g);
    g.weighted = true;
    observe_all(&g);
    printf("    %-26s %-32s worst %.2e\n", device->name, name, g.worst);
    assert_true(g.worst < (OBSERVE_BLOCK + 4) / 16777216.0); /* the header's bound */
    rt_model_destroy(&g.model);
    assert_int_equal(rt_device_validation_count(g.dev), 0);
    rt_device_destroy(&g.dev);
}

static rt_status take_nothing(void *user, const struct observe_group *seen)
{
    (void)user, (void)seen;
    return RT_OK;
}

/* What is kept of the groups of a run. */
struct kept {
    float *moment[GROUPS_MAX], *maxima[GROUPS_MAX], *sample[GROUPS_MAX];
    double *means[GROUPS_MAX], *squares[GROUPS_MAX];
    uint32_t in[GROUPS_MAX], sampled, count;
    double weight;
};

static rt_status keep_group(void *user, const struct observe_group *seen)
{
    struct kept *k = user;
    const size_t in = seen->in;
    const uint32_t at = k->count++;
    k->in[at] = seen->in;
    k->weight = seen->weight;
    k->sampled = seen->sampled;
    k->moment[at] = calloc(in * in, sizeof(float));
    for (uint32_t i = 0; i < in; i++)
        memcpy(k->moment[at] + i * in + i, observe_moment_right(seen->moment, i),
               (in - i) * sizeof(float));
    k->maxima[at] = memcpy(malloc(in * sizeof(float)), seen->maxima, in * sizeof(float));
    k->sample[at] = memcpy(malloc(seen->sampled * in * sizeof(float)), seen->sample,
                           seen->sampled * in * sizeof(float));
    k->means[at] = memcpy(malloc(in * sizeof(double)), seen->means, in * sizeof(double));
    k->squares[at] =
        memcpy(malloc(in * sizeof(double)), seen->squares, in * sizeof(double));
    return RT_OK;
}

static void keep(struct rt_model *model, const struct train_sequence *sequences,
                 uint32_t count, bool device_sums, struct kept *k)
{
    const struct observe_task task = { .model = model,
                                       .sequences = sequences,
                                       .count = count,
                                       .what = OBSERVE_MOMENTS | OBSERVE_MAXIMA |
                                               OBSERVE_MEANS | OBSERVE_SQUARES |
                                               OBSERVE_SAMPLE,
                                       .device_sums = device_sums,
                                       .group = keep_group,
                                       .user = k };
    *k = (struct kept){ .count = 0 };
    assert_int_equal(observe_layers(&task), RT_OK);
}

static void drop(struct kept *k)
{
    for (uint32_t i = 0; i < k->count; i++) {
        free(k->moment[i]);
        free(k->maxima[i]);
        free(k->sample[i]);
        free(k->means[i]);
        free(k->squares[i]);
    }
}

/* The largest difference of moments, over the largest entry of their diagonal. */
static double moments_off(const struct kept *a, const struct kept *b)
{
    double worst = 0;
    assert_int_equal(a->count, b->count);
    for (uint32_t g = 0; g < a->count; g++) {
        const size_t in = a->in[g];
        double most = 0;
        for (size_t i = 0; i < in; i++)
            most = fmax(most, (double)a->moment[g][i * in + i]);
        for (size_t i = 0; i < in * in; i++)
            worst = fmax(worst,
                         fabs((double)a->moment[g][i] - (double)b->moment[g][i]) / most);
    }
    return worst;
}

/* Weight 2 is a sequence given twice; weight 0 is one that is left out; weights of 1 are
 * none, bit for bit. */
static void a_weight_is_a_count(void **state)
{
    (void)state;
    static const uint32_t ids[2][40] = { { 5, 9, 2, 7, 7, 1, 30, 4, 12, 8 },
                                         { 3, 3, 9, 11, 2, 6, 6, 40, 1 } };
    static const uint8_t mask[40];
    static float of[3][40];
    char path[1024];
    const struct test_device ref = { .device = "ref", .name = "ref" };
    struct rt_ctx ctx;
    struct rt_model *model;
    test_ctx(&ctx);
    struct rt_device *dev = test_device_open(&ctx, &ref);
    test_path(path, sizeof path, "tests/golden/models/qwen2-tiny");
    assert_int_equal(rt_model_load(dev, path, 64, &model), RT_OK);
    for (uint32_t t = 0; t < 40; t++)
        for (uint32_t w = 0; w < 3; w++)
            of[w][t] = (float)w;
    const struct train_sequence a = { .ids = ids[0], .mask = mask, .n = 40 };
    const struct train_sequence b = { .ids = ids[1], .mask = mask, .n = 40 };
    struct train_sequence weighted[2] = { a, b };
    const struct train_sequence twice[3] = { a, b, b }, plain[2] = { a, b };
    for (int on_device = 0; on_device < 2; on_device++) {
        struct kept k, expected;
        weighted[1].weight = of[2];
        keep(model, weighted, 2, on_device, &k);
        keep(model, twice, 3, on_device, &expected);
        printf("    weight 2: moments %.2e off\n", moments_off(&k, &expected));
        assert_true(moments_off(&k, &expected) < (3 * 39 + 2) * 0x1p-24); /* of sums */
        assert_true(k.weight == 3 * 39 && expected.weight == 3 * 39);
        for (uint32_t g = 0; g < k.count; g++)
            for (uint32_t i = 0; i < k.in[g]; i++) {
                assert_true(k.maxima[g][i] == expected.maxima[g][i]);
                assert_true(fabs(k.means[g][i] / expected.means[g][i] - 1) < 1e-12);
                assert_true(fabs(k.squares[g][i] / expected.squares[g][i] - 1) < 1e-12);
            }
        drop(&k);
        drop(&expected);
        weighted[1].weight = of[0];
        keep(model, weighted, 2, on_device, &k);
        keep(model, &a, 1, on_device, &expected);
        assert_true(k.weight == 39);
        assert_true(moments_off(&k, &expected) == 0);
        for (uint32_t g = 0; g < k.count; g++) {
            assert_memory_equal(k.maxima[g], expected.maxima[g], k.in[g] * sizeof(float));
            assert_memory_equal(k.means[g], expected.means[g], k.in[g] * sizeof(double));
            assert_memory_equal(k.squares[g], expected.squares[g],
                                k.in[g] * sizeof(double));
            for (uint32_t r = 0; r < 78; r += 2) /* 78 places for 39 rows: each twice */
                assert_memory_equal(k.sample[g] + (size_t)r * k.in[g],
                                    expected.sample[g] + (size_t)(r / 2) * k.in[g],
                                    k.in[g] * sizeof(float));
        }
        drop(&k);
        drop(&expected);
        weighted[1].weight = of[1];
        keep(model, weighted, 2, on_device, &k);
        keep(model, plain, 2, on_device, &expected);
        assert_true(moments_off(&k, &expected) == 0);
        for (uint32_t g = 0; g < k.count; g++)
            assert_memory_equal(k.sample[g], expected.sample[g],
                                (size_t)k.sampled * k.in[g] * sizeof(float));
        drop(&k);
        drop(&expected);
    }
    const struct observe_task none = { .model = model,
                                       .sequences =
                                           &(struct train_sequence){ .ids = ids[0],
                                                                     .mask = mask,
                                                                     .n = 40,
                                                                     .weight = of[0] },
                                       .count = 1,
                                       .what = OBSERVE_MAXIMA,
                                       .group = take_nothing };
    assert_int_equal(observe_layers(&none), RT_ERR_USAGE);
    rt_model_destroy(&model);
    rt_device_destroy(&dev);
}

static void sums_are_those_of_the_inputs(void **state)
{
    (void)state;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    assert_true(n > 0);
    for (uint32_t i = 0; i < n; i++) {
        run_device(&devices[i], "tests/golden/models/qwen2-tiny");
        run_device(&devices[i], "pipeline/demo");
    }
}

/* On a fresh device, so that its peak is this task's. */
static void buffers_take_what_was_said(void **state)
{
    (void)state;
    static const uint32_t whats[] = { OBSERVE_MOMENTS, OBSERVE_MAXIMA };
    static const uint32_t ids[100];
    static const uint8_t mask[100];
    const struct test_device ref = { .device = "ref", .name = "ref" };
    const struct train_sequence sequence = { .ids = ids, .mask = mask, .n = 100 };
    char path[1024];
    test_path(path, sizeof path, "tests/golden/models/qwen2-tiny");
    for (size_t i = 0; i < RT_COUNT(whats); i++) {
        struct rt_ctx ctx;
        struct rt_model *model;
        struct rt_device_stats before, after;
        struct observe_cost cost;
        test_ctx(&ctx);
        struct rt_device *dev = test_device_open(&ctx, &ref);
        assert_int_equal(rt_model_load(dev, path, 128, &model), RT_OK);
        rt_device_stats_get(dev, &before);
        const struct observe_task task = { .model = model,
                                           .sequences = &sequence,
                                           .count = 1,
                                           .what = whats[i],
                                           .pass_rows = 512,
                                           .group = take_nothing };
        assert_int_equal(observe_layers(&task), RT_OK);
        rt_device_stats_get(dev, &after);
        observe_cost_of(&model->config, 99, 512, whats[i], true, &cost);
        const double took = (double)(after.buffer_bytes_max - before.buffer_bytes);
        printf("    %.0f bytes of buffers, %.0f were said\n", took,
               (double)cost.device_bytes);
        assert_true(took <= 1.01 * (double)cost.device_bytes);
        assert_true(took >= 0.95 * (double)cost.device_bytes);
        rt_model_destroy(&model);
        rt_device_destroy(&dev);
    }
}

static rt_status refuse(void *user, const struct observe_group *seen)
{
    (void)seen;
    ++*(int *)user;
    return RT_ERR_INTERRUPTED;
}

static void a_status_of_the_caller_ends_it(void **state)
{
    (void)state;
    static const uint32_t ids[4] = { 1, 2, 3, 4 };
    static const uint8_t mask[4];
    const struct test_device ref = { .device = "ref", .name = "ref" };
    struct train_sequence sequence = { .ids = ids, .mask = mask, .n = 4 };
    struct rt_ctx ctx;
    struct rt_model *model;
    char path[1024];
    int calls = 0;
    test_ctx(&ctx);
    struct rt_device *dev = test_device_open(&ctx, &ref);
    test_path(path, sizeof path, "tests/golden/models/qwen2-tiny");
    assert_int_equal(rt_model_load(dev, path, 64, &model), RT_OK);
    struct observe_task task = { .model = model,
                                 .sequences = &sequence,
                                 .count = 1,
                                 .what = OBSERVE_MAXIMA,
                                 .group = refuse,
                                 .user = &calls };
    assert_int_equal(observe_layers(&task), RT_ERR_INTERRUPTED);
    assert_int_equal(calls, 1);
    sequence.n = 1;
    assert_int_equal(observe_layers(&task), RT_ERR_USAGE);
    task.count = 0;
    assert_int_equal(observe_layers(&task), RT_ERR_USAGE);
    rt_model_destroy(&model);
    rt_device_destroy(&dev);
}

/* The numbers of issue 13: at most 1 GB beside a model of 0.5B, 4 GB beside one of 7B, with
 * the widest matrix twice in floats for the low-rank fit. */
static void costs_stay_within_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct fmt_config config;
        double bound;
    } cases[] = {
        { "0.5B",
          { .hidden = 896,
            .ffn = 4864,
            .layers = 24,
            .heads = 14,
            .kv_heads = 2,
            .head_dim = 64 },
          1e9 },
        { "7B, Qwen",
          { .hidden = 3584,
            .ffn = 18944,
            .layers = 28,
            .heads = 28,
            .kv_heads = 4,
            .head_dim = 128 },
          4e9 },
        { "7B, LLaMA",
          { .hidden = 4096,
            .ffn = 11008,
            .layers = 32,
            .heads = 32,
            .kv_heads = 32,
            .head_dim = 128 },
          4e9 },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct observe_cost cost;
        const struct fmt_config *c = &cases[i].config;
        observe_cost_of(c, 65536, OBSERVE_ROWS_DEFAULT, OBSERVE_MOMENTS, false, &cost);
        const double fit = 2.0 * 4 * c->hidden * c->ffn;
        const double all = (double)(cost.host_bytes + cost.device_bytes) + fit;
        printf("    %-10s host %4.0f MB, device %4.0f MB, fit %4.0f MB, all %4.0f MB; "
               "%.1f TFLOP\n",
               cases[i].name, (double)cost.host_bytes / 1e6,
               (double)cost.device_bytes / 1e6, fit / 1e6, all / 1e6, cost.flops / 1e12);
        assert_true(all <= cases[i].bound);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs_stay_within_bounds),
        cmocka_unit_test(buffers_take_what_was_said),
        cmocka_unit_test(a_status_of_the_caller_ends_it),
        cmocka_unit_test(a_weight_is_a_count),
        cmocka_unit_test(sums_are_those_of_the_inputs),
    };
    return cmocka_run_group_tests_name("moments", tests, NULL, NULL);
}
