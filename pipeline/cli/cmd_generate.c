/* pipeline/cli/cmd_generate.c
 * One prompt, one answer, as it comes. Nothing is stored. */
#include "pipeline/cli/cli.h"

#include "runtime/engine/engine.h"
#include "runtime/format/checkpoint.h"
#include "runtime/text/chat.h"
#include "runtime/text/tokenizer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file" },
    { "prompt", "TEXT", "the prompt; -, or none: standard input, less a last newline" },
    { "chat", NULL, "the prompt is a user's turn in the chat format of the model" },
    { "chat-format", "NAME", "chat format, whatever the model's template is" },
    { "system", "TEXT", "system text of the chat (default: the format's own)" },
    { "no-thinking", NULL, "ask a model with a thinking switch not to" },
    { "adapter", "DIR", "PEFT adapter folder" },
    { "n", "N", "tokens of the answer at most (default 256)" },
    { "temp", "T", "draw at this temperature (default 0: greedy)" },
    { "top-p", "P", "of the drawn ones (default 0.95)" },
    { NULL, NULL, NULL },
};

struct generating {
    struct cli *cli;
    const char *path; /* of the model */
    struct text_tokenizer *tok;
    struct rt_device *dev;
    struct rt_model *model;
    struct rt_adapter *adapter;
    struct rt_engine *engine;
    char *prompt; /* owned */
    size_t prompt_size;
    uint32_t *ids, n_ids; /* of the prompt */
    uint32_t max_new;
    struct rt_sampling sampling;
    bool json, asked;
    struct text_stream stream;
    uint32_t shown;    /* tokens whose text was given out */
    rt_status trouble; /* of giving out text */
};

/* ---- the prompt ---- */

static rt_status read_input(struct generating *g)
{
    size_t capacity = 1 << 16, n;
    g->prompt = rt_alloc(&g->cli->ctx, capacity, 1);
    while (g->prompt && (n = fread(g->prompt + g->prompt_size, 1,
                                   capacity - g->prompt_size - 1, stdin)) > 0) {
        g->prompt_size += n;
        if (g->prompt_size + 1 < capacity)
            continue;
        char *longer =
            rt_resize(&g->cli->ctx, g->prompt, capacity, 2 * capacity, sizeof *longer);
        if (!longer)
            break;
        g->prompt = longer;
        capacity *= 2;
    }
    if (!g->prompt || g->prompt_size + 1 >= capacity)
        return rt_fail(&g->cli->ctx, RT_ERR_HOST_MEMORY, "no memory for the prompt");
    if (ferror(stdin))
        return rt_fail(&g->cli->ctx, RT_ERR_INPUT, "standard input cannot be read");
    if (g->prompt_size && g->prompt[g->prompt_size - 1] == '\n')
        g->prompt[--g->prompt_size] = '\0';
    return RT_OK;
}

static rt_status read_prompt(struct generating *g)
{
    const char *text = cli_value(g->cli, "prompt", "-");
    if (strcmp(text, "-") == 0)
        return read_input(g);
    g->prompt = rt_strdup(&g->cli->ctx, text);
    g->prompt_size = strlen(text);
    return g->prompt
               ? RT_OK
               : rt_fail(&g->cli->ctx, RT_ERR_HOST_MEMORY, "no memory for the prompt");
}

/* The prompt as a turn of a chat, in its place. */
static rt_status render_chat(struct generating *g, const char *name)
{
    rt_status st;
    const struct chat_format *format;
    const char *system = cli_value(g->cli, "system", NULL);
    const struct chat_message messages[] = { { CHAT_SYSTEM, system },
                                             { CHAT_USER, g->prompt } };
    char *text;
    if (strlen(g->prompt) != g->prompt_size)
        return rt_fail(&g->cli->ctx, RT_ERR_INPUT,
                       "the prompt has a zero byte, which no chat has");
    TRY(text_chat_pick(&g->cli->ctx, g->path, name, &format));
    TRY(text_chat_check(&g->cli->ctx, g->path, format, g->tok));
    TRY(text_chat_render(&g->cli->ctx, format, messages + !system, 1 + !!system,
                         !cli_flag(g->cli, "no-thinking"), &text));
    rt_free(g->prompt);
    g->prompt = text;
    g->prompt_size = strlen(text);

fail:
    return st;
}

static rt_status encode(struct generating *g)
{
    rt_status st;
    const char *format = cli_value(g->cli, "chat-format", NULL);
    const bool chat = format || cli_flag(g->cli, "chat");
    if (!chat && (cli_flag(g->cli, "system") || cli_flag(g->cli, "no-thinking")))
        return rt_fail(&g->cli->ctx, RT_ERR_USAGE,
                       "--system and --no-thinking are of a chat; add --chat");
    TRY(read_prompt(g));
    TRY(text_tokenizer_load(&g->cli->ctx, g->path, &g->tok));
    if (chat) {
        TRY(render_chat(g, format));
        TRY(text_encode(g->tok, g->prompt, g->prompt_size, true, &g->ids, &g->n_ids));
    } else {
        TRY(text_encode_prompt(g->tok, g->prompt, g->prompt_size, false, &g->ids,
                               &g->n_ids));
    }
    if (g->n_ids == 0)
        return rt_fail(&g->cli->ctx, RT_ERR_USAGE, "the prompt is empty");

fail:
    return st;
}

/* ---- the model ---- */

/* The prompt must leave room for one token; an answer is cut to the room there is. */
static rt_status check_room(struct generating *g, uint32_t *context)
{
    struct fmt_model *file = NULL;
    const rt_status st = fmt_model_open(&g->cli->ctx, g->path, &file);
    if (st != RT_OK)
        return st;
    const struct fmt_config *c = fmt_model_config(file);
    const uint32_t most = c->max_positions, rows = c->vocab;
    fmt_model_close(&file);
    if (text_vocab_size(g->tok) > rows)
        return rt_fail(&g->cli->ctx, RT_ERR_INPUT,
                       "'%s': its tokenizer has %u ids, its embedding %u rows; they do "
                       "not belong together",
                       g->path, text_vocab_size(g->tok), rows);
    if (g->n_ids >= most)
        return rt_fail(&g->cli->ctx, RT_ERR_USAGE,
                       "the prompt has %u tokens, the context of '%s' %u", g->n_ids,
                       g->path, most);
    *context = most - g->n_ids < g->max_new ? most : g->n_ids + g->max_new;
    return RT_OK;
}

static rt_status load(struct generating *g)
{
    rt_status st;
    struct rt_engine_options o = { .slots = 1, .sampling = g->sampling };
    const char *adapter = cli_value(g->cli, "adapter", NULL);
    TRY(check_room(g, &o.context));
    TRY(cli_device_open(g->cli, &g->dev));
    TRY(rt_model_load(g->dev, g->path, o.context, &g->model));
    if (adapter)
        TRY(rt_adapter_load(g->model, adapter, &g->adapter));
    o.stop_count = g->model->config.eos_count;
    memcpy(o.stop_ids, g->model->config.eos, o.stop_count * sizeof *o.stop_ids);
    TRY(rt_engine_create(g->model, g->adapter, &o, &g->engine));

fail:
    return st;
}

/* ---- the answer ---- */

static bool next(void *user, struct rt_request *out)
{
    struct generating *g = user;
    *out = (struct rt_request){ .prompt = g->ids,
                                .n_prompt = g->n_ids,
                                .max_new = g->max_new };
    const bool first = !g->asked;
    g->asked = true;
    return first;
}

/* Text that is complete with the first n ids of the answer. */
static rt_status show(struct generating *g, const uint32_t *ids, uint32_t n)
{
    char *text;
    size_t size;
    const rt_status st =
        text_stream_push(&g->stream, ids + g->shown, n - g->shown, &text, &size);
    g->shown = n;
    if (st == RT_OK) {
        fwrite(text, 1, size, stdout);
        fflush(stdout);
    }
    rt_free(text);
    return st;
}

static void turn(void *user, uint64_t key, const uint32_t *ids, uint32_t n,
                 struct rt_turn *how)
{
    struct generating *g = user;
    (void)key;
    if (!g->json && n > g->shown && g->trouble == RT_OK)
        g->trouble = show(g, ids, n);
    how->end = g->trouble != RT_OK || ferror(stdout);
}

static bool go_on(void *user)
{
    (void)user;
    return !cli_stopping();
}

/* The text as the stream gives it out, all at once. */
static rt_status whole_text(struct generating *g, const struct rt_answer *a, json_t **out)
{
    char *text, *tail;
    size_t size, more;
    *out = NULL;
    rt_status st = text_stream_push(&g->stream, a->ids, a->n_gen, &text, &size);
    if (st != RT_OK)
        return st;
    st = text_stream_end(&g->stream, &tail, &more);
    char *both =
        st == RT_OK ? rt_resize(&g->cli->ctx, text, size, size + more + 1, 1) : NULL;
    if (both) {
        text = both;
        memcpy(text + size, tail, more);
        *out = json_stringn(text, size + more);
        rt_free(tail);
    }
    rt_free(text);
    if (st == RT_OK && !*out)
        st = rt_fail(&g->cli->ctx, RT_ERR_HOST_MEMORY, "no memory for the answer");
    return st;
}

static rt_status print_json(struct generating *g, const struct rt_answer *a)
{
    json_t *text;
    rt_status st = whole_text(g, a, &text);
    if (st != RT_OK)
        return st;
    json_t *ids = json_array(), *logprobs = json_array(), *margins = json_array();
    for (uint32_t i = 0; i < a->n_gen; i++) {
        json_array_append_new(ids, json_integer(a->ids[i]));
        json_array_append_new(logprobs, json_real((double)a->logprob[i]));
        json_array_append_new(margins, json_real((double)a->margin[i]));
    }
    json_t *root = json_pack(
        "{s:o, s:s, s:i, s:o, s:o, s:o, s:f, s:f}", "text", text, "finish",
        a->finish == RT_FINISH_STOP ? "stop" : "length", "prompt_tokens", (int)g->n_ids,
        "ids", ids, "logprobs", logprobs, "margins", margins, "prefill_seconds",
        1e-6 * (double)a->prefill_us, "decode_seconds", 1e-6 * (double)a->decode_us);
    if (!root || json_dumpf(root, stdout, 0) != 0)
        st = rt_fail(&g->cli->ctx, RT_ERR_HOST_MEMORY, "no memory for the answer");
    putchar('\n');
    json_decref(root);
    return st;
}

static rt_status done(void *user, const struct rt_answer *a)
{
    struct generating *g = user;
    char *text;
    size_t size;
    if (g->trouble != RT_OK)
        return g->trouble;
    if (g->json)
        return print_json(g, a);
    rt_status st = show(g, a->ids, a->n_gen);
    if (st == RT_OK)
        st = text_stream_end(&g->stream, &text, &size);
    if (st == RT_OK) {
        fwrite(text, 1, size, stdout);
        putchar('\n');
        fflush(stdout); /* before a line of the other stream */
        rt_free(text);
    }
    if (g->cli->verbosity > 0)
        cli_say(g->cli, "%u tokens of prompt in %.2f s, %u of answer in %.2f s%s",
                g->n_ids, 1e-6 * (double)a->prefill_us, a->n_gen,
                1e-6 * (double)a->decode_us,
                a->finish == RT_FINISH_LENGTH ? ", cut at the limit" : "");
    return st;
}

static rt_status generate(struct generating *g)
{
    const struct rt_engine_calls calls = {
        .next = next, .done = done, .go_on = go_on, .turn = turn, .user = g
    };
    text_stream_init(&g->stream, g->tok, true);
    const rt_status st = rt_engine_run(g->engine, &calls);
    if (st == RT_ERR_INTERRUPTED) {
        putchar('\n');
        return rt_fail(&g->cli->ctx, st, "stopped");
    }
    return st;
}

static rt_status run(struct cli *cli)
{
    rt_status st;
    int64_t n, seed;
    struct generating g = { .cli = cli, .sampling = { .top_p = 0.95f } };
    g.path = cli_value(cli, "model", NULL);
    g.json = cli_flag(cli, "json");
    if (!g.path)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "generate needs --model DIR|FILE.gguf");
    TRY(cli_number(cli, "n", 256, 1, 1 << 20, &n));
    TRY(cli_number(cli, "seed", 1, 0, INT64_MAX, &seed));
    TRY(cli_real(cli, "temp", 0, 100, &g.sampling.temperature));
    TRY(cli_real(cli, "top-p", 1e-6, 1, &g.sampling.top_p));
    g.max_new = (uint32_t)n;
    g.sampling.seed = (uint64_t)seed;
    TRY(encode(&g));
    TRY(load(&g));
    TRY(generate(&g));
    cli_print_profile(cli, g.dev);

fail:
    rt_engine_destroy(&g.engine);
    rt_adapter_destroy(&g.adapter);
    rt_model_destroy(&g.model);
    rt_device_destroy(&g.dev);
    text_tokenizer_destroy(&g.tok);
    rt_free(g.prompt);
    rt_free(g.ids);
    return st;
}

const struct cli_command cli_generate = { "generate", "the answer of a model to a prompt",
                                          "--model DIR|FILE.gguf --prompt TEXT", options,
                                          run };
