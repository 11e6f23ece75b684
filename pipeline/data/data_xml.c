/* pipeline/data/data_xml.c
 * Elements of an XML file as rows, by expat. */
#include "pipeline/data/data_rows.h"

#include <expat.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

struct xml {
    struct rt_ctx *ctx;
    XML_Parser parser;
    const char *name, *element;
    pipe_row_fn *fn;
    void *user;
    rt_status st;    /* the first failure */
    unsigned depth;  /* open elements */
    unsigned row_at; /* depth of the row's element, 0: outside */
    struct pipe_row row;
    json_t *fields; /* of the open row */
    char *text;     /* of the open child; as large as the file */
    size_t length;
};

static void stop(struct xml *x, rt_status st)
{
    if (x->st == RT_OK)
        x->st = st;
    XML_StopParser(x->parser, XML_FALSE);
}

static unsigned line_of(const struct xml *x)
{
    return (unsigned)XML_GetCurrentLineNumber(x->parser);
}

static void set_field(struct xml *x, const char *key, const char *text, size_t length)
{
    if (json_object_get(x->fields, key))
        stop(x, rt_fail(x->ctx, RT_ERR_INPUT,
                        "'%s' line %u: '%.60s' stands twice in one <%s>", x->name,
                        line_of(x), key, x->element));
    else if (json_object_set_new(x->fields, key, json_stringn(text, length)) != 0)
        stop(x, rt_fail(x->ctx, RT_ERR_HOST_MEMORY, "'%s' line %u: no memory", x->name,
                        line_of(x)));
}

static void XMLCALL on_start(void *user, const char *name, const char **attributes)
{
    struct xml *x = user;
    if (x->st != RT_OK)
        return;
    if (++x->depth > DEPTH_MAX) {
        stop(x, rt_fail(x->ctx, RT_ERR_INPUT, "'%s' line %u: more than %d levels",
                        x->name, line_of(x), DEPTH_MAX));
        return;
    }
    if (x->row_at && x->depth == x->row_at + 1)
        x->length = 0;
    if (x->row_at || strcmp(name, x->element) != 0)
        return;
    x->row_at = x->depth;
    x->row = (struct pipe_row){ NULL, x->name, "line", line_of(x) };
    x->fields = json_object();
    for (; x->st == RT_OK && *attributes; attributes += 2)
        set_field(x, attributes[0], attributes[1], strlen(attributes[1]));
}

static void XMLCALL on_end(void *user, const char *name)
{
    struct xml *x = user;
    if (x->st != RT_OK)
        return;
    if (x->row_at && x->depth == x->row_at + 1)
        set_field(x, name, x->text, x->length);
    if (x->st == RT_OK && x->depth == x->row_at) {
        x->row.fields = x->fields;
        const rt_status st = x->fn(x->user, &x->row);
        json_decref(x->fields);
        x->fields = NULL;
        x->row_at = 0;
        if (st != RT_OK)
            stop(x, st);
    }
    x->depth--;
}

/* Text directly within the row's element (line ends between its children) is dropped. */
static void XMLCALL on_text(void *user, const char *text, int length)
{
    struct xml *x = user;
    if (x->st != RT_OK || !x->row_at || x->depth <= x->row_at)
        return;
    memcpy(x->text + x->length, text, (size_t)length);
    x->length += (size_t)length;
}

static void XMLCALL on_doctype(void *user, const char *name, const char *system,
                               const char *public, int subset)
{
    struct xml *x = user;
    (void)name, (void)system, (void)public, (void)subset;
    stop(x, rt_fail(x->ctx, RT_ERR_INPUT,
                    "'%s' line %u: a document type declaration is not read; remove it",
                    x->name, line_of(x)));
}

rt_status pipe_rows_xml(struct rt_ctx *ctx, const struct pipe_rows_text *in,
                        const char *element, pipe_row_fn *fn, void *user)
{
    struct xml x = {
        .ctx = ctx, .name = in->name, .element = element, .fn = fn, .user = user
    };
    x.parser = XML_ParserCreate("UTF-8");
    x.text = rt_alloc(ctx, in->size + 1, 1);
    if (!x.parser || !x.text) {
        x.st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", in->name);
        goto fail;
    }
    XML_SetUserData(x.parser, &x);
    XML_SetElementHandler(x.parser, on_start, on_end);
    XML_SetCharacterDataHandler(x.parser, on_text);
    XML_SetStartDoctypeDeclHandler(x.parser, on_doctype);
    if (XML_Parse(x.parser, in->text, (int)in->size, 1) == XML_STATUS_ERROR &&
        x.st == RT_OK)
        x.st =
            rt_fail(ctx, RT_ERR_INPUT, "'%s' line %u, column %u: not XML: %s", in->name,
                    line_of(&x), (unsigned)XML_GetCurrentColumnNumber(x.parser) + 1,
                    XML_ErrorString(XML_GetErrorCode(x.parser)));

fail:
    if (x.parser)
        XML_ParserFree(x.parser);
    json_decref(x.fields);
    rt_free(x.text);
    return x.st;
}
