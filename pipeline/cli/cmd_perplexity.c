/* pipeline/cli/cmd_perplexity.c
 * perplexity: how well a model predicts a text, and how far it is from another model
 * there. */
#include "pipeline/cli/cli_session.h"

#include "pipeline/run/perplexity.h"

#include <stdio.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file" },
    { "adapter", "DIR", "PEFT adapter folder" },
    { "role", "NAME", "full, quant, restored or control (default full)" },
    { "text", "FILE", "UTF-8 text (.gz too)" },
    { "base", "DIR", "also KL(base || model) and the share of equal first choices" },
    { "context", "N", "tokens of a window (default 512, or what the model has)" },
    { "stride", "N", "tokens between windows (default: half of the context)" },
    { NULL, NULL, NULL },
};

static void print_result(const struct pipe_perplexity_result *r, bool json)
{
    if (json) {
        printf("{\"perplexity\":%.10g,\"nll\":%.10g,\"nll_error\":%.6g,"
               "\"bits_per_byte\":%.10g,\"tokens\":%llu,\"windows\":%u",
               r->perplexity, r->nll, r->nll_error, r->bits_per_byte,
               (unsigned long long)r->tokens, r->windows);
        if (r->compared)
            printf(",\"kl\":%.10g,\"same_top\":%.10g", r->kl, r->same_top);
        puts("}");
        return;
    }
    printf(
        "perplexity %.4f (%.4f nats per token, standard error over windows %.4f), %.4f "
        "bits per byte, %llu tokens in %u windows\n",
        r->perplexity, r->nll, r->nll_error, r->bits_per_byte,
        (unsigned long long)r->tokens, r->windows);
    if (r->compared)
        printf("KL(base || model) %.6f nats per token, same first choice %.2f %%\n",
               r->kl, 100 * r->same_top);
}

static rt_status score(struct cli *cli, struct pipe_session *session,
                       const struct pipe_perplexity_options *o)
{
    rt_status st;
    int64_t context, stride;
    struct pipe_perplexity *p = NULL;
    struct pipe_perplexity_result result;
    TRY(pipe_perplexity_create(session, o, &p));
    const int64_t most = pipe_perplexity_context_max(p);
    TRY(cli_number(cli, "context", most < 512 ? most : 512, 8, most, &context));
    TRY(cli_number(cli, "stride", context / 2, 1, context - 1, &stride));
    TRY(pipe_perplexity_run(p, (uint32_t)context, (uint32_t)stride, &result));
    print_result(&result, cli_flag(cli, "json"));

fail:
    pipe_perplexity_destroy(&p);
    return st;
}

static rt_status perplexity(struct cli *cli)
{
    rt_status st;
    struct pipe_session session = { 0 };
    struct pipe_data_file text = { 0 };
    const char *adapter = cli_value(cli, "adapter", NULL);
    const struct pipe_perplexity_options o = {
        .model = cli_value(cli, "model", NULL),
        .adapter = adapter,
        .base = cli_value(cli, "base", NULL),
        .role = cli_value(cli, "role", adapter ? "restored" : "full"),
        .text = &text,
        .path = cli_value(cli, "text", NULL),
    };
    if (!o.model || !o.path)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "perplexity needs --model DIR and --text FILE");
    TRY(pipe_data_file_read(&cli->ctx, o.path, &text));
    TRY(cli_session_open(cli, o.model, NULL, "eval", "{}", &session));
    TRY(score(cli, &session, &o));

fail:
    cli_session_close(cli, &session);
    pipe_data_file_deinit(&text);
    return st;
}

const struct cli_command cli_perplexity = { "perplexity",
                                            "how well a model predicts a text",
                                            "--model DIR --text FILE", options,
                                            perplexity };
