/* pipeline/cli/cli_session.c
 * From options to an open session. */
#include "pipeline/cli/cli_session.h"

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

rt_status cli_format(struct cli *cli, const char *bench,
                     const struct pipe_prompt_format **out)
{
    const rt_status st =
        pipe_format_named(&cli->ctx, cli_value(cli, "format", NULL), out);
    if (st == RT_OK && !*out)
        *out = pipe_format_usual(bench);
    return st;
}
