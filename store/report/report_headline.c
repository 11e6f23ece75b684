/* store/report/report_headline.c
 * The first screen: how much was lost, how much came back, is it more than chance, what
 * it costs in bits and what does as well for fewer; then what limits these answers. */
#include "store/report/report_impl.h"

#include <math.h>
#include <string.h>

static void put_card(struct report *r, uint32_t index)
{
    struct html *h = &r->h;
    const struct report_arm *a = &r->arms[index];
    const struct pipe_interval w = pipe_wilson(a->right, r->n);
    const bool full = strcmp(a->role, "full") == 0, quant = strcmp(a->role, "quant") == 0;
    html_raw(h, "<div class=\"%s\"><span>", full ? "full" : quant ? "quant" : "restored");
    html_raw_text(h, full && report_stands_in(r) ? "Stands in for full precision"
                     : full                      ? "Full precision"
                     : quant                     ? "Quantized"
                                                 : "Restored: ");
    if (!full && !quant)
        html_text(h, a->label);
    html_raw(
        h,
        "</span><b>%.1f\xc2\xa0%%</b><span>95\xc2\xa0%%: %.1f to %.1f</span><span>%u "
        "of %u right</span><span>",
        report_percent(a->right, r->n), 100 * w.low, 100 * w.high, a->right, r->n);
    html_text(h, a->quant);
    html_raw(h, "%s%.2f bits per weight</span></div>", a->quant[0] ? ", " : "", a->bits);
}

/* Said once, before the name is used. */
static void put_stand_in(struct report *r)
{
    struct html *h = &r->h;
    if (!report_stands_in(r))
        return;
    html_raw_text(h, "<p class=\"note\" id=\"stand-in\">The model called full precision "
                     "on this page is itself a quantized file (");
    html_text(h, r->arms[0].quant);
    html_raw(h,
             ", %.2f bits per weight): it stands in for full precision, and nothing here "
             "says what quantizing the original costs.</p>\n",
             r->arms[0].bits);
}

static void put_points(struct html *h, const struct pipe_paired *p)
{
    html_signed(h, 100 * p->difference, 1);
    html_raw_text(h, "\xc2\xa0points (95\xc2\xa0%: ");
    html_signed(h, 100 * p->interval.low, 1);
    html_raw_text(h, " to ");
    html_signed(h, 100 * p->interval.high, 1);
    html_raw_text(h, ")");
}

static void put_test(struct html *h, const struct pipe_paired *p)
{
    html_raw_text(h, "McNemar exact ");
    html_p(h, p->p_exact);
    html_raw_text(h, p->interval.low <= 0 && p->interval.high >= 0
                         ? ". There is no evidence of a change."
                         : ".");
}

/* ---- is a repair worth its bits ---- */

static void put_at(struct html *h, const struct report *r, const struct report_arm *a)
{
    html_raw_text(h, "<em>");
    html_text(h, a->label);
    html_raw(h, "</em> (%.1f\xc2\xa0%% at %.2f bits per weight)",
             report_percent(a->right, r->n), a->bits);
}

static bool is_above(const struct report_arm *a)
{
    return strcmp(a->role, "restored") == 0 && a->line.below >= 0 &&
           a->line.interval.low > 0;
}

/* The cheapest plain model that does as well, and the repairs that are above the line
 * where the main one is not. */
static void put_rivals(struct report *r, const struct report_arm *own)
{
    struct html *h = &r->h;
    uint32_t count = 0;
    if (own->line.rival >= 0) {
        html_raw_text(h, " The plain model of fewest bits that does as well is ");
        put_at(h, r, &r->arms[r->plain[own->line.rival]]);
        html_raw_text(h, ".");
    } else {
        html_raw_text(h, " No plain model measured does as well.");
    }
    for (uint32_t a = 2; a < r->arm_count && !is_above(own); a++)
        if (is_above(&r->arms[a])) {
            html_raw_text(h, count++ ? ", " : " Above their line are ");
            put_at(h, r, &r->arms[a]);
        }
    if (!is_above(own))
        html_raw_text(h, count ? "."
                               : " No repair measured here is shown to be above its "
                                 "line.");
}

/* The first sentence of the page. */
static void put_line(struct report *r)
{
    struct html *h = &r->h;
    if (r->main_arm < 0)
        return;
    const struct report_arm *own = &r->arms[r->main_arm];
    const struct pipe_line *l = &own->line;
    html_raw_text(h, "<p id=\"line\"><strong>The repair ");
    put_at(h, r, own);
    if (l->below < 0 || !isfinite(l->difference)) {
        html_raw_text(h, " takes fewer bits than every plain model measured.</strong>");
    } else {
        html_raw(h, " is %s the <a href=\"#arms\">line of plain models</a> at its bits",
                 is_above(own)          ? "above"
                 : l->interval.high < 0 ? "below"
                                        : "not shown to be above");
        html_raw(h, " (%.1f\xc2\xa0%%)</strong>: ", 100 * l->accuracy);
        html_signed(h, 100 * l->difference, 1);
        html_raw_text(h, "\xc2\xa0points (95\xc2\xa0%: ");
        html_signed(h, 100 * l->interval.low, 1);
        html_raw_text(h, " to ");
        html_signed(h, 100 * l->interval.high, 1);
        html_raw_text(h, ").");
    }
    put_rivals(r, own);
    html_raw_text(h, "</p>\n");
}

static void put_loss(struct report *r)
{
    struct html *h = &r->h;
    const struct pipe_paired *q = &r->arms[1].paired;
    html_raw(h, "<p><strong>Quantized against %sfull precision:</strong> ",
             report_stands_in(r) ? "what stands in for " : "");
    put_points(h, q);
    html_raw(h, "; <a href=\"#flips\">%u problems lost, %u gained</a>. ", q->lost,
             q->gained);
    put_test(h, q);
    html_raw_text(h, "</p>\n");
}

static void put_gain(struct report *r)
{
    struct html *h = &r->h;
    if (r->main_arm < 0 && r->nothing_lost)
        return;
    if (r->main_arm < 0) {
        html_raw_text(h,
                      "<p>No restored model has answered all of these problems yet, so "
                      "nothing is said about recovery.</p>\n");
        return;
    }
    const struct report_arm *a = &r->arms[r->main_arm];
    const struct pipe_interval s = a->recovered.share_interval;
    html_raw_text(h, "<p><strong>Restored (<em>");
    html_text(h, a->label);
    html_raw_text(h, "</em>) against quantized:</strong> ");
    put_points(h, &a->paired);
    html_raw(h, "; <a href=\"#flips\">%u fixed, %u broken</a>. ", a->paired.gained,
             a->paired.lost);
    put_test(h, &a->paired);
    html_raw(
        h,
        "</p>\n<p><strong>Recovered:</strong> <a href=\"#pattern=101\">%u of %u lost "
        "problems</a> are right again, ",
        a->back, r->arms[1].paired.lost);
    report_share(h, a->back, r->arms[1].paired.lost);
    html_raw_text(h, "; of the lost points, net of what broke, the share ");
    if (isfinite(a->recovered.share) && isfinite(s.low) && isfinite(s.high)) {
        html_number(h, a->recovered.share, 2);
        html_raw_text(h, " came back (95\xc2\xa0%: ");
        html_number(h, s.low, 2);
        html_raw_text(h, " to ");
        html_number(h, s.high, 2);
        html_raw_text(h, ").</p>\n");
    } else {
        html_raw_text(h, "cannot be stated: full precision does not clearly beat the "
                         "quantized model on these problems.</p>\n");
    }
}

/* ---- against the other arms ---- */

enum verdict { BEATS, UNSHOWN, BEATEN };

static enum verdict verdict_of(const struct report_arm *arm)
{
    if (!(arm->p_holm < 0.05))
        return UNSHOWN;
    return arm->against.difference > 0 ? BEATS : BEATEN;
}

static void put_verdict_list(struct report *r, enum verdict which, const char *words)
{
    struct html *h = &r->h;
    uint32_t count = 0;
    for (uint32_t a = 2; a < r->arm_count; a++) {
        const struct report_arm *arm = &r->arms[a];
        if ((int)a == r->main_arm || verdict_of(arm) != which)
            continue;
        html_raw(h, "%s<em>", count++ ? "; " : words);
        html_text(h, arm->label);
        html_raw_text(h, "</em> (");
        html_signed(h, 100 * arm->against.difference, 1);
        html_raw_text(h, "\xc2\xa0points, ");
        html_p(h, arm->p_holm);
        html_raw_text(h, ")");
    }
    if (count)
        html_raw_text(h, ".</p>\n");
}

static void put_cheaper(struct report *r)
{
    struct html *h = &r->h;
    const struct report_arm *own = &r->arms[r->main_arm];
    uint32_t count = 0;
    html_raw(h, "<p><strong>Bits:</strong> <em>");
    html_text(h, own->label);
    html_raw(h,
             "</em> takes %.2f effective bits per weight (codes, scales, zero points and "
             "adapter) where the quantized model takes %.2f. ",
             own->bits, r->arms[1].bits);
    for (uint32_t a = 2; a < r->arm_count; a++) {
        const struct report_arm *arm = &r->arms[a];
        if ((int)a == r->main_arm || verdict_of(arm) == BEATS || !(arm->bits < own->bits))
            continue;
        html_raw_text(h, count++ ? "; <em>"
                                 : "It does not show itself better than these arms that "
                                   "take fewer bits: <em>");
        html_text(h, arm->label);
        html_raw(h, "</em> (%.1f\xc2\xa0%% with %.2f bits)",
                 report_percent(arm->right, r->n), arm->bits);
    }
    html_raw_text(h, count ? ". On these problems its bits are not shown to pay.</p>\n"
                           : "No measured arm with fewer bits does as well.</p>\n");
}

/* A control that had less to learn from is a weaker control: say so. */
static void put_unequal(struct report *r)
{
    struct html *h = &r->h;
    const struct report_arm *own = &r->arms[r->main_arm];
    uint32_t count = 0;
    for (uint32_t a = 2; a < r->arm_count; a++) {
        const struct report_arm *arm = &r->arms[a];
        if (arm->items == 0 || arm->items >= 0.8 * own->items)
            continue;
        html_raw_text(h, count++ ? "; <em>"
                                 : "<p><strong>Not at equal items:</strong> <em>");
        html_text(h, arm->label);
        html_raw(h, "</em> was trained on %u items", arm->items);
    }
    if (count)
        html_raw(
            h, ", the main arm on %u. A win over it may be a win of more training.</p>\n",
            own->items);
}

static void put_verdicts(struct report *r)
{
    struct html *h = &r->h;
    if (r->main_arm < 0)
        return;
    if (r->arm_count == 3) {
        html_raw_text(h, "<p>No other recipe or control was measured beside it.</p>\n");
        return;
    }
    html_raw(h, "<div class=\"lead\" id=\"verdicts\">");
    put_verdict_list(r, BEATS, "<p><strong>It beats</strong> ");
    put_verdict_list(r, UNSHOWN, "<p><strong>It is not shown to differ from</strong> ");
    put_verdict_list(r, BEATEN, "<p><strong>It is beaten by</strong> ");
    put_cheaper(r);
    put_unequal(r);
    html_raw(h, "</div><p class=\"sub\">Differences are <em>");
    html_text(h, r->arms[r->main_arm].label);
    html_raw(h,
             "</em> less the other, on the same problems; exact McNemar p-values after "
             "Holm's correction over all %u comparisons, at 0.05.</p>\n",
             r->arm_count - 3);
}

/* ---- what limits the answers ---- */

struct leak {
    int64_t items, by_id, by_text;
};

static rt_status take_leak(void *user, const struct store_row *row)
{
    struct leak *l = user;
    l->items = store_row_integer(row, 0);
    l->by_id = store_row_integer(row, 1);
    l->by_text = store_row_integer(row, 2);
    return RT_OK;
}

static rt_status put_leak(struct report *r)
{
    rt_status st;
    struct leak l = { 0 };
    /* By what was answered: a problem row names only the first set that it came with. */
    const char *const args[] = { r->campaign, r->arms[0].run, NULL };
    TRY(store_query(
        r->store,
        "WITH m AS (SELECT problem_id, lower(trim(question)) q FROM generation JOIN "
        "problem USING(problem_id) WHERE run_id=?2) SELECT count(*), "
        "coalesce(sum(i.problem_id IN (SELECT "
        "problem_id FROM m)),0), coalesce(sum(lower(trim(p.question)) IN (SELECT q FROM "
        "m)),0) FROM run r JOIN bullet_set b ON b.run_id=r.run_id JOIN bullet_item i ON "
        "i.dataset_id=b.dataset_id JOIN problem p ON p.problem_id=i.problem_id "
        "WHERE " OF_CAMPAIGN " AND i.excluded IS NULL",
        args, take_leak, &l));
    if (l.items == 0)
        html_raw_text(&r->h, "<p class=\"note\"><strong>Leak check:</strong> no training "
                             "items are stored, nothing could leak.</p>\n");
    else if (l.by_id || l.by_text)
        html_raw(
            &r->h,
            "<p class=\"warn\"><strong>Leak: these results are in-sample.</strong> "
            "Of %lld training items, %lld are of a measured problem and %lld have the "
            "text of a measured question.</p>\n",
            (long long)l.items, (long long)l.by_id, (long long)l.by_text);
    else
        html_raw(
            &r->h,
            "<p class=\"note\"><strong>Leak check passed:</strong> of %lld training "
            "items over all recipes, 0 are of a measured problem and 0 have the text "
            "of a measured question (case and outer blanks aside).</p>\n",
            (long long)l.items);
    return RT_OK;

fail:
    return st;
}

static void put_limits(struct report *r)
{
    struct html *h = &r->h;
    html_raw_text(h, "<p class=\"sub\">Counted as wrong: ");
    for (uint32_t a = 0; a < r->arm_count; a++) {
        if (a >= 2 && (int)a != r->main_arm)
            continue;
        html_raw_text(h, a ? "; " : "");
        html_text(h, r->arms[a].label);
        html_raw(h, " %u unparsed, %u cut at the length limit, %u errors",
                 r->arms[a].unparsed, r->arms[a].truncated, r->arms[a].errors);
    }
    html_raw_text(h, ". Intervals: Wilson for a share, Tango for a paired difference, "
                     "bootstrap over problems for the recovered share.</p>\n");
    if (r->samples > 1)
        html_raw(h,
                 "<p class=\"note\">Problems have up to %u samples; this page reads the "
                 "first of each.</p>\n",
                 r->samples);
    for (uint32_t i = 0; i < r->unfinished_count; i++) {
        html_raw_text(h, "<p class=\"note\">Not compared: <em>");
        html_text(h, r->unfinished[i].label);
        html_raw(h, "</em> has answered %u problems, not all of the %u.</p>\n",
                 r->unfinished[i].answered, r->n);
    }
    if (r->paired && (r->arms[0].answered != r->n || r->arms[1].answered != r->n))
        html_raw(h,
                 "<p class=\"note\">Full precision answered %u problems, the quantized "
                 "model %u; the %u that both answered are compared.</p>\n",
                 r->arms[0].answered, r->arms[1].answered, r->n);
    if (r->left_out)
        html_raw(h, "<p class=\"note\">%u more runs are not shown.</p>\n", r->left_out);
}

rt_status report_headline(struct report *r)
{
    rt_status st;
    struct html *h = &r->h;
    if (r->arm_count)
        html_raw_text(h, "<div class=\"big\">");
    for (uint32_t a = 0; a < r->arm_count; a++)
        if (a < 2 || (int)a == r->main_arm)
            put_card(r, a);
    if (r->arm_count)
        html_raw_text(h, "</div>\n");
    put_stand_in(r);
    if (!r->paired) {
        html_raw_text(h,
                      "<p class=\"warn\">Full precision and the quantized model have "
                      "not both answered measured problems yet, so there is nothing to "
                      "compare. What ran is below; the same command goes on where it "
                      "stopped.</p>\n");
        return RT_OK;
    }
    html_raw_text(h, "<div class=\"lead\">");
    TRY(report_nothing_lost(r));
    put_line(r);
    put_loss(r);
    put_gain(r);
    html_raw_text(h, "</div>\n");
    put_verdicts(r);
    TRY(report_left_out(r));
    TRY(put_leak(r));
    put_limits(r);
    return RT_OK;

fail:
    return st;
}
