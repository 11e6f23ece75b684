/* pipeline/cli/cmd_tool.c
 * tool: logits, tokens and weights as numbers, for checks by others. */
#include "pipeline/cli/cli.h"

#include "pipeline/run/dequant.h"
#include "pipeline/run/logits.h"
#include "pipeline/run/token_ids.h"
#include "runtime/base/file.h"
#include "runtime/base/os.h"
#include "runtime/text/tokenizer.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file" },
    { "adapter", "DIR", "PEFT adapter folder" },
    { "ids", "1,2,3", "token ids (logits)" },
    { "top", "K",
      "JSON arrays of ids from standard input to the K likeliest tokens after each "
      "and their log-probabilities (logits)" },
    { "tensor", "NAME", "module or tensor, as model.layers.0.mlp.up_proj (dequant)" },
    { "out", "FILE",
      "or -o: raw little-endian f32 [T, V] (logits), [out, in] (dequant)" },
    { "decode", NULL, "JSON arrays of ids to text (tokenize)" },
    { "json", NULL, "a text is a JSON string (tokenize)" },
    { "plain", NULL, "special tokens in a text are ordinary text (tokenize)" },
    { NULL, NULL, NULL },
};

/* ---- logits ---- */

enum { TOP_MAX = 256 };

static rt_status open_logits(struct cli *cli, uint32_t longest, struct rt_device **dev,
                             struct pipe_logits **out)
{
    rt_status st;
    struct pipe_logits_options o = { .model = cli_value(cli, "model", NULL),
                                     .adapter = cli_value(cli, "adapter", NULL),
                                     .sequence_max = longest };
    TRY(cli_device_open(cli, dev));
    o.dev = *dev;
    TRY(pipe_logits_create(&cli->ctx, &o, out));

fail:
    return st;
}

/* [[id, log-probability], ...] of the k likeliest, best first. */
static void print_top(const float *row, uint32_t vocab, uint32_t k)
{
    struct pipe_likely best[TOP_MAX];
    const uint32_t n = pipe_logits_top(row, vocab, k, best);
    putchar('[');
    for (uint32_t i = 0; i < n; i++)
        printf("%s[%u,%.7f]", i ? "," : "", best[i].id, best[i].logprob);
    putchar(']');
}

/* One line of JSON for a line of ids: of each position the likeliest next tokens. */
static rt_status top_line(struct cli *cli, struct pipe_logits *l, const char *line,
                          unsigned number, uint32_t k)
{
    uint32_t *ids = NULL, n = 0;
    const float *values = NULL;
    const uint32_t vocab = pipe_logits_vocab(l);
    rt_status st = pipe_ids_read(&cli->ctx, line, number, vocab, &ids, &n);
    if (st == RT_OK && n)
        st = pipe_logits_run(l, "standard input", ids, n, &values);
    for (uint32_t t = 0; st == RT_OK && t < n; t++) {
        putchar(t ? ',' : '[');
        print_top(values + (size_t)t * vocab, vocab, k);
    }
    if (st == RT_OK)
        puts(n ? "]" : "[]");
    rt_free(ids);
    return st;
}

static rt_status top(struct cli *cli)
{
    struct rt_device *dev = NULL;
    struct pipe_logits *l = NULL;
    struct os_line line = { .text = NULL };
    int64_t k;
    if (!cli_flag(cli, "model"))
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "tool logits needs --model");
    rt_status st = cli_number(cli, "top", 1, 1, TOP_MAX, &k);
    if (st == RT_OK)
        st = open_logits(cli, 0, &dev, &l);
    for (unsigned number = 1; st == RT_OK && os_line_read(stdin, &line); number++)
        st = top_line(cli, l, line.text, number, (uint32_t)k);
    os_line_deinit(&line);
    pipe_logits_destroy(&l);
    rt_device_destroy(&dev);
    return st;
}

static rt_status logits(struct cli *cli)
{
    rt_status st;
    struct rt_device *dev = NULL;
    struct pipe_logits *l = NULL;
    uint32_t *ids = NULL, n = 0;
    const float *values;
    const char *out = cli_value(cli, "out", NULL), *text = cli_value(cli, "ids", NULL);
    if (cli_flag(cli, "top"))
        return top(cli);
    if (!cli_flag(cli, "model") || !out || !text)
        return rt_fail(
            &cli->ctx, RT_ERR_USAGE,
            "tool logits needs --model, --ids and --out, or --model and --top");
    TRY(pipe_ids_parse(&cli->ctx, "--ids", text, &ids, &n));
    TRY(open_logits(cli, n, &dev, &l));
    TRY(pipe_logits_run(l, "--ids", ids, n, &values));
    TRY(fmt_write_atomic(&cli->ctx, out, values,
                         (size_t)n * pipe_logits_vocab(l) * sizeof *values));
    cli_print_profile(cli, dev);

fail:
    pipe_logits_destroy(&l);
    rt_device_destroy(&dev);
    rt_free(ids);
    return st;
}

/* ---- dequant ---- */

static rt_status dequant(struct cli *cli)
{
    rt_status st;
    float *values = NULL;
    uint64_t count;
    const char *model = cli_value(cli, "model", NULL), *out = cli_value(cli, "out", NULL);
    const char *name = cli_value(cli, "tensor", NULL);
    if (!model || !out || !name)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "tool dequant needs --model, --tensor and --out");
    TRY(pipe_dequant(&cli->ctx, model, name, &values, &count));
    TRY(fmt_write_atomic(&cli->ctx, out, values, count * sizeof *values));

fail:
    rt_free(values);
    return st;
}

/* ---- tokenize ---- */

/* A text on stdout, as it is or as a JSON string. */
static rt_status print_text(struct cli *cli, const char *text, size_t size)
{
    if (!cli_flag(cli, "json")) {
        fwrite(text, 1, size, stdout);
        putchar('\n');
        return RT_OK;
    }
    json_t *string = json_stringn(text, size); /* null: not UTF-8 */
    if (!string || json_dumpf(string, stdout, JSON_ENCODE_ANY) != 0) {
        json_decref(string);
        return rt_fail(&cli->ctx, RT_ERR_INPUT,
                       "the ids end inside a character; without --json their bytes are "
                       "printed as they are");
    }
    json_decref(string);
    putchar('\n');
    return RT_OK;
}

static rt_status decode_line(struct cli *cli, struct text_tokenizer *tok,
                             const char *line, unsigned number)
{
    uint32_t *ids = NULL, n = 0;
    char *text = NULL;
    size_t size;
    rt_status st = pipe_ids_read(&cli->ctx, line, number, text_vocab_size(tok), &ids, &n);
    if (st == RT_OK)
        st = text_decode(tok, ids, n, false, &text, &size);
    if (st == RT_OK)
        st = print_text(cli, text, size);
    rt_free(ids);
    rt_free(text);
    return st;
}

static rt_status encode_line(struct cli *cli, struct text_tokenizer *tok,
                             const char *line, size_t size, unsigned number)
{
    uint32_t *ids, n;
    const bool json = cli_flag(cli, "json");
    json_t *string =
        json ? json_loadb(line, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    if (json && !json_is_string(string)) {
        json_decref(string);
        return rt_fail(&cli->ctx, RT_ERR_INPUT, "line %u is not a JSON string", number);
    }
    const rt_status st = text_encode(tok, json ? json_string_value(string) : line,
                                     json ? json_string_length(string) : size,
                                     !cli_flag(cli, "plain"), &ids, &n);
    json_decref(string);
    if (st != RT_OK)
        return st;
    putchar('[');
    for (uint32_t i = 0; i < n; i++)
        printf(i ? ",%u" : "%u", ids[i]);
    puts("]");
    rt_free(ids);
    return RT_OK;
}

static rt_status tokenize(struct cli *cli)
{
    struct text_tokenizer *tok = NULL;
    const char *folder = cli_value(cli, "model", NULL);
    if (!folder)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "tool tokenize needs --model");
    rt_status st = text_tokenizer_load(&cli->ctx, folder, &tok);
    struct os_line line = { .text = NULL };
    for (unsigned number = 1; st == RT_OK && os_line_read(stdin, &line); number++) {
        if (line.size > 0 && line.text[line.size - 1] == '\n')
            line.text[--line.size] = '\0';
        st = cli_flag(cli, "decode")
                 ? decode_line(cli, tok, line.text, number)
                 : encode_line(cli, tok, line.text, line.size, number);
    }
    os_line_deinit(&line);
    text_tokenizer_destroy(&tok);
    return st;
}

static rt_status run(struct cli *cli)
{
    const char *what = cli->positional_count ? cli->positional[0] : "";
    if (cli->positional_count != 1)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "tool needs the name of one tool: logits, tokenize or dequant");
    if (strcmp(what, "logits") == 0)
        return logits(cli);
    if (strcmp(what, "tokenize") == 0)
        return tokenize(cli);
    if (strcmp(what, "dequant") == 0)
        return dequant(cli);
    return rt_fail(&cli->ctx, RT_ERR_USAGE,
                   "there is no tool '%.40s'; there are logits, tokenize and dequant",
                   what);
}

const struct cli_command cli_tool = { "tool",
                                      "logits, tokens and weights, for checks by others",
                                      "logits|tokenize|dequant --model DIR ...", options,
                                      run };
