/* runtime/text/chat_date.c
 * Dates of the Gregorian calendar, years 1 to 9999. */
#include "runtime/text/chat_date.h"

#include <stdio.h>
#include <string.h>

enum { USUAL_YEAR = 2024, USUAL_MONTH = 7, USUAL_DAY = 26 };

/* The year is taken to begin in March, so that the leap day is its last; 400 years have
 * 146,097 days. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    const int64_t from_march = (month + 9) % 12, era = year / 400, rest = year % 400;
    const int64_t in_year = (153 * from_march + 2) / 5 + day - 1;
    return era * 146097 + rest * 365 + rest / 4 - rest / 100 + in_year - 719468;
}

static uint32_t month_days(uint32_t year, uint32_t month)
{
    static const uint32_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool text_chat_date_read(const char *text, int64_t *days, char written[CHAT_DATE_MAX])
{
    static const char form[] = "dddd-dd-dd",
                      names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint32_t part[3] = { 0 };
    uint32_t at = 0;
    if (strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; i < sizeof form - 1; i++) {
        if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
        at += form[i] != 'd';
        if (form[i] == 'd')
            part[at] = part[at] * 10 + (uint32_t)(text[i] - '0');
    }
    if (part[0] < 1 || part[1] < 1 || part[1] > 12 || part[2] < 1 ||
        part[2] > month_days(part[0], part[1]))
        return false;
    *days = days_of(part[0], part[1], part[2]);
    snprintf(written, CHAT_DATE_MAX, "%.2s %.3s %.4s", text + 8,
             names + 3 * (part[1] - 1), text);
    return true;
}

int64_t text_chat_date_usual(void)
{
    return days_of(USUAL_YEAR, USUAL_MONTH, USUAL_DAY);
}
