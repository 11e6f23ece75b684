/* pipeline/demo/question.c
 * Reads a question of the demo's kind into sentences, names, numbers and what is
 * asked. */
#include "pipeline/demo/question.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_letter(char c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z');
}

static bool word_is(const char *word, uint32_t length, const char *text)
{
    return strlen(text) == length && memcmp(word, text, length) == 0;
}

/* Factors that a word brings along. */
static const struct {
    const char *word;
    int64_t factor;
} implications[] = {
    { "half", 2 },     { "twice", 2 },    { "double", 2 }, { "hours", 60 },
    { "minutes", 60 }, { "weeks", 7 },    { "days", 24 },  { "dozen", 12 },
    { "feet", 12 },    { "meters", 100 }, { "hour", 60 },  { "minute", 60 },
    { "week", 7 },     { "day", 24 },     { "foot", 12 },  { "meter", 100 },
    { "third", 3 },    { "quarter", 4 },
};

/* Capitalised words that are no names. */
static const char *const not_names[] = { "How", "Then", "There", "It",   "What",  "The",
                                         "If",  "He",   "She",   "They", "After", "A" };

static void imply(struct pipe_sentence *s, int64_t number)
{
    if (number > 1 && s->implied_count < PIPE_NUMBERS_MAX)
        s->implied[s->implied_count++] = number;
}

/* 25%: a quarter, 100 and 25; 20%: also two tenths. */
static void imply_percent(struct pipe_sentence *s, int64_t percent)
{
    int64_t a = percent, b = 100;
    while (a) {
        const int64_t rest = b % a;
        b = a;
        a = rest;
    }
    if (percent <= 0 || percent > 100)
        return;
    imply(s, 100);
    imply(s, 100 / b);
    imply(s, percent / b);
    if (percent % 10 == 0) {
        imply(s, 10);
        imply(s, percent / 10);
    }
}

static const char *read_number(struct pipe_sentence *s, const char *at, const char *end,
                               bool *complete)
{
    int64_t value = 0;
    int digits = 0;
    for (; at < end && is_digit(*at); at++)
        if (++digits <= 9)
            value = value * 10 + (*at - '0');
    const bool fraction = end - at >= 2 && at[0] == '/' && is_digit(at[1]);
    if (fraction && value == 1 && digits == 1) { /* "1/4" states neither 1 nor 4 */
        int64_t below = 0;
        for (at++; at < end && is_digit(*at) && below < 1000000; at++)
            below = below * 10 + (*at - '0');
        imply(s, below);
        return at;
    }
    if (digits > 9 || s->stated_count == PIPE_NUMBERS_MAX) {
        *complete = false;
        return at;
    }
    s->stated[s->stated_count++] = value;
    if (at < end && *at == '%')
        imply_percent(s, value);
    return at;
}

static void mention(struct pipe_question *q, struct pipe_sentence *s, const char *word,
                    uint32_t length)
{
    for (size_t i = 0; i < RT_COUNT(not_names); i++)
        if (word_is(word, length, not_names[i]))
            return;
    int32_t at = pipe_question_name(q, word, length);
    if (at < 0 && q->name_count < PIPE_NAMES_MAX) {
        at = (int32_t)q->name_count++;
        q->names[at] = (struct pipe_word){ word, length };
    }
    if (at < 0 || pipe_sentence_names(s, (uint32_t)at))
        return;
    if (s->name_count < PIPE_SENTENCE_NAMES_MAX)
        s->names[s->name_count++] = (uint32_t)at;
    else
        q->complete = false;
}

static const char *read_word(struct pipe_question *q, struct pipe_sentence *s,
                             const char *at, const char *end)
{
    const char *start = at;
    while (at < end && is_letter(*at))
        at++;
    const uint32_t length = (uint32_t)(at - start);
    for (size_t i = 0; i < RT_COUNT(implications); i++)
        if (word_is(start, length, implications[i].word))
            imply(s, implications[i].factor);
    if (is_upper(*start))
        mention(q, s, start, length);
    return at;
}

static void read_sentence(struct pipe_question *q, const char *start, const char *end)
{
    if (q->count == PIPE_SENTENCES_MAX) {
        q->complete = false;
        return;
    }
    struct pipe_sentence *s = &q->sentences[q->count++];
    *s = (struct pipe_sentence){ .text = start, .length = (uint32_t)(end - start) };
    for (const char *at = start; at < end;) {
        if (is_digit(*at))
            at = read_number(s, at, end, &q->complete);
        else if (is_letter(*at))
            at = read_word(q, s, at, end);
        else
            at++;
    }
}

void pipe_question_read(const char *text, struct pipe_question *out)
{
    memset(out, 0, sizeof *out);
    out->complete = true;
    const char *start = text;
    for (const char *at = text; *at; at++) {
        const bool ends = (*at == '.' || *at == '?' || *at == '!') &&
                          (at[1] == ' ' || at[1] == '\n' || at[1] == '\0');
        if (!ends)
            continue;
        read_sentence(out, start, at);
        start = at + 1;
    }
    if (start[strspn(start, " \n")])
        read_sentence(out, start, start + strlen(start));
}

int32_t pipe_question_name(const struct pipe_question *q, const char *text,
                           uint32_t length)
{
    for (uint32_t i = 0; i < q->name_count; i++)
        if (q->names[i].length == length && memcmp(q->names[i].text, text, length) == 0)
            return (int32_t)i;
    return -1;
}

bool pipe_sentence_has_word(const struct pipe_sentence *s, const char *word)
{
    const char *end = s->text + s->length;
    for (const char *at = s->text; at < end;) {
        const char *start = at;
        while (at < end && is_letter(*at))
            at++;
        if (word_is(start, (uint32_t)(at - start), word))
            return true;
        at += at == start;
    }
    return false;
}

bool pipe_sentence_names(const struct pipe_sentence *s, uint32_t name)
{
    for (uint32_t i = 0; i < s->name_count; i++)
        if (s->names[i] == name)
            return true;
    return false;
}

bool pipe_sentence_states(const struct pipe_sentence *s, int64_t number)
{
    for (uint32_t i = 0; i < s->stated_count; i++)
        if (s->stated[i] == number)
            return true;
    return false;
}

bool pipe_sentence_implies(const struct pipe_sentence *s, int64_t number)
{
    for (uint32_t i = 0; i < s->implied_count; i++)
        if (s->implied[i] == number)
            return true;
    return false;
}

bool pipe_sentence_states_both(const struct pipe_sentence *s, int64_t a, int64_t b)
{
    uint32_t of_a = 0, of_b = 0;
    for (uint32_t i = 0; i < s->stated_count; i++) {
        of_a += s->stated[i] == a;
        of_b += s->stated[i] == b;
    }
    return of_a > 0 && of_b > 0 && (a != b || of_a > 1);
}

bool pipe_sentence_gives(const struct pipe_sentence *s, int64_t number)
{
    return pipe_sentence_implies(s, number) || pipe_sentence_states(s, number);
}

bool pipe_question_gives(const struct pipe_question *q, int64_t number)
{
    for (uint32_t i = 0; i < q->count; i++)
        if (pipe_sentence_gives(&q->sentences[i], number))
            return true;
    return false;
}
