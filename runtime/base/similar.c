/* runtime/base/similar.c
 * The distance of two words in typing errors. */
#include "runtime/base/similar.h"

#include <stddef.h>
#include <string.h>

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that lead from one word to
 * the other. */
static size_t distance(const char *a, const char *b)
{
    enum { WORD_MAX = 32 };
    size_t rows[WORD_MAX + 1][WORD_MAX + 1];
    const size_t n = strlen(a), m = strlen(b);
    if (n > WORD_MAX || m > WORD_MAX)
        return WORD_MAX;
    for (size_t i = 0; i <= n; i++) {
        rows[i][0] = i;
        for (size_t j = 1; j <= m; j++) {
            if (i == 0) {
                rows[i][j] = j;
                continue;
            }
            const size_t replaced = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            rows[i][j] = smaller(replaced, smaller(rows[i - 1][j], rows[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                rows[i][j] = smaller(rows[i][j], rows[i - 2][j - 2] + 1);
        }
    }
    return rows[n][m];
}

bool rt_similar(const char *name, const char *meant)
{
    const size_t length = strlen(name);
    if (length >= 3 && strncmp(name, meant, length) == 0)
        return true;
    return distance(name, meant) <= (length < 5 ? 1 : 2);
}
