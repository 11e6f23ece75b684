/* What one pass saw of the inputs serves folders and files of all methods: each is, byte for
 * byte, what a pass of its own makes. A pass that ends early continues; another text starts
 * anew; a disk that is full, files that are damaged and a process that works there are
 * noticed. */
#include "runtime/base/os.h"
#include "runtime/quant/folder.h"
#include "runtime/quant/gguf_file.h"
#include "runtime/quant/seen_inputs.h"
#include "tests/support/devices.h"
#include "tests/support/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { LAYERS = TEST_TINY_LAYERS, GROUPS = LAYERS * MODEL_GROUP_COUNT };

struct ground {
    struct test_tiny at;
    char seen[1200];           /* folder */
    struct quant_seen *shared; /* NULL: each has a pass of its own */
    struct rlimit before, cut; /* file sizes, while groups are written */
    bool is_cut;               /* they are limited */
    uint32_t left;             /* matrices before the work is stopped */
    uint32_t heard, passes;    /* of the last run */
    uint64_t forward_ns;       /* the same */
};

static rt_status after_matrix(struct ground *g)
{
    if (g->is_cut)
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &g->before), 0);
    g->heard++;
    return g->left-- == 0 ? RT_ERR_INTERRUPTED : RT_OK;
}

static rt_status after_folder_matrix(void *user, const struct quant_fared *fared)
{
    assert_true(fared->objective >= 0);
    return after_matrix(user);
}

static rt_status after_file_matrix(void *user, const struct quant_gguf_fared *fared)
{
    assert_true(fared->error >= 0);
    return after_matrix(user);
}

static rt_status after_pass(void *user, uint64_t done, uint64_t total)
{
    struct ground *g = user;
    assert_true(done <= total);
    g->passes++;
    if (g->is_cut)
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &g->cut), 0);
    return RT_OK;
}

static rt_status open_shared(struct ground *g, uint32_t what)
{
    const struct quant_seen_source source = {
        .model = g->at.model, .sequences = &g->at.sequence, .count = 1, .what = what
    };
    return quant_seen_open(&source, g->seen, &g->shared);
}

static void init(struct ground *g, uint32_t what)
{
    *g = (struct ground){ .left = UINT32_MAX };
    test_tiny_init(&g->at, true);
    snprintf(g->seen, sizeof g->seen, "%s", test_folder_file(&g->at.to, "seen"));
    if (open_shared(g, what) != RT_OK)
        fail_msg("%s", g->at.ctx.message);
}

static void deinit(struct ground *g)
{
    quant_seen_close(&g->shared);
    test_tiny_deinit(&g->at);
}

static rt_status make_folder(struct ground *g, struct quant_seen *shared,
                             const struct quant_options *o, const char *to)
{
    struct quant_report report;
    const struct quant_calibration c = { .model = g->at.model,
                                         .sequences = &g->at.sequence,
                                         .count = 1,
                                         .shared = shared,
                                         .pass = after_pass,
                                         .matrix = after_folder_matrix,
                                         .user = g };
    g->heard = g->passes = 0;
    const rt_status st = quant_folder(&g->at.ctx, g->at.from, to, o, &c, false, &report);
    g->forward_ns = report.times.forward_ns;
    return st;
}

static void expect_same(const char *a, const char *b)
{
    static const char *const names[] = { "model.safetensors", "config.json" };
    char x[1200], y[1200];
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        snprintf(x, sizeof x, "%s/%s", a, names[i]);
        snprintf(y, sizeof y, "%s/%s", b, names[i]);
        assert_true(test_file_same(x, y));
    }
}

static const struct quant_options gptq = { .bits = 3, .group = 32, .asymmetric = true };

/* Folders of the methods and options that candidates vary. */
static uint32_t options_of(struct quant_options list[8])
{
    for (int i = 0; i < 8; i++) {
        list[i] = gptq;
        list[i].method = quant_method_find(i < 4 ? "gptq" : i < 6 ? "awq" : "rtn");
    }
    list[1].search = list[5].search = list[6].search = true;
    list[2].natural_order = true;
    list[3].damping = 0.1;
    list[7] = (struct quant_options){ .bits = 8,
                                      .method = quant_method_find("smoothquant"),
                                      .inputs = QUANT_INPUTS_GIVEN,
                                      .float_inputs = 2 };
    return 8;
}

static void one_pass_makes_all_folders(void **state)
{
    (void)state;
    struct ground g;
    struct quant_options list[8];
    char own[1024], shared[1024], path[64];
    const uint32_t count = options_of(list);
    init(&g, QUANT_SEEN_ALL);
    uint64_t first = 0;
    for (uint32_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "own-%u", i);
        snprintf(own, sizeof own, "%s", test_folder_file(&g.at.to, path));
        snprintf(path, sizeof path, "shared-%u", i);
        snprintf(shared, sizeof shared, "%s", test_folder_file(&g.at.to, path));
        if (make_folder(&g, NULL, &list[i], own) != RT_OK ||
            make_folder(&g, g.shared, &list[i], shared) != RT_OK)
            fail_msg("%u: %s", i, g.at.ctx.message);
        assert_true(quant_seen_is_kept(g.shared));
        first = i == 0 ? g.forward_ns : first;
        assert_true(first > 0 && g.forward_ns == first); /* nobody passed again */
        expect_same(own, shared);
    }
    deinit(&g);
}

static rt_status make_file(struct ground *g, struct quant_seen *shared, uint32_t how,
                           const char *to)
{
    struct quant_gguf_report report;
    struct quant_importance seen = { 0 };
    const struct quant_gguf_calibration c = { .model = g->at.model,
                                              .sequences = &g->at.sequence,
                                              .count = 1,
                                              .shared = shared,
                                              .natural_order = how == 1,
                                              .damping = how == 2 ? 0.1 : 0,
                                              .seen = &seen,
                                              .pass = after_pass };
    const bool nearest = how == 4;
    const struct quant_gguf_options o = { .mix = quant_gguf_mix_find("Q4_0"),
                                          .calibration = nearest ? NULL : &c,
                                          .importance = nearest ? &seen : NULL,
                                          .importance_from = "a text",
                                          .plain = how == 3,
                                          .matrix = after_file_matrix,
                                          .user = g };
    const struct quant_importance_source source = {
        .model = g->at.model, .sequences = &g->at.sequence, .count = 1, .shared = shared
    };
    g->heard = 0;
    rt_status st = nearest ? quant_importance_observe(&g->at.ctx, &source, &seen) : RT_OK;
    if (st == RT_OK)
        st = quant_gguf_file(&g->at.ctx, g->at.from, to, &o, &report);
    quant_importance_deinit(&seen);
    return st;
}

static void one_pass_makes_all_files(void **state)
{
    (void)state;
    struct ground g;
    char own[1024], shared[1024], path[64];
    init(&g, QUANT_GGUF_NEEDS);
    for (uint32_t how = 0; how < 5; how++) {
        snprintf(path, sizeof path, "own-%u.gguf", how);
        snprintf(own, sizeof own, "%s", test_folder_file(&g.at.to, path));
        snprintf(path, sizeof path, "shared-%u.gguf", how);
        snprintf(shared, sizeof shared, "%s", test_folder_file(&g.at.to, path));
        g.left = how == 0 ? TEST_TINY_MATRICES + 2 : UINT32_MAX; /* stopped, continued */
        if (how == 0)
            assert_int_equal(make_file(&g, g.shared, how, shared), RT_ERR_INTERRUPTED);
        g.left = UINT32_MAX;
        if (make_file(&g, NULL, how, own) != RT_OK ||
            make_file(&g, g.shared, how, shared) != RT_OK)
            fail_msg("%u: %s", how, g.at.ctx.message);
        assert_true(test_file_same(own, shared));
    }
    deinit(&g);
}

/* Path of group i, or of the inputs of layer i. */
static const char *file_of(const struct ground *g, const char *kind, uint32_t i)
{
    static char path[1300];
    snprintf(path, sizeof path, "%s/%s-%04u.safetensors", g->seen, kind, i);
    return path;
}

static uint32_t count_groups(const struct ground *g)
{
    uint32_t n = 0;
    while (n < GROUPS && os_exists(file_of(g, "group", n)))
        n++;
    return n;
}

/* Stopped in the first layer, at its end, at the end of the second, in the third,
 * and at the last matrix; then with nothing kept of what was seen, where the folder has
 * finished layers. */
static void a_stopped_pass_continues(void **state)
{
    (void)state;
    static const uint32_t stops[] = { 2, TEST_TINY_MATRICES, 2 * TEST_TINY_MATRICES - 1,
                                      2 * TEST_TINY_MATRICES + 3,
                                      3 * TEST_TINY_MATRICES - 1 };
    struct ground g;
    struct quant_options list[8];
    char own[1024], path[64];
    options_of(list);
    init(&g, QUANT_SEEN_ALL);
    snprintf(own, sizeof own, "%s", test_folder_file(&g.at.to, "own"));
    assert_int_equal(make_folder(&g, NULL, &list[0], own), RT_OK);
    for (uint32_t i = 0; i < 2 * RT_COUNT(stops); i++) {
        const uint32_t stop = stops[i / 2];
        quant_seen_close(&g.shared);
        quant_seen_remove(g.seen);
        assert_false(os_exists(g.seen));
        assert_int_equal(open_shared(&g, QUANT_SEEN_ALL), RT_OK);
        snprintf(path, sizeof path, "shared-%u", i);
        const char *to = test_folder_file(&g.at.to, path);
        g.left = stop;
        assert_int_equal(make_folder(&g, g.shared, &list[0], to), RT_ERR_INTERRUPTED);
        const uint32_t seen = count_groups(&g);
        assert_true(seen >= stop / TEST_TINY_MATRICES * MODEL_GROUP_COUNT && seen > 0);
        quant_seen_close(&g.shared);
        if (i % 2)
            quant_seen_remove(g.seen);
        assert_int_equal(open_shared(&g, QUANT_SEEN_ALL), RT_OK);
        g.left = UINT32_MAX;
        if (make_folder(&g, g.shared, &list[0], to) != RT_OK)
            fail_msg("%s", g.at.ctx.message);
        assert_int_equal(g.heard, LAYERS * TEST_TINY_MATRICES);
        assert_int_equal(count_groups(&g), GROUPS);
        assert_int_equal(g.passes, LAYERS - (i % 2 ? 0 : stop / TEST_TINY_MATRICES));
        expect_same(own, to);
    }
    deinit(&g);
}

/* Nothing of another text, or of less that was asked for, is taken. */
static void another_text_starts_anew(void **state)
{
    (void)state;
    struct ground g;
    struct quant_options list[8];
    options_of(list);
    init(&g, OBSERVE_MOMENTS);
    const char *to = test_folder_file(&g.at.to, "to");
    assert_int_equal(make_folder(&g, g.shared, &list[0], to), RT_OK);
    quant_seen_close(&g.shared);
    assert_int_equal(open_shared(&g, OBSERVE_MOMENTS), RT_OK);
    assert_int_equal(count_groups(&g), GROUPS);
    quant_seen_close(&g.shared);
    assert_int_equal(open_shared(&g, QUANT_SEEN_ALL), RT_OK);
    assert_int_equal(count_groups(&g), 0);
    quant_seen_close(&g.shared);
    g.at.ids[3]++;
    assert_int_equal(open_shared(&g, OBSERVE_MOMENTS), RT_OK);
    assert_int_equal(count_groups(&g), 0);
    deinit(&g);
}

/* Folders are made all the same, each with a pass of its own, and one that was stopped
 * continues. */
static void a_full_disk_keeps_nothing(void **state)
{
    (void)state;
    struct ground g;
    struct quant_options list[8];
    char own[1024];
    options_of(list);
    init(&g, QUANT_SEEN_ALL);
    snprintf(own, sizeof own, "%s", test_folder_file(&g.at.to, "own"));
    assert_int_equal(make_folder(&g, NULL, &list[0], own), RT_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &g.before), 0);
    g.cut = g.before;
    g.cut.rlim_cur = 1024;
    for (uint32_t i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "shared-%u", i);
        const char *to = test_folder_file(&g.at.to, path);
        g.is_cut = i == 0;
        g.left = TEST_TINY_MATRICES + 1;
        if (i == 0)
            assert_int_equal(make_folder(&g, g.shared, &list[0], to), RT_ERR_INTERRUPTED);
        g.left = UINT32_MAX;
        if (make_folder(&g, g.shared, &list[0], to) != RT_OK)
            fail_msg("%s", g.at.ctx.message);
        assert_false(quant_seen_is_kept(g.shared));
        assert_int_equal(count_groups(&g), 0);
        expect_same(own, to);
    }
    deinit(&g);
}

static void damaged_files_are_named(void **state)
{
    (void)state;
    struct ground g;
    size_t size;
    struct quant_options list[8];
    options_of(list);
    init(&g, QUANT_SEEN_ALL);
    const char *to = test_folder_file(&g.at.to, "to");
    assert_int_equal(make_folder(&g, g.shared, &list[0], to), RT_OK);
    char *down = test_file_read(file_of(&g, "group", 3), &size);
    const size_t sizes[] = { size, size / 2, 5, 0 }; /* of other inputs; cut short */
    for (size_t i = 0; i < RT_COUNT(sizes); i++) {
        test_file_write(file_of(&g, "group", 0), down, sizes[i]);
        to = test_folder_file(&g.at.to, "other");
        const rt_status st = make_folder(&g, g.shared, &list[0], to);
        test_refused(&g.at.ctx, st, RT_ERR_INPUT, "group-0000", NULL);
        assert_false(os_exists(to));
    }
    free(down);
    deinit(&g);
}

static void a_working_process_is_not_disturbed(void **state)
{
    (void)state;
    struct ground g;
    char path[1300];
    init(&g, QUANT_SEEN_ALL);
    quant_seen_close(&g.shared);
    snprintf(path, sizeof path, "%s/job.json", g.seen);
    static const char job[] = "{\"key\":\"seen-\",\"process\":1}";
    test_file_write(path, job, strlen(job));
    const rt_status st = open_shared(&g, QUANT_SEEN_ALL);
    test_refused(&g.at.ctx, st, RT_ERR_USAGE, "process 1 works", NULL);
    assert_null(g.shared);
    assert_true(os_exists(path));
    deinit(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_pass_makes_all_folders),
        cmocka_unit_test(one_pass_makes_all_files),
        cmocka_unit_test(a_stopped_pass_continues),
        cmocka_unit_test(another_text_starts_anew),
        cmocka_unit_test(a_full_disk_keeps_nothing),
        cmocka_unit_test(damaged_files_are_named),
        cmocka_unit_test(a_working_process_is_not_disturbed),
    };
    return cmocka_run_group_tests_name("seen_inputs", tests, NULL, NULL);
}
