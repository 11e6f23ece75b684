/* pipeline/grade/words.c
 * Units of measure, words of numbers, and the short words that matter. */
#include "pipeline/grade/lex.h"
#include "pipeline/grade/tree.h"

#include <string.h>

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool grade_word_is(const char *text, uint32_t size, const char *word)
{
    uint32_t i = 0;
    while (i < size && word[i] && lower(text[i]) == word[i])
        i++;
    return i == size && !word[i];
}

uint64_t grade_word_hash(const char *text, uint32_t size)
{
    char letters[64];
    uint32_t n = 0;
    for (uint32_t i = 0; i < size && n < sizeof letters; i++)
        if (text[i] != '.' && text[i] != '\'')
            letters[n++] = lower(text[i]);
    if (n > 3 && letters[n - 1] == 's' && letters[n - 2] != 's')
        n--;
    return grade_hash_bytes(letters, n);
}

/* Names in lower case count whatever the case; abbreviations as they stand. */
static const struct unit_row units[] = {
    { "unit", UNIT_OTHER, 1, "" },
    { "units", UNIT_OTHER, 1, "" },
    { "mm", UNIT_KNOWN, 1, "millimeter" },
    { "cm", UNIT_KNOWN, 1, "centimeter" },
    { "dm", UNIT_KNOWN, 1, "decimeter" },
    { "m", UNIT_KNOWN, 1, "meter" },
    { "km", UNIT_KNOWN, 1, "kilometer" },
    { "millimeter", UNIT_KNOWN, 1, "millimeter" },
    { "centimeter", UNIT_KNOWN, 1, "centimeter" },
    { "centimetre", UNIT_KNOWN, 1, "centimeter" },
    { "meter", UNIT_KNOWN, 1, "meter" },
    { "metre", UNIT_KNOWN, 1, "meter" },
    { "kilometer", UNIT_KNOWN, 1, "kilometer" },
    { "kilometre", UNIT_KNOWN, 1, "kilometer" },
    { "in", UNIT_KNOWN, 1, "inch" },
    { "inch", UNIT_KNOWN, 1, "inch" },
    { "inches", UNIT_KNOWN, 1, "inch" },
    { "ft", UNIT_KNOWN, 1, "foot" },
    { "foot", UNIT_KNOWN, 1, "foot" },
    { "feet", UNIT_KNOWN, 1, "foot" },
    { "yd", UNIT_KNOWN, 1, "yard" },
    { "yard", UNIT_KNOWN, 1, "yard" },
    { "mi", UNIT_KNOWN, 1, "mile" },
    { "mile", UNIT_KNOWN, 1, "mile" },
    { "mph", UNIT_KNOWN, 1, "mph" },
    { "kph", UNIT_KNOWN, 1, "kph" },
    { "g", UNIT_KNOWN, 1, "gram" },
    { "gm", UNIT_KNOWN, 1, "gram" },
    { "gms", UNIT_KNOWN, 1, "gram" },
    { "kgs", UNIT_KNOWN, 1, "kilogram" },
    { "kms", UNIT_KNOWN, 1, "kilometer" },
    { "cms", UNIT_KNOWN, 1, "centimeter" },
    { "mg", UNIT_KNOWN, 1, "milligram" },
    { "kg", UNIT_KNOWN, 1, "kilogram" },
    { "gram", UNIT_KNOWN, 1, "gram" },
    { "kilogram", UNIT_KNOWN, 1, "kilogram" },
    { "lb", UNIT_KNOWN, 1, "pound" },
    { "lbs", UNIT_KNOWN, 1, "pound" },
    { "pound", UNIT_KNOWN, 1, "pound" },
    { "oz", UNIT_KNOWN, 1, "ounce" },
    { "ounce", UNIT_KNOWN, 1, "ounce" },
    { "ton", UNIT_KNOWN, 1, "ton" },
    { "s", UNIT_KNOWN, 1, "second" },
    { "sec", UNIT_KNOWN, 1, "second" },
    { "second", UNIT_KNOWN, 1, "second" },
    { "min", UNIT_KNOWN, 1, "minute" },
    { "mins", UNIT_KNOWN, 1, "minute" },
    { "minute", UNIT_KNOWN, 1, "minute" },
    { "h", UNIT_KNOWN, 1, "hour" },
    { "hr", UNIT_KNOWN, 1, "hour" },
    { "hrs", UNIT_KNOWN, 1, "hour" },
    { "hour", UNIT_KNOWN, 1, "hour" },
    { "day", UNIT_KNOWN, 1, "day" },
    { "week", UNIT_KNOWN, 1, "week" },
    { "month", UNIT_KNOWN, 1, "month" },
    { "yr", UNIT_KNOWN, 1, "year" },
    { "yrs", UNIT_KNOWN, 1, "year" },
    { "year", UNIT_KNOWN, 1, "year" },
    { "ml", UNIT_KNOWN, 1, "milliliter" },
    { "mL", UNIT_KNOWN, 1, "milliliter" },
    { "cc", UNIT_KNOWN, 3, "centimeter" },
    { "L", UNIT_KNOWN, 1, "liter" },
    { "l", UNIT_KNOWN, 1, "liter" },
    { "liter", UNIT_KNOWN, 1, "liter" },
    { "litre", UNIT_KNOWN, 1, "liter" },
    { "gallon", UNIT_KNOWN, 1, "gallon" },
    { "gal", UNIT_KNOWN, 1, "gallon" },
    { "acre", UNIT_KNOWN, 1, "acre" },
    { "hz", UNIT_KNOWN, 1, "hertz" },
    { "Hz", UNIT_KNOWN, 1, "hertz" },
    { "joule", UNIT_KNOWN, 1, "joule" },
    { "newton", UNIT_KNOWN, 1, "newton" },
    { "watt", UNIT_KNOWN, 1, "watt" },
    { "kw", UNIT_KNOWN, 1, "kilowatt" },
    { "kW", UNIT_KNOWN, 1, "kilowatt" },
    { "N", UNIT_KNOWN, 1, "newton" },
    { "J", UNIT_KNOWN, 1, "joule" },
    { "W", UNIT_KNOWN, 1, "watt" },
    { "V", UNIT_KNOWN, 1, "volt" },
    { "volt", UNIT_KNOWN, 1, "volt" },
    { "degree", UNIT_DEGREE, 1, "degree" },
    { "C", UNIT_OTHER, 1, "" }, /* of a degree sign */
    { "F", UNIT_OTHER, 1, "" },
    { "deg", UNIT_DEGREE, 1, "degree" },
    { "radian", UNIT_KNOWN, 1, "radian" },
    { "rad", UNIT_KNOWN, 1, "radian" },
    { "rads", UNIT_KNOWN, 1, "radian" },
    { "dollar", UNIT_KNOWN, 1, "dollar" },
    { "buck", UNIT_KNOWN, 1, "dollar" },
    { "USD", UNIT_KNOWN, 1, "dollar" },
    { "usd", UNIT_KNOWN, 1, "dollar" },
    { "eur", UNIT_KNOWN, 1, "euro" },
    { "EUR", UNIT_KNOWN, 1, "euro" },
    { "euro", UNIT_KNOWN, 1, "euro" },
    { "GBP", UNIT_KNOWN, 1, "gbp" },
    { "gbp", UNIT_KNOWN, 1, "gbp" },
    { "yen", UNIT_KNOWN, 1, "yen" },
    { "yuan", UNIT_KNOWN, 1, "yuan" },
    { "rupee", UNIT_KNOWN, 1, "rupee" },
    { "cent", UNIT_SUBUNIT, 1, "cent" },
    { "penny", UNIT_SUBUNIT, 1, "cent" },
    { "pennies", UNIT_SUBUNIT, 1, "cent" },
    { "pence", UNIT_SUBUNIT, 1, "pence" },
    { "am", UNIT_AM, 1, "am" },
    { "AM", UNIT_AM, 1, "am" },
    { "PM", UNIT_PM, 1, "pm" },
    { "a.m", UNIT_AM, 1, "am" },
    { "pm", UNIT_PM, 1, "pm" },
    { "p.m", UNIT_PM, 1, "pm" },
};

const struct unit_row *grade_unit_find(const char *text, uint32_t size)
{
    while (size && text[size - 1] == '.')
        size--;
    for (size_t i = 0; i < RT_COUNT(units); i++) {
        const struct unit_row *u = &units[i];
        const size_t n = strlen(u->name);
        if (n == size && strncmp(u->name, text, size) == 0)
            return u;
        if (n > 2 && (grade_word_is(text, size, u->name) ||
                      (size == n + 1 && lower(text[n]) == 's' &&
                       grade_word_is(text, (uint32_t)n, u->name))))
            return u;
    }
    return NULL;
}

static bool in_list(const char *const *list, size_t count, const char *text,
                    uint32_t size)
{
    for (size_t i = 0; i < count; i++)
        if (grade_word_is(text, size, list[i]))
            return true;
    return false;
}

bool grade_word_is_filler(const char *text, uint32_t size)
{
    static const char *const words[] = { "about",  "approximately", "exactly", "roughly",
                                         "answer", "equals",        "option",  "choice",
                                         "only",   "just" };
    return in_list(words, RT_COUNT(words), text, size);
}

bool grade_word_is_known(const char *text, uint32_t size)
{
    static const char *const words[] = {
        "yes",  "no",  "odd",  "all",  "the", "not", "one", "two", "six", "ten",
        "none", "red", "mon",  "tue",  "wed", "thu", "fri", "sat", "sun", "per",
        "sq",   "for", "both", "each", "and", "or",  "of",  "is",  "any", "are",
    };
    return in_list(words, RT_COUNT(words), text, size);
}

int64_t grade_word_number(const char *text, uint32_t size)
{
    static const char *const small[] = { "zero",    "one",       "two",      "three",
                                         "four",    "five",      "six",      "seven",
                                         "eight",   "nine",      "ten",      "eleven",
                                         "twelve",  "thirteen",  "fourteen", "fifteen",
                                         "sixteen", "seventeen", "eighteen", "nineteen" };
    static const char *const tens[] = { "twenty", "thirty",  "forty",  "fifty",
                                        "sixty",  "seventy", "eighty", "ninety" };
    for (size_t i = 0; i < RT_COUNT(small); i++)
        if (grade_word_is(text, size, small[i]))
            return (int64_t)i;
    for (size_t i = 0; i < RT_COUNT(tens); i++)
        if (grade_word_is(text, size, tens[i]))
            return (int64_t)(20 + 10 * i);
    return grade_word_is(text, size, "hundred")    ? 100
           : grade_word_is(text, size, "thousand") ? 1000
           : grade_word_is(text, size, "million")  ? 1000000
                                                   : -1;
}
