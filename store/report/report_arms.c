/* store/report/report_arms.c
 * All arms on one scale: accuracy against effective bits (log axis), intervals by arm,
 * and the table with every number. Shape and colour both say the role. */
#include "store/report/report_impl.h"

#include "runtime/base/os.h"

#include <math.h>
#include <string.h>

static const char *class_of(const struct report_arm *a)
{
    return strcmp(a->role, "full") == 0       ? "cf"
           : strcmp(a->role, "quant") == 0    ? "cq"
           : strcmp(a->role, "restored") == 0 ? "cr"
                                              : "cc";
}

/* Circle: restored; square: full and quantized; diamond: control. */
static void put_mark(struct html *h, const struct report_arm *a, double x, double y)
{
    const char *kind = class_of(a);
    if (kind[1] == 'r')
        html_raw(h, "<circle class=\"cr\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"/>", x, y);
    else if (kind[1] == 'c')
        html_raw(h, "<path class=\"cc\" d=\"M%.1f %.1fl5.5 5.5l-5.5 5.5l-5.5 -5.5z\"/>",
                 x, y - 5.5);
    else
        html_raw(h, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"8\" height=\"8\"/>",
                 kind, x - 4, y - 4);
}

/* Lowest and highest end of all intervals, in whole tens of percent. */
static void range_of(const struct report *r, double *low, double *high)
{
    *low = 100;
    *high = 0;
    for (uint32_t a = 0; a < r->arm_count; a++) {
        const struct pipe_interval w = pipe_wilson(r->arms[a].right, r->n);
        *low = fmin(*low, 100 * w.low);
        *high = fmax(*high, 100 * w.high);
    }
    *low = fmax(0, floor(*low / 5) * 5);
    *high = fmin(100, ceil(*high / 5) * 5);
}

/* ---- accuracy against bits ---- */

enum { X0 = 50, X1 = 700, Y0 = 12, Y1 = 330 };

struct scatter {
    double bits_low, bits_high, low, high;
    double x[REPORT_ARMS_MAX], y[REPORT_ARMS_MAX], label[REPORT_ARMS_MAX];
    bool left[REPORT_ARMS_MAX];      /* the label is left of its point */
    uint32_t order[REPORT_ARMS_MAX]; /* from the top */
};

static double at_bits(const struct scatter *s, double bits)
{
    return X0 + 100 +
           (X1 - X0 - 170) * log2(bits / s->bits_low) / log2(s->bits_high / s->bits_low);
}

static double at_percent(const struct scatter *s, double percent)
{
    return Y1 - (Y1 - Y0) * (percent - s->low) / (s->high - s->low);
}

/* A label that would run into another point goes to the left, where there is room. */
static void choose_sides(const struct report *r, struct scatter *s)
{
    for (uint32_t a = 0; a < r->arm_count; a++) {
        const double wide = 6.8 * (double)strlen(r->arms[a].label);
        for (uint32_t b = 0; b < r->arm_count; b++)
            if (s->x[b] > s->x[a] + 5 && s->x[b] < s->x[a] + 26 + wide &&
                fabs(s->y[b] - s->label[a]) < 10 && s->x[a] - 21 - wide > X0)
                s->left[a] = true;
    }
}

/* Labels right of their points; those of neighbours are pushed apart, a thin line leads
 * from each label to its point. */
static void place(const struct report *r, struct scatter *s)
{
    s->bits_low = INFINITY;
    s->bits_high = 0;
    range_of(r, &s->low, &s->high);
    for (uint32_t a = 0; a < r->arm_count; a++) {
        s->bits_low = fmin(s->bits_low, fmax(0.5, r->arms[a].bits));
        s->bits_high = fmax(s->bits_high, r->arms[a].bits);
    }
    s->bits_high = fmax(s->bits_high, 1.5 * s->bits_low);
    for (uint32_t a = 0; a < r->arm_count; a++) {
        s->x[a] = at_bits(s, fmax(0.5, r->arms[a].bits));
        s->y[a] = at_percent(s, report_percent(r->arms[a].right, r->n));
        uint32_t i = a;
        for (; i > 0 && s->y[s->order[i - 1]] > s->y[a]; i--)
            s->order[i] = s->order[i - 1];
        s->order[i] = a;
    }
    for (uint32_t i = 0; i < r->arm_count; i++) {
        const uint32_t a = s->order[i];
        s->label[a] = fmax(s->y[a], Y0 + 8);
        for (uint32_t k = 0; k < i; k++) {
            const uint32_t b = s->order[k];
            if (fabs(s->x[a] - s->x[b]) < 60 && s->label[a] < s->label[b] + 14)
                s->label[a] = s->label[b] + 14;
        }
    }
    choose_sides(r, s);
}

static void put_axes(struct html *h, const struct scatter *s)
{
    static const double ticks[] = { 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64 };
    for (double y = s->low; y <= s->high + 0.01; y += s->high - s->low > 40 ? 10 : 5)
        html_raw(h,
                 "<path class=\"g\" d=\"M%d %.1fH%d\"/><text class=\"d e\" x=\"%d\" "
                 "y=\"%.1f\">%.0f\xc2\xa0%%</text>",
                 X0, at_percent(s, y), X1, X0 - 6, at_percent(s, y) + 4, y);
    for (size_t i = 0; i < RT_COUNT(ticks); i++)
        if (ticks[i] >= 0.9 * s->bits_low && ticks[i] <= 1.05 * s->bits_high)
            html_raw(h,
                     "<path class=\"g\" d=\"M%.1f %dv5\"/><text class=\"d m\" x=\"%.1f\" "
                     "y=\"%d\">%g</text>",
                     at_bits(s, ticks[i]), Y1, at_bits(s, ticks[i]), Y1 + 18, ticks[i]);
    html_raw(
        h,
        "<text class=\"d m\" x=\"%d\" y=\"%d\">effective bits per weight (log scale): "
        "codes, scales, zeros, adapter</text>",
        (X0 + X1) / 2, Y1 + 36);
}

/* Not where it would cover one that was drawn: those are in the chart by arm. */
static void put_interval(struct report *r, const struct scatter *s, uint32_t a)
{
    for (uint32_t b = 0; b < a; b++)
        if (fabs(s->x[a] - s->x[b]) < 4)
            return;
    const struct pipe_interval w = pipe_wilson(r->arms[a].right, r->n);
    html_raw(&r->h, "<path class=\"%s\" d=\"M%.1f %.1fV%.1f\" stroke-opacity=\"0.5\"/>",
             class_of(&r->arms[a]), s->x[a], at_percent(s, 100 * w.high),
             at_percent(s, 100 * w.low));
}

/* Straight lines between the plain models that no other one of their bits equals. */
static void put_line(struct report *r, const struct scatter *s)
{
    double bits[REPORT_ARMS_MAX] = { 0 }, accuracy[REPORT_ARMS_MAX] = { 0 };
    const uint32_t count = r->plain_count;
    for (uint32_t i = 0; i < count; i++) {
        bits[i] = r->arms[r->plain[i]].bits;
        accuracy[i] = r->arms[r->plain[i]].right;
    }
    int32_t last = -1;
    for (;;) {
        int32_t next = -1;
        for (uint32_t i = 0; i < count; i++)
            if (pipe_line_through(bits, accuracy, count, i) &&
                (last < 0 || bits[i] > bits[last]) && (next < 0 || bits[i] < bits[next]))
                next = (int32_t)i;
        if (next < 0)
            return;
        if (last >= 0)
            html_raw(&r->h,
                     "<path class=\"l\" d=\"M%.1f %.1fL%.1f %.1f\" "
                     "stroke-dasharray=\"4 3\" stroke-opacity=\"0.6\"/>",
                     s->x[r->plain[last]], s->y[r->plain[last]], s->x[r->plain[next]],
                     s->y[r->plain[next]]);
        last = next;
    }
}

static void put_scatter(struct report *r)
{
    struct html *h = &r->h;
    struct scatter s = { 0 };
    place(r, &s);
    html_raw_text(h,
                  "<figure class=\"wide scroll\" role=\"region\" tabindex=\"0\" "
                  "aria-label=\"Chart of accuracy against bits\"><svg viewBox=\"0 0 "
                  "720 372\" role=\"img\" aria-label=\"Accuracy against effective bits "
                  "a weight, with 95 % intervals: ");
    for (uint32_t i = 0; i < r->arm_count; i++) {
        const struct report_arm *a = &r->arms[s.order[i]];
        html_raw_text(h, i ? "; " : "");
        html_text(h, a->label);
        html_raw(h, " %.1f %% at %.2f bits", report_percent(a->right, r->n), a->bits);
    }
    html_raw_text(h, "\">");
    put_axes(h, &s);
    put_line(r, &s);
    for (uint32_t a = 0; a < r->arm_count; a++)
        put_interval(r, &s, a);
    for (uint32_t a = 0; a < r->arm_count; a++) {
        html_raw(h, "<text class=\"o%s%s\" x=\"%.1f\" y=\"%.1f\">", s.left[a] ? " e" : "",
                 (int)a == r->main_arm ? " b" : "", s.x[a] + (s.left[a] ? -21 : 21),
                 s.label[a] + 4);
        html_text(h, r->arms[a].label);
        html_raw_text(h, "</text>");
    }
    for (uint32_t a = 0; a < r->arm_count; a++) {
        html_raw(h, "<path class=\"g\" d=\"M%.1f %.1fL%.1f %.1f\"/>", s.x[a], s.y[a],
                 s.x[a] + (s.left[a] ? -18 : 18), s.label[a]);
        put_mark(h, &r->arms[a], s.x[a], s.y[a]);
    }
    html_raw_text(
        h, "</svg><figcaption>Square: full precision and quantized; circle: "
           "restored; diamond: control or plain alternative. Up and to the left "
           "is better. Dashed: the line of plain models; a repair is worth its bits "
           "where it lies above it. Lines: 95\xc2\xa0% intervals, one where several arms "
           "take "
           "the same bits; all are in the next chart.</figcaption></figure>\n");
}

/* ---- intervals by arm ---- */

static void put_dots(struct report *r)
{
    enum { LEFT = 112, RIGHT = 400, ROW = 22 };
    struct html *h = &r->h;
    struct scatter s = { 0 };
    place(r, &s);
    const double scale = (RIGHT - LEFT) / (s.high - s.low);
    const int bottom = 6 + (int)r->arm_count * ROW;
    html_raw(
        h,
        "<figure><svg viewBox=\"0 0 460 %d\" role=\"img\" aria-label=\"Accuracy with "
        "95 %% intervals, best first; the numbers are in the table below\">",
        bottom + 34);
    for (double p = s.low; p <= s.high + 0.01; p += s.high - s.low > 40 ? 20 : 5)
        html_raw(h,
                 "<path class=\"g\" d=\"M%.1f 2V%d\"/><text class=\"d m\" x=\"%.1f\" "
                 "y=\"%d\">%.0f</text>",
                 LEFT + (p - s.low) * scale, bottom, LEFT + (p - s.low) * scale,
                 bottom + 15, p);
    for (uint32_t i = 0; i < r->arm_count; i++) {
        const struct report_arm *arm = &r->arms[s.order[i]];
        const struct pipe_interval w = pipe_wilson(arm->right, r->n);
        const double percent = report_percent(arm->right, r->n);
        const int y = 16 + (int)i * ROW;
        html_raw(h, "<text class=\"e%s\" x=\"%d\" y=\"%d\">",
                 (int)s.order[i] == r->main_arm ? " b" : "", LEFT - 8, y + 4);
        html_text_n(h, arm->label, os_length(arm->label, 16));
        html_raw(h, "</text><path class=\"%s\" d=\"M%.1f %dH%.1f\" stroke-width=\"2\"/>",
                 class_of(arm), LEFT + (100 * w.low - s.low) * scale, y,
                 LEFT + (100 * w.high - s.low) * scale);
        put_mark(h, arm, LEFT + (percent - s.low) * scale, y);
        html_raw(h, "<text class=\"e\" x=\"456\" y=\"%d\">%.1f</text>", y + 4, percent);
    }
    html_raw(h,
             "<text class=\"d m\" x=\"%d\" y=\"%d\">right, %% of %u problems</text></svg>"
             "<figcaption>Best first, Wilson 95\xc2\xa0%% intervals. The arms answer the "
             "same problems, so overlap does not mean that they do not differ: the "
             "paired tests are in the table.</figcaption></figure>\n",
             (LEFT + RIGHT) / 2, bottom + 31, r->n);
}

rt_status report_arms(struct report *r)
{
    html_raw_text(&r->h, "<h2 id=\"arms\">Recipes, controls and plain alternatives</h2>\n"
                         "<h3>Accuracy against effective bits per weight</h3>\n");
    put_scatter(r);
    html_raw_text(&r->h, "<div class=\"pair\"><div><h3>Accuracy by arm</h3>\n");
    put_dots(r);
    html_raw_text(&r->h, "</div><div>");
    report_arms_words(r);
    html_raw_text(&r->h, "</div></div>\n");
    report_arms_tables(r);
    return RT_OK;
}
