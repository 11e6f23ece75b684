/* runtime/base/similar.h
 * Words that may have been meant, for messages about a name that does not exist. */
#ifndef RUNTIME_BASE_SIMILAR_H
#define RUNTIME_BASE_SIMILAR_H

#include <stdbool.h>

/* Whether `name` is `meant` but for typing errors, one in words below 5 bytes and two in
 * longer ones, or its first 3 bytes or more. An error is an insertion, a deletion, a
 * replacement or a swap of neighbours (the optimal string alignment distance). Words of more
 * than 32 bytes are similar only by their start. */
bool rt_similar(const char *name, const char *meant);

#endif
