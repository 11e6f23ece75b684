/* pipeline/restore/restore.h
 * The whole chain as stages that are found again: measure full and quant on the mined
 * problems, locate, train the recipes and controls, measure all on other problems. Commands
 * that end it early take the same options, so that restore continues from there. */
#ifndef PIPELINE_RESTORE_RESTORE_H
#define PIPELINE_RESTORE_RESTORE_H

#include "pipeline/locate/locate.h"
#include "pipeline/stats/line.h"
#include "pipeline/stats/parts.h"

/* What is asked for. Strings are borrowed and outlive the chain. */
struct restore_options {
    const char *full;  /* model folder or GGUF file */
    const char *quant; /* the same, quantized; NULL: made from `full` */
    const char
        *method; /* of the model that is made, and of controls where `quant` does not
                           say what made it: rtn, gptq, awq */
    const char
        *calib; /* text that gptq and awq see inputs on; NULL: the mined problems */
    uint32_t calib_items;
    bool select; /* several candidates, chosen by KL on held-out text (run/select.h) */
    const char *mine, *validate, *measure; /* lists of problems, as the user names them */
    const char *retain;  /* what else is measured (retain.h); NULL: the bundled text */
    const char *recipes; /* names with commas, for restore_arms; NULL: none is planned */
    const char *work;    /* folder of adapters, checkpoints and quantized models */
    bool asked;          /* the user named the recipes: what is not possible is refused */
    bool lone;           /* of named recipes those alone: no `nearest` beside a repair */
    uint32_t seeds;      /* of the default and its controls; 0, 1: the session's alone */
    uint32_t mine_until; /* lost problems after which no more are mined; 0: all are */
    uint32_t bits,
        group; /* of the model that is made: 2, 3, 4 or 8; 0: a scale per row */
    bool asymmetric;
    uint32_t items; /* Silver Bullet items at most */
    struct pipe_locate_options locate;
    uint32_t rank, epochs;
    uint32_t adapter_bits; /* of a number in an adapter's file: 8 or 16 */
    double lr;             /* 0: the recipe's */
};

/* All recipes and controls, and those that run unless others are named. */
extern const char restore_all_recipes[], restore_usual_recipes[];

struct restoring;

/* What the campaign is called by: the options as a JSON object in fresh memory (rt_free).
 * RT_ERR_USAGE where a name is not UTF-8. */
RT_CHECKED rt_status restore_campaign(struct rt_ctx *ctx, const struct restore_options *o,
                                      const char *format, uint64_t seed, char **out);
/* Opens models and problems on an open session, which is borrowed, and plans the arms.
 * RT_ERR_USAGE: a recipe that is unknown, named twice or not possible, or problems that
 * would be mined and measured. */
RT_CHECKED rt_status restore_open(struct pipe_session *session,
                                  const struct restore_options *o,
                                  struct restoring **out);
void restore_close(struct restoring **restoring);

/* Full's and quant's answers to the mined problems, and the first faulty steps. */
RT_CHECKED rt_status restore_mine(struct restoring *r);
/* Whether no mined problem is lost, which is a result: full's right answers are quant's
 * too. `out` (of `size` bytes) is then a sentence that says so. After restore_mine. */
bool restore_nothing_lost(const struct restoring *r, char *out, size_t size);
/* The eval run of quant's answers to the mined problems; after restore_mine. */
const char *restore_mined_run(const struct restoring *r);
/* The locate run of these answers; after restore_mine. */
const char *restore_locate_run(const struct restoring *r);
/* The same locators on `count` right answers of full with one step altered. */
RT_CHECKED rt_status restore_injected(struct restoring *r, uint32_t count);
/* The items of a recipe as JSON Lines; after restore_mine. */
RT_CHECKED rt_status restore_curate(struct restoring *r, const char *recipe,
                                    const char *path);
/* The adapter of a recipe; its folder (at most `size` bytes) out. After restore_mine. */
RT_CHECKED rt_status restore_train(struct restoring *r, const char *recipe, char *folder,
                                   size_t size);
bool restore_is_recipe(const char *name);
/* Measures full, quant and every planned arm on the measured problems. An arm that has
 * nothing to train on is left out, and that is said. */
RT_CHECKED rt_status restore_arms(struct restoring *r);
/* Freezes the comparisons in the store and writes the page. */
RT_CHECKED rt_status restore_report(struct restoring *r, const char *path);

/* ---- results ---- */

struct restore_arm_result {
    const char *name;
    uint32_t right, fixed, broken;
    double p;                      /* McNemar, exact, against quant */
    struct pipe_recovery recovery; /* of the lost problems */
    double bits_per_weight;        /* effective, adapter included */
    bool plain;                    /* quantized, and nothing else done to it */
    bool repair;                   /* `line` is about it: role restored */
    struct pipe_line line; /* against plain models; indices as in restore_plain_name */
};
struct restore_result {
    uint32_t problems, full_right, quant_right;
    struct pipe_paired quant; /* quant against full */
    double quant_bits_per_weight;
    uint32_t arms;
};
/* Plain model `i` of a line: quant is 0, then the plain arms in their order. */
const char *restore_plain_name(const struct restoring *r, int32_t i);
/* The accuracy and bits of that model. */
void restore_plain_get(const struct restoring *r, int32_t i, double *right, double *bits);
/* After restore_arms. */
RT_CHECKED rt_status restore_result_get(struct restoring *r, struct restore_result *out);
/* Arm 0 .. arms - 1. */
RT_CHECKED rt_status restore_arm_result_get(struct restoring *r, uint32_t arm,
                                            struct restore_arm_result *out);

/* Right answers by data set of the measured list; none where it has one. */
struct restore_part_row {
    uint32_t right[PIPE_PARTS_MAX]; /* as many as parts */
    struct pipe_pooled
        mean; /* over data sets, against quant; quant against full; full 0 */
};
/* pipe_parts_deinit in any case. After restore_arms. */
RT_CHECKED rt_status restore_parts_get(struct restoring *r, struct pipe_parts *out);
enum { RESTORE_ROW_FULL, RESTORE_ROW_QUANT, RESTORE_ROW_ARMS /* + arm */ };
RT_CHECKED rt_status restore_part_row_get(struct restoring *r,
                                          const struct pipe_parts *parts, uint32_t row,
                                          struct restore_part_row *out);

/* The arms of one recipe with several seeds: "NAME", "NAME@SEED", ... */
struct restore_seeds {
    const char *name; /* of the first, of which `length` bytes are the recipe's */
    uint32_t length, count;
    double right, low, high; /* right answers, per cent: mean, least, most */
    double recovered;        /* mean of recovery.share */
};
/* *found: arm `first` is the first of its recipe, which has several. */
RT_CHECKED rt_status restore_seeds_get(struct restoring *r, uint32_t first,
                                       struct restore_seeds *out, bool *found);

/* What one stage took. */
struct restore_cost {
    const char *stage; /* borrowed during the call */
    double wall_seconds, device_seconds, tflop;
};
typedef rt_status restore_cost_fn(void *user, const struct restore_cost *cost);
/* Every stage of the campaign, in the order in which they began, then their sum, "all".
 * *matmul_rate: FLOP/s of this device's own product of 512 x 512 x 512 floats, measured
 * now. */
RT_CHECKED rt_status restore_each_cost(struct restoring *r, double *matmul_rate,
                                       restore_cost_fn *fn, void *user);

#endif
