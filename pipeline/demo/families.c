/* pipeline/demo/families.c
 * The three families of word problems. A function that meets an impossible choice sets
 * `bad` and continues or returns; the draft is then thrown away as a whole. */
#include "pipeline/demo/draft.h"

#include <stdio.h>

/* Two people (or one) and what they have. */
struct people {
    const char *item, *name[3];
    int value[2];
    int count; /* 1: only the first has a value */
};

static void pair_of_factors(struct draft *d, int *a, int *b)
{
    if (draft_unit(d) < 0.7) {
        *a = draft_between(d, 2, 12);
        *b = draft_between(d, 2, 12);
    } else {
        *a = draft_between(d, 2, 9);
        *b = draft_between(d, 11, 99);
    }
}

/* "half", or "1/d". */
static void fraction_words(struct draft *d, int by, char out[16])
{
    if (by == 2 && draft_unit(d) < 0.5)
        snprintf(out, 16, "half");
    else
        snprintf(out, 16, "1/%d", by);
}

static void start(struct draft *d, struct people *p, int who)
{
    const char *name = p->name[who];
    if (draft_unit(d) < 0.65) {
        p->value[who] =
            draft_unit(d) < 0.6 ? draft_between(d, 2, 200) : draft_between(d, 2, 40);
        draft_say(d, "%s has %d %s.", name, p->value[who], p->item);
        return;
    }
    int a, b;
    pair_of_factors(d, &a, &b);
    draft_say(d, "%s has %d boxes with %d %s in each box.", name, a, b, p->item);
    p->value[who] = draft_step(d, name, a, '*', b);
    d->skills |= SKILL_MUL;
}

/* The second person, stated or compared with the first. */
static void second(struct draft *d, struct people *p)
{
    const char *a = p->name[0], *b = p->name[1];
    const int x = p->value[0];
    const double k = draft_unit(d);
    p->count = 2;
    if (k < 0.3) {
        start(d, p, 1);
        return;
    }
    d->skills |= SKILL_COMPARE;
    if (k < 0.5) {
        const int by = draft_between(d, 2, 90);
        draft_say(d, "%s has %d more %s than %s.", b, by, p->item, a);
        p->value[1] = draft_step(d, b, x, '+', by);
    } else if (k < 0.7) {
        const int by = draft_between(d, 1, x > 2 ? x - 1 : 1);
        draft_say(d, "%s has %d fewer %s than %s.", b, by, p->item, a);
        p->value[1] = draft_step(d, b, x, '-', by);
    } else if (k < 0.85) {
        const int by = draft_between(d, 2, 9);
        draft_say(d, "%s has %d times as many %s as %s.", b, by, p->item, a);
        p->value[1] = draft_step(d, b, x, '*', by);
        d->skills |= SKILL_MUL;
    } else {
        const int by = draft_divisor(d, x, 2, 9, false);
        char words[16];
        fraction_words(d, by, words);
        draft_say(d, "%s has %s as many %s as %s.", b, words, p->item, a);
        p->value[1] = draft_step(d, b, x, '/', by);
        d->skills |= SKILL_FRAC;
    }
}

/* A percentage of x as one or two steps; 0 and bad where it is not whole. */
static int percentage(struct draft *d, const char *label, int x, int percent)
{
    int y;
    switch (percent) {
    case 10:
    case 20:
        y = draft_step(d, label, x, '/', 10);
        return percent == 20 ? draft_step(d, label, y, '*', 2) : y;
    case 50:
        return draft_step(d, label, x, '/', 2);
    default:
        y = draft_step(d, label, x, '/', 4);
        return percent == 75 ? draft_step(d, label, y, '*', 3) : y;
    }
}

static void share_away(struct draft *d, struct people *p, int who)
{
    const char *n = p->name[who];
    const int x = p->value[who];
    const int by = x > 0 ? draft_divisor(d, x, 2, 9, false) : 0;
    if (by == 0) {
        d->bad = true;
        return;
    }
    char words[16];
    fraction_words(d, by, words);
    draft_say(d, "%s gives away %s of the %s.", n, words, p->item);
    const int y = draft_step(d, n, x, '/', by);
    p->value[who] = draft_step(d, n, x, '-', y);
    d->skills |= SKILL_FRAC;
}

static void sell_percent(struct draft *d, struct people *p, int who)
{
    static const int percents[5] = { 10, 20, 25, 50, 75 };
    const char *n = p->name[who];
    const int x = p->value[who], percent = percents[draft_between(d, 0, 4)];
    const int y = percentage(d, n, x, percent);
    draft_say(d, "%s sells %d%% of the %s.", n, percent, p->item);
    p->value[who] = draft_step(d, n, x, '-', y);
    d->skills |= SKILL_PERCENT;
}

static void give_other(struct draft *d, struct people *p, int who)
{
    const char *n = p->name[who];
    const int x = p->value[who], other = 1 - who;
    if (p->count < 2 || x < 2) {
        d->bad = true;
        return;
    }
    const int by = draft_between(d, 1, x - 1);
    draft_say(d, "%s gives %d %s to %s.", n, by, p->item, p->name[other]);
    p->value[who] = draft_step(d, n, x, '-', by);
    p->value[other] = draft_step(d, p->name[other], p->value[other], '+', by);
    d->skills |= SKILL_TRANSFER;
}

static void event(struct draft *d, struct people *p)
{
    static const char *const gains[2] = { "finds", "buys" };
    static const char *const losses[2] = { "loses", "sells" };
    const int who = draft_between(d, 0, p->count - 1);
    const char *n = p->name[who];
    const int x = p->value[who];
    const double k = draft_unit(d);
    if (k < 0.22) {
        const int by = draft_between(d, 2, 150);
        draft_say(d, "%s %s %d more %s.", n, draft_choice(d, gains, 2), by, p->item);
        p->value[who] = draft_step(d, n, x, '+', by);
        d->skills |= SKILL_ADDSUB;
    } else if (k < 0.44) {
        if (x < 2) {
            d->bad = true;
            return;
        }
        const int by = draft_between(d, 1, x - 1);
        draft_say(d, "%s %s %d %s.", n, draft_choice(d, losses, 2), by, p->item);
        p->value[who] = draft_step(d, n, x, '-', by);
        d->skills |= SKILL_ADDSUB;
    } else if (k < 0.58) {
        int a, b;
        pair_of_factors(d, &a, &b);
        draft_say(d, "%s buys %d boxes with %d %s in each box.", n, a, b, p->item);
        const int product = draft_step(d, n, a, '*', b);
        p->value[who] = draft_step(d, n, x, '+', product);
        d->skills |= SKILL_MUL | SKILL_ADDSUB;
    } else if (k < 0.72) {
        share_away(d, p, who);
    } else if (k < 0.86) {
        sell_percent(d, p, who);
    } else {
        give_other(d, p, who);
    }
}

static void distraction(struct draft *d, const struct people *p)
{
    const uint32_t at = (uint32_t)draft_between(d, 1, (int)d->sentences);
    const double k = draft_unit(d);
    if (k < 0.4) {
        const char *who = draft_choice(d, p->name, 3);
        const int count = draft_between(d, 2, 99);
        draft_say(d, "%s also has %d %s.", who, count, draft_choice(d, draft_others, 6));
    } else if (k < 0.7) {
        const char *who = draft_choice(d, p->name, 3);
        draft_say(d, "%s is %d years old.", who, draft_between(d, 5, 60));
    } else {
        const int count = draft_between(d, 2, 99);
        draft_say(d, "%s has %d %s.", p->name[2], count,
                  draft_choice(d, draft_others, 6));
    }
    draft_move_last(d, at);
    d->skills |= SKILL_DISTRACT;
}

/* "How many has she now?": only where the last step says it. */
static void ask_now(struct draft *d, const struct people *p, int who)
{
    d->answer = p->value[who];
    if (d->step_count == 0 || d->steps[d->step_count - 1].value != d->answer)
        d->bad = true;
    draft_say(d, "How many %s does %s have now?", p->item, p->name[who]);
}

static void ask_each(struct draft *d, const struct people *p, int who)
{
    const int by = draft_divisor(d, p->value[who], 2, 12, true);
    if (d->bad)
        return;
    draft_say(d,
              "%s shares the %s equally among %d friends. How many %s does each friend "
              "get?",
              p->name[who], p->item, by, p->item);
    d->answer = draft_step(d, "Each", p->value[who], '/', by);
    d->skills |= SKILL_DIV;
}

static void ask(struct draft *d, const struct people *p)
{
    const double k = draft_unit(d);
    const int *v = p->value;
    if (p->count == 2 && k < 0.45) {
        draft_say(d, "How many %s do %s and %s have in total?", p->item, p->name[0],
                  p->name[1]);
        d->answer = draft_step(d, "Total", v[0], '+', v[1]);
    } else if (p->count == 2 && k < 0.65) {
        const int high = v[0] >= v[1] ? 0 : 1, low = 1 - high;
        if (v[0] == v[1])
            d->bad = true;
        draft_say(d, "How many more %s does %s have than %s?", p->item, p->name[high],
                  p->name[low]);
        d->answer = draft_step(d, "More", v[high], '-', v[low]);
        d->skills |= SKILL_COMPARE;
    } else {
        const int who = draft_between(d, 0, p->count - 1);
        const bool each = k < 0.85 || d->step_count == 0;
        if (each && (draft_unit(d) < 0.5 || d->step_count == 0))
            ask_each(d, p, who);
        else
            ask_now(d, p, who);
    }
}

void draft_entity(struct draft *d)
{
    struct people p = { .item = draft_choice(d, draft_items, 10), .count = 1 };
    draft_sample(d, draft_names, 16, 3, p.name);
    start(d, &p, 0);
    if (!d->bad && draft_unit(d) < 0.65)
        second(d, &p);
    const int events = draft_between(d, 0, 3);
    for (int i = 0; i < events && !d->bad && d->step_count < DEMO_STEPS_MAX - 1; i++)
        event(d, &p);
    if (!d->bad && draft_unit(d) < 0.3)
        distraction(d, &p);
    if (!d->bad)
        ask(d, &p);
}

static void pay_with_note(struct draft *d, const char *who, int total)
{
    static const int notes[7] = { 50, 100, 200, 300, 500, 800, 999 };
    int from = 0;
    while (from < 7 && notes[from] <= total)
        from++;
    if (from == 7) {
        d->bad = true;
        return;
    }
    const int note = notes[draft_between(d, from, 6)];
    draft_say(d, "%s pays with %d dollars. How much change does %s get?", who, note, who);
    d->answer = draft_step(d, "Change", note, '-', total);
}

void draft_money(struct draft *d)
{
    static const int percents[3] = { 10, 20, 50 };
    const char *who = draft_choice(d, draft_names, 16), *items[3];
    const int count = draft_between(d, 1, 3);
    int total = 0;
    draft_sample(d, draft_items, 10, count, items);
    d->skills |= SKILL_MONEY;
    for (int i = 0; i < count; i++) {
        const int n = draft_between(d, 2, 12), price = draft_between(d, 2, 25);
        draft_say(d, "%s buys %d %s at %d dollars each.", who, n, items[i], price);
        const int x = draft_step(d, items[i], n, '*', price);
        total = i == 0 ? x : draft_step(d, "Total", total, '+', x);
    }
    if (draft_unit(d) < 0.3) {
        const uint32_t at = (uint32_t)draft_between(d, 0, (int)d->sentences);
        draft_say(d, "%s is %d years old.", who, draft_between(d, 5, 60));
        draft_move_last(d, at);
        d->skills |= SKILL_DISTRACT;
    }
    const double j = draft_unit(d);
    if (j < 0.4) {
        pay_with_note(d, who, total);
    } else if (j < 0.7) {
        const int percent = percents[draft_between(d, 0, 2)];
        const int off = percentage(d, "Off", total, percent);
        draft_say(d, "There is a %d%% discount. How much does %s pay?", percent, who);
        d->answer = draft_step(d, "Pay", total, '-', off);
        d->skills |= SKILL_PERCENT;
    } else {
        draft_say(d, "How much does %s pay?", who);
        d->answer = total;
    }
}

static const struct {
    const char *big, *small;
    int factor;
} unit_rows[7] = {
    { "hours", "minutes", 60 },   { "weeks", "days", 7 },
    { "dozen eggs", "eggs", 12 }, { "meters", "centimeters", 100 },
    { "feet", "inches", 12 },     { "minutes", "seconds", 60 },
    { "days", "hours", 24 },
};

void draft_units(struct draft *d)
{
    static const char *const verbs[3] = { "uses", "needs", "counts" };
    const int row = draft_between(d, 0, 6), factor = unit_rows[row].factor;
    const char *big = unit_rows[row].big, *small = unit_rows[row].small;
    const char *who = draft_choice(d, draft_names, 16);
    const int n = draft_between(d, 2, 9);
    int v = draft_step(d, small, n, '*', factor);
    const char *verb = draft_choice(d, verbs, 3);
    d->skills |= SKILL_UNIT;
    if (draft_unit(d) < 0.7) {
        const int more = draft_between(d, 1, factor - 1);
        draft_say(d, "%s %s %d %s and %d %s.", who, verb, n, big, more, small);
        v = draft_step(d, small, v, '+', more);
    } else {
        draft_say(d, "%s %s %d %s.", who, verb, n, big);
    }
    const double j = draft_unit(d);
    if (d->bad)
        return;
    if (j < 0.3) {
        const int by = draft_between(d, 1, v - 1);
        draft_say(d, "Then %s %s %d %s less. How many %s is that?", who, verb, by, small,
                  small);
        d->answer = draft_step(d, "Left", v, '-', by);
    } else if (j < 0.6) {
        const int by = draft_between(d, 1, 300);
        draft_say(d, "Then %s %s %d %s more. How many %s is that?", who, verb, by, small,
                  small);
        d->answer = draft_step(d, "Total", v, '+', by);
    } else if (j < 0.8) {
        const int by = draft_divisor(d, v, 2, 9, false);
        draft_say(d, "It is split into %d equal parts. How many %s is each part?", by,
                  small);
        d->answer = draft_step(d, "Each", v, '/', by);
        d->skills |= SKILL_DIV;
    } else {
        const int by = draft_between(d, 2, 5);
        draft_say(d, "%s does this %d times. How many %s is that?", who, by, small);
        d->answer = draft_step(d, "Total", v, '*', by);
        d->skills |= SKILL_MUL;
    }
}
