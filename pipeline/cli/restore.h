/* pipeline/cli/restore.h
 * The whole chain as stages that are found again. The commands locate, curate and train
 * end it early, with the same options, so that restore goes on from there. */
#ifndef PIPELINE_CLI_RESTORE_H
#define PIPELINE_CLI_RESTORE_H

#include "pipeline/cli/cli_session.h"
#include "pipeline/cli/loop_train.h"

enum { RESTORE_ARMS_MAX = 16 };

/* One variant measured beside full and quant. */
struct restore_arm {
    const char *name;
    const struct loop_recipe *recipe; /* null: plain quantization */
    struct rt_model *model;           /* owned where it is plain quantization */
    struct rt_adapter *adapter;
    struct loop_variant variant;
    struct loop_answers answers;
};

struct restoring {
    struct cli *cli;
    struct loop loop;
    const char *full_folder;
    char quant_folder[600], report[600];
    struct rt_model *full, *quant;
    struct loop_variant full_row, quant_row;
    struct loop_bench mine, validate, measure;
    struct loop_answers mine_f, mine_q, f, q;
    struct loop_faults faults;
    struct restore_arm arms[RESTORE_ARMS_MAX];
    uint32_t arm_count;
    int64_t bits, items, samples, rank, epochs;
    double lr;
    const char *recipes; /* comma list */
};

/* Models, problems and numbers; every command of the chain has them. */
#define RESTORE_OPTIONS                                                                 \
    { "full", "DIR", "full-precision model folder or GGUF file" },                      \
        { "quant", "DIR",                                                               \
          "quantized folder or GGUF file (default: made from --full with --bits)" },    \
        { "bits", "N", "bits of the quantized model, one scale a row (default 3)" },    \
        { "mine", "P",                                                                  \
          "problems to mine faults from: a JSON Lines file or NAME:SPLIT of data add; " \
          "with [0:1500] a part of it" },                                               \
        { "validate", "P", "problems that choose the checkpoint" },                     \
        { "measure", "P", "problems to measure on, never trained on" },                 \
        { "format", "NAME",                                                             \
          "prompt format (default: the usual one of the mined data set, else demo)" },  \
        { "chat-format", "NAME",                                                        \
          "chat format (default: that of the model's template)" },                      \
        { "examples", "FILE", "worked examples of a format, once" },                    \
        { "max-new", "N", "tokens of an answer at most (default: the format's)" },      \
        { "items", "N", "Silver Bullet items at most (default 332)" },                  \
        { "samples", "N",                                                               \
          "drawn continuations where the greedy one fails (default 0)" },               \
        { "rank", "N", "of the adapter (default 16)" },                                 \
        { "epochs", "N", "passes over the items (default 3)" },                         \
        { "lr", "X", "learning rate (default: the recipe's)" },                         \
    {                                                                                   \
        "work", "DIR",                                                                  \
            "folder of adapters and quantized models (default "                         \
            "faultline-work)"                                                           \
    }

/* Reads the options and opens models, problems, store and device. */
RT_CHECKED rt_status restore_open(struct restoring *r, struct cli *cli);
void restore_close(struct restoring *r);
/* Full's and quant's answers to the mined problems, and the first faulty steps. */
RT_CHECKED rt_status restore_mine(struct restoring *r);
/* What training needs, after restore_mine. */
struct loop_material restore_material(const struct restoring *r);
/* The arms of --recipes, before anything is measured: RT_ERR_USAGE names one that is
 * unknown, named twice or not possible with the quantized model. */
RT_CHECKED rt_status restore_plan(struct restoring *r);
/* Measures full, quant and every arm of the plan on the measured split. */
RT_CHECKED rt_status restore_arms(struct restoring *r);
/* The table on stdout, comparisons in the store, the page. */
RT_CHECKED rt_status restore_results(struct restoring *r);
/* What each stage computed and took, against the device's measured rate, on stdout. */
RT_CHECKED rt_status restore_costs(struct restoring *r);
/* The whole chain, as restore and demo run it. */
RT_CHECKED rt_status restore_run(struct cli *cli);

#endif
