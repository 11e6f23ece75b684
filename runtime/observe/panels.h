/* runtime/observe/panels.h
 * How a symmetric matrix of second moments lies in panels (struct observe_moment). For
 * those that fill them. */
#ifndef RUNTIME_OBSERVE_PANELS_H
#define RUNTIME_OBSERVE_PANELS_H

#include "runtime/observe/moments.h"

/* Columns of a matrix of `in` inputs, with those that the op `outer` writes beside. */
uint32_t observe_padded(uint32_t in);
/* Rows of a panel: about an eighth of the matrix, and what a binding of so many bytes
 * holds. A multiple of RT_COL_PAD, because a tile begins where a binding may (RT_COL_PAD
 * floats: 512 bytes). 0: a binding holds no such panel. */
uint32_t observe_panel_height(uint32_t in, uint64_t binding);
/* Rows and floats of panel p, and the floats of all. */
uint32_t observe_panel_rows(uint32_t in, uint32_t height, uint32_t p);
uint64_t observe_panel_floats(uint32_t in, uint32_t height, uint32_t p);
uint64_t observe_moment_floats(uint32_t in, uint32_t height);

#endif
