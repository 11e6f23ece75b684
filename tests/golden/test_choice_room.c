/* A device that does not hold the model and a candidate: one is made and that is said, or the
 * choice is refused with the figures if it was asked for. */
#include "pipeline/run/quantize_cost.h"
#include "runtime/device/device_impl.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum { LINES = 600 };

static struct rt_ctx ctx;
static char said[4096];

static rt_status never_stopping(void *user)
{
    (void)user;
    return RT_OK;
}

static void keep_line(void *user, const char *line)
{
    (void)user;
    const size_t n = strlen(said);
    snprintf(said + n, sizeof said - n, "%s\n", line);
}

static void no_progress(void *user, const struct pipe_progress *progress)
{
    (void)user, (void)progress;
}

static const struct pipe_host host = { never_stopping, keep_line, no_progress, NULL };

/* A session on a device of its own memory. */
static void open_session(struct pipe_session *session, const char *model)
{
    struct rt_device *dev = NULL;
    struct store *store = NULL;
    const struct rt_device_options device = { .name = "ref" };
    const char *db = test_folder_file(&test_scratch, "room.db");
    remove(db);
    said[0] = '\0';
    rt_status st = rt_device_create(&ctx, &device, &dev);
    if (st == RT_OK)
        st = store_open(&ctx, db, STORE_WRITE, &store);
    const struct pipe_session_options o = { .host = &host,
                                            .dev = dev,
                                            .store = store,
                                            .model = model,
                                            .campaign = "eval",
                                            .plan = "{}" };
    if (st == RT_OK)
        st = pipe_session_open(session, &ctx, &o);
    if (st != RT_OK)
        fail_msg("%s", ctx.message);
    dev->info.software = false;
}

static const char *text_file(void)
{
    const char *path = test_folder_file(&test_scratch, "room.txt");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < LINES; i++)
        fprintf(file, "Tom has %d apples and buys %d more.\n", i, i % 7);
    fclose(file);
    return path;
}

struct case_of {
    bool asked, gguf;
    int64_t room; /* bytes of the device beside what is needed */
    rt_status status;
    uint32_t candidates;
};

static rt_status make(struct pipe_session *session, const struct case_of *c,
                      const struct pipe_calibrated_options *o,
                      struct pipe_selected *selected)
{
    rt_status st;
    uint64_t need;
    struct pipe_quantize_options folder = { .method = "rtn", .bits = 4 };
    struct pipe_gguf_options file = { .type = "Q4_0", .nearest = true };
    struct pipe_quantized quantized = { 0 };
    struct pipe_gguf_made made = { 0 };
    const struct pipe_calibrated_calls none = { NULL, NULL, NULL };
    TRY(pipe_quantize_compared_bytes(session, o->model, c->gguf ? NULL : &folder,
                                     c->gguf ? &file : NULL, &need));
    session->dev->info.facts.device_heap_bytes = (uint64_t)((int64_t)need + c->room);
    st = c->gguf
             ? pipe_quantize_gguf_calibrated(session, o, &none, &file, selected, &made)
             : pipe_quantize_calibrated(session, o, &none, &folder, selected, &quantized);

fail:
    pipe_quantized_deinit(&quantized);
    pipe_gguf_made_deinit(&made);
    return st;
}

static void check(const struct case_of *c)
{
    char model[1024], name[32];
    static int made;
    struct pipe_session session = { 0 };
    struct pipe_selected selected = { .count = 0 };
    test_path(model, sizeof model, "pipeline/demo");
    snprintf(name, sizeof name, "room-%d", made++);
    open_session(&session, model);
    const struct pipe_calibrated_options o = {
        .model = model,
        .out = test_folder_file(&test_scratch, name),
        .read = { .from = text_file(), .items = 16, .length = 128 },
        .choose = true,
        .choice_asked = c->asked,
        .open = { .search = true },
    };
    const rt_status st = make(&session, c, &o, &selected);
    if (st != c->status)
        fail_msg("%d: %s", (int)st, ctx.message);
    assert_int_equal(selected.count, c->candidates);
    assert_int_equal(strstr(said, "one candidate is made") != NULL,
                     st == RT_OK && c->candidates == 0);
    if (st != RT_OK)
        test_refused(&ctx, st, RT_ERR_NO_DEVICE, "--select kl compares", "MiB on 'ref",
                     "--select none", NULL);
    pipe_session_close(&session);
}

static void a_choice_needs_room(void **state)
{
    (void)state;
    for (int gguf = 0; gguf < 2; gguf++) {
        const struct case_of cases[] = {
            { false, gguf, 64 << 20, RT_OK, 2 },
            { true, gguf, 64 << 20, RT_OK, 2 },
            { false, gguf, -1, RT_OK, 0 },
            { true, gguf, -1, RT_ERR_NO_DEVICE, 0 },
        };
        for (size_t i = 0; i < RT_COUNT(cases); i++)
            check(&cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_choice_needs_room),
    };
    return cmocka_run_group_tests_name("room of a choice", tests, test_scratch_set_up,
                                       test_scratch_tear_down);
}
