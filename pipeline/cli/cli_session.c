/* pipeline/cli/cli_session.c
 * From options to an open session, and to the texts that are seen through its models. */
#include "pipeline/cli/cli_session.h"

#include "pipeline/run/compare_models.h"
#include "pipeline/run/eval_spec.h"

rt_status cli_session_open(struct cli *cli, const char *model,
                           const struct pipe_prompt_format *format, const char *campaign,
                           const char *plan, struct pipe_session *out)
{
    rt_status st;
    int64_t seed, new_tokens;
    struct text_tokenizer *tok = NULL;
    struct pipe_session_options o = { .host = cli_host(cli),
                                      .model = model,
                                      .format = format,
                                      .campaign = campaign,
                                      .plan = plan,
                                      .chat_format = cli_value(cli, "chat-format", NULL),
                                      .chat_date = cli_value(cli, "chat-date", NULL),
                                      .examples_path = cli_value(cli, "examples", NULL) };
    *out = (struct pipe_session){ 0 };
    TRY(cli_number(cli, "seed", 1, 0, INT64_MAX, &seed));
    TRY(cli_number(cli, "max-new", 0, 1, 1 << 20, &new_tokens));
    o.seed = (uint64_t)seed;
    o.new_tokens_max = (uint32_t)new_tokens;
    TRY(text_tokenizer_load(&cli->ctx, model, &tok));
    TRY(cli_device_open(cli, &o.dev));
    TRY(cli_store_open(cli, STORE_WRITE, &o.store));
    st = pipe_session_open(out, &cli->ctx, &o);
    o.dev = NULL; /* the session's now */
    o.store = NULL;

fail:
    text_tokenizer_destroy(&tok);
    store_close(&o.store);
    rt_device_destroy(&o.dev);
    return st;
}

void cli_session_close(struct cli *cli, struct pipe_session *session)
{
    if (session->dev)
        cli_print_profile(cli, session->dev);
    pipe_session_close(session);
}

rt_status cli_format(struct cli *cli, const char *bench,
                     const struct pipe_prompt_format **out)
{
    const rt_status st =
        pipe_format_named(&cli->ctx, cli_value(cli, "format", NULL), out);
    if (st == RT_OK && !*out)
        *out = pipe_format_usual(bench);
    return st;
}

rt_status cli_text_options(struct cli *cli, const char *model,
                           struct pipe_calibration_options *out)
{
    rt_status st;
    int64_t context, stride;
    uint32_t most;
    TRY(pipe_compare_context(&cli->ctx, model, &most));
    TRY(cli_number(cli, "context", most < 512 ? most : 512, 8, most, &context));
    TRY(cli_number(cli, "stride", context / 2, 1, context - 1, &stride));
    *out = (struct pipe_calibration_options){ .from = cli_value(cli, "text", NULL),
                                              .model = model,
                                              .length = (uint32_t)context,
                                              .stride = (uint32_t)stride,
                                              .items = UINT32_MAX,
                                              .measuring = true };

fail:
    return st;
}

rt_status cli_calibration_options(struct cli *cli, const char *model,
                                  struct pipe_calibration_options *out)
{
    rt_status st;
    int64_t items, length;
    TRY(cli_number(cli, "calib-items", 512, 1, 1 << 20, &items));
    TRY(cli_number(cli, "calib-length", PIPE_CALIBRATION_LENGTH, 8, 1 << 20, &length));
    *out = (struct pipe_calibration_options){ .from = cli_value(cli, "calib", NULL),
                                              .model = model,
                                              .length = (uint32_t)length,
                                              .items = (uint32_t)items };

fail:
    return st;
}

rt_status cli_calibration_format(struct cli *cli, const char *from,
                                 const struct pipe_prompt_format **out)
{
    rt_status st;
    char name[48] = "";
    struct store *store = NULL;
    const char *self = pipe_calibration_self(from);
    const enum pipe_calibration_kind kind = pipe_calibration_kind_of(from);
    *out = NULL;
    if (kind == PIPE_CALIBRATION_TEXT || kind == PIPE_CALIBRATION_TEXTS)
        return RT_OK;
    if (kind == PIPE_CALIBRATION_RUN) {
        TRY(cli_store_open(cli, STORE_READ, &store));
        TRY(pipe_calibration_run_format(&cli->ctx, store, from, name));
        *out = name[0] ? pipe_prompt_format_find(name) : NULL;
    }
    if (!*out || cli_value(cli, "format", NULL))
        TRY(cli_format(cli, self ? self : from, out));
    st = RT_OK;

fail:
    store_close(&store);
    return st;
}
