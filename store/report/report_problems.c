/* store/report/report_problems.c
 * Problems whose verdict changed, the three answers side by side, under a heading per
 * pattern. The verdict's step is boxed; what an answer shares with full's is dim up to the
 * first difference, where the whole word or number is marked. */
#include "store/report/report_impl.h"

#include "runtime/base/os.h"

#include <ctype.h>
#include <string.h>

/* Columns of the query in report_problems. */
enum {
    C_ID,
    C_QUESTION,
    C_ANSWER,
    C_SUBJECT,
    C_CELL,
    C_FULL,
    C_QUANT,
    C_MAIN,
    C_CATEGORY,
    C_CATEGORY_LABEL,
    C_CONFIDENCE,
    C_EVIDENCE,
    C_STEP,
    C_STEPS,
    C_FROM,
    C_TO,
    C_MAIN_STEP,
    C_MAIN_FROM,
    C_MAIN_TO,
    C_FULL_SAID,
    C_QUANT_SAID,
    C_MAIN_SAID,
};

struct listing {
    struct report *r;
    uint32_t shown, all, cell_last, cut; /* cut: answers shortened */
};

/* An answer with its parts: where it leaves full's, and the faulty step. */
struct answer {
    const char *text;
    size_t size;
    size_t mark, mark_end;   /* the differing word; equal: none */
    size_t fault, fault_end; /* the boxed step; equal: none */
    int64_t step;
};

static bool word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 128;
}

static void find_difference(struct answer *a, const char *full)
{
    size_t same = 0;
    while (same < a->size && full[same] == a->text[same])
        same++;
    a->mark = a->mark_end = a->size;
    if (same == a->size)
        return; /* nothing to mark: a prefix of full's, or the same */
    a->mark = a->mark_end = same;
    if (word(a->text[same])) {
        while (a->mark > 0 && word(a->text[a->mark - 1]))
            a->mark--;
        while (a->mark_end < a->size && word(a->text[a->mark_end]))
            a->mark_end++;
    } else {
        a->mark_end++;
    }
}

static void put_span(struct html *h, const struct answer *a, size_t from, size_t to)
{
    const size_t cuts[] = { from, a->mark, a->mark_end, to };
    static const char *const open[] = { "<span class=\"same\">", "<mark>", "" };
    static const char *const close[] = { "</span>", "</mark>", "" };
    for (int i = 0; i < 3; i++) {
        const size_t begin = cuts[i] > from ? cuts[i] : from;
        const size_t end = i == 2 ? to : cuts[i + 1] < to ? cuts[i + 1] : to;
        if (begin >= end)
            continue;
        html_raw_text(h, open[i]);
        html_text_n(h, a->text + begin, end - begin);
        html_raw_text(h, close[i]);
    }
}

static size_t clamp(int64_t at, size_t size)
{
    return at < 0 ? 0 : (uint64_t)at < size ? (size_t)at : size;
}

static void put_text(struct listing *l, struct answer *a)
{
    struct html *h = &l->r->h;
    const size_t whole = a->size;
    a->size = whole < REPORT_TEXT_MAX ? whole : REPORT_TEXT_MAX;
    a->fault = a->fault < a->size ? a->fault : a->size;
    a->fault_end = a->fault_end < a->size ? a->fault_end : a->size;
    while (a->fault_end > a->fault && a->text[a->fault_end - 1] == '\n')
        a->fault_end--;
    html_raw_text(h, "<p class=\"ans\">");
    if (a->fault < a->fault_end) {
        put_span(h, a, 0, a->fault);
        html_raw(h,
                 "<span class=\"fault\"><span class=\"tag\">first faulty step: "
                 "%lld</span>",
                 (long long)a->step + 1);
        put_span(h, a, a->fault, a->fault_end);
        html_raw_text(h, "</span>");
        put_span(h, a, a->fault_end, a->size);
    } else {
        put_span(h, a, 0, a->size);
    }
    html_raw_text(h, "</p>");
    if (whole > a->size) {
        l->cut++;
        html_raw(h, "<p class=\"sub\">%zu more bytes are left out.</p>", whole - a->size);
    }
}

static void put_answer(struct listing *l, const struct store_row *row, int column,
                       bool right, const char *name)
{
    struct html *h = &l->r->h;
    const int said = column == C_FULL    ? C_FULL_SAID
                     : column == C_QUANT ? C_QUANT_SAID
                                         : C_MAIN_SAID;
    const int step = column == C_QUANT ? C_STEP : C_MAIN_STEP;
    const int from = column == C_QUANT ? C_FROM : C_MAIN_FROM;
    struct answer a = { .text = store_row_text(row, column) };
    a.size = a.mark = a.mark_end = strlen(a.text);
    html_raw(h, "<div><h4>%s <span class=\"%s\">%s</span> ", name, right ? "ok" : "no",
             right ? "\xe2\x9c\x93" : "\xe2\x9c\x97");
    if (store_row_null(row, said))
        html_raw_text(h, "<span class=\"chip\">no answer read</span>");
    else
        html_text_n(h, store_row_text(row, said),
                    os_length(store_row_text(row, said), 200));
    html_raw_text(h, "</h4>");
    if (column == C_FULL) {
        a.mark = a.mark_end = 0; /* nothing dim */
    } else {
        find_difference(&a, store_row_text(row, C_FULL));
        if (!right && !store_row_null(row, from)) {
            a.step = store_row_integer(row, step);
            a.fault = clamp(store_row_integer(row, from), a.size);
            a.fault_end = clamp(store_row_integer(row, from + 1), a.size);
        }
    }
    put_text(l, &a);
    html_raw_text(h, "</div>\n");
}

static void put_summary(struct listing *l, const struct store_row *row, unsigned cell)
{
    struct html *h = &l->r->h;
    char name[4];
    report_pattern(l->r, cell, name);
    html_raw(h, "<details class=\"p\" id=\"p=");
    html_text(h, store_row_text(row, C_ID));
    html_raw(h, "\" data-pattern=\"%s\" data-category=\"", name);
    html_text(h, store_row_text(row, C_CATEGORY));
    html_raw_text(h, "\" data-step=\"");
    if (!store_row_null(row, C_STEP))
        html_raw(h, "%lld", (long long)store_row_integer(row, C_STEP) + 1);
    html_raw_text(h, "\"><summary><span class=\"pt\">");
    for (const char *c = name; *c; c++)
        html_raw_text(h, *c == '1' ? "<span class=\"ok\">\xe2\x9c\x93</span>"
                                   : "<span class=\"no\">\xe2\x9c\x97</span>");
    html_raw_text(h, "</span> <code>");
    html_text(h, store_row_text(row, C_ID));
    html_raw_text(h, "</code> ");
    if (!store_row_null(row, C_STEP))
        html_raw(h, "<span class=\"chip\">step %lld of %lld</span> ",
                 (long long)store_row_integer(row, C_STEP) + 1,
                 (long long)store_row_integer(row, C_STEPS));
    if (store_row_text(row, C_CATEGORY)[0]) {
        html_raw_text(h, "<span class=\"chip\">");
        html_text(h, store_row_text(row, C_CATEGORY_LABEL));
        html_raw_text(h, "</span> ");
    }
    const char *question = store_row_text(row, C_QUESTION);
    size_t n = os_length(question, 100);
    while (question[n] && n > 60 && ((unsigned char)question[n] & 0xC0) == 0x80)
        n--; /* not within a character */
    html_text_n(h, question, n);
    html_raw(h, "%s</summary>\n", question[n] ? "\xe2\x80\xa6" : "");
}

static void put_facts(struct listing *l, const struct store_row *row)
{
    struct html *h = &l->r->h;
    const char *question = store_row_text(row, C_QUESTION);
    html_raw_text(h, "<p>");
    html_text_n(h, question, os_length(question, REPORT_TEXT_MAX));
    html_raw_text(h, "</p><p class=\"sub\">Right answer: <strong>");
    html_text_n(h, store_row_text(row, C_ANSWER),
                os_length(store_row_text(row, C_ANSWER), 1000));
    html_raw_text(h, "</strong>");
    if (store_row_text(row, C_SUBJECT)[0]) {
        html_raw_text(h, " \xc2\xb7 skills: ");
        html_text(h, store_row_text(row, C_SUBJECT));
    }
    if (store_row_text(row, C_CATEGORY)[0]) {
        html_raw(h, " \xc2\xb7 verdict with confidence %.2f, evidence <code>",
                 store_row_number(row, C_CONFIDENCE));
        html_text_n(h, store_row_text(row, C_EVIDENCE),
                    os_length(store_row_text(row, C_EVIDENCE), 2000));
        html_raw_text(h, "</code>");
    }
    html_raw(h, " \xc2\xb7 <a href=\"#p=");
    html_url(h, store_row_text(row, C_ID));
    html_raw_text(h, "\">link to this problem</a></p>\n");
}

static rt_status put_problem(void *user, const struct store_row *row)
{
    struct listing *l = user;
    struct report *r = l->r;
    struct html *h = &r->h;
    const unsigned cell = (unsigned)store_row_integer(row, C_CELL) & 7;
    l->all++;
    if (h->size > REPORT_BYTES_MAX - REPORT_BYTES_TAIL)
        return RT_OK;
    l->shown++;
    if (cell != l->cell_last) {
        char name[4];
        report_pattern(r, cell, name);
        l->cell_last = cell;
        html_raw(h,
                 "<h3 class=\"pat\" id=\"pattern=%s\" data-pattern=\"%s\">%u %s</h3>\n",
                 name, name, r->cells[cell], report_pattern_words(r, cell));
    }
    put_summary(l, row, cell);
    put_facts(l, row);
    html_raw_text(h, "<div class=\"three\">");
    put_answer(l, row, C_FULL, cell & 4, "Full precision");
    put_answer(l, row, C_QUANT, cell & 2, "Quantized");
    if (r->main_arm >= 0)
        put_answer(l, row, C_MAIN, cell & 1, "Restored");
    html_raw_text(h, "</div></details>\n");
    return RT_OK;
}

/* ---- the filter ---- */

static rt_status put_option(void *user, const struct store_row *row)
{
    struct html *h = &((struct report *)user)->h;
    html_raw_text(h, "<option value=\"");
    html_text(h, store_row_text(row, 0));
    html_raw_text(h, "\">");
    html_text(h, store_row_text(row, 1));
    html_raw_text(h, "</option>");
    return RT_OK;
}

static rt_status put_filter(struct report *r)
{
    rt_status st;
    struct html *h = &r->h;
    const char *const args[] = { r->arms[1].run, r->campaign, NULL };
    html_raw_text(h, "<form id=\"filter\" hidden><label>pattern <select name=\"pattern\">"
                     "<option value=\"\">any</option>");
    for (unsigned c = 7; c-- > 1;) {
        char name[4];
        report_pattern(r, c, name);
        if (r->cells[c] == 0 || c == 6 * (unsigned)(r->main_arm < 0))
            continue;
        html_raw(h, "<option value=\"%s\">%s (%u)</option>", name,
                 report_pattern_words(r, c), r->cells[c]);
    }
    html_raw_text(h, "</select></label><label>category of the fault <select "
                     "name=\"category\"><option value=\"\">any</option>");
    TRY(store_query(
        r->store,
        "SELECT DISTINCT x.category, coalesce(c.label,x.category) FROM "
        "generation g JOIN fault x ON x.run_id=" LOCATE_RUN(
            "?2", "?1") " AND "
                        "x.gen_id=g.gen_id AND x.locator='verdict' LEFT JOIN "
                        "fault_category c ON c.code=x.category "
                        "WHERE g.run_id=?1 AND x.category IS NOT NULL ORDER BY 2,1",
        args, put_option, r));
    html_raw_text(h, "</select></label><label>faulty step <select name=\"step\"><option "
                     "value=\"\">any</option>");
    TRY(store_query(r->store,
                    "SELECT DISTINCT x.step_idx+1, x.step_idx+1 FROM generation g JOIN "
                    "fault x ON x.run_id=" LOCATE_RUN(
                        "?2", "?1") " AND x.gen_id=g.gen_id AND "
                                    "x.locator='verdict' WHERE "
                                    "g.run_id=?1 AND x.step_idx IS NOT NULL ORDER BY 1",
                    args, put_option, r));
    html_raw_text(h, "</select></label><label>text <input name=\"q\" type=\"search\" "
                     "size=\"14\"></label><p id=\"count\" role=\"status\"></p></form>\n");
    return RT_OK;

fail:
    return st;
}

static const char changed[] =
    "WITH a AS (SELECT f.problem_id pid, f.gen_id fg, q.gen_id qg, m.gen_id mg, "
    "f.output fo, q.output qo, m.output mo, (SELECT correct FROM v_verdict s WHERE "
    "s.gen_id=f.gen_id) fc, (SELECT correct FROM v_verdict s WHERE s.gen_id=q.gen_id) "
    "qc, (SELECT correct FROM v_verdict s WHERE s.gen_id=m.gen_id) mc FROM generation f "
    "JOIN generation q "
    "ON q.run_id=?2 AND q.problem_id=f.problem_id AND q.sample=0 LEFT JOIN generation m "
    "ON m.run_id=?3 AND m.problem_id=f.problem_id AND m.sample=0 WHERE f.run_id=?1 AND "
    "f.sample=0), b AS (SELECT *, 4*coalesce(fc,0)+2*coalesce(qc,0)+coalesce(mc,0) cell "
    "FROM a) SELECT b.pid, p.question, p.answer, p.subject, b.cell, b.fo, b.qo, b.mo, "
    "x.category, coalesce(c.label,x.category), x.confidence, x.evidence, x.step_idx, "
    "(SELECT max(idx)+1 FROM step WHERE gen_id=b.qg), t.char_start, t.char_end, "
    "y.step_idx, u.char_start, u.char_end, (SELECT extracted FROM v_verdict s WHERE "
    "s.gen_id=b.fg), (SELECT extracted FROM v_verdict s WHERE s.gen_id=b.qg), (SELECT "
    "extracted FROM v_verdict s WHERE s.gen_id=b.mg) FROM b JOIN problem p ON "
    "p.problem_id=b.pid "
    "LEFT JOIN fault x ON x.run_id=" LOCATE_RUN(
        "?4", "?2") " AND x.gen_id=b.qg AND x.locator='verdict' AND x.review<>'rejected' "
                    "LEFT JOIN fault_category c ON c.code=x.category LEFT JOIN step t ON "
                    "t.gen_id=b.qg "
                    "AND t.segmenter='line' AND t.idx=x.step_idx LEFT JOIN fault y ON "
                    "y.run_id=" LOCATE_RUN(
                        "?4", "?3") " AND y.gen_id=b.mg AND "
                                    "y.locator='verdict' AND y.review<>'rejected' LEFT "
                                    "JOIN step u ON u.gen_id=b.mg AND "
                                    "u.segmenter='line' AND u.idx=y.step_idx WHERE "
                                    "b.cell NOT IN (0, CASE ?3 WHEN '' "
                                    "THEN 6 ELSE 7 END) ORDER BY CASE "
                                    "b.cell WHEN 4 THEN 0 WHEN 5 THEN 1 WHEN 6 THEN 2 "
                                    "ELSE 9-b.cell END, b.pid";

rt_status report_problems(struct report *r)
{
    rt_status st;
    struct html *h = &r->h;
    struct listing l = { .r = r, .cell_last = 8 };
    const char *const args[] = { r->arms[0].run, r->arms[1].run,
                                 r->main_arm >= 0 ? r->arms[r->main_arm].run : "",
                                 r->campaign, NULL };
    html_raw(
        h,
        "<h2 id=\"problems\">Problems whose verdict changed</h2><p "
        "class=\"sub\">Signs: full, quantized%s. Dim: as in full's answer; double "
        "underline: the first word that differs from it; boxed: the first faulty step "
        "by the verdict of the locators.</p>\n",
        r->main_arm < 0 ? "" : ", restored");
    TRY(put_filter(r));
    TRY(store_query(r->store, changed, args, put_problem, &l));
    html_raw(h,
             "<p class=\"sub\">%u of %u problems with a changed verdict are shown with "
             "their answers",
             l.shown, l.all);
    if (l.shown < l.all)
        html_raw(h, "; %u are left out, because the page ends at %d MB", l.all - l.shown,
                 REPORT_BYTES_MAX >> 20);
    html_raw(
        h,
        ". Left out: %u that are right everywhere and %u that are wrong everywhere%s; "
        "<code>faultline show PROBLEM</code> shows any of them.</p>\n",
        r->cells[r->main_arm < 0 ? 6 : 7], r->cells[0],
        l.cut ? ", and the ends of very long answers" : "");
    return RT_OK;

fail:
    return st;
}
