/* pipeline/blame_part.c
 * Names of parts of a model, and their steps in the results file. */
#include "pipeline/blame_part.h"

#include <assert.h>
#include <stdio.h>

enum { SLOTS = 32, SLOT_KIND = 1, SLOT_MATRIX = SLOT_KIND + PIPE_BLAME_KINDS };

/* In the order of enum model_group and of enum fmt_module; test_report_sections compares them. */
static const char *const kinds[PIPE_BLAME_KINDS] = { "q_proj, k_proj, v_proj", "o_proj",
                                                     "gate_proj, up_proj", "down_proj" };
static const char *const matrices[PIPE_BLAME_MATRICES] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"
};

const char *pipe_blame_level_name(enum pipe_blame_level level)
{
    static const char *const names[PIPE_BLAME_LEVELS] = { "all", "kind", "layer",
                                                          "matrix" };
    assert(level < PIPE_BLAME_LEVELS);
    return names[level];
}

int64_t pipe_blame_step(const struct pipe_blame_place *p)
{
    switch (p->level) {
    case PIPE_BLAME_KIND:
        return SLOT_KIND + (int64_t)p->index;
    case PIPE_BLAME_LAYER:
        return ((int64_t)p->layer + 1) * SLOTS;
    case PIPE_BLAME_MATRIX:
        return ((int64_t)p->layer + 1) * SLOTS + SLOT_MATRIX + (int64_t)p->index;
    default:
        return 0;
    }
}

bool pipe_blame_place_of(int64_t step, struct pipe_blame_place *p)
{
    *p = (struct pipe_blame_place){ .level = PIPE_BLAME_ALL };
    if (step < 0 || step / SLOTS > UINT32_MAX)
        return false;
    const uint32_t layer = (uint32_t)(step / SLOTS), slot = (uint32_t)(step % SLOTS);
    if (layer == 0 && slot < SLOT_MATRIX) {
        p->level = slot ? PIPE_BLAME_KIND : PIPE_BLAME_ALL;
        p->index = slot ? slot - SLOT_KIND : 0;
        return true;
    }
    p->layer = layer - 1;
    p->level = slot ? PIPE_BLAME_MATRIX : PIPE_BLAME_LAYER;
    p->index = slot ? slot - SLOT_MATRIX : 0;
    return layer > 0 && (slot == 0 || (slot >= SLOT_MATRIX &&
                                       slot < SLOT_MATRIX + PIPE_BLAME_MATRICES));
}

void pipe_blame_name(const struct pipe_blame_place *p, char name[PIPE_BLAME_NAME])
{
    if (p->level == PIPE_BLAME_ALL) {
        snprintf(name, PIPE_BLAME_NAME, "all projections");
    } else if (p->level == PIPE_BLAME_LAYER) {
        snprintf(name, PIPE_BLAME_NAME, "layer %u", p->layer);
    } else if (p->level == PIPE_BLAME_MATRIX) {
        assert(p->index < PIPE_BLAME_MATRICES);
        snprintf(name, PIPE_BLAME_NAME, "model.layers.%u.%s", p->layer,
                 matrices[p->index]);
    } else {
        assert(p->index < PIPE_BLAME_KINDS);
        snprintf(name, PIPE_BLAME_NAME, "%s", kinds[p->index]);
    }
}
