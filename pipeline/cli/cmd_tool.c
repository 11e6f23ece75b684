#include "pipeline/cli/cli.h"

#include "runtime/format/file.h"
#include "runtime/text/tokenizer.h"
#include "runtime/train/score.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder" },
    { "adapter", "DIR", "PEFT adapter folder" },
    { "ids", "1,2,3", "token ids (logits)" },
    { "out", "FILE", "raw little-endian f32 [T, V] (logits), also -o" },
    { "decode", NULL, "JSON arrays of ids to text (tokenize)" },
    { NULL, NULL, NULL },
};

static rt_status parse_ids(struct cli *cli, const char *text, uint32_t **out, uint32_t *n)
{
    uint32_t *ids = rt_alloc(&cli->ctx, strlen(text) / 2 + 1, sizeof *ids);
    *n = 0;
    *out = ids;
    if (!ids)
        return rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory for the ids");
    for (const char *c = text; *c;) {
        char *end;
        const unsigned long id = strtoul(c, &end, 10);
        if (end == c || (*end && *end != ',') || id > UINT32_MAX)
            return rt_fail(
                &cli->ctx, RT_ERR_USAGE,
                "--ids %.60s: whole numbers with commas are needed, as in 1,2,3", text);
        ids[(*n)++] = (uint32_t)id;
        c = *end ? end + 1 : end;
    }
    return *n ? RT_OK : rt_fail(&cli->ctx, RT_ERR_USAGE, "--ids is empty");
}

static rt_status write_floats(struct cli *cli, const char *path, const float *values,
                              size_t n)
{
    return fmt_write_atomic(&cli->ctx, path, values, n * sizeof *values);
}

static rt_status logits(struct cli *cli)
{
    rt_status st;
    struct rt_device *dev = NULL;
    struct rt_model *model = NULL;
    struct rt_adapter *adapter = NULL;
    struct rt_scorer *scorer = NULL;
    uint32_t *ids = NULL, n = 0;
    float *values = NULL;
    const char *folder = cli_value(cli, "model", NULL),
               *out = cli_value(cli, "out", NULL);
    const char *text = cli_value(cli, "ids", NULL),
               *extra = cli_value(cli, "adapter", NULL);
    if (!folder || !out || !text)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "tool logits needs --model, --ids and --out");
    TRY(parse_ids(cli, text, &ids, &n));
    TRY(cli_device_open(cli, &dev));
    TRY(rt_model_load(dev, folder, 0, &model));
    for (uint32_t i = 0; i < n; i++)
        if (ids[i] >= model->config.vocab) {
            st =
                rt_fail(&cli->ctx, RT_ERR_USAGE, "--ids: '%s' has no id %u, only 0 to %u",
                        folder, ids[i], model->config.vocab - 1);
            goto fail;
        }
    if (n > model->positions) {
        st = rt_fail(&cli->ctx, RT_ERR_USAGE,
                     "--ids: %u ids do not fit the context of '%s', %u", n, folder,
                     model->positions);
        goto fail;
    }
    if (extra) {
        struct fmt_adapter *source = NULL;
        TRY(fmt_adapter_read(&cli->ctx, extra, &model->config, &source));
        TRY(rt_adapter_create(model, source, false, &adapter));
    }
    TRY(rt_scorer_create(model, adapter, NULL, n, &scorer));
    values = rt_alloc(&cli->ctx, (size_t)n * model->config.vocab, sizeof *values);
    if (!values) {
        st = rt_fail(&cli->ctx, RT_ERR_HOST_MEMORY, "no memory for %u rows of logits", n);
        goto fail;
    }
    TRY(rt_scorer_logits(scorer, ids, n, values));
    TRY(write_floats(cli, out, values, (size_t)n * model->config.vocab));
    cli_print_profile(cli, dev);

fail:
    rt_scorer_destroy(&scorer);
    rt_adapter_destroy(&adapter);
    rt_model_destroy(&model);
    rt_device_destroy(&dev);
    rt_free(values);
    rt_free(ids);
    return st;
}

static rt_status decode_line(struct cli *cli, struct text_tokenizer *tok,
                             const char *line, unsigned number)
{
    json_t *array = json_loads(line, 0, NULL);
    const size_t n = json_array_size(array);
    uint32_t *ids = rt_alloc(&cli->ctx, n, sizeof *ids);
    char *text = NULL;
    size_t size;
    rt_status st = RT_OK;
    if (!json_is_array(array) || !ids)
        st = rt_fail(&cli->ctx, RT_ERR_INPUT,
                     "standard input, line %u is not a JSON array of ids; write [1,2,3]",
                     number);
    for (size_t i = 0; st == RT_OK && i < n; i++) {
        const json_t *value = json_array_get(array, i);
        const json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id > UINT32_MAX)
            st = rt_fail(
                &cli->ctx, RT_ERR_INPUT,
                "standard input, line %u: element %zu of the array is no id; write "
                "[1,2,3]",
                number, i + 1);
        ids[i] = (uint32_t)id;
    }
    if (st == RT_OK)
        st = text_decode(tok, ids, (uint32_t)n, false, &text, &size);
    if (st == RT_OK) {
        fwrite(text, 1, size, stdout);
        putchar('\n');
    }
    json_decref(array);
    rt_free(ids);
    rt_free(text);
    return st;
}

static rt_status encode_line(struct text_tokenizer *tok, const char *line, size_t size)
{
    uint32_t *ids, n;
    const rt_status st = text_encode(tok, line, size, true, &ids, &n);
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
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    for (unsigned number = 1; st == RT_OK && (n = getline(&line, &capacity, stdin)) >= 0;
         number++) {
        if (n > 0 && line[n - 1] == '\n')
            line[--n] = '\0';
        st = cli_flag(cli, "decode") ? decode_line(cli, tok, line, number)
                                     : encode_line(tok, line, (size_t)n);
    }
    free(line); /* lint: getline's own */
    text_tokenizer_destroy(&tok);
    return st;
}

static rt_status run(struct cli *cli)
{
    const char *what = cli->positional_count ? cli->positional[0] : "";
    if (cli->positional_count != 1)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "tool needs the name of one tool: logits or tokenize");
    if (strcmp(what, "logits") == 0)
        return logits(cli);
    if (strcmp(what, "tokenize") == 0)
        return tokenize(cli);
    return rt_fail(&cli->ctx, RT_ERR_USAGE,
                   "there is no tool '%.40s'; there are logits and tokenize", what);
}

const struct cli_command cli_tool = { "tool",
                                      "logits and tokenization, for checks by others",
                                      "logits|tokenize --model DIR ...", options, run };
