/* pipeline/run/select_kind.h
 * Private to pipeline/run/select*.c: what a candidate is on disk, and what differs between
 * kinds of them. */
#ifndef PIPELINE_RUN_SELECT_KIND_H
#define PIPELINE_RUN_SELECT_KIND_H

#include "pipeline/run/select.h"
#include "runtime/base/json.h"
#include "runtime/base/sha256.h"

/* How a candidate fared; the member of its kind counts. */
struct pipe_select_result {
    struct pipe_quantized folder;
    struct pipe_gguf_made file;
};

/* What all candidates are, and are made of; all borrowed. */
struct pipe_select_job {
    struct pipe_session *session;
    const struct pipe_select_from *from;
    const struct pipe_select_kind *kind;
    const struct train_sequence *used; /* what calibrates */
    uint32_t used_count;
    /* What its pass saw, for all candidates; NULL: each has another model to see. */
    struct quant_seen *shared;
};

/* What is varied, in this order. */
enum pipe_select_change {
    PIPE_SELECT_SEARCH,
    PIPE_SELECT_ORDER,
    PIPE_SELECT_DAMPING,
    PIPE_SELECT_NEAREST,
    PIPE_SELECT_CHANGES
};

#define PIPE_SELECT_DAMPING_HIGH 0.1 /* the other candidate: ten times the usual */

struct pipe_select_kind {
    void (*name)(struct pipe_candidate *candidate);
    void (*vary)(struct pipe_candidate *candidate, enum pipe_select_change change);
    /* Adds all options that bytes depend on. */
    rt_status (*hash)(const struct pipe_select_job *job,
                      const struct pipe_candidate *candidate, struct sha256 *hash);
    /* What has to be known of inputs for the first candidate and all that are varied from it
     * (enum observe_what); 0: inputs are those of each candidate itself. */
    uint32_t (*needs)(const struct pipe_candidate *candidate);
    /* Takes up what an earlier command had begun at `path`. */
    rt_status (*make)(const struct pipe_select_job *job,
                      const struct pipe_candidate *candidate, const char *path,
                      struct pipe_select_result *result);
    /* Sum of the errors of layers; NaN: it is not known. */
    double (*objective)(const struct pipe_select_result *result);
    /* A new object; NULL: no memory. */
    json_t *(*write)(const struct pipe_select_result *result);
    /* *good becomes false where that is no such object. Deinit in any case. */
    rt_status (*read)(struct rt_ctx *ctx, const json_t *object,
                      struct pipe_select_result *result, bool *good);
    void (*deinit)(struct pipe_select_result *result);
    void (*remove)(const char *path);
    /* Gives a whole candidate its name. */
    rt_status (*place)(struct rt_ctx *ctx, const char *path, const char *to);
};
extern const struct pipe_select_kind pipe_select_folder, pipe_select_gguf;

/* ---- numbers in JSON, which NaN and infinities are among ---- */

/* A hexadecimal text, which loses nothing. */
json_t *pipe_select_number(double value);
/* NaN or 0 where there is none; *good becomes false. */
double pipe_select_number_of(const json_t *value, bool *good);
uint64_t pipe_select_count_of(const json_t *object, const char *name, bool *good);

#endif
