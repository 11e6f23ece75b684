/* store/row_names.c
 * Names for the columns of a query, so that no two of them are the same. */
#include "store/store.h"

#include <stdio.h>
#include <string.h>

static bool is_named(const struct store_row *row, int i, const char *name)
{
    return strcmp(store_row_name(row, i), name) == 0;
}

bool store_row_names_twice(const struct store_row *row)
{
    for (int i = 1; i < store_row_count(row); i++)
        for (int k = 0; k < i; k++)
            if (is_named(row, i, store_row_name(row, k)))
                return true;
    return false;
}

/* Whether a column is called NAME_number already. */
static bool is_taken(const struct store_row *row, const char *name, int number)
{
    char suffix[16];
    const size_t length = strlen(name);
    snprintf(suffix, sizeof suffix, "_%d", number);
    for (int i = 0; i < store_row_count(row); i++) {
        const char *other = store_row_name(row, i);
        if (strncmp(other, name, length) == 0 && strcmp(other + length, suffix) == 0)
            return true;
    }
    return false;
}

int store_row_suffix(const struct store_row *row, int column)
{
    const char *name = store_row_name(row, column);
    int number = 0;
    for (int i = 0; i <= column; i++) {
        if (!is_named(row, i, name))
            continue;
        number = number ? number + 1 : 1;
        while (number > 1 && is_taken(row, name, number))
            number++;
    }
    return number > 1 ? number : 0;
}
