/* runtime/base/json_put.c
 * Writes JSON piece by piece. */
#include "runtime/base/json_put.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

void rt_json_bytes(FILE *out, const char *text, size_t size)
{
    json_t *string = json_stringn(text, size); /* null where it is not UTF-8 */
    if (string) {
        json_dumpf(string, out, JSON_ENCODE_ANY);
        json_decref(string);
        return;
    }
    fputc('"', out);
    for (const char *end = text + size; text < end; text++) {
        if ((unsigned char)*text >= 128)
            fputs("\xef\xbf\xbd", out);
        else if ((unsigned char)*text < 32 || *text == '"' || *text == '\\')
            fprintf(out, "\\u%04x", (unsigned)*text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

void rt_json_text(FILE *out, const char *text)
{
    rt_json_bytes(out, text, strlen(text));
}

void rt_json_member(FILE *out, const char *name, const char *text)
{
    fprintf(out, ",\"%s\":", name);
    rt_json_text(out, text);
}

void rt_json_number(FILE *out, const char *name, double value)
{
    if (isfinite(value))
        fprintf(out, ",\"%s\":%.9g", name, value);
    else
        fprintf(out, ",\"%s\":null", name);
}

void rt_json_count(FILE *out, const char *name, uint64_t value)
{
    fprintf(out, ",\"%s\":%" PRIu64, name, value);
}
