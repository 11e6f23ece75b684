/* pipeline/demo/format_demo.c
 * Reads answers of the demo's format: lines, equations, the final answer. */
#include "pipeline/demo/format_demo.h"

#include <stdlib.h>
#include <string.h>

enum { DIGITS_MAX = 9 }; /* a product of two such numbers fits in 63 bits */

static const char ANSWER_MARK[] = "#### ";

/* Reads 1 to DIGITS_MAX digits; false if there are none or more. */
static bool read_number(const char **at, const char *end, int64_t *value)
{
    const char *start = *at;
    *value = 0;
    while (*at < end && **at >= '0' && **at <= '9' && *at - start <= DIGITS_MAX)
        *value = *value * 10 + (*(*at)++ - '0');
    return *at > start && *at - start <= DIGITS_MAX;
}

static bool is_op(char c)
{
    return c == '+' || c == '-' || c == '*' || c == '/';
}

/* a<op>b, advancing *at. */
static bool read_expr(const char **at, const char *end, int64_t *a, char *op, int64_t *b)
{
    if (!read_number(at, end, a) || *at == end || !is_op(**at))
        return false;
    *op = *(*at)++;
    return read_number(at, end, b);
}

static bool read_equation(const char *text, const char *end, struct pipe_demo_line *out)
{
    const char *colon = memchr(text, ':', (size_t)(end - text));
    if (!colon || colon == text || end - colon < 2 || colon[1] != ' ')
        return false;
    const char *at = colon + 2;
    if (!read_expr(&at, end, &out->a, &out->op, &out->b) || at == end || *at++ != '=' ||
        !read_number(&at, end, &out->c) || at != end)
        return false;
    out->label = text;
    out->label_length = (uint32_t)(colon - text);
    return true;
}

void pipe_demo_line_parse(const char *text, size_t length, struct pipe_demo_line *out)
{
    const size_t mark = sizeof ANSWER_MARK - 1;
    const char *end = text + length;
    struct pipe_demo_line line = { 0 };
    if (length > mark && memcmp(text, ANSWER_MARK, mark) == 0) {
        const char *at = text + mark;
        if (read_number(&at, end, &line.c) && at == end)
            line.kind = PIPE_LINE_ANSWER;
    } else if (read_equation(text, end, &line)) {
        line.kind = PIPE_LINE_EQUATION;
    }
    *out = line;
    if (line.kind == PIPE_LINE_UNREADABLE)
        *out = (struct pipe_demo_line){ 0 };
}

void pipe_demo_step_parse(const char *output, const struct pipe_step *step,
                          struct pipe_demo_line *out)
{
    uint32_t end = step->char_end;
    while (end > step->char_start && output[end - 1] == '\n')
        end--;
    pipe_demo_line_parse(output + step->char_start, end - step->char_start, out);
}

bool pipe_demo_expr_parse(const char *text, int64_t *a, char *op, int64_t *b)
{
    const char *end = text + strlen(text);
    return read_expr(&text, end, a, op, b) && text == end;
}

bool pipe_demo_evaluate(int64_t a, char op, int64_t b, int64_t *value)
{
    switch (op) {
    case '+':
        *value = a + b;
        return true;
    case '-':
        *value = a - b;
        return true;
    case '*':
        *value = a * b;
        return true;
    case '/':
        *value = b ? a / b : 0;
        return b != 0 && a % b == 0;
    default:
        return false;
    }
}

bool pipe_demo_same_label(const struct pipe_demo_line *x, const struct pipe_demo_line *y)
{
    return x->label_length == y->label_length &&
           (x->label_length == 0 || memcmp(x->label, y->label, x->label_length) == 0);
}

uint32_t pipe_demo_split(const char *output, struct pipe_step *steps, uint32_t max)
{
    uint32_t count = 0, at = 0;
    while (output[at] == '\n')
        at++; /* blank lines before the first step belong to it */
    uint32_t start = 0;
    while (output[at] && count < max) {
        const char *line_end = strchr(output + at, '\n');
        uint32_t end = line_end ? (uint32_t)(line_end - output) + 1
                                : at + (uint32_t)strlen(output + at);
        while (output[end] == '\n')
            end++;
        if (count + 1 == max)
            end += (uint32_t)strlen(output + end);
        steps[count++] = (struct pipe_step){ .char_start = start, .char_end = end };
        start = at = end;
    }
    return count;
}

/* Start of the last line that begins with the mark, or null. */
static const char *last_answer(const char *output)
{
    const char *found = NULL;
    for (const char *at = output; at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, ANSWER_MARK, sizeof ANSWER_MARK - 1) == 0)
            found = at + sizeof ANSWER_MARK - 1;
    }
    return found;
}

bool pipe_demo_extract(const char *output, char *extracted, size_t size,
                       const char **rule)
{
    const char *at = last_answer(output);
    extracted[0] = '\0';
    *rule = "no line begins with '#### '";
    if (!at)
        return false;
    size_t length = strcspn(at, "\n");
    while (length && at[length - 1] == ' ')
        length--;
    *rule = "nothing after '#### '";
    if (length == 0)
        return false;
    if (length >= size)
        length = size - 1;
    memcpy(extracted, at, length);
    extracted[length] = '\0';
    *rule = "last '#### ' line";
    return true;
}

static bool whole_number(const char *text, long long *value)
{
    char *end;
    if (*text != '-' && (*text < '0' || *text > '9'))
        return false;
    *value = strtoll(text, &end, 10);
    return *end == '\0' && end - text <= 18;
}

bool pipe_demo_equal(const char *extracted, const char *answer)
{
    long long a, b;
    if (whole_number(extracted, &a) && whole_number(answer, &b))
        return a == b;
    return strcmp(extracted, answer) == 0;
}
