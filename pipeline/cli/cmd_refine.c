/* pipeline/cli/cmd_refine.c
 * refine: the scales of a quantized model, trained against the full-precision one. */
#include "pipeline/cli/cli_session.h"

#include "pipeline/run/refine.h"

#include <stdio.h>

static const struct cli_option options[] = {
    { "full", "DIR", "full-precision model: folder or GGUF file" },
    { "model", "DIR", "quantized folder (compressed-tensors, AWQ, GPTQ) or GGUF file" },
    { "out", "DIR", "folder to write, with those above it; of a GGUF file a file" },
    { "on", "P",
      "problems with solutions, or a text (.txt), to be like the full model on" },
    { "items", "N", "problems or windows of --on at most (default: all)" },
    { "length", "N", "tokens of a window that a .txt is cut into (default 512)" },
    { "epochs", "N", "passes over --on (default 3)" },
    { "batch", "N", "problems or windows of a step (default 8)" },
    { "rate", "X", "learning rate of AdamW (default 0.003; of 4 bits and more 0.0003)" },
    { "checkpoint", "SECONDS", "between two checkpoints (default 30; 0: every step)" },
    { "format", "NAME", "prompt format of the problems of --on" },
    { "chat-format", "NAME", "chat format of that (default: the model's own template)" },
    { "chat-date", "YYYY-MM-DD", "the date that chat templates ask for" },
    { "examples", "FILE", "worked examples of that format, once" },
    { "zeros", NULL, "folders: train whole zero points too" },
    { "force", NULL, "replace what is there" },
    { NULL, NULL, NULL },
};

static rt_status read_options(struct cli *cli, struct pipe_refine_options *o)
{
    rt_status st;
    int64_t items, length, epochs, batch, checkpoint;
    float rate = 0;
    *o = (struct pipe_refine_options){ .full = cli_value(cli, "full", NULL),
                                       .model = cli_value(cli, "model", NULL),
                                       .out = cli_value(cli, "out", NULL),
                                       .on.from = cli_value(cli, "on", NULL),
                                       .on.model = cli_value(cli, "full", NULL),
                                       .zeros = cli_flag(cli, "zeros"),
                                       .force = cli_flag(cli, "force") };
    if (!o->full || !o->model || !o->out || !o->on.from)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "refine needs --full DIR, --model DIR, --out DIR and --on P");
    TRY(cli_number(cli, "items", INT32_MAX, 1, INT32_MAX, &items));
    TRY(cli_number(cli, "length", PIPE_CALIBRATION_LENGTH, 8, 1 << 20, &length));
    TRY(cli_number(cli, "epochs", PIPE_REFINE_EPOCHS, 1, 1000, &epochs));
    TRY(cli_number(cli, "batch", PIPE_REFINE_BATCH, 1, 4096, &batch));
    TRY(cli_number(cli, "checkpoint", PIPE_REFINE_CHECKPOINT, 0, 1 << 30, &checkpoint));
    TRY(cli_real(cli, "rate", 0, 1, &rate));
    o->on.items = (uint32_t)items;
    o->on.length = (uint32_t)length;
    o->epochs = (uint32_t)epochs;
    o->batch = (uint32_t)batch;
    o->checkpoint_seconds = (double)checkpoint;
    o->rate = (double)rate;
    return RT_OK;

fail:
    return st;
}

static void print_result(const struct cli *cli, const struct pipe_refine_options *o,
                         const struct pipe_refined *r)
{
    if (cli_flag(cli, "json")) {
        fputs("{\"out\":", stdout);
        rt_json_text(stdout, o->out);
        printf(",\"items\":%u,\"steps\":%u,\"scales\":%llu,\"kl_first\":%.9g,"
               "\"kl_last\":%.9g,\"rate\":%.9g,\"seconds\":%.3f,\"tflop\":%.6g}\n",
               r->items, r->steps, (unsigned long long)r->scales, r->kl_first, r->kl_last,
               r->rate, r->seconds, r->tflop);
        return;
    }
    printf("%s: %llu scales trained on %u items in %u steps; KL to the full model %.4f "
           "nats per token in the first epoch, %.4f in the last; %.1f s, %.2f TFLOP\n",
           o->out, (unsigned long long)r->scales, r->items, r->steps, r->kl_first,
           r->kl_last, r->seconds, r->tflop);
}

static rt_status run(struct cli *cli)
{
    rt_status st;
    struct pipe_refine_options o;
    struct pipe_refined result;
    struct pipe_session session = { 0 };
    const struct pipe_prompt_format *format = NULL;
    TRY(read_options(cli, &o));
    TRY(cli_calibration_format(cli, o.on.from, &format));
    TRY(cli_session_open(cli, o.model, format, "eval", "{}", &session));
    TRY(pipe_refine(&session, &o, &result));
    print_result(cli, &o, &result);

fail:
    cli_session_close(cli, &session);
    return st;
}

const struct cli_command cli_refine = {
    "refine", "train the scales of a quantized model, at no extra bit",
    "--full DIR --model DIR --out DIR --on P", options, run
};
