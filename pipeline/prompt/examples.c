/* pipeline/prompt/examples.c
 * Reads the worked examples of a prompt format from JSON Lines and holds their text to
 * its hash. */
#include "pipeline/prompt/examples.h"

#include "pipeline/data/data_file.h"
#include "pipeline/data/data_rows.h"
#include "runtime/base/sha256.h"

#include <string.h>

struct collecting {
    struct rt_ctx *ctx;
    const char *set;
    char *text;
    size_t size, capacity;
};

static rt_status append(struct collecting *c, const char *text, size_t size)
{
    if (c->size + size + 1 > c->capacity) {
        const size_t more = 2 * (c->size + size + 1);
        char *grown = rt_resize(c->ctx, c->text, c->capacity, more, 1);
        if (!grown)
            return rt_fail(c->ctx, RT_ERR_HOST_MEMORY, "examples: no memory");
        c->text = grown;
        c->capacity = more;
    }
    memcpy(c->text + c->size, text, size);
    c->size += size;
    c->text[c->size] = '\0';
    return RT_OK;
}

static rt_status field(struct collecting *c, const struct pipe_row *row, const char *name,
                       const char **out)
{
    *out = pipe_json_text(json_object_get(row->fields, name));
    return *out ? RT_OK
                : rt_fail(c->ctx, RT_ERR_INPUT,
                          "'%s' %s %u: an example needs the text '%.40s'", row->file,
                          row->unit, row->at, name);
}

/* The template with its {names} replaced by the record's fields. */
static rt_status fill(struct collecting *c, const struct pipe_row *row,
                      const char *template)
{
    rt_status st;
    for (const char *at = template; *at;) {
        char name[41];
        const size_t length = *at == '{' ? strcspn(at, "}") : 0;
        if (length == 0) {
            const size_t plain = strcspn(at, "{");
            TRY(append(c, at, plain));
            at += plain;
            continue;
        }
        if (!at[length] || length >= sizeof name) {
            st = rt_fail(c->ctx, RT_ERR_INPUT,
                         "'%s' %s %u: a brace in the template names no field", row->file,
                         row->unit, row->at);
            goto fail;
        }
        memcpy(name, at + 1, length - 1);
        name[length - 1] = '\0';
        const char *value;
        TRY(field(c, row, name, &value));
        TRY(append(c, value, strlen(value)));
        at += length + 1;
    }
    return append(c, "\n\n", 2);

fail:
    return st;
}

static rt_status take(void *user, const struct pipe_row *row)
{
    struct collecting *c = user;
    const char *set, *template;
    rt_status st = field(c, row, "set", &set);
    if (st != RT_OK || strcmp(set, c->set) != 0)
        return st;
    st = field(c, row, "template", &template);
    return st == RT_OK ? fill(c, row, template) : st;
}

rt_status pipe_examples_parse(struct rt_ctx *ctx, const char *name, const char *text,
                              size_t size, const char *set, char **out)
{
    struct collecting c = { .ctx = ctx, .set = set };
    const struct pipe_rows_text in = { name, text, size };
    *out = NULL;
    rt_status st = pipe_rows_json(ctx, &in, take, &c);
    if (st == RT_OK && !c.text)
        st = rt_fail(ctx, RT_ERR_INPUT, "'%s': no record of the set '%s'", name, set);
    if (st == RT_OK)
        *out = c.text;
    else
        rt_free(c.text);
    return st;
}

rt_status pipe_examples_read(struct rt_ctx *ctx, const char *path,
                             const struct pipe_prompt_format *format, char **out)
{
    rt_status st;
    struct pipe_data_file file = { 0 };
    struct sha256 hash;
    char hex[65];
    *out = NULL;
    TRY(pipe_data_file_read(ctx, path, &file));
    TRY(pipe_examples_parse(ctx, path, file.text, file.size, format->examples, out));
    sha256_init(&hash);
    sha256_add(&hash, *out, strlen(*out));
    sha256_end_hex(&hash, hex);
    if (strcmp(hex, format->examples_hash) != 0)
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "'%s': the examples '%s' are not those of format %s (SHA-256 "
                     "%.16s..., it means %.16s...)",
                     path, format->examples, format->name, hex, format->examples_hash);

fail:
    pipe_data_file_deinit(&file);
    if (st != RT_OK) {
        rt_free(*out);
        *out = NULL;
    }
    return st;
}
