/* Rotary frequencies: every kind gives the values of its published formula (computed
 * apart from this code, with another program), both spellings of a config mean the same,
 * and what is missing or impossible is refused by key. */
#include "runtime/format/rope_config.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#define YARN "\"rope_theta\": 1000000, \"rope_scaling\": {\"type\": \"yarn\", "

enum { POINTS = 5, POSITIONS = 32768 };

/* Frequencies of chosen pairs, and the gain. */
static const struct {
    const char *config;
    uint32_t head_dim;
    uint32_t pair[POINTS];
    double frequency[POINTS];
    double gain;
} cases[] = {
    { "", 8, { 0, 1, 2, 3, 3 }, { 1, 0.1, 0.01, 0.001, 0.001 }, 1 },
    { "\"rope_theta\": 1e4, \"rope_parameters\": {\"rope_type\": \"linear\", "
      "\"factor\": 2}",
      8,
      { 0, 1, 2, 3, 3 },
      { 0.5, 0.05, 0.005, 0.0005, 0.0005 },
      1 },
    { "\"rope_theta\": 10000, \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}",
      8,
      { 0, 1, 2, 3, 3 },
      { 0.5, 0.05, 0.005, 0.0005, 0.0005 },
      1 },
    { "\"rope_parameters\": {\"rope_theta\": 500000, \"rope_type\": \"llama3\", "
      "\"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4, "
      "\"original_max_position_embeddings\": 128}",
      32,
      { 0, 2, 3, 4, 15 },
      { 1, 0.19112647581653072, 0.029098592558668004, 0.0047007538663579916,
        5.6770881007598369e-07 },
      1 },
    { "\"rope_theta\": 500000.0, \"rope_scaling\": {\"rope_type\": \"llama3\", "
      "\"factor\": 32, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
      "\"original_max_position_embeddings\": 8192}",
      64,
      { 0, 14, 17, 20, 31 },
      { 1, 0.0032114459947525909, 9.7082878026276702e-05, 8.5702554898814781e-06,
        9.41830672543491e-08 },
      1 },
    /* the key beside the scaling goes before the one in it */
    { "\"original_max_position_embeddings\": 8192, \"rope_theta\": 500000.0, "
      "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 32, "
      "\"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
      "\"original_max_position_embeddings\": 128}",
      64,
      { 0, 14, 17, 20, 31 },
      { 1, 0.0032114459947525909, 9.7082878026276702e-05, 8.5702554898814781e-06,
        9.41830672543491e-08 },
      1 },
    { "\"original_max_position_embeddings\": 64, \"rope_parameters\": {\"rope_theta\": "
      "1e4, \"rope_type\": \"yarn\", \"factor\": 8, \"beta_fast\": 4, \"beta_slow\": "
      "0.5, \"mscale\": 1.0, \"mscale_all_dim\": 1.0}",
      16,
      { 1, 2, 3, 4, 7 },
      { 0.22399466759526021, 0.041666666666666671, 0.0039528470752104739, 0.00125,
        3.9528470752104742e-05 },
      1 },
    { YARN "\"factor\": 4.0, \"original_max_position_embeddings\": 32768}",
      64,
      { 0, 15, 20, 24, 31 },
      { 1, 0.0010266176840396614, 4.4456985250973067e-05, 7.9056941504209488e-06,
        3.8498163151487298e-07 },
      1.138629436111989 },
    { YARN "\"factor\": 4, \"truncate\": false, \"attention_factor\": 1.5}",
      64,
      { 0, 15, 20, 24, 31 },
      { 1, 0.0010792377416765538, 4.4456985250973067e-05, 7.9056941504209488e-06,
        3.8498163151487298e-07 },
      1.5 },
    { "\"rope_parameters\": {\"rope_theta\": 1e4, \"rope_type\": \"yarn\", \"factor\": "
      "8, \"original_max_position_embeddings\": 64, \"beta_fast\": 4, \"beta_slow\": "
      "0.5, \"mscale\": 1.0, \"mscale_all_dim\": 1.0}",
      16,
      { 1, 2, 3, 4, 7 },
      { 0.22399466759526021, 0.041666666666666671, 0.0039528470752104739, 0.00125,
        3.9528470752104742e-05 },
      1 },
    /* both spellings: rope_scaling counts, with the base that is anywhere but in
     * rope_parameters */
    { "\"rope_theta\": 1e4, \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}, "
      "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 5e5}",
      8,
      { 0, 1, 2, 3, 3 },
      { 0.5, 0.05, 0.005, 0.0005, 0.0005 },
      1 },
    { "\"rope_scaling\": {\"rope_type\": \"default\", \"rope_theta\": 1e4}, "
      "\"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 2}",
      8,
      { 0, 1, 2, 3, 3 },
      { 1, 0.1, 0.01, 0.001, 0.001 },
      1 },
    { "\"rope_theta\": 7, \"rope_scaling\": {}, \"rope_parameters\": {\"rope_type\": "
      "\"linear\", \"factor\": 2, \"rope_theta\": 1e4}",
      8,
      { 0, 1, 2, 3, 3 },
      { 0.5, 0.05, 0.005, 0.0005, 0.0005 },
      1 },
    /* one object per kind of layer */
    { "\"layer_types\": [\"full_attention\"], \"rope_parameters\": {"
      "\"sliding_attention\": {\"rope_type\": \"default\"}, \"full_attention\": "
      "{\"rope_type\": \"linear\", \"factor\": 2, \"rope_theta\": 1e4}}",
      8,
      { 0, 1, 2, 3, 3 },
      { 0.5, 0.05, 0.005, 0.0005, 0.0005 },
      1 },
    /* no room for a ramp: a step after pair 0 */
    { "\"rope_scaling\": {\"type\": \"yarn\", \"original_max_position_embeddings\": 8, "
      "\"beta_slow\": 1.5, \"factor\": 8}",
      16,
      { 0, 1, 2, 6, 7 },
      { 1, 0.31622776601683794 / 8, 0.0125, 0.000125, 0.00031622776601683794 / 8 },
      1.2079441541679836 },
    /* no factor: the ratio of the two contexts, 8 */
    { "\"rope_scaling\": {\"type\": \"yarn\", \"original_max_position_embeddings\": "
      "4096, \"mscale\": 1.0, \"mscale_all_dim\": 0.8}",
      16,
      { 0, 0, 0, 0, 0 },
      { 1, 1, 1, 1, 1 },
      1.0356570849393496 },
};

static rt_status read(struct rt_ctx *ctx, const char *text, struct fmt_rope *out)
{
    char whole[512];
    snprintf(whole, sizeof whole, "{%s}", text);
    json_t *root = json_loads(whole, 0, NULL);
    if (!root)
        fail_msg("the case is not JSON: %s", whole);
    const rt_status st = fmt_rope_read(ctx, "config.json", root, POSITIONS, out);
    json_decref(root);
    return st;
}

static void every_kind_gives_its_published_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_rope rope;
        double f[64];
        if (read(&ctx, cases[i].config, &rope) != RT_OK)
            fail_msg("%s", ctx.message);
        fmt_rope_frequencies(&rope, cases[i].head_dim, f);
        for (int k = 0; k < POINTS; k++) {
            const double want = cases[i].frequency[k], got = f[cases[i].pair[k]];
            if (!(fabs(got - want) <= 1e-12 * want))
                fail_msg("case %zu pair %u: %.17g, not %.17g", i, cases[i].pair[k], got,
                         want);
        }
        if (!(fabs(rope.gain - cases[i].gain) <= 1e-12))
            fail_msg("case %zu: gain %.17g, not %.17g", i, rope.gain, cases[i].gain);
    }
}

static const struct {
    const char *config, *message;
} refused[] = {
    { "\"rope_scaling\": {\"rope_type\": \"longrope\"}",
      "'longrope' is not supported; default, linear, llama3, yarn are" },
    { "\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}", "'dynamic'" },
    { "\"rope_scaling\": {\"type\": \"linear\"}", "'factor'" },
    { "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 0}", "'factor'" },
    { "\"rope_scaling\": {\"type\": \"linear\", \"factor\": \"2\"}", "'factor'" },
    { "\"rope_scaling\": {\"type\": \"yarn\"}", "'factor'" },
    { "\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4, \"beta_fast\": -1}",
      "'beta_fast'" },
    { "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8}",
      "'low_freq_factor'" },
    { "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, "
      "\"low_freq_factor\": 4, \"high_freq_factor\": 4}",
      "low_freq_factor must be below" },
    { "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, "
      "\"low_freq_factor\": 1, \"high_freq_factor\": 4, "
      "\"original_max_position_embeddings\": 0}",
      "'original_max_position_embeddings'" },
    { "\"original_max_position_embeddings\": \"8k\", \"rope_scaling\": {\"type\": "
      "\"yarn\", \"factor\": 4, \"original_max_position_embeddings\": 8192}",
      "'original_max_position_embeddings'" },
    { "\"rope_theta\": 1", "rope_theta" },
    { "\"rope_parameters\": {\"rope_theta\": null}", "rope_theta" },
    { "\"partial_rotary_factor\": 0.5", "partial_rotary_factor" },
    { "\"partial_rotary_factor\": 0.5, \"rope_parameters\": {\"rope_theta\": 1e4}",
      "partial_rotary_factor" },
    { "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}, \"rope_parameters\": "
      "{\"rope_theta\": 5e5}",
      "has no rope_theta, they have 500000" },
    { "\"layer_types\": [\"full_attention\", \"sliding_attention\"], "
      "\"rope_parameters\": {\"sliding_attention\": {\"rope_theta\": 2e4}, "
      "\"full_attention\": {\"rope_theta\": 1e4}}",
      "'sliding_attention' differ" },
    { "\"rope_parameters\": {\"sliding_attention\": {\"rope_theta\": 2e4}}",
      "have none of 'full_attention'" },
};

static void what_cannot_be_is_refused_by_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < RT_COUNT(refused); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_rope rope;
        const rt_status st = read(&ctx, refused[i].config, &rope);
        test_refused(&ctx, st, RT_ERR_INPUT, "config.json", refused[i].message, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_gives_its_published_values),
        cmocka_unit_test(what_cannot_be_is_refused_by_key),
    };
    return cmocka_run_group_tests_name("rope config", tests, NULL, NULL);
}
