/* pipeline/locate/inject_set.c
 * Draws solutions and alters one step of each. */
#include "pipeline/locate/inject_set.h"

#include "pipeline/prompt/inject_text.h"
#include "runtime/base/json.h"
#include "runtime/base/philox.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static rt_status no_memory(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "injected faults: no memory");
}

/* Places 0 .. count - 1 in an order that the seed draws. */
static uint32_t *shuffled(struct rt_ctx *ctx, uint32_t count, uint64_t seed)
{
    uint32_t *order = rt_alloc(ctx, count, sizeof *order);
    for (uint32_t i = 0; order && i < count; i++) {
        const uint32_t word =
            philox_word(i, 0, 0, 0x6f726465u, (uint32_t)seed, (uint32_t)(seed >> 32));
        const uint32_t at = (uint32_t)(((uint64_t)word * (i + 1)) >> 32);
        order[i] = order[at];
        order[at] = i;
    }
    return order;
}

/* One altered item of the kind `first` or one after it; false in *made: none. */
static rt_status alter(struct rt_ctx *ctx, const struct pipe_labelled *from,
                       uint32_t index, uint32_t first, uint64_t seed,
                       struct pipe_labelled_set *out, bool *made)
{
    rt_status st = RT_OK;
    struct pipe_injected x = { .output = NULL };
    *made = false;
    for (uint32_t k = 0; k < PIPE_INJECT_COUNT && !x.output; k++) {
        const enum pipe_inject_kind kind = (first + k) % PIPE_INJECT_COUNT;
        TRY(pipe_inject_text(ctx, &out->pool, &pipe_dialect_lines, from->question,
                             from->text, kind, seed, index, &x));
    }
    if (!x.output || x.step < 0)
        return RT_OK;
    struct pipe_labelled *to = &out->items[out->count];
    struct pipe_step *steps =
        pipe_pool_take(ctx, &out->pool, PIPE_STEPS_MAX, sizeof *steps);
    *to = *from;
    to->question =
        pipe_pool_copy(ctx, &out->pool, from->question, strlen(from->question));
    to->id = pipe_pool_format(ctx, &out->pool, "injected-%u", index);
    to->answer = pipe_pool_copy(ctx, &out->pool, from->answer, strlen(from->answer));
    if (!steps || !to->question || !to->id || !to->answer)
        return no_memory(ctx);
    to->text = x.output;
    to->steps = steps;
    to->step_count = pipe_dialect_lines.split(x.output, steps, PIPE_STEPS_MAX);
    to->kind = pipe_inject_kind_name(x.kind);
    to->label = x.step;
    to->final = PIPE_FINAL_WRONG;
    to->problem = out->count++;
    *made = true;

fail:
    return st;
}

rt_status pipe_inject_set(struct rt_ctx *ctx, const struct pipe_labelled_set *from,
                          uint32_t want, uint64_t seed, struct pipe_labelled_set *out)
{
    rt_status st = RT_OK;
    uint32_t *order = shuffled(ctx, from->count, seed);
    *out = (struct pipe_labelled_set){ .items = rt_alloc(ctx, want, sizeof *out->items) };
    if (!order || !out->items) {
        st = no_memory(ctx);
        goto fail;
    }
    for (uint32_t i = 0; i < from->count && out->count < want; i++) {
        const struct pipe_labelled *item = &from->items[order[i]];
        bool made;
        if (item->label >= 0)
            continue;
        TRY(alter(ctx, item, order[i], out->count % PIPE_INJECT_COUNT, seed, out, &made));
    }
    out->problems = out->count;
    if (out->count == 0)
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "no solution without a fault has an equation that can be altered");

fail:
    rt_free(order);
    if (st != RT_OK)
        pipe_labelled_deinit(out);
    return st;
}

rt_status pipe_labelled_line(struct rt_ctx *ctx, const struct pipe_labelled *item,
                             char **out)
{
    json_t *steps = json_array();
    for (uint32_t k = 0; k < item->step_count; k++) {
        json_array_append_new(steps, json_stringn(item->text + item->steps[k].char_start,
                                                  pipe_labelled_step_size(item, k)));
    }
    json_t *all = json_pack("{s:s, s:s, s:s, s:o, s:b, s:i}", "id", item->id, "generator",
                            item->kind, "problem", item->question, "steps", steps,
                            "final_answer_correct", item->final == PIPE_FINAL_RIGHT,
                            "label", (int)item->label);
    if (all && item->answer[0])
        json_object_set_new(all, "answer", json_string(item->answer));
    *out = all ? fmt_json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    return *out ? RT_OK : no_memory(ctx);
}

rt_status pipe_labelled_write(struct rt_ctx *ctx, const struct pipe_labelled_set *set,
                              FILE *out)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < set->count; i++) {
        char *line = NULL;
        TRY(pipe_labelled_line(ctx, &set->items[i], &line));
        fprintf(out, "%s\n", line);
        rt_free(line);
    }

fail:
    return st;
}
