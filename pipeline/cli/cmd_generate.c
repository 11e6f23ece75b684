/* pipeline/cli/cmd_generate.c
 * One prompt, one answer, as it comes. Nothing is stored. */
#include "pipeline/cli/cli.h"

#include "pipeline/run/generate.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file" },
    { "prompt", "TEXT", "the prompt; -, or none: standard input, less a last newline" },
    { "chat", NULL,
      "the prompt is a user's turn in a chat, by the model's own template" },
    { "chat-format", "NAME", "chat format, whatever the model's template is" },
    { "chat-date", "YYYY-MM-DD", "the date that chat templates ask for" },
    { "system", "TEXT", "system text of the chat (default: the template's own)" },
    { "thinking", NULL, "ask a model with a thinking switch to think" },
    { "no-thinking", NULL, "ask it not to" },
    { "print-prompt", NULL,
      "print what the model would be given, without an answer; with --json also its "
      "tokens and what ends an answer" },
    { "adapter", "DIR", "PEFT adapter folder" },
    { "n", "N", "tokens of the answer at most (default 256)" },
    { "temp", "T", "draw at this temperature (default 0: greedy)" },
    { "top-p", "P", "of the drawn ones (default 0.95)" },
    { "rescue", "N",
      "take a greedy answer that repeats itself back to before that, at most N times; "
      "its "
      "text then comes at the end (1 to 64; default: never)" },
    { NULL, NULL, NULL },
};

/* ---- the prompt ---- */

static rt_status read_prompt(struct cli *cli, char **out, size_t *size)
{
    const char *text = cli_value(cli, "prompt", "-");
    if (strcmp(text, "-") == 0)
        return pipe_prompt_read(&cli->ctx, stdin, out, size);
    *out = rt_strdup(&cli->ctx, text);
    *size = strlen(text);
    return *out ? RT_OK
                : rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory for the prompt");
}

static rt_status read_options(struct cli *cli, struct pipe_generate_options *o)
{
    rt_status st;
    int64_t n, seed;
    *o = (struct pipe_generate_options){
        .model = cli_value(cli, "model", NULL),
        .chat_format = cli_value(cli, "chat-format", NULL),
        .chat_date = cli_value(cli, "chat-date", NULL),
        .system = cli_value(cli, "system", NULL),
        .thinking = cli_flag(cli, "thinking"),
        .no_thinking = cli_flag(cli, "no-thinking"),
        .top_p = 0.95f,
    };
    o->chat = o->chat_format || cli_flag(cli, "chat");
    if (!o->model)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "generate needs --model DIR|FILE.gguf");
    TRY(cli_number(cli, "n", 256, 1, 1 << 20, &n));
    TRY(cli_number(cli, "seed", 1, 0, INT64_MAX, &seed));
    TRY(cli_real(cli, "temp", 0, 100, &o->temperature));
    TRY(cli_real(cli, "top-p", 1e-6, 1, &o->top_p));
    TRY(cli_rescues(cli, o->temperature, &o->rescues));
    o->new_tokens_max = (uint32_t)n;
    o->seed = (uint64_t)seed;
    if (o->thinking && o->no_thinking)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--thinking or --no-thinking, not both");
    if (!o->chat && (o->system || o->thinking || o->no_thinking || o->chat_date))
        st = rt_fail(&cli->ctx, RT_ERR_USAGE,
                     "--system, --thinking, --no-thinking and --chat-date are of a chat; "
                     "add --chat");

fail:
    return st;
}

/* ---- the answer ---- */

static json_t *json_ids(const uint32_t *ids, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(ids[i]));
    return list;
}

static rt_status print_root(struct cli *cli, json_t *root)
{
    rt_status st = RT_OK;
    if (!root || json_dumpf(root, stdout, 0) != 0)
        st = rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory for what is printed");
    putchar('\n');
    json_decref(root);
    return st;
}

/* The text as it is, without a line end behind it. */
static rt_status print_prompt(struct cli *cli, const struct pipe_generator *generator)
{
    struct pipe_generate_prompt p;
    pipe_generator_prompt(generator, &p);
    if (cli_flag(cli, "json"))
        return print_root(
            cli, json_pack("{s:o, s:o, s:o, s:s}", "prompt", json_stringn(p.text, p.size),
                           "ids", json_ids(p.ids, p.count), "stop_ids",
                           json_ids(p.stop_ids, p.stop_count), "stop_text", p.stop_text));
    fwrite(p.text, 1, p.size, stdout);
    return RT_OK;
}

static bool print_piece(void *user, const char *text, size_t size)
{
    (void)user;
    fwrite(text, 1, size, stdout);
    fflush(stdout);
    return !ferror(stdout);
}

static rt_status print_json(struct cli *cli, const struct pipe_generated *g)
{
    json_t *ids = json_ids(g->ids, g->n), *logprobs = json_array(),
           *margins = json_array();
    for (uint32_t i = 0; i < g->n; i++) {
        json_array_append_new(logprobs, json_real((double)g->logprob[i]));
        json_array_append_new(margins, json_real((double)g->margin[i]));
    }
    json_t *root =
        json_pack("{s:o, s:s, s:i, s:o, s:o, s:o, s:f, s:f, s:i, s:I, s:I}", "text",
                  json_stringn(g->text, g->text_size), "finish",
                  g->finish == PIPE_FINISH_STOP ? "stop" : "length", "prompt_tokens",
                  (int)g->n_prompt, "ids", ids, "logprobs", logprobs, "margins", margins,
                  "prefill_seconds", 1e-6 * (double)g->prefill_us, "decode_seconds",
                  1e-6 * (double)g->decode_us, "thrown_tokens", (int)g->thrown,
                  "cache_bytes", (json_int_t)g->cache_bytes, "cache_used_bytes",
                  (json_int_t)g->cache_bytes_used_max);
    return print_root(cli, root);
}

/* The end of an answer whose text is out. */
static void print_end(struct cli *cli, const struct pipe_generated *g)
{
    putchar('\n');
    fflush(stdout); /* before a line of the other stream */
    if (g->thrown)
        cli_say(cli, "%u tokens were thrown away, because the answer repeated itself",
                g->thrown);
    if (cli->verbosity > 0)
        cli_say(cli, "%u tokens of prompt in %.2f s, %u of answer in %.2f s%s",
                g->n_prompt, 1e-6 * (double)g->prefill_us, g->n,
                1e-6 * (double)g->decode_us,
                g->finish == PIPE_FINISH_LENGTH ? ", cut at the limit" : "");
}

static rt_status answer(struct cli *cli, struct pipe_generator *generator,
                        struct rt_device *dev)
{
    rt_status st;
    struct pipe_generated result;
    const bool json = cli_flag(cli, "json");
    const struct pipe_generate_run run = { .dev = dev,
                                           .adapter = cli_value(cli, "adapter", NULL),
                                           .host = cli_host(cli),
                                           .text = json ? NULL : print_piece };
    st = pipe_generator_run(generator, &run, &result);
    if (st == RT_ERR_INTERRUPTED)
        putchar('\n');
    else if (st == RT_OK && json)
        st = print_json(cli, &result);
    else if (st == RT_OK)
        print_end(cli, &result);
    pipe_generated_deinit(&result);
    return st;
}

static rt_status run(struct cli *cli)
{
    rt_status st;
    struct pipe_generate_options o;
    struct pipe_generator *generator = NULL;
    struct rt_device *dev = NULL;
    char *prompt = NULL;
    TRY(read_options(cli, &o));
    TRY(read_prompt(cli, &prompt, &o.prompt_size));
    o.prompt = prompt;
    TRY(pipe_generator_create(&cli->ctx, &o, &generator));
    if (cli_flag(cli, "print-prompt")) {
        st = print_prompt(cli, generator);
        goto fail;
    }
    TRY(cli_device_open(cli, &dev));
    TRY(answer(cli, generator, dev));
    cli_print_profile(cli, dev);

fail:
    rt_device_destroy(&dev);
    pipe_generator_destroy(&generator);
    rt_free(prompt);
    return st;
}

const struct cli_command cli_generate = { "generate", "the answer of a model to a prompt",
                                          "--model DIR|FILE.gguf --prompt TEXT", options,
                                          run };
