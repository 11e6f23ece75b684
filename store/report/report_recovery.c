/* store/report/report_recovery.c
 * Is the gain repair or reshuffling: the waterfall of right answers, and the table of
 * patterns, each of which leads to its problems. */
#include "store/report/report_impl.h"

#include <math.h>

enum { LEFT = 74, WIDE = 330, ROW = 26 };

struct bar {
    const char *label, *kind; /* kind: class of the fill */
    double from, to;
    char value[16];
};

static void put_bar(struct html *h, const struct bar *b, int row, double scale)
{
    const int y = 4 + row * ROW;
    html_raw(h,
             "<text class=\"e\" x=\"%d\" y=\"%d\">%s</text><rect class=\"%s\" x=\"%.1f\" "
             "y=\"%d\" width=\"%.1f\" height=\"18\"/><text x=\"%.1f\" y=\"%d\">%s</text>",
             LEFT - 8, y + 13, b->label, b->kind, LEFT + b->from * scale, y,
             fmax(0.5, (b->to - b->from) * scale), LEFT + 5 + b->to * scale, y + 13,
             b->value);
}

static void put_waterfall(struct report *r)
{
    struct html *h = &r->h;
    const struct report_arm *f = &r->arms[0], *q = &r->arms[1];
    const struct report_arm *a = r->main_arm < 0 ? NULL : &r->arms[r->main_arm];
    const double kept = f->right - (double)q->paired.lost;
    const double top = q->right + (a ? (double)a->paired.gained : 0);
    struct bar bars[7] = {
        { "full", "cf", 0, f->right, "" },      { "lost", "hb", kept, f->right, "" },
        { "gained", "hg", kept, q->right, "" }, { "quantized", "cq", 0, q->right, "" },
        { "fixed", "hg", q->right, top, "" },
    };
    const int count = a ? 7 : 4;
    if (a) {
        bars[5] = (struct bar){ "broken", "hb", a->right, top, "" };
        bars[6] = (struct bar){ "restored", "cr", 0, a->right, "" };
    }
    for (int i = 0; i < count; i++)
        snprintf(bars[i].value, sizeof bars[i].value, "%s%.0f",
                 i == 1 || i == 5   ? "\xe2\x88\x92"
                 : i == 2 || i == 4 ? "+"
                                    : "",
                 bars[i].to - bars[i].from);
    html_raw(
        h,
        "<figure><svg viewBox=\"0 0 460 %d\" role=\"img\" aria-label=\"Right answers "
        "of %u: full %u, lost %u, gained %u, quantized %u",
        4 + count * ROW + 18, r->n, f->right, q->paired.lost, q->paired.gained, q->right);
    if (a)
        html_raw(h, ", fixed %u, broken %u, restored %u", a->paired.gained,
                 a->paired.lost, a->right);
    html_raw(h, "\">");
    for (int i = 0; i < count; i++)
        put_bar(h, &bars[i], i, (double)WIDE / r->n);
    html_raw(
        h,
        "<path class=\"g\" d=\"M%d 2V%d\"/><text class=\"d\" x=\"%d\" y=\"%d\">0"
        "</text><text class=\"d e\" x=\"%d\" y=\"%d\">%u problems</text></svg>"
        "<figcaption>Right answers. Plain bars are models, hatched bars what changed "
        "between them.</figcaption></figure>\n",
        LEFT, 4 + count * ROW, LEFT, 16 + count * ROW, LEFT + WIDE, 16 + count * ROW,
        r->n);
}

static const char *sign(unsigned right)
{
    return right ? "<td class=\"ok m\">\xe2\x9c\x93<span class=\"vh\"> right</span></td>"
                 : "<td class=\"no m\">\xe2\x9c\x97<span class=\"vh\"> wrong</span></td>";
}

static void put_flips(struct report *r)
{
    struct html *h = &r->h;
    const bool three = r->main_arm >= 0;
    html_raw_text(h, "<div><h3 id=\"flips\">Every pattern of right and wrong</h3>");
    report_table_open(h, "Patterns of right and wrong");
    html_raw(h,
             "<tr><th class=\"m\">full</th><th class=\"m\">quantized</th>%s<th "
             "class=\"n\">problems</th><th>meaning</th></tr>",
             three ? "<th class=\"m\">restored</th>" : "");
    for (int c = 7; c >= 0; c -= three ? 1 : 2) {
        const unsigned cell = (unsigned)c & (three ? 7U : 6U);
        char name[4];
        report_pattern(r, cell, name);
        html_raw(h, "<tr>%s%s%s<td class=\"n\">", sign(cell & 4), sign(cell & 2),
                 three ? sign(cell & 1) : "");
        if (r->cells[cell] && cell != 0 && cell != (three ? 7U : 6U))
            html_raw(h, "<a href=\"#pattern=%s\">%u</a>", name, r->cells[cell]);
        else
            html_raw(h, "%u", r->cells[cell]);
        html_raw(h, "</td><td>%s</td></tr>\n", report_pattern_words(r, cell));
    }
    report_table_close(h);
    html_raw_text(h, "</div>");
}

rt_status report_recovery(struct report *r)
{
    html_raw_text(&r->h, "<h2 id=\"recovery\">Recovery</h2><div class=\"pair\"><div>");
    put_waterfall(r);
    html_raw_text(&r->h, "</div>");
    put_flips(r);
    html_raw_text(&r->h, "</div>\n");
    return RT_OK;
}
