/* tests/support/judging.h
 * A session on `ref`, in the judge's format, of the tiny model with a chat template. */
#ifndef TESTS_SUPPORT_JUDGING_H
#define TESTS_SUPPORT_JUDGING_H

#include "pipeline/run/session.h"

#define TEST_JUDGE TEST_SOURCE_DIR "/tests/golden/models/qwen2-tiny"

/* Fails the test if it cannot; pipe_session_close ends it. `host` is borrowed. */
void test_judging_open(struct rt_ctx *ctx, struct pipe_host *host, const char *db,
                       struct pipe_session *out);

#endif
