#include "tests/support/slopes.h"

#include "runtime/model/model_impl.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

/* Of the loss, either way: float losses of size 6 are good to 1e-6, and curvature shows
 * at a few thousandths of this. */
static const double CHANGE = 0.02;

enum { TOKENS = 40, RANK = 4 };

struct fmt_adapter *test_random_adapter(struct rt_ctx *ctx, const struct fmt_config *c,
                                        uint32_t rank, float size)
{
    struct fmt_adapter *a = NULL;
    assert_int_equal(fmt_adapter_new(ctx, c, rank, 2.0f * (float)rank, &a), RT_OK);
    for (uint32_t i = 0; i < a->layers * FMT_MODULE_COUNT; i++) {
        uint32_t out, in;
        fmt_module_size(c, (enum fmt_module)(i % FMT_MODULE_COUNT), &out, &in);
        for (uint32_t k = 0; k < rank * in; k++)
            a->lora[i].a[k] = size * ((float)train_word(1, k, i) / 2147483648.0f - 1);
        for (uint32_t k = 0; k < rank * out; k++)
            a->lora[i].b[k] = size * ((float)train_word(2, k, i) / 2147483648.0f - 1);
    }
    return a;
}

/* Matrix `i`: A of module i / 2, or its B; and how many elements it has. */
static const float *matrix_of(const struct fmt_adapter *g, const struct fmt_config *c,
                              uint32_t i, uint32_t *count)
{
    uint32_t out, in;
    const struct fmt_lora *l = &g->lora[i / 2];
    fmt_module_size(c, (enum fmt_module)(i / 2 % FMT_MODULE_COUNT), &out, &in);
    *count = l->rank * (i % 2 ? out : in);
    return i % 2 ? l->b : l->a;
}

static double norm_of(const float *x, const float *y, uint32_t count)
{
    double sum = 0;
    for (uint32_t k = 0; k < count; k++) {
        const double d = (double)x[k] - (y ? (double)y[k] : 0);
        sum += d * d;
    }
    return sqrt(sum);
}

struct rt_adapter *test_golden_adapter(struct rt_model *model)
{
    char path[1024];
    struct fmt_adapter *source = NULL;
    struct rt_adapter *adapter = NULL;
    struct rt_ctx *ctx = rt_device_ctx(rt_model_device(model));
    if (fmt_adapter_read(
            ctx, test_path(path, sizeof path, "tests/golden/lora/qwen2-tiny/plain"),
            rt_model_config(model), &source) != RT_OK ||
        rt_adapter_create(model, source, true, &adapter) != RT_OK)
        fail_msg("%s", ctx->message);
    return adapter;
}

double test_gradient_norm(const struct fmt_adapter *g, const struct fmt_config *c)
{
    double sum = 0;
    for (uint32_t i = 0; i < 2 * g->layers * FMT_MODULE_COUNT; i++) {
        uint32_t count;
        const float *x = matrix_of(g, c, i, &count);
        const double norm = norm_of(x, NULL, count);
        sum += norm * norm;
    }
    return sqrt(sum);
}

double test_gradients_differ(const struct fmt_adapter *g, const struct fmt_adapter *h,
                             const struct fmt_config *c, double cancelled)
{
    double worst = 0, largest = 0;
    uint32_t count;
    for (uint32_t i = 0; i < 2 * h->layers * FMT_MODULE_COUNT; i++) {
        const float *y = matrix_of(h, c, i, &count);
        largest = fmax(largest, norm_of(y, NULL, count));
    }
    for (uint32_t i = 0; i < 2 * g->layers * FMT_MODULE_COUNT; i++) {
        const float *y = matrix_of(h, c, i, &count);
        const double size = fmax(norm_of(y, NULL, count), cancelled * largest);
        const double share = norm_of(matrix_of(g, c, i, &count), y, count) / size;
        worst = share <= worst ? worst : share;
    }
    return worst;
}

/* sum += factor * the elements of one kind of g; returns the norm of those of g. */
static double add_kind(struct fmt_adapter *sum, const struct fmt_adapter *g,
                       const struct fmt_config *c, uint32_t kind, double factor)
{
    double squares = 0;
    for (uint32_t i = kind; i < g->layers * FMT_MODULE_COUNT; i += FMT_MODULE_COUNT) {
        uint32_t out, in;
        fmt_module_size(c, (enum fmt_module)kind, &out, &in);
        for (uint32_t k = 0; k < RANK * in; k++) {
            sum->lora[i].a[k] += (float)(factor * g->lora[i].a[k]);
            squares += (double)g->lora[i].a[k] * g->lora[i].a[k];
        }
        for (uint32_t k = 0; k < RANK * out; k++) {
            sum->lora[i].b[k] += (float)(factor * g->lora[i].b[k]);
            squares += (double)g->lora[i].b[k] * g->lora[i].b[k];
        }
    }
    return sqrt(squares);
}

struct slopes {
    struct rt_ctx *ctx;
    struct rt_model *model; /* borrowed */
    struct rt_adapter *adapter;
    struct rt_trainer *trainer;
    struct train_sequence batch;
};

static double loss_of(struct slopes *b)
{
    struct train_metrics metrics;
    if (rt_trainer_gradient(b->trainer, &b->batch, 1, &metrics) != RT_OK)
        fail_msg("%s", b->ctx->message);
    return metrics.loss;
}

/* Loss with the matrices of one kind moved by `factor` along g. */
static double moved(struct slopes *b, const struct fmt_adapter *g, uint32_t kind,
                    double factor)
{
    const struct fmt_config *c = &b->model->config;
    struct fmt_adapter *kept = NULL, *source = b->adapter->source;
    assert_int_equal(fmt_adapter_copy(b->ctx, source, c, &kept), RT_OK);
    add_kind(source, g, c, kind, factor);
    assert_int_equal(rt_adapter_upload(b->adapter), RT_OK);
    const double loss = loss_of(b);
    b->adapter->source = kept;
    fmt_adapter_destroy(&source);
    return loss;
}

/* Tokens and their mask, behind a session that uses them. */
struct session {
    struct slopes slopes;
    uint32_t ids[TOKENS];
    uint8_t mask[TOKENS];
};

static void session_open(struct session *s, struct rt_model *model)
{
    struct slopes *b = &s->slopes;
    struct train_options options;
    *b = (struct slopes){ .ctx = rt_device_ctx(model->dev),
                          .model = model,
                          .batch = { .ids = s->ids, .mask = s->mask, .n = TOKENS } };
    for (uint32_t t = 0; t < TOKENS; t++) {
        s->ids[t] = train_word(3, t, 0) % model->config.vocab;
        s->mask[t] = t % 3 != 0;
    }
    train_options_default(&options);
    options.loss = TRAIN_SFT;
    assert_int_equal(
        rt_adapter_create(model, test_random_adapter(b->ctx, &model->config, RANK, 0.1f),
                          true, &b->adapter),
        RT_OK);
    assert_int_equal(
        rt_trainer_create(model, b->adapter, NULL, &options, TOKENS, 0, &b->trainer),
        RT_OK);
}

static void session_close(struct session *s)
{
    rt_trainer_destroy(&s->slopes.trainer);
    rt_adapter_destroy(&s->slopes.adapter);
}

static struct fmt_adapter *gradient_of(struct slopes *b)
{
    struct fmt_adapter *g = NULL;
    loss_of(b);
    assert_int_equal(fmt_adapter_copy(b->ctx, b->adapter->source, &b->model->config, &g),
                     RT_OK);
    assert_int_equal(rt_trainer_read_gradient(b->trainer, g), RT_OK);
    return g;
}

struct fmt_adapter *test_gradient(struct rt_model *model)
{
    struct session s;
    session_open(&s, model);
    struct fmt_adapter *g = gradient_of(&s.slopes);
    session_close(&s);
    return g;
}

double test_worst_slope(struct rt_model *model, double kinds[FMT_MODULE_COUNT])
{
    struct session s;
    struct slopes *b = &s.slopes;
    double worst = 0;
    session_open(&s, model);
    struct fmt_adapter *g = gradient_of(b);
    for (uint32_t kind = 0; kind < FMT_MODULE_COUNT; kind++) {
        const double norm = add_kind(g, g, &model->config, kind, 0);
        assert_true(norm > 1e-4);
        const double step = CHANGE / (norm * norm); /* g is not normalised */
        kinds[kind] = (moved(b, g, kind, step) - moved(b, g, kind, -step)) / (2 * CHANGE);
        /* written so that NaN is the worst */
        if (!(fabs(kinds[kind] - 1) <= worst))
            worst = fabs(kinds[kind] - 1);
    }
    fmt_adapter_destroy(&g);
    session_close(&s);
    return worst;
}
