/* pipeline/prompt/math_words.c
 * Tables of words; small letters and capitals are one. */
#include "pipeline/prompt/math_words.h"

#include "pipeline/prompt/math_tokens.h"

#include <ctype.h>
#include <string.h>

/* Whether a word is `entry`, which ends with a space or a zero. */
static bool is_entry(const char *entry, const char *word, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        if (tolower((unsigned char)word[i]) != entry[i])
            return false;
    return entry[size] == ' ' || entry[size] == '\0';
}

/* Place of a word in a list of words with single spaces between, from 1; 0: not there. */
static uint16_t place(const char *list, const char *word, uint32_t size)
{
    uint16_t at = 1;
    if (size == 0)
        return 0;
    for (const char *entry = list; *entry; at++) {
        if (is_entry(entry, word, size))
            return at;
        entry += strcspn(entry, " ");
        entry += *entry == ' ';
    }
    return 0;
}

enum pipe_latex pipe_latex_command(const char *name, uint32_t size, char *sign)
{
    static const char spaces[] = "left right big bigl bigr bigg biggl biggr boxed text "
                                 "textbf textit mathrm mathbf "
                                 "displaystyle dollar";
    static const char breaks[] =
        "approx leq geq neq le ge ne lt gt equiv rightarrow implies to sim cong quad "
        "qquad "
        "iff therefore because begin end newline cdots ldots dots item and";
    static const char times[] = "times cdot ast", over[] = "div",
                      fraction[] = "frac dfrac "
                                   "tfrac cfrac";
    if (place(times, name, size)) {
        *sign = '*';
        return PIPE_LATEX_SIGN;
    }
    if (place(over, name, size)) {
        *sign = '/';
        return PIPE_LATEX_SIGN;
    }
    if (place(fraction, name, size))
        return PIPE_LATEX_FRACTION;
    if (place(spaces, name, size))
        return PIPE_LATEX_SPACE;
    return place(breaks, name, size) ? PIPE_LATEX_BREAK : PIPE_LATEX_OTHER;
}

bool pipe_word_computes(const char *word, uint32_t size)
{
    static const char list[] =
        "times by over mod modulo plus minus less half twice double triple thrice square "
        "squared cube cubed root sqrt log ln sin cos tan choose divided multiplied than "
        "hundred thousand million billion trillion dozen dozens remainder and rounded "
        "about "
        "approximately approx roughly nearly almost around round base quotient thirds "
        "third "
        "quarters quarter fourths fourth fifths fifth sixths sixth sevenths seventh "
        "eighths eighth "
        "ninths ninth tenths tenth halves am pm noon degrees";
    for (uint32_t i = size; i > 0; i--) /* "two-thirds" */
        if (word[i - 1] == '-')
            return place(list, word + i, size - i) != 0;
    return place(list, word, size) != 0;
}

bool pipe_word_joins(const char *word, uint32_t size)
{
    static const char list[] =
        "or is are was were be so then which that because since if has have had equals "
        "equal "
        "gives to get we he she it they you from with this these those for as would will "
        "makes made means leaves left cost costs";
    return place(list, word, size) != 0;
}

bool pipe_word_attaches(const char *word, uint32_t size)
{
    static const char list[] =
        "km cm mm kg mg lb lbs oz ft in mi hr hrs min mins sec ml mph "
        "am pm st nd rd th gal yd yrs cents";
    return place(list, word, size) != 0;
}

uint16_t pipe_word_measure(const char *word, uint32_t size)
{
    static const char list[] =
        "dollar cent penny nickel dime quarter foot inch yard mile meter metre kilometer "
        "kilometre centimeter millimeter km cm mm second minute hour day week month year "
        "decade pound ounce gram kilogram ton kg lb oz gallon quart pint cup liter litre "
        "milliliter ml dozen degree hr min sec ft gal yd mi pair score fortnight century";
    static const char odd[] = "feet inches pennies centuries buck bucks lbs";
    static const char *const odd_of[] = { "foot",   "inch",   "penny", "century",
                                          "dollar", "dollar", "lb" };
    uint16_t at = place(list, word, size);
    if (!at && size > 1 && tolower((unsigned char)word[size - 1]) == 's')
        at = place(list, word, size - 1);
    const uint16_t other = at ? 0 : place(odd, word, size);
    if (other)
        at = place(list, odd_of[other - 1], (uint32_t)strlen(odd_of[other - 1]));
    return at;
}

/* ---- numbers that words stand for ---- */

static const struct {
    const char *word;
    int64_t numbers[4]; /* ends with a zero */
} meanings[] = {
    { "one", { 1 } },
    { "two", { 2 } },
    { "three", { 3 } },
    { "four", { 4 } },
    { "five", { 5 } },
    { "six", { 6 } },
    { "seven", { 7 } },
    { "eight", { 8 } },
    { "nine", { 9 } },
    { "ten", { 10 } },
    { "eleven", { 11 } },
    { "twelve", { 12 } },
    { "thirteen", { 13 } },
    { "fourteen", { 14 } },
    { "fifteen", { 15 } },
    { "sixteen", { 16 } },
    { "seventeen", { 17 } },
    { "eighteen", { 18 } },
    { "nineteen", { 19 } },
    { "twenty", { 20 } },
    { "thirty", { 30 } },
    { "forty", { 40 } },
    { "fifty", { 50 } },
    { "sixty", { 60 } },
    { "seventy", { 70 } },
    { "eighty", { 80 } },
    { "ninety", { 90 } },
    { "hundred", { 100 } },
    { "thousand", { 1000 } },
    { "million", { 1000000 } },
    { "half", { 2 } },
    { "halves", { 2 } },
    { "twice", { 2 } },
    { "double", { 2 } },
    { "doubled", { 2 } },
    { "doubles", { 2 } },
    { "both", { 2 } },
    { "pair", { 2 } },
    { "couple", { 2 } },
    { "second", { 2, 60 } },
    { "triple", { 3 } },
    { "tripled", { 3 } },
    { "thrice", { 3 } },
    { "third", { 3 } },
    { "quarter", { 4, 25 } },
    { "fourth", { 4 } },
    { "fifth", { 5 } },
    { "sixth", { 6 } },
    { "seventh", { 7 } },
    { "eighth", { 8 } },
    { "ninth", { 9 } },
    { "tenth", { 10 } },
    { "dozen", { 12 } },
    { "percent", { 100 } },
    { "percentage", { 100 } },
    { "hour", { 60, 24 } },
    { "hourly", { 60, 24 } },
    { "minute", { 60 } },
    { "day", { 24, 7 } },
    { "daily", { 7, 24 } },
    { "week", { 7, 52, 4 } },
    { "weekly", { 7, 52, 4 } },
    { "weekday", { 5 } },
    { "weekend", { 2 } },
    { "month", { 12, 30, 4 } },
    { "monthly", { 12, 30, 4 } },
    { "year", { 12, 365, 52 } },
    { "yearly", { 12, 52 } },
    { "annual", { 12, 52 } },
    { "decade", { 10 } },
    { "century", { 100 } },
    { "foot", { 12 } },
    { "feet", { 12, 3 } },
    { "inches", { 12 } },
    { "inch", { 12 } },
    { "yard", { 3, 36 } },
    { "mile", { 5280 } },
    { "pound", { 16 } },
    { "ounce", { 16 } },
    { "gallon", { 4, 16 } },
    { "quart", { 4 } },
    { "pint", { 2 } },
    { "cent", { 100 } },
    { "dollar", { 100 } },
    { "dime", { 10 } },
    { "nickel", { 5 } },
    { "meter", { 100, 1000 } },
    { "kilometer", { 1000 } },
    { "kilogram", { 1000 } },
    { "gram", { 1000 } },
    { "liter", { 1000 } },
    { "centimeter", { 100 } },
    { "average", { 2 } },
    { "kg", { 1000 } },
    { "km", { 1000 } },
    { "midnight", { 12, 24 } },
    { "noon", { 12 } },
    { "square", { 4, 2 } },
    { "rectangle", { 2, 4 } },
    { "rectangular", { 2 } },
    { "triangle", { 3, 2 } },
    { "half-price", { 2 } },
    { "quadruple", { 4 } },
    { "twins", { 2 } },
    { "february", { 28, 29 } },
};

uint32_t pipe_math_word_numbers(const char *word, uint32_t size, int64_t *out,
                                uint32_t max)
{
    uint32_t n = 0;
    for (size_t i = 0; i < RT_COUNT(meanings); i++) {
        const bool plural = size > 1 && tolower((unsigned char)word[size - 1]) == 's';
        if (!is_entry(meanings[i].word, word, size) &&
            !(plural && is_entry(meanings[i].word, word, size - 1)))
            continue;
        for (int k = 0; k < 4 && meanings[i].numbers[k] && n < max; k++)
            out[n++] = meanings[i].numbers[k];
    }
    return n;
}
