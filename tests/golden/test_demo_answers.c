/* The demo model and its 3-bit version answer the measured problems as recorded with
 * another program (reference-answers.jsonl); the same bits at batch 1, 7 and 64.
 * FAULTLINE_TEST_PROBLEMS: how many (default 96, all: 2000). */
#include "runtime/engine/engine.h"
#include "runtime/format/checkpoint.h"
#include "runtime/format/safetensors.h"
#include "runtime/quant/folder.h"
#include "runtime/text/tokenizer.h"
#include "tests/support/devices.h"
#include "tests/support/generated.h"

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
#include <sys/resource.h>

enum { PROBLEMS_MAX = 2000, NEW_MAX = 112 };

struct problem {
    uint32_t *prompt, n_prompt;
    char *expected[2]; /* full, quantized */
    size_t size[2];    /* their bytes: one model writes U+0000 */
};

struct run {
    const struct problem *problems;
    uint32_t count, next;
    struct test_generated *answers;
};

static bool next(void *user, struct rt_request *out)
{
    struct run *r = user;
    if (r->next == r->count)
        return false;
    *out = (struct rt_request){ .key = r->next,
                                .prompt = r->problems[r->next].prompt,
                                .n_prompt = r->problems[r->next].n_prompt,
                                .max_new = NEW_MAX };
    r->next++;
    return true;
}

static rt_status done(void *user, const struct rt_answer *a)
{
    struct run *r = user;
    test_generated_take(a, &r->answers[a->key]);
    return RT_OK;
}

static uint32_t load_problems(struct text_tokenizer *tok, struct problem *out,
                              uint32_t max)
{
    char path[1024], *line = NULL, *text = NULL;
    size_t capacity = 0;
    uint32_t n = 0;
    FILE *questions =
        fopen(test_path(path, sizeof path, "pipeline/demo/measure.jsonl"), "r");
    FILE *answers =
        fopen(test_path(path, sizeof path, "pipeline/demo/reference-answers.jsonl"), "r");
    assert_true(questions && answers);
    while (n < max && getline(&line, &capacity, questions) > 0) {
        json_t *q = json_loads(line, 0, NULL);
        assert_true(getline(&line, &capacity, answers) > 0);
        json_t *a = json_loads(line, JSON_ALLOW_NUL, NULL);
        assert_true(q && a);
        const char *question = json_string_value(json_object_get(q, "question"));
        const size_t size = strlen(question) + 16;
        text = malloc(size);
        snprintf(text, size, "%s<|sep|>", question);
        assert_int_equal(
            text_encode(tok, text, strlen(text), true, &out[n].prompt, &out[n].n_prompt),
            RT_OK);
        for (int w = 0; w < 2; w++) {
            const json_t *answer = json_object_get(a, w ? "quant" : "full");
            out[n].size[w] = json_string_length(answer);
            out[n].expected[w] = calloc(1, out[n].size[w] + 1);
            memcpy(out[n].expected[w], json_string_value(answer), out[n].size[w]);
        }
        free(text);
        json_decref(q);
        json_decref(a);
        n++;
    }
    free(line);
    fclose(questions);
    fclose(answers);
    return n;
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void answer_all(struct rt_model *model, const struct problem *problems,
                       uint32_t count, uint32_t slots, struct test_generated *answers,
                       const char *what)
{
    struct rt_engine *engine = NULL;
    struct run run = { .problems = problems, .count = count, .answers = answers };
    const struct rt_engine_options options = {
        .slots = slots, .context = 224, .stop_ids = { 574 }, .stop_count = 1
    };
    const struct rt_engine_calls calls = { .next = next, .done = done, .user = &run };
    if (rt_engine_create(model, NULL, &options, &engine) != RT_OK)
        fail_msg("%s", rt_device_ctx(rt_model_device(model))->message);
    rt_device_stats_reset(rt_model_device(model));
    const double cpu = cpu_seconds();
    if (rt_engine_run(engine, &calls) != RT_OK)
        fail_msg("%s", rt_device_ctx(rt_model_device(model))->message);
    struct rt_engine_stats s;
    struct rt_device_stats d;
    rt_engine_stats_get(engine, &s);
    rt_device_stats_get(rt_model_device(model), &d);
    printf("    %-34s batch %2u: %llu tokens, %.2f s wall, %.2f device, %.2f CPU, %.2f "
           "GFLOP per CPU second, %llu steps, %llu submissions\n",
           what, slots, (unsigned long long)s.tokens, s.wall_seconds, d.busy_seconds,
           cpu_seconds() - cpu, s.flops / (cpu_seconds() - cpu) * 1e-9,
           (unsigned long long)s.steps, (unsigned long long)d.submissions);
    /* A growth of the cache is a copy of each layer. */
    assert_int_equal(d.submissions, s.steps + s.grown * rt_model_config(model)->layers);
    rt_engine_destroy(&engine);
}

/* Margin of the first token that is not the expected answer's. */
static float margin_where_they_part(struct text_tokenizer *tok,
                                    const struct test_generated *answer,
                                    const char *expected, size_t size)
{
    uint32_t *ids = NULL, n = 0, t = 0;
    assert_int_equal(text_encode(tok, expected, size, false, &ids, &n), RT_OK);
    while (t < n && t + 1 < answer->n && ids[t] == answer->ids[t])
        t++;
    rt_free(ids);
    return answer->margin[t];
}

/* Share of answers that are word for word as recorded; others must part at a near-tie. */
static double compare(struct text_tokenizer *tok, const struct problem *problems,
                      const struct test_generated *answers, uint32_t count, int which)
{
    uint32_t same = 0;
    for (uint32_t i = 0; i < count; i++) {
        char *text;
        size_t size;
        assert_int_equal(
            text_decode(tok, answers[i].ids, answers[i].n, true, &text, &size), RT_OK);
        if (size == problems[i].size[which] &&
            memcmp(text, problems[i].expected[which], size) == 0) {
            same++;
        } else {
            const float margin = margin_where_they_part(
                tok, &answers[i], problems[i].expected[which], problems[i].size[which]);
            printf("      problem %u differs; margin there %.2e\n", i, (double)margin);
            if (!(margin < 1e-3f))
                fail_msg("problem %u is answered otherwise, and not at a "
                         "near-tie:\n%s\n--\n%s",
                         i, text, problems[i].expected[which]);
        }
        rt_free(text);
    }
    return (double)same / count;
}

static void check_device(const struct test_device *device, const char *quant_path)
{
    static const double bars[2] = { 0.995, 0.99 };
    struct rt_ctx ctx;
    char path[1024];
    test_ctx(&ctx);
    const char *wanted = getenv("FAULTLINE_TEST_PROBLEMS");
    uint32_t count = wanted ? (uint32_t)strtoul(wanted, NULL, 10) : 96;
    if (strcmp(device->device, "ref") == 0 && count > 8)
        count = 8;
    /* The tiled kernels are for GPUs: here a token takes up to 0.1 CPU seconds. */
    const bool slow = device->family == RT_FAMILY_TILED;
    if (slow && !wanted)
        count = test_device_is_slow(device) ? 8 : 24;
    struct text_tokenizer *tok = NULL;
    assert_int_equal(
        text_tokenizer_load(&ctx, test_path(path, sizeof path, "pipeline/demo"), &tok),
        RT_OK);
    struct problem *problems = calloc(PROBLEMS_MAX, sizeof *problems);
    struct test_generated *wide = calloc(PROBLEMS_MAX, sizeof *wide);
    struct test_generated *narrow = calloc(PROBLEMS_MAX, sizeof *narrow);
    count = load_problems(tok, problems, count < PROBLEMS_MAX ? count : PROBLEMS_MAX);
    struct rt_device *dev = test_device_open(&ctx, device);
    for (int which = 0; which < 2; which++) {
        struct rt_model *model = NULL;
        char what[96];
        snprintf(what, sizeof what, "%s %s", device->name, which ? "3-bit" : "full");
        memset(wide, 0, PROBLEMS_MAX * sizeof *wide);
        if (rt_model_load(
                dev, which ? quant_path : test_path(path, sizeof path, "pipeline/demo"),
                224, &model) != RT_OK)
            fail_msg("%s", ctx.message);
        answer_all(model, problems, count, 64, wide, what);
        const double share = compare(tok, problems, wide, count, which);
        printf("    %-34s %.4f word for word as recorded (n %u)\n", what, share, count);
        assert_true(share >= bars[which]);
        const struct {
            uint32_t batch, problems;
        } narrower[] = { { 7, slow ? 7 : 24 }, { 1, slow ? 1 : 4 } };
        for (size_t b = 0; b < RT_COUNT(narrower); b++) {
            const uint32_t few =
                count < narrower[b].problems ? count : narrower[b].problems;
            memset(narrow, 0, few * sizeof *narrow);
            answer_all(model, problems, few, narrower[b].batch, narrow, what);
            if (memcmp(wide, narrow, few * sizeof *narrow) != 0)
                fail_msg("%s: batch %u changes bits", what, narrower[b].batch);
        }
        rt_model_destroy(&model);
    }
    for (uint32_t i = 0; i < count; i++) {
        rt_free(problems[i].prompt);
        free(problems[i].expected[0]);
        free(problems[i].expected[1]);
    }
    free(problems);
    free(wide);
    free(narrow);
    rt_device_destroy(&dev);
    text_tokenizer_destroy(&tok);
}

/* The recorded answers are of the grid that uses 7 of 8 codes: scale = max |w| / 3, codes of
 * -3 to 3. Codes and scales of a folder at 3 bits per row are replaced by those. */
enum { TENSORS_MAX = 256, BITS = 3, ZERO = 4, END = 3 };

static uint32_t *narrow_codes(const float *w, uint32_t out, uint32_t in, float *scales)
{
    const uint32_t words = (in * BITS + 31) / 32;
    uint32_t *packed = calloc((size_t)out * words, sizeof *packed);
    assert_non_null(packed);
    for (uint32_t r = 0; r < out; r++) {
        float most = 0;
        for (uint32_t k = 0; k < in; k++)
            most = fmaxf(most, fabsf(w[r * in + k]));
        scales[r] = most / END;
        for (uint32_t k = 0; k < in; k++) {
            const float x = rintf(w[r * in + k] / scales[r]);
            const uint32_t code = (uint32_t)(fminf(fmaxf(x, -END), END) + ZERO);
            for (uint32_t b = 0; b < BITS; b++)
                packed[r * words + (k * BITS + b) / 32] |= (code >> b & 1)
                                                           << (k * BITS + b) % 32;
        }
    }
    return packed;
}

/* Codes and scales of one projection: takes the place of two tensors of `out`. */
static void narrow_module(struct fmt_model *source, struct fmt_tensor_out *out,
                          uint32_t count, const struct fmt_tensor_out *scale)
{
    char module[256], packed[300];
    uint32_t rows, columns;
    snprintf(module, sizeof module, "%.*s",
             (int)(strlen(scale->name) - strlen(".weight_scale")), scale->name);
    snprintf(packed, sizeof packed, "%s.weight_packed", module);
    assert_int_equal(fmt_weight_size(source, module, &rows, &columns), RT_OK);
    float *w = calloc((size_t)rows * columns, sizeof *w);
    float *scales = calloc(rows, sizeof *scales);
    assert_true(w && scales);
    assert_int_equal(fmt_weight_floats(source, module, rows, columns, w), RT_OK);
    const uint32_t *codes = narrow_codes(w, rows, columns, scales);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(out[i].name, packed) == 0)
            out[i].data = codes;
        if (strcmp(out[i].name, scale->name) == 0)
            out[i].data = scales;
    }
    free(w);
}

static void use_recorded_grid(struct rt_ctx *ctx, const char *demo, const char *folder)
{
    char path[128];
    struct fmt_model *source = NULL;
    struct fmt_safetensors file;
    static struct fmt_tensor_out out[TENSORS_MAX]; /* its data stays to the end */
    assert_int_equal(fmt_model_open(ctx, demo, &source), RT_OK);
    assert_int_equal(fmt_safetensors_open_folder(ctx, folder, &file), RT_OK);
    assert_true(file.count <= TENSORS_MAX);
    for (uint32_t i = 0; i < file.count; i++) {
        const struct fmt_tensor *t = &file.tensors[i];
        out[i] = (struct fmt_tensor_out){
            .name = t->name, .dtype = t->dtype, .dims = t->dims, .data = t->data
        };
        memcpy(out[i].shape, t->shape, sizeof out[i].shape);
    }
    for (uint32_t i = 0; i < file.count; i++)
        if (strstr(out[i].name, ".weight_scale"))
            narrow_module(source, out, file.count, &out[i]);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    assert_int_equal(fmt_safetensors_write(ctx, path, out, file.count, NULL), RT_OK);
    fmt_safetensors_close(&file);
    fmt_model_close(&source);
}

static void answers_are_as_recorded_at_any_batch(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    char folder[] = "/tmp/faultline-test-XXXXXX", to[64], path[1024], command[96];
    struct quant_report report;
    const struct quant_options options = { .bits = BITS };
    test_ctx(&ctx);
    assert_non_null(mkdtemp(folder));
    snprintf(to, sizeof to, "%s/q3", folder);
    assert_int_equal(quant_folder(&ctx, test_path(path, sizeof path, "pipeline/demo"), to,
                                  &options, NULL, false, &report),
                     RT_OK);
    use_recorded_grid(&ctx, path, to);
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    assert_true(n > 0);
    for (uint32_t i = 0; i < n; i++)
        check_device(&devices[i], to);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        answers_are_as_recorded_at_any_batch) };
    return cmocka_run_group_tests_name("demo answers", tests, NULL, NULL);
}
