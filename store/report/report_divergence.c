/* store/report/report_divergence.c
 * Where the quantized model's answers leave those of full precision, how close the call
 * was there, and how long answers are. From token traces; without them it is left out. */
#include "store/report/report_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOST, KEPT, GROUPS, LENGTHS = 3 };

/* One number a problem, room for all of them. */
struct list {
    double *value;
    uint32_t n;
};

struct divergence {
    struct list at[GROUPS];     /* first differing token, of answers that differ */
    struct list margin[GROUPS]; /* the quantized model's margin there, nats */
    struct list others; /* mean margin of the tokens before, of the same answers */
    struct list length[LENGTHS];
    uint32_t same[GROUPS], untraced;
};

static void add(struct list *l, double value)
{
    l->value[l->n++] = value;
}

static uint32_t token(const unsigned char *ids, int k)
{
    uint32_t v;
    memcpy(&v, ids + 4 * k, sizeof v);
    return v;
}

static double number(const unsigned char *values, int k)
{
    float v;
    memcpy(&v, values + 4 * k, sizeof v);
    return v;
}

static void take_margins(struct divergence *d, int group, const void *margins, int size,
                         int at)
{
    double sum = 0;
    if (!margins || size < 4 * (at + 1) || !isfinite(number(margins, at)))
        return;
    add(&d->margin[group], number(margins, at));
    for (int k = 0; k < at; k++)
        sum += number(margins, k);
    if (at > 0 && isfinite(sum))
        add(&d->others, sum / at);
}

/* full right, quant right, ids of full, ids and margins of quant, three lengths */
static rt_status take_pair(void *user, const struct store_row *row)
{
    struct divergence *d = user;
    int nf, nq, nm, k = 0;
    for (int i = 0; i < LENGTHS; i++)
        if (!store_row_null(row, 5 + i))
            add(&d->length[i], store_row_number(row, 5 + i));
    const void *f = store_row_blob(row, 2, &nf), *q = store_row_blob(row, 3, &nq);
    const void *m = store_row_blob(row, 4, &nm);
    const bool right = store_row_integer(row, 1) != 0;
    if (!store_row_integer(row, 0))
        return RT_OK;
    if (!f || !q) {
        d->untraced++;
        return RT_OK;
    }
    const int group = right ? KEPT : LOST;
    while (4 * (k + 1) <= nf && 4 * (k + 1) <= nq && token(f, k) == token(q, k))
        k++;
    if (4 * k >= nf && 4 * k >= nq) {
        d->same[group]++;
        return RT_OK;
    }
    add(&d->at[group], k + 1);
    take_margins(d, group, m, nm, k);
    return RT_OK;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void order(struct list *l)
{
    if (l->n)
        qsort(l->value, l->n, sizeof *l->value, by_value);
}

/* Of an ordered list: the smallest value that a share of them does not exceed. */
static double quantile(const struct list *l, double share)
{
    const uint32_t k = (uint32_t)ceil(share * l->n);
    return l->n ? l->value[k ? k - 1 : 0] : NAN;
}

/* ---- what is shown ---- */

static void put_steps(struct html *h, const struct list *l, const char *kind, double most)
{
    if (!l->n)
        return;
    html_raw(h, "<path class=\"%s\" d=\"M40 150", kind);
    for (uint32_t i = 0; i < l->n; i++)
        if (i + 1 == l->n || l->value[i + 1] > l->value[i])
            html_raw(h, "H%.1fV%.1f", 40 + 400 * l->value[i] / most,
                     150 - 135.0 * (i + 1) / l->n);
    html_raw_text(h, "H440\"/>");
}

static void put_chart(struct html *h, const struct divergence *d)
{
    double most = 1;
    for (int g = 0; g < GROUPS; g++)
        if (d->at[g].n)
            most = fmax(most, d->at[g].value[d->at[g].n - 1]);
    html_raw(h,
             "<figure><svg viewBox=\"0 0 460 190\" role=\"img\" aria-label=\"Share of "
             "answers that have left full precision's by the token; the quantiles are in "
             "the table\"><path class=\"g\" d=\"M40 15V150H440M40 82.5H440M40 15H440\"/>"
             "<text class=\"d e\" x=\"35\" y=\"19\">100\xc2\xa0%%</text><text class=\"d "
             "e\" x=\"35\" y=\"86\">50\xc2\xa0%%</text><text class=\"d e\" x=\"35\" "
             "y=\"154\">0</text><text class=\"d\" x=\"40\" y=\"166\">0</text><text "
             "class=\"d e\" x=\"440\" y=\"166\">%.0f</text><text class=\"d m\" x=\"240\" "
             "y=\"182\">first differing token</text>",
             most);
    put_steps(h, &d->at[KEPT], "ll", most);
    put_steps(h, &d->at[LOST], "lq", most);
    html_raw_text(h,
                  "</svg><figcaption>Share of the differing answers that have left full "
                  "precision's by the token. Full line: lost problems; dashed: problems "
                  "that are still right.</figcaption></figure>\n");
}

static void put_quantiles(struct html *h, const char *name, const struct list *l,
                          int decimals)
{
    static const double shares[] = { 0.1, 0.25, 0.5, 0.75, 0.9 };
    html_raw(h, "<tr><td>%s</td><td class=\"n\">%u</td>", name, l->n);
    for (size_t i = 0; i < RT_COUNT(shares); i++) {
        html_raw_text(h, "<td class=\"n\">");
        if (l->n)
            html_number(h, quantile(l, shares[i]), decimals);
        else
            html_raw_text(h, "\xe2\x80\x93");
        html_raw_text(h, "</td>");
    }
    html_raw_text(h, "</tr>\n");
}

static void put_table(struct report *r, const struct divergence *d)
{
    struct html *h = &r->h;
    report_table_open(h, "Divergence, margins and lengths");
    html_raw_text(h, "<tr><th>quantiles</th><th class=\"n\">answers</th><th "
                     "class=\"n\">10\xc2\xa0%</th><th class=\"n\">25\xc2\xa0%</th><th "
                     "class=\"n\">50\xc2\xa0%</th><th class=\"n\">75\xc2\xa0%</th><th "
                     "class=\"n\">90\xc2\xa0%</th></tr>\n");
    put_quantiles(h, "first differing token, lost", &d->at[LOST], 0);
    put_quantiles(h, "first differing token, still right", &d->at[KEPT], 0);
    put_quantiles(h, "margin there, lost, nats", &d->margin[LOST], 2);
    put_quantiles(h, "margin there, still right, nats", &d->margin[KEPT], 2);
    put_quantiles(h, "mean margin of the tokens before, nats", &d->others, 2);
    put_quantiles(h, "tokens an answer, full", &d->length[0], 0);
    put_quantiles(h, "tokens an answer, quantized", &d->length[1], 0);
    if (r->main_arm >= 0)
        put_quantiles(h, "tokens an answer, restored", &d->length[2], 0);
    report_table_close(h);
}

static rt_status prepare(struct report *r, struct divergence *d)
{
    struct list *const all[] = {
        &d->at[0],  &d->at[1],     &d->margin[0], &d->margin[1],
        &d->others, &d->length[0], &d->length[1], &d->length[2]
    };
    for (size_t i = 0; i < RT_COUNT(all); i++) {
        all[i]->value = rt_alloc(r->ctx, (size_t)r->n + 1, sizeof(double));
        if (!all[i]->value)
            return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "no memory for the report");
    }
    return RT_OK;
}

static void put_words(struct html *h, const struct divergence *d)
{
    html_raw(h,
             "<h3 id=\"divergence\">Where the answers part</h3><div class=\"pair\"><p>Of "
             "the problems that "
             "full precision solves, the quantized model gives %u of %u still right "
             "answers word for word.",
             d->same[KEPT], d->same[KEPT] + d->at[KEPT].n);
    if (d->margin[LOST].n && d->others.n) {
        html_raw_text(h, " Where it first leaves full's answer to a lost problem, the "
                         "median margin over the runner-up is ");
        html_number(h, quantile(&d->margin[LOST], 0.5), 2);
        html_raw_text(h, " nats, against a median of ");
        html_number(h, quantile(&d->others, 0.5), 2);
        html_raw_text(h, " for the mean of the tokens before.");
    }
    if (d->untraced)
        html_raw(h, " %u answers have no stored tokens.", d->untraced);
    html_raw_text(h, "</p>\n");
}

rt_status report_divergence(struct report *r)
{
    rt_status st;
    struct divergence d = { 0 };
    const char *const args[] = { r->arms[0].run, r->arms[1].run,
                                 r->main_arm >= 0 ? r->arms[r->main_arm].run : "", NULL };
    TRY(prepare(r, &d));
    TRY(store_query(
        r->store,
        "SELECT (SELECT correct FROM v_verdict s WHERE s.gen_id=f.gen_id), (SELECT "
        "correct FROM v_verdict s WHERE s.gen_id=q.gen_id), tf.ids, tq.ids, tq.margin, "
        "f.n_gen, q.n_gen, m.n_gen FROM generation f JOIN "
        "generation q ON q.run_id=?2 AND q.problem_id=f.problem_id AND q.sample=0 LEFT "
        "JOIN generation m ON m.run_id=?3 AND m.problem_id=f.problem_id AND m.sample=0 "
        "LEFT JOIN token_trace tf ON tf.gen_id=f.gen_id LEFT JOIN token_trace tq ON "
        "tq.gen_id=q.gen_id WHERE f.run_id=?1 AND f.sample=0 ORDER BY f.problem_id",
        args, take_pair, &d));
    for (int i = 0; i < GROUPS; i++) {
        order(&d.at[i]);
        order(&d.margin[i]);
    }
    order(&d.others);
    for (int i = 0; i < LENGTHS; i++)
        order(&d.length[i]);
    if (d.at[LOST].n + d.at[KEPT].n) {
        put_words(&r->h, &d);
        put_chart(&r->h, &d);
        html_raw_text(&r->h, "</div>\n");
        put_table(r, &d);
    }

fail:
    for (int i = 0; i < GROUPS; i++) {
        rt_free(d.at[i].value);
        rt_free(d.margin[i].value);
    }
    rt_free(d.others.value);
    for (int i = 0; i < LENGTHS; i++)
        rt_free(d.length[i].value);
    return st;
}
