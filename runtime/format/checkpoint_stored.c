/* runtime/format/checkpoint_stored.c
 * How a model's matrices are stored, in words. */
#include "runtime/format/checkpoint.h"
#include "runtime/format/peft.h"

#include <stdio.h>
#include <string.h>

enum { TEXTS_MAX = 16 };

/* The texts of fmt_weight_stored, with how many weights each has. */
struct tally {
    struct {
        char text[sizeof((struct fmt_stored){ 0 }.text)];
        uint64_t weights;
    } rows[TEXTS_MAX];
    uint32_t count;
    bool packed; /* any of them */
};

static void add(struct tally *t, const struct fmt_stored *stored, uint64_t weights)
{
    uint32_t i = 0;
    while (i < t->count && strcmp(t->rows[i].text, stored->text) != 0)
        i++;
    if (i == TEXTS_MAX)
        return;
    if (i == t->count)
        snprintf(t->rows[t->count++].text, sizeof t->rows[i].text, "%s", stored->text);
    t->rows[i].weights += weights;
    t->packed |= stored->packed;
}

/* The text with most weights, which then counts as none. */
static const char *take_most(struct tally *t)
{
    uint32_t most = 0;
    for (uint32_t i = 1; i < t->count; i++)
        if (t->rows[i].weights > t->rows[most].weights)
            most = i;
    t->rows[most].weights = 0;
    return t->rows[most].text;
}

static rt_status count_modules(struct fmt_model *m, struct tally *t)
{
    rt_status st;
    const struct fmt_config *c = fmt_model_config(m);
    for (uint32_t i = 0; i < c->layers * FMT_MODULE_COUNT; i++) {
        struct fmt_stored stored;
        char name[128];
        uint32_t out, in;
        snprintf(name, sizeof name, "model.layers.%u.%s", i / FMT_MODULE_COUNT,
                 fmt_module_path[i % FMT_MODULE_COUNT]);
        fmt_module_size(c, (enum fmt_module)(i % FMT_MODULE_COUNT), &out, &in);
        TRY(fmt_weight_stored(m, name, &stored));
        add(t, &stored, (uint64_t)out * in);
    }
    return RT_OK;

fail:
    return st;
}

rt_status fmt_model_stored(struct fmt_model *m, char *text, size_t size)
{
    rt_status st;
    struct tally t = { .count = 0 };
    const struct fmt_quantization *q = &fmt_model_config(m)->quantization;
    text[0] = '\0';
    if (q->present && !q->mixed) {
        snprintf(text, size, "%s %u bit%s%s",
                 q->algorithm[0] ? q->algorithm : fmt_method_name(q->method), q->bits,
                 q->block[0] ? " in blocks"
                 : q->group  ? " grouped"
                             : " per row",
                 q->symmetric ? "" : " asymmetric");
        return RT_OK;
    }
    TRY(count_modules(m, &t));
    for (uint32_t i = 0; i < t.count && t.packed; i++) {
        const size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%s", i ? ", " : "", take_most(&t));
    }

fail:
    return st;
}
