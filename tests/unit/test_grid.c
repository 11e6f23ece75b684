/* The plain models that a repair is held against: quantizer and symmetry stay, one thing
 * changes, and their bits are those that the quantizer writes. */
#include "pipeline/restore/restore_grid.h"
#include "pipeline/restore/training.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

static const struct restore_grid two = { "gptq", 2, 32, true },
                                 row = { "rtn", 3, 0, false };

static void expect(struct restore_grid g, uint32_t bits, uint32_t group)
{
    if (g.bits != bits || (bits && g.group != group))
        fail_msg("%u bits, group %u instead of %u, %u", g.bits, g.group, bits, group);
}

static void controls_change_one_thing(void **state)
{
    (void)state;
    const struct restore_grid more = restore_grid_more_bits(&two);
    assert_true(strcmp(more.method, "gptq") == 0 && more.asymmetric);
    expect(more, 3, 32);
    expect(restore_grid_more_bits(&(struct restore_grid){ "awq", 4, 0, false }), 8, 0);
    expect(restore_grid_more_bits(&(struct restore_grid){ "awq", 8, 0, false }), 0, 0);
    expect(restore_grid_smaller_groups(&row), 3, 32);
    expect(restore_grid_smaller_groups(&two), 2, 16);
    expect(restore_grid_smaller_groups(&(struct restore_grid){ "rtn", 4, 16, true }), 0,
           0);
    expect(restore_grid_smaller_groups(&(struct restore_grid){ "rtn", 4, 128, true }), 4,
           64);
    expect(restore_grid_smaller_groups(&(struct restore_grid){ "rtn", 4, 96, true }), 4,
           32);
}

static void names_are_read(void **state)
{
    (void)state;
    uint64_t seed = 7;
    expect(restore_grid_named("plain-3-row", &two), 3, 0);
    expect(restore_grid_named("plain-4-g128", &two), 4, 128);
    expect(restore_grid_named("plain-4-g16", &two), 4, 16);
    expect(restore_grid_named("plain-4-g48", &two), 0, 0);
    static const char *const none[] = { "plain",        "plain-",       "plain-5-row",
                                        "plain-3",      "plain-3-g",    "plain-3-g33",
                                        "plain-3-g32x", "plain-3-rows", "plain--3-row",
                                        "more" };
    for (size_t i = 0; i < RT_COUNT(none); i++)
        expect(restore_grid_named(none[i], &two), 0, 0);
    assert_string_equal(pipe_restore_recipe_of_arm("default", &seed)->name, "refine");
    assert_true(seed == 7);
    assert_string_equal(pipe_restore_recipe_of_arm("refine-kept@12", &seed)->name,
                        "refine-kept");
    assert_true(seed == 12);
    assert_null(pipe_restore_recipe_of_arm("refine@", &seed));
    assert_null(pipe_restore_recipe_of_arm("refine@1x", &seed));
}

static void bits_and_neighbours_are_of_the_model(void **state)
{
    (void)state;
    char folder[512], text[96];
    struct rt_ctx ctx = { 0 };
    struct fmt_config c;
    test_path(folder, sizeof folder, "pipeline/demo");
    assert_int_equal(fmt_config_read(&ctx, folder, &c), RT_OK);
    /* 2 + (32 + 2) / 32, and 3 + 32 * 1,280 rows / 196,608 weights of a layer */
    assert_true(fabs(restore_grid_bits(&two, &c) - 3.0625) < 1e-12);
    assert_true(fabs(restore_grid_bits(&row, &c) - 3.2083333333) < 1e-9);
    expect(restore_grid_nearest(&two, &c, 3.0625), 3, 0);
    expect(restore_grid_nearest(&row, &c, 3.2083), 3, 128);
    expect(restore_grid_nearest(&two, &c, 9), 8, 32);
    /* 3 + (32 + 3) / 16; as many bits as 4-bit codes in groups of 32, but for zero points */
    const struct restore_grid small = { "gptq", 3, 16, true },
                              even = { "gptq", 3, 16, false };
    assert_true(fabs(restore_grid_bits(&small, &c) - 5.1875) < 1e-12);
    expect(restore_grid_nearest(&small, &c, 5.1875), 4, 32);
    expect(restore_grid_nearest(&even, &c, 5), 4, 32);
    expect(restore_grid_nearest(&row, &c, 4), 3, 32); /* not 2 bits in groups of 16 */
    expect(restore_grid_nearest(&even, &c, 6), 4, 16);
    restore_grid_text(&two, text, sizeof text);
    assert_string_equal(text, "gptq, 2 bits, groups of 32, asymmetric");
}

static void a_file_says_what_made_it(void **state)
{
    (void)state;
    struct fmt_quantization q = { .present = true,
                                  .method = FMT_PACK_QUANTIZED,
                                  .bits = 4,
                                  .group = 128,
                                  .algorithm = "awq" };
    struct restore_grid g = restore_grid_of(&q, 4.3, "gptq");
    expect(g, 4, 128);
    assert_true(strcmp(g.method, "awq") == 0 && g.asymmetric);
    q.group = 16;
    expect(restore_grid_of(&q, 6.3, "gptq"), 4, 16);
    q.group = 48;
    expect(restore_grid_of(&q, 5.3, "gptq"), 4, 0);
    q.group = 128;
    q.algorithm[0] = '\0';
    q.method = FMT_GPTQ;
    q.symmetric = true;
    g = restore_grid_of(&q, 4.3, "rtn");
    assert_true(strcmp(g.method, "gptq") == 0 && !g.asymmetric);
    g = restore_grid_of(&(struct fmt_quantization){ .present = false }, 4.85, "gptq");
    expect(g, 4, 0);
    assert_string_equal(g.method, "gptq");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(controls_change_one_thing),
        cmocka_unit_test(names_are_read),
        cmocka_unit_test(bits_and_neighbours_are_of_the_model),
        cmocka_unit_test(a_file_says_what_made_it),
    };
    return cmocka_run_group_tests_name("grids of plain models", tests, NULL, NULL);
}
