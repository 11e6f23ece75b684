/* store/report/report_retention.c
 * What the arms do on texts, multiple choice and problems beside the measured ones, and
 * which of them a repair has made worse. */
#include "store/report/report_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RETAINED_MAX = 16 };

/* The run of variant `variant` on benchmark ?2 in campaign ?1 whose numerics are those of
 * the run `like`: one campaign may hold several. */
#define RUN_LIKE(variant, like)                                                \
    "(SELECT r.run_id FROM run r WHERE " OF_CAMPAIGN " AND r.kind='eval' AND " \
    "r.benchmark_id=?2 AND r.variant_id=" variant                              \
    " AND r.numerics=(SELECT numerics FROM run WHERE run_id=" like             \
    ") ORDER BY r.started_ms DESC LIMIT 1)"

/* More than these against the quantized model is said. */
#define POINT 0.01      /* of accuracy */
#define PERPLEXITY 1.01 /* times */

struct retained {
    char id[STORE_ID], name[160];
    bool text;
};
struct retention {
    struct report *report;
    struct retained list[RETAINED_MAX];
    uint32_t count;
    uint32_t marked; /* pairs of an arm and a test that is worse there than quant */
    uint32_t worse;  /* of these, of a restored arm */
    uint32_t judged; /* tests on which there is something to lose */
    const char *blind,
        *bundled; /* names of texts that a note is about; NULL: there are none */
};

static rt_status take_retained(void *user, const struct store_row *row)
{
    struct retention *t = user;
    if (t->count == RETAINED_MAX)
        return RT_OK;
    struct retained *one = &t->list[t->count++];
    snprintf(one->id, sizeof one->id, "%s", store_row_text(row, 0));
    snprintf(one->name, sizeof one->name, "%.159s", store_row_text(row, 1));
    one->text = store_row_integer(row, 2) != 0;
    return RT_OK;
}

static rt_status load(struct retention *t)
{
    return store_query(
        t->report->store,
        "SELECT b.benchmark_id,b.name,b.split<>'retain' FROM run r JOIN benchmark b "
        "USING(benchmark_id) WHERE " OF_CAMPAIGN
        " AND r.kind='eval' AND (b.split='retain' OR b.split LIKE 'text:%') GROUP BY "
        "b.benchmark_id ORDER BY 3 DESC,b.name,b.benchmark_id",
        (const char *const[]){ t->report->campaign, NULL }, take_retained, t);
}

static void open_row(struct report *r, uint32_t a)
{
    html_raw(&r->h, "<tr%s><th scope=\"row\" class=\"nw\">",
             (int)a == r->main_arm ? " class=\"main\"" : "");
    html_text(&r->h, r->arms[a].label);
    html_raw_text(&r->h, "</th>");
}

/* Marks an arm that is worse than the quantized model. */
static const char *mark(struct retention *t, uint32_t a, bool worse)
{
    t->marked += worse;
    t->worse += worse && strcmp(t->report->arms[a].role, "restored") == 0;
    return worse ? " \xe2\x80\xa0" : "";
}

/* ---- texts ---- */

struct text_numbers {
    double perplexity, full, kl, error, same, vocabulary;
};

static rt_status take_text(void *user, const struct store_row *row)
{
    struct text_numbers *n = user;
    const struct {
        const char *name;
        double *value;
    } numbers[] = {
        { "text_perplexity", &n->perplexity },
        { "text_perplexity_full", &n->full },
        { "text_kl", &n->kl },
        { "text_kl_error", &n->error },
        { "text_same_top", &n->same },
        { "text_vocabulary", &n->vocabulary },
    };
    for (size_t i = 0; i < RT_COUNT(numbers); i++)
        if (strcmp(numbers[i].name, store_row_text(row, 0)) == 0)
            *numbers[i].value = store_row_number(row, 1);
    return RT_OK;
}

static rt_status load_text(struct report *r, const char *benchmark, uint32_t a,
                           struct text_numbers *out)
{
    static const char sql[] =
        "SELECT name, value FROM metric WHERE step=0 AND run_id=" RUN_LIKE("?3", "?4");
    *out = (struct text_numbers){ NAN, NAN, NAN, NAN, NAN, NAN };
    return store_query(r->store, sql,
                       (const char *const[]){ r->campaign, benchmark, r->arms[a].variant,
                                              r->arms[a].run, NULL },
                       take_text, out);
}

static rt_status put_text(struct retention *t, const struct retained *one)
{
    rt_status st = RT_OK;
    struct report *r = t->report;
    struct text_numbers n, quant;
    TRY(load_text(r, one->id, 1, &quant));
    const bool blind = quant.full > quant.vocabulary;
    t->judged += !blind;
    t->blind = blind ? one->name : t->blind;
    t->bundled = strcmp(one->name, "bundled") == 0 ? one->name : t->bundled;
    html_raw_text(&r->h, "<tr><th>arm</th><th class=\"n\">perplexity</th><th "
                         "class=\"n\">of full's</th><th class=\"n\">KL to full, nats per "
                         "token</th><th class=\"n\">same first choice</th></tr>\n");
    for (uint32_t a = 1; a < r->arm_count; a++) {
        TRY(load_text(r, one->id, a, &n));
        if (!isfinite(n.perplexity))
            continue;
        open_row(r, a);
        html_raw(
            &r->h,
            "<td class=\"n\">%.5g%s</td><td class=\"n\">%.4g</td><td "
            "class=\"n\">%.5f \xc2\xb1 %.5f</td><td class=\"n\">%.1f\xc2\xa0%%</td>"
            "</tr>\n",
            n.perplexity,
            mark(t, a, a > 1 && !blind && n.perplexity > PERPLEXITY * quant.perplexity),
            n.perplexity / n.full, n.kl, 1.96 * n.error, 100 * n.same);
    }

fail:
    return st;
}

/* ---- answers ---- */

struct answered {
    bool *base, *arm; /* [room]; NULL: only count */
    uint32_t count;
};

static rt_status take_pair(void *user, const struct store_row *row)
{
    struct answered *p = user;
    if (p->base) {
        p->base[p->count] = store_row_integer(row, 0) != 0;
        p->arm[p->count] = store_row_integer(row, 1) != 0;
    }
    p->count++;
    return RT_OK;
}

/* Questions that both variants have answered. */
static rt_status each_pair(struct report *r, const char *benchmark, uint32_t a,
                           struct answered *p)
{
    static const char sql[] =
        "SELECT coalesce((SELECT correct FROM v_verdict s WHERE s.gen_id=q.gen_id),0), "
        "coalesce((SELECT correct FROM v_verdict s WHERE s.gen_id=o.gen_id),0) "
        "FROM generation q JOIN generation o USING(problem_id) "
        "WHERE q.sample=0 AND o.sample=0 AND q.run_id=" RUN_LIKE(
            "?3", "?4") " AND o.run_id=" RUN_LIKE("?5", "?6") " ORDER BY problem_id";
    p->count = 0;
    return store_query(r->store, sql,
                       (const char *const[]){ r->campaign, benchmark, r->arms[1].variant,
                                              r->arms[1].run, r->arms[a].variant,
                                              r->arms[a].run, NULL },
                       take_pair, p);
}

static rt_status put_answers_row(struct retention *t, const struct retained *one,
                                 uint32_t a)
{
    rt_status st;
    struct report *r = t->report;
    struct answered p = { 0 };
    struct pipe_paired c;
    TRY(each_pair(r, one->id, a, &p));
    const uint32_t n = p.count;
    if (n == 0)
        return RT_OK;
    p.base = rt_alloc(r->ctx, n, sizeof *p.base);
    p.arm = rt_alloc(r->ctx, n, sizeof *p.arm);
    if (!p.base || !p.arm) {
        st = rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "no memory for the report");
        goto fail;
    }
    TRY(each_pair(r, one->id, a, &p));
    pipe_paired_compare(p.base, p.arm, n, &c);
    open_row(r, a);
    html_raw_text(&r->h, "<td class=\"n\">");
    report_share(&r->h, c.right_other, n);
    html_raw(&r->h, "</td><td class=\"n\">");
    if (a != 1)
        html_raw(&r->h, "%+.1f [%+.1f, %+.1f]%s", 100 * c.difference,
                 100 * c.interval.low, 100 * c.interval.high,
                 mark(t, a, c.difference < -POINT));
    html_raw_text(&r->h, "</td></tr>\n");

fail:
    rt_free(p.base);
    rt_free(p.arm);
    return st;
}

static rt_status put_answers(struct retention *t, const struct retained *one)
{
    rt_status st = RT_OK;
    html_raw_text(&t->report->h,
                  "<tr><th>arm</th><th class=\"n\">right</th><th class=\"n\">against the "
                  "quantized model, points</th></tr>\n");
    t->judged++;
    for (uint32_t a = 0; a < t->report->arm_count; a++)
        TRY(put_answers_row(t, one, a));

fail:
    return st;
}

/* ---- the section ---- */

static void put_notes(struct retention *t)
{
    struct html *h = &t->report->h;
    if (t->bundled)
        html_raw(
            h,
            "<p>%s is in the program: 512 words of plain English, written for it. It "
            "is short, so a difference of a few percent can be chance.</p>\n",
            t->bundled);
    if (!t->blind)
        return;
    html_raw_text(h, "<p>Full precision predicts ");
    html_text(h, t->blind);
    html_raw_text(h, " worse than chance: its perplexity is above the number of its "
                     "tokens. There is nothing to lose, and nothing is marked; KL says "
                     "how far a model is from full.</p>\n");
}

static void put_verdict(struct retention *t)
{
    struct html *h = &t->report->h;
    put_notes(t);
    if (t->marked)
        html_raw_text(
            h, "<p>\xe2\x80\xa0 More than one point of accuracy, or one percent of "
               "perplexity, worse than the quantized model.</p>\n");
    if (t->worse)
        html_raw(h, "<p>Of the marks, %u stand at a repair.</p>\n", t->worse);
    else if (t->judged)
        html_raw_text(h,
                      "<p>No repair is more than one point of accuracy, or one percent "
                      "of perplexity, worse than the quantized model on these.</p>\n");
}

rt_status report_retention(struct report *r)
{
    rt_status st;
    struct html *h = &r->h;
    struct retention t = { .report = r };
    TRY(load(&t));
    html_raw_text(h, "<h2 id=\"retention\">Retention</h2>\n");
    if (t.count == 0) {
        html_raw_text(h,
                      "<p>Not measured: what the models do on other texts and tasks is "
                      "not known. <code>restore --retain LIST</code> measures it.</p>\n");
        return RT_OK;
    }
    for (uint32_t i = 0; i < t.count; i++) {
        html_raw_text(h, "<h3>");
        html_text(h, t.list[i].name);
        html_raw_text(h, "</h3>");
        report_table_open(h, t.list[i].text ? "Retention on a text"
                                            : "Retention on questions");
        TRY(t.list[i].text ? put_text(&t, &t.list[i]) : put_answers(&t, &t.list[i]));
        report_table_close(h);
    }
    put_verdict(&t);

fail:
    return st;
}
