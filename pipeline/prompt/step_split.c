/* pipeline/prompt/step_split.c
 * Cuts free text into sentences, paragraphs or "Step k:" pieces that tile it. */
#include "pipeline/prompt/step_split.h"

#include <ctype.h>
#include <string.h>

/* Whether a step ends before `at`, which is behind some white space. `white` is where that
 * begins. */
typedef bool ends_fn(const char *text, uint32_t white, uint32_t at);

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Cuts behind runs of white space where the rule says so. */
static uint32_t cut(const char *text, struct pipe_step *steps, uint32_t max,
                    ends_fn *ends)
{
    uint32_t count = 0, start = 0, at = 0;
    while (is_white(text[at]))
        at++; /* white space before the first step belongs to it */
    if (!text[at] || max == 0)
        return 0;
    while (text[at]) {
        while (text[at] && !is_white(text[at]))
            at++;
        const uint32_t white = at;
        while (is_white(text[at]))
            at++;
        if (text[at] && count + 1 < max && ends(text, white, at)) {
            steps[count++] = (struct pipe_step){ .char_start = start, .char_end = at };
            start = at;
        }
    }
    steps[count++] = (struct pipe_step){ .char_start = start, .char_end = at };
    return count;
}

static uint32_t line_ends(const char *text, uint32_t from, uint32_t to)
{
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i++)
        n += text[i] == '\n';
    return n;
}

static bool ends_line(const char *text, uint32_t white, uint32_t at)
{
    return line_ends(text, white, at) > 0;
}

static bool ends_paragraph(const char *text, uint32_t white, uint32_t at)
{
    return line_ends(text, white, at) > 1;
}

/* A title, or one letter: its full stop ends no sentence. */
static bool is_short_form(const char *text, uint32_t stop)
{
    static const char *const forms[] = { "Mr", "Mrs", "Ms", "Dr",
                                         "St", "No",  "vs", "approx" };
    uint32_t from = stop;
    while (from > 0 && isalpha((unsigned char)text[from - 1]))
        from--;
    const uint32_t length = stop - from;
    for (size_t i = 0; i < RT_COUNT(forms); i++)
        if (strlen(forms[i]) == length && memcmp(forms[i], text + from, length) == 0)
            return true;
    return length == 1 && (from == 0 || is_white(text[from - 1]));
}

static bool ends_sentence(const char *text, uint32_t white, uint32_t at)
{
    static const char closers[] = "\"')]$*";
    if (line_ends(text, white, at) > 0)
        return true;
    uint32_t last = white;
    while (last > 0 && strchr(closers, text[last - 1]))
        last--;
    if (last == 0 || !strchr(".!?", text[last - 1]) || islower((unsigned char)text[at]))
        return false;
    return text[last - 1] != '.' || !is_short_form(text, last - 1);
}

/* "Step 12:" at the start of `text`. */
static bool is_mark(const char *text)
{
    static const char word[] = "Step ";
    if (strncmp(text, word, sizeof word - 1) != 0)
        return false;
    const char *digits = text + sizeof word - 1;
    const size_t n = strspn(digits, "0123456789");
    return n > 0 && digits[n] == ':';
}

static bool ends_mark(const char *text, uint32_t white, uint32_t at)
{
    return line_ends(text, white, at) > 0 && is_mark(text + at);
}

uint32_t pipe_split_lines(const char *output, struct pipe_step *steps, uint32_t max)
{
    return cut(output, steps, max, ends_line);
}

uint32_t pipe_split_sentences(const char *output, struct pipe_step *steps, uint32_t max)
{
    return cut(output, steps, max, ends_sentence);
}

uint32_t pipe_split_paragraphs(const char *output, struct pipe_step *steps, uint32_t max)
{
    const uint32_t count = cut(output, steps, max, ends_paragraph);
    return count > 1 ? count : cut(output, steps, max, ends_line);
}

uint32_t pipe_split_marks(const char *output, struct pipe_step *steps, uint32_t max)
{
    const uint32_t count = cut(output, steps, max, ends_mark);
    const bool marked = count > 1 || is_mark(output + strspn(output, " \t\r\n"));
    /* Text before the only mark is that step's own. */
    if (marked && count > 1 && !is_mark(output + strspn(output, " \t\r\n"))) {
        steps[1].char_start = steps[0].char_start;
        memmove(steps, steps + 1, (count - 1) * sizeof *steps);
        return count - 1;
    }
    return marked ? count : pipe_split_paragraphs(output, steps, max);
}
