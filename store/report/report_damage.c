/* store/report/report_damage.c
 * What variants lost beside accuracy: lengths, endings, form, and where their answers leave
 * full's. A repair whose gain is mostly answers that end otherwise is marked. */
#include "store/report/report_impl.h"

#include <math.h>
#include <string.h>

/* Metrics of an eval run, in the order of the columns. */
enum {
    LENGTH_RATIO,
    TOKENS_EACH,
    LOOPS,
    NO_ANSWER,
    WENT_ON,
    EARLY_END,
    IN_FORM,
    TOKEN,
    MARGIN,
    MARGIN_FULL,
    GAIN,
    GAIN_ENDED,
    BY_ENDING,
    NUMBERS
};

static const char *const names[NUMBERS] = {
    [LENGTH_RATIO] = "length_ratio",
    [TOKENS_EACH] = "tokens_each",
    [LOOPS] = "loops",
    [NO_ANSWER] = "no_answer",
    [WENT_ON] = "went_on",
    [EARLY_END] = "early_end",
    [IN_FORM] = "in_form",
    [TOKEN] = "differing_token",
    [MARGIN] = "differing_margin",
    [MARGIN_FULL] = "differing_margin_full",
    [GAIN] = "gain",
    [GAIN_ENDED] = "gain_ended",
    [BY_ENDING] = "gain_by_ending",
};

static rt_status take_number(void *user, const struct store_row *row)
{
    double *numbers = user;
    for (int i = 0; i < NUMBERS; i++)
        if (strcmp(names[i], store_row_text(row, 0)) == 0)
            numbers[i] = store_row_number(row, 1);
    return RT_OK;
}

static rt_status load(struct report *r, const char *run, double numbers[NUMBERS])
{
    for (int i = 0; i < NUMBERS; i++)
        numbers[i] = NAN;
    return store_query(r->store,
                       "SELECT name, value FROM metric WHERE run_id=?1 AND step=0",
                       (const char *const[]){ run, NULL }, take_number, numbers);
}

static void put_cell(struct html *h, double value, int decimals)
{
    html_raw_text(h, "<td class=\"n\">");
    if (isfinite(value))
        html_number(h, value, decimals);
    else
        html_raw_text(h, "\xe2\x80\x93");
    html_raw_text(h, "</td>");
}

static void put_row(struct report *r, uint32_t a, const double numbers[NUMBERS])
{
    struct html *h = &r->h;
    html_raw(h, "<tr%s><th scope=\"row\" class=\"nw\">",
             (int)a == r->main_arm ? " class=\"main\"" : "");
    html_text(h, r->arms[a].label);
    html_raw_text(h, numbers[BY_ENDING] > 0 ? " \xe2\x80\xa0</th>" : "</th>");
    put_cell(h, numbers[LENGTH_RATIO], 2);
    put_cell(h, numbers[TOKENS_EACH], 1);
    for (int i = LOOPS; i <= IN_FORM; i++) {
        const struct pipe_interval w = pipe_wilson((uint32_t)numbers[i], r->n);
        html_raw(h, "<td class=\"n\">%.1f\xc2\xa0%% [%.1f, %.1f]</td>",
                 100 * numbers[i] / r->n, 100 * w.low, 100 * w.high);
    }
    put_cell(h, numbers[TOKEN], 0);
    put_cell(h, numbers[MARGIN], 2);
    put_cell(h, numbers[MARGIN_FULL], 2);
    put_cell(h, numbers[GAIN], 0);
    put_cell(h, numbers[GAIN_ENDED], 0);
    html_raw_text(h, "</tr>\n");
}

static void open_table(struct html *h)
{
    html_raw_text(h, "<h3 id=\"damage\">Damage beside accuracy</h3>");
    report_table_open(h, "Damage beside accuracy");
    html_raw_text(
        h, "<tr><th>arm</th><th class=\"n\">length over full's</th><th "
           "class=\"n\">tokens per answer, thrown away ones too</th><th "
           "class=\"n\">loops</th><th class=\"n\">no answer</th><th "
           "class=\"n\">answered, went on</th><th class=\"n\">ended too early</th><th "
           "class=\"n\">in the form asked for</th><th class=\"n\">first differing token"
           "</th><th class=\"n\">margin there</th><th class=\"n\">full's margin there"
           "</th><th class=\"n\">right answers over quantized</th><th class=\"n\">of "
           "these, both end properly</th></tr>\n");
}

rt_status report_damage(struct report *r)
{
    rt_status st;
    struct html *h = &r->h;
    bool open = false;
    for (uint32_t a = 0; a < r->arm_count; a++) {
        double numbers[NUMBERS];
        TRY(load(r, r->arms[a].run, numbers));
        if (!isfinite(numbers[LOOPS]) || r->n == 0)
            continue;
        if (!open)
            open_table(h);
        open = true;
        put_row(r, a, numbers);
    }
    if (!open)
        return RT_OK;
    report_table_close(h);
    html_raw_text(
        h,
        "<p class=\"sub\">Shares of all measured problems with Wilson intervals at "
        "95\xc2\xa0%. Went on: a final answer can be read and the answer still ran into "
        "the token cap. Ended too early: the model ended by itself before a final "
        "answer. Token and margins (nats): medians of answers that differ. \xe2\x80\xa0 "
        "At least half of the gain vanishes where only problems count that both models "
        "end by themselves, with an answer and without a loop: the repair changes when "
        "answers stop.</p>\n");
    return RT_OK;

fail:
    return st;
}
