/* runtime/text/jinja_date.c
 * strftime_now: the caller's date at 00:00:00, in the words of the C locale. */
#include "runtime/text/jinja_impl.h"

#include <stdio.h>
#include <string.h>

struct date {
    int64_t year;
    int month, day, weekday, yearday; /* from 1, 1; Sunday 0; 0 */
};

static const char *const months[] = { "January",   "February", "March",    "April",
                                      "May",       "June",     "July",     "August",
                                      "September", "October",  "November", "December" };
static const char *const weekdays[] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday" };

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970-01-01 as a date of the Gregorian calendar, years 1 to 9999. */
static bool date_of(int64_t days, struct date *date)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    enum { BEFORE_1970 = 719162 }; /* days from 0001-01-01 */
    if (days < -BEFORE_1970 || days > 2932896)
        return false;
    date->weekday = (int)((days + BEFORE_1970 + 1) % 7);
    int64_t rest = days + BEFORE_1970;
    date->year = 1 + rest / 146097 * 400;
    rest %= 146097;
    while (rest >= 365 + is_leap(date->year))
        rest -= 365 + is_leap(date->year++);
    date->yearday = (int)rest;
    date->month = 1;
    for (;; date->month++) {
        const int length =
            lengths[date->month - 1] + (date->month == 2 && is_leap(date->year));
        if (rest < length)
            break;
        rest -= length;
    }
    date->day = (int)rest + 1;
    return true;
}

static bool format_number(const struct date *date, char letter, bool is_plain,
                          char room[64])
{
    const struct {
        char letter;
        int width, value;
    } numbers[] = {
        { 'd', 2, date->day },
        { 'm', 2, date->month },
        { 'Y', 1, (int)date->year },
        { 'y', 2, (int)(date->year % 100) },
        { 'j', 3, date->yearday + 1 },
        { 'w', 1, date->weekday },
        { 'u', 1, date->weekday ? date->weekday : 7 },
        { 'H', 2, 0 },
        { 'I', 2, 12 },
        { 'M', 2, 0 },
        { 'S', 2, 0 },
        { 'f', 6, 0 },
    };
    for (size_t i = 0; i < RT_COUNT(numbers); i++) {
        if (numbers[i].letter != letter)
            continue;
        snprintf(room, 64, "%0*d", is_plain ? 1 : numbers[i].width, numbers[i].value);
        return true;
    }
    return false;
}

/* One letter behind a %; `is_plain` (%-d) writes numbers without a leading zero. */
static bool format_one(const struct date *date, char letter, bool is_plain, char room[64])
{
    char whole[64], slashes[64], date_time[64], day[8];
    const char *month = months[date->month - 1], *weekday = weekdays[date->weekday];
    const int year = (int)date->year;
    if (format_number(date, letter, is_plain, room))
        return true;
    snprintf(whole, sizeof whole, "%d-%02d-%02d", year, date->month, date->day);
    snprintf(slashes, sizeof slashes, "%02d/%02d/%02d", date->month, date->day,
             year % 100);
    snprintf(date_time, sizeof date_time, "%.3s %.3s %2d 00:00:00 %d", weekday, month,
             date->day, year);
    snprintf(day, sizeof day, "%2d", date->day % 100);
    const struct {
        char letter;
        int most; /* letters */
        const char *words;
    } words[] = {
        { 'B', 63, month },     { 'b', 3, month },       { 'h', 3, month },
        { 'A', 63, weekday },   { 'a', 3, weekday },     { 'e', 2, day },
        { 'F', 63, whole },     { 'D', 63, slashes },    { 'x', 63, slashes },
        { 'c', 63, date_time }, { 'T', 63, "00:00:00" }, { 'X', 63, "00:00:00" },
        { 'R', 63, "00:00" },   { 'p', 63, "AM" },       { 'Z', 63, "" },
        { 'z', 63, "" },        { '%', 63, "%" },        { 'n', 63, "\n" },
        { 't', 63, "\t" },
    };
    for (size_t i = 0; i < RT_COUNT(words) && !is_plain; i++) {
        if (words[i].letter != letter)
            continue;
        snprintf(room, 64, "%.*s", words[i].most, words[i].words);
        return true;
    }
    return false;
}

bool jinja_strftime(struct jinja_run *run, struct jinja_args *args,
                    struct jinja_value *out)
{
    struct jinja_value format;
    struct date date;
    struct jinja_buffer buffer = { 0 };
    bool good = true;
    if (!jinja_bind(run, "strftime_now", "format", false, args, &format))
        return false;
    if (format.kind != JINJA_STRING)
        return jinja_fail(run, "strftime_now of a %s", jinja_type_name(&format));
    if (!date_of(run->date, &date))
        return jinja_unsupported(run, "a date outside of the years 1 to 9999");
    const struct jinja_text *text = format.as.text;
    for (size_t i = 0; good && i < text->size; i++) {
        char room[64];
        if (text->data[i] != '%') {
            good = jinja_write(run, &buffer, text->data + i, 1);
            continue;
        }
        const bool is_plain = i + 1 < text->size && text->data[i + 1] == '-';
        i += is_plain ? 2 : 1;
        const char letter = i < text->size ? text->data[i] : 0;
        if (!format_one(&date, letter, is_plain, room))
            good =
                jinja_unsupported(run, "strftime_now with %%%.*s", letter != 0, &letter);
        else
            good = jinja_write_words(run, &buffer, room);
    }
    return jinja_buffer_take(run, &buffer, good, out);
}
