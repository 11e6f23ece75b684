/* store/report/report_arms_table.c
 * What the arms are, in words, and every number about them in two tables: against the
 * quantized model, and against the main arm. */
#include "store/report/report_impl.h"

#include <math.h>
#include <string.h>

static const char dash[] = "<td class=\"n\">\xe2\x80\x93</td>";

static void put_difference(struct html *h, const struct pipe_paired *p)
{
    html_raw_text(h, "<td class=\"n\">");
    html_signed(h, 100 * p->difference, 1);
    html_raw_text(h, " [");
    html_signed(h, 100 * p->interval.low, 1);
    html_raw_text(h, ", ");
    html_signed(h, 100 * p->interval.high, 1);
    html_raw_text(h, "]</td>");
}

static void put_p_cell(struct html *h, double p)
{
    html_raw_text(h, "<td class=\"n\">");
    html_p_value(h, p);
    html_raw_text(h, "</td>");
}

/* ---- words ---- */

static const struct {
    const char *label, *words;
} known[] = {
    { "refine", "the quantized model's own scales, trained to be like full precision on "
                "its answers "
                "to lost problems: no extra bit" },
    { "refine-random", "control: refine on problems drawn at random. Does it matter that "
                       "the problems were "
                       "lost?" },
    { "refine-kept",
      "control: refine on problems that both models solve, as long as the lost ones. The "
      "same question without the difference in length" },
    { "refine-step", "refine with more weight on the step that was wrong" },
    { "refine-1000", "refine on all lost problems, filled up with random ones to 1,000" },
    { "refine+adapter", "refine, then an adapter on that model" },
    { "gptq-bullets", "quantized again by GPTQ, calibrated on full precision's answers "
                      "to lost problems" },
    { "gptq-self",
      "control: the same on its answers to problems drawn at random. Does it matter that "
      "the problems were lost?" },
    { "gptq-step", "gptq-bullets with more weight on the step that was wrong" },
    { "gptq-random-step",
      "control: gptq-step with that weight on another step of the same answers. Does the "
      "place matter?" },
    { "awq-self", "control: the same by AWQ" },
    { "rescue", "control: the quantized model itself; an answer that repeats itself is "
                "taken back to "
                "before that and continues with the runner-up. Nothing is trained" },
    { "adapter",
      "low-rank start, then distilled from full precision on its answers to lost "
      "problems" },
    { "adapter-random",
      "control: adapter on problems drawn at random. Does it matter that the problems "
      "were lost?" },
    { "default",
      "low-rank start, then distilled from full precision on its answers to lost "
      "problems" },
    { "lowrank",
      "no training: the adapter is the activation-weighted low-rank part of the "
      "quantization error" },
    { "sft", "supervised on full precision's answers to lost problems" },
    { "kl", "distilled from full precision on the same answers, from an empty adapter" },
    { "dpo", "preference pairs at the first faulty step" },
    { "dpo+sft", "the same pairs with a supervised term" },
    { "dpo-own",
      "dpo with a step that the quantized model has drawn itself, from where it "
      "reached the right answer" },
    { "sft-own",
      "supervised on what the quantized model draws itself from before the faulty "
      "step, to the right answer" },
    { "random-problem",
      "control: default on problems drawn at random. Does it matter that "
      "the problems were lost?" },
    { "random-step", "control: pairs at another step than the fault. Does the place "
                     "matter?" },
    { "whole", "control: pairs of whole answers to the same problems. Does the step "
               "matter?" },
    { "shuffled", "control: chosen and rejected swapped at random. Is there a signal?" },
    { "on-full", "control: sft on the full-precision model. New skill or repair?" },
    { "rtn", "plain: the grid of the quantized model, rounded to nearest" },
    { "more-bits", "plain: one more bit per weight" },
    { "smaller-groups", "plain: smaller groups" },
    { "nearest",
      "plain: of all grids the one whose bits per weight are nearest to the repair's" },
};

void report_arms_words(struct report *r)
{
    struct html *h = &r->h;
    html_raw_text(h, "<h3>What the arms are</h3><dl>");
    for (uint32_t a = 2; a < r->arm_count; a++)
        for (size_t k = 0; k < RT_COUNT(known); k++)
            if (strcmp(known[k].label, r->arms[a].label) == 0)
                html_raw(h, "<dt>%s</dt><dd>%s</dd>", known[k].label, known[k].words);
    html_raw_text(h, "</dl>\n");
}

/* ---- tables ---- */

static void put_name(struct report *r, uint32_t a)
{
    struct html *h = &r->h;
    html_raw(h, "<tr%s><th scope=\"row\" class=\"nw\">",
             (int)a == r->main_arm ? " class=\"main\"" : "");
    html_text(h, r->arms[a].label);
    html_raw_text(h, a == 0 && report_stands_in(r)
                         ? " (stands in for full precision)</th>"
                         : "</th>");
}

static void put_against_quant(struct report *r, uint32_t a)
{
    struct html *h = &r->h;
    const struct report_arm *arm = &r->arms[a];
    const struct pipe_interval w = pipe_wilson(arm->right, r->n);
    put_name(r, a);
    html_raw_text(h, "<td>");
    html_text(h, arm->role);
    if (arm->items)
        html_raw(h, "</td><td class=\"n\">%u", arm->items);
    else
        html_raw_text(h, "</td><td class=\"n\">\xe2\x80\x93");
    html_raw(h,
             "</td><td class=\"n\">%.2f</td><td "
             "class=\"n\">%.1f\xc2\xa0%% [%.1f, %.1f]</td>",
             arm->bits, report_percent(arm->right, r->n), 100 * w.low, 100 * w.high);
    if (a >= 2) {
        html_raw(h, "<td class=\"n\">%u / %u</td>", arm->paired.gained, arm->paired.lost);
        put_difference(h, &arm->paired);
        put_p_cell(h, arm->paired.p_exact);
    } else {
        html_raw(h, "%s%s%s", dash, dash, dash);
    }
    html_raw_text(h, "</tr>\n");
}

static void put_recovered(struct report *r, uint32_t a)
{
    struct html *h = &r->h;
    const struct report_arm *arm = &r->arms[a];
    const uint32_t lost = r->arms[1].paired.lost;
    const struct pipe_interval back = pipe_wilson(arm->back, lost);
    put_name(r, a);
    if (a >= 2) {
        html_raw(h,
                 "<td class=\"n\">%u of %u</td><td class=\"n\">%.0f\xc2\xa0%% [%.0f, "
                 "%.0f]</td><td class=\"n\">",
                 arm->back, lost, report_percent(arm->back, lost), 100 * back.low,
                 100 * back.high);
        html_number(h, arm->recovered.share, 2);
        html_raw_text(h, " [");
        html_number(h, arm->recovered.share_interval.low, 2);
        html_raw_text(h, ", ");
        html_number(h, arm->recovered.share_interval.high, 2);
        html_raw_text(h, "]</td>");
    } else {
        html_raw(h, "%s%s%s", dash, dash, dash);
    }
    if (r->main_arm >= 0 && a >= 2 && (int)a != r->main_arm) {
        put_difference(h, &arm->against);
        put_p_cell(h, arm->p_holm);
    } else {
        html_raw(h, "%s%s", dash, dash);
    }
    if (isfinite(arm->kl) && isfinite(arm->same_top))
        html_raw(h, "<td class=\"n\">%.4f</td><td class=\"n\">%.2f\xc2\xa0%%</td>",
                 arm->kl, 100 * arm->same_top);
    else
        html_raw(h, "%s%s", dash, dash);
    html_raw_text(h, "</tr>\n");
}

void report_arms_tables(struct report *r)
{
    struct html *h = &r->h;
    html_raw_text(h, "<h3>Against the quantized model</h3>");
    report_table_open(h, "Arms against the quantized model");
    html_raw_text(h,
                  "<tr><th>arm</th><th>role</th><th class=\"n\">items</th><th "
                  "class=\"n\">bits per weight</th><th "
                  "class=\"n\">accuracy [95\xc2\xa0%]</th>"
                  "<th class=\"n\">fixed / broken</th><th class=\"n\">points over "
                  "quantized [95\xc2\xa0%]</th><th class=\"n\">McNemar exact p</th></tr>"
                  "\n");
    for (uint32_t a = 0; a < r->arm_count; a++)
        put_against_quant(r, a);
    report_table_close(h);
    html_raw(h,
             "<p class=\"sub\">%u problems, greedy, paired by problem. Items: training "
             "items used. Fixed: quantized "
             "wrong and the arm right; broken: the reverse.</p>\n<h3>What came back, and "
             "the main arm against the others</h3>",
             r->n);
    report_table_open(h, "Recovery by arm, and the main arm against the others");
    html_raw_text(h, "<tr><th>arm</th><th class=\"n\">lost problems back</th><th "
                     "class=\"n\">rate [95\xc2\xa0%]</th><th class=\"n\">share of the "
                     "loss [95\xc2\xa0%]</th><th class=\"n\">");
    if (r->main_arm >= 0)
        html_text(h, r->arms[r->main_arm].label);
    html_raw_text(
        h, " less this, points [95\xc2\xa0%]</th><th class=\"n\">p after Holm</th><th "
           "class=\"n\">KL, nats per token</th><th class=\"n\">same top "
           "token</th></tr>\n");
    for (uint32_t a = 1; a < r->arm_count; a++)
        put_recovered(r, a);
    report_table_close(h);
    html_raw_text(
        h, "<p class=\"sub\">Lost problems back: of those that full solves and "
           "quantized does not. Share of the loss: (arm \xe2\x88\x92 quantized) / "
           "(full \xe2\x88\x92 quantized), bootstrap over problems, 2,000 draws. KL "
           "and same top token: against full precision on its own answers.</p>\n");
}
