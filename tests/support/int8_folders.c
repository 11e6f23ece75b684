/* tests/support/int8_folders.c
 * What tests of W8A8 folders share. */
#include "tests/support/int8_folders.h"
#include "runtime/engine/engine.h"
#include "runtime/observe/score.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 48, PROMPT = 9, NEW = 6 };

static uint32_t id_at(uint32_t t, uint32_t vocab)
{
    return (t * 7 + t * t) % vocab;
}

/* Logits of all of some tokens by a folder; *vocab per token, owned by the caller. */
static float *logits_of(struct rt_device *dev, const char *folder, uint32_t *vocab)
{
    uint32_t ids[TOKENS];
    struct rt_model *model = NULL;
    struct rt_scorer *scorer = NULL;
    if (rt_model_load(dev, folder, 64, &model) != RT_OK ||
        rt_scorer_create(model, NULL, NULL, 64, &scorer) != RT_OK)
        fail_msg("%s", rt_device_ctx(dev)->message);
    *vocab = rt_model_config(model)->vocab;
    for (uint32_t t = 0; t < TOKENS; t++)
        ids[t] = id_at(t, *vocab);
    float *logits = malloc((size_t)TOKENS * *vocab * sizeof *logits);
    assert_int_equal(rt_scorer_logits(scorer, ids, TOKENS, logits), RT_OK);
    rt_scorer_destroy(&scorer);
    rt_model_destroy(&model);
    return logits;
}

double test_int8_apart(struct rt_device *a, const char *from, struct rt_device *b,
                       const char *to)
{
    uint32_t vocab;
    double sum = 0;
    float *x = logits_of(a, from, &vocab), *y = logits_of(b, to, &vocab);
    for (size_t i = 0; i < (size_t)TOKENS * vocab; i++)
        sum += pow((double)x[i] - (double)y[i], 2);
    free(x);
    free(y);
    return sqrt(sum / ((double)TOKENS * vocab));
}

void test_int8_quantize(struct rt_device *dev, const char *from, const char *to,
                        const char *method, enum quant_inputs inputs, double float_inputs,
                        struct quant_report *report)
{
    uint32_t ids[TOKENS];
    uint8_t mask[TOKENS] = { 0 };
    struct rt_model *model = NULL;
    if (rt_model_load(dev, from, 64, &model) != RT_OK)
        fail_msg("%s", rt_device_ctx(dev)->message);
    for (uint32_t t = 0; t < TOKENS; t++)
        ids[t] = id_at(t, rt_model_config(model)->vocab);
    const struct train_sequence sequence = { .ids = ids, .mask = mask, .n = TOKENS };
    const struct quant_calibration c = { .model = model,
                                         .sequences = &sequence,
                                         .count = 1 };
    const struct quant_options o = { .bits = 8,
                                     .inputs = inputs,
                                     .float_inputs = float_inputs,
                                     .method = quant_method_find(method) };
    if (quant_folder(rt_device_ctx(dev), from, to, &o, &c, false, report) != RT_OK)
        fail_msg("%s", rt_device_ctx(dev)->message);
    rt_model_destroy(&model);
}

void test_int8_ask(struct rt_model *model, uint32_t slots, uint32_t count,
                   struct test_generated *answers)
{
    struct rt_engine *engine = NULL;
    struct test_asking asking = { .count = count, .max_new = NEW, .answers = answers };
    const uint32_t vocab = rt_model_config(model)->vocab;
    for (uint32_t i = 0; i < count; i++) {
        asking.n_prompt[i] = 1 + i % PROMPT;
        asking.prompt[i] = calloc(PROMPT, sizeof *asking.prompt[i]);
        for (uint32_t t = 0; t < PROMPT; t++)
            asking.prompt[i][t] = id_at(5 * i + t, vocab);
    }
    const struct rt_engine_options options = { .slots = slots, .context = 32 };
    const struct rt_engine_calls calls = { .next = test_asking_next,
                                           .done = test_asking_done,
                                           .user = &asking };
    if (rt_engine_create(model, NULL, &options, &engine) != RT_OK ||
        rt_engine_run(engine, &calls) != RT_OK)
        fail_msg("%s", rt_device_ctx(rt_model_device(model))->message);
    rt_engine_destroy(&engine);
    for (uint32_t i = 0; i < count; i++)
        free(asking.prompt[i]);
}

struct rt_device *test_int8_ref(struct rt_ctx *ctx, bool float_inputs)
{
    struct rt_device *dev = NULL;
    const struct rt_device_options options = { .name = "ref",
                                               .float_inputs = float_inputs };
    assert_int_equal(rt_device_create(ctx, &options, &dev), RT_OK);
    return dev;
}
