/* pipeline/stats/stats_record.h
 * The statistics of pipeline/stats/statistics.h, distance.h and power.h as JSON records: what
 * `faultline stats --jsonl` reads and prints. A record has `kind` and the inputs of that
 * kind; the results are set in it under their names:
 *
 *   interval95  k, n -> wilson [low, high], clopper_pearson [low, high]
 *   mcnemar     base_right_quant_wrong, base_wrong_quant_right -> exact_two_sided, mid_p
 *   tango       lost, gained, n -> difference, tango [low, high]
 *   paired      base, quant: texts of 0 and 1 -> acc_base, acc_quant, diff,
 *               se_paired_diff, flips, flip_rate, right_to_wrong, wrong_to_right,
 *               mcnemar_exact
 *   bootstrap   base, quant: one per problem; draws, seed (optional) -> diff, interval
 *   pass_at_k   n, c, k -> value
 *   pass_at_k_over_problems
 *               n, k, c: a list -> value, se
 *   avg_at_k    samples: a text of 0 and 1 a question -> avg, se_over_question_means; and
 *               se_if_all_samples_were_independent, which is wrong, only where the record
 *               has it, so that the difference can be seen
 *   holm        p: a list -> adjusted
 *   kl          base_logits, quant_logits, token -> kl_base_to_quant, delta_p_token,
 *               nll_base, nll_quant, same_top, top1_margin_base, top1_margin_quant
 *   power       flips, difference, n, mid_p (optional) -> power */
#ifndef PIPELINE_STATS_STATS_RECORD_H
#define PIPELINE_STATS_STATS_RECORD_H

#include "runtime/base/rt.h"

#include <jansson.h>

/* Sets the results in `record`. `where` ("'file' line 3") starts a message. RT_ERR_INPUT:
 * an unknown kind, an input that is missing or out of range. */
RT_CHECKED rt_status pipe_stats_record(struct rt_ctx *ctx, const char *where,
                                       json_t *record);

#endif
