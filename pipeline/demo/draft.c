/* pipeline/demo/draft.c
 * Random draws and text of one problem in the making; private to the generator. */
#include "pipeline/demo/draft.h"

#include "runtime/base/philox.h"

#include <stdio.h>
#include <string.h>

const char *const draft_names[16] = { "Ana", "Ben",  "Cara", "Dan",  "Eva", "Finn",
                                      "Gia", "Hugo", "Iris", "Jack", "Kim", "Leo",
                                      "Mia", "Noah", "Omar", "Pia" };
const char *const draft_items[10] = { "apples",  "pens",   "books",  "coins", "cards",
                                      "marbles", "stamps", "shells", "beads", "cups" };
const char *const draft_others[6] = { "hats",   "kites",  "rings",
                                      "plants", "stones", "ropes" };

static uint32_t draw(struct draft *d)
{
    return philox_word(d->drawn++, d->problem, d->attempt, 0x64656d6fu, (uint32_t)d->seed,
                       (uint32_t)(d->seed >> 32));
}

double draft_unit(struct draft *d)
{
    return draw(d) / 4294967296.0;
}

int draft_between(struct draft *d, int low, int high)
{
    const uint64_t range = (uint64_t)(high - low) + 1;
    return low + (int)((draw(d) * range) >> 32);
}

const char *draft_choice(struct draft *d, const char *const *from, int count)
{
    return from[draft_between(d, 0, count - 1)];
}

void draft_sample(struct draft *d, const char *const *from, int total, int count,
                  const char **out)
{
    for (int i = 0; i < count; i++) {
        bool fresh = false;
        while (!fresh) {
            out[i] = draft_choice(d, from, total);
            fresh = true;
            for (int j = 0; j < i; j++)
                fresh = fresh && out[j] != out[i];
        }
    }
}

void draft_say(struct draft *d, const char *fmt, ...)
{
    if (d->sentences == DRAFT_SENTENCES_MAX) {
        d->bad = true;
        return;
    }
    va_list args;
    va_start(args, fmt);
    vsnprintf(d->text[d->sentences++], DRAFT_SENTENCE_BYTES, fmt, args);
    va_end(args);
}

void draft_move_last(struct draft *d, uint32_t at)
{
    char last[DRAFT_SENTENCE_BYTES];
    const uint32_t end = d->sentences - 1;
    if (d->sentences == 0 || at >= end)
        return;
    memcpy(last, d->text[end], sizeof last);
    memmove(d->text[at + 1], d->text[at], (end - at) * sizeof last);
    memcpy(d->text[at], last, sizeof last);
}

static bool evaluate(int a, char op, int b, int *value)
{
    switch (op) {
    case '+':
        *value = a + b;
        break;
    case '-':
        *value = a - b;
        break;
    case '*':
        *value = a * b;
        break;
    default:
        if (b == 0 || a % b != 0)
            return false;
        *value = a / b;
    }
    return *value >= 0 && *value <= DRAFT_VALUE_MAX;
}

int draft_step(struct draft *d, const char *label, int a, char op, int b)
{
    int value = 0;
    if (d->bad || d->step_count == DRAFT_STEPS_MAX || !evaluate(a, op, b, &value)) {
        d->bad = true;
        return 0;
    }
    d->steps[d->step_count++] =
        (struct draft_step){ .label = label, .a = a, .b = b, .value = value, .op = op };
    return value;
}

int draft_divisor(struct draft *d, int value, int low, int high, bool proper)
{
    int found[16], count = 0;
    for (int i = low; i <= high && count < 16; i++)
        if (value % i == 0 && (!proper || value > i))
            found[count++] = i;
    if (count == 0) {
        d->bad = true;
        return 0;
    }
    return found[draft_between(d, 0, count - 1)];
}
