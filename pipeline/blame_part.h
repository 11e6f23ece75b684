/* pipeline/blame_part.h
 * Parts of a model that are measured one by one (pipeline/run/blame.h), and the steps under
 * which metrics of a run keep them: the report reads these rows without a model. */
#ifndef PIPELINE_BLAME_PART_H
#define PIPELINE_BLAME_PART_H

#include "runtime/base/rt.h"

enum pipe_blame_level {
    PIPE_BLAME_ALL,  /* every projection: what stays is embedding, head and norms */
    PIPE_BLAME_KIND, /* what reads one input (q, k, v; o; gate, up; down), in all layers */
    PIPE_BLAME_LAYER,  /* all projections of a layer */
    PIPE_BLAME_MATRIX, /* one of them */
    PIPE_BLAME_LEVELS
};
enum { PIPE_BLAME_KINDS = 4, PIPE_BLAME_MATRICES = 7, PIPE_BLAME_NAME = 96 };

struct pipe_blame_place {
    enum pipe_blame_level level;
    uint32_t layer; /* of a layer or matrix */
    uint32_t index; /* enum model_group of a kind, enum fmt_module of a matrix */
};

/* The step is the layer, plus 1, times 32, plus a slot: 0 the whole, 1 to 4 the kinds, then the
 * matrices; without a layer it begins with 0. It is in files: never reorder. */
int64_t pipe_blame_step(const struct pipe_blame_place *place);
/* False: no part has that step. */
bool pipe_blame_place_of(int64_t step, struct pipe_blame_place *place);
/* "layer 3", "model.layers.3.mlp.up_proj". */
void pipe_blame_name(const struct pipe_blame_place *place, char name[PIPE_BLAME_NAME]);
const char *pipe_blame_level_name(enum pipe_blame_level level);

#endif
