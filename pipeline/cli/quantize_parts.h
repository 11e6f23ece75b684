/* pipeline/cli/quantize_parts.h
 * The parts of the command quantize, which has three ways of work: a folder, a GGUF file
 * (--method gguf), a comparison that writes nothing (--compare). */
#ifndef PIPELINE_CLI_QUANTIZE_PARTS_H
#define PIPELINE_CLI_QUANTIZE_PARTS_H

#include "pipeline/cli/cli_session.h"
#include "pipeline/run/quantize_cost.h"

/* RT_ERR_USAGE: an option is given that changes nothing in the way that is asked for. */
RT_CHECKED rt_status cli_quantize_used(struct cli *cli);

/* How weights become codes: --rounding, --order, --damping. */
struct cli_rounding {
    bool nearest, natural_order;
    double damping; /* 0: none is given */
};
/* The first of these that is given, NULL: none. */
const char *cli_quantize_has_rounding(const struct cli *cli);
/* RT_ERR_USAGE: the method has no such choice. */
RT_CHECKED rt_status cli_quantize_rounding(struct cli *cli, const char *method,
                                           struct cli_rounding *out);

/* Prints what --dry-run tells, or JSON. candidates: those that --select makes at most. */
void cli_quantize_print_cost(const struct cli *cli, const struct pipe_quantize_cost *cost,
                             uint32_t candidates);

/* ---- choices with calibration text: rows of the command's table of options ---- */

/* clang-format off */
#define CLI_PLAN_OPTIONS \
    { "plan", "FILE", \
      "widths of single matrices: lines TENSOR TYPE, with * ? [a-z] in TENSOR and int2, " \
      "int3, int4 or int8 as TYPE; the rest gets --bits. gguf: as --write-plan writes it" }, \
    { "budget", "BITS", \
      "per weight, scales included: widths by how much the model suffers on --calib, " \
      "written as the plan OUT.plan" }, \
    { "sensitivity", "NAME", \
      "of --budget: estimate (default: measured at 2 bits, then by the error of layers) " \
      "or all (measured at every width)" }
/* clang-format on */
#define CLI_SELECT_OPTIONS                                                               \
    { "select", "kl|none",                                                               \
      "candidates beside each other, the nearest to the full model on text held out of " \
      "--calib is kept (kl, the default with --calib), or one as the options say" },     \
    {                                                                                    \
        "select-text", "T", "text to choose by; then all of --calib calibrates"          \
    }

/* RT_ERR_USAGE where --select or --budget do not fit the other options, or --select leaves
 * nothing to choose. */
RT_CHECKED rt_status cli_select_check(struct cli *cli, const char *method);
RT_CHECKED rt_status cli_budget_check(struct cli *cli, const char *method);
/* Reads --calib and its kin, --select and --budget. */
RT_CHECKED rt_status cli_calibrated_read(struct cli *cli, const char *method,
                                         const char *model, const char *out,
                                         struct pipe_calibrated_options *options);
/* pipe_quantize_calibrated; prints the tables of its choices, unless --json is given. */
RT_CHECKED rt_status cli_quantize_calibrated(
    struct cli *cli, struct pipe_session *session,
    const struct pipe_calibrated_options *options, struct pipe_quantize_options *quantize,
    struct pipe_selected *selected, struct pipe_quantized *result);
/* The same of a GGUF file. */
RT_CHECKED rt_status cli_quantize_gguf_calibrated(
    struct cli *cli, struct pipe_session *session,
    const struct pipe_calibrated_options *options, struct pipe_gguf_options *quantize,
    struct pipe_selected *selected, struct pipe_gguf_made *made);

/* ---- activations of 8 bits ---- */

/* Fills int8, given, float_inputs and nearest by --activations, --float-inputs and
 * --rounding, whose defaults the method decides. RT_ERR_USAGE for a value that is none, or an
 * option that changes nothing. */
RT_CHECKED rt_status cli_quantize_int8(struct cli *cli, struct pipe_quantize_options *q);
/* A line that says how much of the products is in whole numbers; nothing for float inputs. */
void cli_quantize_print_int8(const struct pipe_quantize_options *q,
                             const struct pipe_quantized *result);

/* ---- GGUF files ---- */

/* Whether --method is gguf. */
bool cli_quantize_is_gguf(const struct cli *cli);
RT_CHECKED rt_status cli_quantize_gguf(struct cli *cli);

/* ---- comparing ---- */

#define CLI_COMPARE_OPTIONS                                                              \
    { "compare", "A,B,...",                                                              \
      "keep nothing: folders, GGUF files or plan:FILE (made by rtn as --bits, --group, " \
      "--asym, --search and --keep say) beside --model on --text" },                     \
        { "text", "T", "of --compare: text (.txt), or problems with solutions" },        \
        { "context", "N",                                                                \
          "of --compare: tokens of a window of a text (default 512, or what the model "  \
          "has)" },                                                                      \
    {                                                                                    \
        "stride", "N",                                                                   \
            "of --compare: tokens between windows (default: half of the context)"        \
    }

/* --bits, --group and the other options that say how a folder is made. */
RT_CHECKED rt_status cli_quantize_options(struct cli *cli,
                                          struct pipe_quantize_options *out);
/* Whether --compare has a plan among its variants. */
bool cli_quantize_compares_plans(const struct cli *cli);
/* Prints the table, or JSON. */
RT_CHECKED rt_status cli_quantize_compare(struct cli *cli);

#endif
