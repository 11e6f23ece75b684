/* runtime/quant/gguf_plan.c
 * The mixes as tables of exceptions from one type, the fallback for short rows, and plan
 * files. The rules are those of llama-quantize (November 2026), so that files of one name
 * have one size. */
#include "runtime/quant/gguf_plan.h"

#include "runtime/base/file.h"
#include "runtime/base/os.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- mixes ---- */

enum mix {
    MIX_F32,
    MIX_F16,
    MIX_BF16,
    MIX_Q8_0,
    MIX_Q6_K,
    MIX_Q5_K_M,
    MIX_Q5_K_S,
    MIX_Q5_1,
    MIX_Q5_0,
    MIX_Q4_K_M,
    MIX_Q4_K_S,
    MIX_Q4_1,
    MIX_Q4_0,
    MIX_IQ4_NL,
    MIX_IQ4_XS,
    MIX_Q3_K_L,
    MIX_Q3_K_M,
    MIX_Q3_K_S,
    MIX_Q2_K,
    MIX_COUNT
};

struct quant_gguf_mix {
    const char *name;
    uint32_t type, number;
};

static const struct quant_gguf_mix mixes[MIX_COUNT] = {
    [MIX_F32] = { "F32", FMT_BLOCK_ID_F32, 0 },
    [MIX_F16] = { "F16", FMT_BLOCK_ID_F16, 1 },
    [MIX_BF16] = { "BF16", FMT_BLOCK_ID_BF16, 32 },
    [MIX_Q8_0] = { "Q8_0", FMT_BLOCK_ID_Q8_0, 7 },
    [MIX_Q6_K] = { "Q6_K", FMT_BLOCK_ID_Q6_K, 18 },
    [MIX_Q5_K_M] = { "Q5_K_M", FMT_BLOCK_ID_Q5_K, 17 },
    [MIX_Q5_K_S] = { "Q5_K_S", FMT_BLOCK_ID_Q5_K, 16 },
    [MIX_Q5_1] = { "Q5_1", FMT_BLOCK_ID_Q5_1, 9 },
    [MIX_Q5_0] = { "Q5_0", FMT_BLOCK_ID_Q5_0, 8 },
    [MIX_Q4_K_M] = { "Q4_K_M", FMT_BLOCK_ID_Q4_K, 15 },
    [MIX_Q4_K_S] = { "Q4_K_S", FMT_BLOCK_ID_Q4_K, 14 },
    [MIX_Q4_1] = { "Q4_1", FMT_BLOCK_ID_Q4_1, 3 },
    [MIX_Q4_0] = { "Q4_0", FMT_BLOCK_ID_Q4_0, 2 },
    [MIX_IQ4_NL] = { "IQ4_NL", FMT_BLOCK_ID_IQ4_NL, 25 },
    [MIX_IQ4_XS] = { "IQ4_XS", FMT_BLOCK_ID_IQ4_XS, 30 },
    [MIX_Q3_K_L] = { "Q3_K_L", FMT_BLOCK_ID_Q3_K, 13 },
    [MIX_Q3_K_M] = { "Q3_K_M", FMT_BLOCK_ID_Q3_K, 12 },
    [MIX_Q3_K_S] = { "Q3_K_S", FMT_BLOCK_ID_Q3_K, 11 },
    [MIX_Q2_K] = { "Q2_K", FMT_BLOCK_ID_Q2_K, 10 },
};

enum role { ROLE_OTHER, ROLE_VALUE, ROLE_ATTENTION_OUT, ROLE_DOWN };
enum where {
    EVERY,
    FIRST_TWO,
    FIRST_FOUR,
    FIRST_SIXTEENTH,
    FIRST_EIGHTH,
    FIRST_EIGHTH_BLIND,      /* without importance */
    FIRST_EIGHTH_CALIBRATED, /* with it */
    ENDS_AND_THIRDS,         /* the first and last eighth, and every third between */
    SHARED_BY_FOUR           /* at least four heads have one value */
};

/* Of rows that fit the first counts. */
static const struct {
    enum mix mix;
    enum role role;
    enum where where;
    uint32_t type;
} exceptions[] = {
    { MIX_Q2_K, ROLE_VALUE, SHARED_BY_FOUR, FMT_BLOCK_ID_Q4_K },
    { MIX_Q2_K, ROLE_VALUE, EVERY, FMT_BLOCK_ID_Q3_K },
    { MIX_Q2_K, ROLE_ATTENTION_OUT, EVERY, FMT_BLOCK_ID_Q3_K },
    { MIX_Q2_K, ROLE_DOWN, EVERY, FMT_BLOCK_ID_Q3_K },
    { MIX_Q3_K_M, ROLE_VALUE, FIRST_TWO, FMT_BLOCK_ID_Q5_K },
    { MIX_Q3_K_M, ROLE_VALUE, EVERY, FMT_BLOCK_ID_Q4_K },
    { MIX_Q3_K_M, ROLE_ATTENTION_OUT, EVERY, FMT_BLOCK_ID_Q4_K },
    { MIX_Q3_K_M, ROLE_DOWN, FIRST_SIXTEENTH, FMT_BLOCK_ID_Q5_K },
    { MIX_Q3_K_M, ROLE_DOWN, EVERY, FMT_BLOCK_ID_Q4_K },
    { MIX_Q3_K_L, ROLE_VALUE, EVERY, FMT_BLOCK_ID_Q5_K },
    { MIX_Q3_K_L, ROLE_ATTENTION_OUT, EVERY, FMT_BLOCK_ID_Q5_K },
    { MIX_Q3_K_L, ROLE_DOWN, EVERY, FMT_BLOCK_ID_Q5_K },
    { MIX_Q4_K_S, ROLE_VALUE, FIRST_FOUR, FMT_BLOCK_ID_Q5_K },
    { MIX_Q4_K_S, ROLE_DOWN, FIRST_EIGHTH, FMT_BLOCK_ID_Q5_K },
    { MIX_Q4_K_M, ROLE_VALUE, ENDS_AND_THIRDS, FMT_BLOCK_ID_Q6_K },
    { MIX_Q4_K_M, ROLE_DOWN, ENDS_AND_THIRDS, FMT_BLOCK_ID_Q6_K },
    { MIX_Q5_K_M, ROLE_VALUE, ENDS_AND_THIRDS, FMT_BLOCK_ID_Q6_K },
    { MIX_Q5_K_M, ROLE_DOWN, ENDS_AND_THIRDS, FMT_BLOCK_ID_Q6_K },
    { MIX_IQ4_NL, ROLE_VALUE, SHARED_BY_FOUR, FMT_BLOCK_ID_Q5_K },
    { MIX_IQ4_NL, ROLE_DOWN, FIRST_EIGHTH_BLIND, FMT_BLOCK_ID_Q5_K },
    { MIX_IQ4_XS, ROLE_VALUE, SHARED_BY_FOUR, FMT_BLOCK_ID_Q5_K },
    { MIX_IQ4_XS, ROLE_DOWN, FIRST_EIGHTH_BLIND, FMT_BLOCK_ID_Q5_K },
    { MIX_Q4_0, ROLE_DOWN, FIRST_EIGHTH_CALIBRATED, FMT_BLOCK_ID_Q4_1 },
    { MIX_Q5_0, ROLE_DOWN, FIRST_EIGHTH_CALIBRATED, FMT_BLOCK_ID_Q5_1 },
};

const struct quant_gguf_mix *quant_gguf_mix_find(const char *name)
{
    static const char *const short_names[][2] = { { "Q3_K", "Q3_K_M" },
                                                  { "Q4_K", "Q4_K_M" },
                                                  { "Q5_K", "Q5_K_M" } };
    const size_t length = strlen(name);
    for (size_t i = 0; i < RT_COUNT(short_names); i++)
        if (length == 4 && os_same_caseless(short_names[i][0], name, 4))
            return quant_gguf_mix_find(short_names[i][1]);
    for (size_t i = 0; i < MIX_COUNT; i++)
        if (strlen(mixes[i].name) == length &&
            os_same_caseless(mixes[i].name, name, length))
            return &mixes[i];
    return NULL;
}

const char *quant_gguf_mix_name(const struct quant_gguf_mix *mix)
{
    return mix->name;
}

bool quant_gguf_mix_has_codes(const struct quant_gguf_mix *mix)
{
    return fmt_block_type_find(mix->type)->split != NULL;
}

uint32_t quant_gguf_mix_number(const struct quant_gguf_mix *mix)
{
    return mix->number;
}

const char *quant_gguf_mix_names(char *buffer, size_t size)
{
    size_t n = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < MIX_COUNT && n < size; i++)
        n += (size_t)snprintf(buffer + n, size - n, "%s%s", i ? ", " : "", mixes[i].name);
    return buffer;
}

static bool is_there(enum where where, uint32_t layer, const struct quant_gguf_sizes *s)
{
    const uint32_t eighth = s->layers / 8;
    switch (where) {
    case EVERY:
        return true;
    case FIRST_TWO:
        return layer < 2;
    case FIRST_FOUR:
        return layer < 4;
    case FIRST_SIXTEENTH:
        return layer < s->layers / 16;
    case FIRST_EIGHTH:
        return layer < eighth;
    case FIRST_EIGHTH_BLIND:
        return layer < eighth && !s->is_calibrated;
    case FIRST_EIGHTH_CALIBRATED:
        return layer < eighth && s->is_calibrated;
    case ENDS_AND_THIRDS:
        return layer < eighth || layer >= 7 * s->layers / 8 || (layer - eighth) % 3 == 2;
    default:
        return s->heads >= 4 * s->kv_heads;
    }
}

static enum role role_of(const char *name, uint32_t *layer)
{
    static const struct {
        const char *name;
        enum role role;
    } roles[] = { { "attn_v.weight", ROLE_VALUE },
                  { "attn_output.weight", ROLE_ATTENTION_OUT },
                  { "ffn_down.weight", ROLE_DOWN } };
    int end = 0;
    if (sscanf(name, "blk.%9u.%n", layer, &end) != 1 || !end)
        return ROLE_OTHER;
    for (size_t i = 0; i < RT_COUNT(roles); i++)
        if (strcmp(name + end, roles[i].name) == 0)
            return roles[i].role;
    return ROLE_OTHER;
}

/* The head, and an embedding that is the head: 6 bits at least, 8 if rows are short. */
static uint32_t type_of_head(const struct quant_gguf_mix *mix, uint64_t columns)
{
    const struct fmt_block_type *type = fmt_block_type_find(mix->type);
    if (!type->split) /* floats */
        return mix->type;
    return columns % type->block != 0 || mix->type == FMT_BLOCK_ID_Q8_0
               ? FMT_BLOCK_ID_Q8_0
               : FMT_BLOCK_ID_Q6_K;
}

static uint32_t type_of(const struct quant_gguf_mix *mix,
                        const struct quant_gguf_sizes *sizes,
                        const struct quant_gguf_row *row)
{
    uint32_t layer = 0, type = mix->type;
    const enum role role = role_of(row->name, &layer);
    if (strcmp(row->name, "output.weight") == 0 ||
        (sizes->is_tied && strcmp(row->name, "token_embd.weight") == 0))
        return type_of_head(mix, row->columns);
    for (size_t i = 0; i < RT_COUNT(exceptions); i++)
        if (mix == &mixes[exceptions[i].mix] && exceptions[i].role == role &&
            is_there(exceptions[i].where, layer, sizes)) {
            type = exceptions[i].type;
            break;
        }
    /* Models of 70B have small value matrices. */
    if (role == ROLE_VALUE && sizes->layers == 80 && sizes->heads != sizes->kv_heads &&
        (type == FMT_BLOCK_ID_Q3_K || type == FMT_BLOCK_ID_Q4_K))
        type = FMT_BLOCK_ID_Q5_K;
    return type;
}

/* What takes the place of a type whose blocks are longer than a row divides by. */
static const struct fmt_block_type *fitting(const struct fmt_block_type *type,
                                            uint64_t columns)
{
    static const uint32_t instead[][2] = {
        { FMT_BLOCK_ID_Q2_K, FMT_BLOCK_ID_Q4_0 },
        { FMT_BLOCK_ID_Q3_K, FMT_BLOCK_ID_Q4_0 },
        { FMT_BLOCK_ID_Q4_K, FMT_BLOCK_ID_Q5_0 },
        { FMT_BLOCK_ID_Q5_K, FMT_BLOCK_ID_Q5_1 },
        { FMT_BLOCK_ID_Q6_K, FMT_BLOCK_ID_Q8_0 },
        { FMT_BLOCK_ID_IQ4_XS, FMT_BLOCK_ID_IQ4_NL },
    };
    for (size_t i = 0; columns % type->block != 0 && i < RT_COUNT(instead); i++)
        if (instead[i][0] == type->id)
            type = fmt_block_type_find(instead[i][1]);
    return columns % type->block == 0 ? type : fmt_block_type_find(FMT_BLOCK_ID_F16);
}

static void settle(struct quant_gguf_row *row, const struct fmt_block_type *wanted)
{
    row->wanted = wanted;
    row->type = fitting(wanted, row->columns);
    assert(row->columns % row->type->block == 0);
}

/* ---- plan files ---- */

struct line {
    struct rt_ctx *ctx;
    const char *path;
    uint32_t number;
};

static rt_status refuse(const struct line *l, const char *what, const char *why)
{
    return rt_fail(l->ctx, RT_ERR_INPUT, "'%s' line %u: '%.80s' %s", l->path, l->number,
                   what, why);
}

static rt_status apply(const struct line *l, const char *name, const char *type_name,
                       struct quant_gguf_row *rows, uint32_t count)
{
    char names[256], why[320];
    bool is_known = false, is_kept = false;
    const struct fmt_block_type *type = quant_blocks_find(type_name);
    if (!type) {
        snprintf(why, sizeof why, "is no type that can be written; %s are",
                 quant_blocks_names(names, sizeof names));
        return refuse(l, type_name, why);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) != 0 && !os_pattern_fits(name, rows[i].name))
            continue;
        is_known = is_known || !rows[i].is_kept;
        is_kept = is_kept || rows[i].is_kept;
        if (!rows[i].is_kept)
            settle(&rows[i], type);
    }
    if (is_known)
        return RT_OK;
    return refuse(l, name,
                  is_kept ? "is kept as it is (only matrices are quantized)"
                          : "fits no tensor of the model");
}

static rt_status read_line(const struct line *l, char *text, struct quant_gguf_row *rows,
                           uint32_t count)
{
    char *rest = NULL, *comment = strchr(text, '#');
    if (comment)
        *comment = '\0';
    const char *name = os_token(text, " \t\r", &rest);
    const char *type = name ? os_token(NULL, " \t\r", &rest) : NULL;
    if (!name)
        return RT_OK;
    if (!type || os_token(NULL, " \t\r", &rest))
        return refuse(l, name, "is not followed by one type; TENSOR TYPE is expected");
    return apply(l, name, type, rows, count);
}

rt_status quant_gguf_plan_lines(struct rt_ctx *ctx, const char *path, const char *text,
                                size_t size, struct quant_gguf_row *rows, uint32_t count)
{
    struct line l = { ctx, path, 1 };
    if (memchr(text, 0, size))
        return rt_fail(ctx, RT_ERR_INPUT, "'%s' is no text: it holds a zero byte", path);
    for (size_t at = 0; at < size; l.number++) {
        const char *end = memchr(text + at, '\n', size - at);
        const size_t n = end ? (size_t)(end - text) - at : size - at;
        char copy[512];
        if (n >= sizeof copy)
            return refuse(&l, "a line", "has more than 511 bytes");
        memcpy(copy, text + at, n);
        copy[n] = '\0';
        const rt_status st = read_line(&l, copy, rows, count);
        if (st != RT_OK)
            return st;
        at += n + 1;
    }
    return RT_OK;
}

static rt_status read_plan(struct rt_ctx *ctx, const char *path,
                           struct quant_gguf_row *rows, uint32_t count)
{
    struct fmt_map map;
    rt_status st = fmt_map_open(ctx, path, &map);
    if (st != RT_OK)
        return st;
    if (map.size > QUANT_PLAN_BYTES_MAX)
        st = rt_fail(ctx, RT_ERR_INPUT, "'%s' is no plan: it has %llu bytes", path,
                     (unsigned long long)map.size);
    else if (map.size)
        st = quant_gguf_plan_lines(ctx, path, (const char *)map.data, map.size, rows,
                                   count);
    fmt_map_close(&map);
    return st;
}

rt_status quant_gguf_plan(struct rt_ctx *ctx, const struct quant_gguf_mix *mix,
                          const char *plan, const struct quant_gguf_sizes *sizes,
                          struct quant_gguf_row *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!rows[i].is_kept)
            settle(&rows[i], fmt_block_type_find(type_of(mix, sizes, &rows[i])));
    return plan ? read_plan(ctx, plan, rows, count) : RT_OK;
}

rt_status quant_gguf_plan_write(struct rt_ctx *ctx, const char *path,
                                const struct quant_gguf_mix *mix,
                                const struct quant_gguf_row *rows, uint32_t count)
{
    struct fmt_text text = { 0 };
    rt_status st = fmt_text_open(ctx, &text);
    if (st != RT_OK)
        return st;
    fprintf(
        text.file,
        "# TENSOR TYPE, for faultline quantize --method gguf --plan. TENSOR may be a\n"
        "# pattern (blk.*.attn_v.weight); the last line that fits counts.\n"
        "# Made from %s.\n",
        mix->name);
    for (uint32_t i = 0; i < count; i++) {
        const struct quant_gguf_row *r = &rows[i];
        if (!r->is_kept)
            fprintf(text.file, "%-28s %-6s # %llu x %llu, %llu bytes\n", r->name,
                    r->type->name, (unsigned long long)r->rows,
                    (unsigned long long)r->columns,
                    (unsigned long long)(r->columns / r->type->block * r->type->bytes *
                                         r->rows));
    }
    st = fmt_text_save(ctx, &text, path);
    fmt_text_close(&text);
    return st;
}
