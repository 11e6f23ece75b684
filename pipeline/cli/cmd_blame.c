/* pipeline/cli/cmd_blame.c
 * blame: where the damage of quantization arises. */
#include "pipeline/cli/cli_session.h"

#include "pipeline/run/blame.h"

#include <stdio.h>

static const struct cli_option options[] = {
    { "full", "DIR", "full-precision model: folder or GGUF file" },
    { "quant", "DIR", "quantized variant of it: folder or GGUF file" },
    { "text", "T",
      "what both are compared on: run:LABEL (stored answers, full's for preference), "
      "self:P (full answers the problems P), problems with solutions, or a text (.txt)" },
    { "limit", "N",
      "answers or windows of --text at most, the first ones (default: all)" },
    { "worst", "N", "layers whose matrices are measured, the worst ones (default 2)" },
    { "mend", "N",
      "layers and matrices that problems of --text are answered with, the worst ones "
      "(default 3; 0: none; of a plain text none)" },
    { "mend-problems", "N", "problems for that at most, the first ones (default 50)" },
    { "context", "N",
      "tokens of a window of a text (default 512, or what the model has)" },
    { "stride", "N", "tokens between windows (default: half of the context)" },
    { "format", "NAME", "prompt format of problems" },
    { "chat-format", "NAME", "chat format of that (default: the model's own template)" },
    { "chat-date", "YYYY-MM-DD", "the date that chat templates ask for" },
    { "examples", "FILE", "worked examples of that format, once" },
    { NULL, NULL, NULL },
};

static void print_table(const struct pipe_blame *b)
{
    printf("quantized: KL %.6f nats per token (+- %.6f), %llu tokens\n", b->kl,
           1.96 * b->kl_error, (unsigned long long)b->tokens);
    if (b->answered)
        printf(
            "lost %u of %u problems; with parts back these were answered again, and the "
            "%u that it has right\n",
            b->lost, b->answered, b->kept);
    printf("%-7s %-34s %10s %10s %10s %8s%s\n", "level", "back in full precision", "KL",
           "less", "+-", "share", b->answered ? "  lost come right, others lost" : "");
    for (uint32_t i = 0; i < b->count; i++) {
        const struct pipe_blame_part *p = &b->parts[i];
        printf("%-7s %-34s %10.6f %10.6f %10.6f", pipe_blame_level_name(p->place.level),
               p->name, p->kl, p->gain, 1.96 * p->gain_error);
        if (b->kl > 0)
            printf(" %6.1f %%", 100 * pipe_blame_share(b, p));
        else /* nothing was lost */
            printf(" %8s", "-");
        if (p->asked)
            printf("  %u of %u, %u of %u", p->mended, b->lost, p->broken, b->kept);
        putchar('\n');
    }
}

static rt_status read_options(struct cli *cli, struct pipe_blame_options *o)
{
    rt_status st;
    int64_t worst, limit, mend, problems;
    o->full = cli_value(cli, "full", NULL);
    o->quant = cli_value(cli, "quant", NULL);
    if (!o->full || !o->quant || !cli_value(cli, "text", NULL))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "blame needs --full DIR, --quant DIR and --text T");
    TRY(cli_number(cli, "worst", 2, 0, 64, &worst));
    TRY(cli_number(cli, "limit", UINT32_MAX, 1, UINT32_MAX, &limit));
    TRY(cli_text_options(cli, o->full, &o->text));
    o->text.items = (uint32_t)limit;
    o->worst = (uint32_t)worst;
    const bool text = pipe_calibration_is_text(o->text.from);
    TRY(cli_number(cli, "mend", text ? 0 : 3, 0, 1000, &mend));
    TRY(cli_number(cli, "mend-problems", 50, 1, UINT32_MAX, &problems));
    if (mend && text)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--mend answers problems, and '%.200s' is a text", o->text.from);
    o->mend = (uint32_t)mend;
    o->mend_problems = (uint32_t)problems;

fail:
    return st;
}

static rt_status blame(struct cli *cli)
{
    rt_status st;
    const struct pipe_prompt_format *format = NULL;
    struct pipe_session session = { 0 };
    struct pipe_blame_options o = { .worst = 0 };
    struct pipe_blame b = { .count = 0 };
    TRY(read_options(cli, &o));
    TRY(cli_calibration_format(cli, o.text.from, &format));
    TRY(cli_session_open(cli, o.full, format, "blame", "{}", &session));
    if (!format)
        session.positions = o.text.length;
    TRY(pipe_blame_measure(&session, &o, &b));
    cli_progress_end(cli);
    if (b.found)
        cli_say(cli, "%u of %u parts are from before", b.found, b.count);
    if (cli_flag(cli, "json"))
        pipe_blame_json(stdout, &b);
    else
        print_table(&b);

fail:
    pipe_blame_deinit(&b);
    cli_session_close(cli, &session);
    return st;
}

const struct cli_command cli_blame = {
    "blame", "where the damage of quantization arises, by layer and matrix",
    "--full DIR --quant DIR --text T", options, blame
};
