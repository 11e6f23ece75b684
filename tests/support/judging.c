/* tests/support/judging.c
 * Opens the device, the results file and the session. */
#include "tests/support/judging.h"

#include "pipeline/locate/judge_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

void test_judging_open(struct rt_ctx *ctx, struct pipe_host *host, const char *db,
                       struct pipe_session *out)
{
    struct rt_device *dev = NULL;
    struct store *store = NULL;
    const struct rt_device_options device = { .name = "ref" };
    rt_status st = rt_device_create(ctx, &device, &dev);
    if (st == RT_OK)
        st = store_open(ctx, db, STORE_WRITE, &store);
    const struct pipe_session_options o = { .host = host,
                                            .dev = dev,
                                            .store = store,
                                            .model = TEST_JUDGE,
                                            .format = &pipe_format_judge,
                                            .campaign = "test",
                                            .plan = "{}" };
    if (st == RT_OK)
        st = pipe_session_open(out, ctx, &o);
    if (st != RT_OK)
        fail_msg("%s", ctx->message);
}
