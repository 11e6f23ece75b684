/* runtime/quant/width_plan.c
 * Reads, writes and asks plans. */
#include "runtime/quant/width_plan.h"

#include "runtime/base/file.h"
#include "runtime/base/os.h"
#include "runtime/format/peft.h"

#include <stdio.h>
#include <string.h>

enum { PLAN_BYTES_MAX = 1 << 24, LINE_MAX_BYTES = 512 };

const uint32_t quant_plan_widths[QUANT_PLAN_WIDTHS] = { 2, 3, 4, 8 };

static uint32_t width_of(const char *type)
{
    char name[8];
    for (int i = 0; i < QUANT_PLAN_WIDTHS; i++) {
        snprintf(name, sizeof name, "int%u", quant_plan_widths[i]);
        if (strcmp(name, type) == 0)
            return quant_plan_widths[i];
    }
    return 0;
}

rt_status quant_plan_add(struct rt_ctx *ctx, struct quant_plan *p, const char *pattern,
                         uint32_t bits)
{
    if (p->count == p->capacity) {
        const uint32_t more = p->capacity ? 2 * p->capacity : 64;
        struct quant_plan_row *rows =
            rt_resize(ctx, p->rows, p->capacity, more, sizeof *rows);
        if (!rows)
            return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for a plan");
        p->rows = rows;
        p->capacity = more;
    }
    struct quant_plan_row *row = &p->rows[p->count++];
    *row = (struct quant_plan_row){ .bits = bits };
    snprintf(row->pattern, sizeof row->pattern, "%s", pattern);
    return RT_OK;
}

static rt_status bad_line(struct rt_ctx *ctx, const struct quant_plan *p, uint32_t line,
                          const char *why)
{
    return rt_fail(ctx, RT_ERR_INPUT,
                   "plan '%s', line %u: %s; a line is TENSOR TYPE, with int2, int3, int4 "
                   "or int8 as the type",
                   p->path, line, why);
}

static rt_status bad_type(struct rt_ctx *ctx, const struct quant_plan *p, uint32_t line,
                          const char *type)
{
    char why[80];
    snprintf(why, sizeof why, "the type '%.40s' is not known", type);
    return bad_line(ctx, p, line, why);
}

/* One line without its end; it is cut into words. */
static rt_status read_line(struct rt_ctx *ctx, struct quant_plan *p, char *text,
                           uint32_t line)
{
    static const char blank[] = " \t\r=";
    char *rest = NULL;
    text[strcspn(text, "#")] = '\0';
    char *name = os_token(text, blank, &rest);
    const char *type = name ? os_token(NULL, blank, &rest) : NULL;
    if (!name)
        return RT_OK;
    if (!type || os_token(NULL, blank, &rest))
        return bad_line(ctx, p, line, type ? "it has a third word" : "it has no type");
    const size_t n = strlen(name), suffix = strlen(".weight");
    if (n > suffix && strcmp(name + n - suffix, ".weight") == 0)
        name[n - suffix] = '\0';
    if (strlen(name) >= sizeof p->rows->pattern)
        return bad_line(ctx, p, line, "the name is too long");
    const uint32_t bits = width_of(type);
    if (bits == 0)
        return bad_type(ctx, p, line, type);
    const rt_status st = quant_plan_add(ctx, p, name, bits);
    if (st == RT_OK)
        p->rows[p->count - 1].line = line;
    return st;
}

static rt_status read_lines(struct rt_ctx *ctx, struct quant_plan *p, const char *text,
                            size_t size)
{
    char copy[LINE_MAX_BYTES];
    uint32_t line = 1;
    if (size > PLAN_BYTES_MAX || memchr(text, '\0', size))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s' is no plan: it is no text, or over 16 MiB", p->path);
    for (size_t at = 0; at < size; line++) {
        const char *end = memchr(text + at, '\n', size - at);
        const size_t n = end ? (size_t)(end - text) - at : size - at;
        if (n >= sizeof copy)
            return bad_line(ctx, p, line, "it has more than 511 bytes");
        memcpy(copy, text + at, n);
        copy[n] = '\0';
        const rt_status st = read_line(ctx, p, copy, line);
        if (st != RT_OK)
            return st;
        at += n + 1;
    }
    return RT_OK;
}

rt_status quant_plan_read(struct rt_ctx *ctx, const char *path, struct quant_plan *out)
{
    struct fmt_map map;
    *out = (struct quant_plan){ .count = 0 };
    snprintf(out->path, sizeof out->path, "%.500s", path);
    rt_status st = fmt_map_open(ctx, path, &map);
    if (st != RT_OK)
        return st;
    if (map.size)
        st = read_lines(ctx, out, (const char *)map.data, map.size);
    if (st != RT_OK)
        quant_plan_deinit(out);
    else if (out->count == 0)
        rt_log(ctx, RT_LOG_WARNING, "plan '%s' names no tensor: it changes nothing",
               out->path);
    fmt_map_close(&map);
    return st;
}

void quant_plan_deinit(struct quant_plan *p)
{
    rt_free(p->rows);
    *p = (struct quant_plan){ .count = 0 };
}

rt_status quant_plan_write(struct rt_ctx *ctx, const char *path,
                           const struct quant_plan *p, const char *comment)
{
    struct fmt_text text = { 0 };
    rt_status st = fmt_text_open(ctx, &text);
    if (st != RT_OK)
        return st;
    for (const char *at = comment; *at;) {
        const size_t n = strcspn(at, "\n");
        fprintf(text.file, "# %.*s\n", (int)n, at);
        at += n + (at[n] == '\n');
    }
    for (uint32_t i = 0; i < p->count; i++)
        fprintf(text.file, "%-44s int%u\n", p->rows[i].pattern, p->rows[i].bits);
    st = fmt_text_save(ctx, &text, path);
    fmt_text_close(&text);
    return st;
}

uint32_t quant_plan_bits(const struct quant_plan *p, const char *name, uint32_t otherwise)
{
    uint32_t bits = otherwise;
    for (uint32_t i = 0; i < p->count; i++)
        if (os_pattern_fits(p->rows[i].pattern, name))
            bits = p->rows[i].bits;
    return bits;
}

static bool fits_any(const struct quant_plan_row *row, uint32_t layers)
{
    char name[128];
    for (uint32_t i = 0; i < layers * FMT_MODULE_COUNT; i++) {
        snprintf(name, sizeof name, "model.layers.%u.%s", i / FMT_MODULE_COUNT,
                 fmt_module_path[i % FMT_MODULE_COUNT]);
        if (os_pattern_fits(row->pattern, name))
            return true;
    }
    return false;
}

rt_status quant_plan_check(struct rt_ctx *ctx, const struct quant_plan *p,
                           uint32_t layers)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (!fits_any(&p->rows[i], layers))
            return rt_fail(
                ctx, RT_ERR_INPUT,
                "plan '%s', line %u: no projection of the model's %u layers is "
                "'%s'; the first is model.layers.0.%s",
                p->path, p->rows[i].line, layers, p->rows[i].pattern, fmt_module_path[0]);
    return RT_OK;
}
